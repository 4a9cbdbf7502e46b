//! A data directory that version 0.1.0 made: it opens, answers as it did, and goes on.
//!
//! `version_0_1_0.tar.gz` holds the directory, with tables of labels and of targets, labelled pictures and a model
//! of each, and in `answers.json` what that program answered.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::assert_near;
use crate::service::Service;

fn unpack(folder: &Path) -> Vec<Value> {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/version_0_1_0.tar.gz");
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(packed)
        .arg("-C")
        .arg(folder)
        .status();
    assert!(status.expect("tar runs").success());
    let answers = std::fs::read(folder.join("answers.json")).expect("the answers");
    serde_json::from_slice(&answers).expect("a list")
}

async fn ask(service: &Service, asked: &Value) -> Value {
    let method: Method = asked["method"]
        .as_str()
        .and_then(|m| m.parse().ok())
        .expect("a method");
    let path = asked["path"].as_str().expect("a path");
    let mut request = service.request(method, path);
    if !asked["body"].is_null() {
        request = request.json(&asked["body"]);
    }
    service.send(request).await.ok(200)
}

/// Whether an answer has all that one of version 0.1.0 had; it may have more.
#[track_caller]
fn says_all(now: &Value, then: &Value) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            for (name, then) in then {
                says_all(now.get(name).unwrap_or(&Value::Null), then);
            }
        }
        (Value::Array(now), Value::Array(then)) if now.len() == then.len() => {
            now.iter()
                .zip(then)
                .for_each(|(now, then)| says_all(now, then));
        }
        _ => assert_eq!(now, then),
    }
}

#[tokio::test]
async fn a_data_directory_of_0_1_0_answers_as_it_did_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = unpack(folder.path());
    assert!(asked.len() > 5, "{} answers", asked.len());
    let mut service = Service::start_on(&[], &folder.path().join("data")).await;
    for asked in &asked {
        let answer = ask(&service, asked).await;
        match asked["method"].as_str() {
            // What is stored is read to the last digit.
            Some("GET") => says_all(&answer, &asked["answer"]),
            // What is computed may differ in that, on another machine.
            _ => {
                let [now, then] = [&answer, &asked["answer"]].map(|a| a["outputs"].as_array());
                let (now, then) = (now.expect("rows"), then.expect("rows"));
                assert_eq!(now.len(), then.len());
                for (now, then) in now.iter().zip(then) {
                    assert_near(now, then, 1e-4, "outputs");
                }
            }
        }
    }
    for (name, dataset, model, metric) in [
        (
            "kinds",
            "flowers",
            json!({"kind": "mlp", "hidden": [4]}),
            "test/error",
        ),
        (
            "prices",
            "houses",
            json!({"kind": "mlp", "task": "regression", "hidden": [4]}),
            "test/rmse",
        ),
        (
            "tiles",
            "tiles",
            json!({"kind": "vae", "hidden": [4], "latent": 2, "conditional": true}),
            "train/loss",
        ),
    ] {
        let job = json!({"name": name, "dataset": dataset, "model": model,
            "training": {"epochs": 2, "batch_size": 10, "seed": 1, "threads": 1, "device": "cpu"}});
        let job = service.train(&job).await;
        assert!(job["metrics"][metric].is_f64(), "{job}");
        assert_eq!(job["result"]["version"], 2, "{job}");
    }
    // Once more, on what is now of this version.
    service.kill();
    service.restart().await;
    let listed = ask(&service, &asked[0]).await;
    says_all(&listed, &asked[0]["answer"]);
    service.delete("/v1/datasets/tiles").await.expect(204);
}
