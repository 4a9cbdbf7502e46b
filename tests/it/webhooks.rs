//! Webhooks from registration to the log of deliveries, with real receivers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::receiver::{Next, Received, Receiver};
use crate::reply::Reply;
use crate::service::{Service, until};
use crate::training::small_rbm;

const OPEN: [&str; 3] = ["--webhook-allow-private", "--webhook-backoff-ms", "50"];
/// Jobs wait and are canceled: what is told does not depend on training.
const IDLE: [&str; 5] = [
    "--webhook-allow-private",
    "--webhook-backoff-ms",
    "50",
    "--workers",
    "0",
];

async fn register(service: &Service, wanted: &Value) -> Value {
    service.post("/v1/webhooks", wanted).await.ok(201)
}

fn id(of: &Value) -> &str {
    of["id"].as_str().expect("an id")
}

async fn post(service: &Service, path: &str) -> Reply {
    service.send(service.request(Method::POST, path)).await
}

async fn deliveries(service: &Service, webhook: &Value) -> Vec<Value> {
    let path = format!("/v1/webhooks/{}/deliveries", id(webhook));
    let page = service.get(&path).await.ok(200);
    page["data"].as_array().expect("a list").clone()
}

/// The newest delivery once it stands so.
async fn newest(service: &Service, webhook: &Value, status: &str) -> Value {
    until(&format!("a delivery to be {status}"), || async {
        let found = deliveries(service, webhook).await;
        found.first().filter(|d| d["status"] == status).cloned()
    })
    .await
}

async fn arrived(receiver: &Receiver, count: usize) -> Vec<Received> {
    until("the messages to arrive", || async {
        let received = receiver.received();
        (received.len() >= count).then_some(received)
    })
    .await
}

async fn canceled_job(service: &Service) -> String {
    let job = service.queue(&small_rbm("told")).await;
    post(service, &format!("/v1/jobs/{job}/cancel"))
        .await
        .ok(200);
    job
}

#[tokio::test]
async fn a_job_is_told_of_signed_and_again_until_it_has_arrived() {
    let service = Service::with_digits(&OPEN).await;
    let receiver = Receiver::start(&[(500, &[]), (503, &[("retry-after", "1")])]).await;
    let wanted = json!({
        "url": receiver.url(),
        "events": ["job.succeeded", "job.failed", "job.succeeded"],
        "metadata": {"who": "a test"},
    });
    let created = service.post("/v1/webhooks", &wanted).await;
    let webhook = created.ok(201);
    assert_eq!(
        created.header("location"),
        format!("/v1/webhooks/{}", id(&webhook))
    );
    assert_eq!(webhook["events"], json!(["job.succeeded", "job.failed"]));
    let secret = webhook["secret"].as_str().expect("a secret").to_owned();
    let job = service.train(&small_rbm("told")).await;

    let received = arrived(&receiver, 3).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("a time");
    for message in &received {
        assert!(message.is_signed_with(&secret), "{message:?}");
        assert!((now - message.timestamp).abs() < 120, "{message:?}");
        assert_eq!(message.id, received[0].id, "one message, sent again");
        assert_eq!(message.raw, received[0].raw);
    }
    assert!(
        received[2].timestamp > received[1].timestamp,
        "a second of patience was asked for"
    );
    let body = &received[0].body;
    assert_eq!(body["type"], "job.succeeded");
    assert_eq!(body["timestamp"], job["finished_at"]);
    for field in [
        "id", "name", "task", "status", "result", "error", "metadata",
    ] {
        assert_eq!(body["data"][field], job[field], "{field}");
    }

    let delivery = newest(&service, &webhook, "delivered").await;
    assert_eq!(delivery["id"], received[0].id.as_str());
    assert_eq!(
        (&delivery["event"], &delivery["job"]),
        (&json!("job.succeeded"), &job["id"])
    );
    assert_eq!(
        (&delivery["attempts"], &delivery["response_status"]),
        (&json!(3), &json!(204))
    );
    assert!(delivery["error"].is_null() && delivery["next_attempt_at"].is_null());
    let metrics = service.get("/metrics").await.body;
    let metrics = String::from_utf8(metrics).expect("text");
    for line in [
        "latentd_webhook_deliveries_total{outcome=\"delivered\"} 1",
        "latentd_webhook_deliveries_total{outcome=\"retry\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    let again = format!(
        "/v1/webhooks/{}/deliveries/{}/redeliver",
        id(&webhook),
        received[0].id
    );
    assert_eq!(post(&service, &again).await.ok(202)["status"], "pending");
    let received = arrived(&receiver, 4).await;
    assert_eq!(
        (&received[3].id, &received[3].raw),
        (&received[0].id, &received[0].raw)
    );
    let one = service
        .get(&format!("/v1/webhooks/{}", id(&webhook)))
        .await
        .ok(200);
    assert!(one.get("secret").is_none(), "shown once: {one}");
    assert_eq!(one["metadata"], wanted["metadata"]);
}

