//! Which hosts and origins are answered.
//!
//! A web page can make its reader's browser send requests to a service on the same machine. It does so across
//! origins, which the browser tells in `Origin` and `Sec-Fetch-Site`; or by a name of its own that it lets point to
//! that machine (DNS rebinding), which stands in `Host`. Clients that are no browsers send neither.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use tower_http::cors::{AllowHeaders, AllowMethods, CorsLayer};

use crate::api::problem::{Code, Problem, Result};

/// Headers of answers that pages of other origins may read, beside those that they always may.
const EXPOSED: [HeaderName; 8] = [
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-latentd-seed"),
];

/// What a service on some address answers to.
#[derive(Debug, Clone)]
pub struct Hosts {
    listen: IpAddr,
    /// As nearly every request has it: compared as it is, before anything is taken apart.
    usual: [String; 3],
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    /// `hosts` are names beside this machine's own: `name`, `*.name` for those below it, `*` for any. `origins` are
    /// those whose pages may ask, as `https://name:port`.
    pub fn new(listen: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let plain = |text: &String| {
            text.trim()
                .trim_end_matches(['/', '.'])
                .to_ascii_lowercase()
        };
        Self {
            listen: listen.ip(),
            usual: [
                listen.to_string(),
                format!("localhost:{}", listen.port()),
                format!("127.0.0.1:{}", listen.port()),
            ],
            hosts: hosts.iter().map(plain).collect(),
            origins: origins.iter().map(plain).collect(),
        }
    }

    /// What tells browsers that the pages of these origins may read the answers; none where there are no such origins.
    pub fn cors(&self) -> Option<CorsLayer> {
        let origins = self.origins.iter();
        let origins: Vec<_> = origins
            .filter_map(|o| HeaderValue::from_str(o).ok())
            .collect();
        let layer = || {
            CorsLayer::new()
                .allow_methods(AllowMethods::mirror_request())
                .allow_headers(AllowHeaders::mirror_request())
                .expose_headers(EXPOSED)
                .allow_origin(origins.clone())
        };
        (!origins.is_empty()).then(layer)
    }

    /// The origin of a page that may read what it is answered, refusals too.
    pub fn page(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        let known = |text: &str| self.origins.contains(&text.to_ascii_lowercase());
        origin.to_str().is_ok_and(known).then(|| origin.clone())
    }

    /// `keyed` is whether requests need a key: then a name that was made to point here gains a page nothing.
    pub fn check(&self, request: &Request, keyed: bool) -> Result<()> {
        let headers = request.headers();
        let host = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => one_host(headers, request.version())?,
        };
        let usual = keyed || host.is_empty() || self.usual.iter().any(|usual| usual == host);
        if !usual && !self.answers_to(host) {
            let detail = format!(
                "this service does not answer to the host \"{host}\"; --allowed-hosts takes more names"
            );
            return Err(Problem::new(Code::ForeignHost, detail));
        }
        self.check_origin(headers, host, request.method())
    }

    fn check_origin(&self, headers: &HeaderMap, host: &str, method: &Method) -> Result<()> {
        let changes = !method.is_safe();
        let refusal = |origin: &str| {
            let code = if changes {
                Code::CrossOrigin
            } else {
                Code::ForeignHost
            };
            let detail = format!(
                "requests from pages of {origin} are not answered; --cors-origins takes origins that may ask"
            );
            Err(Problem::new(code, detail))
        };
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or("null").to_ascii_lowercase();
            let own = origin.split_once("://").is_some_and(|(scheme, rest)| {
                authority(rest, scheme) == authority(&host.to_ascii_lowercase(), scheme)
            });
            return if own || self.origins.contains(&origin) {
                Ok(())
            } else {
                refusal(&format!("\"{origin}\""))
            };
        }
        match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
            Some(b"cross-site" | b"same-site") if changes => refusal("another site"),
            _ => Ok(()),
        }
    }

    fn answers_to(&self, host: &str) -> bool {
        let name = name_of(host).trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = name.parse::<IpAddr>() {
            // A name can be made to point anywhere; an address cannot.
            let own = address.is_loopback() || address == self.listen;
            return own || self.listen.is_unspecified() || self.hosts.iter().any(|h| h == &name);
        }
        let local = name == "localhost" || name.ends_with(".localhost");
        local || self.hosts.iter().any(|allowed| is_named(&name, allowed))
    }
}

/// Whether the name is the one allowed, or below it.
fn is_named(name: &str, allowed: &str) -> bool {
    match allowed.strip_prefix('*') {
        Some("") => true,
        Some(domain) => domain.starts_with('.') && name.ends_with(domain),
        None => name == allowed,
    }
}

/// The one `Host` that HTTP/1.1 asks for (RFC 9112, 3.2); older clients send none.
fn one_host(headers: &HeaderMap, version: Version) -> Result<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let malformed = |detail: &str| Err(Problem::new(Code::Malformed, detail));
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => match host.to_str() {
            Ok(host) => Ok(host),
            Err(_) => malformed("the Host header is not a host"),
        },
        (None, _) if version < Version::HTTP_11 => Ok(""),
        (None, _) => malformed("the Host header is missing"),
        (Some(_), Some(_)) => malformed("there are several Host headers"),
    }
}

