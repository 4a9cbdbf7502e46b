//! How values in [0, 1] become the 0s and 1s of Bernoulli units.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use utoipa::ToSchema;

use super::rng::Rng;
use crate::onnx::{Graph, Value};

/// What visible units see of values in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Binarize {
    /// The values themselves, as probabilities.
    None,
    /// 1 above one half, else 0.
    Threshold,
    /// A Bernoulli sample, drawn anew each time a row is seen.
    Dynamic,
}

impl Binarize {
    pub fn apply(self, x: &Tensor, rng: &mut Rng) -> Tensor {
        match self {
            Self::Dynamic => rng.bernoulli(x),
            Self::None | Self::Threshold => self.mean(x),
        }
    }

    /// What is seen where nothing is to be drawn: probabilities stand for samples.
    pub fn mean(self, x: &Tensor) -> Tensor {
        match self {
            Self::Threshold => x.greater(0.5).to_kind(Kind::Float),
            Self::None | Self::Dynamic => x.shallow_clone(),
        }
    }

    /// [`Self::mean`] as a graph.
    pub fn write_mean(self, graph: &mut Graph, x: &Value) -> Value {
        match self {
            Self::Threshold => graph.above(x, 0.5),
            Self::None | Self::Dynamic => x.clone(),
        }
    }
}
