//! The real digits, where there are any: `LATENTD_TEST_DATA` names a folder with `mnist/*.gz`.

use std::path::PathBuf;

use serde_json::json;

use crate::fixtures::{file, form, read_npy};
use crate::service::Service;

#[tokio::test]
async fn an_rbm_and_an_autoencoder_reconstruct_unseen_digits() {
    let Some(folder) = std::env::var_os("LATENTD_TEST_DATA").map(PathBuf::from) else {
        println!("skipped: LATENTD_TEST_DATA is not set");
        return;
    };
    let read = |name: &str| std::fs::read(folder.join("mnist").join(name)).expect("an MNIST file");
    let service = Service::start(&[]).await;
    let upload = form(
        "mnist",
        &[
            ("train", read("train-images-idx3-ubyte.gz")),
            ("train_labels", read("train-labels-idx1-ubyte.gz")),
        ],
    );
    let upload = file(upload, "test", read("t10k-images-idx3-ubyte.gz"));
    let dataset = service
        .send(
            service
                .request(reqwest::Method::POST, "/v1/datasets")
                .multipart(upload),
        )
        .await
        .ok(201);
    assert_eq!(dataset["shape"], json!([1, 28, 28]));
    assert_eq!(dataset["splits"]["train"]["rows"], 60_000);
    assert_eq!(dataset["classes"], 10);
    let training = json!({"epochs": 2, "threads": 1, "max_rows": 30_000});
    for model in [json!({"kind": "rbm"}), json!({"kind": "autoencoder"})] {
        let job = service
            .train(&json!({"name": "m", "dataset": "mnist", "model": model, "training": training}))
            .await;
        let reported = job["metrics"]["test/reconstruction_mse"]
            .as_f64()
            .expect("a figure");
        let measured = mse(&service).await;
        // Predicting the mean image gives 0.067.
        assert!(measured < 0.03, "{model}: {measured}");
        assert!(
            (measured - reported).abs() < 0.1 * reported,
            "{model}: {measured}, reported {reported}"
        );
    }
}

/// Over the first 2,000 test images.
async fn mse(service: &Service) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for offset in [0, 1000] {
        let rows = json!({"dataset": "mnist", "split": "test", "offset": offset, "limit": 1000});
        let output = service
            .post_for(
                "/v1/models/m/reconstruct",
                &json!({"rows": rows}),
                "application/x-npy",
            )
            .await;
        let path = format!("/v1/datasets/mnist/rows?split=test&offset={offset}&limit=1000");
        let clean = service
            .send(
                service
                    .request(reqwest::Method::GET, &path)
                    .header("accept", "application/x-npy"),
            )
            .await;
        let (output, clean) = (
            read_npy(&output.expect(200).body).1,
            read_npy(&clean.expect(200).body).1,
        );
        sum += output
            .iter()
            .zip(&clean)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum::<f64>();
        count += output.len() as f64;
    }
    sum / count
}
