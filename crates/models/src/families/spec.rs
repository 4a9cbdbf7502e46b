//! What the specs of several families are made of.

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::document::Rules;
use crate::nn::model::DataFacts;

/// The schema of a layer's width in a list of them.
pub struct Width;

impl PartialSchema for Width {
    fn schema() -> RefOr<Schema> {
        let unit = ExtensionsBuilder::new().add("x-unit", "units");
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .maximum(Some(1 << 24))
            .extensions(Some(unit.build()))
            .into()
    }
}

impl ToSchema for Width {}

/// Bernoulli visible units are shown probabilities.
pub fn require_probabilities(data: &DataFacts, rules: &mut Rules) {
    let (low, high) = data.range();
    rules.require(
        data.is_unit_interval(),
        "/dataset",
        format!(
            "Bernoulli visible units need values in [0, 1]; this data set's are in [{low}, {high}]: scale them before \
                the upload"
        ),
    );
}
