//! Leases: a worker claims a job, keeps it by its heartbeat, and loses it when it is gone.

use serde_json::json;

use super::load;
use super::moves::{JobOutcome, announce, shift};
use crate::jobs::{Job, JobError, Lease, LeasePolicy, Move, Status, WORKER_DIED, apply};
use crate::store::db::Conn;
use crate::store::events::{self, EventKind, NewEvent};
use crate::store::lease::{JobSnapshot, exactly_one};
use crate::store::{Result, Store, StoreError};
use crate::train::Directive;

/// A job whose worker was lost, and what became of it: `running` waits for another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    pub job_id: String,
    pub status: Status,
    /// Workers lost since the job's last checkpoint.
    pub deaths: i64,
}

/// The lease that a worker holds, as its supervisor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LeaseStatus {
    pub status: Status,
    /// Whether its lease has run out.
    pub lapsed: bool,
}

impl Store {
    /// Takes a job: first one that lost its worker, else the first in the queue. `owner` names one
    /// process for ever: a restarted worker needs another.
    pub async fn claim(
        &self,
        owner: &str,
        policy: LeasePolicy,
        now: i64,
    ) -> Result<Option<(Job, Lease)>> {
        if !self.is_anything_claimable(policy, now).await? {
            return Ok(None); // most polls end here, without the write lock
        }
        let mut tx = self.write().await?;
        expire_lapsed(&mut tx, policy, now).await?;
        let claimed = match next_claimable(&mut tx, policy).await? {
            None => None,
            Some(job) => Some(take(&mut tx, &job, owner, policy, now).await?),
        };
        tx.commit().await?;
        Ok(claimed)
    }

    /// Says that the worker lives, and learns what the client wants of it.
    pub async fn heartbeat(&self, lease: &Lease, lease_ms: i64, now: i64) -> Result<Directive> {
        let held: Option<(Status, bool)> = sqlx::query_as(
            "UPDATE jobs SET lease_until = $1
             WHERE id = $2 AND lease_owner = $3 AND lease_token = $4
             RETURNING status, stop_requested",
        )
        .bind(now.saturating_add(lease_ms))
        .bind(&lease.job_id)
        .bind(&lease.owner)
        .bind(lease.token)
        .fetch_optional(self.writer()?)
        .await?;
        let (status, stop) = held.ok_or(StoreError::LeaseLost)?;
        Ok(status.directive(stop))
    }

    /// The supervisor saw this worker's process end: its job need not wait for the lease to run
    /// out.
    pub async fn expire_owner(
        &self,
        owner: &str,
        policy: LeasePolicy,
        now: i64,
    ) -> Result<Vec<Expired>> {
        let mut tx = self.write().await?;
        let lost: Vec<JobSnapshot> = sqlx::query_as(
            "SELECT * FROM jobs WHERE lease_owner = $1
                              AND status IN ('running', 'pausing', 'canceling')",
        )
        .bind(owner)
        .fetch_all(&mut *tx)
        .await?;
        let expired = expire_all(&mut tx, &lost, policy, now).await?;
        tx.commit().await?;
        Ok(expired)
    }

    /// Frees every job whose lease has run out. A claim does this too; this is for a service whose
    /// workers are all gone.
    pub async fn expire_leases(&self, policy: LeasePolicy, now: i64) -> Result<Vec<Expired>> {
        let mut tx = self.write().await?;
        let expired = expire_lapsed(&mut tx, policy, now).await?;
        tx.commit().await?;
        Ok(expired)
    }

    /// Whether a claim would find something: a cheap look, without the write lock.
    pub async fn is_anything_claimable(&self, policy: LeasePolicy, now: i64) -> Result<bool> {
        let lapsed: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE status IN ('running', 'pausing', 'canceling')
                                                 AND lease_until < $1)",
        )
        .bind(now)
        .fetch_one(self.reader())
        .await?;
        let mut tx = self.read().await?;
        Ok(lapsed || next_claimable(&mut tx, policy).await?.is_some())
    }

    /// What the supervisor has to know of a worker it started; `None` if it holds no job.
    pub async fn lease_status(&self, owner: &str, now: i64) -> Result<Option<LeaseStatus>> {
        Ok(sqlx::query_as(
            "SELECT status, lease_until < $1 AS lapsed FROM jobs WHERE lease_owner = $2",
        )
        .bind(now)
        .bind(owner)
        .fetch_optional(self.reader())
        .await?)
    }
}

/// Jobs that lost their worker and whose device has room.
pub(in crate::store) fn left_behind() -> String {
    with_room("j.status = 'running' AND j.lease_owner IS NULL")
}

/// The queue, but for those whose device is full.
pub(in crate::store) fn in_line() -> String {
    with_room("j.status = 'queued'")
}

