//! The columns of the table `jobs`, written and read: a new one is named here, in `jobs/job.rs` and in a
//! migration.

use sqlx::Row;

use crate::jobs::{Job, JobPlan, Task, Transition};
use crate::store::columns::{json, json_opt, status, to_json, to_json_opt};
use crate::store::db::{Conn, DbRow};
use crate::store::{Result, StoreError, transitions};

/// A client's key for a request it may send twice, and what tells that request from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    pub digest: String,
}

/// A new row, queued. The columns that are not named have defaults.
pub(super) async fn insert(
    conn: &mut Conn,
    id: &str,
    plan: &JobPlan,
    idempotency: Option<&Idempotency>,
    now: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO jobs (id, name, task, kind, status, retry_of, dataset_id, dataset_name, model,
                           training, init_from, evaluation, metadata, progress, created_at, idempotency_key,
                           request_digest, priority, place, traceparent)
         VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                 $17, $18, $19)",
    )
    .bind(id)
    .bind(&plan.name)
    .bind(plan.task.as_str())
    .bind(&plan.kind)
    .bind(&plan.retry_of)
    .bind(&plan.dataset_id)
    .bind(&plan.dataset_name)
    .bind(to_json(&plan.model)?)
    .bind(to_json(&plan.training)?)
    .bind(to_json_opt(plan.init_from.as_ref())?)
    .bind(to_json_opt(plan.evaluation.as_ref())?)
    .bind(to_json(&plan.metadata)?)
    .bind(to_json(&plan.initial_progress())?)
    .bind(now)
    .bind(idempotency.map(|i| &i.key))
    .bind(idempotency.map(|i| &i.digest))
    .bind(plan.priority)
    .bind(&plan.device_slot)
    .bind(&plan.traceparent)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn load(conn: &mut Conn, id: &str) -> Result<Job> {
    let row = sqlx::query("SELECT * FROM jobs WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
    let row = row.ok_or_else(|| no_job(id))?;
    let mut transitions = transitions::of(conn, &[id]).await?;
    read(&row, transitions.remove(id).unwrap_or_default())
}

pub(super) async fn seq(conn: &mut Conn, id: &str) -> Result<i64> {
    let seq = sqlx::query_scalar("SELECT seq FROM jobs WHERE id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    seq.ok_or_else(|| no_job(id))
}

pub(super) async fn read_all(conn: &mut Conn, rows: &[DbRow]) -> Result<Vec<Job>> {
    let ids: Vec<&str> = rows
        .iter()
        .map(|row| row.try_get("id"))
        .collect::<Result<_, _>>()?;
    let mut transitions = transitions::of(conn, &ids).await?;
    rows.iter()
        .zip(ids)
        .map(|(row, id)| read(row, transitions.remove(id).unwrap_or_default()))
        .collect()
}

fn read(row: &DbRow, transitions: Vec<Transition>) -> Result<Job> {
    Ok(Job {
        id: row.try_get("id")?,
        seq: row.try_get("seq")?,
        plan: read_plan(row)?,
        status: status(row)?,
        phase: row.try_get("phase")?,
        attempt: row.try_get("attempt")?,
        stop: row.try_get("stop_requested")?,
        progress: json(row, "progress")?,
        eta_seconds: row.try_get("eta_seconds")?,
        metrics: json(row, "metrics")?,
        device: row.try_get("device")?,
        error: json_opt(row, "error")?,
        result: json_opt(row, "result")?,
        transitions,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}

fn read_plan(row: &DbRow) -> Result<JobPlan> {
    Ok(JobPlan {
        name: row.try_get("name")?,
        task: task(row.try_get("task")?)?,
        kind: row.try_get("kind")?,
        retry_of: row.try_get("retry_of")?,
        traceparent: row.try_get("traceparent")?,
        priority: row.try_get("priority")?,
        device_slot: row.try_get("place")?,
        dataset_id: row.try_get("dataset_id")?,
        dataset_name: row.try_get("dataset_name")?,
        model: json(row, "model")?,
        training: json(row, "training")?,
        init_from: json_opt(row, "init_from")?,
        evaluation: json_opt(row, "evaluation")?,
        metadata: json(row, "metadata")?,
    })
}

fn task(word: &str) -> Result<Task> {
    Task::parse(word).ok_or_else(|| StoreError::Corrupt(format!("task {word:?}")))
}

pub(super) fn no_job(id: &str) -> StoreError {
    StoreError::no("job", id)
}
