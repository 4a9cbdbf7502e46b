//! Pause, resume, stop, retry and cancel of real jobs over HTTP.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{signal, workers_of};
use crate::service::{Service, until};
use crate::training::digits_job;

/// A job that trains for a while, and how to tell its seed from another's.
fn long(name: &str, epochs: u64) -> Value {
    let model = json!({"kind": "rbm", "hidden": 128, "algorithm": "pcd", "chains": 50});
    digits_job(name, &model, &json!({"epochs": epochs, "seed": 3}))
}

async fn post(service: &Service, id: &str, what: &str) -> crate::reply::Reply {
    let path = format!("/v1/jobs/{id}/{what}");
    service.send(service.request(Method::POST, &path)).await
}

/// Waits until the job has learnt for some epochs.
async fn started(service: &Service, id: &str) {
    until("some epochs", || async {
        let job = service.job(id).await;
        (job["progress"]["epoch"].as_u64()? >= 2).then_some(())
    })
    .await;
}

async fn reaches(service: &Service, id: &str, status: &str) -> Value {
    until(status, || async {
        let job = service.job(id).await;
        (job["status"] == status).then_some(job)
    })
    .await
}

#[tokio::test]
async fn a_paused_job_survives_a_restart_and_ends_with_the_same_weights() {
    let mut service = Service::with_digits(&[]).await;
    let alone = service.train(&long("alone", 200)).await;
    let id = service.queue(&long("paused", 200)).await;
    started(&service, &id).await;
    let pausing = post(&service, &id, "pause").await.ok(200);
    assert!(
        ["pausing", "paused"].contains(&pausing["status"].as_str().expect("a status")),
        "{pausing}"
    );
    let paused = reaches(&service, &id, "paused").await;
    assert!(paused["phase"].is_null() && paused["eta_seconds"].is_null());
    let at = paused["progress"]["step"].clone();
    post(&service, &id, "pause")
        .await
        .problem(409, "illegal_transition");

    service.terminate();
    service.ended(Duration::from_secs(30)).await;
    service.restart().await;
    // Another job runs meanwhile: the paused one holds nothing.
    service.train(&long("between", 2)).await;
    let still = service.job(&id).await;
    assert_eq!(
        (&still["status"], &still["progress"]["step"]),
        (&json!("paused"), &at)
    );

    let resumed = post(&service, &id, "resume").await.ok(200);
    assert_eq!(resumed["status"], "queued");
    let job = service.succeeded(&id).await;
    assert_eq!(job["attempt"], 1, "no worker was lost");
    assert_eq!(
        service.weights(&alone).await,
        service.weights(&job).await,
        "other weights than undisturbed"
    );
    post(&service, &id, "resume")
        .await
        .problem(409, "illegal_transition");
}

#[tokio::test]
async fn a_stopped_job_publishes_what_is_trained() {
    let service = Service::with_digits(&[]).await;
    let id = service.queue(&long("stopped", 100_000)).await;
    started(&service, &id).await;
    post(&service, &id, "stop").await.ok(200);
    let job = service.succeeded(&id).await;
    assert_eq!(job["result"]["stopped"], true);
    assert!(job["progress"]["fraction"].as_f64().expect("a number") < 0.5);
    assert!(job["metrics"]["test/reconstruction_mse"].is_f64(), "{job}");
    let version = service.get("/v1/models/stopped/versions/1").await.ok(200);
    assert_eq!(version["job"], json!(id));

    // From its checkpoint, when it is paused.
    let id = service.queue(&long("stopped", 100_000)).await;
    started(&service, &id).await;
    post(&service, &id, "pause").await.ok(200);
    let paused = reaches(&service, &id, "paused").await;
    post(&service, &id, "stop").await.ok(200);
    let job = service.succeeded(&id).await;
    assert_eq!(job["result"]["version"], 2);
    assert_eq!(job["progress"]["step"], paused["progress"]["step"]);
    post(&service, &id, "stop")
        .await
        .problem(409, "illegal_transition");
}

