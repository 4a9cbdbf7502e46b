//! The least rate at which a body must come. Who sends slower is not waited for: a body that never ends would hold
//! its connection, and what was set aside for it, for ever.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

/// Bytes a second, once the first moments have passed.
pub const LEAST_RATE: u32 = 1024;
/// Silence at the start that no byte has paid for.
const AT_FIRST: Duration = Duration::from_secs(2);
/// Silence that whatever was sent pays for, at most: a line may fail for a while.
const AT_MOST: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time: send at least {LEAST_RATE} bytes a second")]
pub struct TooSlow;

/// How long a client may still be silent. Pure: `now` is a parameter.
struct Patience {
    left: Duration,
    silent_since: Option<Instant>,
}

impl Patience {
    fn new() -> Self {
        Self {
            left: AT_FIRST,
            silent_since: None,
        }
    }

    /// Only what the client lets us wait counts, not what we let it wait.
    fn came(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.silent_since.take() {
            self.left = self.left.saturating_sub(now.duration_since(since));
        }
        let paid = Duration::from_secs(bytes as u64) / LEAST_RATE;
        self.left = (self.left + paid).min(AT_MOST);
    }

    /// When it ends, if nothing has come by then; none if that was told before.
    fn ends(&mut self, now: Instant) -> Option<Instant> {
        if self.silent_since.is_some() {
            return None;
        }
        self.silent_since = Some(now);
        Some(now + self.left)
    }
}

/// A body that comes at the least rate, or breaks off.
pub struct Paced {
    body: Body,
    patience: Patience,
    /// Made when there is first something to wait for, which is seldom.
    timer: Option<Pin<Box<Sleep>>>,
    broken_off: bool,
}

impl Paced {
    pub fn of(body: Body) -> Self {
        Self {
            body,
            patience: Patience::new(),
            timer: None,
            broken_off: false,
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(end) = self.patience.ends(Instant::now()) {
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(end.into()),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(end.into()))),
            }
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.broken_off {
            return Poll::Ready(None);
        }
        let Poll::Ready(came) = Pin::new(&mut self.body).poll_frame(context) else {
            if self.poll_timer(context).is_pending() {
                return Poll::Pending;
            }
            self.broken_off = true;
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        };
        // A body that was there at once, as most are, is never timed.
        if self.timer.is_some() {
            let bytes = match &came {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            self.patience.came(bytes, Instant::now());
        }
        Poll::Ready(came)
    }

    fn is_end_stream(&self) -> bool {
        self.broken_off || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a body broke off for being too slow.
pub fn was_too_slow(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if inner.is::<TooSlow>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_pay_for_silence_up_to_a_bound() {
        let start = Instant::now();
        let mut patience = Patience::new();
        assert_eq!(patience.ends(start), Some(start + AT_FIRST));
        assert_eq!(patience.ends(start + SECOND), None, "told before");
        // A kilobyte after a second buys that second back.
        patience.came(1024, start + SECOND);
        assert_eq!(patience.ends(start + SECOND), Some(start + 3 * SECOND));
        // One byte a second is too slow.
        let mut now = start + SECOND;
        for _ in 0..2 {
            now += SECOND;
            patience.came(1, now);
            patience.ends(now);
        }
        assert!(patience.left < SECOND / 100, "{:?}", patience.left);
        patience.came(64 << 20, now);
        assert_eq!(patience.ends(now), Some(now + AT_MOST));
    }

    #[test]
    fn what_the_service_lets_a_client_wait_costs_it_nothing() {
        let start = Instant::now();
        let mut patience = Patience::new();
        patience.ends(start);
        patience.came(1, start);
        // An hour in which nobody asked for more.
        let later = start + 3600 * SECOND;
        assert!(patience.ends(later) >= Some(later + AT_FIRST));
    }

    #[tokio::test]
    async fn a_body_that_stops_breaks_off_once() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let mut body = Paced::of(Body::from_stream(never));
        body.patience.left = Duration::from_millis(5);
        let mut next = async || std::future::poll_fn(|c| Pin::new(&mut body).poll_frame(c)).await;
        let error = next().await.expect("a frame").expect_err("too slow");
        assert!(was_too_slow(&error), "{error}");
        assert!(next().await.is_none());
    }
}
