//! A path before all others: where a proxy shows the service below one of its own.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;

use crate::config::base_path;

/// The path without it, where a request's path begins with it. A proxy may have taken it away already.
pub fn strip<B>(request: &mut Request<B>, base: &str) {
    let Some(stripped) = stripped(request.uri(), base) else {
        return;
    };
    *request.uri_mut() = stripped;
}

fn stripped(uri: &Uri, base: &str) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    let rest = whole.strip_prefix(base)?;
    let rest = match rest.as_bytes().first() {
        None => "/".to_owned(),
        Some(b'/') => rest.to_owned(),
        Some(b'?') => format!("/{rest}"),
        // `/models` is not below `/mod`.
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

/// What a proxy that is trusted says that it took away from the path.
pub fn forwarded(headers: &HeaderMap) -> Option<String> {
    let said = headers.get("x-forwarded-prefix")?.to_str().ok()?;
    base_path(said).ok()
}

/// Puts it before the path that an answer points to.
pub fn keep(response: &mut Response, prefix: &str) {
    let headers = response.headers_mut();
    let Some(location) = headers.get(header::LOCATION).and_then(|l| l.to_str().ok()) else {
        return;
    };
    if location.starts_with('/')
        && let Ok(kept) = HeaderValue::from_str(&format!("{prefix}{location}"))
    {
        headers.insert(header::LOCATION, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_what_stands_before_it() {
        let without = |uri: &str| {
            let found = stripped(&uri.parse().expect("a URI"), "/a/b");
            found.map(|uri| uri.to_string())
        };
        for (uri, wanted) in [
            ("/a/b/v1/jobs?limit=3", Some("/v1/jobs?limit=3")),
            ("/a/b", Some("/")),
            ("/a/b?x=1", Some("/?x=1")),
            ("/a/b/", Some("/")),
            ("/a/bc", None),
            ("/v1/jobs", None),
        ] {
            assert_eq!(without(uri), wanted.map(str::to_owned), "{uri}");
        }
    }

    #[test]
    fn an_answer_points_behind_it() {
        let pointing = |location: &'static str| {
            let mut response = Response::default();
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, HeaderValue::from_static(location));
            keep(&mut response, "/a");
            response.headers()[header::LOCATION]
                .to_str()
                .expect("text")
                .to_owned()
        };
        assert_eq!(pointing("/v1/jobs/1"), "/a/v1/jobs/1");
        assert_eq!(
            pointing("https://elsewhere.example/"),
            "https://elsewhere.example/"
        );
    }
}
