//! `kill -9` of the worker and of the whole service, at arbitrary moments: after it the job finishes
//! by itself, with the very weights of a run left alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::Arbitrary;
use crate::service::{Service, until};
use crate::training::digits_job;

const EPOCHS: u64 = 300;

/// Checkpoints come seldom enough for a kill to cost some epochs.
fn training() -> Value {
    json!({"epochs": EPOCHS, "batch_size": 100, "seed": 11, "checkpoint_every_epochs": 7, "validation_fraction": 0.1})
}

#[tokio::test]
async fn an_rbm_with_chains_and_momentum_survives_kills() {
    let model = json!({"kind": "rbm", "hidden": 256, "algorithm": "pcd", "gibbs_steps": 2, "chains": 50,
        "binarize": "dynamic"});
    survives_kills(&model, 1).await;
}

#[tokio::test]
async fn a_denoising_autoencoder_with_adam_survives_kills() {
    let corruption = json!({"kind": "mask", "level": 0.3});
    let model =
        json!({"kind": "autoencoder", "hidden": [192, 96], "code": 16, "corruption": corruption});
    survives_kills(&model, 2).await;
}

/// Trains the same three times: undisturbed, with its worker killed twice, and with the service killed.
async fn survives_kills(model: &Value, seed: u64) {
    let mut moments = Arbitrary(seed);
    let mut service = Service::with_digits(&[]).await;
    let alone = service
        .train(&digits_job("alone", model, &training()))
        .await;
    assert_eq!(alone["attempt"], 1);

    let worker_killed = service
        .queue(&digits_job("worker-killed", model, &training()))
        .await;
    for earliest in [1, EPOCHS / 2] {
        arbitrary_moment(&service, &worker_killed, earliest, &mut moments).await;
        assert_eq!(service.kill_worker(), 1, "one worker trains");
    }
    let job = service.succeeded(&worker_killed).await;
    assert_eq!(
        job["attempt"], 3,
        "one attempt more for each worker lost: {job}"
    );
    same_as(&service, &alone, &job).await;

    let service_killed = service
        .queue(&digits_job("service-killed", model, &training()))
        .await;
    arbitrary_moment(&service, &service_killed, 1, &mut moments).await;
    service.kill();
    service.restart().await;
    let job = service.succeeded(&service_killed).await;
    assert!(job["attempt"].as_i64() >= Some(2), "{job}");
    same_as(&service, &alone, &job).await;
}

/// Some time after a checkpoint in or past this epoch, and well before the end.
async fn arbitrary_moment(service: &Service, id: &str, earliest: u64, moments: &mut Arbitrary) {
    let epoch = earliest + moments.below(EPOCHS / 4);
    until("a checkpoint and some epochs", || async {
        let checkpoints = service
            .get(&format!("/v1/jobs/{id}/checkpoints"))
            .await
            .ok(200);
        let newest = checkpoints["data"][0]["epoch"].as_u64()?;
        let job = service.job(id).await;
        assert_eq!(job["status"], "running", "too late to be killed: {job}");
        (newest >= earliest && job["progress"]["epoch"].as_u64()? >= epoch).then_some(())
    })
    .await;
    // Not to wait for anything, but to strike anywhere between two steps or within one.
    tokio::time::sleep(Duration::from_micros(moments.below(60_000))).await;
}

/// The job left the same weights and the same course of metrics, each point once.
async fn same_as(service: &Service, alone: &Value, job: &Value) {
    assert_eq!(
        service.weights(alone).await,
        service.weights(job).await,
        "other weights than undisturbed"
    );
    let (alone_id, id) = (
        alone["id"].as_str().expect("an id"),
        job["id"].as_str().expect("an id"),
    );
    let series = service.all_series(id).await;
    assert!(series.len() > 1, "there are metrics");
    for (name, points) in &series {
        assert!(
            points.is_sorted_by(|a, b| a.0 < b.0),
            "{name} has a step twice"
        );
    }
    assert_eq!(
        series,
        service.all_series(alone_id).await,
        "another course of metrics"
    );
    let events = service.all_events(id).await;
    assert!(events.is_sorted_by(|a, b| a["id"].as_i64() < b["id"].as_i64()));
    assert_eq!(
        events.iter().filter(|event| event["kind"] == "end").count(),
        1
    );
    assert_eq!(events.last().expect("events")["kind"], "end");
}
