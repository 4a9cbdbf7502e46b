//! What Bernoulli visible units see of values in [0, 1].

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use utoipa::ToSchema;

use super::rng::Rng;

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
    /// `x` in [0, 1], of any shape.
    pub fn apply(self, x: &Tensor, rng: &mut Rng) -> Tensor {
        match self {
            Self::None => x.shallow_clone(),
            Self::Threshold => x.greater(0.5).to_kind(Kind::Float),
            Self::Dynamic => rng.bernoulli(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threshold_gives_bits_and_dynamic_gives_bits_with_the_values_as_rates() {
        let mut rng = Rng::at(1, &[]);
        let x = Tensor::from_slice(&[0.0_f32, 0.3, 0.5, 0.7, 1.0]);
        assert_eq!(Binarize::None.apply(&x, &mut rng), x);
        assert_eq!(
            Binarize::Threshold.apply(&x, &mut rng),
            Tensor::from_slice(&[0.0_f32, 0.0, 0.0, 1.0, 1.0])
        );
        let draws = Binarize::Dynamic.apply(&x.expand([20_000, 5], false), &mut rng);
        let bits = draws.eq(0.0).logical_or(&draws.eq(1.0));
        assert!(bool::try_from(bits.all()).expect("one truth value"));
        let rates = draws.mean_dim(0, false, Kind::Float);
        assert!(rates.allclose(&x, 0.0, 0.02, false), "{rates:?}");
    }
}
