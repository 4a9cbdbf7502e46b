//! Webhooks and their deliveries: what is queued with a change, what is due, what becomes of it.

use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Row};

use super::{Fixture, version};
use crate::jobs::{DeliveryStatus, JobError, WebhookEvent, webhook_id};
use crate::store::deliveries::DUE;
use crate::store::{Attempt, Delivery, StoreError, Verdict, Webhook};

const MOST: i64 = 100;

fn webhook(events: &[WebhookEvent]) -> Webhook {
    Webhook {
        id: webhook_id(),
        url: "https://example.com/".to_owned(),
        events: events.to_vec(),
        secret: vec![7; 32],
        metadata: json!({ "who": "a test" }),
        created_at: 1,
        disabled_at: None,
    }
}

fn failed(verdict: Verdict) -> Attempt {
    Attempt {
        response_status: Some(500),
        error: Some("the receiver answered with status 500".to_owned()),
        verdict,
    }
}

const ARRIVED: Attempt = Attempt {
    response_status: Some(204),
    error: None,
    verdict: Verdict::Delivered,
};

impl Fixture {
    async fn hook(&self, events: &[WebhookEvent]) -> String {
        let webhook = webhook(events);
        let inserted = self.store.insert_webhook(&webhook, MOST).await;
        inserted.expect("inserts");
        webhook.id
    }

    /// Newest first.
    async fn deliveries(&self, webhook: &str) -> Vec<Delivery> {
        let page = self.store.list_deliveries(webhook, 200, None).await;
        page.expect("lists").items
    }

    async fn told(&self, webhook: &str) -> Vec<String> {
        let deliveries = self.deliveries(webhook).await;
        deliveries.into_iter().rev().map(|d| d.event).collect()
    }

    async fn due(&self, now: i64) -> Vec<String> {
        let due = self.store.due_deliveries(100, now).await.expect("reads");
        due.into_iter().map(|due| due.id).collect()
    }

    async fn test(&self, webhook: &str, now: i64) -> String {
        let queued = self.store.queue_test(webhook, now).await;
        queued.expect("queues").id
    }

    async fn record(&self, id: &str, attempt: &Attempt, now: i64) {
        let recorded = self.store.record_attempt(id, attempt, now).await;
        recorded.expect("records");
    }
}

#[tokio::test]
async fn a_webhook_comes_back_as_it_was_and_there_are_only_so_many() {
    let f = Fixture::new().await;
    let first = webhook(&[WebhookEvent::Failed]);
    let second = webhook(&WebhookEvent::ALL);
    for webhook in [&first, &second] {
        f.store.insert_webhook(webhook, 2).await.expect("inserts");
    }
    let third = f.store.insert_webhook(&webhook(&[]), 2).await;
    assert!(matches!(third, Err(StoreError::Conflict(_))), "{third:?}");
    assert!(f.store.webhook(&first.id).await.expect("it") == first);
    let page = f.store.list_webhooks(1, None).await.expect("lists");
    assert!(page.items == [second.clone()] && page.has_more);
    let page = f.store.list_webhooks(1, Some(&second.id)).await;
    let page = page.expect("lists");
    assert!(page.items == [first.clone()] && !page.has_more);

    f.test(&first.id, 5).await;
    f.store.delete_webhook(&first.id).await.expect("deletes");
    assert!(f.due(10).await.is_empty(), "its deliveries go with it");
    for result in [
        f.store.delete_webhook(&first.id).await,
        f.store.webhook(&first.id).await.map(drop),
        f.store.queue_test(&first.id, 5).await.map(drop),
        f.store.list_deliveries(&first.id, 9, None).await.map(drop),
        f.store.redeliver(&first.id, "msg_1", 5).await.map(drop),
    ] {
        assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
    }
}

