//! Where a webhook may point: what its URL must be, and which addresses may be reached.

use std::net::IpAddr;

use thiserror::Error;
use url::{Host, Url};

use super::address::is_public;

const LONGEST: usize = 2048;

/// How far requests may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the world alone: whoever may register a webhook must not reach with it what only this machine
    /// can.
    Public,
    Anywhere,
}

impl Reach {
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::Anywhere || is_public(address)
    }

    /// A host that is an address says by itself where it is; a name says so when it is looked up.
    pub fn allows_host(self, host: &Host<&str>) -> bool {
        match host {
            Host::Ipv4(v4) => self.allows((*v4).into()),
            Host::Ipv6(v6) => self.allows((*v6).into()),
            Host::Domain(name) => self == Self::Anywhere || !is_loopback_name(name),
        }
    }
}

/// RFC 6761: these names are this machine, whatever a name server says.
fn is_loopback_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    #[error("must be a URL: {0}")]
    Unreadable(url::ParseError),
    #[error("must be at most {LONGEST} characters, got {0}")]
    Long(usize),
    #[error("must begin with http:// or https://, not {0}:")]
    Scheme(String),
    #[error("must hold no user name and no password")]
    Credentials,
    #[error("must have no fragment")]
    Fragment,
    #[error("must name a host and a port that can be connected to")]
    Unreachable,
    #[error(
        "{0} is an address of this machine or of a private network, which this server does not send to \
         (see --webhook-allow-private)"
    )]
    Private(String),
}

/// The URL that a text names, if a webhook may point there.
pub fn check(text: &str, reach: Reach) -> Result<Url, TargetError> {
    if text.len() > LONGEST {
        return Err(TargetError::Long(text.len()));
    }
    let url = Url::parse(text).map_err(TargetError::Unreadable)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(TargetError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::Credentials);
    }
    if url.fragment().is_some() {
        return Err(TargetError::Fragment);
    }
    let host = url.host().filter(|_| url.port() != Some(0));
    let host = host.ok_or(TargetError::Unreachable)?;
    if !reach.allows_host(&host) {
        return Err(TargetError::Private(host.to_string()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_plain_and_points_outside() {
        for good in [
            "http://example.com",
            "https://example.com:8443/hooks?from=latentd",
            "https://1.1.1.1/",
            "http://[2606:4700::1]:80/x",
        ] {
            assert!(check(good, Reach::Public).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("ftp://example.com/", TargetError::Scheme("ftp".to_owned())),
            ("file:///etc/passwd", TargetError::Scheme("file".to_owned())),
            ("http://user@example.com/", TargetError::Credentials),
            ("http://:word@example.com/", TargetError::Credentials),
            ("http://example.com/#x", TargetError::Fragment),
            ("http://example.com:0/", TargetError::Unreachable),
        ] {
            assert_eq!(check(bad, Reach::Anywhere), Err(error), "{bad}");
        }
        for unreadable in ["", "example.com", "/hook", "http://", "http://a:99999/"] {
            assert!(
                matches!(
                    check(unreadable, Reach::Anywhere),
                    Err(TargetError::Unreadable(_))
                ),
                "{unreadable}"
            );
        }
        let long = format!("http://example.com/{}", "x".repeat(LONGEST));
        assert_eq!(
            check(&long, Reach::Anywhere),
            Err(TargetError::Long(long.len()))
        );
    }

    /// However it is spelt: a URL's host may be an address in octal, in hex, or with parts left out.
    #[test]
    fn an_address_in_here_is_seen_through_every_spelling() {
        for private in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://１２７.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1]/",
            "https://169.254.169.254/latest",
            "http://localhost:9000/",
            "http://LOCALHOST./",
            "http://db.localhost/",
        ] {
            assert!(
                matches!(check(private, Reach::Public), Err(TargetError::Private(_))),
                "{private}"
            );
            assert!(check(private, Reach::Anywhere).is_ok(), "{private}");
        }
    }
}
