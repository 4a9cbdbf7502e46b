//! Deep belief networks: RBMs trained one on top of the other (Hinton, Osindero and Teh, 2006), kept as
//! a generative model or fine-tuned as a classifier, a regressor or a deep autoencoder (Hinton and
//! Salakhutdinov, 2006).
//!
//! `spec` what a client writes; `generative` what the stack of RBMs answers;
//! `classifier` and `autoencoder` the nets it is unrolled to, of which `head` picks one; `tuning`, `labeled`
//! and `learner` how they learn.

mod autoencoder;
mod classifier;
mod generative;
mod head;
mod labeled;
mod learner;
mod likelihood;
mod spec;
mod start;
#[cfg(test)]
mod tests;
mod tuning;

use tch::{Device, Kind};

pub use spec::Spec;

use self::learner::DbnLearner;
use self::spec::Head;
use super::define::{Define, Loaded};
use super::spec::require_probabilities;
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::boltzmann::machine::MachineConfig;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::train::Learner;
use crate::train::settings::{Training, TrainingDefaults};
use crate::verbs::Signature;

impl Define for Spec {
    const KIND: &'static str = "dbn";
    const SUMMARY: &'static str = "Deep belief network: generative, or fine-tuned as a classifier, a regressor or a \
        deep autoencoder";
    const TRAINING: TrainingDefaults = TrainingDefaults::ADAM;

    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_epochs(rules);
        self.check_head(data, rules);
        self.check_labeled_rows(training, rules);
        if self.head == Head::Generative {
            spec::check_unused(training, rules);
        }
        require_probabilities(data, rules);
    }

    fn epochs(&self, training: &Training) -> u64 {
        let layers = self.pretraining_epochs(training).into_iter().map(u64::from);
        let tuned = match self.head {
            Head::Generative => 0,
            Head::Classifier | Head::Regressor | Head::Autoencoder => training.epochs.into(),
        };
        layers.fold(tuned, u64::saturating_add)
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        let sizes: Vec<u128> = match self.head {
            Head::Generative => {
                let machines = self.machines(data, Kind::Float);
                machines.iter().map(MachineConfig::parameters).collect()
            }
            Head::Classifier | Head::Regressor => vec![classifier::config(self, data).parameters()],
            Head::Autoencoder => autoencoder::configs(self, data)
                .map(|net| net.parameters())
                .into(),
        };
        sizes.into_iter().fold(0, u128::saturating_add)
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        let widths = self
            .widths(data)
            .into_iter()
            .map(|w| w.unsigned_abs().into());
        rows.saturating_mul(widths.fold(0, u128::saturating_add))
    }

    fn signature(&self, data: &DataFacts) -> Signature {
        Signature {
            sampled_by: Some(self.joint_classes(data)).filter(|&classes| classes > 0),
            regresses: self.head == Head::Regressor,
            likelihood: self.head == Head::Generative,
            ..Signature::default()
        }
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        Box::new(DbnLearner::new(self, training, data, device))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let mut rng = Rng::at(0, &[]);
        if let Some(mut net) = head::tuned(self, data, Kind::Float, &mut rng, device) {
            net.load(tensors)?;
            return Ok(net);
        }
        let mut stack = Stack::init(&self.machines(data, Kind::Float), &mut rng, device);
        stack.load(tensors)?;
        Ok(Box::new(stack))
    }
}
