//! `predict`: rows of data to classes or values.

use serde::{Deserialize, Serialize};
use tch::Device;
use utoipa::ToSchema;

use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Extra, ExtraShape, Options};
use super::tensors::{Shapes, Tensor};
use crate::nn::model::Answer;
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PredictOptions {}

/// A classifier's or a regressor's answer.
pub enum Prediction {
    /// Probabilities, `[rows, classes]`.
    Classes(tch::Tensor),
    /// Values, `[rows, targets]`.
    Values(tch::Tensor),
}

pub trait Predictor {
    fn predict(&self, x: &tch::Tensor) -> Prediction;
    /// What the last layer sees, `[rows, features]`: the space in which sets of images are compared.
    fn features(&self, x: &tch::Tensor) -> tch::Tensor;
}

impl Options for PredictOptions {
    fn run(&self, call: &Context<'_>, _rng: &mut Rng) -> Result<Reply, CallError> {
        let part = call.part(call.model.predictor())?;
        Ok(match part.predict(&call.inputs()?.x) {
            Prediction::Values(values) => Reply::of(values, None),
            Prediction::Classes(probabilities) => {
                let labels = probabilities.argmax(1, false).to_device(Device::Cpu);
                let labels = Vec::<i64>::try_from(&labels).unwrap_or_default();
                let extras = vec![("probabilities", probabilities.shallow_clone())];
                let output = probabilities;
                let mut reply = Reply::of(Answer { output, extras }, None);
                reply.labels = Some(labels);
                reply
            }
        })
    }
}

impl Define for PredictOptions {
    const NAME: &'static str = "predict";
    const SUMMARY: &'static str = "Inputs to classes or values";
    const ABOUT: &'static str =
        "A classifier's most probable class and the probabilities of all, or a regressor's values.";
    const PREFERENCE: u8 = 0;
    const EXTRAS: &'static [Extra] = &[
        Extra {
            name: "labels",
            about: "`predict`: the most probable class of each row, for classifiers.",
            shape: ExtraShape::Class,
        },
        Extra {
            name: "probabilities",
            about: "`predict`: probability of each class, for classifiers.",
            shape: ExtraShape::Row,
        },
    ];

    fn inputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        vec![Tensor::floats("inputs", shapes.row)]
    }

    fn outputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        if shapes.signature.regresses {
            return vec![Tensor::floats("outputs", &[shapes.targets.max(1)])];
        }
        let classes = [shapes.classes.unwrap_or(-1)];
        vec![
            Tensor::floats("outputs", &classes),
            Tensor::floats("probabilities", &classes),
            Tensor::labels(),
        ]
    }
}
