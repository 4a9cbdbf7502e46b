//! The table `checkpoints`: from where a job can go on. Their bytes are artifacts, named by sha256.

use serde_json::{Map, Value, json};
use sqlx::Row;

use super::artifacts::unnamed;
use super::columns::{json as read_json, to_json};
use super::db::{Conn, DbRow};
use super::events::{self, EventKind, NewEvent};
use super::lease::hold;
use super::{Result, Store, StoreError};
use crate::jobs::Lease;

#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub job_id: String,
    pub number: i64,
    pub epoch: i64,
    pub step: i64,
    pub bytes: i64,
    pub sha256: String,
    pub metrics: Map<String, Value>,
    pub best: bool,
    /// Where the training loop stood: what it needs to go on, beside the tensors.
    pub position: Value,
    pub created_at: i64,
}

/// A checkpoint whose file is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCheckpoint {
    pub epoch: i64,
    pub step: i64,
    pub bytes: i64,
    pub sha256: String,
    pub metrics: Map<String, Value>,
    /// Better than all before: takes the mark from whichever had it.
    pub best: bool,
    pub position: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub number: i64,
    /// The sha256s of files that no row names any more.
    pub orphans: Vec<String>,
}

impl Store {
    /// Adds a checkpoint, tells the watchers, forgives the deaths so far (there was progress), and
    /// drops all but the last `keep` and the best.
    pub async fn record_checkpoint(
        &self,
        lease: &Lease,
        new: &NewCheckpoint,
        keep: u32,
        now: i64,
    ) -> Result<Recorded> {
        let mut tx = self.write().await?;
        let number = next_number(&mut tx, lease).await?;
        if new.best {
            sqlx::query("UPDATE checkpoints SET best = 0 WHERE job_id = $1")
                .bind(&lease.job_id)
                .execute(&mut *tx)
                .await?;
        }
        insert(&mut tx, &lease.job_id, number, new, now).await?;
        let dropped = prune(&mut tx, &lease.job_id, keep).await?;
        let orphans = unnamed(&mut tx, dropped).await?;
        events::append(&mut tx, &lease.job_id, &[event(number, new, now)]).await?;
        tx.commit().await?;
        Ok(Recorded { number, orphans })
    }

    /// Newest first.
    pub async fn checkpoints(&self, job_id: &str) -> Result<Vec<Checkpoint>> {
        let rows = sqlx::query("SELECT * FROM checkpoints WHERE job_id = $1 ORDER BY number DESC")
            .bind(job_id)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(read).collect()
    }

    pub async fn checkpoint(&self, job_id: &str, number: i64) -> Result<Checkpoint> {
        let row = sqlx::query("SELECT * FROM checkpoints WHERE job_id = $1 AND number = $2")
            .bind(job_id)
            .bind(number)
            .fetch_optional(self.reader())
            .await?;
        read(&row.ok_or_else(|| no_checkpoint(job_id, number))?)
    }

    pub async fn latest_checkpoint(&self, job_id: &str) -> Result<Option<Checkpoint>> {
        let row =
            sqlx::query("SELECT * FROM checkpoints WHERE job_id = $1 ORDER BY number DESC LIMIT 1")
                .bind(job_id)
                .fetch_optional(self.reader())
                .await?;
        row.as_ref().map(read).transpose()
    }

    /// Removes a checkpoint that proved unreadable, so that the one before it is the latest.
    /// Returns orphans.
    pub async fn drop_checkpoint(&self, lease: &Lease, number: i64) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        hold(&mut tx, lease).await?;
        let dropped: Vec<String> = sqlx::query_scalar(
            "DELETE FROM checkpoints WHERE job_id = $1 AND number = $2 RETURNING sha256",
        )
        .bind(&lease.job_id)
        .bind(number)
        .fetch_all(&mut *tx)
        .await?;
        if dropped.is_empty() {
            return Err(no_checkpoint(&lease.job_id, number));
        }
        let orphans = unnamed(&mut tx, dropped).await?;
        tx.commit().await?;
        Ok(orphans)
    }
}

fn no_checkpoint(job_id: &str, number: i64) -> StoreError {
    StoreError::no("checkpoint", format_args!("{job_id}/{number}"))
}

async fn next_number(conn: &mut Conn, lease: &Lease) -> Result<i64> {
    let number = sqlx::query_scalar(
        "UPDATE jobs SET last_checkpoint = last_checkpoint + 1, deaths = 0
         WHERE id = $1 AND lease_owner = $2 AND lease_token = $3 RETURNING last_checkpoint",
    )
    .bind(&lease.job_id)
    .bind(&lease.owner)
    .bind(lease.token)
    .fetch_optional(conn)
    .await?;
    number.ok_or(StoreError::LeaseLost)
}

async fn insert(
    conn: &mut Conn,
    job_id: &str,
    number: i64,
    new: &NewCheckpoint,
    now: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO checkpoints (job_id, number, epoch, step, bytes, sha256, metrics, best,
                                  position, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(job_id)
    .bind(number)
    .bind(new.epoch)
    .bind(new.step)
    .bind(new.bytes)
    .bind(&new.sha256)
    .bind(to_json(&new.metrics)?)
    .bind(i64::from(new.best))
    .bind(to_json(&new.position)?)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes all but the last `keep` and the best. The newest always stays. Returns the sha256s of
/// the deleted.
async fn prune(conn: &mut Conn, job_id: &str, keep: u32) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "DELETE FROM checkpoints
         WHERE job_id = $1 AND best = 0 AND number NOT IN (
             SELECT number FROM checkpoints WHERE job_id = $1 ORDER BY number DESC LIMIT $2)
         RETURNING sha256",
    )
    .bind(job_id)
    .bind(i64::from(keep.max(1)))
    .fetch_all(conn)
    .await?)
}

fn event(number: i64, new: &NewCheckpoint, at: i64) -> NewEvent {
    let data = json!({
        "number": number,
        "epoch": new.epoch,
        "step": new.step,
        "bytes": new.bytes,
        "sha256": new.sha256,
        "metrics": new.metrics,
        "best": new.best,
    });
    NewEvent {
        kind: EventKind::Checkpoint,
        data,
        at,
    }
}

fn read(row: &DbRow) -> Result<Checkpoint> {
    Ok(Checkpoint {
        job_id: row.try_get("job_id")?,
        number: row.try_get("number")?,
        epoch: row.try_get("epoch")?,
        step: row.try_get("step")?,
        bytes: row.try_get("bytes")?,
        sha256: row.try_get("sha256")?,
        metrics: read_json(row, "metrics")?,
        best: row.try_get("best")?,
        position: read_json(row, "position")?,
        created_at: row.try_get("created_at")?,
    })
}
