//! A worker that finds the disk full waits for room, and then does what it was about to do.

use std::thread::sleep;
use std::time::Duration;

use crate::artifacts::WantOfRoom;
use crate::train::{Directive, StopSignal};

/// Between two tries; the training thread has nothing else to do.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Does `work` again and again for as long as there is no room for it. `None` if the worker is to leave
/// first: the job is gone on with from what was written before, to the same weights.
///
/// `tell` hears when the wait begins (`true`) and when it is over.
pub(super) fn once_there_is_room<T, E: WantOfRoom>(
    signal: &StopSignal,
    tell: impl Fn(bool),
    mut work: impl FnMut() -> Result<T, E>,
) -> Result<Option<T>, E> {
    let mut waits = false;
    loop {
        match work() {
            Err(error) if error.is_full() => {
                if signal.directive() >= Directive::Release {
                    return Ok(None);
                }
                if !waits {
                    tell(true);
                }
                waits = true;
                sleep(AGAIN);
            }
            done => {
                if waits {
                    tell(false);
                }
                return done.map(Some);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn work_is_done_once_there_is_room_and_other_errors_are_errors() {
        let signal = StopSignal::default();
        let told = RefCell::new(Vec::new());
        let tell = |waits| told.borrow_mut().push(waits);
        let mut tries = 0;
        let done = once_there_is_room(&signal, tell, || {
            tries += 1;
            match tries {
                1 => Err(Error::from(ErrorKind::StorageFull)),
                n => Ok(n),
            }
        });
        assert_eq!(done.expect("it is done"), Some(2));
        assert_eq!(*told.borrow(), [true, false]);
        let denied = || Err::<(), _>(Error::from(ErrorKind::PermissionDenied));
        assert!(once_there_is_room(&signal, tell, denied).is_err());
    }

    #[test]
    fn whoever_is_to_leave_does_not_wait() {
        let signal = StopSignal::default();
        signal.raise(Directive::Release);
        let full = || Err::<(), _>(Error::from(ErrorKind::StorageFull));
        let done = once_there_is_room(&signal, |_| {}, full);
        assert!(done.expect("no error").is_none());
    }
}
