//! Every family in the table, without naming their insides: a new one is covered on arrival.

use serde_json::{Value, json};

use crate::fixtures::{assert_close, rows};
use crate::service::Service;
use crate::training::digits_job;

const VERBS: [&str; 12] = [
    "encode",
    "decode",
    "reconstruct",
    "denoise",
    "generate",
    "score",
    "inpaint",
    "transform",
    "interpolate",
    "predict",
    "recommend",
    "topics",
];

/// A family's smallest sensible net for the 8x8 digits; its own defaults where none is listed.
fn small(kind: &str) -> Value {
    match kind {
        "rbm" => json!({"kind": "rbm", "hidden": 64}),
        "autoencoder" => json!({"kind": "autoencoder", "hidden": [64], "code": 8}),
        other => json!({"kind": other}),
    }
}

async fn kinds(service: &Service) -> Vec<String> {
    let info = service.get("/v1/info").await.ok(200);
    let families = info["families"].as_array().expect("a list");
    families
        .iter()
        .filter_map(|f| f["kind"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn it_learns_and_the_seed_alone_decides_the_weights() {
    let service = Service::with_digits(&[]).await;
    for kind in kinds(&service).await {
        let train = |name: &str, seed: u64| {
            digits_job(
                name,
                &small(&kind),
                &json!({"epochs": 12, "seed": seed, "validation_fraction": 0.1}),
            )
        };
        let first = service.train(&train("first", 5)).await;
        let again = service.train(&train("again", 5)).await;
        let other = service.train(&train("other", 6)).await;
        let weights = service.weights(&first).await;
        assert_eq!(weights, service.weights(&again).await, "{kind}: same seed");
        assert_ne!(weights, service.weights(&other).await, "{kind}: other seed");
        falls(&service, &kind, first["id"].as_str().expect("an id")).await;
    }
}

async fn falls(service: &Service, kind: &str, id: &str) {
    let series = service.all_series(id).await;
    let (_, points) = series
        .iter()
        .find(|(key, _)| key == "validation/reconstruction_mse")
        .unwrap_or_else(|| panic!("{kind} reports validation/reconstruction_mse"));
    let (first, last) = (points[0].1, points[points.len() - 1].1);
    assert_eq!(points.len(), 12, "{kind}: one point an epoch");
    assert!(last < 0.8 * first, "{kind}: from {first} to {last}");
}

#[tokio::test]
async fn what_it_advertises_it_answers_and_nothing_else() {
    let mut service = Service::with_digits(&[]).await;
    for kind in kinds(&service).await {
        service
            .train(&digits_job(&kind, &small(&kind), &json!({"epochs": 3})))
            .await;
        let version = service
            .get(&format!("/v1/models/{kind}/versions/1"))
            .await
            .ok(200);
        let offered: Vec<&str> = version["capabilities"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for verb in VERBS {
            let path = format!("/v1/models/{kind}/{verb}");
            if offered.contains(&verb) {
                let answer = service.post(&path, &request(verb, &version)).await.ok(200);
                assert!(
                    !answer["outputs"].as_array().expect("outputs").is_empty(),
                    "{kind} {verb}"
                );
            } else {
                service
                    .post(&path, &json!({"rows": test_rows(0, 1)}))
                    .await
                    .problem(422, "unsupported_operation");
            }
        }
    }
    // The models are read from disk again: the same answer.
    for kind in kinds(&service).await {
        let ask = json!({"rows": test_rows(0, 5)});
        let path = format!("/v1/models/{kind}/reconstruct");
        let before = service.post_for(&path, &ask, "application/x-npy").await;
        service.kill();
        service.restart().await;
        let after = service.post_for(&path, &ask, "application/x-npy").await;
        assert!(
            before.expect(200).body == after.expect(200).body,
            "{kind}: before and after a restart"
        );
    }
}

#[tokio::test]
async fn a_batch_is_its_rows_one_by_one() {
    let service = Service::with_digits(&[]).await;
    for kind in kinds(&service).await {
        service
            .train(&digits_job(&kind, &small(&kind), &json!({"epochs": 2})))
            .await;
        let path = format!("/v1/models/{kind}/reconstruct");
        let batch = rows(
            &service
                .post(&path, &json!({"rows": test_rows(0, 5)}))
                .await
                .ok(200)["outputs"],
        );
        for (i, row) in batch.iter().enumerate() {
            let single = service
                .post(&path, &json!({"rows": test_rows(i, 1)}))
                .await
                .ok(200);
            assert_close(row, &rows(&single["outputs"])[0], 1e-5);
        }
    }
}

fn test_rows(offset: usize, limit: usize) -> Value {
    json!({"dataset": "digits", "split": "test", "offset": offset, "limit": limit})
}

fn request(verb: &str, version: &Value) -> Value {
    match verb {
        "generate" => json!({"n": 2, "seed": 1}),
        "decode" => {
            let code: i64 = version["code_shape"]
                .as_array()
                .expect("a shape")
                .iter()
                .filter_map(Value::as_i64)
                .product();
            json!({"inputs": [vec![0.5; usize::try_from(code).expect("a size")]]})
        }
        _ => json!({"rows": test_rows(0, 2)}),
    }
}
