//! Values of flags that have a form of their own.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses: one, or those of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// `http://` or `https://`, a host, and perhaps a port.
pub fn origin(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match rest {
        Some(rest) if !rest.is_empty() && rest.bytes().all(allowed) => Ok(text),
        _ => Err(format!(
            "must be an origin such as https://app.example.org, got \"{text}\""
        )),
    }
}

/// A path that others can stand behind: `/a/b`; nothing and `/` are no path.
pub fn base_path(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let sound = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
    };
    match text.strip_prefix('/') {
        Some(parts) if parts.split('/').all(sound) => Ok(text.to_owned()),
        None if text.is_empty() => Ok(String::new()),
        _ => Err(format!("must be a path such as /latentd, got \"{text}\"")),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let network = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| {
            format!("\"{text}\" is no address or network, such as 10.1.2.3 or 10.0.0.0/8")
        })
    }
}

impl Network {
    pub fn holds(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for (text, wanted) in [
            ("https://App.example/", "https://app.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(origin(text), Ok(wanted.to_owned()), "{text}");
        }
        for odd in [
            "*",
            "",
            "app.example",
            "https://",
            "https://*",
            "ftp://a",
            "https://a/b",
            "null",
        ] {
            assert!(origin(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_base_path_is_one() {
        for (text, wanted) in [("/a", "/a"), ("/a/b/", "/a/b"), ("/", ""), ("", "")] {
            assert_eq!(base_path(text), Ok(wanted.to_owned()), "{text}");
        }
        for odd in [
            "a",
            "//a",
            "/a//b",
            "/../a",
            "https://evil.example",
            "/a b",
            "/a?b",
            "/a\"b",
        ] {
            assert!(base_path(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.9.8.7", "11.0.0.1"),
            ("192.168.1.5", "192.168.1.5", "192.168.1.6"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = network.parse().expect(network);
            assert!(
                network.holds(inside.parse().expect(inside)),
                "{network:?} {inside}"
            );
            assert!(
                !network.holds(outside.parse().expect(outside)),
                "{network:?} {outside}"
            );
        }
        for odd in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/x",
            "host/8",
        ] {
            assert!(odd.parse::<Network>().is_err(), "{odd}");
        }
    }
}
