//! `POST /v1/models/{model}/{verb}`: the verbs differ in their options and in what they are given; reading the
//! request, computing and writing the answer is the same for all. What the inference protocol shares is here too.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value};
use utoipa_axum::router::UtoipaMethodRouter;

use super::request::{self, VerbRequest};
use super::resolve::Resolved;
use super::size::{self, Wanted};
use super::stream::{self, Streamed};
use super::{answer, operations};
use crate::api::extract::{Form, negotiate};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::inference::{CallError, Input, Permit, Reply, RequestOptions};
use crate::store::ModelVersion;
use crate::verbs::{self, Operation, RowKind, VERBS, Verb};

/// Rows of a data set that are answered as one document.
pub const MOST_AT_ONCE: u64 = 4096;
/// What answers are written as; the first where the client does not say.
const FORMS: [Form; 5] = [
    Form::Json,
    Form::Npy,
    Form::Safetensors,
    Form::Png,
    Form::JsonLines,
];

/// A documented route for each verb.
pub fn routes() -> impl Iterator<Item = UtoipaMethodRouter<AppState>> {
    VERBS.iter().map(|verb| {
        let (schemas, paths) = operations::describe(verb);
        let handler = move |app, model, request| handle(app, model, request, verb);
        (schemas, paths, post(handler))
    })
}

async fn handle(
    app: AppState,
    Path(model): Path<String>,
    request: Request,
    verb: &'static Verb,
) -> Result<Response> {
    let arrival = Instant::now();
    let form = negotiate(request.headers(), &FORMS)?;
    let found = app.resolve(&model).await?;
    require_offered(&found.version, verb.name)?;
    let shape = shape_of_row(&found.version, verb);
    let (permit, asked) = request::read(&app, request, shape, arrival).await?;
    let VerbRequest {
        input,
        rows,
        options,
        request_options,
        held: _held,
    } = asked;
    let operation = operation_of(verb, options)?;
    let wanted = Wanted::of(&app, &found, verb, size::number(form)).from(rows.is_some());
    let (input, held) = match rows {
        None if form == Form::JsonLines => {
            let text = "application/x-ndjson is how the rows of a data set are answered (rows); \
                ask for application/json";
            return Err(Problem::new(Code::NotAcceptable, text));
        }
        None => {
            let given = input.as_ref().map_or(0, |input| input.rows as u64);
            let held = wanted.require_fit(&operation, given)?;
            (input, held)
        }
        // Boxed, here and in what is called from here, is what few requests come to: a future is moved as a whole on
        // its way through the router, for every request.
        Some(rows) => {
            let dataset = Box::new(Box::pin(rows.dataset(&app, shape)).await?);
            if rows.limit > MOST_AT_ONCE || form == Form::JsonLines {
                require_streamable(form)?;
                // A stream asks for its rows one batch at a time, each at the queue.
                drop(permit);
                let streamed = Streamed {
                    rows_at_once: wanted.rows_of_chunk(&operation),
                    bytes_at_once: wanted.bytes_of_chunk(&operation),
                    found: Arc::clone(&found),
                    operation,
                    request_options,
                    rows,
                    dataset: *dataset,
                };
                return Box::pin(stream::answer(app, streamed, form)).await;
            }
            let held = wanted.require_fit(&operation, rows.count(&dataset))?;
            (Some(Box::pin(rows.read(&app, &dataset)).await?), held)
        }
    };
    let reply = compute(&app, &found, operation, input, request_options, &permit).await?;
    wanted.require_written(&reply)?;
    answer::write(&found, reply, form, held).await
}

/// What a verb's rows are.
fn shape_of_row<'a>(version: &'a ModelVersion, verb: &Verb) -> &'a [i64] {
    match &version.code_shape {
        Some(code) if verb.rows == RowKind::Code => code,
        _ => &version.input_shape,
    }
}

fn require_streamable(form: Form) -> Result<()> {
    if matches!(form, Form::JsonLines | Form::Npy) {
        return Ok(());
    }
    let rule = format!(
        "more than {MOST_AT_ONCE} rows are streamed: ask for application/x-ndjson or application/x-npy (Accept)"
    );
    Err(Problem::field("/rows/limit", rule))
}

