//! Rows of another shape than the model's are refused, however they are sent: as many values in another order would
//! be answered with nonsense.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::fixtures::npy;
use crate::service::Service;
use crate::training::digits_job;

/// Uploads rows of this shape, 0 to 1, each with a label.
async fn upload(service: &Service, name: &str, rows: usize, shape: &[usize]) {
    let width: usize = shape.iter().product();
    let values: Vec<f32> = (0..rows * width)
        .map(|i| (i * 37 % 101) as f32 / 100.0)
        .collect();
    let dims = [&[rows], shape].concat();
    let labels: String = (0..rows).map(|row| format!("{}\n", row % 3)).collect();
    let form = Form::new()
        .text("name", name.to_owned())
        .part("train", Part::bytes(npy(&dims, &values)))
        .part("train_labels", Part::bytes(labels.into_bytes()));
    let request = service.request(Method::POST, "/v1/datasets");
    service.send(request.multipart(form)).await.expect(201);
}

async fn pca(service: &Service, name: &str) {
    let mut job = digits_job(name, &json!({"kind": "pca", "code": 4}), &json!({}));
    job["dataset"] = json!(name);
    service.train(&job).await;
}

/// Nested lists of so many equal numbers.
fn nested(shape: &[usize]) -> Value {
    match shape.split_first() {
        None => json!(0.5),
        Some((&side, below)) => Value::Array(vec![nested(below); side]),
    }
}

/// A safetensors file with one tensor `inputs`.
fn safetensors(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let head =
        json!({"inputs": {"dtype": "F32", "shape": shape, "data_offsets": [0, bytes.len()]}});
    let head = head.to_string();
    let length = (head.len() as u64).to_le_bytes();
    [&length[..], head.as_bytes(), &bytes].concat()
}

/// Asks in all four forms; the statuses, and the texts of those that refuse.
async fn ask(service: &Service, path: &str, shape: &[usize]) -> Vec<(u16, String)> {
    let values = vec![0.5; shape.iter().product()];
    let (model, verb) = path.split_once('/').expect("model/verb");
    let v1 = format!("/v1/models/{path}");
    let v2 = format!("/v2/models/{model}:{verb}/infer");
    let tensor = json!({"name": "inputs", "shape": shape, "datatype": "FP32", "data": values});
    let replies = [
        service.post(&v1, &json!({"inputs": nested(shape)})).await,
        service
            .post_bytes(&v1, "application/x-npy", npy(shape, &values))
            .await,
        service
            .post_bytes(
                &v1,
                "application/x-safetensors",
                safetensors(shape, &values),
            )
            .await,
        service.post(&v2, &json!({"inputs": [tensor]})).await,
    ];
    replies.map(|reply| (reply.status, reply.text())).into()
}

#[tokio::test]
async fn rows_have_the_model_s_shape_in_every_form() {
    let service = Service::start(&[]).await;
    upload(&service, "rgb", 30, &[3, 8, 8]).await;
    upload(&service, "grey", 30, &[16, 16]).await;
    upload(&service, "turned", 30, &[8, 3, 8]).await;
    for name in ["rgb", "grey"] {
        pca(&service, name).await;
    }
    for (path, shape) in [
        ("rgb/encode", &[2, 3, 8, 8][..]),
        ("rgb/encode", &[2, 192]),
        ("grey/encode", &[2, 1, 16, 16]),
        ("grey/encode", &[2, 16, 16]),
        ("grey/encode", &[2, 256]),
        ("rgb/decode", &[2, 4]),
    ] {
        for (status, text) in ask(&service, path, shape).await {
            assert_eq!(status, 200, "{path} {shape:?}: {text}");
        }
    }
    for (path, shape) in [
        ("rgb/encode", &[2, 8, 8, 3][..]),
        ("rgb/encode", &[2, 8, 3, 8]),
        ("rgb/encode", &[2, 24, 8]),
        ("rgb/encode", &[2, 64, 3]),
        ("rgb/encode", &[2, 1, 192]),
        ("rgb/encode", &[2, 191]),
        ("grey/encode", &[2, 16, 16, 1]),
        ("grey/encode", &[2, 32, 8]),
        ("rgb/decode", &[2, 1, 2, 2]),
        ("rgb/decode", &[2, 2, 2]),
    ] {
        for (status, text) in ask(&service, path, shape).await {
            assert_eq!(status, 422, "{path} {shape:?}: {text}");
            assert!(text.contains("\"/inputs"), "{path} {shape:?}: {text}");
        }
    }
    let last = ask(&service, "rgb/encode", &[2, 8, 8, 3]).await;
    for (_, text) in &last {
        let both = text.contains("8 x 8 x 3") && text.contains("3 x 8 x 8");
        assert!(both && text.contains("moveaxis"), "{text}");
    }
    let uneven = json!({"inputs": [[vec![0.5; 100], vec![0.5; 92]]]});
    let reply = service.post("/v1/models/rgb/encode", &uneven).await;
    reply.says("nested unevenly").invalid("/inputs");
    let rows = json!({"rows": {"dataset": "turned"}});
    let reply = service.post("/v1/models/rgb/encode", &rows).await;
    reply.says("8 x 3 x 8").invalid("/rows/dataset");
}

#[tokio::test]
async fn every_family_trains_by_its_bare_kind_on_narrow_rows() {
    let service = Service::start(&[]).await;
    let info = service.get("/v1/info").await.ok(200);
    for width in [1, 4, 20] {
        let name = format!("narrow{width}");
        upload(&service, &name, 40, &[width]).await;
        for family in info["families"].as_array().expect("a list") {
            let mut job = digits_job(
                "narrow",
                &json!({"kind": family["kind"]}),
                &json!({"epochs": 1}),
            );
            job["dataset"] = json!(name);
            let ended = service.train(&job).await;
            if family["kind"] == "pca" {
                assert_eq!(ended["model"]["code"], width);
            }
        }
    }
    let too_large = json!({"dataset": "narrow4", "model": {"kind": "pca", "code": 5}});
    service
        .post("/v1/jobs", &too_large)
        .await
        .invalid("/model/code");
}
