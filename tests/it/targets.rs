//! Numbers to regress on: uploaded as a column or a file, learnt, predicted and measured.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};

use crate::fixtures::{Arbitrary, form, idx, npy, rows};
use crate::reply::Reply;
use crate::service::Service;

async fn upload(service: &Service, form: Form) -> Reply {
    service
        .send(
            service
                .request(Method::POST, "/v1/datasets")
                .multipart(form),
        )
        .await
}

/// A table of `size`, `age`, `price` and `noise`, and the prices: `price = 200000 + 50000 size - 30000 age²`
/// and an error of this deviation. From row 1000 on it is ten times as large.
fn houses(seed: u64, count: usize, deviation: f64) -> (String, Vec<f64>) {
    let mut arbitrary = Arbitrary(seed);
    let mut uniform = || {
        f64::from(u32::try_from(arbitrary.below(1 << 20)).expect("small")) / f64::from(1 << 19)
            - 1.0
    };
    let (mut text, mut prices) = ("size,age,price,noise\n".to_owned(), Vec::new());
    for row in 0..count {
        let (size, age, noise) = (uniform(), uniform(), uniform());
        // A sum of twelve: near enough to normal, with a deviation of 2.
        let error: f64 = (0..12).map(|_| uniform()).sum();
        let deviation = if row < 1000 {
            deviation
        } else {
            10.0 * deviation
        };
        let price = 200_000.0 + 50_000.0 * size - 30_000.0 * age * age + deviation * error / 2.0;
        text.push_str(&format!("{size},{age},{price},{noise}\n"));
        prices.push(price);
    }
    (text, prices)
}

