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

use tch::{Device, Kind};

pub use model::Autoencoder;
pub use spec::Spec;

use self::learner::AutoencoderLearner;
use super::define::{Define, Loaded};
use crate::document::Rules;
use crate::nn::Tensors;
use crate::nn::model::DataFacts;
use crate::nn::net::NetConfig;
use crate::nn::rng::Rng;
use crate::train::Learner;
use crate::train::settings::{Training, TrainingDefaults};

impl Define for Spec {
    const KIND: &'static str = "autoencoder";
    const SUMMARY: &'static str = "Autoencoder, dense or convolutional; denoising, contractive, sparse, tied, \
        pretrained layer by layer";
    const WEIGHS_BY_SCALE: bool = true;
    const TRAINING: TrainingDefaults = TrainingDefaults {
        epochs: 30,
        ..TrainingDefaults::ADAM
    };

    fn check(&self, _training: &Training, data: &DataFacts, rules: &mut Rules) {
        self.check_layers(data, rules);
        self.check_sparsity(rules);
        self.check_pretraining(data, rules);
    }

    fn epochs(&self, training: &Training) -> u64 {
        let layers = self.hidden.len() as u64 + 1;
        let each = self
            .pretraining
            .as_ref()
            .map_or(0, |how| u64::from(how.epochs));
        u64::from(training.epochs).saturating_add(layers.saturating_mul(each))
    }

    fn bottleneck(&self, _data: &DataFacts) -> Option<i64> {
        let held =
            self.corruption.is_some() || self.sparsity.is_some() || self.contractive.is_some();
        (!held).then_some(self.code)
    }

    fn parameters(&self, data: &DataFacts) -> u128 {
        layout::parameters(self, data)
    }

    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        let nets = [layout::encoder(self, data), layout::decoder(self, data)];
        rows.saturating_mul(
            nets.iter()
                .map(NetConfig::working)
                .fold(0, u128::saturating_add),
        )
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        Box::new(AutoencoderLearner::new(self, training, data, device))
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let mut rng = Rng::at(0, &[]);
        let net = Autoencoder::init(self, data, &mut rng, device, Kind::Float);
        net.restore(tensors)?;
        Ok(Box::new(net))
    }
}
