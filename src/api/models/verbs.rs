//! `POST /v1/models/{model}/{verb}`: the verbs differ in their options and in what they are given;
//! reading the request and writing the answer is the same for all.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde_json::Value;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::ask::{ask, is_verb, require_offered, verb_of};
use super::input::{self, RowsRef, VerbInput};
use super::resolve::resolve;
use super::stream::{self, Streamed};
use super::terms::TermsHeaders;
use super::{Binary, answer, find_version, terms};
use crate::api::extract::{Form, negotiate};
use crate::api::problem::{Code, Problem, ProblemBody, Result};
use crate::api::state::AppState;
use crate::nn::options::{
    DecodeOptions, DenoiseOptions, EncodeOptions, GenerateOptions, InpaintOptions,
    InterpolateOptions, PredictOptions, ReconstructOptions, ScoreOptions,
};
use crate::store::ModelVersion;

/// Rows of a data set that are answered as one document.
pub const MOST_AT_ONCE: u64 = 4096;

/// What a verb answers, as JSON.
#[derive(ToSchema)]
#[schema(as = VerbAnswer)]
#[expect(dead_code, reason = "describes what `Answer` writes")]
pub struct AnswerBody {
    model: String,
    version: i64,
    /// Shape of one row of `outputs`.
    shape: Vec<i64>,
    /// Flat rows; for `score`, one number a row.
    outputs: Vec<Value>,
    /// `reconstruct`: mean squared error of each row.
    errors: Option<Vec<f32>>,
    /// `denoise` with `corrupt`: the noisy rows that were denoised.
    inputs: Option<Vec<Vec<f32>>>,
    /// `predict`: the most probable class of each row, for classifiers.
    labels: Option<Vec<i64>>,
    /// `predict`: probability of each class, for classifiers.
    probabilities: Option<Vec<Vec<f32>>>,
    /// `encode` of a VAE: mean of the latent distribution.
    mean: Option<Vec<Vec<f32>>>,
    /// `encode` of a VAE: logarithm of its variance.
    log_variance: Option<Vec<Vec<f32>>>,
    /// `score`: what the numbers are, for example `free_energy`.
    metric: Option<String>,
    /// The seed that was used, where numbers were drawn: given again, it gives the same bytes.
    seed: Option<u64>,
}

/// A verb's JSON body in the OpenAPI document: where the rows come from, and the verb's options.
macro_rules! request_schema {
    ($name:ident, $options:ty) => {
        pub struct $name;
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                with_inputs(<$options>::schema())
            }
        }
        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$options>::schemas(schemas);
                schemas.push((RowsRef::name().into_owned(), RowsRef::schema()));
            }
        }
    };
}

request_schema!(EncodeRequest, EncodeOptions);
request_schema!(DecodeRequest, DecodeOptions);
request_schema!(ReconstructRequest, ReconstructOptions);
request_schema!(DenoiseRequest, DenoiseOptions);
request_schema!(ScoreRequest, ScoreOptions);
request_schema!(InpaintRequest, InpaintOptions);
request_schema!(InterpolateRequest, InterpolateOptions);
request_schema!(PredictRequest, PredictOptions);

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

fn with_inputs(options: RefOr<Schema>) -> RefOr<Schema> {
    let (RefOr::T(Schema::Object(mut merged)), RefOr::T(Schema::Object(options))) =
        (InputFields::schema(), options)
    else {
        return ObjectBuilder::new().into();
    };
    if let Some(inputs) = merged.properties.get_mut("inputs") {
        let row = utoipa::openapi::ArrayBuilder::new()
            .items(ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue));
        *inputs = utoipa::openapi::ArrayBuilder::new()
            .items(row)
            .description(Some("Rows, each a list of numbers, flat or nested to the input shape. Give either this or `rows`."))
            .into();
    }
    merged.properties.extend(options.properties);
    merged.additional_properties = options.additional_properties;
    RefOr::T(Schema::Object(merged))
}

