//! What the two nets play for: losses of the discriminator's logits, averaged over the batch.
//!
//! With `r` the logits of the data's rows, `f` those of generated ones and `ζ` the softplus:
//!
//! | loss | discriminator | generator |
//! | --- | --- | --- |
//! | minimax (Goodfellow et al., 2014) | `ζ(-r) + ζ(f)` | `-ζ(f)` |
//! | non-saturating (same) | `ζ(-r) + ζ(f)` | `ζ(-f)` |
//! | least squares (Mao et al., 2017) | `((r - 1)² + f²) / 2` | `(f - 1)² / 2` |
//! | hinge (Lim and Ye, 2017) | `max(0, 1 - r) + max(0, 1 + f)` | `-f` |
//! | Wasserstein (Arjovsky et al., 2017) | `f - r` | `-f` |

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdversarialLoss {
    /// The game as first written; the generator learns little while the discriminator wins.
    Minimax,
    /// The generator maximises what the discriminator gives its rows.
    NonSaturating,
    LeastSquares,
    Hinge,
    /// An estimate of the earth mover's distance, by a critic whose slope is kept at 1 by a penalty
    /// (Gulrajani et al., 2017).
    WassersteinGp,
}

impl AdversarialLoss {
    /// With `smoothing`, the target of the data's rows is `1 - smoothing`.
    pub fn of_discriminator(self, real: &Tensor, fake: &Tensor, smoothing: f64) -> Tensor {
        let (on_real, on_fake) = match self {
            // Cross-entropy with target 1 - s: (1 - s) ζ(-r) + s ζ(r) = ζ(-r) + s r.
            Self::Minimax | Self::NonSaturating => {
                ((-real).softplus() + real * smoothing, fake.softplus())
            }
            Self::LeastSquares => (
                (real - (1.0 - smoothing)).square() * 0.5,
                fake.square() * 0.5,
            ),
            Self::Hinge => ((-real + 1.0).relu(), (fake + 1.0).relu()),
            Self::WassersteinGp => (-real, fake.shallow_clone()),
        };
        on_real.mean(Kind::Float) + on_fake.mean(Kind::Float)
    }

    pub fn of_generator(self, fake: &Tensor) -> Tensor {
        match self {
            Self::Minimax => -fake.softplus(),
            Self::NonSaturating => (-fake).softplus(),
            Self::LeastSquares => (fake - 1.0).square() * 0.5,
            Self::Hinge | Self::WassersteinGp => -fake,
        }
        .mean(Kind::Float)
    }

    /// The logit at which a row is as likely the data's as the generator's; a critic has none.
    pub fn threshold(self) -> Option<f64> {
        match self {
            Self::Minimax | Self::NonSaturating | Self::Hinge => Some(0.0),
            Self::LeastSquares => Some(0.5),
            Self::WassersteinGp => None,
        }
    }

    /// The discriminator's loss where it cannot tell the rows apart; a critic's has no lower bound.
    pub fn at_chance(self) -> Option<f64> {
        match self {
            Self::Minimax | Self::NonSaturating => Some(2.0 * std::f64::consts::LN_2),
            Self::LeastSquares => Some(0.25),
            Self::Hinge => Some(2.0),
            Self::WassersteinGp => None,
        }
    }

    /// Whether each row has a number that its logit should come to.
    pub fn has_targets(self) -> bool {
        !matches!(self, Self::Hinge | Self::WassersteinGp)
    }

