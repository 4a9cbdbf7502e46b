//! A training job as asked for, and as it will run.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{Discriminator, OneOfBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::footprint::Footprint;
use super::source::{InitFrom, check_source};
use super::training::TrainingRequest;
use crate::document::{FieldError, Ranges, Rules};
use crate::families::{FAMILIES, Family, FamilyError, MAX_PARAMETERS};
use crate::jobs::check_name;
use crate::machine::MachineInfo;
use crate::nn::model::DataFacts;
use crate::train::settings::Training;

/// Metadata a client may hang on a job, as JSON text.
const MAX_METADATA_BYTES: usize = 16 * 1024;

static RANGES: LazyLock<Ranges> = LazyLock::new(Ranges::of::<JobRequest>);

/// A training job.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Name the trained model is published under; its `kind` when left out.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", example = "mnist-rbm")]
    pub name: Option<String>,
    /// Id or name of the data set to train on.
    #[schema(example = "digits")]
    pub dataset: String,
    pub model: ModelSpec,
    #[serde(default)]
    pub training: TrainingRequest,
    /// Weights to start from: tensors whose names and shapes agree are copied, the rest start fresh, and
    /// the job's result says which. With `freeze`, copied ones stay as they are.
    #[serde(default)]
    pub init_from: Option<InitFrom>,
    /// Of two jobs that wait, that of the higher number starts first, and of equal ones the older.
    #[schema(minimum = -100, maximum = 100)]
    #[serde(default)]
    pub priority: i64,
    /// Anything of the client's own; at most 16 KiB.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// A job that can run: complete, and every rule checked against its data set.
#[derive(Debug, Clone)]
pub struct JobSpec {
    pub name: String,
    pub family: &'static Family,
    pub model: Value,
    pub training: Training,
    pub metadata: Map<String, Value>,
}

impl JobRequest {
    /// The only way to a [`JobSpec`]; every broken rule is listed at once.
    pub fn validate(
        &self,
        data: &DataFacts,
        machine: &MachineInfo,
    ) -> Result<JobSpec, Vec<FieldError>> {
        let family = self.model.family().map_err(|e| vec![e])?;
        let model = (family.normalise)(&self.model.0).map_err(|e| vec![e])?;
        let mut rules = Rules::default();
        let mut asked = serde_json::to_value(self).unwrap_or_default();
        // Its family checks it, with every default filled in.
        asked["model"] = Value::Null;
        rules.extend(RANGES.broken(&asked, ""));
        let training = self
            .training
            .resolve(&family.training_defaults, machine, &mut rules);
        rules.extend((family.check)(&model, &training, data));
        let name = self.name.clone().unwrap_or_else(|| family.kind.to_owned());
        if let Err(rule) = check_name(&name) {
            rules.require(false, "/name", rule.to_string());
        }
        check_metadata(&self.metadata, &mut rules);
        if let Some(source) = &self.init_from {
            check_source(source, family, &mut rules);
        }
        rules.outcome()?;
        let model = (family.settle)(&model, data).map_err(unreadable)?;
        check_size(family, &model, data)?;
        Ok(JobSpec {
            name,
            family,
            model,
            training,
            metadata: self.metadata.clone(),
        })
    }
}

impl JobSpec {
    /// What it will need to train on `rows` rows.
    pub fn footprint(&self, data: &DataFacts, rows: u64) -> Result<Footprint, Vec<FieldError>> {
        let parameters = (self.family.parameters)(&self.model, data).map_err(unreadable)?;
        let rows = rows.min(self.training.batch_size.into());
        let working = (self.family.working)(&self.model, data, rows.into()).map_err(unreadable)?;
        Ok(Footprint::of(parameters, working, &self.training))
    }
}

pub fn check_metadata(metadata: &Map<String, Value>, rules: &mut Rules) {
    let bytes = serde_json::to_vec(metadata).map_or(0, |json| json.len());
    rules.require(
        bytes <= MAX_METADATA_BYTES,
        "/metadata",
        format!("must be at most {MAX_METADATA_BYTES} bytes of JSON, got {bytes}"),
    );
}

fn check_size(family: &Family, model: &Value, data: &DataFacts) -> Result<(), Vec<FieldError>> {
    let parameters = (family.parameters)(model, data).map_err(unreadable)?;
    let mut rules = Rules::default();
    rules.require(
        parameters <= MAX_PARAMETERS,
        "/model",
        format!("would have {parameters} weights and biases on this data set; at most {MAX_PARAMETERS} are allowed"),
    );
    rules.outcome()
}

fn unreadable(error: FamilyError) -> Vec<FieldError> {
    vec![FieldError::new("/model", error.to_string())]
}

/// A model's settings, as the client wrote them or with every default filled in: a union of the families' specs,
/// told apart by `kind`. The union, its schema and its errors all come from the table of families.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelSpec(pub Value);

impl ModelSpec {
    /// The family that `kind` names.
    pub fn family(&self) -> Result<&'static Family, FieldError> {
        let Some(fields) = self.0.as_object() else {
            return Err(FieldError::new("/model", "must be an object with a `kind`"));
        };
        let kinds: Vec<&str> = FAMILIES.iter().map(|f| f.kind).collect();
        let expected = format!("must be one of: {}", kinds.join(", "));
        let Some(kind) = fields.get("kind") else {
            return Err(FieldError::new(
                "/model/kind",
                format!("is missing; {expected}"),
            ));
        };
        kind.as_str()
            .and_then(Family::find)
            .ok_or_else(|| FieldError::new("/model/kind", format!("{expected}; got {kind}")))
    }
}

impl PartialSchema for ModelSpec {
    fn schema() -> RefOr<Schema> {
        let reference = |name: &str| format!("#/components/schemas/{name}");
        let mut union = OneOfBuilder::new().description(Some(
            "A model family and its settings; every field but `kind` has a default.",
        ));
        let mut mapping = Vec::new();
        for family in FAMILIES {
            let schema = (family.schema)();
            union = union.item(Ref::new(reference(&schema.name)));
            mapping.push((family.kind, reference(&schema.name)));
        }
        let discriminator = Discriminator::with_mapping("kind", mapping);
        RefOr::T(Schema::OneOf(
            union.discriminator(Some(discriminator)).build(),
        ))
    }
}

impl ToSchema for ModelSpec {
    fn name() -> std::borrow::Cow<'static, str> {
        "ModelSpec".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for family in FAMILIES {
            let schema = (family.schema)();
            schemas.push((schema.name, schema.schema));
            schemas.extend(schema.references);
        }
    }
}
