//! Noise put on inputs, for denoising autoencoders (Vincent et al., 2010).

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

use super::rng::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CorruptionKind {
    /// Adds normal noise of standard deviation `level`, then clamps to the data's range.
    Gaussian,
    /// Sets a share `level` of the values to the least value of the data.
    Mask,
    /// Sets a share `level` of the values to the least or the greatest value, by a fair coin.
    SaltAndPepper,
}

impl CorruptionKind {
    /// The least upper bound that makes sense for `level`.
    pub fn level_limit(self) -> f64 {
        match self {
            Self::Gaussian => 10.0,
            Self::Mask | Self::SaltAndPepper => 1.0,
        }
    }

    /// `x: [batch, features]` with values in `range`.
    pub fn apply(self, x: &Tensor, level: f64, range: (f64, f64), rng: &mut Rng) -> Tensor {
        let (low, high) = range;
        let size = x.size();
        match self {
            Self::Gaussian => (x + rng.normal(&size, x.device()) * level).clamp(low, high),
            Self::Mask => {
                let hit = rng.uniform(&size, x.device()).less(level);
                x.masked_fill(&hit, low)
            }
            Self::SaltAndPepper => {
                let u = rng.uniform(&size, x.device());
                x.masked_fill(&u.less(level / 2.0), low)
                    .masked_fill(&u.greater_equal(1.0 - level / 2.0), high)
            }
        }
    }
}
