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

pub use spec::Spec;

use self::learner::RbmLearner;
use self::model::Rbm;
use super::define::{Define, Loaded};
use super::spec::require_probabilities;
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::boltzmann::machine::MachineConfig;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::train::Learner;
use crate::train::settings::{Schedule, Training, TrainingDefaults};
use crate::verbs::Signature;

impl Define for Spec {
    const KIND: &'static str = "rbm";
    const SUMMARY: &'static str =
        "Restricted Boltzmann machine with Bernoulli units (CD-k, PCD, parallel tempering)";
    const TRAINING: TrainingDefaults = TrainingDefaults {
        epochs: 15,
        optimizer: Rule::Momentum,
        learning_rate: 0.05,
        schedule: Schedule::CONSTANT,
        ..TrainingDefaults::ADAM
    };

    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_chains(training, data, rules);
        rules.require(
            training.gradient_clip.is_none(),
            "/training/gradient_clip",
            "an rbm's updates are differences of statistics in [0, 1]; there is no gradient to clip",
        );
        require_probabilities(data, rules);
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        MachineConfig::bernoulli(data.features(), self.hidden).parameters()
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        let units = data.features().saturating_add(self.hidden).unsigned_abs();
        rows.saturating_mul(units.into()).saturating_mul(2)
    }

    fn signature(&self, _data: &DataFacts) -> Signature {
        Signature {
            likelihood: true,
            pseudo_likelihood: true,
            ..Signature::default()
        }
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        Box::new(RbmLearner::new(self, training, data, device))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let mut rbm = Rbm::init(data.features(), self.hidden, &mut Rng::at(0, &[]), device);
        rbm.restore(tensors)?;
        Ok(Box::new(rbm))
    }
}
