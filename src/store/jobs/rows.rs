//! From rows to jobs.

use sqlx::Row;

use crate::jobs::{Job, Task, Transition};
use crate::store::columns::{json, json_opt, status};
use crate::store::db::{Conn, DbRow};
use crate::store::{Result, StoreError, transitions};

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
        name: row.try_get("name")?,
        task: task(row.try_get("task")?)?,
        kind: row.try_get("kind")?,
        status: status(row)?,
        phase: row.try_get("phase")?,
        attempt: row.try_get("attempt")?,
        stop: row.try_get("stop_requested")?,
        priority: row.try_get("priority")?,
        place: row.try_get("place")?,
        retry_of: row.try_get("retry_of")?,
        traceparent: row.try_get("traceparent")?,
        dataset_id: row.try_get("dataset_id")?,
        dataset_name: row.try_get("dataset_name")?,
        model: json(row, "model")?,
        training: json(row, "training")?,
        init_from: json_opt(row, "init_from")?,
        evaluation: json_opt(row, "evaluation")?,
        metadata: json(row, "metadata")?,
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

fn task(word: &str) -> Result<Task> {
    Task::parse(word).ok_or_else(|| StoreError::Corrupt(format!("task {word:?}")))
}

pub(super) fn no_job(id: &str) -> StoreError {
    StoreError::no("job", id)
}
