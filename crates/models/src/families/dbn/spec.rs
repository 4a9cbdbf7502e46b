//! The `model` object of a deep belief network, and its rules.

use serde::{Deserialize, Serialize};
use tch::Kind as TensorKind;
use utoipa::ToSchema;

use crate::document::{Rules, tagged};
use crate::families::define::Define;
use crate::families::spec::Width;
use crate::nn::binarize::Binarize;
use crate::nn::boltzmann::machine::MachineConfig;
use crate::nn::boltzmann::units::Layer;
use crate::nn::loss::ReconstructionLoss;
use crate::nn::model::DataFacts;
use crate::train::settings::Training;

/// What the stack of RBMs becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DbnHead)]
pub enum Head {
    /// A generative model; where the data has labels, they are joined to the top RBM.
    Generative,
    /// A softmax layer on top, all layers fine-tuned by back-propagation.
    Classifier,
    /// One linear unit on top, which learns the target; where the data set has none, the label as a number.
    Regressor,
    /// The stack and its mirror image, fine-tuned end to end; the last layer is the code.
    Autoencoder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DbnCodeActivation)]
pub enum CodeActivation {
    /// Any number; its RBM has Gaussian hidden units of unit variance.
    Linear,
    Sigmoid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DbnAlgorithm)]
pub enum Algorithm {
    /// Contrastive divergence: the chain starts at the data.
    Cd,
    /// Persistent contrastive divergence: the chains go on from step to step.
    Pcd,
}

/// How the RBMs are trained, one after the other, each on the hidden probabilities of the one below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = DbnPretraining)]
pub struct Pretraining {
    /// Epochs of each RBM; 0 fine-tunes from random weights. Left out: 10, or for the lower RBMs of a
    /// generative model `training.epochs`, which is what its top RBM always takes.
    #[schema(maximum = 1_000_000)]
    pub epochs: Option<u32>,
    /// Left out: `pcd` for the top RBM of a generative model, whose chains are to be sampled from, and
    /// `cd` for the others.
    #[schema(inline)]
    pub algorithm: Option<Algorithm>,
    /// Gibbs steps for each update.
    #[schema(minimum = 1, maximum = 1000)]
    pub gibbs_steps: u32,
    #[schema(exclusive_minimum = 0.0)]
    pub learning_rate: f64,
    /// Learning rate of the RBM with Gaussian hidden units (a linear code).
    #[schema(exclusive_minimum = 0.0)]
    pub linear_learning_rate: f64,
    #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
    pub momentum: f64,
    /// L2 penalty on the weights.
    #[schema(minimum = 0.0)]
    pub weight_decay: f64,
}

impl Default for Pretraining {
    fn default() -> Self {
        Self {
            epochs: None,
            algorithm: None,
            gibbs_steps: 1,
            learning_rate: 0.05,
            linear_learning_rate: 0.001,
            momentum: 0.9,
            weight_decay: 2e-4,
        }
    }
}

tagged! {
    /// Deep belief network.
    pub struct Spec as DbnModel, Kind::Dbn as DbnKind {
        /// Units of each hidden layer, from the input up.
        #[schema(value_type = Vec<Width>, inline, min_items = 1, max_items = 16)]
        pub hidden: Vec<i64> = vec![500, 500],
        #[schema(inline)]
        pub head: Head = Head::Generative,
        pub pretraining: Pretraining = Pretraining::default(),
        /// What the visible units are shown while the RBMs are trained.
        #[schema(inline)]
        pub binarize: Binarize = Binarize::None,
        /// Whether labels are joined to the top RBM (`generative`). Left out: where the data has them.
        pub joint_labels: Option<bool> = None,
        /// Share of the learning rate at which the pretrained layers are fine-tuned (`classifier`,
        /// `regressor`); 0 leaves them as they are. Default 1.
        #[schema(minimum = 0.0, maximum = 1.0)]
        pub layer_rate: Option<f64> = None,
        /// Share of the hidden units that each fine-tuning step leaves out (`classifier`, `regressor`).
        /// Default 0.
        #[schema(minimum = 0.0, maximum = 0.9)]
        pub dropout: Option<f64> = None,
        /// Fine-tune on so many rows only (`classifier`: the first of each class, as many of one as of another;
        /// `regressor`: the first of all); the RBMs see all rows, without labels or targets.
        #[schema(minimum = 1, maximum = 10_000)]
        pub labeled_rows: Option<i64> = None,
        /// Units of the code (`autoencoder`). Default `linear`.
        #[schema(inline)]
        pub code_activation: Option<CodeActivation> = None,
        /// What fine-tuning descends (`autoencoder`). Default `auto`, which is `binary_cross_entropy`.
        #[schema(inline)]
        pub loss: Option<ReconstructionLoss> = None,
    }
}

impl Spec {
    /// Rows of the data, units of each hidden layer: `[features, h1, …]`.
    pub(super) fn widths(&self, data: &DataFacts) -> Vec<i64> {
        std::iter::once(data.features())
            .chain(self.hidden.iter().copied())
            .collect()
    }

    /// Whether the last hidden layer is a code of linear units.
    pub(super) fn linear_code(&self) -> bool {
        self.head == Head::Autoencoder && self.code_activation != Some(CodeActivation::Sigmoid)
    }

