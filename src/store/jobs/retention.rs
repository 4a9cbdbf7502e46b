//! Deleting ended jobs: the oldest first, with everything that belongs to them.

use crate::store::artifacts::unnamed;
use crate::store::{Result, Store};

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
                let named: Vec<String> = sqlx::query_scalar(
                    "SELECT sha256 FROM checkpoints WHERE job_id = $1
                     UNION SELECT sha256 FROM samples WHERE job_id = $1",
                )
                .bind(job)
                .fetch_all(&mut *tx)
                .await?;
                files.extend(named);
                sqlx::query("DELETE FROM jobs WHERE id = $1")
                    .bind(job)
                    .execute(&mut *tx)
                    .await?;
            }
            orphans.extend(unnamed(&mut tx, files).await?);
            tx.commit().await?;
        }
    }
}
