//! The OpenAPI document: what is not said at the operations themselves.

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
    ),
    components(schemas(super::problem::ProblemBody))
)]
struct Base;

pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// The document as it is served and kept in `openapi/openapi.json`.
pub fn text(document: utoipa::openapi::OpenApi) -> String {
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
