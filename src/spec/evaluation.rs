//! An evaluation as asked for, and as it will run.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::job::check_metadata;
use super::training::check_device;
use crate::document::{FieldError, Ranges, Rules};
use crate::evaluate::Metric;
use crate::machine::MachineInfo;
use crate::nn::model::DataFacts;
use crate::verbs::Signature;

/// Metrics of one evaluation, at most.
const MOST_METRICS: usize = 20;

static RANGES: LazyLock<Ranges> = LazyLock::new(Ranges::of::<EvaluationRequest>);

/// What to measure of a trained model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRequest {
    /// `name` (newest version), `name:3` or `name@alias`.
    #[schema(example = "mnist-vae")]
    pub model: String,
    /// Id or name; the data set that the model was trained on when left out.
    pub dataset: Option<String>,
    /// Default `test`.
    pub split: Option<String>,
    #[schema(value_type = Vec<Metric>, min_items = 1, max_items = 20)]
    #[schema(extensions(("x-unit" = json!("metrics"))))]
    pub metrics: Vec<Value>,
    /// Of every random number that is drawn. Default 0.
    pub seed: Option<u64>,
    /// CPU threads; all cores when left out.
    #[schema(minimum = 1, maximum = 256)]
    pub threads: Option<u32>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: Option<String>,
    /// Of two jobs that wait, that of the higher number starts first, and of equal ones the older.
    #[schema(minimum = -100, maximum = 100)]
    #[serde(default)]
    pub priority: i64,
    /// Anything of the client's own; at most 16 KiB.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// An evaluation that can run: every default filled in, every model named by its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evaluation {
    pub model: String,
    pub version: i64,
    pub split: String,
    pub metrics: Vec<Metric>,
    pub seed: u64,
    pub threads: u32,
    pub device: String,
}

/// What must be known of the model to tell whether it can be measured so.
pub struct Candidate<'a> {
    pub name: &'a str,
    pub version: i64,
    pub input_shape: &'a [i64],
    pub capabilities: &'a [String],
    pub signature: Signature,
    /// Whether what it regresses on are targets, not labels.
    pub of_targets: bool,
}

/// What the rows of the split come with.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    pub labels: bool,
    pub targets: bool,
}

impl EvaluationRequest {
    pub fn split(&self) -> &str {
        self.split.as_deref().unwrap_or("test")
    }

    /// Every broken rule at once.
    pub fn validate(
        &self,
        model: &Candidate<'_>,
        data: &DataFacts,
        truth: Truth,
        machine: &MachineInfo,
    ) -> Result<Evaluation, Vec<FieldError>> {
        let mut rules = Rules::default();
        rules.require(
            data.shape() == model.input_shape,
            "/dataset",
            format!(
                "its rows have shape {:?}, the model takes {:?}",
                data.shape(),
                model.input_shape
            ),
        );
        let mut asked = serde_json::to_value(self).unwrap_or_default();
        let mut metrics = Vec::new();
        for (i, value) in self.metrics.iter().take(MOST_METRICS).enumerate() {
            let pointer = format!("/metrics/{i}");
            match Metric::read(value, &pointer) {
                Ok(metric) => {
                    check(&metric, &pointer, model, truth, &mut rules);
                    rules.require(
                        !matches!(metric, Metric::Denoising(_)) || data.is_unit_interval(),
                        &format!("{pointer}/kind"),
                        "is for data in [0, 1], as PSNR and SSIM are",
                    );
                    metrics.push(metric);
                }
                Err(error) => {
                    rules.extend(vec![error]);
                    asked["metrics"][i] = Value::Null;
                }
            }
        }
        rules.extend(RANGES.broken(&asked, ""));
        let device = self.device.clone().unwrap_or_else(|| "auto".to_owned());
        check_device("/device", &device, machine, &mut rules);
        check_metadata(&self.metadata, &mut rules);
        rules.outcome()?;
        Ok(Evaluation {
            model: model.name.to_owned(),
            version: model.version,
            split: self.split().to_owned(),
            metrics,
            seed: self.seed.unwrap_or(0),
            threads: self.threads.unwrap_or(machine.threads),
            device,
        })
    }
}

/// What a metric needs of the model and the data.
fn check(metric: &Metric, pointer: &str, model: &Candidate<'_>, truth: Truth, rules: &mut Rules) {
    let kind = format!("{pointer}/kind");
    let verb = match metric {
        Metric::Reconstruction(_) => Some("reconstruct"),
        Metric::Denoising(_) => Some("denoise"),
        Metric::Classification(_) | Metric::Regression(_) => Some("predict"),
        Metric::Frechet(_) | Metric::ConditionalAccuracy(_) => Some("generate"),
        Metric::LogLikelihood(_) | Metric::PseudoLikelihood(_) => None,
    };
    match verb.filter(|verb| !model.capabilities.iter().any(|offered| offered == *verb)) {
        // Nothing more need be said of the model.
        Some(verb) => rules.require(
            false,
            &kind,
            format!(
                "needs a model that offers '{verb}'; this one offers: {}",
                model.capabilities.join(", ")
            ),
        ),
        None => {
            let (suited, rule) = suits(metric, model.signature);
            rules.require(suited, &kind, rule);
        }
    }
    let (there, rule) = match metric {
        Metric::Classification(_) => (truth.labels, "needs labels, which the split does not have"),
        Metric::Regression(_) if model.of_targets => (
            truth.targets,
            "needs targets, which the model learnt and the split does not have",
        ),
        Metric::Regression(_) => (
            truth.labels,
            "needs labels, which the model learnt as numbers and the split does not have",
        ),
        _ => (true, ""),
    };
    rules.require(there, &kind, rule);
    if let Metric::Denoising(m) = metric {
        let limit = m.corruption.level_limit();
        rules.require(
            m.level <= limit,
            &format!("{pointer}/level"),
            format!("must be above 0 and at most {limit}, got {}", m.level),
        );
    }
}

/// Whether a model of this kind can be measured so; else what is needed.
fn suits(metric: &Metric, of: Signature) -> (bool, &'static str) {
    match metric {
        Metric::Classification(_) => (
            !of.regresses,
            "needs a model that predicts classes; this one predicts numbers",
        ),
        Metric::Regression(_) => (
            of.regresses,
            "needs a model that predicts numbers; this one predicts classes",
        ),
        Metric::ConditionalAccuracy(_) => (
            of.generates_by_class(),
            "needs a model that generates rows of a given class",
        ),
        Metric::LogLikelihood(_) => (
            of.likelihood,
            "needs a model whose likelihood can be estimated",
        ),
        Metric::PseudoLikelihood(_) => (
            of.pseudo_likelihood,
            "needs a model that has a pseudo-likelihood",
        ),
        _ => (true, ""),
    }
}
