//! What a client writes for an autoencoder, and the rules beyond the types.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Rules, tagged};
use crate::families::spec::Width;
use crate::nn::activation::Activation;
use crate::nn::corruption::CorruptionKind;
use crate::nn::loss::ReconstructionLoss;
use crate::nn::model::DataFacts;

/// Noise put on every training input; the target stays clean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Corruption {
    #[schema(inline)]
    pub kind: CorruptionKind,
    /// Standard deviation (`gaussian`) or share of the values (`mask`, `salt_and_pepper`).
    #[schema(exclusive_minimum = 0.0)]
    pub level: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SparsityKind {
    /// Divergence of each unit's mean activity from `target` (Ng, 2011); needs a sigmoid code.
    Kl,
    /// Sum of the absolute values of the code.
    L1,
}

/// Keeps most units of the code near zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AutoencoderSparsity)]
pub struct Sparsity {
    #[serde(default = "Sparsity::usual_kind")]
    #[schema(inline)]
    pub kind: SparsityKind,
    /// Mean activity that each unit is drawn to; `kl` only, 0.05 when left out.
    #[schema(exclusive_minimum = 0.0, exclusive_maximum = 1.0)]
    pub target: Option<f64>,
    /// Factor on the penalty in the loss.
    #[schema(exclusive_minimum = 0.0)]
    pub weight: f64,
}

impl Sparsity {
    fn usual_kind() -> SparsityKind {
        SparsityKind::Kl
    }

