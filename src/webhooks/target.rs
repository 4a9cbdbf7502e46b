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
    #[error("must have the host right behind http:// or https://, and no blanks or backslashes")]
    Form,
    #[error(
        "port {0} is that of another service than HTTP, which browsers do not connect to either"
    )]
    Port(u16),
    #[error("must name a host and a port that can be connected to")]
    Unreachable,
    #[error(
        "{0} is an address of this machine or of a private network, which this server does not send to \
         (see --webhook-allow-private)"
    )]
    Private(String),
}

/// "Bad ports" of the Fetch Standard (<https://fetch.spec.whatwg.org/#bad-port>) but 0: mail, shells, file shares. A
/// request there can mean something to them, and tells at least that they are there.
#[rustfmt::skip]
const OTHER_SERVICES: [u16; 82] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
    540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Readers of URLs mend what is none: in `http:///x` they find the host `x`. A receiver is written as it is meant.
fn is_plain(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    !rest.is_empty() && !rest.starts_with('/') && !text.contains(odd)
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
    if !is_plain(text) {
        return Err(TargetError::Form);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::Credentials);
    }
    if url.fragment().is_some() {
        return Err(TargetError::Fragment);
    }
    if let Some(port) = url.port().filter(|port| OTHER_SERVICES.contains(port)) {
        return Err(TargetError::Port(port));
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
            ("http:///example.com/", TargetError::Form),
            ("http:////example.com/", TargetError::Form),
            ("http:example.com", TargetError::Form),
            ("http:/example.com", TargetError::Form),
            ("https:\\\\example.com", TargetError::Form),
            ("http://\\example.com", TargetError::Form),
            (" http://example.com/", TargetError::Form),
            ("http://exa\tmple.com/", TargetError::Form),
            ("http://example.com/a b", TargetError::Form),
            ("http://example.com:22/", TargetError::Port(22)),
            ("https://example.com:25/", TargetError::Port(25)),
            ("http://example.com:6000/", TargetError::Port(6000)),
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
