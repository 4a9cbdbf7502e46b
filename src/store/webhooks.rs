//! The table `webhooks`: who outside is told of jobs, and with which secret it is signed.

use serde_json::Value;
use sqlx::types::Json;

use super::db::Conn;
use super::page::{Page, rows_for};
use super::{Result, Store, StoreError};
use crate::jobs::WebhookEvent;

/// A webhook. Not `Debug`: a secret has no business in a log.
#[derive(Clone, PartialEq, sqlx::FromRow)]
pub struct Webhook {
    pub id: String,
    pub url: String,
    #[sqlx(json)]
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
        .bind(Json(&webhook.events))
        .bind(&webhook.secret)
        .bind(&webhook.metadata)
        .bind(webhook.created_at)
        .bind(webhook.disabled_at)
        .bind(most)
        .execute(self.writer()?)
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
        let webhooks = sqlx::query_as(
            "SELECT * FROM webhooks WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(after)
        .bind(rows_for(limit))
        .fetch_all(self.reader())
        .await?;
        Ok(Page::of(webhooks, limit))
    }

    /// Its deliveries go with it, also those that were still to be made.
    pub async fn delete_webhook(&self, id: &str) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM webhooks WHERE id = $1")
            .bind(id)
            .execute(self.writer()?)
            .await?;
        match deleted.rows_affected() {
            1 => Ok(()),
            _ => Err(no_webhook(id)),
        }
    }
}

/// The ids of those that are to be told of an event.
pub(super) async fn listening(conn: &mut Conn, event: WebhookEvent) -> Result<Vec<String>> {
    let listening = "SELECT * FROM webhooks WHERE disabled_at IS NULL";
    let webhooks: Vec<Webhook> = sqlx::query_as(listening).fetch_all(conn).await?;
    let hears = |webhook: &Webhook| webhook.events.contains(&event);
    Ok(webhooks
        .into_iter()
        .filter(hears)
        .map(|webhook| webhook.id)
        .collect())
}

pub(super) async fn find(conn: &mut Conn, id: &str) -> Result<Webhook> {
    let query = sqlx::query_as("SELECT * FROM webhooks WHERE id = $1").bind(id);
    let found = query.fetch_optional(conn).await?;
    found.ok_or_else(|| no_webhook(id))
}

fn no_webhook(id: &str) -> StoreError {
    StoreError::no("webhook", id)
}
