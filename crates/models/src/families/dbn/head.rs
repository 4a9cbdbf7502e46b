//! The net that the stack is unrolled to, by the head that the spec asks for.

use tch::{Device, Kind};

use super::autoencoder::{self, DeepAutoencoder};
use super::classifier::{self, Classifier};
use super::spec::{Head, Spec};
use super::tuning::Tuned;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::train::Regression;

/// With fresh weights; none for a generative model, which is the stack itself.
pub fn tuned(
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