fn with_room(condition: &str) -> String {
    format!(
        "SELECT * FROM jobs j
         WHERE {condition}
           AND (SELECT COUNT(*) FROM jobs r WHERE r.lease_owner IS NOT NULL AND r.place = j.place)
               < CASE WHEN j.place = 'cpu' THEN $1 ELSE $2 END
         ORDER BY j.priority DESC, j.seq LIMIT 1"
    )
}

/// A job that lost its worker, else the first in line whose device has room.
async fn next_claimable(conn: &mut Conn, policy: LeasePolicy) -> Result<Option<JobSnapshot>> {
    for query in [left_behind(), in_line()] {
        let found = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(policy.on_cpu)
            .bind(policy.per_gpu)
            .fetch_optional(&mut *conn)
            .await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn take(
    conn: &mut Conn,
    job: &JobSnapshot,
    owner: &str,
    policy: LeasePolicy,
    now: i64,
) -> Result<(Job, Lease)> {
    let to = apply(job.status, Move::Claim)?;
    let again = job.status == Status::Running;
    let token = job.token + 1;
    let attempt = job.attempt + i64::from(again);
    let claimed = sqlx::query(
        "UPDATE jobs
         SET status = $1, lease_owner = $2, lease_token = $3, lease_until = $4, attempt = $5,
             started_at = COALESCE(started_at, $6)
         WHERE id = $7 AND status = $8 AND lease_token = $9 AND lease_owner IS NULL",
    )
    .bind(to)
    .bind(owner)
    .bind(token)
    .bind(now.saturating_add(policy.lease_ms))
    .bind(attempt)
    .bind(now)
    .bind(&job.id)
    .bind(job.status)
    .bind(job.token)
    .execute(&mut *conn)
    .await?;
    exactly_one(claimed.rows_affected())?;
    if !again {
        let data = json!({ "status": to, "attempt": attempt });
        announce(conn, &job.id, to, data, now).await?;
    }
    let lease = Lease {
        job_id: job.id.clone(),
        owner: owner.to_owned(),
        token,
    };
    Ok((load(conn, &job.id).await?, lease))
}

async fn expire_lapsed(conn: &mut Conn, policy: LeasePolicy, now: i64) -> Result<Vec<Expired>> {
    let lost: Vec<JobSnapshot> = sqlx::query_as(
        "SELECT * FROM jobs WHERE status IN ('running', 'pausing', 'canceling')
                              AND lease_until < $1",
    )
    .bind(now)
    .fetch_all(&mut *conn)
    .await?;
    expire_all(conn, &lost, policy, now).await
}

async fn expire_all(
    conn: &mut Conn,
    lost: &[JobSnapshot],
    policy: LeasePolicy,
    now: i64,
) -> Result<Vec<Expired>> {
    let mut expired = Vec::new();
    for job in lost {
        expired.push(expire(conn, job, policy, now).await?);
    }
    Ok(expired)
}

/// Takes the lease from a lost worker. A job that has lost too many in a row is what kills them,
/// and fails.
async fn expire(
    conn: &mut Conn,
    job: &JobSnapshot,
    policy: LeasePolicy,
    now: i64,
) -> Result<Expired> {
    let deaths = job.deaths + 1;
    let status = match apply(job.status, Move::Expire)? {
        Status::Running if deaths < policy.max_deaths => {
            free(conn, job, deaths, now).await?;
            Status::Running
        }
        Status::Running => {
            let detail =
                format!("{deaths} workers died on this job, with no checkpoint in between");
            let error = JobError::new(WORKER_DIED, detail);
            shift(conn, job, Move::Fail, JobOutcome::Error(&error), now).await?
        }
        _ => shift(conn, job, Move::Expire, JobOutcome::None, now).await?,
    };
    Ok(Expired {
        job_id: job.id.clone(),
        status,
        deaths,
    })
}

/// Leaves the job `running` with no worker, for the next claim.
async fn free(conn: &mut Conn, job: &JobSnapshot, deaths: i64, now: i64) -> Result<()> {
    let freed = sqlx::query(
        "UPDATE jobs
         SET lease_owner = NULL, lease_until = NULL, phase = NULL, eta_seconds = NULL, deaths = $1
         WHERE id = $2 AND status = 'running' AND lease_token = $3 AND lease_owner = $4",
    )
    .bind(deaths)
    .bind(&job.id)
    .bind(job.token)
    .bind(&job.owner)
    .execute(&mut *conn)
    .await?;
    exactly_one(freed.rows_affected())?;
    let message = "the worker was lost; another goes on from the last checkpoint";
    let data = json!({ "level": "warn", "message": message, "deaths": deaths });
    let warning = NewEvent::new(EventKind::Log, data, now);
    events::append(conn, &job.id, &[warning]).await
}
