//! `POST /v2/models/{model}/infer` and `…/versions/{version}/infer`.

use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value};

use super::datatype::Datatype;
use super::name::Named;
use super::request::{self, InferenceRequest};
use super::response::{self, InferenceResponse, InferenceResponseParameters};
use super::settings::Settings;
use super::tensors::Tensors;
use super::values::Tensor;
use crate::api::body::{Whole, whole};
use crate::api::models::Binary;
use crate::api::models::answer::tell_timing;
use crate::api::models::request::RequestOptionsHeaders;
use crate::api::models::shape;
use crate::api::models::shape::dims;
use crate::api::models::size::{FLOAT, IN_JSON, Wanted};
use crate::api::models::verbs::{MOST_AT_ONCE, compute, operation_of};
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::data::import::element::U8_SCALE;
use crate::inference::Input;
use crate::verbs::tensors as known;

/// Ask a model
#[utoipa::path(post, path = "/v2/models/{model}/infer", operation_id = "v2_infer",
    params(
        ("model" = String, Path, description = "`name` (newest version), `name:3` or `name@alias`; with `:verb` behind \
            it, that verb instead of the default one"),
        ("inference-header-content-length" = Option<u64>, Header,
            description = "Bytes of the JSON, where tensors follow it"),
        RequestOptionsHeaders,
    ),
    request_body(content((InferenceRequest = "application/json"), (Binary = "application/octet-stream"))),
    responses((status = 200,
        description = "The answer; bytes where an output is wanted as such, with `inference-header-content-length`",
        content((InferenceResponse = "application/json"), (Binary = "application/octet-stream")))))]
pub async fn model(app: AppState, named: Named, mut request: Request) -> Result<Response> {
    let arrival = Instant::now();
    let found = app.resolve(&named.reference).await?;
    let verb = named.verb(&found.version)?;
    app.engine.require_room().await?;
    let headers = std::mem::take(request.headers_mut());
    let whole = whole(&app, request).await?;
    let (permit, Whole { bytes, held: _held }) = app.engine.enter(whole).await?;
    let (asked, tensors) = request::read(&headers, &bytes)?;
    drop(bytes);
    let parameters = asked.parameters.unwrap_or_default();
    let mut settings = Settings::read(&headers, parameters, arrival)?;
    let takes = Tensors::of(&found, verb);
    let given = given(tensors, &takes, &mut settings.options)?;
    let (input, as_tensors) = (given.input, given.as_tensors);
    // An option is a parameter, or the tensor that it came as.
    let within = |problem: Problem| {
        problem.moved(|pointer| {
            let name = pointer.get(1..).unwrap_or_default();
            let tensor = as_tensors.iter().find(|(known, _)| *known == name);
            match tensor {
                Some((_, at)) => Some(format!("/inputs/{at}")),
                None => (name != "inputs").then(|| format!("/parameters{pointer}")),
            }
        })
    };
    let operation = operation_of(verb, settings.options).map_err(within)?;
    let request_options = settings.request_options;
    let outputs = asked.outputs.unwrap_or_default();
    let binary = response::are_binary(&outputs, settings.binary);
    let size = Wanted::of(&app, &found, verb, if binary { FLOAT } else { IN_JSON });
    let given_rows = input.as_ref().map_or(0, |input| input.rows as u64);
    let held = size.require_fit(&operation, given_rows).map_err(within)?;
    let reply = compute(&app, &found, operation, input, request_options, &permit);
    let reply = reply.await.map_err(within)?;
    size.require_written(&reply).map_err(within)?;
    let mut response = response::write(
        held,
        &InferenceResponse {
            model_name: &named.shown,
            model_version: found.version.version.to_string(),
            id: asked.id,
            parameters: InferenceResponseParameters {
                seed: reply.seed,
                metric: reply.metric,
            },
            outputs: response::outputs(&reply, &outputs, settings.binary)?,
        },
    )?;
    tell_timing(&mut response, reply.timing);
    Ok(response)
}

/// Ask a model version
#[utoipa::path(post, path = "/v2/models/{model}/versions/{version}/infer", operation_id = "v2_infer_version",
    params(
        ("model" = String, Path, description = "Name, perhaps with `:verb`"),
        ("inference-header-content-length" = Option<u64>, Header,
            description = "Bytes of the JSON, where tensors follow it"),
        RequestOptionsHeaders,
    ),
    request_body(content((InferenceRequest = "application/json"), (Binary = "application/octet-stream"))),
    responses((status = 200,
        description = "The answer; bytes where an output is wanted as such, with `inference-header-content-length`",
        content((InferenceResponse = "application/json"), (Binary = "application/octet-stream")))))]