/// The host without its port; an IPv6 address without its brackets.
fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(name, _)| name),
    }
}

/// Name and port, the port that the scheme stands for filled in.
fn authority<'a>(text: &'a str, scheme: &str) -> (&'a str, &'a str) {
    let usual = if scheme == "https" { "443" } else { "80" };
    let name = name_of(text);
    let port = text.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    (name, port.unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn guard(listen: &str, hosts: &[&str], origins: &[&str]) -> Hosts {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        Hosts::new(listen.parse().unwrap(), &owned(hosts), &owned(origins))
    }

    fn asked(guard: &Hosts, method: &str, headers: &[(&str, &str)]) -> Option<Code> {
        let mut request = Request::builder().method(method).uri("/v1/jobs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        guard
            .check(&request, false)
            .err()
            .map(|problem| problem.code())
    }

    #[test]
    fn it_answers_to_this_machine_and_to_the_names_it_was_given() {
        let guard = guard("127.0.0.1:8080", &["models.example", "*.lab.example"], &[]);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:8080",
            "me.localhost",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "models.example:443",
            "a.lab.example",
        ] {
            assert_eq!(asked(&guard, "GET", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "10.0.0.1:8080",
            "[2001:db8::1]",
            "xmodels.example",
            "lab.example",
            "127.0.0.1.evil.example",
            "0.0.0.0",
        ] {
            let code = asked(&guard, "GET", &[("host", host)]);
            assert_eq!(code, Some(Code::ForeignHost), "{host}");
        }
    }

    #[test]
    fn beyond_loopback_any_address_is_its_own_and_no_name() {
        let guard = guard("0.0.0.0:8080", &[], &[]);
        assert_eq!(asked(&guard, "GET", &[("host", "192.168.1.5:8080")]), None);
        assert_eq!(asked(&guard, "GET", &[("host", "[2001:db8::1]")]), None);
        let code = asked(&guard, "GET", &[("host", "evil.example")]);
        assert_eq!(code, Some(Code::ForeignHost));
        let any = super::Hosts::new("0.0.0.0:1".parse().unwrap(), &["*".to_owned()], &[]);
        assert_eq!(asked(&any, "GET", &[("host", "evil.example")]), None);
    }

    #[test]
    fn pages_of_other_origins_are_refused_whatever_they_send() {
        let guard = guard("127.0.0.1:8080", &[], &["https://lab.example"]);
        let host = ("host", "localhost:8080");
        for origin in [
            "http://localhost:8080",
            "https://lab.example",
            "HTTP://LOCALHOST:8080",
        ] {
            let code = asked(&guard, "POST", &[host, ("origin", origin)]);
            assert_eq!(code, None, "{origin}");
        }
        for origin in [
            "http://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "https://lab.example.evil",
            "null",
            "",
        ] {
            let code = asked(&guard, "POST", &[host, ("origin", origin)]);
            assert_eq!(code, Some(Code::CrossOrigin), "{origin}");
            let code = asked(&guard, "GET", &[host, ("origin", origin)]);
            assert_eq!(code, Some(Code::ForeignHost), "{origin}");
        }
        let code = asked(&guard, "DELETE", &[host, ("sec-fetch-site", "cross-site")]);
        assert_eq!(code, Some(Code::CrossOrigin));
        let code = asked(&guard, "GET", &[host, ("sec-fetch-site", "cross-site")]);
        assert_eq!(code, None);
        let code = asked(&guard, "POST", &[host, ("sec-fetch-site", "same-origin")]);
        assert_eq!(code, None);
    }

    #[test]
    fn the_usual_port_may_be_left_out() {
        let guard = guard("127.0.0.1:80", &[], &[]);
        let headers = [("host", "localhost"), ("origin", "http://localhost:80")];
        assert_eq!(asked(&guard, "POST", &headers), None);
    }

    #[test]
    fn with_keys_it_answers_to_any_name_and_to_no_other_page() {
        let guard = guard("0.0.0.0:8080", &[], &[]);
        let request = |origin: &str| {
            let request = Request::builder().header("host", "any.example");
            let request = request.uri("/v1/jobs").header("origin", origin);
            let request = request.body(Body::empty()).unwrap();
            guard
                .check(&request, true)
                .err()
                .map(|problem| problem.code())
        };
        assert_eq!(request("https://any.example"), None);
        assert_eq!(request("https://evil.example"), Some(Code::ForeignHost));
    }

    #[test]
    fn a_request_has_one_host() {
        let guard = guard("127.0.0.1:8080", &[], &[]);
        assert_eq!(asked(&guard, "GET", &[]), Some(Code::Malformed));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(asked(&guard, "GET", &twice), Some(Code::Malformed));
    }
}
