//! The `model` object of a job: a union of the families' specs, told apart by `kind`. The union, its
//! schema and its errors all come from the table of families.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Discriminator, OneOfBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::document::FieldError;
use crate::families::{FAMILIES, Family};

/// A model's settings, as the client wrote them or with every default filled in.
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
