//! The table `webhooks`: who outside is told of jobs, and with which secret it is signed.

use serde_json::Value;
use sqlx::Row;

use super::columns::{json, to_json};
use super::db::{Conn, DbRow};
use super::page::{Page, rows_for};
use super::{Result, Store, StoreError};
use crate::jobs::WebhookEvent;

/// A webhook. Not `Debug`: a secret has no business in a log.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    pub id: String,
    pub url: String,
    pub events: Vec<WebhookEvent>,
    pub secret: Vec<u8>,
    pub metadata: Value,
    pub created_at: i64,
    /// Its receiver said that it is gone.
    pub disabled_at: Option<i64>,
}

impl Store {
    /// Adds a webhook, unless there are `most` already: each costs a row for each change of a job.
    pub async fn insert_webhook(&self, webhook: &Webhook, most: i64) -> Result<()> {
        let inserted = sqlx::query(
            "INSERT INTO webhooks (id, url, events, secret, metadata, created_at, disabled_at)
             SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT COUNT(*) FROM webhooks) < $8",
        )
        .bind(&webhook.id)
        .bind(&webhook.url)
        .bind(to_json(&webhook.events)?)
        .bind(&webhook.secret)
        .bind(to_json(&webhook.metadata)?)
        .bind(webhook.created_at)
        .bind(webhook.disabled_at)
        .bind(most)
        .execute(self.writer())
        .await?;
        match inserted.rows_affected() {
            1 => Ok(()),
            _ => Err(StoreError::Conflict(format!(
                "there are {most} webhooks already, and no more are kept"
            ))),
        }
    }

    pub async fn webhook(&self, id: &str) -> Result<Webhook> {
        let mut conn = self.reader().acquire().await?;
        find(&mut conn, id).await
    }

    /// Newest first; `after` is the id of the last one of the page before, which may be gone by now.
    pub async fn list_webhooks(&self, limit: u32, after: Option<&str>) -> Result<Page<Webhook>> {
        let rows = sqlx::query(
            "SELECT * FROM webhooks WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(after)
        .bind(rows_for(limit))
        .fetch_all(self.reader())
        .await?;
        let webhooks: Result<Vec<Webhook>> = rows.iter().map(read).collect();
        Ok(Page::of(webhooks?, limit))
    }

    /// Its deliveries go with it, also those that were still to be made.
    pub async fn delete_webhook(&self, id: &str) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM webhooks WHERE id = $1")
            .bind(id)
            .execute(self.writer())
            .await?;
        match deleted.rows_affected() {
            1 => Ok(()),
            _ => Err(no_webhook(id)),
        }
    }
}

/// The ids of those that are to be told of an event.
pub(super) async fn listening(conn: &mut Conn, event: WebhookEvent) -> Result<Vec<String>> {
    let rows = sqlx::query("SELECT * FROM webhooks WHERE disabled_at IS NULL")
        .fetch_all(conn)
        .await?;
    let mut ids = Vec::new();
    for row in &rows {
        let webhook = read(row)?;
        if webhook.events.contains(&event) {
            ids.push(webhook.id);
        }
    }
    Ok(ids)
}

pub(super) async fn find(conn: &mut Conn, id: &str) -> Result<Webhook> {
    let row = sqlx::query("SELECT * FROM webhooks WHERE id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    read(&row.ok_or_else(|| no_webhook(id))?)
}

fn no_webhook(id: &str) -> StoreError {
    StoreError::no("webhook", id)
}

fn read(row: &DbRow) -> Result<Webhook> {
    Ok(Webhook {
        id: row.try_get("id")?,
        url: row.try_get("url")?,
        events: json(row, "events")?,
        secret: row.try_get("secret")?,
        metadata: json(row, "metadata")?,
        created_at: row.try_get("created_at")?,
        disabled_at: row.try_get("disabled_at")?,
    })
}