pub async fn version(app: AppState, named: Named, request: Request) -> Result<Response> {
    model(app, named, request).await
}

/// What came as tensors.
struct Given {
    input: Option<Input>,
    /// Names of options among them, and which tensors these were.
    as_tensors: Vec<(&'static str, usize)>,
}

/// The tensors as the verb's rows and as options of it.
fn given(tensors: Vec<Tensor>, takes: &Tensors, options: &mut Map<String, Value>) -> Result<Given> {
    let named: Vec<_> = tensors
        .into_iter()
        .enumerate()
        .map(|(at, tensor)| {
            let known = takes.inputs.iter().find(|known| known.name == tensor.name);
            match known {
                Some(known) => Ok((at, known, tensor)),
                None => Err(unknown(&tensor.name, at, takes)),
            }
        })
        .collect::<Result<_>>()?;
    let main = named.iter().find(|(_, known, _)| known.name == "inputs");
    let rows_given = main.map(|(_, _, tensor)| tensor.rows);
    let needs_rows = takes
        .inputs
        .iter()
        .any(|t| t.name == "inputs" && !t.optional);
    if rows_given.is_none() && needs_rows {
        return Err(Problem::field(
            "/inputs",
            "the tensor \"inputs\" is missing",
        ));
    }
    let mut input = None;
    let mut as_tensors = Vec::new();
    for (at, known, tensor) in named {
        let wrong = |rule: String| Problem::field(format!("/inputs/{at}"), rule);
        // In memory an option's numbers are many times as large as a tensor's.
        let most = most_values(known, rows_given);
        if known.name != "inputs" {
            let found = tensor.values.len();
            if found > most {
                let rule = format!("has {found} values, at most {most} go with these inputs");
                return Err(wrong(rule));
            }
            as_tensors.push((known.name, at));
        }
        let earlier = match known.name {
            "inputs" => {
                shape::check(&tensor.shape, &dims(&known.row)).map_err(&wrong)?;
                input.replace(rows(tensor)).map(drop)
            }
            "labels" => {
                let labels = classes(&tensor.values)
                    .ok_or_else(|| wrong("must be whole numbers, one for each row".to_owned()))?;
                options.insert("labels".to_owned(), labels).map(drop)
            }
            name => {
                let values = Value::from(tensor.values);
                options.insert(name.to_owned(), values).map(drop)
            }
        };
        if earlier.is_some() {
            return Err(wrong(format!("\"{}\" is given twice", known.name)));
        }
    }
    Ok(Given { input, as_tensors })
}

fn unknown(name: &str, at: usize, takes: &Tensors) -> Problem {
    let names: Vec<&str> = takes.inputs.iter().map(|known| known.name).collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let rule = format!("there is no input \"{name}\"; inputs are: {names}");
    Problem::field(format!("/inputs/{at}"), rule)
}

/// Numbers in a tensor that goes with so many rows.
fn most_values(tensor: &known::Tensor, rows: Option<usize>) -> usize {
    let row = tensor.row.iter().map(|&d| usize::try_from(d).unwrap_or(0));
    let any = rows.unwrap_or(usize::try_from(MOST_AT_ONCE).unwrap_or(usize::MAX));
    let rows = usize::try_from(tensor.rows).unwrap_or(any);
    row.product::<usize>().saturating_mul(rows)
}

/// 8-bit values are divided by 255, as everywhere.
fn rows(tensor: Tensor) -> Input {
    let mut values = tensor.values;
    if tensor.datatype == Datatype::Uint8 {
        values.iter_mut().for_each(|value| *value *= U8_SCALE);
    }
    Input {
        rows: tensor.rows,
        values,
        labels: None,
    }
}

/// As options write them. Up to here floats hold whole numbers exactly.
fn classes(values: &[f32]) -> Option<Value> {
    const EXACT: f32 = 16_777_216.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within bounds")]
    let class = |&value: &f32| {
        let is_class = value.fract() == 0.0 && value.abs() <= EXACT;
        is_class.then(|| Value::from(value as i64))
    };
    values.iter().map(class).collect()
}
