//! The errors of the store. No HTTP: the API decides what a client reads of them.

use thiserror::Error;

use crate::jobs::TransitionError;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

#[derive(Debug, Error)]
pub enum StoreError {
    /// Holds what was asked for, such as `job "job_1"`.
    #[error("there is no {0}")]
    NotFound(String),
    /// Taken, or still in use.
    #[error("{0}")]
    Conflict(String),
    #[error("this idempotency key was used before, with another request")]
    IdempotencyMismatch,
    #[error("the queue is full: {queued} jobs wait")]
    QueueFull { queued: i64 },
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Another worker has the job now, or it has ended: the caller must stop and write nothing
    /// more.
    #[error("the lease on the job is lost")]
    LeaseLost,
    #[error("the database file was removed or replaced since it was opened")]
    Misplaced,
    #[error("the database cannot be opened: {0}")]
    Unavailable(#[source] sqlx::Error),
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this program would not have written.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { index, source } => {
                Self::Corrupt(format!("{}: {source}", index.trim_matches('"')))
            }
            error => match code_of(&error) {
                Some(CANNOT_OPEN) => Self::Unavailable(error),
                _ => Self::Database(error),
            },
        }
    }
}

/// `SQLITE_BUSY`, `SQLITE_CANTOPEN`.
pub(super) const BUSY: u32 = 5;
const CANNOT_OPEN: u32 = 14;

/// The database's own code, whatever its extended form.
pub(super) fn code_of(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}

impl StoreError {
    pub(super) fn no(what: &str, id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("{what} \"{id}\""))
    }
}
