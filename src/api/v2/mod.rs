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
use utoipa_axum::routes;

use super::access::{About, Needs, Operations};
use crate::keys::Scope;

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

#[rustfmt::skip]
pub fn operations() -> Operations {
    use About::{Model, Nothing};
    use Scope::{Infer, Read};
    Operations::default()
        .add(Needs::Nothing, Nothing, routes!(health::live))
        .add(Needs::Nothing, Nothing, routes!(health::ready))
        .add(Needs::Key, Nothing, routes!(health::server))
        .add(Read, Model, routes!(metadata::model))
        .add(Read, Model, routes!(metadata::version))
        .add(Infer, Model, routes!(health::model_ready))
        .add(Infer, Model, routes!(health::model_version_ready))
        .add(Read, Model, routes!(config::model))
        .add(Read, Model, routes!(config::version))
        .add(Read, Nothing, routes!(statistics::all))
        .add(Read, Model, routes!(statistics::model))
        .add(Read, Model, routes!(statistics::version))
        .add(Read, Nothing, routes!(repository::index))
        .add(Infer, Model, routes!(repository::load))
        .add(Infer, Model, routes!(repository::unload))
        .merge(compressed())
        .layered(|router| router.layer(map_response(as_it_is)))
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
fn compressed() -> Operations {
    let well =
        |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status == StatusCode::OK;
    let answers = CompressionLayer::new()
        .no_zstd()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(1024).and(well));
    Operations::default()
        .add(Scope::Infer, About::Model, routes!(infer::model))
        .add(Scope::Infer, About::Model, routes!(infer::version))
        .layered(|router| router.layer(answers))
}
