//! The `model` object of a variational autoencoder, its defaults, and the rules beyond its types.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::net::Plan;
use crate::document::{Rules, tagged};
use crate::families::spec::Width;
use crate::nn::activation::Activation;
use crate::nn::binarize::Binarize;
use crate::nn::model::DataFacts;
use crate::train::settings::Training;

/// How values are distributed about the decoder's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VaeLikelihood)]
pub enum VisibleKind {
    /// `bernoulli` for data in [0, 1], else `gaussian`.
    Auto,
    /// Zeros and ones; values between are read as probabilities. Needs data in [0, 1].
    Bernoulli,
    /// Normal noise of one variance, which is learnt.
    Gaussian,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VaeKlScheduleKind)]
pub enum KlScheduleKind {
    /// `beta` from the first step.
    Constant,
    /// From 0 to `beta` in a straight line, then constant (Bowman et al., 2016; Sønderby et al., 2016).
    Warmup,
    /// The warm-up again and again: each cycle climbs in its first half (Fu et al., 2019).
    Cyclic,
}

/// The course of the weight of the KL divergence over the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VaeKlSchedule)]
pub struct KlSchedule {
    #[schema(inline)]
    pub kind: KlScheduleKind,
    /// Epochs of the climb (`warmup`); 10 when left out.
    #[serde(default)]
    #[schema(exclusive_minimum = 0.0)]
    pub epochs: Option<f64>,
    /// Cycles in the run (`cyclic`); 4 when left out.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub cycles: Option<u32>,
}

const WARMUP_EPOCHS: f64 = 10.0;
const CYCLES: u32 = 4;

impl KlSchedule {
    pub const CONSTANT: Self = Self {
        kind: KlScheduleKind::Constant,
        epochs: None,
        cycles: None,
    };

    /// Share of `beta` at a time given in epochs, of `epochs` in all.
    pub fn factor(&self, time: f64, epochs: f64) -> f64 {
        match self.kind {
            KlScheduleKind::Constant => 1.0,
            KlScheduleKind::Warmup => (time / self.epochs.unwrap_or(WARMUP_EPOCHS)).min(1.0),
            KlScheduleKind::Cyclic => {
                let cycle = epochs / f64::from(self.cycles.unwrap_or(CYCLES));
                (2.0 * (time % cycle) / cycle).min(1.0)
            }
        }
    }
}

tagged! {
    /// Variational autoencoder.
    pub struct Spec as VaeModel, Kind::Vae as VaeKind {
        /// Widths of the encoder's dense layers, from the input to the code; the decoder mirrors them. May be
        /// empty.
        #[schema(value_type = Vec<Width>, inline, max_items = 64)]
        pub hidden: Vec<i64> = vec![200, 200],
        /// Units of the code.
        #[schema(minimum = 1, maximum = 16_777_216, extensions(("x-unit" = json!("units"))))]
        pub latent: i64 = 50,
        /// Nonlinearity of the hidden layers; `relu` when left out.
        #[schema(inline)]
        pub activation: Option<Activation> = None,
        /// Dense layers `a ⊙ σ(b)` of two maps, in place of the nonlinearity (Tomczak and Welling, 2018).
        pub gated: bool = false,
        /// Channels of convolutions before the dense layers, each of which halves the image, and of their mirror
        /// images after them; empty for none.
        #[schema(value_type = Vec<Width>, inline, max_items = 16)]
        pub channels: Vec<i64> = Vec::new(),
        #[schema(inline)]
        pub likelihood: VisibleKind = VisibleKind::Auto,
        /// What the model sees of values in [0, 1] (`bernoulli`).
        #[schema(inline)]
        pub binarize: Binarize = Binarize::None,
        /// Weight of the KL divergence in the loss (Higgins et al., 2017).
        #[schema(minimum = 0.0, maximum = 1e6)]
        pub beta: f64 = 1.0,
        #[schema(inline)]
        pub kl_schedule: KlSchedule = KlSchedule::CONSTANT,
        /// Codes drawn for each row; with more than 1 the loss is the importance-weighted bound
        /// (Burda et al., 2016).
        #[schema(minimum = 1, maximum = 1000)]
        pub samples: u32 = 1,
        /// Conditional on labels: their class goes into the encoder and the decoder (Kingma et al., 2014).
        pub conditional: bool = false,
        /// Components of a Gaussian mixture that is fitted to the codes and that `generate` then draws from,
        /// in place of the prior.
        #[schema(minimum = 1, maximum = 256, extensions(("x-unit" = json!("components"))))]
        pub mixture: Option<u32> = None,
    }
}