#[tokio::test]
async fn each_hears_what_it_asked_for_in_the_words_of_that_moment() {
    let f = Fixture::new().await;
    let all = f.hook(&WebhookEvent::ALL).await;
    let ends = f.hook(&WebhookEvent::ENDS).await;
    let failures = f.hook(&[WebhookEvent::Failed]).await;

    let (good, lease) = f.running("good").await;
    f.store.pause(&good.id, 20).await.expect("pauses");
    f.store.release(&lease, 21).await.expect("releases");
    f.store.resume(&good.id, 22).await.expect("resumes");
    let (_, lease) = f.claim("w2", 23).await.expect("a job");
    f.store
        .succeed(&lease, &version("v1"), &Map::new(), 1_000)
        .await
        .expect("succeeds");
    let (_, lease) = f.running("bad").await;
    let error = JobError::new("diverged", "not finite");
    f.store.fail(&lease, &error, 40).await.expect("fails");
    let gone = f.queued("gone").await;
    f.store.cancel(&gone.id, 50).await.expect("cancels");

    assert_eq!(
        f.told(&all).await,
        [
            "job.running",
            "job.paused",
            "job.running",
            "job.succeeded",
            "job.running",
            "job.failed",
            "job.canceled"
        ]
    );
    assert_eq!(
        f.told(&ends).await,
        ["job.succeeded", "job.failed", "job.canceled"]
    );
    assert_eq!(f.told(&failures).await, ["job.failed"]);

    let due = f.store.due_deliveries(100, 2_000).await.expect("reads");
    let of_good: Vec<Value> = due
        .iter()
        .filter(|due| due.webhook_id == all)
        .map(|due| serde_json::from_str(&due.body).expect("JSON"))
        .filter(|body: &Value| body["data"]["id"] == good.id.as_str())
        .collect();
    let end = of_good
        .iter()
        .find(|body| body["type"] == "job.succeeded")
        .expect("the end");
    assert_eq!(end["timestamp"], "1970-01-01T00:00:01Z");
    assert_eq!(end["data"]["status"], "succeeded");
    assert_eq!(
        end["data"]["result"],
        json!({ "model": "good", "version": 1 })
    );
    assert_eq!(end["data"]["finished_at"], end["timestamp"]);
    // What was told first still says what was so then.
    let first = of_good
        .iter()
        .find(|body| body["type"] == "job.running")
        .expect("the start");
    assert_eq!(
        (&first["data"]["status"], &first["data"]["result"]),
        (&json!("running"), &Value::Null)
    );
}

