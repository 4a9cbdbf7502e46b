//! What is no error and yet may not be meant is told; and a version carries how it was made.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::service::Service;
use crate::training::{digits_job, small_autoencoder, small_rbm};

fn codes(of: &Value) -> Vec<&str> {
    let warnings = of["warnings"].as_array().expect("warnings");
    let code = |warning: &'_ Value| {
        assert!(
            warning["detail"].is_string() && warning["pointer"].is_string(),
            "{warning}"
        );
    };
    warnings.iter().for_each(code);
    warnings
        .iter()
        .filter_map(|warning| warning["code"].as_str())
        .collect()
}

#[tokio::test]
async fn a_job_is_told_what_may_not_be_meant_and_its_version_too() {
    let service = Service::with_digits(&[]).await;
    let rows: String = (0..40)
        .map(|i| format!("0.{},{},{}\n", i % 7, i * 1000, i % 3))
        .collect();
    let form = Form::new()
        .text("name", "scales")
        .part("train", Part::bytes(rows.into_bytes()));
    let request = service.request(Method::POST, "/v1/datasets");
    service.send(request.multipart(form)).await.expect(201);
    let mut job = digits_job("wide", &json!({"kind": "pca"}), &json!({}));
    job["dataset"] = json!("scales");
    let posted = service.post("/v1/jobs", &job).await.ok(202);
    assert_eq!(codes(&posted), ["code_as_wide_as_rows", "scales_differ"]);
    let id = posted["id"].as_str().expect("an id");
    let ended = service.ended_job(id).await;
    assert_eq!(codes(&ended), ["code_as_wide_as_rows", "scales_differ"]);
    let version = service.get("/v1/models/wide/versions/1").await.ok(200);
    assert_eq!(codes(&version), ["code_as_wide_as_rows", "scales_differ"]);

    // Data in [0, 1] and a narrow code: nothing to tell when it is posted. Its loss falls until it ends.
    let posted = service
        .post("/v1/jobs", &small_autoencoder("short"))
        .await
        .ok(202);
    assert_eq!(codes(&posted), [""; 0]);
    let ended = service
        .ended_job(posted["id"].as_str().expect("an id"))
        .await;
    assert_eq!(codes(&ended), ["loss_still_falling"]);
    let version = service.get("/v1/models/short/versions/1").await.ok(200);
    assert_eq!(codes(&version), ["loss_still_falling"]);
}

#[tokio::test]
async fn a_start_that_copies_nothing_is_an_error() {
    let service = Service::with_digits(&[]).await;
    service
        .train(&digits_job(
            "pca",
            &json!({"kind": "pca", "code": 3}),
            &json!({}),
        ))
        .await;
    let mut job = small_rbm("rbm");
    job["init_from"] = json!("pca");
    let posted = service.post("/v1/jobs", &job).await.ok(202);
    let ended = service
        .ended_job(posted["id"].as_str().expect("an id"))
        .await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(ended["error"]["code"], "invalid_setting");
    let message = ended["error"].to_string();
    assert!(message.contains("nothing would be copied"), "{message}");
}

#[tokio::test]
async fn a_version_carries_how_it_was_made_wherever_it_goes() {
    let service = Service::with_digits(&[]).await;
    let digits = service.get("/v1/datasets/digits").await.ok(200);
    let mut job = small_rbm("rbm");
    job["metadata"] = json!({"who": "a test"});
    service.train(&job).await;
    let version = service.get("/v1/models/rbm/versions/1").await.ok(200);
    let made = &version["provenance"];
    assert_eq!(made["training"]["seed"], 7);
    assert_eq!(made["training"]["epochs"], 3);
    assert_eq!(made["dataset_sha256"], digits["sha256"]);
    assert_eq!(made["metadata"], json!({"who": "a test"}));
    assert_eq!(made["init_from"], Value::Null);
    let info = service.get("/v1/info").await.ok(200);
    assert_eq!(made["latentd_version"], info["version"]);
    assert_eq!(made["libtorch_version"], info["libtorch_version"]);
    service.delete("/v1/datasets/digits").await.expect(204);
    let later = service.get("/v1/models/rbm/versions/1").await.ok(200);
    assert_eq!(&later["provenance"], made);

    let bundle = service.get("/v1/models/rbm/versions/1/export").await;
    bundle.expect(200);
    let form = Form::new()
        .text("name", "again")
        .part("bundle", Part::bytes(bundle.body.clone()));
    let request = service.request(Method::POST, "/v1/models");
    let imported = service.send(request.multipart(form)).await.ok(201);
    assert_eq!(&imported["provenance"], made);
}
