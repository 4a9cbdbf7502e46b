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

pub use spec::Spec;

use self::learner::GanLearner;
use self::model::Gan;
use self::spec::Architecture;
use super::define::{Define, Loaded};
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::train::Learner;
use crate::train::settings::{Schedule, Training, TrainingDefaults};
use crate::verbs::Signature;

impl Define for Spec {
    const KIND: &'static str = "gan";
    const SUMMARY: &'static str =
        "Generative adversarial network, dense or convolutional (DCGAN), optionally conditional";
    /// Those of Radford et al. (2016); `momentum` is the decay of Adam's first moment.
    const TRAINING: TrainingDefaults = TrainingDefaults {
        batch_size: 64,
        learning_rate: 2e-4,
        momentum: 0.5,
        schedule: Schedule::CONSTANT,
        ..TrainingDefaults::ADAM
    };

    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_widths(data, rules);
        self.check_labels(data, rules);
        self.check_loss(training, rules);
        self.check_norm(data, rules);
    }

    fn settled(self, data: &DataFacts) -> Self {
        let convolutional = self.is_convolutional(data);
        Self {
            architecture: if convolutional {
                Architecture::Dcgan
            } else {
                Architecture::Dense
            },
            hidden: (!convolutional).then(|| self.hidden()),
            channels: convolutional.then(|| self.channels(data)),
            kernel: convolutional.then(|| self.kernel.unwrap_or(spec::KERNEL)),
            loss: Some(self.loss()),
            spectral_norm: Some(self.spectral_norm()),
            batch_norm: convolutional.then(|| self.batch_norm()),
            conditioning: self.conditioning(),
            discriminator_steps: self.discriminator_steps().try_into().ok(),
            gradient_penalty: self.penalty(),
            ..self
        }
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        let generator = generator::config(self, data).parameters();
        generator.saturating_add(discriminator::config(self, data).parameters())
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        let generator = generator::config(self, data).working();
        let discriminator = discriminator::config(self, data).working();
        rows.saturating_mul(generator.saturating_add(discriminator))
    }

    fn signature(&self, data: &DataFacts) -> Signature {
        Signature {
            conditioned_on: data.classes().filter(|_| self.conditional),
            ..Signature::default()
        }
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        Box::new(GanLearner::new(self, training, data, device))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let gan = Gan::init(self, data, &mut Rng::at(0, &[]), device);
        gan.restore(tensors)?;
        Ok(Box::new(gan))
    }
}
