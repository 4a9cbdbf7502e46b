//! The table `checkpoints`: from where a job can go on. Their bytes are artifacts, named by sha256.

use serde_json::{Map, Value, json};
use sqlx::types::Json;

use super::artifacts::unnamed;
use super::columns::insert;
use super::db::Conn;
use super::events::{self, EventKind, NewEvent};
use super::lease::hold;
use super::{Result, Store, StoreError};
use crate::jobs::Lease;

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Checkpoint {
    pub job_id: String,
    pub number: i64,
    #[sqlx(flatten)]
    pub report: CheckpointReport,
    pub created_at: i64,
}

/// What a worker says of a checkpoint, whose file is complete.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct CheckpointReport {
    pub epoch: i64,
    pub step: i64,
    pub bytes: i64,
    pub sha256: String,
    #[sqlx(json)]
    pub metrics: Map<String, Value>,
    /// Better than all before: takes the mark from whichever had it.
    pub best: bool,
    /// Where the training loop stood: what it needs to go on, beside the tensors.
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
        new: &CheckpointReport,
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
        insert!("checkpoints" {
            job_id: &lease.job_id,
            number: number,
            epoch: new.epoch,
            step: new.step,
            bytes: new.bytes,
            sha256: &new.sha256,
            metrics: Json(&new.metrics),
            best: new.best,
            position: &new.position,
            created_at: now,
        })
        .execute(&mut *tx)
        .await?;
        let dropped = prune(&mut tx, &lease.job_id, keep).await?;
        let orphans = unnamed(&mut tx, dropped).await?;
        events::append(&mut tx, &lease.job_id, &[event(number, new, now)]).await?;
        tx.commit().await?;
        Ok(Recorded { number, orphans })
    }

    /// Newest first.
    pub async fn checkpoints(&self, job_id: &str) -> Result<Vec<Checkpoint>> {
        let query = "SELECT * FROM checkpoints WHERE job_id = $1 ORDER BY number DESC";
        let query = sqlx::query_as(query).bind(job_id);
        Ok(query.fetch_all(self.reader()).await?)
    }

    pub async fn checkpoint(&self, job_id: &str, number: i64) -> Result<Checkpoint> {
        sqlx::query_as("SELECT * FROM checkpoints WHERE job_id = $1 AND number = $2")
            .bind(job_id)
            .bind(number)
            .fetch_optional(self.reader())
            .await?
            .ok_or_else(|| no_checkpoint(job_id, number))
    }

    pub async fn latest_checkpoint(&self, job_id: &str) -> Result<Option<Checkpoint>> {
        let query = "SELECT * FROM checkpoints WHERE job_id = $1 ORDER BY number DESC LIMIT 1";
        let query = sqlx::query_as(query).bind(job_id);
        Ok(query.fetch_optional(self.reader()).await?)
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

fn event(number: i64, new: &CheckpointReport, at: i64) -> NewEvent {
    let data = json!({
        "number": number,
        "epoch": new.epoch,
        "step": new.step,
        "bytes": new.bytes,
        "sha256": new.sha256,
        "metrics": new.metrics,
        "best": new.best,
    });
    NewEvent::new(EventKind::Checkpoint, data, at)
}
