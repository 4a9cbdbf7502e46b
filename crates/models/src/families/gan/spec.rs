//! What a client writes, and the rules it must keep.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::loss::AdversarialLoss;
use crate::document::{Rules, tagged};
use crate::families::spec::Width;
use crate::nn::conv;
use crate::nn::model::DataFacts;
use crate::train::settings::{Precision, Training};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// `dcgan` for rows of shape [channels, height, width] with both sides at least 16, else `dense`.
    Auto,
    /// Fully connected layers (Goodfellow et al., 2014).
    Dense,
    /// Strided convolutions, without pooling or hidden dense layers (Radford et al., 2016).
    Dcgan,
}

/// How the two nets learn of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conditioning {
    /// The label, one-hot, beside the noise and beside the row (Mirza and Osindero, 2014).
    Concat,
    /// A discriminator with `e_y · φ(x)` in its logit (Miyato and Koyama, 2018); in the generator a
    /// scale and a shift for each class after every batch normalisation.
    Projection,
}

tagged! {
    /// Generative adversarial network: a generator of rows, and a discriminator that tells them from the
    /// data's.
    pub struct Spec as GanModel, Kind::Gan as GanKind {
        #[schema(inline)]
        pub architecture: Architecture = Architecture::Auto,
        /// Values of the noise that a row is made from.
        #[schema(minimum = 1, maximum = 16_777_216, extensions(("x-unit" = json!("units"))))]
        pub latent: i64 = 64,
        /// Widths of a dense generator's hidden layers, from the noise to the row; the discriminator's are
        /// the same, from the row on in the opposite order. Left out, [256, 512].
        #[schema(value_type = Option<Vec<Width>>, inline, min_items = 1, max_items = 64)]
        pub hidden: Option<Vec<i64>> = None,
        /// Channels of a convolutional discriminator's feature maps, each half as wide as the last; the
        /// generator's are the same in the opposite order. Left out, 64 and twice as many at each halving,
        /// at most 512, until the shorter side is at most 4, but two halvings at least.
        #[schema(value_type = Option<Vec<Width>>, inline, min_items = 1, max_items = 16)]
        pub channels: Option<Vec<i64>> = None,
        /// Side of a convolutional discriminator's kernels, odd. Left out, 5 (Radford et al., 2016).
        #[schema(minimum = 3, maximum = 15)]
        pub kernel: Option<i64> = None,
        /// Left out, `hinge` with the `projection` of labels, as its paper has it, else `non_saturating`.
        #[schema(inline)]
        pub loss: Option<AdversarialLoss> = None,
        /// Divides the discriminator's weights by their greatest singular value (Miyato et al., 2018). Left out,
        /// true for `hinge` and false for the others.
        pub spectral_norm: Option<bool> = None,
        /// Batch normalisation in a convolutional discriminator's layers but the first (Radford et al., 2016).
        /// Left out, true unless there is another bound on its slope: `spectral_norm` or `wasserstein_gp`.
        pub batch_norm: Option<bool> = None,
        /// Learn to make rows of a given class; needs labels.
        pub conditional: bool = false,
        /// Left out, `projection` for a conditional model.
        #[schema(inline)]
        pub conditioning: Option<Conditioning> = None,
        /// Decay a step of the moving average of the generator that is published; 0 publishes the generator
        /// itself.
        #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
        pub ema_decay: f64 = 0.999,
        /// Steps of the discriminator, each on a batch of its own, for one of the generator. Left out, 5 for
        /// `wasserstein_gp`, else 1.
        #[schema(minimum = 1, maximum = 1000)]
        pub discriminator_steps: Option<u32> = None,
        /// Takes the place of the job's `learning_rate` for the discriminator; follows the same schedule.
        #[schema(exclusive_minimum = 0.0)]
        pub discriminator_learning_rate: Option<f64> = None,
        /// The discriminator's target for the data's rows is 1 less this (Salimans et al., 2016).
        #[schema(minimum = 0.0, exclusive_maximum = 0.5)]
        pub label_smoothing: f64 = 0.0,
        /// Weight of the penalty on the critic's slope, for `wasserstein_gp`. Left out, 10.
        #[schema(exclusive_minimum = 0.0)]
        pub gradient_penalty: Option<f64> = None,
        /// Steps in a row that the generator may stay collapsed, or the discriminator faultless, before
        /// the job fails; 0 looks for neither.
        pub collapse_patience: u32 = 500,
    }
}

/// A side that counts as an image for `auto`.
const IMAGE_SIDE: i64 = 16;
const FIRST_CHANNELS: i64 = 64;
const MOST_CHANNELS: i64 = 512;
/// Halvings stop at feature maps of this side. After three a value of the last map has seen 29 pixels across,
/// after two only 13: without labels to go by, such a discriminator judges strokes, not digits.
const SMALLEST_MAP: i64 = 4;
/// Of a new discriminator. With 3 neighbours hardly overlap, and what is made falls apart more easily: on MNIST
/// precision is a fifth lower after as many epochs.
pub(super) const KERNEL: i64 = 5;
const HIDDEN: [i64; 2] = [256, 512];

