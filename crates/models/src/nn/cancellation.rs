//! Cancellation of long computations: a token says whether the answer is still wanted, and steps ask it.
//!
//! A Gibbs chain of a thousand steps takes seconds, one of a hundred thousand minutes. The client may have left by
//! then, and what is computed for nobody keeps others waiting.

use std::cell::RefCell;
use std::panic::resume_unwind;

/// Whether the computation is of no use any more.
type IsCancelled = Box<dyn Fn() -> bool>;

thread_local! {
    static CURRENT: RefCell<Option<IsCancelled>> = const { RefCell::new(None) };
}

/// The payload of the panic, which prints nothing, that ends a cancelled computation.
pub struct Cancelled;

pub struct CancellationToken(IsCancelled);

impl CancellationToken {
    pub fn new(is_cancelled: impl Fn() -> bool + 'static) -> Self {
        Self(Box::new(is_cancelled))
    }

    /// Does `work`, whose [`check`]s on this thread ask the token. Whoever calls this catches [`Cancelled`].
    pub fn scope<T>(self, work: impl FnOnce() -> T) -> T {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                CURRENT.set(None);
            }
        }
        CURRENT.set(Some(self.0));
        let _reset = Reset;
        work()
    }
}

/// Ends the computation if the token in scope is cancelled; without one there is nothing to ask.
///
/// # Panics
/// With [`Cancelled`].
pub fn check() {
    let cancelled = CURRENT.with_borrow(|token| token.as_ref().is_some_and(|is| is()));
    if cancelled {
        resume_unwind(Box::new(Cancelled));
    }
}
