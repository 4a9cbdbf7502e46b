//! What a run is told to do from outside, and the signal that carries it to the training thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the world outside wants of a run. Later ones outrank earlier ones: a run that is given back is
/// stopped by whoever takes it up, a canceled one is not given back, a lost one does nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Directive {
    Continue,
    /// End now, as if this were the last step, and publish what is trained.
    Stop,
    /// Write a checkpoint and leave, to be taken up later.
    Release,
    /// Stop and throw everything away.
    Cancel,
    /// The lease is gone: another worker may have the run, so nothing may be written.
    Lost,
}

/// The highest directive given so far. Clones share it, and the training thread reads it before every step.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<AtomicU8>);

impl StopSignal {
    pub fn raise(&self, directive: Directive) {
        self.0.fetch_max(directive as u8, Ordering::Relaxed);
    }

    pub fn directive(&self) -> Directive {
        match self.0.load(Ordering::Relaxed) {
            0 => Directive::Continue,
            1 => Directive::Stop,
            2 => Directive::Release,
            3 => Directive::Cancel,
            _ => Directive::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_raised_is_read_and_the_highest_stays() {
        use Directive::{Cancel, Continue, Lost, Release, Stop};
        let signal = StopSignal::default();
        assert_eq!(signal.directive(), Continue);
        for directive in [Stop, Release, Cancel, Lost] {
            signal.clone().raise(directive);
            assert_eq!(signal.directive(), directive);
        }
        signal.raise(Stop);
        assert_eq!(signal.directive(), Lost);
    }
}
