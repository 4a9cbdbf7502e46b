//! What every family answers of what it advertises.

use std::error::Error;

use tch::{Device, Kind, Tensor};

use super::Tried;
use super::trial::{Digits, Trial, bytes_of, trials};
use crate::artifacts::weights;
use crate::nn::Tensors;
use crate::nn::model::Rows;
use crate::nn::rng::Rng;
use crate::train::Cursor;
use crate::verbs::call::Example;
use crate::verbs::{Call, Input, Model, Reply, VERBS, capabilities};

/// A call of each verb that the model offers, on `count` test digits from the first.
fn calls(model: &dyn Model, count: usize, digits: &Digits) -> Result<Vec<Call>, Box<dyn Error>> {
    let input = |count: usize| -> Result<Input, Box<dyn Error>> {
        let indices: Vec<u32> = (0..u32::try_from(count)?).collect();
        let batch = digits.test.batch(&indices, Device::Cpu)?;
        Ok(Input {
            rows: count,
            values: Vec::try_from(&batch.rows().reshape([-1]))?,
            labels: batch.labels().map(Vec::try_from).transpose()?,
        })
    };
    let rows = Example {
        input: input(count)?,
        two: input(2)?,
    };
    let offered = VERBS.iter().filter(|verb| (verb.offered)(model));
    Ok(offered.map(|verb| (verb.example)(model, &rows)).collect())
}

fn apply(call: &Call, model: &dyn Model, digits: &Digits) -> Result<Reply, Box<dyn Error>> {
    let name = call.verb();
    Ok(call
        .apply(model, &digits.facts, Device::Cpu)
        .map_err(|e| format!("{name}: {e}"))?)
}

#[test]
fn what_it_advertises_it_answers_and_what_is_saved_answers_the_same() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = trial.training.epochs.min(2);
        let mut learner = trial.learner()?;
        trial.fit(learner.as_mut(), Cursor::default(), None)?;
        let bytes = bytes_of(learner.model())?;
        let (tensors, _): (Tensors, String) = weights::decode(&bytes)?;
        let loaded = (trial.family.load)(&trial.spec, &digits.facts, &tensors, Device::Cpu)?;
        assert!(!capabilities(loaded.as_ref()).is_empty(), "{}", small.name);
        let signature = (trial.family.signature)(&trial.spec, &digits.facts)?;
        let classes = (
            loaded.conditioned_on(),
            loaded.sampler().and_then(|s| s.classes()),
        );
        let signed = (signature.conditioned_on, signature.sampled_by);
        assert_eq!(signed, classes, "{}", small.name);
        let likelihood = loaded.likelihood();
        assert_eq!(signature.likelihood, likelihood.is_some(), "{}", small.name);
        let rows = Rows {
            x: Tensor::zeros([2, digits.facts.features()], (Kind::Float, Device::Cpu)),
            labels: None,
        };
        let mut rng = Rng::at(1, &[]);
        let pseudo = likelihood.and_then(|part| part.pseudo_likelihood(&rows, &mut rng));
        assert_eq!(
            signature.pseudo_likelihood,
            pseudo.is_some(),
            "{}",
            small.name
        );
        for call in calls(loaded.as_ref(), 3, &digits)? {
            let at = format!("{}, {}", small.name, call.verb());
            let reply = apply(&call, loaded.as_ref(), &digits)?;
            let extras: Vec<&str> = reply.extras.iter().map(|field| field.name).collect();
            match call.verb() {
                "encode" => assert_eq!(extras, signature.beside_the_code, "{at}"),
                "predict" => assert_eq!(reply.labels.is_none(), signature.regresses, "{at}"),
                _ => {}
            }
            let width: i64 = reply.output.shape.iter().product();
            assert_eq!(
                reply.output.values.len(),
                reply.rows * usize::try_from(width).unwrap_or(0),
                "{at}"
            );
            assert!(reply.output.values.iter().all(|v| v.is_finite()), "{at}");
            let trained = tch::no_grad(|| apply(&call, learner.model(), &digits))?;
            assert!(
                trained.output.values == reply.output.values,
                "{at}: trained and loaded"
            );
            let again = apply(&call, loaded.as_ref(), &digits)?;
            assert!(
                again.output.values == reply.output.values,
                "{at}: the same call again"
            );
        }
    }
    Ok(())
}

#[test]
fn a_batch_is_its_rows_one_by_one() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = 1;
        let mut learner = trial.learner()?;
        trial.fit(learner.as_mut(), Cursor::default(), None)?;
        let model = learner.model();
        let (one, five) = (calls(model, 1, &digits)?, calls(model, 5, &digits)?);
        for (one, five) in one.iter().zip(&five) {
            // What draws numbers draws others for other rows.
            if !one.options().may_batch() || one.verb() == "score" && model.likelihood().is_some() {
                continue;
            }
            let (one, five) = (apply(one, model, &digits)?, apply(five, model, &digits)?);
            for (a, b) in one.output.values.iter().zip(&five.output.values) {
                assert!(
                    (a - b).abs() <= 1e-4 * (1.0 + a.abs()),
                    "{}: {a} alone, {b} in a batch",
                    small.name
                );
            }
        }
    }
    Ok(())
}
