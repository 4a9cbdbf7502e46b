//! Where a job's weights start: another model, or a checkpoint, and what of it stays as it is.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::document::Rules;
use crate::families::Family;
use crate::train::Freeze;

/// Prefixes that a job may list.
const MAX_PREFIXES: usize = 1000;

/// Where weights come from: a model ref alone or with `freeze`, or a checkpoint of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum InitFrom {
    /// `name`, `name:3` or `name@alias`.
    Ref(String),
    Model(InitFromModel),
    Checkpoint(InitFromCheckpoint),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelSource)]
pub struct InitFromModel {
    /// `name`, `name:3` or `name@alias`.
    pub model: String,
    #[serde(default)]
    pub freeze: Freeze,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CheckpointSource)]
pub struct InitFromCheckpoint {
    /// The job's id.
    pub job: String,
    /// The checkpoint's number.
    #[schema(minimum = 1)]
    pub checkpoint: i64,
    #[serde(default)]
    pub freeze: Freeze,
}

impl InitFrom {
    pub fn freeze(&self) -> Freeze {
        match self {
            Self::Ref(_) => Freeze::default(),
            Self::Model(source) => source.freeze.clone(),
            Self::Checkpoint(source) => source.freeze.clone(),
        }
    }
}

/// The weights to start from, as a job's row names them.
#[derive(Debug, Serialize, Deserialize)]
pub struct PinnedSource {
    /// As the client wrote it, with the version's number in place of an alias.
    pub from: InitFrom,
    /// Digest of the weights: the ref may mean another version later.
    pub sha256: String,
}

/// What either object may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    model: Option<String>,
    job: Option<String>,
    checkpoint: Option<i64>,
    #[serde(default)]
    freeze: Freeze,
}

/// By hand: of an untagged enum no error would name its field.
impl<'de> Deserialize<'de> for InitFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = InitFrom;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a model ref, {\"model\": …} or {\"job\": …, \"checkpoint\": …}")
    }

    fn visit_str<E: Error>(self, reference: &str) -> Result<InitFrom, E> {
        Ok(InitFrom::Ref(reference.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<InitFrom, A::Error> {
        let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
        let freeze = fields.freeze;
        match (fields.model, fields.job, fields.checkpoint) {
            (Some(model), None, None) => Ok(InitFrom::Model(InitFromModel { model, freeze })),
            (None, Some(job), Some(checkpoint)) => Ok(InitFrom::Checkpoint(InitFromCheckpoint {
                job,
                checkpoint,
                freeze,
            })),
            _ => Err(A::Error::custom(
                "needs either `model`, or `job` and `checkpoint`",
            )),
        }
    }
}

/// Rules that need no look at the tensors.
pub(super) fn check_source(source: &InitFrom, family: &Family, rules: &mut Rules) {
    let freeze = source.freeze();
    if !family.learns_from_a_start {
        let rule = format!(
            "{} is computed from the rows alone, whatever it started as",
            family.kind
        );
        if freeze.is_none() {
            rules.require(false, "/init_from", rule);
        } else {
            rules.require(false, "/init_from/freeze", rule);
        }
    }
    let Freeze::Prefixes(prefixes) = freeze else {
        return;
    };
    rules.require(
        (1..=MAX_PREFIXES).contains(&prefixes.len()),
        "/init_from/freeze",
        format!(
            "must have between 1 and {MAX_PREFIXES} prefixes, got {}",
            prefixes.len()
        ),
    );
    for (i, prefix) in prefixes.iter().enumerate() {
        rules.require(
            !prefix.is_empty(),
            &format!("/init_from/freeze/{i}"),
            "must not be empty; `true` means every copied tensor",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::document::read;

    #[test]
    fn each_form_is_read_and_written_back() {
        for value in [
            json!("a:3"),
            json!({"model": "a", "freeze": true}),
            json!({"model": "a", "freeze": ["encoder."]}),
            json!({"job": "j", "checkpoint": 2, "freeze": false}),
        ] {
            let source: InitFrom = read(&value, "").expect("it is well formed");
            assert_eq!(serde_json::to_value(source).expect("JSON"), value);
        }
        let source: InitFrom = read(&json!({"model": "a"}), "").expect("it is well formed");
        assert!(source.freeze().is_none());
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        for (value, pointer) in [
            (json!(5), ""),
            (json!({"freeze": true}), ""),
            (json!({"model": "a", "job": "j", "checkpoint": 1}), ""),
            (json!({"job": "j"}), ""),
            (json!({"model": 5}), "/model"),
            (json!({"model": "a", "freeze": "encoder."}), "/freeze"),
            (json!({"model": "a", "freeze": [1]}), "/freeze"),
            (json!({"model": "a", "frozen": true}), "/frozen"),
            (json!({"job": "j", "checkpoint": "last"}), "/checkpoint"),
        ] {
            let error = read::<InitFrom>(&value, "").expect_err("it is not well formed");
            assert_eq!(error.pointer, pointer, "{value}: {}", error.detail);
        }
    }

    #[test]
    fn prefixes_say_something_and_pca_has_no_start() {
        let broken = |kind: &str, value: Value| {
            let source: InitFrom = read(&value, "").expect("it is well formed");
            let mut rules = Rules::default();
            let family = Family::find(kind).expect("a family");
            check_source(&source, family, &mut rules);
            let broken = rules.broken().into_iter();
            broken.map(|error| error.pointer).collect::<Vec<_>>()
        };
        let of = |freeze: Value| json!({"model": "a", "freeze": freeze});
        assert_eq!(broken("mlp", of(json!(true))), [""; 0]);
        assert_eq!(broken("mlp", of(json!([]))), ["/init_from/freeze"]);
        assert_eq!(
            broken("mlp", of(json!(["net.", ""]))),
            ["/init_from/freeze/1"]
        );
        assert_eq!(broken("pca", of(json!(true))), ["/init_from/freeze"]);
        assert_eq!(broken("pca", json!("a")), ["/init_from"]);
    }
}
