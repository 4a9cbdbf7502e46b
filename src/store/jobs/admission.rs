//! Queuing a job: at most once per idempotency key, and only while the queue is not full.

use serde_json::json;
use sqlx::Row;

use super::rows::{self, Idempotency};
use crate::jobs::{Job, JobPlan, Status, job_id};
use crate::store::db::Conn;
use crate::store::events::{self, EventKind, NewEvent};
use crate::store::{Result, Store, StoreError, transitions};

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
        let id = match id {
            Some(id) => free(&mut tx, id).await?.to_owned(),
            None => job_id(),
        };
        rows::insert(&mut tx, &id, plan, idempotency, now).await?;
        transitions::append(&mut tx, &id, Status::Queued, now).await?;
        let data = json!({ "status": Status::Queued, "attempt": 1 });
        let queued = NewEvent {
            kind: EventKind::Status,
            data,
            at: now,
        };
        events::append(&mut tx, &id, &[queued]).await?;
        let job = rows::load(&mut tx, &id).await?;
        tx.commit().await?;
        Ok(Admitted {
            job,
            replayed: false,
        })
    }
}

async fn earlier(conn: &mut Conn, idempotency: Option<&Idempotency>) -> Result<Option<Job>> {
    let Some(Idempotency { key, digest }) = idempotency else {
        return Ok(None);
    };
    let row = sqlx::query("SELECT id, request_digest FROM jobs WHERE idempotency_key = $1")
        .bind(key)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.try_get::<&str, _>("request_digest")? != digest {
        return Err(StoreError::IdempotencyMismatch);
    }
    rows::load(conn, row.try_get("id")?).await.map(Some)
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