impl Spec {
    /// Whether the nets are convolutional on this data.
    pub fn is_convolutional(&self, data: &DataFacts) -> bool {
        match self.architecture {
            Architecture::Auto => {
                matches!(*data.shape(), [_, h, w] if h >= IMAGE_SIDE && w >= IMAGE_SIDE)
            }
            Architecture::Dense => false,
            Architecture::Dcgan => true,
        }
    }

    pub fn hidden(&self) -> Vec<i64> {
        self.hidden.clone().unwrap_or_else(|| HIDDEN.to_vec())
    }

    pub fn channels(&self, data: &DataFacts) -> Vec<i64> {
        self.channels.clone().unwrap_or_else(|| {
            let side = data.shape().iter().skip(1).min().copied().unwrap_or(1);
            let mut channels = vec![FIRST_CHANNELS, 2 * FIRST_CHANNELS];
            while conv::halvings(side, channels.len())[channels.len()] > SMALLEST_MAP {
                let doubled = FIRST_CHANNELS << channels.len();
                channels.push(doubled.min(MOST_CHANNELS));
            }
            channels
        })
    }

    /// Of a convolutional discriminator. Every new job's document says it; one that does not is from before there
    /// was a choice.
    pub fn kernel(&self) -> i64 {
        self.kernel.unwrap_or(conv::KERNEL)
    }

    pub fn conditioning(&self) -> Option<Conditioning> {
        let conditioning = self.conditioning.unwrap_or(Conditioning::Projection);
        self.conditional.then_some(conditioning)
    }

    pub fn discriminator_steps(&self) -> i64 {
        let usual = if self.is_wasserstein() { 5 } else { 1 };
        i64::from(self.discriminator_steps.unwrap_or(usual))
    }

    pub fn loss(&self) -> AdversarialLoss {
        self.loss.unwrap_or(match self.conditioning() {
            Some(Conditioning::Projection) => AdversarialLoss::Hinge,
            _ => AdversarialLoss::NonSaturating,
        })
    }

    pub fn spectral_norm(&self) -> bool {
        self.spectral_norm
            .unwrap_or(self.loss() == AdversarialLoss::Hinge)
    }

    /// Of a convolutional discriminator.
    pub fn batch_norm(&self) -> bool {
        self.batch_norm
            .unwrap_or(!self.spectral_norm() && !self.is_wasserstein())
    }

    /// Weight of the penalty on the critic's slope.
    pub fn penalty(&self) -> Option<f64> {
        self.is_wasserstein()
            .then(|| self.gradient_penalty.unwrap_or(10.0))
    }

    pub fn is_wasserstein(&self) -> bool {
        self.loss() == AdversarialLoss::WassersteinGp
    }

    pub(super) fn check_widths(&self, data: &DataFacts, rules: &mut Rules) {
        let convolutional = self.is_convolutional(data);
        rules.require(
            !convolutional || data.shape().len() == 3,
            "/model/architecture",
            format!(
                "dcgan needs rows of shape [channels, height, width], these have {:?}",
                data.shape()
            ),
        );
        let mine = [
            ("hidden", self.hidden.is_none() || !convolutional, "dense"),
            (
                "channels",
                self.channels.is_none() || convolutional,
                "dcgan",
            ),
        ];
        for (name, fits, architecture) in mine {
            rules.require(
                fits,
                &format!("/model/{name}"),
                format!(
                    "is for the architecture {architecture}; on rows of shape {:?} this model has the other one",
                    data.shape()
                ),
            );
        }
        if let Some(kernel) = self.kernel {
            let architecture = "is for the architecture dcgan; this model is dense";
            rules.require(convolutional, "/model/kernel", architecture);
            rules.require(
                kernel % 2 != 0,
                "/model/kernel",
                format!("must be odd, from 3 to 15, got {kernel}"),
            );
        }
    }

    pub(super) fn check_labels(&self, data: &DataFacts, rules: &mut Rules) {
        rules.require(
            !self.conditional || data.classes().is_some_and(|classes| classes > 0),
            "/model/conditional",
            "a conditional model needs a data set with labels; this one has none",
        );
        rules.require(
            self.conditional || self.conditioning.is_none(),
            "/model/conditioning",
            "is for conditional models; set conditional to true",
        );
    }

    pub(super) fn check_loss(&self, training: &Training, rules: &mut Rules) {
        let wasserstein = self.is_wasserstein();
        rules.require(
            self.label_smoothing == 0.0 || self.loss().has_targets(),
            "/model/label_smoothing",
            "needs a loss with targets: minimax, non_saturating or least_squares",
        );
        rules.require(
            wasserstein || self.gradient_penalty.is_none(),
            "/model/gradient_penalty",
            "is for the loss wasserstein_gp",
        );
        rules.require(
            !wasserstein || training.precision != Precision::Bf16,
            "/training/precision",
            "the gradient penalty of wasserstein_gp needs fp32, got bf16",
        );
    }

    pub(super) fn check_norm(&self, data: &DataFacts, rules: &mut Rules) {
        rules.require(
            self.batch_norm.is_none() || self.is_convolutional(data),
            "/model/batch_norm",
            "is for the architecture dcgan; this model is dense",
        );
        rules.require(
            self.batch_norm != Some(true) || !self.is_wasserstein(),
            "/model/batch_norm",
            "must be false for wasserstein_gp: the slope of each row is penalised alone",
        );
    }
}
