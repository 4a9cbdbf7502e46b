//! The table `webhook_deliveries`: each message to a webhook, from the change it tells of to its
//! arrival, and what came of it.

use serde_json::Value;

use super::columns::insert;
use super::db::Conn;
use super::page::{Page, rows_for};
use super::webhooks;
use super::{Result, Store, StoreError};
use crate::jobs::{DeliveryStatus, TEST_EVENT, delivery_id, message};

/// Messages of one webhook that may wait before a client may ask for no more.
const MOST_PENDING: i64 = 1000;

/// Sorts behind every id of a delivery, which are plain ASCII.
const AFTER_ALL: &str = "\u{7f}";

/// A message and what came of it. Times are epoch milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    pub id: String,
    pub webhook_id: String,
    pub event: String,
    pub job_id: Option<String>,
    pub status: DeliveryStatus,
    pub attempts: i64,
    /// The receiver's answer to the last attempt, if there was one.
    pub response_status: Option<i64>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    pub next_attempt_at: Option<i64>,
    pub created_at: i64,
    pub delivered_at: Option<i64>,
}

/// A message whose time has come. Not `Debug`: it holds the secret.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Due {
    pub id: String,
    pub webhook_id: String,
    pub url: String,
    pub secret: Vec<u8>,
    pub body: String,
    /// Attempts since it was last asked for.
    pub tries: u32,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    Retry {
        at: i64,
    },
    Failed,
    /// The receiver wants nothing more, of any event.
    Gone,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub response_status: Option<u16>,
    pub error: Option<String>,
    pub verdict: Verdict,
}

impl Store {
    /// Newest first; `after` is the id of the last one of the page before, which may be gone by now.
    pub async fn list_deliveries(
        &self,
        webhook: &str,
        limit: u32,
        after: Option<&str>,
    ) -> Result<Page<Delivery>> {
        let mut tx = self.read().await?;
        webhooks::find(&mut tx, webhook).await?;
        let before = after.unwrap_or(AFTER_ALL);
        let deliveries = sqlx::query_as(
            "SELECT * FROM webhook_deliveries WHERE webhook_id = $1 AND id < $2
             ORDER BY id DESC LIMIT $3",
        )
        .bind(webhook)
        .bind(before)
        .bind(rows_for(limit))
        .fetch_all(&mut *tx)
        .await?;
        Ok(Page::of(deliveries, limit))
    }

    /// Queues a message that tells of nothing but itself.
    pub async fn queue_test(&self, webhook: &str, now: i64) -> Result<Delivery> {
        let mut tx = self.write().await?;
        require_open(&mut tx, webhook).await?;
        let data = serde_json::json!({ "webhook": webhook });
        let body = message(TEST_EVENT, &data, now);
        let id = queue(&mut tx, webhook, (TEST_EVENT, None), &body, now).await?;
        let delivery = find(&mut tx, webhook, &id).await?;
        tx.commit().await?;
        Ok(delivery)
    }

    /// Has a message sent again, now, whatever came of it, and with all its attempts before it.
    pub async fn redeliver(&self, webhook: &str, id: &str, now: i64) -> Result<Delivery> {
        let mut tx = self.write().await?;
        find(&mut tx, webhook, id).await?;
        require_open(&mut tx, webhook).await?;
        sqlx::query(
            "UPDATE webhook_deliveries
             SET status = 'pending', tries = 0, next_attempt_at = $1, delivered_at = NULL
             WHERE id = $2",
        )
        .bind(now)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        let delivery = find(&mut tx, webhook, id).await?;
        tx.commit().await?;
        Ok(delivery)
    }

    /// What is to be sent now: of each webhook the `each` messages that have waited longest, so that
    /// one with many holds up no other.
    pub async fn due_deliveries(&self, each: u32, now: i64) -> Result<Vec<Due>> {
        let query = sqlx::query_as(DUE).bind(now).bind(i64::from(each));
        Ok(query.fetch_all(self.reader()).await?)
    }