#[tokio::test]
async fn a_retry_is_a_new_job_of_the_same_documents() {
    let service = Service::with_digits(&[]).await;
    let wanted = long("again", 3);
    let first = service.train(&wanted).await;
    let id = first["id"].as_str().expect("an id");
    let retried = post(&service, id, "retry").await.ok(202);
    assert_ne!(retried["id"], first["id"]);
    assert_eq!(retried["retry_of"], first["id"]);
    for field in ["model", "training", "dataset", "metadata", "name"] {
        assert_eq!(retried[field], first[field], "{field}");
    }
    let second = service
        .succeeded(retried["id"].as_str().expect("an id"))
        .await;
    assert_eq!(second["result"]["version"], 2);
    assert_eq!(
        service.weights(&first).await,
        service.weights(&second).await
    );

    let running = service.queue(&long("again", 100_000)).await;
    let refused = post(&service, &running, "retry")
        .await
        .problem(409, "illegal_transition");
    assert!(
        refused["detail"]
            .as_str()
            .expect("text")
            .contains("has ended"),
        "{refused}"
    );
    post(&service, &running, "cancel").await.ok(200);
    let canceled = reaches(&service, &running, "canceled").await;
    assert!(canceled["result"].is_null());
    post(&service, "job_none", "retry")
        .await
        .problem(404, "not_found");
    post(&service, &running, "retry").await.ok(202);
}

#[tokio::test]
async fn priority_goes_before_age_and_bad_ones_are_refused() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    let mut ids = Vec::new();
    for priority in [0, 7, -7] {
        let mut job = long("queued", 2);
        job["priority"] = json!(priority);
        ids.push(service.queue(&job).await);
    }
    let mut positions = Vec::new();
    for id in &ids {
        positions.push(service.job(id).await["queue_position"].clone());
    }
    assert_eq!(positions, [json!(2), json!(1), json!(3)]);
    // Nothing is trained yet.
    let refused = post(&service, &ids[0], "stop")
        .await
        .problem(409, "conflict");
    assert!(
        refused["detail"].as_str().expect("text").contains("cancel"),
        "{refused}"
    );
    let mut job = long("queued", 2);
    job["priority"] = json!(101);
    let refused = service.post("/v1/jobs", &job).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/priority");
}

/// A worker that hears nothing any more: it is killed after the grace, whatever the queue holds.
#[tokio::test]
async fn a_job_whose_worker_hangs_is_canceled_all_the_same() {
    let service = Service::with_digits(&["--grace-seconds", "1", "--max-queued-jobs", "1"]).await;
    let id = service.queue(&long("hangs", 100_000)).await;
    started(&service, &id).await;
    service.queue(&long("waits", 2)).await;
    let worker = workers_of(service.pid())[0];
    assert!(signal(worker, "STOP"));
    let asked = Instant::now();
    post(&service, &id, "cancel").await.ok(200);
    reaches(&service, &id, "canceled").await;
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        !workers_of(service.pid()).contains(&worker),
        "the hanging process is gone"
    );
}

/// Stopped within a transaction a worker would hold up every other writer, whoever has the lease: then it goes on
/// a little, and is stopped anew.
async fn stand_still_between_writes(service: &Service, worker: u32) {
    until("a stop between two writes", || async {
        assert!(signal(worker, "STOP"));
        let write = service
            .request(Method::PUT, "/v1/models/alone/aliases/seen")
            .json(&json!({"version": 1}));
        let written = tokio::time::timeout(Duration::from_secs(2), service.send(write)).await;
        if written.is_err() {
            assert!(signal(worker, "CONT"));
        }
        written.ok().map(|reply| {
            reply.expect(200);
        })
    })
    .await;
}

/// Past its lease another worker takes the job; the late one may write nothing.
#[tokio::test]
async fn a_worker_that_stood_still_past_its_lease_is_fenced_off() {
    let flags = ["--workers", "2", "--grace-seconds", "20"];
    let service = Service::with_digits(&flags).await;
    let alone = service.train(&long("alone", 300)).await;
    let id = service.queue(&long("stands", 300)).await;
    started(&service, &id).await;
    let worker = workers_of(service.pid())[0];
    stand_still_between_writes(&service, worker).await;
    until("another attempt", || async {
        (service.job(&id).await["attempt"] == 2).then_some(())
    })
    .await;
    assert!(signal(worker, "CONT"));
    let job = service.succeeded(&id).await;
    assert_eq!(job["attempt"], 2);
    assert_eq!(service.weights(&alone).await, service.weights(&job).await);
    let events = service.all_events(&id).await;
    assert_eq!(
        events.iter().filter(|event| event["kind"] == "end").count(),
        1
    );
}