#[tokio::test]
async fn what_a_job_says_while_the_receiver_is_down_outlives_the_service() {
    let mut service = Service::with_digits(&IDLE).await;
    let receiver = Receiver::start(&[]).await;
    let port = receiver.port;
    let secret = format!("whsec_{}", "A".repeat(44));
    // 44 letters are 33 bytes of zeros.
    let webhook = register(&service, &json!({"url": receiver.url(), "secret": secret})).await;
    assert_eq!(webhook["secret"], secret.as_str());
    drop(receiver);
    // Patience enough that the restart lies between two attempts.
    service.terminate();
    service.ended(Duration::from_secs(30)).await;
    service
        .restart_with(&[
            "--webhook-allow-private",
            "--webhook-backoff-ms",
            "2000",
            "--workers",
            "0",
        ])
        .await;
    let job = canceled_job(&service).await;
    until("a first attempt", || async {
        let found = deliveries(&service, &webhook).await;
        let tried = found.first()?;
        (tried["attempts"].as_i64()? >= 1).then(|| tried.clone())
    })
    .await;
    let waiting = newest(&service, &webhook, "pending").await;
    assert!(waiting["response_status"].is_null(), "{waiting}");
    assert!(
        waiting["error"]
            .as_str()
            .is_some_and(|error| error.contains("refused")),
        "{waiting}"
    );
    service.kill();
    let receiver = Receiver::at(port, &[]).await;
    service.restart().await;
    let received = arrived(&receiver, 1).await;
    assert!(received[0].is_signed_with(&secret));
    assert_eq!(received[0].body["type"], "job.canceled");
    assert_eq!(received[0].body["data"]["id"], job.as_str());
    let delivery = newest(&service, &webhook, "delivered").await;
    assert_eq!(delivery["id"], received[0].id.as_str());
}

#[tokio::test]
async fn receivers_that_hang_hold_up_neither_others_nor_jobs_nor_the_end() {
    let mut service = Service::with_digits(&IDLE).await;
    // They accept, by their backlog, and never answer.
    let mut silent = Vec::new();
    for _ in 0..20 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        register(
            &service,
            &json!({"url": format!("http://127.0.0.1:{port}/")}),
        )
        .await;
        silent.push(listener);
    }
    let receiver = Receiver::start(&[]).await;
    register(&service, &json!({"url": receiver.url()})).await;
    let started = Instant::now();
    for _ in 0..8 {
        canceled_job(&service).await;
    }
    arrived(&receiver, 8).await;
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "waited for those that hang: {:?}",
        started.elapsed()
    );
    let started = Instant::now();
    service.terminate();
    let status = service.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status} after {:?}", started.elapsed());
}

