//! One pass that sums up the moments, and their solution at its end.

use tch::Device;

use super::model::Pca;
use super::spec::Spec;
use crate::data::Batch;
use crate::nn::figures::{mean, psnr};
use crate::nn::frozen::CannotFreeze;
use crate::nn::model::{DataFacts, error_per_row};
use crate::nn::moments::Moments;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::{Adopted, Learner, Phase, Report, StepContext};
use crate::verbs::Model;
use crate::verbs::round_trip::RoundTrip;

pub(super) struct PcaLearner {
    pca: Pca,
    /// Until they are solved.
    moments: Option<Moments>,
    /// Whether the data is in [0, 1].
    bounded: bool,
}

const MOMENTS: &str = "moments";

impl PcaLearner {
    pub fn new(spec: &Spec, data: &DataFacts, device: Device) -> Self {
        Self {
            pca: Pca::zero(spec, data, device),
            moments: Some(Moments::new(data.features(), device)),
            bounded: data.is_unit_interval(),
        }
    }
}

impl Learner for PcaLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("summing up", 1)]
    }

    fn step(&mut self, batch: &Batch, _context: &mut StepContext) -> Report {
        if let Some(moments) = &mut self.moments {
            moments.add(batch.rows());
        }
        Report::default()
    }

    /// The moments have done their work, and are large: they go.
    fn close_epoch(&mut self, _phase: usize, _epoch: u32) {
        if let Some(moments) = self.moments.take() {
            self.pca.solve(&moments);
        }
    }

    fn evaluate(&self, batch: &Batch, _rng: &mut Rng) -> Report {
        let output = self.pca.round_trip(batch.rows());
        let mse = mean(&error_per_row(batch.rows(), &output));
        let mut report = vec![
            ("reconstruction_mse", mse),
            ("squared_error", mse * batch.rows().size()[1] as f64),
            (
                "explained_variance_ratio",
                self.pca.explained_variance_ratio(),
            ),
        ];
        if self.bounded {
            let error = error_per_row(batch.rows(), &output.clamp(0.0, 1.0));
            report.push(("psnr", mean(&psnr(&error))));
        }
        Report(report)
    }

    fn state(&self) -> Tensors {
        let mut state = self.pca.tensors();
        if let Some(moments) = &self.moments {
            state.extend(moments.state(MOMENTS));
        }
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.pca.restore(state)?;
        let solved = !state.keys().any(|name| name.starts_with(MOMENTS));
        match &mut self.moments {
            Some(_) if solved => self.moments = None,
            Some(moments) => moments.restore(MOMENTS, state)?,
            None => {}
        }
        Ok(())
    }

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        if adopted.copied.is_empty() {
            return Ok(());
        }
        let reason = "the components are computed from the rows alone, whatever they started as";
        Err(CannotFreeze(reason.to_owned()))
    }

    fn model(&self) -> &dyn Model {
        &self.pca
    }
}
