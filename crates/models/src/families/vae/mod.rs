//! Variational autoencoder (Kingma and Welling, 2014; Rezende et al., 2014): a decoder `p(x | z)` of codes that
//! are drawn from `N(0, 1)`, and an encoder `q(z | x) = N(μ(x), diag σ²(x))` that says which codes may stand
//! behind a row. Both are trained together on a lower bound of `ln p(x)`.
//!
//! `spec` is what a job says, `net` the nets, `visible` the distribution of the values, `bound` the
//! bounds, `learner` the training, `verbs` the answers, `graph` those that draw nothing, for other runtimes.

mod bound;
mod graph;
mod learner;
mod net;
mod spec;
mod verbs;
mod visible;

use tch::Device;

pub use spec::Spec;

use self::learner::VaeLearner;
use self::net::{Plan, Vae};
use super::define::{Define, Loaded};
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::mixture::Mixture;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::train::Learner;
use crate::train::epoch_loop::stream;
use crate::train::settings::{Training, TrainingDefaults};
use crate::verbs::Signature;

impl Define for Spec {
    const KIND: &'static str = "vae";
    const SUMMARY: &'static str = "Variational autoencoder, dense or convolutional; importance-weighted with \
        `samples`, on labels with `conditional`";
    const TRAINING: TrainingDefaults = TrainingDefaults {
        epochs: 50,
        ..TrainingDefaults::ADAM
    };

    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_layers(data, rules);
        self.check_likelihood(data, rules);
        self.check_objective(training, rules);
        self.check_generation(data, rules);
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        let nets = Plan::new(self, data).parameters();
        let mixture = self.mixture.map_or(0, |components| {
            Mixture::parameters(components.into(), self.latent.unsigned_abs().into())
        });
        nets.saturating_add(mixture)
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        let codes = u128::from(self.samples.max(1));
        rows.saturating_mul(Plan::new(self, data).working(codes))
    }

    fn signature(&self, data: &DataFacts) -> Signature {
        Signature {
            conditioned_on: self.classes(data),
            beside_the_code: &["mean", "log_variance"],
            likelihood: true,
            ..Signature::default()
        }
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let net = Vae::init(self, data, &mut rng, device);
        Box::new(VaeLearner::new(net, self, training, data, device))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let mut net = Vae::init(self, data, &mut Rng::at(0, &[]), device);
        net.restore(tensors)?;
        Ok(Box::new(net))
    }
}
