//! The lease check: whether the worker that writes still holds the job, and where the job stands.

use super::db::Conn;
use super::{Result, StoreError};
use crate::jobs::{Lease, Status, Task};

/// What a change of a job must know of its row, read under the write lock.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct JobSnapshot {
    pub id: String,
    pub status: Status,
    pub attempt: i64,
    pub deaths: i64,
    #[sqlx(rename = "lease_owner")]
    pub owner: Option<String>,
    #[sqlx(rename = "lease_token")]
    pub token: i64,
    #[sqlx(rename = "stop_requested")]
    pub stop: bool,
    pub task: Task,
    /// The number of its last checkpoint; 0 before the first.
    pub last_checkpoint: i64,
}

/// Refuses a worker that no longer holds the job. Called under the write lock, so the answer stays true
/// until the transaction ends.
pub(super) async fn hold(conn: &mut Conn, lease: &Lease) -> Result<JobSnapshot> {
    let row = sqlx::query_as(
        "SELECT * FROM jobs WHERE id = $1 AND lease_owner = $2 AND lease_token = $3",
    )
    .bind(&lease.job_id)
    .bind(&lease.owner)
    .bind(lease.token)
    .fetch_optional(conn)
    .await?;
    row.ok_or(StoreError::LeaseLost)
}

/// A guarded update changes exactly one row. If it does not, the job is not this caller's to change.
pub(super) fn exactly_one(rows: u64) -> Result<()> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}
