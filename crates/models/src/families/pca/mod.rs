//! Principal component analysis (Pearson, 1901; Hotelling, 1933): the linear code of least squared
//! error, found exactly. One epoch sums up mean and covariance in f64; they are solved at its end.
//!
//! `spec` is what a client writes, `model` the solution, `learner` how it comes about.

mod graph;
mod learner;
mod model;
mod spec;

use tch::Device;

pub use spec::Spec;

use self::learner::PcaLearner;
use self::model::Pca;
use super::define::{Define, Loaded};
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::train::Learner;
use crate::train::settings::{Schedule, Training, TrainingDefaults};

impl Define for Spec {
    const KIND: &'static str = "pca";
    const SUMMARY: &'static str = "Principal component analysis, solved exactly in one epoch";
    /// The solution does not depend on where it starts.
    const LEARNS_FROM_A_START: bool = false;
    const WEIGHS_BY_SCALE: bool = true;
    const TRAINING: TrainingDefaults = TrainingDefaults {
        epochs: 1,
        batch_size: 1000,
        optimizer: Rule::Sgd,
        learning_rate: 1.0,
        momentum: 0.0,
        weight_decay: 0.0,
        schedule: Schedule::CONSTANT,
    };

    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_size(data, rules);
        spec::check_training(training, rules);
    }

    fn settled(self, data: &DataFacts) -> Self {
        Self {
            code: Some(self.components(data)),
            ..self
        }
    }

    fn bottleneck(&self, data: &DataFacts) -> Option<i64> {
        Some(self.components(data))
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        let sizes = [data.features(), self.components(data)];
        let [features, code] = sizes.map(|n| u128::from(n.unsigned_abs()));
        features * code + features + code + 1
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        // The covariance is summed up in f64, and its eigenvectors are as large.
        let features = u128::from(data.features().unsigned_abs());
        let square = features.saturating_mul(features).saturating_mul(4);
        square.saturating_add(rows.saturating_mul(features))
    }

    fn learner(&self, _training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        Box::new(PcaLearner::new(self, data, device))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let mut pca = Pca::zero(self, data, device);
        pca.restore(tensors)?;
        Ok(Box::new(pca))
    }
}
