//! Verbs: what may be asked of a model, computed from plain numbers to plain numbers.

mod answer;
pub mod call;

pub use call::{Call, CallError, Input, Reply, Verb};

use crate::nn::model::Model;

/// The verbs a model answers: computed from the parts it has.
pub fn capabilities(model: &dyn Model) -> Vec<&'static str> {
    let offers = [
        ("encode", model.encoder().is_some()),
        ("decode", model.decoder().is_some()),
        ("reconstruct", model.reconstructor().is_some()),
        ("denoise", model.denoiser().is_some()),
        ("generate", model.sampler().is_some()),
        ("score", model.scorer().is_some()),
        ("inpaint", model.inpainter().is_some()),
        ("interpolate", model.interpolator().is_some()),
        ("predict", model.predictor().is_some()),
    ];
    offers
        .into_iter()
        .filter(|(_, offered)| *offered)
        .map(|(verb, _)| verb)
        .collect()
}
