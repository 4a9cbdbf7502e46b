//! Deep belief networks: RBMs trained one on top of the other (Hinton, Osindero and Teh, 2006), kept as
//! a generative model or fine-tuned as a classifier, a regressor or a deep autoencoder (Hinton and
//! Salakhutdinov, 2006).
//!
//! `spec` what a client writes; `stack` the RBMs; `generative` what the stack answers;
//! `classifier` and `autoencoder` the nets it is unrolled to; `tuning`, `labeled` and `learner` how
//! they learn.

mod autoencoder;
mod classifier;
mod generative;
mod labeled;
mod learner;
mod likelihood;
mod spec;
mod stack;
mod start;
#[cfg(test)]
mod tests;
mod tuning;

use tch::{Device, Kind};

use self::autoencoder::DeepAutoencoder;
use self::classifier::Classifier;
use self::learner::DbnLearner;
pub use self::spec::Spec;
use self::spec::{Head, layer_widths};
use self::stack::Stack;
use self::tuning::Tuned;
use super::{Define, Signature};
use crate::document::Rules;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::settings::{Schedule, ScheduleKind, Training, TrainingDefaults};
use crate::train::{Learner, Regression};
use crate::verbs::Model;

pub struct DeepBelief;

impl Define for DeepBelief {
    const KIND: &'static str = "dbn";
    const SUMMARY: &'static str = "Deep belief network: generative, or fine-tuned as a classifier, a regressor or a deep autoencoder";
    type Spec = Spec;

    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 20,
            batch_size: 128,
            optimizer: Rule::Adam,
            learning_rate: 1e-3,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule {
                kind: ScheduleKind::Cosine,
                warmup: 0.0,
            },
        }
    }

    fn check(spec: &Spec, training: &Training, data: &DataFacts, rules: &mut Rules) {
        spec.check(training, data, rules);
    }

    fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
        match spec.head {
            Head::Generative => Stack::configs(spec, data, Kind::Float)
                .iter()
                .fold(0, |sum, config| sum.saturating_add(config.parameters())),
            Head::Classifier | Head::Regressor => classifier::config(spec, data).parameters(),
            Head::Autoencoder => autoencoder::configs(spec, data)
                .iter()
                .fold(0, |sum, config| sum.saturating_add(config.parameters())),
        }
    }

    fn working(spec: &Spec, data: &DataFacts, rows: u128) -> u128 {
        let units = widths(spec, data).iter().fold(0, |sum: u128, w| {
            sum.saturating_add(w.unsigned_abs().into())
        });
        rows.saturating_mul(units)
    }

    fn signature(spec: &Spec, data: &DataFacts) -> Signature {
        Signature {
            sampled_by: Some(spec.joint_classes(data)).filter(|&classes| classes > 0),
            regresses: spec.head == Head::Regressor,
            likelihood: spec.head == Head::Generative,
            ..Signature::default()
        }
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        Box::new(DbnLearner::new(spec, training, data, device))
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let mut rng = Rng::at(0, &[]);
        if let Some(mut net) = tuned(spec, data, Kind::Float, &mut rng, device) {
            net.load(tensors)?;
            return Ok(net);
        }
        let mut stack = Stack::init(spec, data, Kind::Float, &mut rng, device);
        stack.load(tensors)?;
        Ok(Box::new(stack))
    }
}

/// The net that the stack is unrolled to; none for a generative model, which is the stack itself.
fn tuned(
    spec: &Spec,
    data: &DataFacts,
    compute: Kind,
    rng: &mut Rng,
    device: Device,
) -> Option<Box<dyn Tuned>> {
    match spec.head {
        Head::Generative => None,
        Head::Classifier | Head::Regressor => {
            let net = classifier::config(spec, data).init(rng, device);
            let regresses = spec.head == Head::Regressor;
            let regression = regresses.then(|| Regression::new(data, device));
            Some(Box::new(Classifier::new(
                net.computing_in(compute),
                regression,
            )))
        }
        Head::Autoencoder => {
            let nets = autoencoder::configs(spec, data)
                .map(|config| config.init(rng, device).computing_in(compute));
            Some(Box::new(DeepAutoencoder::new(spec, nets)))
        }
    }
}

/// Rows of the data, units of each hidden layer.
fn widths(spec: &Spec, data: &DataFacts) -> Vec<i64> {
    layer_widths(data.features(), &spec.hidden)
}
