//! Starting from other weights of which some stay as they are.

use serde_json::{Value, json};

use crate::fixtures::rows;
use crate::service::Service;
use crate::training::{digits_job, small_autoencoder};

/// Two layers pretrained by denoising, published as `stacked`.
fn stacked() -> Value {
    let model = json!({
        "kind": "autoencoder", "hidden": [48], "code": 24, "activation": "sigmoid",
        "code_activation": "sigmoid", "corruption": {"kind": "mask", "level": 0.2},
        "pretraining": {"kind": "denoising", "epochs": 2},
    });
    let training = json!({"epochs": 2, "batch_size": 64, "learning_rate": 0.01, "seed": 3});
    digits_job("stacked", &model, &training)
}

/// A classifier with layers of the same widths.
fn classifier(name: &str, init_from: &Value) -> Value {
    let model = json!({"kind": "mlp", "hidden": [48, 24], "activation": "sigmoid"});
    let training = json!({
        "epochs": 3, "batch_size": 64, "learning_rate": 0.03, "weight_decay": 0.01,
        "optimizer": "adamw", "gradient_clip": 1.0,
    });
    let mut job = digits_job(name, &model, &training);
    job["init_from"] = init_from.clone();
    job
}

fn names(job: &Value, list: &str) -> Vec<String> {
    let names = job["result"]["init_from"][list].clone();
    serde_json::from_value(names).expect("names")
}

async fn codes(service: &Service, model: &str, layer: usize) -> Vec<Vec<f32>> {
    let ask = json!({"rows": {"dataset": "digits", "split": "test", "limit": 5}, "layer": layer});
    let path = format!("/v1/models/{model}/encode");
    rows(&service.post(&path, &ask).await.ok(200)["outputs"])
}

#[tokio::test]
async fn a_classifier_learns_on_layers_that_stay_as_they_were() {
    let service = Service::with_digits(&[]).await;
    let source = service.train(&stacked()).await;
    let whole = json!({"model": "stacked", "freeze": true});
    let job = service.train(&classifier("whole", &whole)).await;
    assert_eq!(
        job["init_from"],
        json!({"model": "stacked:1", "freeze": true})
    );
    let layers = ["net.0.bias", "net.0.weight", "net.1.bias", "net.1.weight"];
    assert_eq!(names(&job, "copied"), layers);
    assert_eq!(names(&job, "frozen"), layers);
    assert_eq!(names(&job, "fresh"), ["net.2.bias", "net.2.weight"]);
    for layer in [0, 1] {
        let [before, after] = [
            codes(&service, "stacked", layer).await,
            codes(&service, "whole", layer).await,
        ];
        assert_eq!(before, after, "layer {layer}");
    }

    // The first layer alone, of a checkpoint; the second goes on learning.
    let id = source["id"].as_str().expect("an id");
    let path = format!("/v1/jobs/{id}/checkpoints");
    let checkpoints = service.get(&path).await.ok(200);
    let number = &checkpoints["data"][0]["number"];
    let part = json!({"job": id, "checkpoint": number, "freeze": ["net.0."]});
    let job = service.train(&classifier("part", &part)).await;
    assert_eq!(job["init_from"], part);
    assert_eq!(names(&job, "copied"), layers);
    assert_eq!(names(&job, "frozen"), layers[..2]);
    let [before, after] = [
        codes(&service, "stacked", 0).await,
        codes(&service, "part", 0).await,
    ];
    assert_eq!(before, after);
    assert_ne!(
        codes(&service, "stacked", 1).await,
        codes(&service, "part", 1).await
    );

    // Nothing is frozen unless it is asked for.
    let free = json!({"model": "stacked:1"});
    let job = service.train(&classifier("free", &free)).await;
    assert_eq!(
        job["init_from"],
        json!({"model": "stacked:1", "freeze": false})
    );
    assert_eq!(names(&job, "frozen"), [""; 0]);
    assert_ne!(
        codes(&service, "stacked", 0).await,
        codes(&service, "free", 0).await
    );
}

#[tokio::test]
async fn what_cannot_be_frozen_is_said_by_its_field() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("source")).await;
    for (init_from, pointer) in [
        (
            json!({"model": "no-such", "freeze": true}),
            "/init_from/model",
        ),
        (
            json!({"model": "source", "freeze": "encoder."}),
            "/init_from/freeze",
        ),
        (json!({"model": "source", "freeze": 1}), "/init_from/freeze"),
        (
            json!({"model": "source", "freeze": []}),
            "/init_from/freeze",
        ),
        (
            json!({"model": "source", "freeze": ["net.", ""]}),
            "/init_from/freeze/1",
        ),
        (
            json!({"model": "source", "frozen": true}),
            "/init_from/frozen",
        ),
        (json!({"model": "source", "checkpoint": 1}), "/init_from"),
        (json!({"freeze": true}), "/init_from"),
        (json!([]), "/init_from"),
    ] {
        let job = classifier("never", &init_from);
        service.post("/v1/jobs", &job).await.invalid(pointer);
    }
    // A solution in closed form has no start.
    let mut pca = digits_job("pca", &json!({"kind": "pca", "code": 4}), &json!({}));
    for (init_from, pointer) in [
        (
            json!({"model": "source", "freeze": true}),
            "/init_from/freeze",
        ),
        (json!("source"), "/init_from"),
    ] {
        pca["init_from"] = init_from;
        service.post("/v1/jobs", &pca).await.invalid(pointer);
    }
    // Only a look at the tensors can tell.
    for (freeze, says) in [
        (json!(["net.0.", "encoder."]), "'encoder.'"),
        (json!(["net.0.weight", "net.2."]), "'net.2.'"),
    ] {
        let init_from = json!({"model": "source", "freeze": freeze});
        let id = service.queue(&classifier("never", &init_from)).await;
        let job = service.ended_job(&id).await;
        assert_eq!(job["status"], "failed", "{job}");
        assert_eq!(job["error"]["code"], "invalid_setting");
        let detail = job["error"]["detail"].as_str().expect("a text");
        assert!(detail.starts_with("/init_from/freeze: "), "{detail}");
        assert!(detail.contains(says), "{detail}");
    }
    let mut whole = small_autoencoder("again");
    whole["init_from"] = json!({"model": "source", "freeze": true});
    let id = service.queue(&whole).await;
    let job = service.ended_job(&id).await;
    assert_eq!(job["error"]["code"], "invalid_setting", "{job}");
    let detail = job["error"]["detail"].as_str().expect("a text");
    assert!(detail.contains("nothing to learn"), "{detail}");
}
