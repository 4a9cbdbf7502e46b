//! What Bernoulli visible units are shown of values in [0, 1].

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use utoipa::ToSchema;

use super::rng::Rng;

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
    /// `x` of any shape, values in [0, 1].
    pub fn apply(self, x: &Tensor, rng: &mut Rng) -> Tensor {
        match self {
            Self::None => x.shallow_clone(),
            Self::Threshold => x.greater(0.5).to_kind(Kind::Float),
            Self::Dynamic => rng.bernoulli(x),
        }
    }
}