    /// Classes joined to the top RBM; 0 for none.
    pub(super) fn joint_classes(&self, data: &DataFacts) -> i64 {
        if self.head == Head::Generative && self.joint_labels != Some(false) {
            data.classes().unwrap_or(0)
        } else {
            0
        }
    }

    /// The RBMs from the data up; products are computed in `compute`.
    pub(super) fn machines(&self, data: &DataFacts, compute: TensorKind) -> Vec<MachineConfig> {
        let widths = self.widths(data);
        let pairs = widths.windows(2).enumerate();
        pairs
            .map(|(i, pair)| {
                let top = i + 2 == widths.len();
                MachineConfig {
                    visible: Layer::bernoulli(pair[0]),
                    classes: if top { self.joint_classes(data) } else { 0 },
                    hidden: if top && self.linear_code() {
                        Layer::gaussian(pair[1])
                    } else {
                        Layer::bernoulli(pair[1])
                    },
                    compute,
                }
            })
            .collect()
    }

    /// Epochs of each RBM.
    pub(super) fn pretraining_epochs(&self, training: &Training) -> Vec<u32> {
        let top = self.hidden.len() - 1;
        let generative = self.head == Head::Generative;
        let usual = if generative { training.epochs } else { 10 };
        (0..self.hidden.len())
            .map(|i| match self.pretraining.epochs {
                _ if generative && i == top => training.epochs,
                Some(epochs) => epochs,
                None => usual,
            })
            .collect()
    }

    /// How the RBM of this layer is trained.
    pub(super) fn algorithm(&self, layer: usize) -> Algorithm {
        let sampled_from = self.head == Head::Generative && layer + 1 == self.hidden.len();
        self.pretraining.algorithm.unwrap_or(if sampled_from {
            Algorithm::Pcd
        } else {
            Algorithm::Cd
        })
    }

    pub(super) fn check_epochs(&self, rules: &mut Rules) {
        rules.require(
            self.pretraining.epochs != Some(0) || self.head != Head::Generative,
            "/model/pretraining/epochs",
            "must be at least 1: a generative dbn is nothing but its RBMs",
        );
    }

    pub(super) fn check_labeled_rows(&self, training: &Training, rules: &mut Rules) {
        if let (Some(rows), Some(limit)) = (self.labeled_rows, training.max_rows) {
            rules.require(
                rows <= limit.cast_signed(),
                "/model/labeled_rows",
                format!("must be at most training.max_rows, which is {limit}, got {rows}"),
            );
        }
    }

    /// The settings that only some heads have.
    pub(super) fn check_head(&self, data: &DataFacts, rules: &mut Rules) {
        let supervised = matches!(self.head, Head::Classifier | Head::Regressor);
        let (labels, targets) = (data.classes().is_some(), data.has_targets());
        rules.require(
            self.head != Head::Classifier || labels,
            "/model/head",
            if targets {
                "'classifier' learns labels, and the training rows of this data set have targets only; 'regressor' \
                    learns those"
            } else {
                "'classifier' learns labels, and the training rows of this data set have none"
            },
        );
        rules.require(
            self.head != Head::Regressor || data.has_numbers(),
            "/model/head",
            if labels {
                "'regressor' learns numbers, and the training rows have no targets, and labels in words"
            } else {
                "'regressor' learns targets or labels, and the training rows of this data set have neither"
            },
        );
        rules.require(
            self.joint_labels != Some(true) || data.classes().is_some(),
            "/model/joint_labels",
            "this data set has no labels to join to the top RBM",
        );
        let given = [
            ("joint_labels", self.joint_labels.is_some()),
            ("code_activation", self.code_activation.is_some()),
            ("loss", self.loss.is_some()),
            ("layer_rate", self.layer_rate.is_some()),
            ("dropout", self.dropout.is_some()),
            ("labeled_rows", self.labeled_rows.is_some()),
        ];
        for (field, given) in given {
            let (fits, heads) = match field {
                "joint_labels" => (self.head == Head::Generative, "'generative'"),
                "code_activation" | "loss" => (self.head == Head::Autoencoder, "'autoencoder'"),
                _ => (supervised, "'classifier' or 'regressor'"),
            };
            let rule = format!("only a dbn with the head {heads} has a use for it");
            rules.require(!given || fits, &format!("/model/{field}"), rule);
        }
    }
}

/// Settings of fine-tuning that were changed for a model that is not fine-tuned.
pub(super) fn check_unused(training: &Training, rules: &mut Rules) {
    let (now, usual) = (training, Spec::TRAINING);
    let changed = [
        ("optimizer", now.optimizer != usual.optimizer),
        ("learning_rate", now.learning_rate != usual.learning_rate),
        ("momentum", now.momentum != usual.momentum),
        ("weight_decay", now.weight_decay != usual.weight_decay),
        ("gradient_clip", now.gradient_clip.is_some()),
    ];
    for (field, changed) in changed {
        let instead = match field {
            "optimizer" | "gradient_clip" => String::new(),
            _ => format!("; give model.pretraining.{field}"),
        };
        rules.require(
            !changed,
            &format!("/training/{field}"),
            format!(
                "a generative dbn is not fine-tuned: its RBMs learn by contrastive divergence with \
                momentum{instead}"
            ),
        );
    }
}
