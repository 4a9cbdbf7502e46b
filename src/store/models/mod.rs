//! The tables `models`, `model_versions` and `model_aliases`: what was published, and under which
//! names.

mod aliases;
mod names;
mod versions;

use std::collections::BTreeMap;

use crate::document::Warning;
use serde_json::{Map, Value};

pub(super) use versions::{add_metrics, publish};

/// A name, and all that is published under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    /// Alias to version.
    pub aliases: BTreeMap<String, i64>,
    /// Newest first.
    pub versions: Vec<ModelVersion>,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct ModelVersion {
    pub name: String,
    pub version: i64,
    pub kind: String,
    pub spec: Value,
    /// What trained it, and on which data set; none of a version that was imported.
    pub job_id: Option<String>,
    pub dataset: Option<String>,
    #[sqlx(json)]
    pub input_shape: Vec<i64>,
    #[sqlx(json(nullable))]
    pub code_shape: Option<Vec<i64>>,
    pub parameters: i64,
    #[sqlx(json)]
    pub capabilities: Vec<String>,
    #[sqlx(json)]
    pub metrics: Map<String, Value>,
    /// What serving must know of the data: its range, shape and dtype.
    pub data: Value,
    pub sha256: String,
    pub bytes: i64,
    /// How it was made: settings, data set, whence it started, with which programs. Empty where that is not known.
    #[sqlx(json)]
    pub provenance: Map<String, Value>,
    pub created_at: i64,
}

/// A version to publish, whose file is complete. Its name, kind and dataset are its job's.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVersion {
    pub spec: Value,
    pub input_shape: Vec<i64>,
    pub code_shape: Option<Vec<i64>>,
    pub parameters: i64,
    pub capabilities: Vec<String>,
    pub metrics: Map<String, Value>,
    pub data: Value,
    pub sha256: String,
    pub bytes: i64,
    /// What its job does not know of how it was made; of an imported version, all of it.
    pub provenance: Map<String, Value>,
    /// What the run found beside what its job was told.
    pub warnings: Vec<Warning>,
}

/// What a version was published as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub name: String,
    pub version: i64,
}
