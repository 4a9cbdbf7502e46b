//! What an answer may be packed with, as a client says it.

use axum::http::{HeaderMap, HeaderValue, header};

/// Lets every client have answers as they are. One that refuses them (`identity;q=0`) would be told 406 once all is
/// done, with the answer as the body; RFC 9110 (12.5.3) leaves it to the server to send it as it is.
pub fn leave_identity(headers: &mut HeaderMap) {
    let refuses = |value: &HeaderValue| {
        value
            .as_bytes()
            .windows(3)
            .any(|at| at.eq_ignore_ascii_case(b"q=0"))
    };
    if !headers.get_all(header::ACCEPT_ENCODING).iter().any(refuses) {
        return;
    }
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let offers = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let kept: Vec<&str> = offers
        .map(str::trim)
        .filter(|offer| !refuses_identity(offer))
        .collect();
    let kept = HeaderValue::from_str(&kept.join(", "));
    headers.remove(header::ACCEPT_ENCODING);
    if let Ok(kept) = kept
        && !kept.is_empty()
    {
        headers.insert(header::ACCEPT_ENCODING, kept);
    }
}

/// `identity;q=0` or `*;q=0`, however it is spaced.
fn refuses_identity(offer: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    let coding = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let none = weight.and_then(|weight| weight.trim().parse::<f32>().ok()) == Some(0.0);
    none && (coding == "*" || coding.eq_ignore_ascii_case("identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refuses_answers_as_they_are_is_left_out_and_nothing_else() {
        for (sent, left) in [
            ("gzip, identity;q=0", Some("gzip")),
            ("gzip;q=0, *;q=0", Some("gzip;q=0")),
            ("identity ; q=0.000", None),
            ("*;Q=0", None),
            (
                "gzip;q=0.5, identity;q=0.1, *;q=0.01",
                Some("gzip;q=0.5, identity;q=0.1, *;q=0.01"),
            ),
            ("gzip, deflate", Some("gzip, deflate")),
            ("", Some("")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, sent.parse().expect("a header"));
            leave_identity(&mut headers);
            let found = headers.get(header::ACCEPT_ENCODING);
            assert_eq!(
                found.map(|value| value.to_str().expect("text")),
                left,
                "{sent}"
            );
        }
    }
}
