//! Restricted Boltzmann machine with Bernoulli units, trained by contrastive divergence (CD-k;
//! Hinton, 2002), persistent contrastive divergence (PCD; Tieleman, 2008) or parallel tempering
//! (Desjardins et al., 2010; Cho, Raiko and Ilin, 2010).
//!
//! `E(v, h) = -v·b - h·c - v W h`. Visible values in [0, 1] are read as probabilities unless
//! `binarize` turns them into 0s and 1s. The code is `p(h = 1 | v)`, `[hidden]`.

mod learner;
mod model;
mod spec;

use tch::Device;

use super::{Define, Signature};
use crate::document::Rules;
use crate::nn::boltzmann::machine::MachineConfig;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::settings::{Schedule, Training, TrainingDefaults};
use crate::verbs::Model;

pub use model::Rbm;
pub use spec::Spec;

impl Define for Rbm {
    const KIND: &'static str = "rbm";
    const SUMMARY: &'static str =
        "Restricted Boltzmann machine with Bernoulli units (CD-k, PCD, parallel tempering)";
    type Spec = Spec;

    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 15,
            batch_size: 128,
            optimizer: Rule::Momentum,
            learning_rate: 0.05,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule::CONSTANT,
        }
    }

    fn check(spec: &Spec, training: &Training, data: &DataFacts, rules: &mut Rules) {
        spec.check(training, data, rules);
    }

    fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
        MachineConfig::bernoulli(data.features(), spec.hidden).parameters()
    }

    fn working(spec: &Spec, data: &DataFacts, rows: u128) -> u128 {
        let units = data.features().saturating_add(spec.hidden).unsigned_abs();
        rows.saturating_mul(units.into()).saturating_mul(2)
    }

    fn signature(_spec: &Spec, _data: &DataFacts) -> Signature {
        Signature {
            likelihood: true,
            pseudo_likelihood: true,
            ..Signature::default()
        }
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        Box::new(learner::RbmLearner::new(spec, training, data, device))
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let mut rbm = Self::init(data.features(), spec.hidden, &mut Rng::at(0, &[]), device);
        rbm.restore(tensors)?;
        Ok(Box::new(rbm))
    }
}
