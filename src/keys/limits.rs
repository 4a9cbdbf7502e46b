//! How much a key may do: requests a second, jobs, bytes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is left out is without a limit of the key's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimits {
    /// Requests a second, on average over a few seconds.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_second: Option<u32>,
    /// Jobs that wait or run at once.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub jobs: Option<i64>,
    /// Bytes of the data sets that were uploaded with it, as they are stored.
    #[schema(minimum = 0)]
    pub stored_bytes: Option<i64>,
    /// Rows that one job may train on in all: epochs times rows.
    #[schema(minimum = 1)]
    pub job_samples: Option<i64>,
}

impl KeyLimits {
    /// The first of these limits that is looser than the other's.
    pub fn looser_than(&self, other: &Self) -> Option<&'static str> {
        fn looser<T: PartialOrd>(mine: Option<T>, most: Option<T>) -> bool {
            match (mine, most) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(mine), Some(most)) => mine > most,
            }
        }
        let rows = [
            (
                "requests_per_second",
                looser(self.requests_per_second, other.requests_per_second),
            ),
            ("jobs", looser(self.jobs, other.jobs)),
            (
                "stored_bytes",
                looser(self.stored_bytes, other.stored_bytes),
            ),
            ("job_samples", looser(self.job_samples, other.job_samples)),
        ];
        rows.into_iter()
            .find(|(_, looser)| *looser)
            .map(|(name, _)| name)
    }
}

/// So many seconds of requests may come at once.
const BURST_SECONDS: f64 = 2.0;

/// A token bucket: it fills at the rate of the limit, and each request takes one.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f64,
    /// In milliseconds, of any clock that does not go back.
    at: u64,
}

/// What a bucket says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub allowed: bool,
    /// Requests that could come at once now.
    pub remaining: u64,
    /// Milliseconds until the next one is allowed, or, where one is, until the bucket is full.
    pub reset_ms: u64,
}

impl Bucket {
    pub fn full(per_second: u32, now: u64) -> Self {
        Self {
            tokens: Self::size(per_second),
            at: now,
        }
    }

    /// Requests that may come at once.
    pub fn size(per_second: u32) -> f64 {
        f64::from(per_second) * BURST_SECONDS
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, per_second: u32, now: u64) -> Taken {
        let (rate, size) = (f64::from(per_second) / 1000.0, Self::size(per_second));
        let passed = now.saturating_sub(self.at) as f64;
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * rate).min(size);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        let lacking = if allowed { size } else { 1.0 } - self.tokens;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and some seconds"
        )]
        Taken {
            allowed,
            remaining: self.tokens as u64,
            reset_ms: (lacking / rate).ceil() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_through_its_rate_and_tells_when_the_next_may_come() {
        let mut bucket = Bucket::full(5, 1000);
        for left in (0..10).rev() {
            let taken = bucket.take(5, 1000);
            assert!(
                taken.allowed && taken.remaining == left,
                "{left}: {taken:?}"
            );
        }
        let refused = bucket.take(5, 1000);
        assert_eq!((refused.allowed, refused.reset_ms), (false, 200));
        assert_eq!(bucket.take(5, 1150).reset_ms, 50);
        assert!(bucket.take(5, 1200).allowed && !bucket.take(5, 1200).allowed);
        // Ten seconds at ten tries a second: as many as the rate lets through.
        let through = (0..100).filter(|i| bucket.take(5, 1300 + 100 * i).allowed);
        assert_eq!(through.count(), 50);
        // A long rest fills it no further than full.
        let through = (0..100).filter(|_| bucket.take(5, 1_000_000).allowed);
        assert_eq!(through.count(), 10);
    }

    #[test]
    fn limits_are_compared_field_by_field() {
        let none = KeyLimits::default();
        let some = KeyLimits {
            jobs: Some(3),
            ..none
        };
        assert_eq!(none.looser_than(&none), None);
        assert_eq!(some.looser_than(&none), None);
        assert_eq!(none.looser_than(&some), Some("jobs"));
        let more = KeyLimits {
            jobs: Some(4),
            ..some
        };
        assert_eq!(more.looser_than(&some), Some("jobs"));
        assert_eq!(some.looser_than(&more), None);
        let other = KeyLimits {
            job_samples: Some(1),
            ..some
        };
        assert_eq!(some.looser_than(&other), Some("job_samples"));
    }
}
