//! Deleting ended jobs: the oldest first, with everything that belongs to them.

use super::no_job;
use crate::store::artifacts::unnamed;
use crate::store::db::Conn;
use crate::store::{Result, Store, StoreError};

/// Jobs of one transaction: others want to write in between.
const BATCH: i64 = 50;

impl Store {
    /// Deletes ended jobs beyond the last `keep`, with their events, metrics, checkpoints and pictures.
    /// Models that they published stay. Returns orphans.
    pub async fn prune_jobs(&self, keep: u32) -> Result<Vec<String>> {
        let mut orphans = Vec::new();
        loop {
            let old: Vec<String> = sqlx::query_scalar(
                "SELECT id FROM jobs WHERE finished_at IS NOT NULL AND seq <= (
                     SELECT seq FROM jobs WHERE finished_at IS NOT NULL
                     ORDER BY seq DESC LIMIT 1 OFFSET $1)
                 ORDER BY seq LIMIT $2",
            )
            .bind(i64::from(keep))
            .bind(BATCH)
            .fetch_all(self.reader())
            .await?;
            if old.is_empty() {
                return Ok(orphans);
            }
            let mut tx = self.write().await?;
            let mut files = Vec::new();
            for job in &old {
                files.extend(delete(&mut tx, job).await?);
            }
            orphans.extend(unnamed(&mut tx, files).await?);
            tx.commit().await?;
        }
    }

    /// Deletes one job, which must have ended, as above. Returns orphans.
    pub async fn delete_job(&self, id: &str) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        require_ended(&mut tx, id).await?;
        let files = delete(&mut tx, id).await?;
        let orphans = unnamed(&mut tx, files).await?;
        tx.commit().await?;
        Ok(orphans)
    }

    /// Deletes a checkpoint of a job that has ended: any other may go on from it. Returns orphans.
    pub async fn delete_checkpoint(&self, job: &str, number: i64) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        require_ended(&mut tx, job).await?;
        let gone: Vec<String> = sqlx::query_scalar(
            "DELETE FROM checkpoints WHERE job_id = $1 AND number = $2 RETURNING sha256",
        )
        .bind(job)
        .bind(number)
        .fetch_all(&mut *tx)
        .await?;
        if gone.is_empty() {
            return Err(StoreError::no("checkpoint", format_args!("{job}/{number}")));
        }
        let orphans = unnamed(&mut tx, gone).await?;
        tx.commit().await?;
        Ok(orphans)
    }
}

async fn require_ended(conn: &mut Conn, id: &str) -> Result<()> {
    let ended: Option<bool> =
        sqlx::query_scalar("SELECT finished_at IS NOT NULL FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_optional(conn)
            .await?;
    match ended {
        Some(true) => Ok(()),
        Some(false) => Err(StoreError::Conflict(
            "the job has not ended; cancel it first".to_owned(),
        )),
        None => Err(no_job(id)),
    }
}

/// The digests of its files.
async fn delete(conn: &mut Conn, job: &str) -> Result<Vec<String>> {
    let files = sqlx::query_scalar(
        "SELECT sha256 FROM checkpoints WHERE job_id = $1
         UNION SELECT sha256 FROM samples WHERE job_id = $1",
    )
    .bind(job)
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM jobs WHERE id = $1")
        .bind(job)
        .execute(conn)
        .await?;
    Ok(files)
}
