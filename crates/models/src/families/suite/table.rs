//! The small nets that the suite tries, at least one of every family.

use serde_json::{Value, json};

use crate::nn::optimizer::Rule;
use crate::train::Training;
use crate::train::settings::Precision;

/// A net small enough to be trained in a moment.
pub struct Small {
    /// What a failing test calls it.
    pub name: &'static str,
    pub model: Value,
    /// Changes of the family's own training settings.
    pub settings: fn(&mut Training),
    /// A metric of the test split that must end below this bound.
    pub learns: (&'static str, f64),
    /// Tensors that stay as they are where it starts from another one of its kind, as prefixes of names.
    pub frozen: &'static [&'static str],
}

pub fn table() -> Vec<Small> {
    vec![
        Small {
            name: "pca",
            model: json!({"kind": "pca", "code": 8}),
            settings: |t| t.batch_size = 50,
            learns: ("reconstruction_mse", 0.03),
            frozen: &[],
        },
        Small {
            name: "pca, whitened",
            model: json!({"kind": "pca", "code": 8, "whiten": true}),
            settings: |t| t.batch_size = 50,
            learns: ("reconstruction_mse", 0.03),
            frozen: &[],
        },
        Small {
            name: "rbm, pcd",
            model: json!({"kind": "rbm", "hidden": 64, "algorithm": "pcd", "chains": 20, "binarize": "dynamic"}),
            settings: |t| t.epochs = 12,
            learns: ("reconstruction_mse", 0.13),
            frozen: &["weights"],
        },
        Small {
            name: "rbm, cd",
            model: json!({"kind": "rbm", "hidden": 64}),
            settings: |t| t.epochs = 12,
            learns: ("reconstruction_mse", 0.05),
            frozen: &["visible_bias", "base_bias"],
        },
        Small {
            name: "rbm, tempering in bf16",
            model: json!({"kind": "rbm", "hidden": 48, "algorithm": "tempering", "temperatures": 3, "chains": 20,
                "gibbs_steps": 2}),
            settings: |t| (t.epochs, t.precision) = (8, Precision::Bf16),
            learns: ("reconstruction_mse", 0.08),
            frozen: &["hidden_bias"],
        },
        Small {
            name: "rbm, centred, sparse and averaged, with growing k",
            model: json!({"kind": "rbm", "hidden": 64, "algorithm": "cd", "final_gibbs_steps": 3,
                "binarize": "threshold", "centring": true,
                "sparsity": {"target": 0.1, "cost": 1.0}, "averaging": {"decay": 0.99, "from": 0.4}}),
            settings: |t| t.epochs = 12,
            // A random code is on half of the time.
            learns: ("hidden_activity", 0.2),
            frozen: &["base_bias"],
        },
        Small {
            name: "autoencoder, denoising",
            model: json!({"kind": "autoencoder", "hidden": [64], "code": 8, "corruption": {"kind": "mask",
                "level": 0.2}}),
            settings: |t| t.epochs = 25,
            learns: ("reconstruction_mse", 0.06),
            frozen: &["encoder."],
        },
        Small {
            name: "autoencoder, convolutions, tied",
            model: json!({"kind": "autoencoder", "channels": [4, 8], "hidden": [32], "code": 8, "activation": "gelu",
                "tied": true}),
            settings: |t| (t.epochs, t.learning_rate) = (15, 0.01),
            learns: ("reconstruction_mse", 0.06),
            frozen: &["encoder.0.", "encoder.2.", "decoder.1."],
        },
        Small {
            name: "autoencoder, contractive",
            model: json!({"kind": "autoencoder", "hidden": [], "code": 16, "code_activation": "sigmoid",
                "contractive": 0.1, "sparsity": {"target": 0.2, "weight": 0.1}}),
            settings: |t| (t.epochs, t.learning_rate) = (25, 0.01),
            learns: ("reconstruction_mse", 0.06),
            frozen: &["decoder."],
        },
        Small {
            name: "autoencoder, contractive by projection",
            model: json!({"kind": "autoencoder", "channels": [4], "hidden": [16], "code": 8, "contractive": 0.001,
                "sparsity": {"kind": "l1", "weight": 0.01}}),
            settings: |t| (t.epochs, t.learning_rate) = (12, 0.01),
            learns: ("squared_error", 4.0),
            frozen: &["encoder.0.", "encoder.2."],
        },
        Small {
            name: "autoencoder, pretrained by rbms",
            model: json!({"kind": "autoencoder", "hidden": [32], "code": 8, "activation": "sigmoid",
                "pretraining": {"kind": "rbm", "epochs": 1, "learning_rate": 0.2}}),
            settings: |t| (t.epochs, t.learning_rate) = (25, 0.02),
            learns: ("reconstruction_mse", 0.06),
            frozen: &["encoder.0.", "decoder.0."],
        },
        Small {
            name: "autoencoder, pretrained by denoising",
            model: json!({"kind": "autoencoder", "channels": [4], "hidden": [32], "code": 8, "activation": "tanh",
                "pretraining": {"kind": "denoising", "epochs": 1}}),
            settings: |t| (t.epochs, t.learning_rate) = (12, 0.01),
            learns: ("reconstruction_mse", 0.06),
            frozen: &["encoder."],
        },
        Small {
            name: "vae, dynamic",
            model: json!({"kind": "vae", "hidden": [64], "latent": 8, "binarize": "dynamic", "mixture": 3,
                "kl_schedule": {"kind": "warmup", "epochs": 2}}),
            settings: |t| t.epochs = 15,
            learns: ("nelbo", 30.0),
            frozen: &["mixture.", "decoder."],
        },
        Small {
            name: "vae, importance-weighted, conditional, gated",
            model: json!({"kind": "vae", "hidden": [32], "latent": 6, "gated": true, "samples": 5,
                "conditional": true, "binarize": "threshold"}),
            settings: |t| t.epochs = 8,
            learns: ("loss", 30.0),
            frozen: &["encoder.0."],
        },
        Small {
            name: "vae, convolutional, gaussian",
            model: json!({"kind": "vae", "channels": [8, 16], "hidden": [32], "latent": 8, "likelihood": "gaussian",
                "kl_schedule": {"kind": "cyclic", "cycles": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (20, 5e-3),
            learns: ("reconstruction_mse", 0.05),
            frozen: &["front.", "visible."],
        },
        Small {
            name: "dbn, generative with labels",
            model: json!({"kind": "dbn", "hidden": [64, 64], "pretraining": {"epochs": 15, "learning_rate": 0.2,
                "algorithm": "cd"}}),
            settings: |t| t.epochs = 30,
            learns: ("error", 0.25),
            frozen: &["layers.0.hidden_bias", "layers.1.weights"],
        },
        Small {
            name: "dbn, generative without labels, pcd",
            model: json!({"kind": "dbn", "hidden": [64, 48], "joint_labels": false, "binarize": "dynamic",
                "pretraining": {"algorithm": "pcd", "gibbs_steps": 2}}),
            settings: |t| t.epochs = 20,
            learns: ("reconstruction_mse", 0.145),
            frozen: &["layers.0.", "layers.1.visible_bias", "base_bias"],
        },
        Small {
            name: "dbn, classifier",
            model: json!({"kind": "dbn", "hidden": [64, 64], "head": "classifier", "layer_rate": 0.5, "dropout": 0.1,
                "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (30, 0.02),
            learns: ("error", 0.2),
            frozen: &["net.0."],
        },
        Small {
            name: "dbn, classifier from few labels",
            model: json!({"kind": "dbn", "hidden": [64], "head": "classifier", "labeled_rows": 200,
                "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (20, 0.02),
            learns: ("error", 0.25),
            frozen: &["net.0.weight"],
        },
        Small {
            name: "dbn, regressor from random weights",
            model: json!({"kind": "dbn", "hidden": [64], "head": "regressor", "pretraining": {"epochs": 0}}),
            settings: |t| (t.epochs, t.learning_rate) = (40, 0.02),
            learns: ("loss", 5.0),
            frozen: &["net.0."],
        },
        Small {
            name: "dbn, autoencoder",
            model: json!({"kind": "dbn", "hidden": [64, 16], "head": "autoencoder", "pretraining": {"epochs": 5,
                "learning_rate": 0.2}}),
            settings: |t| (t.epochs, t.learning_rate) = (40, 0.02),
            learns: ("reconstruction_mse", 0.06),
            frozen: &["encoder.0.", "decoder.1."],
        },
        Small {
            name: "gan, dense",
            model: json!({
                "kind": "gan", "latent": 16, "hidden": [64, 64], "loss": "non_saturating",
                "spectral_norm": false, "ema_decay": 0.9
            }),
            settings: |t| (t.epochs, t.learning_rate) = (20, 2e-3),
            learns: ("moment_error", 0.03),
            frozen: &["generator."],
        },
        Small {
            name: "gan, conditional dcgan",
            model: json!({
                "kind": "gan", "latent": 16, "architecture": "dcgan", "channels": [8, 16], "kernel": 3, "loss": "hinge",
                "spectral_norm": true, "conditional": true, "ema_decay": 0.9
            }),
            settings: |t| (t.epochs, t.learning_rate) = (12, 2e-3),
            learns: ("moment_error", 0.03),
            frozen: &[
                "generator.0.",
                "generator.1.",
                "discriminator.body.0.",
                "discriminator.classes.",
            ],
        },
        Small {
            name: "gan, critic",
            model: json!({
                "kind": "gan", "latent": 16, "hidden": [64], "loss": "wasserstein_gp", "discriminator_steps": 2,
                "conditional": true, "conditioning": "concat", "ema_decay": 0.0
            }),
            settings: |t| (t.epochs, t.learning_rate) = (20, 2e-3),
            learns: ("moment_error", 0.03),
            frozen: &["discriminator."],
        },
        Small {
            name: "mlp",
            model: json!({"kind": "mlp", "hidden": [64], "input_dropout": 0.1, "label_smoothing": 0.1}),
            settings: |t| {
                t.epochs = 8;
                t.optimizer = Rule::Nesterov;
                t.learning_rate = 0.1;
                t.gradient_clip = Some(5.0);
                t.weight_decay = 1e-4;
            },
            learns: ("error", 0.15),
            frozen: &["net.0."],
        },
        Small {
            name: "mlp, convolutional",
            model: json!({"kind": "mlp", "channels": [8, 16], "hidden": [32], "batch_norm": true, "dropout": 0.2,
                "augment": {"shift": 1}}),
            settings: |t| (t.epochs, t.learning_rate) = (8, 1e-2),
            learns: ("error", 0.25),
            frozen: &["net.0.", "net.1."],
        },
        Small {
            name: "mlp, regression",
            model: json!({"kind": "mlp", "task": "regression", "hidden": [64], "standardize": true}),
            settings: |t| t.epochs = 25,
            learns: ("rmse", 1.8),
            frozen: &["net.0.weight", "input."],
        },
        Small {
            name: "linear, the example of CONTRIBUTING",
            model: json!({"kind": "linear", "code": 8}),
            settings: |t| (t.epochs, t.learning_rate) = (12, 0.01),
            learns: ("reconstruction_mse", 0.05),
            frozen: &["bias"],
        },
    ]
}

/// The same for regressors that learn targets: how much ink an image has in its upper half, in a unit far
/// from the net's own.
pub fn table_of_targets() -> Vec<Small> {
    vec![
        Small {
            name: "mlp, regression on targets",
            model: json!({"kind": "mlp", "task": "regression", "hidden": [32]}),
            settings: |t| (t.epochs, t.learning_rate) = (30, 5e-3),
            // The targets' own standard deviation is 10,600.
            learns: ("rmse", 3000.0),
            frozen: &["net.0."],
        },
        Small {
            name: "mlp, convolutional regression on targets",
            model: json!({"kind": "mlp", "task": "regression", "channels": [8], "hidden": [16], "batch_norm": true}),
            settings: |t| (t.epochs, t.learning_rate) = (10, 1e-2),
            learns: ("mae", 4000.0),
            frozen: &["net.0.", "net.1.bias"],
        },
        Small {
            name: "dbn, regressor on targets",
            model: json!({"kind": "dbn", "hidden": [64], "head": "regressor", "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (30, 0.02),
            learns: ("rmse", 4000.0),
            frozen: &["net.0.weight"],
        },
        Small {
            name: "dbn, regressor on few targets",
            model: json!({"kind": "dbn", "hidden": [64], "head": "regressor", "labeled_rows": 200,
                "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (20, 0.02),
            learns: ("loss", 0.2),
            frozen: &["net.0."],
        },
    ]
}