    /// Share of the rows that the discriminator takes for what they are. A critic is right about a
    /// pair when the data's row stands above the generated one.
    pub fn accuracy(self, real: &Tensor, fake: &Tensor) -> f64 {
        let share = |right: Tensor| right.to_kind(Kind::Double).mean(Kind::Double);
        let right = match self.threshold() {
            Some(at) => (share(real.greater(at)) + share(fake.less(at))) * 0.5,
            None => share(real.greater_tensor(fake)),
        };
        right.double_value(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [AdversarialLoss; 5] = [
        AdversarialLoss::Minimax,
        AdversarialLoss::NonSaturating,
        AdversarialLoss::LeastSquares,
        AdversarialLoss::Hinge,
        AdversarialLoss::WassersteinGp,
    ];

    fn value(x: &Tensor) -> f64 {
        x.double_value(&[])
    }

    #[test]
    fn losses_are_their_closed_forms() {
        let (r, f) = (0.7_f64, -0.4_f64);
        let (real, fake) = (Tensor::from_slice(&[r, r]), Tensor::from_slice(&[f, f]));
        let (real, fake) = (real.to_kind(Kind::Float), fake.to_kind(Kind::Float));
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let entropy = -(sigmoid(r).ln() + (1.0 - sigmoid(f)).ln());
        let expected = [
            (entropy, (1.0 - sigmoid(f)).ln()),
            (entropy, -sigmoid(f).ln()),
            (
                ((r - 1.0).powi(2) + f.powi(2)) / 2.0,
                (f - 1.0).powi(2) / 2.0,
            ),
            ((1.0 - r) + (1.0 + f), -f),
            (f - r, -f),
        ];
        for (loss, (discriminator, generator)) in ALL.iter().zip(expected) {
            let found = value(&loss.of_discriminator(&real, &fake, 0.0));
            assert!(
                (found - discriminator).abs() < 1e-6,
                "{loss:?}: {found}, {discriminator}"
            );
            let found = value(&loss.of_generator(&fake));
            assert!(
                (found - generator).abs() < 1e-6,
                "{loss:?}: {found}, {generator}"
            );
        }
        // Beyond the margin the hinge is flat.
        let far = Tensor::from_slice(&[2.0_f32]);
        assert_eq!(
            value(&AdversarialLoss::Hinge.of_discriminator(&far, &-&far, 0.0)),
            0.0
        );
    }

    #[test]
    fn losses_and_their_slopes_are_those_of_pytorch() {
        use crate::nn::golden::{assert_close, leaf, list, number, read};
        let golden = &read(include_str!("../../../tests/golden/losses.json"))["adversarial"];
        for case in list(&golden["cases"]) {
            let what = format!("{} smoothed by {}", case["loss"], case["smoothing"]);
            let loss: AdversarialLoss = serde_json::from_value(case["loss"].clone()).expect("one");
            let (real, fake) = (leaf(&golden["real"]), leaf(&golden["fake"]));
            let played = loss.of_discriminator(&real, &fake, number(&case["smoothing"]));
            assert_close(&played, &case["discriminator"], &what);
            played.backward();
            assert_close(&real.grad(), &case["real_slope"], &what);
            assert_close(&fake.grad(), &case["fake_slope"], &what);
            let fake = leaf(&golden["fake"]);
            let played = loss.of_generator(&fake);
            assert_close(&played, &case["generator"], &what);
            played.backward();
            assert_close(&fake.grad(), &case["generator_slope"], &what);
        }
    }

    #[test]
    fn smoothing_moves_the_best_logit_to_its_target() {
        let best = |loss: AdversarialLoss, target: f64| {
            let real = Tensor::from_slice(&[target]).set_requires_grad(true);
            let fake = Tensor::from_slice(&[0.0_f64]);
            loss.of_discriminator(&real, &fake, 0.1).backward();
            value(&real.grad().sum(Kind::Double))
        };
        assert!(best(AdversarialLoss::NonSaturating, (0.9_f64 / 0.1).ln()).abs() < 1e-6);
        assert!(best(AdversarialLoss::LeastSquares, 0.9).abs() < 1e-6);
        assert!(best(AdversarialLoss::LeastSquares, 1.0).abs() > 1e-2);
    }

    #[test]
    fn at_the_threshold_the_loss_is_that_of_chance() {
        for loss in ALL {
            let (Some(at), Some(chance)) = (loss.threshold(), loss.at_chance()) else {
                continue;
            };
            let logit = Tensor::from_slice(&[at]);
            let found = value(&loss.of_discriminator(&logit, &logit, 0.0));
            assert!((found - chance).abs() < 1e-6, "{loss:?}: {found}, {chance}");
        }
    }

    #[test]
    fn accuracy_counts_rows_or_pairs() {
        let real = Tensor::from_slice(&[1.0_f32, -1.0, 2.0, 0.6]);
        let fake = Tensor::from_slice(&[-1.0_f32, -2.0, 3.0, 0.2]);
        assert_eq!(AdversarialLoss::Hinge.accuracy(&real, &fake), 5.0 / 8.0);
        assert_eq!(
            AdversarialLoss::LeastSquares.accuracy(&real, &fake),
            6.0 / 8.0
        );
        assert_eq!(AdversarialLoss::WassersteinGp.accuracy(&real, &fake), 0.75);
    }
}
