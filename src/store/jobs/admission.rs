//! Queuing a job: at most once per idempotency key, and only while the queue is not full.

use serde_json::json;
use sqlx::types::Json;

use super::{append_transition, load};
use crate::jobs::{Job, JobKey, JobPlan, Status, job_id};
use crate::store::columns::insert;
use crate::store::db::Conn;
use crate::store::events::{self, EventKind, NewEvent};
use crate::store::keys::open_jobs_of;
use crate::store::{Result, Store, StoreError};

/// A client's key for a request it may send twice, and what tells that request from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    pub digest: String,
}

/// The job of a request, and whether an earlier sending of that request made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    pub job: Job,
    pub replayed: bool,
}

impl Store {
    /// Queues a job, under the client's `id` if it chose one. The dataset is looked for again, in the same
    /// transaction: it may have been deleted since the request was checked.
    pub async fn insert_job(
        &self,
        plan: &JobPlan,
        id: Option<&str>,
        idempotency: Option<&Idempotency>,
        max_queued: i64,
        now: i64,
    ) -> Result<Admitted> {
        let mut tx = self.write().await?;
        if let Some(job) = earlier(&mut tx, idempotency).await? {
            return Ok(Admitted {
                job,
                replayed: true,
            });
        }
        require_dataset(&mut tx, plan).await?;
        require_room(&mut tx, max_queued).await?;
        if let Some(key) = &plan.key {
            require_share(&mut tx, key).await?;
        }
        let id = match id {
            Some(id) => free(&mut tx, id).await?.to_owned(),
            None => job_id(),
        };
        insert(&mut tx, &id, plan, idempotency, now).await?;
        append_transition(&mut tx, &id, Status::Queued, now).await?;
        let data = json!({ "status": Status::Queued, "attempt": 1 });
        let queued = NewEvent::new(EventKind::Status, data, now);
        events::append(&mut tx, &id, &[queued]).await?;
        let job = load(&mut tx, &id).await?;
        tx.commit().await?;
        Ok(Admitted {
            job,
            replayed: false,
        })
    }
}

/// A new row, queued. The columns that are not named have defaults.
async fn insert(
    conn: &mut Conn,
    id: &str,
    plan: &JobPlan,
    idempotency: Option<&Idempotency>,
    now: i64,
) -> Result<()> {
    insert!("jobs" {
        id: id,
        name: &plan.name,
        task: plan.task,
        kind: &plan.kind,
        status: Status::Queued,
        retry_of: &plan.retry_of,
        traceparent: &plan.traceparent,
        priority: plan.priority,
        place: &plan.device_slot,
        dataset_id: &plan.dataset_id,
        dataset_name: &plan.dataset_name,
        model: &plan.model,
        training: &plan.training,
        init_from: &plan.init_from,
        evaluation: &plan.evaluation,
        metadata: &plan.metadata,
        progress: Json(plan.initial_progress()),
        created_at: now,
        idempotency_key: idempotency.map(|i| &i.key),
        request_digest: idempotency.map(|i| &i.digest),
        warnings: Json(&plan.warnings),
        key_id: plan.key.as_ref().map(|key| &key.id),
    })
    .execute(conn)
    .await?;
    Ok(())
}

async fn earlier(conn: &mut Conn, idempotency: Option<&Idempotency>) -> Result<Option<Job>> {
    let Some(Idempotency { key, digest }) = idempotency else {
        return Ok(None);
    };
    let query = "SELECT id, request_digest FROM jobs WHERE idempotency_key = $1";
    let found: Option<(String, String)> = sqlx::query_as(query)
        .bind(key)
        .fetch_optional(&mut *conn)
        .await?;
    match found {
        None => Ok(None),
        Some((_, of)) if of != *digest => Err(StoreError::IdempotencyMismatch),
        Some((id, _)) => load(conn, &id).await.map(Some),
    }
}

async fn free<'a>(conn: &mut Conn, id: &'a str) -> Result<&'a str> {
    let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = $1)")
        .bind(id)
        .fetch_one(conn)
        .await?;
    if taken {
        return Err(StoreError::Conflict(format!("the id \"{id}\" is taken")));
    }
    Ok(id)
}

async fn require_dataset(conn: &mut Conn, plan: &JobPlan) -> Result<()> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM datasets WHERE id = $1)")
        .bind(&plan.dataset_id)
        .fetch_one(conn)
        .await?;
    if exists {
        Ok(())
    } else {
        Err(StoreError::no("dataset", &plan.dataset_name))
    }
}

/// Whether the key may have one more.
async fn require_share(conn: &mut Conn, key: &JobKey) -> Result<()> {
    let Some(most) = key.most_jobs else {
        return Ok(());
    };
    match open_jobs_of(conn, &key.id).await? {
        open if open < most => Ok(()),
        _ => Err(StoreError::KeyJobs { most }),
    }
}

async fn require_room(conn: &mut Conn, max_queued: i64) -> Result<()> {
    let queued: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE status = 'queued'")
        .fetch_one(conn)
        .await?;
    if queued < max_queued {
        Ok(())
    } else {
        Err(StoreError::QueueFull { queued })
    }
}
