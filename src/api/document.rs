//! The OpenAPI document: what is not said at the operations themselves. A handler's doc comment is its summary. Its
//! tag, what stands in its path and where a thing was made follow from the path.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{OpenApi, PartialSchema};

use super::access::SCHEMES;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "latentd",
        description = "Trains and serves latent-variable models: upload a data set, post a training job, watch it, \
            then encode, reconstruct, denoise or generate.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "service", description = "Health, metrics and what this server offers"),
        (name = "datasets", description = "Data to train on and to feed to models"),
        (name = "jobs", description = "Asynchronous training"),
        (name = "models", description = "Trained models and what they answer"),
        (name = "inference protocol",
            description = "The same models by the Open Inference Protocol v2, as tritonclient speaks it"),
        (name = "access", description = "API keys, and who did what"),
        (name = "webhooks", description = "Telling others of jobs, as Standard Webhooks"),
    ),
    components(schemas(super::problem::ProblemBody))
)]
struct Base;

/// The tag of what begins so. The first that fits.
const TAGS: [(&str, &str); 9] = [
    ("/v1/datasets", "datasets"),
    ("/v1/jobs", "jobs"),
    ("/v1/evaluations", "jobs"),
    ("/v1/models", "models"),
    ("/v1/webhooks", "webhooks"),
    ("/v1/keys", "access"),
    ("/v1/audit", "access"),
    ("/v2", "inference protocol"),
    ("/", "service"),
];

/// The description of what stands in a path, by its name, where its operation does not give one.
const PATH_PARAMETERS: [(&str, &str); 6] = [
    ("dataset", "Id or name"),
    ("delivery", "Id"),
    ("job", "Id"),
    ("key", "Id or name"),
    ("model", "Name"),
    ("webhook", "Id"),
];

pub fn base() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    if let Some(components) = &mut document.components {
        let [bearer, api_key] = SCHEMES;
        let about = "An API key, `lk_…`, where this server asks for keys";
        let bearer_scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(about))
            .build();
        components.add_security_scheme(bearer, SecurityScheme::Http(bearer_scheme));
        let header = ApiKeyValue::with_description("X-Api-Key", about);
        components.add_security_scheme(api_key, SecurityScheme::ApiKey(ApiKey::Header(header)));
    }
    document
}

/// The document as it is served and kept in `openapi/openapi.json`.
pub fn text(mut document: utoipa::openapi::OpenApi) -> String {
    for (path, item) in &mut document.paths.paths {
        let methods = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ];
        for operation in methods.into_iter().flatten() {
            complete(operation, path);
        }
    }
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    merge_defaults(&mut document);
    super::refusals::complete(&mut document);
    refer_to_items(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The document as it is served where a proxy shows the service below a path of its own.
pub fn below(text: &str, prefix: Option<&str>) -> String {
    match prefix {
        None => text.to_owned(),
        // A prefix has no letter that JSON would write otherwise.
        Some(prefix) => {
            let servers = format!("\"servers\": [{{\"url\": \"{prefix}\"}}],\n  \"paths\": {{");
            text.replacen("\"paths\": {", &servers, 1)
        }
    }
}

/// Says of an operation what its path says.
fn complete(operation: &mut Operation, path: &str) {
    let tag = TAGS.iter().find(|(start, _)| path.starts_with(start));
    let tag = tag.map_or("", |(_, tag)| *tag);
    operation.tags = Some(vec![tag.to_owned()]);
    let mut parameters = operation.parameters.take().unwrap_or_default();
    let named = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for (at, name) in named.enumerate() {
        let described = |p: &RefOr<Parameter>| matches!(p, RefOr::T(p) if p.name == name);
        if !parameters.iter().any(described) {
            parameters.insert(at, path_parameter(name).into());
        }
    }
    operation.parameters = (!parameters.is_empty()).then_some(parameters);
    for (status, response) in &mut operation.responses.responses {
        let made = status == "201" || status == "202" && tag == "jobs";
        if let (true, RefOr::T(response)) = (made, response) {
            let location = HeaderBuilder::new()
                .schema(Some(String::schema()))
                .description(Some("Its path"));
            let location = location.build().into();
            response.headers.insert("location".to_owned(), location);
        }
    }
}

fn path_parameter(name: &str) -> Parameter {
    let known = PATH_PARAMETERS.iter().find(|(known, _)| *known == name);
    let schema = match name {
        "version" | "number" => i64::schema(),
        _ => String::schema(),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(known.map(|(_, description)| *description))
        .schema(Some(schema))
        .build()
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