    /// Writes down what an attempt came to. A message that was deleted, or given up with its webhook,
    /// meanwhile is left as it is.
    pub async fn record_attempt(&self, id: &str, attempt: &Attempt, now: i64) -> Result<()> {
        let (status, next, delivered) = match attempt.verdict {
            Verdict::Delivered => (DeliveryStatus::Delivered, None, Some(now)),
            Verdict::Retry { at } => (DeliveryStatus::Pending, Some(at), None),
            Verdict::Failed | Verdict::Gone => (DeliveryStatus::Failed, None, None),
        };
        let mut tx = self.write().await?;
        let webhook: Option<String> = sqlx::query_scalar(
            "UPDATE webhook_deliveries
             SET attempts = attempts + 1, tries = tries + 1, status = $1, next_attempt_at = $2,
                 delivered_at = $3, response_status = $4, error = $5
             WHERE id = $6 AND status = 'pending' RETURNING webhook_id",
        )
        .bind(status)
        .bind(next)
        .bind(delivered)
        .bind(attempt.response_status)
        .bind(&attempt.error)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(webhook) = webhook.filter(|_| attempt.verdict == Verdict::Gone) {
            disable(&mut tx, &webhook, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Drops messages from before `before`, and of each webhook all but the newest `keep`; what is still
    /// to be sent stays.
    pub async fn prune_deliveries(&self, before: i64, keep: u32) -> Result<u64> {
        let webhooks: Vec<String> = sqlx::query_scalar("SELECT id FROM webhooks")
            .fetch_all(self.reader())
            .await?;
        let mut dropped = 0;
        for webhook in webhooks {
            let gone = sqlx::query(
                "DELETE FROM webhook_deliveries
                 WHERE webhook_id = $1 AND status <> 'pending'
                   AND (created_at < $2
                        OR id <= (SELECT id FROM webhook_deliveries WHERE webhook_id = $1
                                  ORDER BY id DESC LIMIT 1 OFFSET $3))",
            )
            .bind(&webhook)
            .bind(before)
            .bind(i64::from(keep))
            .execute(self.writer()?)
            .await?;
            dropped += gone.rows_affected();
        }
        Ok(dropped)
    }
}

/// Two searches an index for each webhook, however many messages there are.
pub(super) const DUE: &str = "SELECT d.id, d.webhook_id, d.body, d.tries, w.url, w.secret
     FROM webhooks w JOIN webhook_deliveries d ON d.id IN (
         SELECT p.id FROM webhook_deliveries p
         WHERE p.webhook_id = w.id AND p.status = 'pending' AND p.next_attempt_at <= $1
         ORDER BY p.next_attempt_at LIMIT $2)
     WHERE w.disabled_at IS NULL";

/// Within the transaction of what the message tells: `what` is the event, and the job it is of.
pub(super) async fn queue(
    conn: &mut Conn,
    webhook: &str,
    what: (&str, Option<&str>),
    body: &Value,
    now: i64,
) -> Result<String> {
    let id = delivery_id();
    insert!("webhook_deliveries" {
        id: &id,
        webhook_id: webhook,
        event: what.0,
        job_id: what.1,
        body: body,
        status: DeliveryStatus::Pending,
        next_attempt_at: now,
        created_at: now,
    })
    .execute(conn)
    .await?;
    Ok(id)
}

/// A client may ask for a message only of a webhook that listens and has not too many before it.
async fn require_open(conn: &mut Conn, webhook: &str) -> Result<()> {
    if webhooks::find(conn, webhook).await?.disabled_at.is_some() {
        let text = "the webhook is disabled: its receiver answered 410 Gone; make a new one";
        return Err(StoreError::Conflict(text.to_owned()));
    }
    let pending: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'pending'",
    )
    .bind(webhook)
    .fetch_one(conn)
    .await?;
    if pending < MOST_PENDING {
        Ok(())
    } else {
        Err(StoreError::Conflict(format!(
            "{pending} messages wait to be sent to this webhook already"
        )))
    }
}

/// The webhook hears nothing more, of what already waits neither.
async fn disable(conn: &mut Conn, webhook: &str, now: i64) -> Result<()> {
    sqlx::query("UPDATE webhooks SET disabled_at = $1 WHERE id = $2")
        .bind(now)
        .bind(webhook)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE webhook_deliveries
         SET status = 'failed', next_attempt_at = NULL, error = 'the webhook was disabled before'
         WHERE webhook_id = $1 AND status = 'pending'",
    )
    .bind(webhook)
    .execute(conn)
    .await?;
    Ok(())
}

async fn find(conn: &mut Conn, webhook: &str, id: &str) -> Result<Delivery> {
    sqlx::query_as("SELECT * FROM webhook_deliveries WHERE id = $1 AND webhook_id = $2")
        .bind(id)
        .bind(webhook)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| StoreError::no("delivery", id))
}
