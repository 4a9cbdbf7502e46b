//! Multilayer perceptron: a feed-forward net that learns labels or targets (Rumelhart et al., 1986), with
//! convolutions in front of it where `channels` asks for them (LeCun et al., 1998).
//!
//! `spec` is what a client writes, `net` the trained model, `learner` how it learns.

mod learner;
mod net;
mod spec;

use tch::Device;

pub use net::Mlp;
pub use spec::Spec;

use self::learner::MlpLearner;
use super::{Define, Signature};
use crate::document::Rules;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::epoch_loop::stream;
use crate::train::settings::{Schedule, ScheduleKind, Training, TrainingDefaults};
use crate::verbs::Model;

impl Define for Mlp {
    const KIND: &'static str = "mlp";
    const SUMMARY: &'static str =
        "Multilayer perceptron, a classifier or regressor; convolutional with `channels`";
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

    fn check(spec: &Spec, _training: &Training, data: &DataFacts, rules: &mut Rules) {
        spec.check(data, rules);
    }

    fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
        spec.net(data).parameters()
    }

    fn working(spec: &Spec, data: &DataFacts, rows: u128) -> u128 {
        rows.saturating_mul(spec.net(data).working())
    }

    fn signature(spec: &Spec, _data: &DataFacts) -> Signature {
        Signature {
            regresses: spec.task == spec::Task::Regression,
            ..Signature::default()
        }
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let net = spec
            .net(data)
            .init(&mut rng, device)
            .computing_in(training.compute_kind())
            .trainable();
        let mlp = Self::new(spec, net, data, device);
        Box::new(MlpLearner::new(mlp, spec, training, data))
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let net = spec.net(data).init(&mut Rng::at(0, &[]), device);
        let mut mlp = Self::new(spec, net, data, device);
        mlp.restore(tensors)?;
        Ok(Box::new(mlp))
    }
}
