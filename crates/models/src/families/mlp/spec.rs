//! The `model` object of an mlp job, its rules, and the net it describes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Rules, tagged};
use crate::families::spec::Width;
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map, Norm};
use crate::nn::conv;
use crate::nn::model::DataFacts;
use crate::nn::net::NetConfig;

/// What the net learns of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MlpTask)]
pub enum Task {
    /// The label: a probability for each class.
    Classification,
    /// The target; where the data set has none, the label read as a number.
    Regression,
}

/// Changes of each training image, drawn anew each time it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MlpAugment)]
pub struct Augment {
    /// Moves the image by up to so many pixels along each axis; edges are repeated.
    #[schema(minimum = 1)]
    pub shift: i64,
}

tagged! {
    /// Multilayer perceptron: a classifier or a regressor.
    pub struct Spec as MlpModel, Kind::Mlp as MlpKind {
        #[schema(inline)]
        pub task: Task = Task::Classification,
        /// Channels of convolutions before the dense layers; each halves the sides of the image. Empty
        /// for none.
        #[schema(value_type = Vec<Width>, inline, max_items = 64)]
        pub channels: Vec<i64> = Vec::new(),
        /// Widths of the dense hidden layers, from the input to the output; may be empty.
        #[schema(value_type = Vec<Width>, inline, max_items = 64)]
        pub hidden: Vec<i64> = vec![800],
        /// Nonlinearity of the hidden layers.
        #[schema(inline)]
        pub activation: Activation = Activation::Relu,
        /// Share of the units of each dense hidden layer that are left out at each training step.
        #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
        pub dropout: f64 = 0.0,
        /// Share of the input values that are left out at each training step.
        #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
        pub input_dropout: f64 = 0.0,
        /// Normalises what every hidden layer computes over the batch.
        pub batch_norm: bool = false,
        /// Shifts and scales every input value to mean 0 and deviation 1 over the training rows. Left
        /// out: only for data outside [0, 1].
        pub standardize: Option<bool> = None,
        /// Share of the target probability that is spread evenly over all classes.
        #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
        pub label_smoothing: f64 = 0.0,
        pub augment: Option<Augment> = None,
    }
}

impl Spec {
    pub(super) fn check_layers(&self, data: &DataFacts, rules: &mut Rules) {
        if !self.channels.is_empty()
            && let Err(rule) = self.net(data).shapes()
        {
            rules.require(false, "/model/channels", rule);
        }
        rules.require(
            self.dropout == 0.0 || !self.hidden.is_empty(),
            "/model/dropout",
            "leaves out units of the dense hidden layers, and `hidden` names none",
        );
    }

    pub(super) fn check_numbers(&self, data: &DataFacts, rules: &mut Rules) {
        rules.require(
            data.has_numbers(),
            "/dataset",
            if data.classes().is_some() {
                "has no targets, and its labels are words; the task 'regression' learns numbers"
            } else {
                "has neither targets nor labels on its training rows; the task 'regression' learns the one or the other"
            },
        );
        rules.require(
            self.label_smoothing == 0.0,
            "/model/label_smoothing",
            "spreads a target over classes; the task 'regression' has none",
        );
    }

    pub(super) fn check_augment(&self, data: &DataFacts, rules: &mut Rules) {
        let Some(augment) = self.augment else { return };
        let pointer = "/model/augment/shift";
        match data.shape()[..] {
            [_, height, width] => {
                let limit = height.min(width) - 1;
                rules.require(
                    augment.shift <= limit,
                    pointer,
                    format!(
                        "must be between 1 and {limit}, less than the image's sides, got {}",
                        augment.shift
                    ),
                );
            }
            _ => rules.require(
                false,
                pointer,
                format!(
                    "needs rows of shape [channels, height, width], these have {:?}",
                    data.shape()
                ),
            ),
        }
    }

    /// Whether inputs are standardised before the first layer.
    pub fn standardizes(&self, data: &DataFacts) -> bool {
        self.standardize.unwrap_or_else(|| !data.is_unit_interval())
    }

    /// Convolutions, hidden layers, and the linear layer to the logits or the value.
    pub fn net(&self, data: &DataFacts) -> NetConfig {
        let norm = if self.batch_norm {
            Norm::Batch
        } else {
            Norm::None
        };
        let outputs = match self.task {
            Task::Classification => data.classes().unwrap_or(1),
            Task::Regression => 1,
        };
        let mut blocks = conv::encoder(&self.channels, conv::KERNEL, self.activation, norm);
        let dense = BlockConfig::dense(&self.hidden, self.activation);
        blocks.extend(dense.into_iter().map(|block| BlockConfig {
            norm,
            dropout: self.dropout,
            ..block
        }));
        blocks.push(BlockConfig::new(Map::linear(outputs), Activation::Linear));
        NetConfig::new(data.shape(), blocks)
    }
}

pub(super) fn check_classes(data: &DataFacts, rules: &mut Rules) {
    let Some(classes) = data.classes() else {
        let rule = if data.has_targets() {
            "has targets but no labels on its training rows; the task 'classification' learns labels, 'regression' \
                targets"
        } else {
            "has no labels on its training rows; the task 'classification' learns labels"
        };
        rules.require(false, "/dataset", rule);
        return;
    };
    rules.require(
        classes >= 2,
        "/dataset",
        format!("has {classes} class of labels; classification needs two or more"),
    );
    rules.require(
        classes <= 1 << 24,
        "/dataset",
        format!(
            "has labels up to {}: too many classes; did you mean the task 'regression'?",
            classes - 1
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{Define, suite};
    use crate::train::settings::Training;

    fn broken(spec: &Spec, data: &DataFacts) -> Vec<String> {
        let training = Training::of(&Spec::TRAINING, 1);
        suite::broken("mlp", spec, &training, data)
    }

    #[test]
    fn what_cannot_be_learnt_is_refused_where_it_stands() {
        let images = DataFacts::new(&[1, 8, 8], (0.0, 1.0)).with_classes(Some(10));
        let table = DataFacts::new(&[12], (0.0, 1.0)).with_classes(Some(10));
        let unlabelled = images.clone().with_classes(None);
        let of_targets = unlabelled.clone().with_targets(true);
        let usual = Spec::default();
        assert!(broken(&usual, &images).is_empty());
        assert_eq!(broken(&usual, &unlabelled), ["/dataset"]);
        assert_eq!(broken(&usual, &of_targets), ["/dataset"]);
        let regressor = Spec {
            task: Task::Regression,
            ..Spec::default()
        };
        assert!(broken(&regressor, &images).is_empty());
        assert!(broken(&regressor, &of_targets).is_empty());
        assert_eq!(broken(&regressor, &unlabelled), ["/dataset"]);
        let conv = Spec {
            channels: vec![8],
            augment: Some(Augment { shift: 2 }),
            ..Spec::default()
        };
        assert!(broken(&conv, &images).is_empty());
        assert_eq!(
            broken(&conv, &table),
            ["/model/channels", "/model/augment/shift"]
        );
        let regression = Spec {
            task: Task::Regression,
            label_smoothing: 0.1,
            dropout: 1.0,
            ..Spec::default()
        };
        assert_eq!(
            broken(&regression, &table),
            ["/model/dropout", "/model/label_smoothing"]
        );
    }
}
