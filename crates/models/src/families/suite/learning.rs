//! Every family learns, by its seed alone, and can be taken up anywhere.

use std::error::Error;

use super::Tried;
use super::table::table;
use super::trial::{Trial, bytes_of, trials};
use crate::train::{Cursor, Outcome};

#[test]
fn every_family_is_tried() {
    for family in crate::families::FAMILIES {
        let tried = table()
            .iter()
            .any(|small| small.model["kind"] == family.kind);
        assert!(tried, "'{}' has no line in the suite's table", family.kind);
    }
}

#[test]
fn it_learns_and_the_seed_alone_decides_the_weights() -> Tried {
    let mut slow = Vec::new();
    for (small, digits) in trials()? {
        let train = |seed: u64| -> Result<_, Box<dyn Error>> {
            let trial = Trial::new(&small, seed, &digits)?;
            let mut learner = trial.learner()?;
            let (outcome, _) = trial.fit(learner.as_mut(), Cursor::default(), None)?;
            Ok((outcome, bytes_of(learner.model())?))
        };
        let (outcome, first) = train(5)?;
        let Outcome::Finished { metrics, .. } = outcome else {
            return Err(format!("{}: {outcome:?}", small.name).into());
        };
        let (metric, bound) = small.learns;
        let found = metrics
            .iter()
            .find(|(name, _)| *name == format!("test/{metric}"));
        let (_, value) = found.ok_or(format!("{}: no {metric} in {metrics:?}", small.name))?;
        if value >= &bound {
            slow.push(format!("{}: {metric} is {value}", small.name));
        }
        assert!(
            first == train(5)?.1,
            "{}: same seed, other weights",
            small.name
        );
        // Nothing is drawn for an exact solution.
        if small.model["kind"] != "pca" {
            assert!(
                first != train(6)?.1,
                "{}: other seed, same weights",
                small.name
            );
        }
    }
    assert!(slow.is_empty(), "learnt too little: {slow:#?}");
    Ok(())
}

#[test]
fn taken_up_anywhere_it_ends_with_the_same_weights() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = trial.training.epochs.min(3);
        let mut alone = trial.learner()?;
        let (_, watcher) = trial.fit(alone.as_mut(), Cursor::default(), None)?;
        let expected = bytes_of(alone.model())?;
        let steps = watcher.step;
        // Within an epoch, at the end of the first, past the middle, and just before the end.
        for leave in [1, 15, steps / 2 + 2, steps.saturating_sub(1)] {
            let mut first = trial.learner()?;
            let (outcome, watcher) = trial.fit(first.as_mut(), Cursor::default(), Some(leave))?;
            assert_eq!(
                outcome,
                Outcome::Released,
                "{}: left at {leave}",
                small.name
            );
            assert!(
                trial.gone_on(watcher)? == expected,
                "{}: left at step {leave} of {steps}, other weights",
                small.name
            );
        }
    }
    Ok(())
}
