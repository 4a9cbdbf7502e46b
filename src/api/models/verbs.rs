//! `POST /v1/models/{model}/{verb}`: the verbs differ in their options and in what they are given; reading the
//! request and writing the answer is the same for all.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use utoipa_axum::router::UtoipaMethodRouter;

use super::ask::{ask, is_verb, operation_of, require_offered, unanswered};
use super::input::{self, VerbInput};
use super::resolve::resolve;
use super::stream::{self, Streamed};
use super::{answer, find_version, operations, terms};
use crate::api::extract::{Form, negotiate};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::store::ModelVersion;
use crate::verbs::{RowKind, VERBS, Verb};

/// Rows of a data set that are answered as one document.
pub const MOST_AT_ONCE: u64 = 4096;

/// A documented route for each verb.
pub fn routes() -> impl Iterator<Item = UtoipaMethodRouter<AppState>> {
    VERBS.iter().map(|verb| {
        let (schemas, paths) = operations::describe(verb);
        let handler = move |app, model, request| handle(app, model, request, verb);
        (schemas, paths, post(handler))
    })
}

async fn handle(
    State(app): State<AppState>,
    Path(model): Path<String>,
    request: Request,
    verb: &'static Verb,
) -> Result<Response> {
    answer(&app, &model, request, verb).await
}

/// A verb that is none, or that no family here answers yet.
pub async fn unknown(
    State(app): State<AppState>,
    Path((model, verb)): Path<(String, String)>,
) -> Result<Response> {
    if !is_verb(&verb) {
        return Err(Problem::new(
            Code::NotFound,
            format!("there is no verb \"{verb}\""),
        ));
    }
    let version = find_version(&app, &model).await?;
    require_offered(&version, &verb)?;
    Err(unanswered(&verb))
}

async fn answer(
    app: &AppState,
    model: &str,
    request: Request,
    verb: &'static Verb,
) -> Result<Response> {
    let asked = terms::Asked::of(request.headers());
    let form = negotiate(
        request.headers(),
        &[
            Form::Json,
            Form::Npy,
            Form::Safetensors,
            Form::Png,
            Form::JsonLines,
        ],
    )?;
    let found = resolve(app, model).await?;
    require_offered(&found.version, verb.name)?;
    let permit = app.engine.enter().await?;
    let VerbInput {
        input,
        rows,
        mut options,
    } = input::read(app, request, shape_of_row(&found.version, verb)).await?;
    let terms = terms::take(&asked, &mut options)?;
    let operation = operation_of(verb, options)?;
    let input = match rows {
        None if form == Form::JsonLines => {
            let text = "application/x-ndjson is how the rows of a data set are answered (rows); ask for application/json";
            return Err(Problem::new(Code::NotAcceptable, text));
        }
        None => input,
        // Boxed, here and in what is called from here, is what few requests come to: a future is moved as a whole on
        // its way through the router, for every request.
        Some(rows) => {
            let dataset = Box::pin(input::dataset_of(app, &rows)).await?;
            if rows.limit > MOST_AT_ONCE || form == Form::JsonLines {
                require_streamable(form)?;
                // A stream asks for its rows one batch at a time, each at the queue.
                drop(permit);
                let streamed = Streamed {
                    found,
                    operation,
                    terms,
                    rows,
                    dataset,
                };
                return Box::pin(stream::answer(app, streamed, form)).await;
            }
            Some(input::referred(app, &dataset, &rows).await?)
        }
    };
    let reply = ask(app, &found, operation, input, terms, &permit).await?;
    answer::write(&found, reply, form).await
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, D, R>(_: impl Fn(A, B, C, D) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_call_is_light_to_move() {
        let bytes = size_of_future(handle);
        assert!(bytes < 3072, "{bytes} bytes");
    }
}
