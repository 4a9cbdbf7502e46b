//! Measuring published models, and starting from their weights.

use serde_json::{Value, json};

use crate::fixtures::{assert_close, rows};
use crate::service::Service;
use crate::training::{digits_job, small_autoencoder, small_rbm};

fn evaluation(model: &str, metrics: &Value) -> Value {
    json!({"model": model, "metrics": metrics, "threads": 1, "metadata": {"why": "a test"}})
}

async fn measured(service: &Service, request: &Value) -> Value {
    let queued = service.post("/v1/evaluations", request).await.ok(202);
    service
        .succeeded(queued["id"].as_str().expect("an id"))
        .await
}

#[tokio::test]
async fn figures_are_the_jobs_result_and_the_versions_metrics() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("ae")).await;
    let metrics = json!([{"kind": "reconstruction"}, {"kind": "denoising", "level": 0.6}]);
    let job = measured(&service, &evaluation("ae", &metrics)).await;
    assert_eq!(job["task"], "evaluate");
    assert_eq!(job["training"], Value::Null);
    assert_eq!(job["metadata"]["why"], "a test");
    assert_eq!(job["result"]["model"], "ae");
    assert_eq!(job["result"]["version"], 1);
    let figures = &job["result"]["metrics"];
    let version = service.get("/v1/models/ae/versions/1").await.ok(200);
    // The training job measured the same rows on its own.
    let own = version["metrics"]["test/reconstruction_mse"]
        .as_f64()
        .expect("a figure");
    let mse = figures["test/mse"].as_f64().expect("a figure");
    assert!((mse - own).abs() < 1e-6, "{mse} and {own}");
    let sum = figures["test/squared_error"].as_f64().expect("a figure");
    assert!((sum - 64.0 * mse).abs() < 1e-6);
    let noisy = figures["test/noisy_psnr"].as_f64().expect("a figure");
    assert!(figures["test/psnr"].as_f64().expect("a figure") > noisy);
    for (name, value) in figures.as_object().expect("figures") {
        assert_eq!(&version["metrics"][name], value, "{name}");
    }
    // The same seed, the same noise, the same figures.
    let again = measured(&service, &evaluation("ae:1", &metrics)).await;
    assert_eq!(&again["result"]["metrics"], figures);
}

#[tokio::test]
async fn what_cannot_be_measured_is_refused_by_field() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("ae")).await;
    let one = |metric: Value| evaluation("ae", &json!([metric]));
    let mut no_split = one(json!({"kind": "reconstruction"}));
    no_split["split"] = "validation".into();
    let mut nowhere = one(json!({"kind": "reconstruction"}));
    nowhere["dataset"] = "nowhere".into();
    for (body, pointer) in [
        (evaluation("no-such", &json!([])), "/model"),
        (evaluation("ae:9", &json!([])), "/model"),
        (evaluation("ae", &json!([])), "/metrics"),
        (one(json!({"kind": "beauty"})), "/metrics/0/kind"),
        (one(json!({"samples": 5})), "/metrics/0/kind"),
        (
            one(json!({"kind": "reconstruction", "n": 1})),
            "/metrics/0/n",
        ),
        (one(json!({"kind": "classification"})), "/metrics/0/kind"),
        (
            one(json!({"kind": "denoising", "level": 99})),
            "/metrics/0/level",
        ),
        (
            one(json!({"kind": "log_likelihood", "temperatures": 1})),
            "/metrics/0/temperatures",
        ),
        (no_split, "/split"),
        (nowhere, "/dataset"),
    ] {
        service
            .post("/v1/evaluations", &body)
            .await
            .invalid(pointer);
    }
    service.train(&small_rbm("rbm")).await;
    for (judge, at) in [
        ("no-such", "/metrics/0/classifier"),
        ("ae", "/metrics/0/classifier"),
    ] {
        let metric = json!({"kind": "frechet", "classifier": judge});
        service
            .post("/v1/evaluations", &evaluation("rbm", &json!([metric])))
            .await
            .invalid(at);
    }
    let mlp = json!({"kind": "mlp", "hidden": [8]});
    service
        .train(&digits_job("mlp", &mlp, &json!({"epochs": 1})))
        .await;
    for (model, metric, rule) in [
        ("ae", json!({"kind": "log_likelihood"}), "likelihood"),
        (
            "mlp",
            json!({"kind": "pseudo_likelihood"}),
            "pseudo-likelihood",
        ),
        (
            "mlp",
            json!({"kind": "regression"}),
            "this one predicts classes",
        ),
        (
            "rbm",
            json!({"kind": "conditional_accuracy", "classifier": "mlp"}),
            "rows of a given class",
        ),
    ] {
        let reply = service
            .post("/v1/evaluations", &evaluation(model, &json!([metric])))
            .await;
        reply.invalid("/metrics/0/kind");
        reply.says(rule);
    }
}

#[tokio::test]
async fn training_starts_from_other_weights_where_they_fit() {
    let service = Service::with_digits(&[]).await;
    let first = service.train(&small_autoencoder("first")).await;
    let mut job = digits_job(
        "second",
        // Another width at the far end: the first layers fit, the code does not.
        &json!({"kind": "autoencoder", "hidden": [48, 24], "code": 5}),
        &json!({"epochs": 1, "learning_rate": 1e-9}),
    );
    job["init_from"] = "first".into();
    let second = service.train(&job).await;
    assert_eq!(second["init_from"], "first:1");
    let adopted = &second["result"]["init_from"];
    let names = |list: &str| -> Vec<String> {
        serde_json::from_value(adopted[list].clone()).expect("names")
    };
    assert!(names("copied").contains(&"encoder.0.weight".to_owned()));
    assert!(names("fresh").contains(&"encoder.2.weight".to_owned()));
    let ask = json!({"rows": {"dataset": "digits", "split": "test", "limit": 1}, "layer": 1});
    let [a, b] = [
        service.post("/v1/models/first/encode", &ask).await.ok(200),
        service.post("/v1/models/second/encode", &ask).await.ok(200),
    ]
    .map(|answer| rows(&answer["outputs"]));
    assert_close(&a[0], &b[0], 1e-4);

    // A checkpoint will do as well, and what is not there is said by its field.
    let id = first["id"].as_str().expect("an id");
    let checkpoints = service
        .get(&format!("/v1/jobs/{id}/checkpoints"))
        .await
        .ok(200);
    job["init_from"] = json!({"job": id, "checkpoint": checkpoints["data"][0]["number"]});
    job["name"] = "third".into();
    let third = service.train(&job).await;
    assert_eq!(third["result"]["init_from"], *adopted);
    for bad in [
        json!("no-such"),
        json!({"job": id, "checkpoint": 999}),
        json!(5),
    ] {
        job["init_from"] = bad;
        service.post("/v1/jobs", &job).await.invalid("/init_from");
    }
}
