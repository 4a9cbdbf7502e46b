//! An unmodified tritonclient against the service: `LATENTD_TRITON_PYTHON` names a Python that has it
//! (`scripts/triton-python.sh` makes one).

use std::process::Command;

use serde_json::json;

use crate::service::Service;
use crate::training::{digits_job, small_autoencoder};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tritonclient/check.py");

/// The models that the checks ask.
pub async fn train_models(service: &Service) {
    service.train(&small_autoencoder("net")).await;
    let best = service.request(reqwest::Method::PUT, "/v1/models/net/aliases/best");
    let put = service.send(best.json(&json!({"version": 1}))).await;
    assert!(put.status < 300, "{}", put.text());
    for (name, model) in [
        (
            "drawn",
            json!({"kind": "vae", "hidden": [32], "latent": 6, "conditional": true}),
        ),
        ("reader", json!({"kind": "mlp", "hidden": [32]})),
    ] {
        let training = json!({"epochs": 3, "batch_size": 64, "seed": 7});
        service.train(&digits_job(name, &model, &training)).await;
    }
}

#[tokio::test]
async fn an_unmodified_tritonclient_works() {
    let Some(python) = std::env::var_os("LATENTD_TRITON_PYTHON").filter(|p| !p.is_empty()) else {
        println!("skipped: LATENTD_TRITON_PYTHON is not set");
        return;
    };
    let service = Service::with_digits(&[]).await;
    train_models(&service).await;
    let url = format!("http://{}", service.address());
    let checks = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(SCRIPT)
            .arg(url)
            .output()
            .expect("the Python that LATENTD_TRITON_PYTHON names")
    });
    let checks = checks.await.expect("it ends");
    println!("{}", String::from_utf8_lossy(&checks.stdout));
    assert!(
        checks.status.success(),
        "tritonclient: {}",
        String::from_utf8_lossy(&checks.stderr)
    );
}
