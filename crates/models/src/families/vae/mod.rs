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

pub use net::Vae;
pub use spec::Spec;

use super::{Define, Signature};
use crate::document::Rules;
use crate::nn::mixture::Mixture;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::epoch_loop::stream;
use crate::train::settings::{Schedule, ScheduleKind, Training, TrainingDefaults};
use crate::verbs::Model;

impl Define for Vae {
    const KIND: &'static str = "vae";
    const SUMMARY: &'static str = "Variational autoencoder, dense or convolutional; importance-weighted with `samples`, on labels with `conditional`";
    type Spec = Spec;

    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 50,
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
        let nets = net::Plan::new(spec, data).parameters();
        let mixture = spec.mixture.map_or(0, |components| {
            Mixture::parameters(components.into(), spec.latent.unsigned_abs().into())
        });
        nets.saturating_add(mixture)
    }

    fn working(spec: &Spec, data: &DataFacts, rows: u128) -> u128 {
        let codes = u128::from(spec.samples.max(1));
        rows.saturating_mul(net::Plan::new(spec, data).working(codes))
    }

    fn signature(spec: &Spec, data: &DataFacts) -> Signature {
        Signature {
            conditioned_on: spec.classes(data),
            beside_the_code: &["mean", "log_variance"],
            likelihood: true,
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
        let net = Self::init(spec, data, &mut rng, device);
        Box::new(learner::VaeLearner::new(net, spec, training, data, device))
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let mut net = Self::init(spec, data, &mut Rng::at(0, &[]), device);
        net.restore(tensors)?;
        Ok(Box::new(net))
    }
}
