//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};

use crate::config::Network;

/// The client's address: the peer's, or, where the peer is a trusted proxy, what the proxies say. Each adds the peer
/// that it had itself at the right end, so what stands left of the first address that is no trusted proxy's is
/// whatever the client made up.
pub fn client(extensions: &Extensions, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(behind(peer.ip().to_canonical(), headers, trusted))
}

/// Whether the peer itself is one of them.
pub fn is_from(extensions: &Extensions, networks: &[Network]) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| networks.iter().any(|network| network.holds(peer.ip())))
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    let mut found = peer;
    let said = headers.get_all("x-forwarded-for").iter().rev();
    let said = said.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
    for text in said {
        if !is_trusted(found) {
            break;
        }
        let Ok(address) = text.trim().parse::<IpAddr>() else {
            break;
        };
        found = address.to_canonical();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "::1"]
            .iter()
            .map(|n| n.parse().expect("one"))
            .collect();
        let found = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append("x-forwarded-for", value.parse().expect("a header"));
            }
            behind(peer.parse().expect("an address"), &headers, &trusted).to_string()
        };
        assert_eq!(found("8.8.8.8", &[]), "8.8.8.8");
        assert_eq!(found("8.8.8.8", &["1.1.1.1"]), "8.8.8.8");
        assert_eq!(found("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(found("10.0.0.1", &["6.6.6.6, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(
            found("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.2.3.4"]),
            "1.1.1.1"
        );
        assert_eq!(found("::1", &["6.6.6.6", "1.1.1.1", "10.2.3.4"]), "1.1.1.1");
        assert_eq!(found("10.0.0.1", &["6.6.6.6, junk"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &[""]), "10.0.0.1");
    }
}
