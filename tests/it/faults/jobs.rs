//! A job of each family that trains for some seconds, with as much to lose as the family can have:
//! chains, moments, averages, phases.

use serde_json::{Value, json};

use crate::training::digits_job;

/// Names and documents; all on one thread.
pub fn all() -> Vec<(&'static str, Value)> {
    let chosen = [
        (
            "rbm",
            json!({"kind": "rbm", "hidden": 192, "algorithm": "pcd", "chains": 60, "gibbs_steps": 2,
                "binarize": "dynamic", "centring": true, "averaging": {"from": 0.5}}),
            120,
        ),
        (
            "autoencoder",
            json!({"kind": "autoencoder", "hidden": [160, 80], "code": 12, "activation": "sigmoid",
                "corruption": {"kind": "mask", "level": 0.3}, "pretraining": {"kind": "rbm", "epochs": 20}}),
            120,
        ),
        (
            "vae",
            json!({"kind": "vae", "hidden": [128], "latent": 8, "mixture": 4}),
            100,
        ),
        (
            "dbn",
            json!({"kind": "dbn", "hidden": [128, 96], "head": "classifier", "dropout": 0.2,
                "pretraining": {"epochs": 40}}),
            80,
        ),
        (
            "gan",
            json!({"kind": "gan", "architecture": "dense", "hidden": [64], "latent": 16, "conditional": true}),
            60,
        ),
        (
            "mlp",
            json!({"kind": "mlp", "hidden": [128, 64], "dropout": 0.3, "batch_norm": true}),
            120,
        ),
        ("pca", json!({"kind": "pca", "code": 16}), 1),
    ];
    chosen
        .into_iter()
        .map(|(name, model, epochs)| {
            let mut training = json!({"seed": 5, "checkpoint_every_epochs": 3, "keep_checkpoints": 3,
                "validation_fraction": 0.1});
            if name == "pca" {
                // One pass is all there is: many small steps make it last.
                training = json!({"seed": 5, "batch_size": 1});
            } else {
                training["epochs"] = json!(epochs);
            }
            (name, digits_job(name, &model, &training))
        })
        .collect()
}
