//! The moves of a job. Each reads the job's status, looks the move up in `jobs::moves`, and changes exactly
//! that row or nothing.

use serde_json::{Map, Value, json};
use sqlx::types::Json;

use super::{append_transition, load, no_job};
use crate::document::Warning;
use crate::jobs::{
    Job, JobError, Lease, Move, Status, Task, WebhookEvent, apply, message, payload,
};
use crate::store::db::Conn;
use crate::store::events::{self, EventKind, NewEvent};
use crate::store::lease::{JobSnapshot, exactly_one, hold};
use crate::store::models::{self, NewVersion};
use crate::store::{Result, Store, StoreError, deliveries, webhooks};

/// What a move writes beside the status: the end of the job.
#[derive(Clone, Copy, Debug)]
pub(super) enum JobOutcome<'a> {
    None,
    Error(&'a JobError),
    Result(&'a Value),
}

impl Store {
    /// A client's wish, admitted until the job has ended.
    pub async fn cancel(&self, id: &str, now: i64) -> Result<Job> {
        self.shift_for_client(id, Move::Cancel, now).await
    }

    /// The worker writes a checkpoint and leaves; a job in the queue steps out of it at once.
    pub async fn pause(&self, id: &str, now: i64) -> Result<Job> {
        self.shift_for_client(id, Move::Pause, now).await
    }

    /// Back to its place in the queue, by its time of arrival.
    pub async fn resume(&self, id: &str, now: i64) -> Result<Job> {
        self.shift_for_client(id, Move::Resume, now).await
    }

    /// The job ends early and publishes what is trained, from its last checkpoint if no worker has it.
    pub async fn stop(&self, id: &str, now: i64) -> Result<Job> {
        self.shift_for_client(id, Move::Stop, now).await
    }

    async fn shift_for_client(&self, id: &str, mv: Move, now: i64) -> Result<Job> {
        let mut tx = self.write().await?;
        let mut job = snapshot(&mut tx, id).await?;
        let to = apply(job.status, mv)?;
        if mv == Move::Stop {
            require_something_to_keep(&job)?;
            sqlx::query("UPDATE jobs SET stop_requested = 1 WHERE id = $1")
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        // Asked for twice: nothing to tell.
        if to != job.status {
            job.status = shift(&mut tx, &job, mv, JobOutcome::None, now).await?;
        }
        // No worker holds it, who would have to obey.
        let waits_for_a_worker = matches!(job.status, Status::Canceling | Status::Pausing);
        if waits_for_a_worker && job.owner.is_none() {
            shift(&mut tx, &job, Move::Expire, JobOutcome::None, now).await?;
        }
        let job = load(&mut tx, id).await?;
        tx.commit().await?;
        Ok(job)
    }

    /// The worker leaves, its checkpoint written: the job goes back to its place in the queue, is
    /// paused if it was to be, or ends if it was to be canceled.
    pub async fn release(&self, lease: &Lease, now: i64) -> Result<Status> {
        self.shift_held(lease, Move::Release, JobOutcome::None, now)
            .await
    }

    /// The worker has stopped a job that was to be canceled.
    pub async fn finish_cancel(&self, lease: &Lease, now: i64) -> Result<()> {
        self.shift_held(lease, Move::FinishCancel, JobOutcome::None, now)
            .await
            .map(drop)
    }

    /// `failed`, or `canceled` if a client wanted that anyway.
    pub async fn fail(&self, lease: &Lease, error: &JobError, now: i64) -> Result<Status> {
        self.shift_held(lease, Move::Fail, JobOutcome::Error(error), now)
            .await
    }

    /// Publishes the next version under the job's name and ends the job, both or neither. A job
    /// that is `canceling` refuses with a transition error: nothing may be published, and the
    /// worker goes on to `finish_cancel`.
    ///
    /// `notes` is added to the job's result, behind `model` and `version`.
    pub async fn succeed(
        &self,
        lease: &Lease,
        new: &NewVersion,
        notes: &Map<String, Value>,
        now: i64,
    ) -> Result<i64> {
        let mut tx = self.write().await?;
        let job = hold(&mut tx, lease).await?;
        apply(job.status, Move::Succeed)?;
        let published = models::publish(&mut tx, &job.id, new, now).await?;
        add_warnings(&mut tx, &job.id, &new.warnings).await?;
        let mut result = Map::new();
        result.insert("model".to_owned(), published.name.into());
        result.insert("version".to_owned(), published.version.into());
        result.extend(notes.clone());
        let result = Value::Object(result);
        let outcome = JobOutcome::Result(&result);
        shift(&mut tx, &job, Move::Succeed, outcome, now).await?;
        tx.commit().await?;
        Ok(published.version)
    }

    /// Adds an evaluation's figures to the version it measured and ends the job, both or neither. The
    /// figures are the job's result even if the version was deleted meanwhile.
    pub async fn finish_evaluation(
        &self,
        lease: &Lease,
        version: (&str, i64),
        figures: &Map<String, Value>,
        now: i64,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let job = hold(&mut tx, lease).await?;
        apply(job.status, Move::Succeed)?;
        models::add_metrics(&mut tx, version, figures).await?;
        let (model, number) = version;
        let result = json!({ "model": model, "version": number, "metrics": figures });
        let outcome = JobOutcome::Result(&result);
        shift(&mut tx, &job, Move::Succeed, outcome, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Publishes what a checkpoint of the job holds, whatever the job does meanwhile: its name and number.
    pub async fn promote(&self, id: &str, new: &NewVersion, now: i64) -> Result<(String, i64)> {
        let mut tx = self.write().await?;
        snapshot(&mut tx, id).await?;
        let published = models::publish(&mut tx, id, new, now).await?;
        tx.commit().await?;
        Ok((published.name, published.version))
    }

    async fn shift_held(
        &self,
        lease: &Lease,
        mv: Move,
        outcome: JobOutcome<'_>,
        now: i64,
    ) -> Result<Status> {
        let mut tx = self.write().await?;
        let job = hold(&mut tx, lease).await?;
        let to = shift(&mut tx, &job, mv, outcome, now).await?;
        tx.commit().await?;
        Ok(to)
    }
}

fn require_something_to_keep(job: &JobSnapshot) -> Result<()> {
    let refusal = match job.status {
        _ if job.task == Task::Evaluate => "an evaluation has nothing to keep before its end",
        Status::Queued | Status::Paused if job.last_checkpoint == 0 => {
            "nothing is trained yet that could be kept"
        }
        _ => return Ok(()),
    };
    Err(StoreError::Conflict(format!(
        "cannot stop this job: {refusal}; cancel it instead"
    )))
}

async fn snapshot(conn: &mut Conn, id: &str) -> Result<JobSnapshot> {
    let query = sqlx::query_as("SELECT * FROM jobs WHERE id = $1").bind(id);
    let found = query.fetch_optional(conn).await?;
    found.ok_or_else(|| no_job(id))
}

/// Makes a move, and tells the watchers. The lease survives moves to running, pausing and canceling; every
/// other status releases it. (A claim, which gives a lease, is made in `leases`.)
pub(super) async fn shift(
    conn: &mut Conn,
    job: &JobSnapshot,
    mv: Move,
    outcome: JobOutcome<'_>,
    now: i64,
) -> Result<Status> {
    let to = apply(job.status, mv)?;
    let (error, result) = match outcome {
        JobOutcome::Error(error) if to == Status::Failed => (Some(error), None),
        JobOutcome::Result(result) => (None, Some(result)),
        _ => (None, None),
    };
    let moved = sqlx::query(
        "UPDATE jobs
         SET status = $1, finished_at = $2, error = $3, result = $4,
             lease_owner = CASE WHEN $5 THEN lease_owner END,
             lease_until = CASE WHEN $5 THEN lease_until END,
             phase = CASE WHEN $5 THEN phase END,
             eta_seconds = CASE WHEN $5 THEN eta_seconds END
         WHERE id = $6 AND status = $7 AND lease_token = $8
           AND lease_owner IS NOT DISTINCT FROM $9",
    )
    .bind(to)
    .bind(to.is_terminal().then_some(now))
    .bind(error.map(Json))
    .bind(result)
    .bind(matches!(
        to,
        Status::Running | Status::Pausing | Status::Canceling
    ))
    .bind(&job.id)
    .bind(job.status)
    .bind(job.token)
    .bind(&job.owner)
    .execute(&mut *conn)
    .await?;
    exactly_one(moved.rows_affected())?;
    if to != job.status {
        let mut data = json!({ "status": to, "attempt": job.attempt });
        if let Some(error) = error {
            data["error"] = json!(error);
        }
        if let Some(result) = result {
            data["result"] = result.clone();
        }
        announce(conn, &job.id, to, data, now).await?;
    }
    Ok(to)
}

/// A new status, for the record, the watchers and the webhooks; the last one is followed by `end`.
pub(super) async fn announce(
    conn: &mut Conn,
    job_id: &str,
    to: Status,
    data: Value,
    at: i64,
) -> Result<()> {
    append_transition(conn, job_id, to, at).await?;
    let mut news = vec![NewEvent::new(EventKind::Status, data, at)];
    if to.is_terminal() {
        news.push(NewEvent::new(EventKind::End, json!({ "status": to }), at));
    }
    events::append(conn, job_id, &news).await?;
    notify(conn, job_id, to, at).await
}

/// Writes down what webhooks are to be told, in the transaction of the change itself: whatever happens
/// after its commit, they will be told.
async fn notify(conn: &mut Conn, job_id: &str, to: Status, at: i64) -> Result<()> {
    let Some(event) = WebhookEvent::of(to) else {
        return Ok(());
    };
    let listeners = webhooks::listening(conn, event).await?;
    if listeners.is_empty() {
        return Ok(());
    }
    let job = load(conn, job_id).await?;
    let body = message(event.as_str(), &payload(&job), at);
    for webhook in &listeners {
        deliveries::queue(conn, webhook, (event.as_str(), Some(job_id)), &body, at).await?;
    }
    Ok(())
}

/// What a run found stands behind what its job was told when it was posted.
async fn add_warnings(conn: &mut Conn, id: &str, found: &[Warning]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let told: Json<Vec<Warning>> = sqlx::query_scalar("SELECT warnings FROM jobs WHERE id = $1")
        .bind(id)
        .fetch_one(&mut *conn)
        .await?;
    let Json(mut warnings) = told;
    warnings.extend_from_slice(found);
    sqlx::query("UPDATE jobs SET warnings = $2 WHERE id = $1")
        .bind(id)
        .bind(Json(warnings))
        .execute(conn)
        .await?;
    Ok(())
}
