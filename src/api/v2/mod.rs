//! `/v2`: the Open Inference Protocol over REST, with Triton's extensions for binary tensors, classification,
//! parameters, the model repository, model configuration and statistics.
//!
//! What `/v1` answers, this answers too: the same models, queue and batches. Only the wire is another.

pub mod config;
pub mod datatype;
pub mod health;
pub mod infer;
pub mod metadata;
pub mod name;
pub mod repository;
pub mod request;
pub mod response;
pub mod settings;
pub mod statistics;
pub mod tensors;
pub mod values;

use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::map_response;
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::AppState;

/// Extensions of the protocol that are served, by Triton's names for them.
pub const EXTENSIONS: [&str; 8] = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "schedule_policy",
    "statistics",
];

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::server))
        .routes(routes!(metadata::model))
        .routes(routes!(metadata::version))
        .routes(routes!(health::model_ready))
        .routes(routes!(health::model_version_ready))
        .routes(routes!(config::model))
        .routes(routes!(config::version))
        .routes(routes!(statistics::all))
        .routes(routes!(statistics::model))
        .routes(routes!(statistics::version))
        .routes(routes!(repository::index))
        .routes(routes!(repository::load))
        .routes(routes!(repository::unload))
        .merge(compressed())
        .layer(map_response(as_it_is))
}

/// Marks an answer that nobody outside may compress.
#[derive(Clone, Copy)]
struct AsItIs;

async fn as_it_is(mut response: Response) -> Response {
    response.extensions_mut().insert(AsItIs);
    response
}

/// Whether an answer may be compressed by who knows nothing of this protocol.
pub fn is_packable(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<AsItIs>().is_none()
}

/// Inference alone is compressed: clients of this protocol read compressed answers there and nowhere else,
/// not even in an error, and nothing but gzip and deflate, whatever their Accept-Encoding says.
fn compressed() -> OpenApiRouter<AppState> {
    let well =
        |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status == StatusCode::OK;
    let answers = CompressionLayer::new()
        .no_zstd()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(1024).and(well));
    OpenApiRouter::new()
        .routes(routes!(infer::model))
        .routes(routes!(infer::version))
        .layer(answers)
}