#[tokio::test]
async fn gone_disables_and_attempts_come_to_an_end() {
    let service = Service::with_digits(&IDLE).await;
    let gone = Receiver::start(&[(410, &[])]).await;
    let webhook = register(&service, &json!({"url": gone.url()})).await;
    let path = format!("/v1/webhooks/{}", id(&webhook));
    let queued = post(&service, &format!("{path}/test")).await.ok(202);
    assert_eq!(
        (&queued["event"], &queued["status"]),
        (&json!("webhook.test"), &json!("pending"))
    );
    let failed = newest(&service, &webhook, "failed").await;
    assert_eq!(
        (&failed["id"], &failed["response_status"]),
        (&queued["id"], &json!(410))
    );
    assert_eq!(gone.received()[0].body["type"], "webhook.test");
    let disabled = service.get(&path).await.ok(200);
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    post(&service, &format!("{path}/test"))
        .await
        .problem(409, "conflict");

    // A redirect is no success, and is not followed.
    let redirect: Next = (302, &[("location", "/hook")]);
    let elsewhere = Receiver::start(&[redirect; 9]).await;
    let webhook = register(&service, &json!({"url": elsewhere.url()})).await;
    let path = format!("/v1/webhooks/{}", id(&webhook));
    post(&service, &format!("{path}/test")).await.ok(202);
    let failed = newest(&service, &webhook, "failed").await;
    assert_eq!(
        (&failed["attempts"], &failed["response_status"]),
        (&json!(9), &json!(302))
    );
    assert_eq!(elsewhere.received().len(), 9);

    service.delete(&path).await.expect(204);
    service.get(&path).await.problem(404, "not_found");
    service.delete(&path).await.problem(404, "not_found");
    let listed = service.get("/v1/webhooks").await.ok(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    service
        .get(&format!("{path}/deliveries"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_webhook_that_cannot_be_is_refused_by_field() {
    let mut service = Service::start(&["--workers", "0"]).await;
    let url = "https://example.com/hook";
    let long = format!("{url}?{}", "x".repeat(2048));
    let short = "whsec_AAAA";
    let big = "x".repeat(17 << 10);
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"url": "ftp://example.com/"}), "/url"),
        (json!({"url": "example.com/hook"}), "/url"),
        (json!({"url": "https://me:word@example.com/"}), "/url"),
        (json!({"url": "https://example.com/#part"}), "/url"),
        (json!({"url": long}), "/url"),
        (json!({"url": "http://127.0.0.1:9/"}), "/url"),
        (json!({"url": "http://2130706433/"}), "/url"),
        (json!({"url": "http://[::ffff:192.168.0.1]/"}), "/url"),
        (json!({"url": "http://169.254.169.254/latest"}), "/url"),
        (json!({"url": "http://localhost/"}), "/url"),
        (json!({"url": url, "events": []}), "/events"),
        (json!({"url": url, "events": ["job.eaten"]}), "/events/0"),
        (json!({"url": url, "events": ["webhook.test"]}), "/events/0"),
        (json!({"url": url, "secret": "hunter2"}), "/secret"),
        (json!({"url": url, "secret": short}), "/secret"),
        (json!({"url": url, "metadata": {"x": big}}), "/metadata"),
        (json!({"url": url, "urls": [url]}), "/urls"),
    ] {
        let reply = service.post("/v1/webhooks", &body).await;
        reply.invalid(pointer);
    }
    let two = json!({"url": "ftp://x/", "secret": "x"});
    let reply = service.post("/v1/webhooks", &two).await;
    reply.invalid("/url");
    reply.invalid("/secret");
    let none = service.get("/v1/webhooks").await.ok(200);
    assert_eq!(none["data"], json!([]), "nothing was kept");

    // Made while it was allowed; the flag is gone since.
    service.terminate();
    service.ended(Duration::from_secs(30)).await;
    service.restart_with(&IDLE).await;
    let receiver = Receiver::start(&[]).await;
    let webhook = register(&service, &json!({"url": receiver.url()})).await;
    service.terminate();
    service.ended(Duration::from_secs(30)).await;
    service.restart_with(&["--workers", "0"]).await;
    let path = format!("/v1/webhooks/{}", id(&webhook));
    post(&service, &format!("{path}/test")).await.ok(202);
    let refused = until("an attempt", || async {
        let found = deliveries(&service, &webhook).await;
        found.first().filter(|d| d["attempts"] == 1).cloned()
    })
    .await;
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|error| error.contains("private network")),
        "{refused}"
    );
    assert!(receiver.received().is_empty(), "it was sent all the same");
    post(&service, "/v1/webhooks/wh_none/test")
        .await
        .problem(404, "not_found");
    post(&service, &format!("{path}/deliveries/msg_none/redeliver"))
        .await
        .problem(404, "not_found");
}
