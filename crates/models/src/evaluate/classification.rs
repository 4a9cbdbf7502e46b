//! Classes that a model predicts against those that are so; and what a classifier reads in what a model
//! makes.

use tch::{Kind, Tensor};

use super::metric::ConditionalAccuracy;
use super::subject::{Figures, Mean, Pace, Result, Subject, figure, labels_of, unsuited};
use crate::verbs::Model;
use crate::verbs::predict::Prediction;

/// Probabilities below this say no more about a wrong answer.
const FLOOR: f64 = 1e-12;

pub fn measure(subject: &Subject<'_>, pace: &mut Pace<'_>) -> Result<Figures> {
    const NAME: &str = "classification";
    let (mut wrong, mut loss) = (Mean::default(), Mean::default());
    let mut by_class: Vec<Mean> = Vec::new();
    subject.for_each(pace, |batch, _| {
        let labels = labels_of(batch, NAME)?;
        let probabilities = class_probabilities(subject.model, batch.rows(), NAME)?;
        let misses = probabilities
            .argmax(1, false)
            .not_equal_tensor(labels)
            .to_kind(Kind::Double);
        let truth = labels.unsqueeze(1);
        loss.add(
            &-probabilities
                .gather(1, &truth, false)
                .clamp_min(FLOOR)
                .log(),
        );
        by_class.resize_with(
            usize::try_from(probabilities.size()[1]).unwrap_or(0),
            Mean::default,
        );
        for (class, mean) in by_class.iter_mut().enumerate() {
            mean.add(&misses.masked_select(&labels.eq(class as i64)));
        }
        wrong.add(&misses);
        Ok(())
    })?;
    let mut figures = vec![
        figure("error", wrong.mean()),
        figure("accuracy", 1.0 - wrong.mean()),
        figure("loss", loss.mean()),
    ];
    let seen = by_class.iter().enumerate().filter(|(_, m)| m.count > 0.0);
    figures.extend(seen.map(|(class, m)| (format!("error_of_class_{class}"), m.mean())));
    Ok(figures)
}

/// The share of rows, generated for a class each, that a classifier reads as that class.
pub fn conditional(
    metric: &ConditionalAccuracy,
    subject: &Subject<'_>,
    pace: &mut Pace<'_>,
) -> Result<Figures> {
    const NAME: &str = "conditional_accuracy";
    let judge = subject
        .classifier
        .ok_or_else(|| unsuited(NAME, "no classifier is named"))?;
    let n = metric.n as usize;
    let (rows, labels) = subject.generated(n, metric.gibbs_steps, NAME, pace)?;
    let labels = labels.ok_or_else(|| unsuited(NAME, "it is not conditioned on labels"))?;
    let mut right = Mean::default();
    for (x, labels) in rows.split(500, 0).iter().zip(labels.split(500, 0)) {
        let read = class_probabilities(judge, x, NAME)?.argmax(1, false);
        right.add(&read.eq_tensor(&labels).to_kind(Kind::Double));
    }
    Ok(vec![
        figure(NAME, right.mean()),
        figure(
            "conditional_accuracy_standard_error",
            right.standard_error(),
        ),
    ])
}

/// `[rows, classes]`.
fn class_probabilities(model: &dyn Model, x: &Tensor, metric: &'static str) -> Result<Tensor> {
    let predictor = model
        .predictor()
        .ok_or_else(|| unsuited(metric, "it predicts nothing"))?;
    match predictor.predict(x) {
        Prediction::Classes(probabilities) => Ok(probabilities),
        Prediction::Values(_) => Err(unsuited(metric, "it predicts values, not classes")),
    }
}