/// A verb that is none, or that no family here answers yet.
pub async fn unknown(
    app: AppState,
    Path((model, verb)): Path<(String, String)>,
) -> Result<Response> {
    if !is_verb(&verb) {
        return Err(Problem::not_found(format!("there is no verb \"{verb}\"")));
    }
    let version = app.find(&model).await?;
    require_offered(&version, &verb)?;
    Err(unanswered(&verb))
}

/// Whether some model may answer to this word, now or one day.
pub fn is_verb(word: &str) -> bool {
    verbs::RESERVED.contains(&word) || verbs::find(word).is_some()
}

/// Refused before the request is read: what is wrong with it would not matter.
pub fn require_offered(version: &ModelVersion, verb: &str) -> Result<()> {
    if version.capabilities.iter().any(|offered| offered == verb) {
        return Ok(());
    }
    let offered = version.capabilities.join(", ");
    Err(Problem::new(
        Code::UnsupportedOperation,
        format!("this model does not offer '{verb}'; it offers: {offered}"),
    ))
}

/// For a verb that a newer version of the program may have published a model with.
pub fn unanswered(name: &str) -> Problem {
    Problem::new(
        Code::UnsupportedOperation,
        format!("this server does not answer '{name}'"),
    )
}

/// The verb with these options.
pub fn operation_of(verb: &Verb, options: Map<String, Value>) -> Result<Operation> {
    verb.read(&Value::Object(options)).map_err(Problem::fields)
}

/// The answer of a verb that the model offers, in whichever protocol it was asked. `permit` is held by the request
/// for as long as this takes.
pub async fn compute(
    app: &AppState,
    found: &Resolved,
    operation: Operation,
    input: Option<Input>,
    options: RequestOptions,
    permit: &Permit,
) -> Result<Reply> {
    let input = require_input(&operation, input)?;
    let call = operation.on(input);
    let source = Arc::clone(&found.source);
    let reply = app.engine.call(source, call, options, Some(permit)).await;
    if let Err(CallError::Load(_) | CallError::Damaged(_)) = &reply {
        // Deleted while the call waited: there is no such version any more, and nothing has failed.
        let ModelVersion { name, version, .. } = &found.version;
        app.find(&format!("{name}:{version}")).await?;
    }
    Ok(reply?)
}

fn require_input(operation: &Operation, input: Option<Input>) -> Result<Input> {
    match (operation.options.row_kind(), input) {
        (RowKind::None | RowKind::Ends, None) => Ok(Input::default()),
        (RowKind::None, Some(_)) => {
            let rule = format!("{} takes no inputs", operation.options.verb());
            Err(Problem::field("/inputs", rule))
        }
        (_, Some(input)) if input.rows > 0 => Ok(input),
        (_, Some(_)) => Err(Problem::field("/inputs", "must have at least one row")),
        (_, None) => Err(Problem::field(
            "/inputs",
            "is missing: give inputs, or rows of a data set",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn size_of_future<A, B, C, D, R>(_: impl Fn(A, B, C, D) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_call_is_light_to_move() {
        let bytes = size_of_future(handle);
        assert!(bytes < 3072, "{bytes} bytes");
    }

    #[test]
    fn every_verb_is_read_under_its_own_name() {
        for verb in VERBS {
            let options = match verb.name {
                "inpaint" => json!({"mask": [1, 0]}),
                _ => json!({}),
            };
            let Value::Object(options) = options else {
                panic!("not an object")
            };
            let operation = operation_of(verb, options).expect(verb.name);
            assert_eq!(operation.options.verb(), verb.name);
        }
        let unknown = [("layr".to_owned(), json!(1))].into_iter().collect();
        let problem = operation_of(&VERBS[0], unknown).expect_err("unknown");
        assert!(format!("{problem:?}").contains("/layr"), "{problem:?}");
        assert!(is_verb("topics") && is_verb("score") && !is_verb("shout"));
    }
}
