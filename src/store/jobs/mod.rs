//! The tables `jobs` and `job_transitions`: how a job is read, and (in the files below) how it is added and every
//! guarded change of it. A new column is named here, in `admission`, in `jobs/job.rs` and in a migration.

mod admission;
mod leases;
mod moves;
mod reports;
mod retention;

use std::collections::{BTreeMap, HashMap};

use sqlx::Row;
use sqlx::types::Json;

use super::columns::json;
use super::db::{Conn, DbRow, QueryBuilder};
use super::page::{Page, rows_for};
use super::{Result, Store, StoreError};
use crate::jobs::{Job, JobKey, JobPlan, Status, Transition};

pub use admission::{Admitted, Idempotency};
pub use leases::{Expired, LeaseStatus};
#[cfg(test)]
pub(super) use leases::{in_line, left_behind};
pub use reports::JobReport;

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
        load(&mut tx, id).await
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
            Some(id) => seq(&mut tx, id).await?,
        };
        let rows = list_query(filter, limit, before)
            .build()
            .fetch_all(&mut *tx)
            .await?;
        let jobs = read(&mut tx, &rows).await?;
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
        let query = sqlx::query_as("SELECT status, COUNT(*) FROM jobs GROUP BY status");
        let found: Vec<(Status, i64)> = query.fetch_all(self.reader()).await?;
        counts.extend(found);
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
        query.push(" AND status = ").push_bind(status);
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

async fn load(conn: &mut Conn, id: &str) -> Result<Job> {
    let query = sqlx::query("SELECT * FROM jobs WHERE id = $1").bind(id);
    let rows = query.fetch_all(&mut *conn).await?;
    let found = read(conn, &rows).await?.pop();
    found.ok_or_else(|| no_job(id))
}

async fn seq(conn: &mut Conn, id: &str) -> Result<i64> {
    let seq = sqlx::query_scalar("SELECT seq FROM jobs WHERE id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    seq.ok_or_else(|| no_job(id))
}

async fn read(conn: &mut Conn, rows: &[DbRow]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = rows.iter().map(read_one).collect::<Result<_>>()?;
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let mut transitions = transitions_of(conn, &ids).await?;
    for job in &mut jobs {
        job.transitions = transitions.remove(&job.id).unwrap_or_default();
    }
    Ok(jobs)
}

/// All but its transitions.
fn read_one(row: &DbRow) -> Result<Job> {
    Ok(Job {
        id: row.try_get("id")?,
        seq: row.try_get("seq")?,
        plan: read_plan(row)?,
        status: row.try_get("status")?,
        phase: row.try_get("phase")?,
        attempt: row.try_get("attempt")?,
        stop: row.try_get("stop_requested")?,
        progress: json(row, "progress")?,
        eta_seconds: row.try_get("eta_seconds")?,
        metrics: json(row, "metrics")?,
        device: row.try_get("device")?,
        error: row
            .try_get::<Option<_>, _>("error")?
            .map(|Json(error)| error),
        result: row.try_get("result")?,
        transitions: Vec::new(),
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}

fn read_plan(row: &DbRow) -> Result<JobPlan> {
    Ok(JobPlan {
        name: row.try_get("name")?,
        task: row.try_get("task")?,
        kind: row.try_get("kind")?,
        retry_of: row.try_get("retry_of")?,
        traceparent: row.try_get("traceparent")?,
        priority: row.try_get("priority")?,
        device_slot: row.try_get("place")?,
        dataset_id: row.try_get("dataset_id")?,
        dataset_name: row.try_get("dataset_name")?,
        model: row.try_get("model")?,
        training: row.try_get("training")?,
        init_from: row.try_get("init_from")?,
        evaluation: row.try_get("evaluation")?,
        metadata: row.try_get("metadata")?,
        key: row
            .try_get::<Option<String>, _>("key_id")?
            .map(|id| JobKey {
                id,
                most_jobs: None,
            }),
        warnings: json(row, "warnings")?,
    })
}

fn no_job(id: &str) -> StoreError {
    StoreError::no("job", id)
}

/// A state that a job has entered.
async fn append_transition(conn: &mut Conn, job_id: &str, status: Status, at: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO job_transitions (job_id, position, status, at)
         SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3 FROM job_transitions WHERE job_id = $1",
    )
    .bind(job_id)
    .bind(status)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The transitions of several jobs, by job, oldest first.
async fn transitions_of(
    conn: &mut Conn,
    job_ids: &[&str],
) -> Result<HashMap<String, Vec<Transition>>> {
    let mut by_job: HashMap<String, Vec<Transition>> = HashMap::new();
    if job_ids.is_empty() {
        return Ok(by_job);
    }
    let mut query =
        QueryBuilder::new("SELECT job_id, status, at FROM job_transitions WHERE job_id IN (");
    let mut ids = query.separated(", ");
    for id in job_ids {
        ids.push_bind(*id);
    }
    query.push(") ORDER BY job_id, position");
    let rows = query.build_query_as::<(String, Status, i64)>();
    for (job_id, status, at) in rows.fetch_all(conn).await? {
        let transitions = by_job.entry(job_id).or_default();
        transitions.push(Transition { status, at });
    }
    Ok(by_job)
}