fn regressor(dataset: &str, model: &Value, epochs: u32) -> Value {
    json!({"name": dataset, "dataset": dataset, "model": model,
        "training": {"epochs": epochs, "batch_size": 50, "learning_rate": 0.01, "seed": 3, "threads": 1,
            "device": "cpu"}})
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[tokio::test]
async fn from_a_column_of_a_table_to_predictions_in_its_unit() {
    let service = Service::start(&[]).await;
    let (train, prices) = houses(1, 1000, 1000.0);
    let (test, truth) = houses(2, 1500, 1000.0);
    let files = [("train", train.into_bytes()), ("test", test.into_bytes())];
    let form = form("houses", &files).text("target_column", "price");
    let added = upload(&service, form).await.ok(201);
    assert_eq!(added["shape"], json!([3]));
    assert_eq!(added["classes"], Value::Null);
    assert_eq!(
        added["splits"],
        json!({"train": {"rows": 1000, "labels": false, "targets": 1},
            "test": {"rows": 1500, "labels": false, "targets": 1}})
    );
    let all = || prices.iter().chain(&truth).copied();
    let range = [
        all().fold(f64::MAX, f64::min),
        all().fold(f64::MIN, f64::max),
    ];
    assert_eq!(added["target_range"], json!(range), "to the last digit");
    let found = service
        .get("/v1/datasets/houses/rows?offset=7&limit=2")
        .await
        .ok(200);
    assert_eq!(found["targets"], json!(prices[7..9]));
    assert_eq!(found["labels"], Value::Null);
    assert_eq!(rows(&found["rows"])[0].len(), 3);

    let model = json!({"kind": "mlp", "task": "regression", "hidden": [32]});
    let job = service.train(&regressor("houses", &model, 30)).await;
    let version = service.get("/v1/models/houses/versions/1").await.ok(200);
    let told = &version["metrics"];
    // Of the variance, the errors of the last 500 rows alone are some two hundredths.
    assert!(number(&told["test/r2"]) > 0.9, "{told}");
    assert!(job["metrics"]["train/rmse"].is_f64(), "{job}");

    let ask = json!({"rows": {"dataset": "houses", "split": "test", "limit": 1500}});
    let answer = service
        .post("/v1/models/houses/predict", &ask)
        .await
        .ok(200);
    assert_eq!(answer["shape"], json!([1]));
    let answers = rows(&answer["outputs"]);
    let off: Vec<f64> = answers
        .iter()
        .zip(&truth)
        .map(|(y, t)| f64::from(y[0]) - t)
        .collect();
    let n = truth.len() as f64;
    let mse = off.iter().map(|d| d * d).sum::<f64>() / n;
    let mean = truth.iter().sum::<f64>() / n;
    let variance = truth.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / n;
    let expected = [
        ("rmse", mse.sqrt()),
        ("mae", off.iter().map(|d| d.abs()).sum::<f64>() / n),
        ("r2", 1.0 - mse / variance),
    ];
    let metrics = json!([{"kind": "regression"}]);
    let evaluation = json!({"model": "houses", "metrics": metrics, "threads": 1});
    let queued = service.post("/v1/evaluations", &evaluation).await.ok(202);
    let measured = service
        .succeeded(queued["id"].as_str().expect("an id"))
        .await;
    for (name, value) in expected {
        // The training job's own figures, and an evaluation's: of the whole split, not of its batches.
        for figures in [told, &measured["result"]["metrics"]] {
            let found = number(&figures[format!("test/{name}")]);
            let close = (found - value).abs() <= 1e-4 * value.abs();
            assert!(close, "{name}: {found}, not {value}");
        }
    }
}

#[tokio::test]
async fn targets_go_before_labels_and_each_head_asks_for_its_own() {
    let service = Service::start(&[]).await;
    let values: Vec<f32> = (0..200u8).map(|i| f32::from(i % 20) / 20.0).collect();
    let targets: Vec<f32> = values[..100].iter().map(|x| 1e6 - 4e5 * x).collect();
    let as_csv: String = targets.iter().map(|t| format!("{t}\n")).collect();
    let x = npy(&[100, 1], &values[..100]);
    let classes: Vec<u8> = (0..100).map(|i| i % 2).collect();
    let parts = [
        ("train", x.clone()),
        ("train_labels", idx(&[100], &classes)),
        ("train_targets", npy(&[100], &targets)),
        ("test", x.clone()),
        ("test_targets", as_csv.into_bytes()),
    ];
    let both = upload(&service, form("both", &parts)).await.ok(201);
    assert_eq!(both["classes"], 2);
    assert_eq!(
        both["splits"]["test"],
        json!({"rows": 100, "labels": false, "targets": 1})
    );
    assert_eq!(both["splits"]["train"]["targets"], 1);
    let only = [
        ("train", x.clone()),
        ("train_targets", npy(&[100], &targets)),
    ];
    upload(&service, form("only-targets", &only)).await.ok(201);
    upload(&service, form("neither", &[("train", x.clone())]))
        .await
        .ok(201);
    let labelled = [
        ("train", x.clone()),
        ("train_labels", idx(&[100], &classes)),
        ("test", x),
    ];
    upload(&service, form("labels", &labelled)).await.ok(201);

    let mlp = |task: &str| json!({"kind": "mlp", "task": task, "hidden": [16]});
    let dbn = |head: &str| json!({"kind": "dbn", "head": head, "hidden": [16], "pretraining": {"epochs": 0}});
    for (dataset, model, pointer, said) in [
        (
            "only-targets",
            mlp("classification"),
            "/dataset",
            "targets but no labels",
        ),
        (
            "only-targets",
            dbn("classifier"),
            "/model/head",
            "targets only",
        ),
        ("neither", mlp("classification"), "/dataset", "no labels"),
        (
            "neither",
            mlp("regression"),
            "/dataset",
            "neither targets nor labels",
        ),
        ("neither", dbn("classifier"), "/model/head", "none"),
        ("neither", dbn("regressor"), "/model/head", "neither"),
    ] {
        let refused = service
            .post("/v1/jobs", &regressor(dataset, &model, 1))
            .await;
        refused.invalid(pointer);
        refused.says(said);
    }

    // Both families learn the targets, near a million, and not the labels beside them.
    for model in [mlp("regression"), dbn("regressor")] {
        let mut job = regressor("both", &model, 400);
        job["name"] = model["kind"].clone();
        service.train(&job).await;
        let name = model["kind"].as_str().expect("a kind");
        let ask = json!({"inputs": [[0.0], [0.5], [0.95]]});
        let path = format!("/v1/models/{name}/predict");
        let answer = service.post(&path, &ask).await.ok(200);
        for (found, x) in rows(&answer["outputs"]).iter().zip([0.0, 0.5, 0.95]) {
            let truth = 1e6 - 4e5 * x;
            assert!(
                (found[0] - truth).abs() < 4e4,
                "{name}: {found:?}, not {truth}"
            );
        }
        let metrics = json!([{"kind": "regression"}]);
        for (dataset, split, said) in [
            ("neither", "train", "needs targets"),
            ("labels", "train", "needs targets"),
        ] {
            let ask =
                json!({"model": name, "dataset": dataset, "split": split, "metrics": metrics});
            let refused = service.post("/v1/evaluations", &ask).await;
            refused.invalid("/metrics/0/kind");
            refused.says(said);
        }
    }

    // Labels as numbers, where there are no targets; a test split without them is not measured.
    let mut job = regressor("labels", &mlp("regression"), 1);
    job["name"] = "of-labels".into();
    let trained = service.train(&job).await;
    assert!(trained["metrics"]["train/rmse"].is_f64(), "{trained}");
    assert!(trained["metrics"]["test/rmse"].is_null(), "{trained}");
    let ask = json!({"model": "of-labels", "dataset": "only-targets", "split": "train",
        "metrics": [{"kind": "regression"}]});
    let refused = service.post("/v1/evaluations", &ask).await;
    refused.invalid("/metrics/0/kind");
    refused.says("learnt as numbers");
}
