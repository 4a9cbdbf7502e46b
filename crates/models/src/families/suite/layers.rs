//! Some layers of one net in another: frozen, with the rest learnt about them.

use serde_json::{Value, json};
use tch::Device;

use super::Tried;
use super::start::{ended, prefixes, trained, unchanged, with_pulls};
use super::trial::{Digits, Trial};
use crate::nn::model::Rows;
use crate::train::{Cursor, Freeze, Outcome, Start, Training};
use crate::verbs::Model;

/// A run that takes over some layers of another net, which `table` cannot show.
struct Part {
    source: Value,
    model: Value,
    freeze: Freeze,
    /// All that is frozen.
    frozen: &'static [&'static str],
    phases: &'static [&'static str],
}

fn parts() -> Vec<Part> {
    let machines = json!({"kind": "rbm", "epochs": 1, "learning_rate": 0.2});
    let denoising = json!({"kind": "denoising", "epochs": 1});
    let stacked = |hidden: Value, code: i64, pretraining: &Value| {
        json!({"kind": "autoencoder", "hidden": hidden,
        "code": code, "activation": "sigmoid", "pretraining": pretraining})
    };
    let belief = |hidden: Value, head: &str| {
        json!({"kind": "dbn", "hidden": hidden, "head": head,
        "pretraining": {"epochs": 1}})
    };
    let layers = || prefixes(&["encoder.0."]);
    let second = &["pretraining layer 2/2", "fine-tuning", "evaluating"];
    let both = &[
        "pretraining layer 1/2",
        "pretraining layer 2/2",
        "fine-tuning",
        "evaluating",
    ];
    let mut parts = Vec::new();
    for pretraining in [&machines, &denoising] {
        // A layer that was copied is not pretrained; the others are, on top of it.
        parts.push(Part {
            source: stacked(json!([32]), 6, pretraining),
            model: stacked(json!([32]), 8, pretraining),
            freeze: layers(),
            frozen: &["encoder.0.bias", "encoder.0.weight"],
            phases: second,
        });
        // Of another width below, only a bias fits.
        parts.push(Part {
            source: stacked(json!([16]), 8, pretraining),
            model: stacked(json!([24]), 8, pretraining),
            freeze: Freeze::All(true),
            frozen: &["decoder.1.bias", "encoder.1.bias"],
            phases: both,
        });
    }
    parts.push(Part {
        source: belief(json!([32, 8]), "autoencoder"),
        model: belief(json!([32, 12]), "autoencoder"),
        freeze: layers(),
        frozen: &["encoder.0.bias", "encoder.0.weight"],
        phases: second,
    });
    parts.push(Part {
        source: belief(json!([16, 8]), "autoencoder"),
        model: belief(json!([24, 8]), "autoencoder"),
        freeze: Freeze::All(true),
        frozen: &["decoder.1.bias", "encoder.1.bias"],
        phases: both,
    });
    // From the encoder of one family to the layers of another.
    parts.push(Part {
        source: belief(json!([32, 8]), "autoencoder"),
        model: belief(json!([32, 12]), "classifier"),
        freeze: Freeze::All(true),
        frozen: &["net.0.bias", "net.0.weight"],
        phases: second,
    });
    parts
}

#[test]
fn layers_that_were_copied_are_not_pretrained_and_the_others_are() -> Tried {
    let digits = Digits::new()?;
    for part in parts() {
        let name = format!("{} from {}", part.model, part.source);
        let brief = |training: &mut Training| training.epochs = 1;
        let source = trained(&Trial::of(&part.source, brief, 5, &digits)?)?;
        let trial = Trial::of(&part.model, brief, 6, &digits)?;
        let ended = ended(&name, &with_pulls(trial), &source, &part.freeze)?;
        assert_eq!(ended.phases, part.phases, "{name}");
        let frozen: Vec<&String> = ended.adopted.frozen.names().collect();
        assert_eq!(frozen, part.frozen, "{name}");
        let same = unchanged(&ended, &source, |name| name.replace("net.", "encoder."));
        for (tensor, &same) in &same {
            let frozen = part.frozen.contains(tensor);
            assert!(same || !frozen, "{name}: '{tensor}' has changed");
        }
    }
    Ok(())
}

/// Vincent et al. (2010): what a stack of denoising layers has learnt without labels serves a classifier.
#[test]
fn a_classifier_learns_on_the_frozen_layers_of_a_stacked_autoencoder() -> Tried {
    let digits = Digits::new()?;
    let stacked = json!({
        "kind": "autoencoder", "hidden": [64], "code": 32, "activation": "sigmoid",
        "code_activation": "sigmoid", "corruption": {"kind": "mask", "level": 0.2},
        "pretraining": {"kind": "denoising", "epochs": 10},
    });
    let trial = Trial::of(
        &stacked,
        |t| (t.epochs, t.learning_rate) = (15, 0.01),
        1,
        &digits,
    )?;
    let mut autoencoder = trial.learner()?;
    trial.fit(autoencoder.as_mut(), Cursor::default(), None)?;
    let source = autoencoder.model().tensors();
    let classifier = json!({"kind": "mlp", "hidden": [64, 32], "activation": "sigmoid"});
    let trial = Trial::of(
        &classifier,
        |t| (t.epochs, t.learning_rate) = (40, 0.03),
        2,
        &digits,
    )?;
    let mut mlp = trial.learner()?;
    let start = Start {
        tensors: &source,
        freeze: &Freeze::All(true),
    };
    let (outcome, _) = trial.fit_from(mlp.as_mut(), Cursor::default(), None, Some(start))?;
    let Outcome::Finished {
        metrics, adopted, ..
    } = outcome
    else {
        return Err(format!("{outcome:?}").into());
    };
    let frozen: Vec<&String> = adopted.frozen.names().collect();
    let layers = ["net.0.bias", "net.0.weight", "net.1.bias", "net.1.weight"];
    assert_eq!(frozen, layers);
    let error = metrics.iter().find(|(name, _)| name == "test/error");
    assert!(error.is_some_and(|(_, error)| *error < 0.25), "{metrics:?}");
    let rows = Rows {
        x: (digits.test.batch(&[0, 1, 2], Device::Cpu)?.rows()).shallow_clone(),
        labels: None,
    };
    let code = |model: &dyn Model| {
        let encoder = model.encoder().expect("it encodes");
        let (code, _) = encoder.last_layer();
        encoder.encode(&rows, code, None).output
    };
    let codes = tch::no_grad(|| [code(autoencoder.model()), code(mlp.model())]);
    assert_eq!(codes[0], codes[1]);
    Ok(())
}
