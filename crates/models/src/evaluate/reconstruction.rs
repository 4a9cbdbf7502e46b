//! How much of a row is left after encoding and decoding it.

use tch::Kind;

use super::metric::Reconstruction;
use super::subject::{Figures, Mean, Pace, Result, Subject, figure, unsuited};
use crate::nn::figures;

pub fn measure(
    metric: &Reconstruction,
    subject: &Subject<'_>,
    pace: &mut Pace<'_>,
) -> Result<Figures> {
    const NAME: &str = "reconstruction";
    let part = subject
        .model
        .reconstructor()
        .ok_or_else(|| unsuited(NAME, "it does not reconstruct"))?;
    let steps = metric.gibbs_steps;
    (subject.model).honoured("gibbs_steps", (steps > 0).then_some(steps))?;
    let features = subject.facts.features() as f64;
    let (mut squared, mut psnr) = (Mean::default(), Mean::default());
    subject.for_each(pace, |batch, rng| {
        let rows = subject.rows_of(batch, NAME)?;
        let output = part.reconstruct(&rows, steps, rng);
        let errors = (&rows.x - output)
            .square()
            .sum_dim_intlist(1, false, Kind::Double);
        psnr.add(&figures::psnr(&(&errors / features)));
        squared.add(&errors);
        Ok(())
    })?;
    let mut figures = vec![
        figure("squared_error", squared.mean()),
        figure("mse", squared.mean() / features),
    ];
    if subject.facts.is_unit_interval() {
        figures.push(figure("psnr", psnr.mean()));
    }
    Ok(figures)
}
