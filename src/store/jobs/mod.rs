//! The table `jobs`: admission, reading, and (in the files below) every guarded change of a row.

mod admission;
mod leases;
mod moves;
mod reports;
mod retention;
mod rows;

use std::collections::BTreeMap;

use sqlx::Row;

use super::page::{Page, rows_for};
use super::{Result, Store, columns};
use crate::jobs::{Job, Status};
use crate::store::db::QueryBuilder;

pub use admission::Admitted;
pub use leases::{Expired, LeaseStatus};
#[cfg(test)]
pub(super) use leases::{in_line, left_behind};
pub use reports::JobReport;
pub use rows::Idempotency;

/// Which jobs to list; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub status: Option<Status>,
    pub name: Option<String>,
    pub kind: Option<String>,
}

impl Store {
    pub async fn job(&self, id: &str) -> Result<Job> {
        let mut tx = self.read().await?;
        rows::load(&mut tx, id).await
    }

    /// Newest first; `after` is the id of the last one of the page before.
    pub async fn list_jobs(
        &self,
        filter: &JobFilter,
        limit: u32,
        after: Option<&str>,
    ) -> Result<Page<Job>> {
        let mut tx = self.read().await?;
        let before = match after {
            None => i64::MAX,
            Some(id) => rows::seq(&mut tx, id).await?,
        };
        let rows = list_query(filter, limit, before)
            .build()
            .fetch_all(&mut *tx)
            .await?;
        let jobs = rows::read_all(&mut tx, &rows).await?;
        Ok(Page::of(jobs, limit))
    }

    /// 1 is next. `None` unless the job is queued.
    pub async fn queue_position(&self, id: &str) -> Result<Option<i64>> {
        Ok(sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM jobs q WHERE q.status = 'queued'
                       AND (q.priority > j.priority OR (q.priority = j.priority AND q.seq <= j.seq)))
             FROM jobs j WHERE j.id = $1 AND j.status = 'queued'",
        )
        .bind(id)
        .fetch_optional(self.reader())
        .await?)
    }

    /// How many jobs are in each status, those with none included.
    pub async fn job_counts(&self) -> Result<BTreeMap<Status, i64>> {
        let mut counts: BTreeMap<Status, i64> =
            Status::ALL.into_iter().map(|status| (status, 0)).collect();
        let rows = sqlx::query("SELECT status, COUNT(*) AS jobs FROM jobs GROUP BY status")
            .fetch_all(self.reader())
            .await?;
        for row in rows {
            counts.insert(columns::status(&row)?, row.try_get("jobs")?);
        }
        Ok(counts)
    }

    /// How long, in milliseconds, the last jobs that succeeded took from start to end: what a wait
    /// can be reckoned by.
    pub async fn recent_run_times(&self, limit: u32) -> Result<Vec<i64>> {
        Ok(sqlx::query_scalar(
            "SELECT finished_at - started_at FROM jobs WHERE status = 'succeeded'
             ORDER BY seq DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?)
    }
}

/// Each filter has an index that ends in `seq`, so a page costs no sort.
pub(super) fn list_query(filter: &JobFilter, limit: u32, before: i64) -> QueryBuilder {
    let mut query = QueryBuilder::new("SELECT * FROM jobs WHERE seq < ");
    query.push_bind(before);
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.as_str());
    }
    if let Some(name) = &filter.name {
        query.push(" AND name = ").push_bind(name.clone());
    }
    if let Some(kind) = &filter.kind {
        query.push(" AND kind = ").push_bind(kind.clone());
    }
    query
        .push(" ORDER BY seq DESC LIMIT ")
        .push_bind(rows_for(limit));
    query
}
