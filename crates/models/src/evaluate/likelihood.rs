//! How probable a model finds rows that it has not seen.

use super::metric::{LogLikelihood, PseudoLikelihood};
use super::subject::{Figures, Mean, Pace, Result, Subject, figure, stream, unsuited};
use crate::nn::binarize::Binarize;
use crate::nn::model::LikelihoodEffort;

pub fn measure(
    metric: &LogLikelihood,
    subject: &Subject<'_>,
    pace: &mut Pace<'_>,
) -> Result<Figures> {
    const NAME: &str = "log_likelihood";
    let part = subject
        .model
        .likelihood()
        .ok_or_else(|| unsuited(NAME, "it has no likelihood that can be estimated"))?;
    let usual = if part.needs_partition() { 100 } else { 1000 };
    let effort = LikelihoodEffort {
        samples: metric.samples.unwrap_or(usual),
        temperatures: metric.temperatures,
    };
    let binarize = metric.binarize.unwrap_or(if part.is_of_bits() {
        Binarize::Dynamic
    } else {
        Binarize::None
    });
    let estimator = part.estimator(effort, &mut subject.rng(stream::MODEL, usize::MAX));
    let (mut mean, mut batches) = (Mean::default(), 0);
    subject.for_each(pace, |batch, rng| {
        let mut rows = subject.rows_of(batch, NAME)?;
        // Each row becomes one binary row, whatever the model draws afterwards.
        rows.x = binarize.apply(&rows.x, &mut subject.rng(stream::ROWS, batches));
        batches += 1;
        mean.add(&estimator.log_likelihood(&rows, rng));
        Ok(())
    })?;
    let mut figures = vec![
        figure(NAME, mean.mean()),
        figure("log_likelihood_standard_error", mean.standard_error()),
    ];
    figures.extend(estimator.notes().into_iter().map(|(n, v)| figure(n, v)));
    Ok(figures)
}

pub fn pseudo(
    metric: &PseudoLikelihood,
    subject: &Subject<'_>,
    pace: &mut Pace<'_>,
) -> Result<Figures> {
    const NAME: &str = "pseudo_likelihood";
    let none = || unsuited(NAME, "it has no pseudo-likelihood");
    let part = subject.model.likelihood().ok_or_else(none)?;
    let binarize = metric.binarize.unwrap_or(Binarize::Dynamic);
    let (mut mean, mut batches) = (Mean::default(), 0);
    subject.for_each(pace, |batch, rng| {
        let mut rows = subject.rows_of(batch, NAME)?;
        rows.x = binarize.apply(&rows.x, &mut subject.rng(stream::ROWS, batches));
        batches += 1;
        mean.add(&part.pseudo_likelihood(&rows, rng).ok_or_else(none)?);
        Ok(())
    })?;
    Ok(vec![figure(NAME, mean.mean())])
}
