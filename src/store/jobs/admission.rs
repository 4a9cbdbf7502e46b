//! How a request becomes a queued job: at most once per idempotency key, and only while there is
//! room.

use serde_json::json;
use sqlx::Row;

use super::rows;
use crate::jobs::{Job, NewJob, Status, job_id};
use crate::store::columns::{to_json, to_json_opt};
use crate::store::db::Conn;
use crate::store::events::{self, EventKind, NewEvent};
use crate::store::{Result, Store, StoreError, transitions};

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
    /// Queues a job, under the client's `id` if it chose one. The dataset is looked for again, in the same transaction: it may have been
    /// deleted since the request was checked.
    pub async fn insert_job(
        &self,
        new: &NewJob,
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
        require_dataset(&mut tx, new).await?;
        require_room(&mut tx, max_queued).await?;
        let id = match id {
            Some(id) => free(&mut tx, id).await?.to_owned(),
            None => job_id(),
        };
        insert(&mut tx, &id, new, idempotency, now).await?;
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

async fn require_dataset(conn: &mut Conn, new: &NewJob) -> Result<()> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM datasets WHERE id = $1)")
        .bind(&new.dataset_id)
        .fetch_one(conn)
        .await?;
    if exists {
        Ok(())
    } else {
        Err(StoreError::no("dataset", &new.dataset_name))
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

async fn insert(
    conn: &mut Conn,
    id: &str,
    new: &NewJob,
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
    .bind(&new.name)
    .bind(new.task.as_str())
    .bind(&new.kind)
    .bind(&new.retry_of)
    .bind(&new.dataset_id)
    .bind(&new.dataset_name)
    .bind(to_json(&new.model)?)
    .bind(to_json(&new.training)?)
    .bind(to_json_opt(new.init_from.as_ref())?)
    .bind(to_json_opt(new.evaluation.as_ref())?)
    .bind(to_json(&new.metadata)?)
    .bind(to_json(&new.progress)?)
    .bind(now)
    .bind(idempotency.map(|i| &i.key))
    .bind(idempotency.map(|i| &i.digest))
    .bind(new.priority)
    .bind(&new.place)
    .bind(&new.traceparent)
    .execute(conn)
    .await?;
    Ok(())
}
