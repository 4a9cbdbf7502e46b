//! What follows from the data is written down when a job is posted.

use serde_json::{Value, json};

use super::Tried;
use super::trial::{Trial, bytes_of, trials};
use crate::families::FAMILIES;

/// Of nets that leave much out. The kernel is given: a document without one is an old one, see `gan::Spec::kernel`.
fn terse() -> Vec<Value> {
    [
        json!({}),
        json!({"conditional": true}),
        json!({"architecture": "dcgan", "conditional": true}),
        json!({"architecture": "dcgan", "loss": "wasserstein_gp"}),
        json!({"architecture": "dcgan", "batch_norm": false}),
        json!({"architecture": "dcgan", "kernel": 7}),
        json!({"architecture": "dcgan", "spectral_norm": true, "batch_norm": true}),
        json!({"architecture": "dcgan", "conditional": true, "conditioning": "concat"}),
    ]
    .into_iter()
    .map(|mut model| {
        model["kind"] = "gan".into();
        if model["architecture"] == "dcgan" && model["kernel"].is_null() {
            model["kernel"] = 5.into();
        }
        model
    })
    .collect()
}

#[test]
fn a_settled_spec_is_the_same_net_and_stays_as_it_is() -> Tried {
    for (i, (small, digits)) in trials()?.into_iter().enumerate() {
        let mut models = vec![small.model.clone()];
        if i == 0 {
            models.extend(terse());
            models.extend(FAMILIES.iter().map(|family| json!({"kind": family.kind})));
        }
        for model in models {
            let mut trial = Trial::of(&model, |_| {}, 5, &digits)?;
            let before = bytes_of(trial.learner()?.model())?;
            let settled = (trial.family.settle)(&trial.spec, &digits.facts)?;
            assert_eq!((trial.family.settle)(&settled, &digits.facts)?, settled);
            trial.spec = settled;
            assert!(trial.broken_rules().is_empty(), "{model}");
            assert_eq!(bytes_of(trial.learner()?.model())?, before, "{model}");
        }
    }
    Ok(())
}
