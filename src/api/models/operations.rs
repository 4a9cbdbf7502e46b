//! The verbs in the OpenAPI document: one operation for each row of `VERBS`, its body made of where rows come from
//! and the verb's own options.

use serde_json::Value;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{
    ArrayBuilder, Content, ObjectBuilder, Paths, PathsBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::Binary;
use super::request::RequestOptionsHeaders;
use super::rows::RowsRef;
use crate::verbs::{Extra, ExtraShape, RowKind, VERBS, Verb};

type Named = (String, RefOr<Schema>);

/// What a verb answers, as JSON.
#[derive(ToSchema)]
#[schema(as = VerbAnswer)]
#[expect(dead_code, reason = "describes what `Answer` writes")]
struct CommonFields {
    model: String,
    version: i64,
    /// Shape of one row of `outputs`.
    shape: Vec<i64>,
    /// Flat rows; for `score`, one number a row.
    outputs: Vec<Value>,
    /// `predict`: the words that `labels` stand for, in the order of their codes, where the labels learnt were words.
    label_names: Option<Vec<String>>,
    /// The seed that was used, where numbers were drawn: given again, it gives the same bytes.
    seed: Option<u64>,
}

/// Rows: numbers, flat or nested to the input shape.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct InputFields {
    /// Rows, each flat or nested to the input shape. Give either this or `rows`.
    #[schema(value_type = Option<Vec<Vec<Object>>>)]
    inputs: Option<Vec<Vec<Value>>>,
    /// Rows of a data set.
    rows: Option<RowsRef>,
}

/// The path of a verb, and the schemas that it refers to.
pub fn describe(verb: &'static Verb) -> (Vec<Named>, Paths) {
    let options = (verb.schema)();
    let mut schemas = options.references;
    let body = if verb.rows == RowKind::None {
        schemas.push((options.name.clone(), options.schema));
        options.name
    } else {
        let name = request_name(verb.name);
        schemas.push((RowsRef::name().into_owned(), RowsRef::schema()));
        schemas.push((name.clone(), with_inputs(options.schema)));
        name
    };
    schemas.push(("VerbAnswer".to_owned(), answer_schema()));
    schemas.push((Binary::name().into_owned(), Binary::schema()));
    let model = ParameterBuilder::new()
        .name("model")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("`name` (newest version), `name:3` or `name@alias`"))
        .schema(Some(String::schema()));
    let mut operation = OperationBuilder::new()
        .summary(Some(verb.summary))
        .description(Some(verb.about))
        .operation_id(Some(verb.name))
        .parameter(model)
        .request_body(Some(request_body(verb, &body)))
        .response("200", answered(verb));
    for header in RequestOptionsHeaders::into_params(|| None) {
        operation = operation.parameter(header);
    }
    let item = PathItem::new(HttpMethod::Post, operation);
    (schemas, PathsBuilder::new().path(path(verb), item).build())
}

pub fn path(verb: &Verb) -> String {
    format!("/v1/models/{{model}}/{}", verb.name)
}

/// `encode` has an `EncodeRequest`.
fn request_name(verb: &str) -> String {
    let (first, rest) = verb.split_at(1);
    format!("{}{rest}Request", first.to_uppercase())
}

fn content(schema: &str) -> Content {
    Content::new(Some(Ref::from_schema_name(schema)))
}

fn request_body(verb: &Verb, json: &str) -> RequestBody {
    let mut body = RequestBodyBuilder::new()
        .content("application/json", content(json))
        .required(Some(Required::True));
    if verb.rows != RowKind::None {
        for form in [
            "application/x-npy",
            "application/x-safetensors",
            "image/png",
            "image/jpeg",
        ] {
            body = body.content(form, content("Binary"));
        }
    }
    body.build()
}

/// What it answers when all goes well; the refusals come from the table in `refusals`.
fn answered(verb: &Verb) -> Response {
    let mut forms = vec![
        "application/x-npy",
        "application/x-safetensors",
        "image/png",
    ];
    let told = if verb.rows == RowKind::None {
        "The samples, in the form that Accept names"
    } else {
        forms.push("application/x-ndjson");
        "The answer, in the form that Accept names"
    };
    let mut answered = ResponseBuilder::new()
        .description(told)
        .content("application/json", content("VerbAnswer"));
    for form in forms {
        answered = answered.content(form, content("Binary"));
    }
    answered.build()
}

/// Where the rows come from, and the verb's options.
fn with_inputs(options: RefOr<Schema>) -> RefOr<Schema> {
    let (RefOr::T(Schema::Object(mut merged)), RefOr::T(Schema::Object(options))) =
        (InputFields::schema(), options)
    else {
        return ObjectBuilder::new().into();
    };
    if let Some(inputs) = merged.properties.get_mut("inputs") {
        let row = ArrayBuilder::new().items(ObjectBuilder::new().schema_type(SchemaType::AnyValue));
        *inputs = ArrayBuilder::new()
            .items(row)
            .description(Some("Rows, each a list of numbers, flat or nested to the input shape. Give either this or \
                `rows`."))
            .into();
    }
    merged.properties.extend(options.properties);
    merged.additional_properties = options.additional_properties;
    RefOr::T(Schema::Object(merged))
}

/// What every verb answers, and what single ones answer beside it.
fn answer_schema() -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut answer)) = CommonFields::schema() else {
        return ObjectBuilder::new().into();
    };
    for extra in VERBS.iter().flat_map(|verb| verb.extras) {
        answer
            .properties
            .insert(extra.name.to_owned(), extra_schema(extra));
    }
    RefOr::T(Schema::Object(answer))
}

fn extra_schema(extra: &Extra) -> RefOr<Schema> {
    let list = |items: RefOr<Schema>| {
        ArrayBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
            .items(items)
            .description(Some(extra.about))
    };
    match extra.shape {
        ExtraShape::Number => list(f32::schema()).into(),
        ExtraShape::Class => list(i64::schema()).into(),
        ExtraShape::Row => list(Vec::<f32>::schema()).into(),
        ExtraShape::Text => ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some(extra.about))
            .into(),
    }
}
