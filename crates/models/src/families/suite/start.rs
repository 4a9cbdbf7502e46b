//! Runs that start from another model's weights.

use std::collections::BTreeMap;
use std::error::Error;

use super::trial::{Trial, Watcher, bytes_of};
use crate::artifacts::weights;
use crate::nn::Tensors;
use crate::train::{Adopted, Cursor, Freeze, Outcome, Start, Training};

pub fn prefixes(prefixes: &[&str]) -> Freeze {
    Freeze::Prefixes(prefixes.iter().map(|&prefix| prefix.to_owned()).collect())
}

/// Weights that have learnt something, in storage of their own.
pub fn trained(trial: &Trial<'_>) -> Result<Tensors, Box<dyn Error>> {
    let mut learner = trial.learner()?;
    trial.fit(learner.as_mut(), Cursor::default(), None)?;
    let (tensors, _): (Tensors, String) = weights::decode(&bytes_of(learner.model())?)?;
    Ok(tensors)
}

/// Whatever could move a tensor that no gradient moves, where the family honours it.
pub fn with_pulls(mut trial: Trial<'_>) -> Trial<'_> {
    for pull in [
        |t: &mut Training| t.weight_decay = 0.1,
        |t: &mut Training| t.gradient_clip = Some(0.5),
        |t: &mut Training| t.momentum = 0.95,
    ] {
        let before = trial.training.clone();
        pull(&mut trial.training);
        if !trial.broken_rules().is_empty() {
            trial.training = before;
        }
    }
    trial
}

/// What a run from other weights ended with.
pub struct Ended {
    pub adopted: Adopted,
    pub weights: Tensors,
    pub phases: Vec<String>,
}

/// Trains from `source`, and again with a break at several places, without the source after it.
pub fn ended(
    name: &str,
    trial: &Trial<'_>,
    source: &Tensors,
    freeze: &Freeze,
) -> Result<Ended, Box<dyn Error>> {
    let start = || {
        Some(Start {
            tensors: source,
            freeze,
        })
    };
    let run = |leave| -> Result<(Outcome, Watcher, Vec<u8>), Box<dyn Error>> {
        let mut learner = trial.learner()?;
        let (outcome, watcher) =
            trial.fit_from(learner.as_mut(), Cursor::default(), leave, start())?;
        Ok((outcome, watcher, bytes_of(learner.model())?))
    };
    let (outcome, watcher, bytes) = run(None)?;
    let Outcome::Finished { adopted, .. } = outcome else {
        return Err(format!("{name}: {outcome:?}").into());
    };
    for leave in [0, 3, watcher.step / 2 + 2, watcher.step - 1] {
        let (outcome, left, _) = run(Some(leave))?;
        assert_eq!(outcome, Outcome::Released, "{name}: left at {leave}");
        assert!(
            trial.gone_on(left)? == bytes,
            "{name}: left at step {leave} of {}, other weights",
            watcher.step
        );
    }
    let (weights, _): (Tensors, String) = weights::decode(&bytes)?;
    Ok(Ended {
        adopted,
        weights,
        phases: watcher.phases,
    })
}

/// Of each tensor of `ended`, whether it is the source's of the name that `original` gives.
pub fn unchanged<'a>(
    ended: &'a Ended,
    source: &Tensors,
    original: impl Fn(&str) -> String,
) -> BTreeMap<&'a str, bool> {
    let same = |name: &str, tensor: &tch::Tensor| {
        source
            .get(&original(name))
            .is_some_and(|other| tensor.size() == other.size() && tensor.equal(other))
    };
    let weights = ended.weights.iter();
    weights
        .map(|(name, tensor)| (name.as_str(), same(name, tensor)))
        .collect()
}