impl Spec {
    pub fn activation(&self) -> Activation {
        self.activation.unwrap_or(Activation::Relu)
    }

    pub fn is_bernoulli(&self, data: &DataFacts) -> bool {
        match self.likelihood {
            VisibleKind::Auto => data.is_unit_interval(),
            VisibleKind::Bernoulli => true,
            VisibleKind::Gaussian => false,
        }
    }

    /// Classes that the nets are told of, if they are.
    pub fn classes(&self, data: &DataFacts) -> Option<i64> {
        data.classes().filter(|_| self.conditional)
    }

    pub(super) fn check_layers(&self, data: &DataFacts, rules: &mut Rules) {
        let misfit = Plan::new(self, data).misfit();
        rules.require(
            misfit.is_none(),
            "/model/channels",
            misfit.unwrap_or_default(),
        );
        rules.require(
            !self.gated || self.activation.is_none() || !self.channels.is_empty(),
            "/model/activation",
            "has no layer to act on: with gated, the gates take its place",
        );
    }

    pub(super) fn check_likelihood(&self, data: &DataFacts, rules: &mut Rules) {
        let (low, high) = data.range();
        rules.require(
            self.likelihood != VisibleKind::Bernoulli || data.is_unit_interval(),
            "/model/likelihood",
            format!("bernoulli needs data in [0, 1]; this data set's is in [{low}, {high}]"),
        );
        rules.require(
            self.binarize == Binarize::None || self.is_bernoulli(data),
            "/model/binarize",
            "zeros and ones need the bernoulli likelihood, and data in [0, 1]",
        );
    }

    pub(super) fn check_generation(&self, data: &DataFacts, rules: &mut Rules) {
        rules.require(
            !self.conditional || data.classes().is_some(),
            "/model/conditional",
            "needs labels, and this data set has none",
        );
        rules.require(
            self.mixture.is_none() || self.latent <= 1024,
            "/model/mixture",
            format!(
                "has full covariances, for codes of at most 1024 units; this latent is {}",
                self.latent
            ),
        );
    }

    pub(super) fn check_objective(&self, training: &Training, rules: &mut Rules) {
        let schedule = self.kl_schedule;
        if let Some(epochs) = schedule.epochs {
            rules.require(
                schedule.kind == KlScheduleKind::Warmup,
                "/model/kl_schedule/epochs",
                "only the kind 'warmup' takes it",
            );
            let all = f64::from(training.epochs);
            rules.require(
                epochs <= all,
                "/model/kl_schedule/epochs",
                format!("must be above 0 and at most {all}, the epochs of the run, got {epochs}"),
            );
        }
        if let Some(cycles) = schedule.cycles {
            rules.require(
                schedule.kind == KlScheduleKind::Cyclic,
                "/model/kl_schedule/cycles",
                "only the kind 'cyclic' takes it",
            );
            rules.require(
                cycles <= training.epochs,
                "/model/kl_schedule/cycles",
                format!(
                    "must be between 1 and {}, the epochs of the run, got {cycles}",
                    training.epochs
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kl_weight_climbs_as_its_kind_says() {
        let schedule = |kind, epochs, cycles| KlSchedule {
            kind,
            epochs,
            cycles,
        };
        let warmup = schedule(KlScheduleKind::Warmup, Some(4.0), None);
        let cyclic = schedule(KlScheduleKind::Cyclic, None, Some(5));
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12);
        for (time, expected) in [(0.0, 0.0), (1.0, 0.25), (4.0, 1.0), (9.0, 1.0)] {
            close(warmup.factor(time, 20.0), expected);
            close(KlSchedule::CONSTANT.factor(time, 20.0), 1.0);
        }
        for (time, expected) in [(0.0, 0.0), (1.0, 0.5), (3.0, 1.0), (4.0, 0.0), (17.0, 0.5)] {
            close(cyclic.factor(time, 20.0), expected);
        }
    }
}
