//! What a job's worker learns each time it writes.

use super::Status;

/// What the client wants of the worker that holds the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    GoOn,
    /// End now, and publish what is trained.
    Stop,
    /// Write a checkpoint and give the job back.
    Leave,
    /// Throw everything away.
    Cancel,
}

impl Wish {
    pub const fn of(status: Status, stop: bool) -> Self {
        match status {
            Status::Canceling => Self::Cancel,
            Status::Pausing => Self::Leave,
            _ if stop => Self::Stop,
            _ => Self::GoOn,
        }
    }
}
