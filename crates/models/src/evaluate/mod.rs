//! Measuring trained models on a split of a data set: one file a metric. No SQL and no HTTP here.

mod classification;
mod denoising;
mod frechet;
mod likelihood;
pub mod metric;
mod reconstruction;
mod regression;
mod subject;

pub use metric::Metric;
pub use subject::{EvaluationError, Figures, Pace, Subject};

use self::subject::Result;

/// Measures one metric.
pub fn measure(metric: &Metric, subject: &Subject<'_>, pace: &mut Pace<'_>) -> Result<Figures> {
    let _guard = tch::no_grad_guard();
    match metric {
        Metric::Reconstruction(m) => reconstruction::measure(m, subject, pace),
        Metric::LogLikelihood(m) => likelihood::measure(m, subject, pace),
        Metric::PseudoLikelihood(m) => likelihood::pseudo(m, subject, pace),
        Metric::Classification(_) => classification::measure(subject, pace),
        Metric::Regression(_) => regression::measure(subject, pace),
        Metric::Denoising(m) => denoising::measure(m, subject, pace),
        Metric::Frechet(m) => frechet::measure(m, subject, pace),
        Metric::ConditionalAccuracy(m) => classification::conditional(m, subject, pace),
    }
}
