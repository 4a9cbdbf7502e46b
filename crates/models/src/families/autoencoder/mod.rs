//! Autoencoder: an encoder down to a code and its mirror image back (Hinton and Salakhutdinov, 2006),
//! of dense layers or, below them, convolutions. With `corruption` it learns to undo noise (denoising
//! autoencoder; Vincent et al., 2010), with `contractive` to be insensitive to it (Rifai et al., 2011),
//! with `sparsity` to use few units at a time (Ng, 2011).
//!
//! `x -> h_1 … h_n -> code -> h_n … h_1 -> y`; `y = σ(logits)` for data in [0, 1], else linear.
//! The loss is summed over the values of a row and averaged over the batch.

mod layout;
mod learner;
mod model;
mod objective;
mod pretraining;
mod spec;
#[cfg(test)]
mod tests;

use tch::{Device, Kind as TensorKind};

use super::Define;
use crate::document::Rules;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Rule;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::settings::{Schedule, ScheduleKind, Training, TrainingDefaults};
use crate::verbs::Model;

pub use model::Autoencoder;
pub use spec::Spec;

impl Define for Autoencoder {
    const KIND: &'static str = "autoencoder";
    const SUMMARY: &'static str = "Autoencoder, dense or convolutional; denoising, contractive, sparse, tied, pretrained layer by layer";
    type Spec = Spec;

    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 30,
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
        layout::parameters(spec, data)
    }

    fn working(spec: &Spec, data: &DataFacts, rows: u128) -> u128 {
        let decoder = layout::decoder(spec, data).working();
        let nets = layout::encoder(spec, data)
            .working()
            .saturating_add(decoder);
        rows.saturating_mul(nets)
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        Box::new(learner::AutoencoderLearner::new(
            spec, training, data, device,
        ))
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let mut rng = Rng::at(0, &[]);
        let net = Self::init(spec, data, &mut rng, device, TensorKind::Float);
        net.restore(tensors)?;
        Ok(Box::new(net))
    }
}
