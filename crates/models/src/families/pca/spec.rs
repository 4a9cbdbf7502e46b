//! The `model` object of a pca job, and its rules.

use crate::document::{Rules, tagged};
use crate::families::define::Define;
use crate::nn::model::DataFacts;
use crate::train::settings::{Precision, Training};

/// Widest rows: their covariance takes 2 GiB, and solving it as much again a few times over.
const MAX_FEATURES: i64 = 16_384;
/// Components kept where nothing is said and rows have as many values.
const USUAL_CODE: i64 = 32;

tagged! {
    /// Principal component analysis.
    pub struct Spec as PcaModel, Kind::Pca as PcaKind {
        /// Components kept; at most the values in a row. Default 32, or as many as a row has values where these are
        /// fewer.
        #[schema(minimum = 1, maximum = 16_777_216, extensions(("x-unit" = json!("units"))))]
        pub code: Option<i64> = None,
        /// Divides each value of the code by its standard deviation, so that all have variance 1.
        pub whiten: bool = false,
    }
}

impl Spec {
    /// Components kept of these rows.
    pub fn components(&self, data: &DataFacts) -> i64 {
        self.code.unwrap_or(USUAL_CODE.min(data.features()))
    }

    pub fn check_size(&self, data: &DataFacts, rules: &mut Rules) {
        let (features, code) = (data.features(), self.components(data));
        rules.require(
            code <= features,
            "/model/code",
            format!("must be at most {features}, the values in a row, got {code}"),
        );
        rules.require(
            features <= MAX_FEATURES,
            "/dataset",
            format!(
                "rows have {features} values; pca takes at most {MAX_FEATURES}, whose covariance already fills 2 GiB"
            ),
        );
    }
}

/// One pass over the rows is all there is: what only gradient descent understands is refused.
pub fn check_training(training: &Training, rules: &mut Rules) {
    let one_pass = format!(
        "must be 1: pca is solved exactly from one pass over the rows, got {}",
        training.epochs
    );
    rules.require(training.epochs == 1, "/training/epochs", one_pass);
    let (now, usual) = (training, Spec::TRAINING);
    let meaningless = [
        ("optimizer", now.optimizer != usual.optimizer),
        ("learning_rate", now.learning_rate != usual.learning_rate),
        ("momentum", now.momentum != usual.momentum),
        ("schedule", now.schedule != usual.schedule),
        ("weight_decay", now.weight_decay > 0.0),
        ("gradient_clip", now.gradient_clip.is_some()),
        ("early_stopping", now.early_stopping.is_some()),
    ];
    for (field, given) in meaningless {
        rules.require(
            !given,
            &format!("/training/{field}"),
            "means nothing here: pca is solved exactly, without steps down a gradient; leave it out",
        );
    }
    rules.require(
        training.precision != Precision::Bf16,
        "/training/precision",
        "must be auto or fp32: the covariance is summed up in f64",
    );
}
