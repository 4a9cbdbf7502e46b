//! Multilayer perceptron: a feed-forward net that learns labels or targets (Rumelhart et al., 1986), with
//! convolutions in front of it where `channels` asks for them (LeCun et al., 1998).
//!
//! `spec` is what a client writes, `net` the trained model, `learner` how it learns.

mod learner;
mod net;
mod spec;

use tch::Device;

pub use spec::Spec;

use self::learner::MlpLearner;
use self::net::Mlp;
use self::spec::Task;
use super::define::{Define, Loaded};
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::train::Learner;
use crate::train::epoch_loop::stream;
use crate::train::settings::{Training, TrainingDefaults};
use crate::verbs::Signature;

impl Define for Spec {
    const KIND: &'static str = "mlp";
    const SUMMARY: &'static str =
        "Multilayer perceptron, a classifier or regressor; convolutional with `channels`";
    const TRAINING: TrainingDefaults = TrainingDefaults::ADAM;

    fn check(&self, _training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_layers(data, rules);
        match self.task {
            Task::Classification => spec::check_classes(data, rules),
            Task::Regression => self.check_numbers(data, rules),
        }
        self.check_augment(data, rules);
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        self.net(data).parameters()
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        rows.saturating_mul(self.net(data).working())
    }

    fn signature(&self, _data: &DataFacts) -> Signature {
        Signature {
            regresses: self.task == Task::Regression,
            ..Signature::default()
        }
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let net = self.net(data).init(&mut rng, device);
        let net = net.computing_in(training.compute_kind()).trainable();
        let mlp = Mlp::new(self, net, data, device);
        Box::new(MlpLearner::new(mlp, self, training, data))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let net = self.net(data).init(&mut Rng::at(0, &[]), device);
        let mut mlp = Mlp::new(self, net, data, device);
        mlp.restore(tensors)?;
        Ok(Box::new(mlp))
    }
}
