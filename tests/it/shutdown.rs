//! SIGTERM: nothing new is let in, requests under way are answered, a running job is handed back and
//! later goes on as if nothing had been.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::process::workers_of;
use crate::service::Service;
use crate::training::{digits_job, endless};

/// More than the 20 seconds that the service gives itself.
const BOUND: Duration = Duration::from_secs(40);

fn job(name: &str) -> Value {
    let model = json!({"kind": "rbm", "hidden": 256, "algorithm": "pcd"});
    digits_job(
        name,
        &model,
        &json!({"epochs": 150, "seed": 5, "checkpoint_every_epochs": 1000}),
    )
}

#[tokio::test]
async fn a_running_job_is_handed_back_and_ends_with_the_same_weights() {
    let mut service = Service::with_digits(&[]).await;
    let alone = service.train(&job("alone")).await;
    let id = service.queue(&job("interrupted")).await;
    service.running(&id).await;
    stop(&mut service).await;

    // Without workers nobody takes it up, so it is seen as it was left.
    service.restart_with(&["--workers", "0"]).await;
    let left = service.job(&id).await;
    assert_eq!(left["status"], "queued", "{left}");
    assert_eq!(left["queue_position"], 1);
    let checkpoints = service
        .get(&format!("/v1/jobs/{id}/checkpoints"))
        .await
        .ok(200);
    assert!(
        checkpoints["data"][0]["step"].as_i64() > Some(0),
        "released with a checkpoint: {checkpoints}"
    );
    stop(&mut service).await;

    service.restart().await;
    let ended = service.succeeded(&id).await;
    assert_eq!(ended["attempt"], 1, "no worker was lost: {ended}");
    assert_eq!(service.weights(&ended).await, service.weights(&alone).await);
    let alone_id = alone["id"].as_str().expect("an id");
    assert_eq!(
        service.all_series(&id).await,
        service.all_series(alone_id).await
    );
}

#[tokio::test]
async fn requests_under_way_are_answered_and_streams_end() {
    let mut service = Service::with_digits(&[]).await;
    let id = service.queue(&endless("endless")).await;
    service.running(&id).await;
    let path = format!("/v1/jobs/{id}");
    let waiting = service
        .request(Method::GET, &path)
        .header("prefer", "wait=60")
        .send();
    let waiting = tokio::spawn(waiting);
    let events = service
        .request(Method::GET, &format!("{path}/events"))
        .header("accept", "text/event-stream");
    let stream = events.send().await.expect("a stream");
    // When this shorter wait is answered, the longer one, sent before, is surely under way.
    service
        .send(
            service
                .request(Method::GET, &path)
                .header("prefer", "wait=2"),
        )
        .await
        .ok(200);
    assert!(!waiting.is_finished());

    service.terminate();
    let answer = waiting
        .await
        .expect("not canceled")
        .expect("answered, not cut off");
    assert_eq!(answer.status().as_u16(), 200);
    let body: Value =
        serde_json::from_slice(&answer.bytes().await.expect("a whole body")).expect("JSON");
    assert_eq!(body["id"], id.as_str());
    let text = stream.text().await.expect("the stream ends as it should");
    assert!(
        text.contains("event: status") || text.contains("event:status"),
        "{text}"
    );
    let status = service.ended(BOUND).await;
    assert_eq!(status.code(), Some(0), "{}", service.log());
}

#[tokio::test]
async fn nothing_new_is_let_in() {
    let mut service = Service::with_digits(&[]).await;
    let first = service.queue(&endless("first")).await;
    let second = service.queue(&endless("second")).await;
    service.running(&first).await;
    stop(&mut service).await;
    let refused = tokio::net::TcpStream::connect(service.address()).await;
    assert!(refused.is_err(), "the port is still open");
    service.restart_with(&["--workers", "0"]).await;
    for id in [&first, &second] {
        assert_eq!(service.job(id).await["status"], "queued");
    }
    assert_eq!(
        service.job(&first).await["queue_position"],
        1,
        "it keeps its place"
    );
    assert_eq!(service.get("/readyz").await.expect(200).text(), "ok\n");
}

/// Shuts the service down; it must end well, in time, and take its workers along.
async fn stop(service: &mut Service) {
    let pid = service.pid();
    service.terminate();
    let status = service.ended(BOUND).await;
    assert_eq!(status.code(), Some(0), "{}", service.log());
    assert!(workers_of(pid).is_empty());
}
