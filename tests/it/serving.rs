//! Inference under load: batches, deadlines, priorities, a full queue, models that come and go.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::{assert_near, first_digits as rows};
use crate::process::memory;
use crate::service::{Service, until};
use crate::training::{digits_job, small_autoencoder, small_rbm};

/// Waits until so many calls wait for the thread that computes long ones, or are computed by it.
async fn long_calls(service: &Service, count: usize) {
    let line = format!("latentd_inference_long_calls {count}");
    until("the long calls", async || {
        let metrics = service.get("/metrics").await.whole_text();
        metrics.lines().any(|other| other == line).then_some(())
    })
    .await;
}

/// A chain so long that the next one has to wait for it, but not for the test to hang.
fn long_call() -> Value {
    json!({"n": 256, "gibbs_steps": 24000, "seed": 1})
}

/// One that waits for its turn behind it.
fn next_long_call() -> Value {
    json!({"n": 256, "gibbs_steps": 6000})
}

#[tokio::test]
async fn what_is_asked_at_once_is_answered_as_if_alone() {
    let service = Arc::new(Service::with_digits(&[]).await);
    let conditional = digits_job(
        "mlp",
        &json!({"kind": "mlp", "hidden": [32]}),
        &json!({"epochs": 1}),
    );
    let vae = digits_job(
        "vae",
        &json!({"kind": "vae", "hidden": [32], "latent": 4, "conditional": true}),
        &json!({"epochs": 1}),
    );
    for job in [
        &small_autoencoder("ae"),
        &small_rbm("rbm"),
        &conditional,
        &vae,
    ] {
        service.train(job).await;
    }
    let digits = rows(&service, 24).await;
    for (path, labels) in [
        ("ae/encode", false),
        ("ae/reconstruct", false),
        ("ae/score", false),
        ("rbm/encode", false),
        ("rbm/score", false),
        ("mlp/predict", false),
        ("vae/encode", true),
        ("vae/score", true),
    ] {
        let path = format!("/v1/models/{path}");
        let body = |from: usize, to: usize| {
            let mut body = json!({"inputs": &digits[from..to]});
            if labels {
                let classes: Vec<usize> = (from..to).map(|i| i % 10).collect();
                body["labels"] = json!(classes);
            }
            body
        };
        let together = service.post(&path, &body(0, 24)).await.ok(200);
        let mut waiting = tokio::task::JoinSet::new();
        for i in 0..24 {
            let (service, path, body) = (Arc::clone(&service), path.clone(), body(i, i + 1));
            waiting.spawn(async move { (i, service.post(&path, &body).await.ok(200)) });
        }
        while let Some(done) = waiting.join_next().await {
            let (i, alone) = done.expect("no panic");
            for key in ["outputs", "errors", "mean", "log_variance", "probabilities"] {
                if !together[key].is_null() {
                    assert_near(&alone[key][0], &together[key][i], 1e-5, &path);
                }
            }
            if let Some(label) = together["labels"].get(i) {
                assert_eq!(&alone["labels"][0], label, "{path}");
            }
        }
    }
    let metrics = service.get("/metrics").await.whole_text();
    for name in [
        "latentd_inference_batch_rows_bucket",
        "latentd_inference_queue_wait_seconds_sum",
        "latentd_inference_compute_duration_seconds_count",
        "latentd_inference_batches_total{trigger=\"idle\"}",
        "latentd_inference_queue_capacity",
        "latentd_model_loads_total",
        "latentd_models_loaded_bytes",
    ] {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
}

#[tokio::test]
async fn one_wrong_request_among_many_is_the_only_one_refused() {
    let service = Arc::new(Service::with_digits(&["--batch-delay-ms", "100"]).await);
    service.train(&small_autoencoder("ae")).await;
    let digits = rows(&service, 8).await;
    let mut waiting = tokio::task::JoinSet::new();
    for (i, row) in digits.into_iter().enumerate() {
        let service = Arc::clone(&service);
        waiting.spawn(async move {
            let row = if i == 3 { vec![0.5; 7] } else { row };
            let reply = service
                .post("/v1/models/ae/encode", &json!({"inputs": [row]}))
                .await;
            if i == 3 {
                reply.invalid("/inputs");
            } else {
                reply.expect(200);
                assert!(reply.header("server-timing").contains("queue;dur="));
            }
        });
    }
    while let Some(done) = waiting.join_next().await {
        done.expect("no panic");
    }
}

#[tokio::test]
async fn a_long_chain_holds_up_no_quick_call_and_ends_when_nobody_waits() {
    let service = Arc::new(Service::with_digits(&[]).await);
    service.train(&small_rbm("rbm")).await;
    let body = json!({"inputs": rows(&service, 1).await});
    let few = json!({"n": 2, "gibbs_steps": 5, "seed": 1});
    let encode = async || service.post("/v1/models/rbm/encode", &body).await.ok(200);
    let generate = async || service.post("/v1/models/rbm/generate", &few).await.ok(200);
    let (code, sample) = (encode().await, generate().await);
    let chain = {
        let service = Arc::clone(&service);
        let body = json!({"n": 256, "gibbs_steps": 100_000});
        tokio::spawn(async move { service.post("/v1/models/rbm/generate", &body).await })
    };
    long_calls(&service, 1).await;
    for _ in 0..10 {
        assert_eq!(encode().await["outputs"], code["outputs"]);
        assert_eq!(generate().await["outputs"], sample["outputs"]);
    }
    assert!(!chain.is_finished(), "the chain was too short");
    chain.abort();
    let left = std::time::Instant::now();
    long_calls(&service, 0).await;
    assert!(left.elapsed() < Duration::from_secs(3));
    let again = json!({"n": 2, "gibbs_steps": 300, "seed": 1});
    let reply = service.post("/v1/models/rbm/generate", &again).await;
    reply.expect(200);
}

#[tokio::test]
async fn a_deadline_is_kept_whatever_the_thread_is_doing() {
    let service = Arc::new(Service::with_digits(&[]).await);
    service.train(&small_rbm("rbm")).await;
    let digits = rows(&service, 1).await;
    let busy = {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let reply = service.post("/v1/models/rbm/generate", &long_call()).await;
            reply.expect(200);
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = std::time::Instant::now();
    let mut late = next_long_call();
    late["timeout_ms"] = 30.into();
    service
        .post("/v1/models/rbm/generate", &late)
        .await
        .problem(504, "deadline_passed");
    let by_header = service
        .request(Method::POST, "/v1/models/rbm/generate?priority=high")
        .header("x-latentd-timeout-ms", "30")
        .json(&next_long_call());
    service
        .send(by_header)
        .await
        .problem(504, "deadline_passed");
    assert!(!busy.is_finished(), "the call in front was too short");
    assert!(start.elapsed() < Duration::from_secs(5));
    for (body, pointer) in [
        (json!({"inputs": digits, "timeout_ms": 0}), "/timeout_ms"),
        (json!({"inputs": digits, "timeout_ms": "1"}), "/timeout_ms"),
        (json!({"inputs": digits, "priority": "first"}), "/priority"),
    ] {
        service
            .post("/v1/models/rbm/encode", &body)
            .await
            .invalid(pointer);
    }
    busy.await.expect("no panic");
    let body = json!({"inputs": digits, "timeout_ms": 60_000, "priority": "low"});
    service
        .post("/v1/models/rbm/encode", &body)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_full_queue_turns_away_and_those_who_left_make_room() {
    let service = Arc::new(Service::with_digits(&["--inference-queue", "4"]).await);
    service.train(&small_rbm("rbm")).await;
    let spawn = |body: &Value| {
        let (service, body) = (Arc::clone(&service), body.clone());
        tokio::spawn(async move { service.post("/v1/models/rbm/generate", &body).await })
    };
    let busy = spawn(&long_call());
    long_calls(&service, 1).await;
    // Long calls may fill half of the queue.
    let waiting = [(); 2].map(|()| spawn(&next_long_call()));
    long_calls(&service, 3).await;
    let refused = service
        .post("/v1/models/rbm/generate", &next_long_call())
        .await;
    refused.problem(429, "queue_full");
    let seconds: u64 = refused
        .header("retry-after")
        .parse()
        .expect("whole seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    let body = json!({"inputs": rows(&service, 1).await});
    service
        .post("/v1/models/rbm/encode", &body)
        .await
        .expect(200);
    // One of those who wait leaves; its place is free at once, though the thread is still busy.
    let [stays, leaves] = waiting;
    leaves.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut late = next_long_call();
    late["timeout_ms"] = 50.into();
    service
        .post("/v1/models/rbm/generate", &late)
        .await
        .problem(504, "deadline_passed");
    assert!(!busy.is_finished(), "the call in front was too short");
    busy.await.expect("no panic").expect(200);
    stays.await.expect("no panic").expect(200);
}

#[tokio::test]
async fn a_new_version_takes_over_without_a_failed_request() {
    let service = Arc::new(Service::with_digits(&[]).await);
    service.train(&small_autoencoder("ae")).await;
    let digits = rows(&service, 1).await;
    let mut clients = tokio::task::JoinSet::new();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    for _ in 0..4 {
        let (service, digits, stopped) = (Arc::clone(&service), digits.clone(), stopped.clone());
        clients.spawn(async move {
            let mut newest = 0;
            while !*stopped.borrow() {
                let body = json!({"inputs": digits});
                let reply = service.post("/v1/models/ae/encode", &body).await.ok(200);
                let version = reply["version"].as_i64().expect("a version");
                assert!(version >= newest, "{version} after {newest}");
                newest = version;
            }
            newest
        });
    }
    for version in 2..=3 {
        service.train(&small_autoencoder("ae")).await;
        // Whoever knows that the job has ended is answered by what it published.
        let body = json!({"inputs": digits});
        let reply = service.post("/v1/models/ae/encode", &body).await.ok(200);
        assert_eq!(reply["version"], version);
    }
    service
        .put("/v1/models/ae/aliases/live", &json!({"version": 1}))
        .await
        .expect(200);
    for version in [2, 3, 1] {
        let target = json!({"version": version});
        service
            .put("/v1/models/ae/aliases/live", &target)
            .await
            .expect(200);
        let body = json!({"inputs": digits});
        let reply = service
            .post("/v1/models/ae@live/encode", &body)
            .await
            .ok(200);
        assert_eq!(reply["version"], version, "an alias moves at once");
    }
    let alias = service.get("/v1/models/ae/aliases/live").await.ok(200);
    let history: Vec<i64> = alias["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| m["version"].as_i64().expect("a version"))
        .collect();
    assert_eq!(
        (alias["version"].as_i64(), history),
        (Some(1), vec![1, 3, 2, 1])
    );
    service
        .get("/v1/models/ae/aliases/never")
        .await
        .problem(404, "not_found");
    stop.send_replace(true);
    while let Some(newest) = clients.join_next().await {
        assert_eq!(newest.expect("no failed request"), 3);
    }
}

#[tokio::test]
async fn two_hundred_rounds_of_loading_leave_the_memory_as_it_was() {
    let service = Service::with_digits(&[]).await;
    // Some 12 MB of weights: what is left behind shows.
    let wide = json!({"kind": "autoencoder", "hidden": [1500], "code": 8});
    service
        .train(&digits_job("wide", &wide, &json!({"epochs": 1})))
        .await;
    let digits = rows(&service, 1).await;
    let mut settled = 0;
    for round in 0..200 {
        let loaded = service
            .post("/v1/models/wide/load", &json!({}))
            .await
            .ok(200);
        assert_eq!(
            (&loaded["loaded"], &loaded["version"]),
            (&json!(true), &json!(1))
        );
        if round % 10 == 0 {
            let body = json!({"inputs": digits});
            service
                .post("/v1/models/wide/encode", &body)
                .await
                .expect(200);
            let version = service.get("/v1/models/wide/versions/1").await.ok(200);
            assert_eq!(version["loaded"], true);
        }
        let unloaded = service
            .post("/v1/models/wide/unload", &json!({}))
            .await
            .ok(200);
        assert_eq!(unloaded["loaded"], false);
        if round == 40 {
            settled = memory(service.pid());
        }
    }
    let after = memory(service.pid());
    assert!(
        after < settled + (12 << 20),
        "{} MiB after 40 rounds, {} MiB after 200",
        settled >> 20,
        after >> 20
    );
    let model = service.get("/v1/models/wide").await.ok(200);
    assert_eq!(model["versions"][0]["loaded"], false);
    service
        .post("/v1/models/nobody/load", &json!({}))
        .await
        .problem(404, "not_found");
}