macro_rules! verb {
    ($name:ident, $request:ty, $summary:literal, $doc:literal) => {
        #[doc = $doc]
        #[utoipa::path(post, path = concat!("/v1/models/{model}/", stringify!($name)), operation_id = stringify!($name), tag = "models", summary = $summary,
            params(("model" = String, Path, description = "`name` (newest version), `name:3` or `name@alias`"), TermsHeaders),
            request_body(content(($request = "application/json"), (Binary = "application/x-npy"), (Binary = "application/x-safetensors"), (Binary = "image/png"), (Binary = "image/jpeg"))),
            responses(
                (status = 200, description = "The answer, in the form that Accept names", content((AnswerBody = "application/json"), (Binary = "application/x-npy"), (Binary = "application/x-safetensors"), (Binary = "image/png"), (Binary = "application/x-ndjson"))),
                (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
                (status = 404, description = "There is no such model", body = ProblemBody, content_type = "application/problem+json"),
                (status = 406, description = "Not a form this is answered in", body = ProblemBody, content_type = "application/problem+json"),
                (status = 413, description = "Larger than this server reads", body = ProblemBody, content_type = "application/problem+json"),
                (status = 408, description = "The body took too long to arrive", body = ProblemBody, content_type = "application/problem+json"),
                (status = 415, description = "Not a form this is asked in", body = ProblemBody, content_type = "application/problem+json"),
                (status = 422, description = "A field is invalid, or the model does not offer this", body = ProblemBody, content_type = "application/problem+json"),
                (status = 429, description = "Too many requests wait", body = ProblemBody, content_type = "application/problem+json"),
                (status = 504, description = "The deadline passed", body = ProblemBody, content_type = "application/problem+json"),
            ))]
        pub async fn $name(State(app): State<AppState>, Path(model): Path<String>, request: Request) -> Result<Response> {
            answer(&app, &model, request, stringify!($name)).await
        }
    };
}

verb!(
    encode,
    EncodeRequest,
    "Inputs to codes",
    "The code of each row, or a hidden layer's activity."
);
verb!(
    decode,
    DecodeRequest,
    "Codes to outputs",
    "The row that each code stands for; `inputs` are codes."
);
verb!(
    reconstruct,
    ReconstructRequest,
    "Inputs to their reconstructions",
    "Each row encoded and decoded again, with its mean squared error."
);
verb!(
    denoise,
    DenoiseRequest,
    "Noisy inputs to clean ones",
    "Each row freed of noise; `corrupt` adds some first, so that the effect can be seen."
);
verb!(
    score,
    ScoreRequest,
    "How unusual inputs are",
    "One number a row; higher means less like the training data."
);
verb!(
    inpaint,
    InpaintRequest,
    "Inputs with gaps to whole ones",
    "Each row with what `mask` calls missing filled in; the rest stays as it was."
);
verb!(
    interpolate,
    InterpolateRequest,
    "The way from one latent point to another",
    "Rows decoded from points on the way between two latent points, both ends included."
);
verb!(
    predict,
    PredictRequest,
    "Inputs to classes or values",
    "A classifier's most probable class and the probabilities of all, or a regressor's values."
);

/// Draws new rows from the model; the same seed gives the same bytes.
#[utoipa::path(post, path = "/v1/models/{model}/generate", operation_id = "generate", tag = "models", summary = "New samples",
    params(("model" = String, Path, description = "`name` (newest version), `name:3` or `name@alias`"), TermsHeaders),
    request_body = GenerateOptions,
    responses(
        (status = 200, description = "The samples, in the form that Accept names", content((AnswerBody = "application/json"), (Binary = "application/x-npy"), (Binary = "application/x-safetensors"), (Binary = "image/png"))),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "There is no such model", body = ProblemBody, content_type = "application/problem+json"),
        (status = 406, description = "Not a form this is answered in", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body took too long to arrive", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid, or the model does not offer this", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests wait", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The deadline passed", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn generate(
    State(app): State<AppState>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response> {
    answer(&app, &model, request, "generate").await
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
    // A newer version of the program may have published it; this one cannot answer for it.
    Err(Problem::new(
        Code::UnsupportedOperation,
        format!("this server does not answer '{verb}'"),
    ))
}

async fn answer(app: &AppState, model: &str, request: Request, name: &str) -> Result<Response> {
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
    require_offered(&found.version, name)?;
    let permit = app.engine.enter().await?;
    let VerbInput {
        input,
        rows,
        mut options,
    } = input::read(app, request, shape_of_row(&found.version, name)).await?;
    let terms = terms::take(&asked, &mut options)?;
    let verb = verb_of(name, options)?;
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
                    verb,
                    terms,
                    rows,
                    dataset,
                };
                return Box::pin(stream::answer(app, streamed, form)).await;
            }
            Some(input::referred(app, &dataset, &rows).await?)
        }
    };
    let reply = ask(app, &found, verb, input, terms, &permit).await?;
    answer::write(&found, reply, form).await
}

/// What a verb's rows are.
fn shape_of_row<'a>(version: &'a ModelVersion, verb: &str) -> &'a [i64] {
    match &version.code_shape {
        Some(code) if verb == "decode" => code,
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

    fn size_of_future<A, B, C, R>(_: impl Fn(A, B, C) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_call_is_light_to_move() {
        let bytes = size_of_future(encode);
        assert!(bytes < 3072, "{bytes} bytes");
    }
}
