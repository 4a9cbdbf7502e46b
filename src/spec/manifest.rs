//! What goes with the weights of a model version from one service to another, and the rules that it must
//! keep where it comes in.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::job::ModelSpec;
use crate::document::{FieldError, Rules};
use crate::families::{Family, MAX_PARAMETERS};
use crate::jobs::check_name;
use crate::nn::model::DataFacts;
use crate::train::settings::Training;

/// Of the documents that are written and read here.
pub const FORMAT_VERSION: u32 = 1;

/// Values in a row, at most: as many as one request can have.
const MOST_FEATURES: i64 = 64 << 20;
const MOST_CLASSES: i64 = 1 << 24;
/// Bytes of how a version was made: a job's settings, metadata and warnings.
const MOST_PROVENANCE: usize = 1 << 17;
/// Bytes of the names of all classes, as uploads may have them.
const MOST_NAMES: usize = 1 << 19;

/// A model version without its weights.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this document: 1.
    pub format_version: u32,
    /// Name that it is published under.
    pub name: Option<String>,
    /// Its number where it comes from; where it goes to it gets the next one.
    pub version: Option<i64>,
    pub kind: String,
    pub spec: Value,
    pub data: ManifestData,
    /// Shape of one row, as in `data`.
    pub input_shape: Option<Vec<i64>>,
    pub code_shape: Option<Vec<i64>>,
    pub parameters: Option<i64>,
    /// Of the weights.
    pub sha256: String,
    #[serde(default)]
    pub metrics: Map<String, Value>,
    /// How it was made.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub provenance: Map<String, Value>,
    /// RFC 3339.
    pub created_at: Option<String>,
}

/// What a model must know of the data it was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestData {
    /// Shape of one row, for example `[1, 28, 28]`.
    pub shape: Vec<i64>,
    /// Least and greatest value of the training rows.
    pub range: [f64; 2],
    /// Number of label classes, if the rows are labelled.
    pub classes: Option<i64>,
    /// The words that the classes stand for, in the order of their codes; empty where they are plain numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_names: Vec<String>,
    /// Targets of each training row: 0 or 1.
    #[serde(default)]
    pub targets: i64,
}

impl From<DataFacts> for ManifestData {
    fn from(facts: DataFacts) -> Self {
        Self {
            shape: facts.shape().to_vec(),
            range: facts.range().into(),
            classes: facts.classes(),
            label_names: facts.label_names().to_vec(),
            targets: i64::from(facts.has_targets()),
        }
    }
}

/// A version that may be taken in, if its weights are what they are said to be.
#[derive(Debug)]
pub struct Incoming {
    pub name: String,
    pub family: &'static Family,
    /// With every default filled in.
    pub spec: Value,
    pub facts: DataFacts,
    pub sha256: String,
    pub metrics: Map<String, Value>,
    pub provenance: Map<String, Value>,
    /// Numbers that its weights have at the least.
    pub parameters: u128,
    claims: Claims,
}

/// What the manifest says of the model, and the weights show.
#[derive(Debug)]
struct Claims {
    code_shape: Option<Vec<i64>>,
    parameters: Option<i64>,
}

impl Manifest {
    /// The only way to an [`Incoming`]; `name` goes before the manifest's own.
    pub fn validate(self, name: Option<String>) -> Result<Incoming, Vec<FieldError>> {
        let mut rules = Rules::default();
        self.check_fields(&mut rules);
        self.data.check(&mut rules);
        let pointer = if name.is_some() {
            "/name"
        } else {
            "/manifest/name"
        };
        let name = name.or(self.name).unwrap_or_default();
        if let Err(rule) = check_name(&name) {
            rules.require(false, pointer, rule.to_string());
        }
        rules.outcome()?;
        let facts = DataFacts::new(&self.data.shape, self.data.range.into())
            .with_classes(self.data.classes)
            .with_label_names(self.data.label_names)
            .with_targets(self.data.targets > 0);
        let (family, spec) = checked_spec(&self.kind, self.spec, &facts)?;
        let parameters = (family.parameters)(&spec, &facts)
            .map_err(|e| vec![FieldError::new("/manifest/spec", e.to_string())])?;
        let mut rules = Rules::default();
        rules.require(
            parameters <= MAX_PARAMETERS,
            "/manifest/spec",
            format!(
                "would have {parameters} weights and biases; at most {MAX_PARAMETERS} are allowed"
            ),
        );
        rules.outcome()?;
        Ok(Incoming {
            name,
            family,
            spec,
            facts,
            sha256: self.sha256,
            metrics: self.metrics,
            provenance: self.provenance,
            parameters,
            claims: Claims {
                code_shape: self.code_shape,
                parameters: self.parameters,
            },
        })
    }

