//! The table `samples`: pictures of what a job's model makes, one an epoch at most. Their bytes are
//! artifacts, named by sha256.

use serde_json::json;

use super::artifacts::unnamed;
use super::columns::insert;
use super::events::{self, EventKind, NewEvent};
use super::lease::hold;
use super::{Result, Store, StoreError};
use crate::jobs::Lease;

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Sample {
    pub epoch: i64,
    pub bytes: i64,
    pub sha256: String,
    pub created_at: i64,
}

impl Store {
    /// Adds the picture of an epoch, or replaces that of an attempt before, and tells the watchers.
    /// Returns orphans.
    pub async fn record_sample(&self, lease: &Lease, new: &Sample) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        hold(&mut tx, lease).await?;
        let replaced: Vec<String> = sqlx::query_scalar(
            "DELETE FROM samples WHERE job_id = $1 AND epoch = $2 AND sha256 <> $3 RETURNING sha256",
        )
        .bind(&lease.job_id)
        .bind(new.epoch)
        .bind(&new.sha256)
        .fetch_all(&mut *tx)
        .await?;
        insert!("samples" {
            job_id: &lease.job_id,
            epoch: new.epoch,
            bytes: new.bytes,
            sha256: &new.sha256,
            created_at: new.created_at,
        } "ON CONFLICT (job_id, epoch) DO NOTHING")
        .execute(&mut *tx)
        .await?;
        let data = json!({ "epoch": new.epoch, "bytes": new.bytes });
        let told = NewEvent::new(EventKind::Sample, data, new.created_at);
        events::append(&mut tx, &lease.job_id, &[told]).await?;
        let orphans = unnamed(&mut tx, replaced).await?;
        tx.commit().await?;
        Ok(orphans)
    }

    /// By epoch, ascending.
    pub async fn samples(&self, job_id: &str) -> Result<Vec<Sample>> {
        let query = sqlx::query_as("SELECT * FROM samples WHERE job_id = $1 ORDER BY epoch");
        Ok(query.bind(job_id).fetch_all(self.reader()).await?)
    }

    pub async fn sample(&self, job_id: &str, epoch: i64) -> Result<Sample> {
        sqlx::query_as("SELECT * FROM samples WHERE job_id = $1 AND epoch = $2")
            .bind(job_id)
            .bind(epoch)
            .fetch_optional(self.reader())
            .await?
            .ok_or_else(|| StoreError::no("sample", format_args!("{job_id}/{epoch}")))
    }
}
