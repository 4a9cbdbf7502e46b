//! The HTTP edge: the only room with axum. A file a resource or an action; its path follows its URL.

pub mod body;
pub mod connections;
pub mod datasets;
pub mod document;
pub mod edge;
pub mod evaluations;
pub mod extract;
pub mod form;
pub mod held;
pub mod jobs;
pub mod models;
pub mod pace;
pub mod problem;
pub mod refusals;
pub mod responses;
pub mod service;
pub mod state;
pub mod telemetry;
pub mod v2;
pub mod webhooks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use problem::Problem;
use state::AppState;

/// Every documented operation, and from them the OpenAPI document.
pub fn documented() -> OpenApiRouter<AppState> {
    let router = OpenApiRouter::with_openapi(document::base())
        .routes(routes!(service::livez))
        .routes(routes!(service::readyz))
        .routes(routes!(service::metrics))
        .routes(routes!(service::info))
        // An upload is bounded as it streams to disk, and by a limit of its own.
        .routes(
            routes!(datasets::create::create, datasets::item::list)
                .layer(DefaultBodyLimit::disable()),
        )
        .routes(routes!(datasets::item::get, datasets::item::delete))
        .routes(routes!(datasets::rows::rows))
        .routes(routes!(datasets::preview::preview))
        .routes(routes!(jobs::create::create, jobs::list::list))
        .routes(routes!(jobs::item::get, jobs::create::put))
        .routes(routes!(jobs::moves::cancel))
        .routes(routes!(jobs::moves::pause))
        .routes(routes!(jobs::moves::resume))
        .routes(routes!(jobs::moves::stop))
        .routes(routes!(jobs::retry::retry))
        .routes(routes!(jobs::events::events))
        .routes(routes!(jobs::metrics::metrics))
        .routes(routes!(jobs::checkpoints::list))
        .routes(routes!(jobs::checkpoints::get))
        .routes(routes!(jobs::checkpoints::content))
        .routes(routes!(jobs::promote::promote))
        .routes(routes!(jobs::samples::list))
        .routes(routes!(jobs::samples::get))
        .routes(routes!(evaluations::create))
        .routes(
            routes!(models::import::import, models::item::list).layer(DefaultBodyLimit::disable()),
        )
        .routes(routes!(models::item::get, models::item::delete))
        .routes(routes!(models::version::get, models::version::delete))
        .routes(routes!(models::version::content))
        .routes(routes!(models::onnx::onnx))
        .routes(routes!(models::export::export))
        .routes(routes!(
            models::alias::get,
            models::alias::put,
            models::alias::delete
        ))
        .routes(routes!(models::residence::load))
        .routes(routes!(models::residence::unload))
        .routes(routes!(models::filters::filters))
        .merge(v2::routes())
        .routes(routes!(webhooks::create::create, webhooks::item::list))
        .routes(routes!(webhooks::item::get, webhooks::item::delete))
        .routes(routes!(webhooks::deliveries::test))
        .routes(routes!(webhooks::deliveries::list))
        .routes(routes!(webhooks::deliveries::redeliver));
    models::verbs::routes().fold(router, OpenApiRouter::routes)
}

/// The whole service.
pub fn router(state: AppState) -> Router {
    let (router, openapi) = documented().split_for_parts();
    let text = document::text(openapi);
    let body_limit = state.limits.body_bytes;
    router
        .route(
            "/openapi.json",
            get(|| async move { ([(header::CONTENT_TYPE, "application/json")], text) }),
        )
        // Verbs that no family answers yet: the model is looked up, and what it does offer is named.
        .route("/v1/models/{model}/{verb}", post(models::verbs::unknown))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json")))
        .fallback(|| async {
            Problem::not_found("there is nothing at this path; /docs lists what there is")
        })
        .method_not_allowed_fallback(async || edge::method_not_allowed())
        .layer((
            middleware::from_fn_with_state(state.clone(), edge::edge),
            DefaultBodyLimit::max(body_limit),
            RequestDecompressionLayer::new(),
            CompressionLayer::new().compress_when(DefaultPredicate::new().and(v2::is_packable)),
        ))
        .with_state(state)
}