    fn check_fields(&self, rules: &mut Rules) {
        let found = self.format_version;
        rules.require(
            found == FORMAT_VERSION,
            "/manifest/format_version",
            format!("must be {FORMAT_VERSION}, which this server reads, got {found}"),
        );
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        rules.require(
            self.sha256.len() == 64 && self.sha256.chars().all(hex),
            "/manifest/sha256",
            "must be 64 hexadecimal digits in small letters",
        );
        rules.require(
            self.version.is_none_or(|version| version >= 1),
            "/manifest/version",
            "must be at least 1",
        );
        let shape = &self.data.shape;
        rules.require(
            self.input_shape.as_ref().is_none_or(|given| given == shape),
            "/manifest/input_shape",
            format!("must be data.shape, which is {shape:?}"),
        );
        let time = self.created_at.as_deref();
        rules.require(
            time.is_none_or(|text| text.parse::<jiff::Timestamp>().is_ok()),
            "/manifest/created_at",
            "must be a time as in RFC 3339",
        );
        let provenance = serde_json::to_string(&self.provenance).map_or(0, |text| text.len());
        rules.require(
            provenance <= MOST_PROVENANCE,
            "/manifest/provenance",
            format!("must be at most {MOST_PROVENANCE} bytes of JSON, got {provenance}"),
        );
        for (name, value) in &self.metrics {
            let pointer = name.replace('~', "~0").replace('/', "~1");
            rules.require(
                value.is_number() || value.is_null(),
                &format!("/manifest/metrics/{pointer}"),
                "must be a number or null",
            );
        }
    }
}

impl ManifestData {
    fn check(&self, rules: &mut Rules) {
        let features = self
            .shape
            .iter()
            .try_fold(1_i64, |all, &d| all.checked_mul(d));
        rules.require(
            (1..=4).contains(&self.shape.len())
                && self.shape.iter().all(|&d| d >= 1)
                && features.is_some_and(|n| n <= MOST_FEATURES),
            "/manifest/data/shape",
            format!(
                "must have 1 to 4 lengths of at least 1, for {MOST_FEATURES} values at most, got {:?}",
                self.shape
            ),
        );
        let [low, high] = self.range;
        let greatest = f64::from(f32::MAX);
        rules.require(
            low <= high && low >= -greatest && high <= greatest,
            "/manifest/data/range",
            format!("must be the least and the greatest value, as 32-bit floats have them, got {low} and {high}"),
        );
        rules.require(
            self.classes.is_none_or(|n| (1..=MOST_CLASSES).contains(&n)),
            "/manifest/data/classes",
            format!("must be between 1 and {MOST_CLASSES}"),
        );
        let names = &self.label_names;
        let different: BTreeSet<&String> = names.iter().collect();
        rules.require(
            names.is_empty() || self.classes == i64::try_from(names.len()).ok(),
            "/manifest/data/label_names",
            format!("must be one name a class, got {}", names.len()),
        );
        rules.require(
            different.len() == names.len() && !names.iter().any(String::is_empty),
            "/manifest/data/label_names",
            "must be different from one another, and not empty",
        );
        rules.require(
            names.iter().map(String::len).sum::<usize>() <= MOST_NAMES,
            "/manifest/data/label_names",
            format!("must be {MOST_NAMES} bytes at most"),
        );
        rules.require(
            (0..=1).contains(&self.targets),
            "/manifest/data/targets",
            "must be 0 or 1",
        );
    }
}

/// The family, and the spec with every default filled in; by the rules that a training job keeps.
fn checked_spec(
    kind: &str,
    spec: Value,
    facts: &DataFacts,
) -> Result<(&'static Family, Value), Vec<FieldError>> {
    let spec = ModelSpec(spec);
    let family = spec.family().map_err(|e| here(vec![e]))?;
    if family.kind != kind {
        let rule = format!("must be that of the spec, '{}', got '{kind}'", family.kind);
        return Err(vec![FieldError::new("/manifest/kind", rule)]);
    }
    let spec = (family.normalise)(&spec.0).map_err(|e| here(vec![e]))?;
    // How it was trained is not known any more; as long a run as there can be allows every spec that some
    // run allows.
    let training = Training {
        epochs: 1_000_000,
        ..Training::of(&family.training_defaults, 1)
    };
    let broken = here((family.check)(&spec, &training, facts));
    if broken.is_empty() {
        Ok((family, spec))
    } else {
        Err(broken)
    }
}

/// The fields of a job as those of a manifest. What is wrong with the training alone does not matter.
fn here(errors: Vec<FieldError>) -> Vec<FieldError> {
    let moved = |error: FieldError| {
        let pointer = &error.pointer;
        let place = if let Some(rest) = pointer.strip_prefix("/model") {
            format!("/manifest/spec{rest}")
        } else if let Some(rest) = pointer.strip_prefix("/dataset") {
            format!("/manifest/data{rest}")
        } else {
            return None;
        };
        Some(FieldError::new(place, error.detail))
    };
    errors.into_iter().filter_map(moved).collect()
}

impl Incoming {
    /// Whether the weights hold as many numbers as the spec asks for at the least: what is then made room
    /// for is no more than was sent.
    pub fn check_numbers(&self, numbers: u64) -> Result<(), FieldError> {
        let needed = self.parameters;
        if needed <= u128::from(numbers) {
            return Ok(());
        }
        let rule = format!("hold {numbers} numbers; a model of this spec has {needed}");
        Err(FieldError::new("/weights", rule))
    }

    /// Whether the model is what the manifest says of it.
    pub fn check_claims(
        &self,
        code_shape: Option<&Vec<i64>>,
        parameters: i64,
    ) -> Result<(), Vec<FieldError>> {
        let mut rules = Rules::default();
        let claimed = self.claims.code_shape.as_ref();
        rules.require(
            claimed.is_none() || claimed == code_shape,
            "/manifest/code_shape",
            match code_shape {
                Some(shape) => format!("the model's is {shape:?}"),
                None => "must be null: the model has no code".to_owned(),
            },
        );
        rules.require(
            self.claims.parameters.is_none_or(|n| n == parameters),
            "/manifest/parameters",
            format!("the model has {parameters}"),
        );
        rules.outcome()
    }
}