#[tokio::test]
async fn a_change_that_comes_to_nothing_tells_nobody() {
    let f = Fixture::new().await;
    let hook = f.hook(&WebhookEvent::ALL).await;
    let (job, lease) = f.running("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    // Refused: it is being canceled.
    f.store
        .succeed(&lease, &version("v1"), &Map::new(), 30)
        .await
        .expect_err("refused");
    assert_eq!(f.told(&hook).await, ["job.running"]);
    f.store.finish_cancel(&lease, 40).await.expect("ends");
    f.store.finish_cancel(&lease, 41).await.expect_err("lost");
    assert_eq!(f.told(&hook).await, ["job.running", "job.canceled"]);
}

#[tokio::test]
async fn a_message_is_due_until_it_has_arrived() {
    let f = Fixture::new().await;
    let hook = f.hook(&WebhookEvent::ENDS).await;
    let id = f.test(&hook, 100).await;
    assert!(f.due(99).await.is_empty());
    assert_eq!(f.due(100).await, [id.as_str()]);

    f.record(&id, &failed(Verdict::Retry { at: 500 }), 110)
        .await;
    assert!(f.due(499).await.is_empty());
    let again = f.another().await;
    let due = again.due_deliveries(9, 500).await.expect("reads");
    assert_eq!((due.len(), due[0].tries), (1, 1), "another process sees it");
    let seen = &f.deliveries(&hook).await[0];
    assert_eq!(
        (seen.status, seen.attempts, seen.next_attempt_at),
        (DeliveryStatus::Pending, 1, Some(500))
    );
    assert_eq!(
        (seen.response_status, seen.error.is_some()),
        (Some(500), true)
    );

    f.record(&id, &ARRIVED, 510).await;
    assert!(f.due(i64::MAX).await.is_empty());
    let seen = &f.deliveries(&hook).await[0];
    assert_eq!(
        (seen.status, seen.attempts, seen.delivered_at),
        (DeliveryStatus::Delivered, 2, Some(510))
    );
    assert_eq!((seen.response_status, &seen.error), (Some(204), &None));

    let asked = f.store.redeliver(&hook, &id, 600).await.expect("queues");
    assert_eq!(
        (asked.status, asked.delivered_at),
        (DeliveryStatus::Pending, None)
    );
    let due = f.store.due_deliveries(9, 600).await.expect("reads");
    assert_eq!((due[0].id.as_str(), due[0].tries), (id.as_str(), 0));
    f.record(&id, &failed(Verdict::Failed), 610).await;
    let seen = &f.deliveries(&hook).await[0];
    assert_eq!((seen.status, seen.attempts), (DeliveryStatus::Failed, 3));
    assert!(f.due(i64::MAX).await.is_empty());
    // An attempt that was still under way changes nothing more.
    f.record(&id, &ARRIVED, 620).await;
    assert_eq!(f.deliveries(&hook).await[0].attempts, 3);
}

#[tokio::test]
async fn one_with_many_messages_holds_up_no_other() {
    let f = Fixture::new().await;
    let (busy, quiet) = (f.hook(&[]).await, f.hook(&[]).await);
    let mut first = Vec::new();
    for now in 1..=50 {
        first.push(f.test(&busy, now).await);
    }
    let of_quiet = f.test(&quiet, 60).await;
    let mut due: Vec<String> = f
        .store
        .due_deliveries(2, 100)
        .await
        .expect("reads")
        .into_iter()
        .map(|due| due.id)
        .collect();
    due.sort();
    let mut wanted = vec![first[0].clone(), first[1].clone(), of_quiet];
    wanted.sort();
    assert_eq!(due, wanted);

    let sql = DUE.replace("$1", "5").replace("$2", "2");
    let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
        .fetch_all(f.store.reader())
        .await
        .expect("explains");
    let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
    let plan = plan.join("; ");
    assert!(
        plan.contains("webhook_deliveries_due")
            && !plan.contains("SCAN d")
            && !plan.contains("SCAN p"),
        "{plan}"
    );
}

#[tokio::test]
async fn a_receiver_that_is_gone_hears_nothing_more() {
    let f = Fixture::new().await;
    let (gone, other) = (
        f.hook(&WebhookEvent::ENDS).await,
        f.hook(&WebhookEvent::ENDS).await,
    );
    let (first, second) = (f.test(&gone, 1).await, f.test(&gone, 2).await);
    let of_other = f.test(&other, 3).await;
    f.record(&first, &failed(Verdict::Gone), 10).await;
    assert_eq!(f.due(100).await, [of_other]);
    let disabled = f.store.webhook(&gone).await.expect("it").disabled_at;
    assert_eq!(disabled, Some(10));
    for delivery in f.deliveries(&gone).await {
        assert_eq!(delivery.status, DeliveryStatus::Failed);
    }
    let job = f.queued("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    assert_eq!(f.deliveries(&gone).await.len(), 2);
    assert_eq!(f.deliveries(&other).await.len(), 2);
    for result in [
        f.store.queue_test(&gone, 30).await,
        f.store.redeliver(&gone, &second, 30).await,
    ] {
        assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
    }
    let strange = f.store.redeliver(&other, &second, 30).await;
    assert!(
        matches!(strange, Err(StoreError::NotFound(_))),
        "{strange:?}"
    );
}

#[tokio::test]
async fn the_log_is_paged_and_kept_short_but_what_waits_stays() {
    let f = Fixture::new().await;
    let hook = f.hook(&[]).await;
    let waiting = f.test(&hook, 1).await;
    let mut arrived = Vec::new();
    for now in 2..12 {
        let id = f.test(&hook, now).await;
        f.record(&id, &ARRIVED, now).await;
        arrived.push(id);
    }
    let page = f.store.list_deliveries(&hook, 4, None).await;
    let page = page.expect("lists");
    let ids: Vec<&str> = page.items.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids, [&arrived[9], &arrived[8], &arrived[7], &arrived[6]]);
    assert!(page.has_more);
    let rest = f.store.list_deliveries(&hook, 10, Some(ids[3])).await;
    let rest = rest.expect("lists");
    assert_eq!((rest.items.len(), rest.has_more), (7, false));
    assert_eq!(rest.items[6].id, waiting);

    assert_eq!(f.store.prune_deliveries(4, 1000).await.expect("prunes"), 2);
    assert_eq!(f.store.prune_deliveries(0, 3).await.expect("prunes"), 5);
    let left: Vec<String> = f
        .deliveries(&hook)
        .await
        .into_iter()
        .map(|d| d.id)
        .collect();
    let newest = arrived[7..].iter().rev().cloned();
    assert_eq!(left, newest.chain([waiting]).collect::<Vec<_>>());
}

/// Who reads the file, or a backup of it, learns no secret that was deleted.
#[tokio::test]
async fn a_deleted_secret_is_not_left_in_the_file() {
    let f = Fixture::new().await;
    let secret = b"a secret that is like no other..".to_vec();
    let webhook = Webhook {
        secret: secret.clone(),
        ..webhook(&[])
    };
    f.store
        .insert_webhook(&webhook, MOST)
        .await
        .expect("inserts");
    f.store.delete_webhook(&webhook.id).await.expect("deletes");
    f.store.close().await;
    let bytes = std::fs::read(f.store.path()).expect("the file");
    let found = bytes.windows(secret.len()).any(|window| window == secret);
    assert!(!found);
}
