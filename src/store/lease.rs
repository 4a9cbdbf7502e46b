//! The lease check: whether the worker that writes still holds the job, and where the job stands.

use sqlx::Row;

use super::columns::status;
use super::db::{Conn, DbRow};
use super::{Result, StoreError};
use crate::jobs::{Lease, Status, Task};

/// What a change of a job must know of its row, read under the write lock.
#[derive(Clone, Debug)]
pub(super) struct JobSnapshot {
    pub id: String,
    pub status: Status,
    pub attempt: i64,
    pub deaths: i64,
    pub owner: Option<String>,
    pub token: i64,
    pub stop: bool,
    pub evaluates: bool,
    /// The number of its last checkpoint; 0 before the first.
    pub last_checkpoint: i64,
}

impl JobSnapshot {
    pub fn read(row: &DbRow) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            status: status(row)?,
            attempt: row.try_get("attempt")?,
            deaths: row.try_get("deaths")?,
            owner: row.try_get("lease_owner")?,
            token: row.try_get("lease_token")?,
            stop: row.try_get("stop_requested")?,
            evaluates: row.try_get::<&str, _>("task")? == Task::Evaluate.as_str(),
            last_checkpoint: row.try_get("last_checkpoint")?,
        })
    }
}

/// Refuses a worker that no longer holds the job. Called under the write lock, so the answer stays true
/// until the transaction ends.
pub(super) async fn hold(conn: &mut Conn, lease: &Lease) -> Result<JobSnapshot> {
    let row =
        sqlx::query("SELECT * FROM jobs WHERE id = $1 AND lease_owner = $2 AND lease_token = $3")
            .bind(&lease.job_id)
            .bind(&lease.owner)
            .bind(lease.token)
            .fetch_optional(conn)
            .await?;
    JobSnapshot::read(&row.ok_or(StoreError::LeaseLost)?)
}

/// A guarded update changes exactly one row. If it does not, the job is not this caller's to change.
pub(super) fn exactly_one(rows: u64) -> Result<()> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}
