//! The time of day, as the database keeps it and as clients read it.

#![expect(clippy::disallowed_methods, reason = "this is the one place that asks")]

use std::time::SystemTime;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The same as the standard library has it, for those that hand it on.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Epoch milliseconds of a time as RFC 3339 writes it.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(at.as_millisecond())
}

/// Epoch milliseconds as RFC 3339, UTC.
pub fn rfc3339(epoch_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(epoch_ms).map_or_else(|_| String::new(), |at| at.to_string())
}
