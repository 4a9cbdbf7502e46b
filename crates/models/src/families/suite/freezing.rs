//! What of another model is frozen comes out of every family as it went in, to the last bit.

use std::error::Error;

use serde_json::json;

use super::Tried;
use super::start::{ended, prefixes, trained, unchanged, with_pulls};
use super::table::table;
use super::trial::{Digits, Trial, trials};
use crate::train::{Cursor, Freeze, Halt, Start};

#[test]
fn frozen_tensors_come_out_as_they_went_in() -> Tried {
    for (small, digits) in trials()? {
        if small.frozen.is_empty() {
            continue;
        }
        let name = small.name;
        let trial = |seed| -> Result<_, Box<dyn Error>> {
            let mut trial = Trial::new(&small, seed, &digits)?;
            trial.training.epochs = trial.training.epochs.min(2);
            Ok(trial)
        };
        // Of other rows: what is taken from the data differs too.
        let mut other = trial(5)?;
        other.training.max_rows = Some(600);
        let source = trained(&other)?;
        let ended = ended(
            name,
            &with_pulls(trial(6)?),
            &source,
            &prefixes(small.frozen),
        )?;
        let same = unchanged(&ended, &source, str::to_owned);
        for prefix in small.frozen {
            assert!(
                same.keys().any(|n| n.starts_with(prefix)),
                "{name}: {prefix}"
            );
        }
        for (tensor, &same) in &same {
            let frozen = small.frozen.iter().any(|prefix| tensor.starts_with(prefix));
            assert_eq!(
                ended.adopted.frozen.holds(tensor),
                frozen,
                "{name}: {tensor}"
            );
            assert!(same || !frozen, "{name}: '{tensor}' has changed");
        }
        let learnt = same.values().filter(|&&same| !same).count();
        assert!(learnt > 0, "{name}: nothing has been learnt");
    }
    Ok(())
}

#[test]
fn a_model_that_is_frozen_whole_has_nothing_to_learn() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 5, &digits)?;
        trial.training.epochs = 1;
        let source = trained(&trial)?;
        let start = Start {
            tensors: &source,
            freeze: &Freeze::All(true),
        };
        let mut learner = trial.learner()?;
        let ended = trial.fit_from(learner.as_mut(), Cursor::default(), None, Some(start));
        assert!(matches!(ended, Err(Halt::Start(_))), "{}", small.name);
    }
    Ok(())
}

#[test]
fn what_can_only_stay_together_is_refused_in_part() -> Tried {
    let digits = Digits::new()?;
    let centred = "rbm, centred, sparse and averaged, with growing k";
    let refused = [
        ("rbm, cd", "weight_", "the start of no copied tensor's name"),
        (centred, "weights", "centring"),
        (centred, "hidden_bias", "centring"),
        ("vae, dynamic", "mixture.means", "fitted to each other"),
        ("mlp, convolutional", "net.0.norm.mean", "moments"),
        ("gan, dense", "generator.0.norm.variance", "moments"),
        (
            "gan, conditional dcgan",
            "discriminator.body.0.spectral.",
            "follows",
        ),
        (
            "gan, conditional dcgan",
            "discriminator.classes.spectral.",
            "follows",
        ),
    ];
    for small in table() {
        for (_, prefix, says) in refused.iter().filter(|(name, ..)| *name == small.name) {
            let mut trial = Trial::new(&small, 5, &digits)?;
            trial.training.epochs = 1;
            let source = trial.learner()?.model().tensors();
            let start = Start {
                tensors: &source,
                freeze: &prefixes(&[prefix]),
            };
            let mut learner = trial.learner()?;
            let ended = trial.fit_from(learner.as_mut(), Cursor::default(), None, Some(start));
            let Err(Halt::Start(why)) = ended else {
                return Err(format!("{}: '{prefix}' was frozen", small.name).into());
            };
            assert!(why.to_string().contains(says), "{}: {why}", small.name);
        }
    }
    Ok(())
}

#[test]
fn sparsity_needs_the_biases_it_moves() -> Tried {
    let digits = Digits::new()?;
    let sparse = json!({"kind": "rbm", "hidden": 8, "sparsity": {"target": 0.1, "cost": 1.0}});
    let trial = Trial::of(&sparse, |t| t.epochs = 1, 5, &digits)?;
    let source = trial.learner()?.model().tensors();
    for (prefix, is_refused) in [("hidden_bias", true), ("weights", false)] {
        let start = Start {
            tensors: &source,
            freeze: &prefixes(&[prefix]),
        };
        let mut learner = trial.learner()?;
        let ended = trial.fit_from(learner.as_mut(), Cursor::default(), None, Some(start));
        assert_eq!(matches!(ended, Err(Halt::Start(_))), is_refused, "{prefix}");
    }
    Ok(())
}
