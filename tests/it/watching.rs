//! What a client sees of a job from outside: pictures, forecasts, gaps in the log; and what it makes of
//! checkpoints.

use reqwest::Method;
use serde_json::{Value, json};

use crate::service::{Service, until};
use crate::training::digits_job;

/// Width and height of a PNG.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "not a PNG");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (number(16), number(20))
}

#[tokio::test]
async fn generators_and_reconstructions_are_seen_epoch_by_epoch() {
    let service = Service::with_digits(&[]).await;
    for model in [
        json!({"kind": "gan", "architecture": "dense", "hidden": [32], "latent": 8, "conditional": true}),
        json!({"kind": "vae", "hidden": [32], "latent": 4}),
        json!({"kind": "autoencoder", "hidden": [32], "code": 8}),
        json!({"kind": "dbn", "hidden": [32, 32], "pretraining": {"epochs": 1}}),
    ] {
        let kind = model["kind"].as_str().expect("text").to_owned();
        let job = digits_job(&kind, &model, &json!({"epochs": 3, "seed": 1}));
        let job = service.train(&job).await;
        let id = job["id"].as_str().expect("an id");
        let list = service.get(&format!("/v1/jobs/{id}/samples")).await.ok(200);
        let epochs: Vec<_> = list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|sample| sample["epoch"].as_i64().expect("a number"))
            .collect();
        assert_eq!(epochs.len(), 3, "{kind}: {list}");
        let mut pictures = Vec::new();
        for sample in list["data"].as_array().expect("a list") {
            let reply = service.get(sample["path"].as_str().expect("a path")).await;
            reply.expect(200);
            assert_eq!(reply.header("content-type"), "image/png");
            let (width, height) = png_size(&reply.body);
            assert!(width > 200 && height > 200, "{kind}: {width} x {height}");
            pictures.push(reply.body);
        }
        assert_ne!(pictures[0], pictures[2], "{kind} has learnt nothing");
        let events = service.all_events(id).await;
        let told = events.iter().filter(|event| event["kind"] == "sample");
        assert_eq!(told.count(), 3, "{kind}");
    }
    let id = service
        .train(&digits_job(
            "mlp",
            &json!({"kind": "mlp", "hidden": [8]}),
            &json!({"epochs": 1}),
        ))
        .await["id"]
        .clone();
    let id = id.as_str().expect("an id");
    let none = service.get(&format!("/v1/jobs/{id}/samples")).await.ok(200);
    assert_eq!(none["data"], json!([]), "a classifier makes no pictures");
    for bad in ["1.png", "1", "x.png", "-1.png"] {
        service
            .get(&format!("/v1/jobs/{id}/samples/{bad}"))
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_checkpoint_becomes_a_model_while_its_job_goes_on() {
    let service = Service::with_digits(&[]).await;
    let model = json!({"kind": "dbn", "hidden": [64, 32], "head": "classifier", "pretraining": {"epochs": 2}});
    let training = json!({"epochs": 400, "seed": 2, "keep_checkpoints": 2});
    let id = service.queue(&digits_job("early", &model, &training)).await;
    let checkpoint = until("a checkpoint", || async {
        let list = service
            .get(&format!("/v1/jobs/{id}/checkpoints"))
            .await
            .ok(200);
        list["data"][0]["number"].as_i64()
    })
    .await;
    let path = format!("/v1/jobs/{id}/checkpoints/{checkpoint}/promote");
    let reply = service.send(service.request(Method::POST, &path)).await;
    // It may have been replaced in between: then the newest is taken.
    let reply = if reply.status == 404 {
        let list = service
            .get(&format!("/v1/jobs/{id}/checkpoints"))
            .await
            .ok(200);
        let path = format!(
            "/v1/jobs/{id}/checkpoints/{}/promote",
            list["data"][0]["number"]
        );
        service.send(service.request(Method::POST, &path)).await
    } else {
        reply
    };
    let version = reply.ok(201);
    assert_eq!(reply.header("location"), "/v1/models/early/versions/1");
    assert_eq!(
        (&version["version"], &version["job"]),
        (&json!(1), &json!(id))
    );
    let asked = json!({"rows": {"dataset": "digits", "split": "test", "limit": 4}});
    let answer = service
        .post("/v1/models/early:1/predict", &asked)
        .await
        .ok(200);
    assert_eq!(answer["labels"].as_array().expect("labels").len(), 4);
    service
        .send(service.request(Method::POST, &format!("/v1/jobs/{id}/stop")))
        .await
        .ok(200);
    let job = service.succeeded(&id).await;
    assert_eq!(job["result"]["version"], 2);
    let newest = service
        .get(&format!("/v1/jobs/{id}/checkpoints"))
        .await
        .ok(200)["data"][0]["number"]
        .clone();
    let path = format!("/v1/jobs/{id}/checkpoints/{newest}/promote");
    let promoted = service
        .send(service.request(Method::POST, &path))
        .await
        .ok(201);
    let finished = service.get("/v1/models/early/versions/2").await.ok(200);
    assert_eq!(
        promoted["sha256"], finished["sha256"],
        "the last checkpoint is the model"
    );
    service
        .send(service.request(
            Method::POST,
            &format!("/v1/jobs/{id}/checkpoints/99999/promote"),
        ))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_client_names_its_job_and_puts_it_twice() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    let job = digits_job("put", &json!({"kind": "pca", "code": 3}), &json!({}));
    let put = |id: &str, job: &Value| {
        service.send(
            service
                .request(Method::PUT, &format!("/v1/jobs/{id}"))
                .json(job),
        )
    };
    let first = put("nightly-7", &job).await;
    assert_eq!(first.header("location"), "/v1/jobs/nightly-7");
    let first = first.ok(202);
    assert_eq!(first["id"], "nightly-7");
    assert_eq!(put("nightly-7", &job).await.ok(202), first);
    assert_eq!(service.job("nightly-7").await, first);
    let mut other = job.clone();
    other["model"]["code"] = json!(4);
    put("nightly-7", &other).await.problem(409, "conflict");
    for bad in ["job_7", "a%20b", "-x"] {
        put(bad, &job).await.problem(422, "invalid");
    }
    let list = service.get("/v1/jobs").await.ok(200);
    assert_eq!(list["data"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn who_comes_back_after_the_log_was_pruned_is_told_of_the_gap() {
    let service = Service::with_digits(&["--keep-events", "10"]).await;
    let model = json!({"kind": "rbm", "hidden": 16});
    let job = service
        .train(&digits_job("long", &model, &json!({"epochs": 40})))
        .await;
    let id = job["id"].as_str().expect("an id").to_owned();
    let page = until("the log to be pruned", || async {
        let page = service
            .get(&format!("/v1/jobs/{id}/events?limit=1000"))
            .await
            .ok(200);
        // It may have been pruned once before, while the job still ran.
        let few = page["data"]
            .as_array()
            .is_some_and(|events| events.len() <= 11);
        (few && page["data"][0]["kind"] == "gap").then_some(page)
    })
    .await;
    let events = page["data"].as_array().expect("a list");
    assert_eq!(events.len(), 11);
    assert_eq!(events[10]["kind"], "end");
    let gap = events[0]["id"].as_i64().expect("an id");
    assert!(events[1]["id"].as_i64() > Some(gap));
    // The gap is one of those that were asked for.
    let path = format!("/v1/jobs/{id}/events?limit=4");
    let few = service.get(&path).await.ok(200);
    assert_eq!(few["data"].as_array().map(Vec::len), Some(4), "{few}");
    assert_eq!(
        (&few["data"][0]["kind"], &few["has_more"]),
        (&json!("gap"), &json!(true))
    );
    // The stream says the same, and only once.
    let stream = |after: i64| {
        let request = service
            .request(Method::GET, &format!("/v1/jobs/{id}/events"))
            .header("accept", "text/event-stream")
            .header("last-event-id", after.to_string());
        service.send(request)
    };
    let told = String::from_utf8(stream(1).await.body).expect("text");
    assert_eq!(told.matches("event: gap").count(), 1, "{told}");
    assert!(
        told.starts_with(&format!("id: {gap}\nevent: gap")),
        "{told}"
    );
    let told = String::from_utf8(stream(gap).await.body).expect("text");
    assert!(
        !told.contains("event: gap") && told.contains("event: end"),
        "{told}"
    );
    // A browser that has seen the end is told not to come again.
    let end = events[10]["id"].as_i64().expect("an id");
    for seen in [end, end + 1000] {
        let told = stream(seen).await;
        assert_eq!((told.status, told.body.len()), (204, 0));
    }
    let path = format!("/v1/jobs/{id}/events?after={end}");
    let told = service
        .request(Method::GET, &path)
        .header("accept", "text/event-stream");
    assert_eq!(service.send(told).await.status, 204);
    let told = String::from_utf8(stream(end - 1).await.expect(200).body.clone()).expect("text");
    assert!(
        told.starts_with(&format!("id: {end}\nevent: end")),
        "{told}"
    );
}

/// From the second epoch on, in phases of quite different cost. Where the machine itself changes its pace by
/// more than that in the middle of a run no forecast can come true, so a run in several is enough; a forecast
/// that is wrong is wrong in all.
#[tokio::test]
async fn the_forecast_of_a_deep_belief_network_comes_true() {
    let service = Service::with_digits_alone(&[]).await;
    let mut missed = Vec::new();
    for attempt in 1..=6 {
        match forecasts(&service, attempt).await {
            Ok(()) => return,
            Err(miss) => missed.push(miss),
        }
    }
    panic!("{}", missed.join("\n"));
}

/// Trains a network and holds what was told on the way to when it ended.
async fn forecasts(service: &Service, attempt: u64) -> Result<(), String> {
    let model = json!({"kind": "dbn", "hidden": [300, 200, 900], "head": "classifier", "pretraining": {"epochs": 40}});
    let training =
        json!({"epochs": 80, "seed": attempt, "batch_size": 50, "checkpoint_every_epochs": 10});
    let name = format!("forecast-{attempt}");
    let job = service.train(&digits_job(&name, &model, &training)).await;
    let id = job["id"].as_str().expect("an id");
    let at = |value: &Value| {
        let text = value.as_str().expect("a time");
        text.parse::<jiff::Timestamp>()
            .expect("RFC 3339")
            .as_millisecond() as f64
            / 1000.0
    };
    let (began, ended) = (at(&job["started_at"]), at(&job["finished_at"]));
    let mut told = 0;
    let mut fraction = 0.0;
    for event in service.all_events(id).await {
        let data = &event["data"];
        if event["kind"] != "progress" {
            continue;
        }
        let now = data["progress"]["fraction"].as_f64().expect("a number");
        assert!(now >= fraction, "the fraction goes back");
        fraction = now;
        if data["progress"]["epoch"].as_i64() < Some(2) {
            continue;
        }
        let left = ended - at(&event["at"]);
        let eta = data["eta_seconds"].as_f64().expect("a forecast");
        // A second for what surrounds the training: writing the model, the test split.
        if (eta - left).abs() > 0.25 * left + 1.0 {
            let took = ended - began;
            return Err(format!("{eta:.1} s told, {left:.1} s left of {took:.1}"));
        }
        told += 1;
    }
    assert!(told >= 5, "{told} forecasts in {:.1} s", ended - began);
    Ok(())
}
