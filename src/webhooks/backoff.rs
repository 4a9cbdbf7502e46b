//! When a message that did not arrive is sent again.

use std::time::Duration;

/// After the first attempt, the second, and so on: nine attempts in about a day. The first waits bridge a
/// restart, the last a night.
const WAITS: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(3 * 60 * 60),
    Duration::from_secs(6 * 60 * 60),
    Duration::from_secs(12 * 60 * 60),
];
/// A receiver may ask for more patience than the table has, within this.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Up to this share more, drawn, so that what failed together does not come again together.
const JITTER: f64 = 0.2;

/// The waits between attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Each wait is as long as this, for tests.
    pub every: Option<Duration>,
}

impl Backoff {
    /// How long to wait after an attempt that failed, with `tries` before it; `None` if it was the last.
    /// `chance` is from 0 to 1, and `asked` what the receiver wants.
    pub fn after(self, tries: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        let wait = *WAITS.get(usize::try_from(tries).ok()?)?;
        let wait = self.every.unwrap_or(wait).mul_f64(1.0 + JITTER * chance);
        Some(asked.unwrap_or_default().min(LONGEST).max(wait))
    }
}

/// What a `Retry-After` asks for, in seconds or as a date (RFC 9110); `now` is in seconds since 1970.
pub fn retry_after(value: &str, now: i64) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let seconds = date.timestamp().as_second().saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_over_about_a_day_and_come_to_an_end() {
        let backoff = Backoff::default();
        let waits = |chance| -> Vec<Duration> {
            (0..100)
                .map_while(|tries| backoff.after(tries, None, chance))
                .collect()
        };
        let (least, most) = (waits(0.0), waits(1.0));
        assert_eq!(least, WAITS);
        assert!(least.is_sorted());
        let day = Duration::from_secs(24 * 60 * 60);
        let sum: Duration = least.iter().sum();
        assert!(sum > day.mul_f64(0.8) && sum < day, "{sum:?}");
        for (least, most) in least.iter().zip(&most) {
            assert!(*most > *least && *most <= least.mul_f64(1.3));
        }
        let hurried = Backoff {
            every: Some(Duration::from_millis(10)),
        };
        assert_eq!(hurried.after(7, None, 0.0), Some(Duration::from_millis(10)));
        assert_eq!(hurried.after(8, None, 0.0), None);
    }

    #[test]
    fn a_receiver_may_ask_for_patience_but_not_for_haste_or_for_ever() {
        let after = |asked| Backoff::default().after(1, Some(Duration::from_secs(asked)), 0.0);
        assert_eq!(after(0), Some(WAITS[1]));
        assert_eq!(after(100), Some(Duration::from_secs(100)));
        assert_eq!(after(u64::MAX), Some(LONGEST));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |value| retry_after(value, 784_111_777).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:40:37 GMT"), Some(0));
        for senseless in ["", "soon", "-1", "1.5"] {
            assert_eq!(seconds(senseless), None, "{senseless}");
        }
    }
}