    pub fn target(&self) -> f64 {
        self.target.unwrap_or(0.05)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PretrainingKind {
    /// A stack of restricted Boltzmann machines, unrolled (Hinton and Salakhutdinov, 2006).
    Rbm,
    /// A stack of one-layer denoising autoencoders (Vincent et al., 2010).
    Denoising,
}

/// Training of one layer after the other, before the whole is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AutoencoderPretraining)]
pub struct Pretraining {
    #[schema(inline)]
    pub kind: PretrainingKind,
    /// Epochs a layer.
    #[serde(default = "Pretraining::usual_epochs")]
    #[schema(minimum = 1, maximum = 100_000)]
    pub epochs: u32,
    /// Left out: 0.1 for `rbm`, the job's own for `denoising`.
    #[schema(exclusive_minimum = 0.0)]
    pub learning_rate: Option<f64>,
    /// `rbm` only: Gibbs steps for each update; 1 when left out.
    #[schema(minimum = 1, maximum = 1000)]
    pub gibbs_steps: Option<u32>,
    /// `denoising` only: noise on each layer's inputs; left out, a quarter of them masked.
    pub corruption: Option<Corruption>,
}

impl Pretraining {
    fn usual_epochs() -> u32 {
        10
    }

    pub fn gibbs_steps(&self) -> u32 {
        self.gibbs_steps.unwrap_or(1)
    }

    pub fn corruption(&self) -> Corruption {
        self.corruption.unwrap_or(Corruption {
            kind: CorruptionKind::Mask,
            level: 0.25,
        })
    }
}

tagged! {
    /// Autoencoder with dense or convolutional layers, the decoder mirroring the encoder.
    pub struct Spec as AutoencoderModel, Kind::Autoencoder as AutoencoderKind {
        /// Channels of the encoder's convolutions, each of which halves the image; empty for dense layers
        /// alone.
        #[schema(value_type = Vec<Width>, inline, max_items = 16)]
        pub channels: Vec<i64> = Vec::new(),
        /// Widths of the encoder's dense hidden layers, from the input to the code; may be empty.
        #[schema(value_type = Vec<Width>, inline, max_items = 64)]
        pub hidden: Vec<i64> = vec![512, 256],
        /// Units of the code.
        #[schema(minimum = 1, maximum = 16_777_216, extensions(("x-unit" = json!("units"))))]
        pub code: i64 = 32,
        /// Nonlinearity of the hidden layers.
        #[schema(inline)]
        pub activation: Activation = Activation::Relu,
        /// Nonlinearity of the code.
        #[schema(inline)]
        pub code_activation: Activation = Activation::Linear,
        /// Whether the decoder's weights are the transposes of the encoder's.
        pub tied: bool = false,
        #[schema(inline)]
        pub loss: ReconstructionLoss = ReconstructionLoss::Auto,
        pub corruption: Option<Corruption> = None,
        pub sparsity: Option<Sparsity> = None,
        /// Factor on the squared norm of the code's derivatives by the input (contractive autoencoder;
        /// Rifai et al., 2011).
        #[schema(exclusive_minimum = 0.0)]
        pub contractive: Option<f64> = None,
        pub pretraining: Option<Pretraining> = None,
    }
}

impl Spec {
    /// Layers of the encoder, the code among them.
    pub fn depth(&self) -> usize {
        self.channels.len() + self.hidden.len() + 1
    }

    pub(super) fn check_layers(&self, data: &DataFacts, rules: &mut Rules) {
        rules.require(
            self.channels.is_empty() || data.shape().len() == 3,
            "/model/channels",
            format!(
                "convolutions need rows of shape [channels, height, width], these have {:?}",
                data.shape()
            ),
        );
        check_corruption(self.corruption, "/model/corruption", rules);
        rules.require(
            self.loss != ReconstructionLoss::BinaryCrossEntropy || data.is_unit_interval(),
            "/model/loss",
            format!(
                "binary_cross_entropy needs data in [0, 1]; this data set's is in [{}, {}]",
                data.range().0,
                data.range().1
            ),
        );
    }

    pub(super) fn check_sparsity(&self, rules: &mut Rules) {
        let Some(sparsity) = &self.sparsity else {
            return;
        };
        match sparsity.kind {
            SparsityKind::Kl => rules.require(
                self.code_activation == Activation::Sigmoid,
                "/model/sparsity/kind",
                "'kl' compares activities between 0 and 1 and needs code_activation 'sigmoid'; 'l1' goes with any",
            ),
            SparsityKind::L1 => rules.require(
                sparsity.target.is_none(),
                "/model/sparsity/target",
                "only the kind 'kl' has a target; 'l1' draws to zero",
            ),
        }
    }

    pub(super) fn check_pretraining(&self, data: &DataFacts, rules: &mut Rules) {
        let Some(pretraining) = &self.pretraining else {
            return;
        };
        let at = |field: &str| format!("/model/pretraining/{field}");
        check_corruption(pretraining.corruption, &at("corruption"), rules);
        match pretraining.kind {
            PretrainingKind::Rbm => {
                rules.require(
                    pretraining.corruption.is_none(),
                    &at("corruption"),
                    "only the kind 'denoising' corrupts",
                );
                self.check_machines(data, rules);
            }
            PretrainingKind::Denoising => rules.require(
                pretraining.gibbs_steps.is_none(),
                &at("gibbs_steps"),
                "only the kind 'rbm' samples",
            ),
        }
    }

    /// What a stack of restricted Boltzmann machines can be unrolled into.
    fn check_machines(&self, data: &DataFacts, rules: &mut Rules) {
        let pointer = "/model/pretraining/kind";
        rules.require(
            self.channels.is_empty(),
            pointer,
            "'rbm' pretrains dense layers only; use 'denoising' with channels",
        );
        rules.require(
            self.hidden.is_empty() || self.activation == Activation::Sigmoid,
            pointer,
            "'rbm' has Bernoulli hidden units, which need activation 'sigmoid'",
        );
        rules.require(
            matches!(
                self.code_activation,
                Activation::Linear | Activation::Sigmoid
            ),
            pointer,
            "'rbm' needs code_activation 'linear' (Gaussian units) or 'sigmoid' (Bernoulli units)",
        );
        rules.require(
            data.is_unit_interval(),
            pointer,
            format!(
                "'rbm' has Bernoulli visible units, which need data in [0, 1]; this data set's is in [{}, {}]",
                data.range().0, data.range().1
            ),
        );
    }
}

fn check_corruption(corruption: Option<Corruption>, pointer: &str, rules: &mut Rules) {
    let Some(corruption) = corruption else {
        return;
    };
    let (level, limit) = (corruption.level, corruption.kind.level_limit());
    rules.require(
        level <= limit,
        &format!("{pointer}/level"),
        format!("must be above 0 and at most {limit}, got {level}"),
    );
}
