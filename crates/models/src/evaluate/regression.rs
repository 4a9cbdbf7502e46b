//! Numbers that a model predicts against those that are so: `mae`, `rmse` and `r2`.

use tch::{Kind, Tensor};

use super::subject::{Figures, Mean, Pace, Result, Subject, figure, labels_of, unsuited};
use crate::data::Batch;
use crate::nn::standardize::Columns;
use crate::verbs::predict::Prediction;

const NAME: &str = "regression";

/// `r2 = 1 - Σ (y - ŷ)² / Σ (y - ȳ)²`; left out where the numbers do not differ.
pub fn measure(subject: &Subject<'_>, pace: &mut Pace<'_>) -> Result<Figures> {
    let predictor = subject
        .model
        .predictor()
        .ok_or_else(|| unsuited(NAME, "it predicts nothing"))?;
    let (mut square, mut distance) = (Mean::default(), Mean::default());
    let mut truth = Columns::default();
    subject.for_each(pace, |batch, _| {
        let numbers = numbers_of(subject, batch)?;
        let Prediction::Values(values) = predictor.predict(batch.rows()) else {
            return Err(unsuited(NAME, "it predicts classes, not values"));
        };
        let off = values.to_kind(Kind::Double) - &numbers;
        square.add(&off.square());
        distance.add(&off.abs());
        truth.add(&numbers);
        Ok(())
    })?;
    let mut figures = vec![
        figure("mae", distance.mean()),
        figure("rmse", square.mean().sqrt()),
    ];
    if let Some((mean, variance)) = truth.moments() {
        let (mean, variance) = (mean.double_value(&[0]), variance.double_value(&[0]));
        // Below this it is what rounding leaves of equal numbers.
        if variance.sqrt() > 1e-13 * mean.abs() {
            figures.push(figure("r2", 1.0 - square.mean() / variance));
        }
    }
    Ok(figures)
}

/// What the model learnt of such rows, `[batch, 1]` f64: their targets, or their labels as numbers.
fn numbers_of(subject: &Subject<'_>, batch: &Batch) -> Result<Tensor> {
    let numbers = if subject.learnt.has_targets() {
        let targets = batch.targets();
        targets.ok_or_else(|| unsuited(NAME, "the split has no targets"))?
    } else {
        labels_of(batch, NAME)?
    };
    Ok(numbers.to_kind(Kind::Double).unsqueeze(1))
}
