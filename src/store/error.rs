//! The errors of the store. No HTTP: the API decides what a client reads of them.

use sqlx::migrate::MigrateError;
use thiserror::Error;

use crate::artifacts::WantOfRoom;
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
    #[error("this key may have {most} jobs that wait or run, and has them")]
    KeyJobs { most: i64 },
    #[error("the data sets of this key may take {most} bytes, and would take {bytes}")]
    KeyBytes { most: i64, bytes: i64 },
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Another worker has the job now, or it has ended: the caller must stop and write nothing
    /// more.
    #[error("the lease on the job is lost")]
    LeaseLost,
    #[error("the database file was removed or replaced since it was opened")]
    Misplaced,
    #[error("there is no room left for the database: {0}")]
    Full(#[source] sqlx::Error),
    #[error("the database cannot be opened: {0}")]
    Unavailable(#[source] sqlx::Error),
    #[error("the database is damaged: {0}")]
    Damaged(#[source] sqlx::Error),
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[source] MigrateError),
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
                Some(FULL) => Self::Full(error),
                Some(IO) if extended_code_of(&error) == Some(NO_ROOM_TO_SHARE) => Self::Full(error),
                Some(CORRUPT | NO_DATABASE) => Self::Damaged(error),
                Some(CANNOT_OPEN) => Self::Unavailable(error),
                _ => Self::Database(error),
            },
        }
    }
}

/// `SQLITE_BUSY`, `SQLITE_IOERR`, `SQLITE_CORRUPT`, `SQLITE_FULL`, `SQLITE_CANTOPEN`, `SQLITE_NOTADB`.
pub(super) const BUSY: u32 = 5;
const IO: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANNOT_OPEN: u32 = 14;
const NO_DATABASE: u32 = 26;
/// `SQLITE_IOERR_SHMSIZE`: the file that readers and writers share could not grow.
const NO_ROOM_TO_SHARE: u32 = 4874;

/// The database's own code, whatever its extended form.
pub(super) fn code_of(error: &sqlx::Error) -> Option<u32> {
    Some(extended_code_of(error)? & 0xff)
}

fn extended_code_of(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

impl WantOfRoom for StoreError {
    fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            // What fails in the middle fails for reasons that are not the migration's.
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Migration(error),
        }
    }
}

impl StoreError {
    pub(super) fn no(what: &str, id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("{what} \"{id}\""))
    }
}
