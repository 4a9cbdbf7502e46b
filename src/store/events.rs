//! The table `events`: what a job's watchers are told, in order. Ids only grow, so a client can
//! resume after any.

use serde_json::Value;

use super::db::{Conn, QueryBuilder};
use super::lease::hold;
use super::{Result, Store};
use crate::jobs::{Lease, words};

/// Rows of one INSERT: well under `SQLite`'s 32,766 bound values.
const BATCH: usize = 1000;

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Event {
    pub id: i64,
    pub job_id: String,
    pub kind: EventKind,
    pub data: Value,
    pub at: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    pub kind: EventKind,
    pub data: Value,
    pub at: i64,
}

impl NewEvent {
    pub fn new(kind: EventKind, data: Value, at: i64) -> Self {
        Self { kind, data, at }
    }
}

words! {
    /// What an event tells of.
    EventKind {
        Status = "status",
        Phase = "phase",
        Progress = "progress",
        Metrics = "metrics",
        Checkpoint = "checkpoint",
        /// A picture of what the model makes.
        Sample = "sample",
        Log = "log",
        /// The last event of a job.
        End = "end",
    }
}

/// Some of a job's events in order, and what is missing before them.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// Events up to this id were dropped, some of them after where the page starts.
    pub gap: Option<i64>,
    pub events: Vec<Event>,
}

impl Store {
    /// A page of a job's events after the event `after`, oldest first. 0 is before all.
    pub async fn events(&self, job_id: &str, after: i64, limit: u32) -> Result<EventPage> {
        let mut tx = self.read().await?;
        let pruned: i64 = sqlx::query_scalar("SELECT pruned_events FROM jobs WHERE id = $1")
            .bind(job_id)
            .fetch_optional(&mut *tx)
            .await?
            .unwrap_or(0);
        let events = sqlx::query_as(
            "SELECT * FROM events WHERE job_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(job_id)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *tx)
        .await?;
        Ok(EventPage {
            gap: (after < pruned).then_some(pruned),
            events,
        })
    }

    /// The id of the job's last event; 0 if it has none.
    pub async fn last_event(&self, job_id: &str) -> Result<i64> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM events WHERE job_id = $1")
            .bind(job_id)
            .fetch_one(self.reader())
            .await?;
        Ok(last.unwrap_or(0))
    }

    /// Drops the oldest events of jobs that run, or have ended since `since`, beyond the last `keep` of
    /// each: a job that trains for days would fill the disk. Returns how many there were.
    pub async fn prune_events(&self, keep: u32, since: i64) -> Result<u64> {
        let jobs: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM jobs WHERE lease_owner IS NOT NULL OR finished_at >= $1",
        )
        .bind(since)
        .fetch_all(self.reader())
        .await?;
        let mut dropped = 0;
        for job in jobs {
            let last: Option<i64> = sqlx::query_scalar(
                "SELECT id FROM events WHERE job_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2",
            )
            .bind(&job)
            .bind(i64::from(keep))
            .fetch_optional(self.reader())
            .await?;
            let Some(last) = last else { continue };
            let mut tx = self.write().await?;
            sqlx::query("UPDATE jobs SET pruned_events = $1 WHERE id = $2")
                .bind(last)
                .bind(&job)
                .execute(&mut *tx)
                .await?;
            let gone = sqlx::query("DELETE FROM events WHERE job_id = $1 AND id <= $2")
                .bind(&job)
                .bind(last)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            dropped += gone.rows_affected();
        }
        Ok(dropped)
    }

    /// What a worker has to say beside its reports, such as log lines.
    pub async fn append_events(&self, lease: &Lease, events: &[NewEvent]) -> Result<()> {
        let mut tx = self.write().await?;
        hold(&mut tx, lease).await?;
        append(&mut tx, &lease.job_id, events).await?;
        Ok(tx.commit().await?)
    }
}

/// Within the transaction of what the events tell.
pub(super) async fn append(conn: &mut Conn, job_id: &str, events: &[NewEvent]) -> Result<()> {
    for batch in events.chunks(BATCH) {
        let mut query = QueryBuilder::new("INSERT INTO events (job_id, kind, data, at) ");
        query.push_values(batch, |mut values, event| {
            values
                .push_bind(job_id)
                .push_bind(event.kind)
                .push_bind(&event.data)
                .push_bind(event.at);
        });
        query.build().execute(&mut *conn).await?;
    }
    Ok(())
}
