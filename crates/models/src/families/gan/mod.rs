//! Generative adversarial network: a generator that makes rows from noise, and a discriminator that
//! learns to tell them from the data's, each the other's teacher (Goodfellow et al., 2014).

mod discriminator;
mod generator;
#[cfg(test)]
mod golden_tests;
mod learner;
mod loss;
mod model;
mod spec;
#[cfg(test)]
mod tests;
mod watch;

use tch::Device;

use super::{Define, Signature};
use crate::document::Rules;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::settings::{Schedule, Training, TrainingDefaults};
use crate::verbs::Model;

pub use model::Gan;
pub use spec::Spec;

impl Define for Gan {
    const KIND: &'static str = "gan";
    const SUMMARY: &'static str =
        "Generative adversarial network, dense or convolutional (DCGAN), optionally conditional";
    type Spec = Spec;

    /// Those of Radford et al. (2016); `momentum` is the decay of Adam's first moment.
    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 20,
            batch_size: 64,
            optimizer: Rule::Adam,
            learning_rate: 2e-4,
            momentum: 0.5,
            weight_decay: 0.0,
            schedule: Schedule::CONSTANT,
        }
    }

    fn check(spec: &Spec, training: &Training, data: &DataFacts, rules: &mut Rules) {
        spec.check(training, data, rules);
    }

    fn settle(spec: Spec, data: &DataFacts) -> Spec {
        spec.settled(data)
    }

    fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
        let generator = generator::config(spec, data).parameters();
        generator.saturating_add(discriminator::config(spec, data).parameters())
    }

    fn working(spec: &Spec, data: &DataFacts, rows: u128) -> u128 {
        let generator = generator::config(spec, data).working();
        let discriminator = discriminator::config(spec, data).working();
        rows.saturating_mul(generator.saturating_add(discriminator))
    }

    fn signature(spec: &Spec, data: &DataFacts) -> Signature {
        Signature {
            conditioned_on: data.classes().filter(|_| spec.conditional),
            ..Signature::default()
        }
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        Box::new(learner::GanLearner::new(spec, training, data, device))
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let gan = Self::init(spec, data, &mut Rng::at(0, &[]), device);
        gan.restore(tensors)?;
        Ok(Box::new(gan))
    }
}
