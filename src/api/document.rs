//! The OpenAPI document: what is not said at the operations themselves.

use serde_json::{Value, json};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "latentd",
        description = "Trains and serves latent-variable models: upload a data set, post a training job, watch it, then encode, reconstruct, denoise or generate.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "service", description = "Health, metrics and what this server offers"),
        (name = "datasets", description = "Data to train on and to feed to models"),
        (name = "jobs", description = "Asynchronous training"),
        (name = "models", description = "Trained models and what they answer"),
        (name = "inference protocol", description = "The same models by the Open Inference Protocol v2, as tritonclient speaks it"),
        (name = "webhooks", description = "Telling others of jobs, as Standard Webhooks"),
    ),
    components(schemas(super::problem::ProblemBody))
)]
struct Base;

pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// The document as it is served and kept in `openapi/openapi.json`.
pub fn text(document: &utoipa::openapi::OpenApi) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    merge_defaults(&mut document);
    super::refusals::complete(&mut document);
    refer_to_items(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// A default beside an inlined schema comes as `allOf: [schema, {type: object, default}]`, which no
/// value but an object satisfies; here the default moves into the schema.
fn merge_defaults(value: &mut Value) {
    if let Some(Value::Array(parts)) = value.get_mut("allOf")
        && let [schema, extra] = parts.as_mut_slice()
        && let (Some(schema), Some(default)) = (schema.as_object_mut(), extra.get("default"))
    {
        schema.insert("default".to_owned(), default.clone());
        *value = Value::Object(std::mem::take(schema));
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(merge_defaults),
        Value::Array(items) => items.iter_mut().for_each(merge_defaults),
        _ => {}
    }
}

/// Generated clients should have one type for an item, alone or in a list.
fn refer_to_items(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    for (name, schema) in schemas.iter_mut() {
        if let Some(item) = name.strip_prefix("List_") {
            let reference = format!("#/components/schemas/{item}");
            schema["properties"]["data"]["items"] = json!({ "$ref": reference });
        }
    }
}
