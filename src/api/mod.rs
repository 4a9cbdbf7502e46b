//! The HTTP edge: the only room with axum. A file a resource or an action; its path follows its URL.

pub mod access;
pub mod body;
pub mod connections;
pub mod datasets;
pub mod document;
pub mod edge;
pub mod encoding;
pub mod evaluations;
pub mod extract;
pub mod form;
pub mod held;
pub mod jobs;
pub mod keys;
pub mod models;
pub mod pace;
pub mod prefix;
pub mod problem;
pub mod refusals;
pub mod responses;
pub mod service;
pub mod state;
pub mod storage;
pub mod telemetry;
pub mod v2;
pub mod webhooks;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header;
use axum::middleware;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use access::{About, Needs, Operations};
use problem::Problem;
use state::AppState;

use crate::keys::Scope;

use About::{Dataset, Everything, Job, Model, Nothing};
use Scope::{Admin, Data, Infer, Read, Train};

/// Verbs that no family answers yet, or that are none.
const ANY_VERB: &str = "/v1/models/{model}/{verb}";

/// Every documented operation, and from them the OpenAPI document. A row of the tables below says what a key needs for
/// an operation, what its path names, and its handler.
pub fn documented() -> Operations {
    let operations = service(Operations::new(document::base()));
    let operations = models(jobs(datasets(operations)));
    let operations = access(operations.merge(v2::operations()));
    let operations = operations.undocumented(Infer, Model, ANY_VERB);
    let add = |operations: Operations, verb| operations.add(Scope::Infer, About::Model, verb);
    models::verbs::routes().fold(operations, add)
}

#[rustfmt::skip]
fn service(operations: Operations) -> Operations {
    operations
        .add(Needs::Nothing, Nothing, routes!(service::livez))
        .add(Needs::Nothing, Nothing, routes!(service::readyz))
        .add(Read, Everything, routes!(service::metrics))
        .add(Needs::Key, Nothing, routes!(service::info))
        .add(Read, Everything, routes!(storage::storage))
}

#[rustfmt::skip]
fn datasets(operations: Operations) -> Operations {
    // An upload is bounded as it streams to disk, and by a limit of its own.
    let upload = routes!(datasets::create::create).layer(DefaultBodyLimit::disable());
    operations
        .add(Data, Nothing, upload)
        .add(Read, Nothing, routes!(datasets::item::list))
        .add(Read, Dataset, routes!(datasets::item::get))
        .add(Data, Dataset, routes!(datasets::item::delete))
        .add(Read, Dataset, routes!(datasets::rows::rows))
        .add(Read, Dataset, routes!(datasets::preview::preview))
}

#[rustfmt::skip]
fn jobs(operations: Operations) -> Operations {
    operations
        .add(Train, Nothing, routes!(jobs::create::create))
        .add(Read, Nothing, routes!(jobs::list::list))
        .add(Read, Job, routes!(jobs::item::get))
        .add(Train, Job, routes!(jobs::create::put))
        .add(Train, Job, routes!(jobs::item::delete))
        .add(Train, Job, routes!(jobs::moves::cancel))
        .add(Train, Job, routes!(jobs::moves::pause))
        .add(Train, Job, routes!(jobs::moves::resume))
        .add(Train, Job, routes!(jobs::moves::stop))
        .add(Train, Job, routes!(jobs::retry::retry))
        .add(Read, Job, routes!(jobs::events::events))
        .add(Read, Job, routes!(jobs::metrics::metrics))
        .add(Read, Job, routes!(jobs::checkpoints::list))
        .add(Read, Job, routes!(jobs::checkpoints::get))
        .add(Read, Job, routes!(jobs::checkpoints::content))
        .add(Train, Job, routes!(jobs::checkpoints::delete))
        .add(Train, Job, routes!(jobs::promote::promote))
        .add(Read, Job, routes!(jobs::samples::list))
        .add(Read, Job, routes!(jobs::samples::get))
        .add(Train, Nothing, routes!(evaluations::create))
}

#[rustfmt::skip]
fn models(operations: Operations) -> Operations {
    let import = routes!(models::import::import).layer(DefaultBodyLimit::disable());
    operations
        .add(Train, Nothing, import)
        .add(Read, Nothing, routes!(models::item::list))
        .add(Read, Model, routes!(models::item::get))
        .add(Train, Model, routes!(models::item::delete))
        .add(Read, Model, routes!(models::version::get))
        .add(Train, Model, routes!(models::version::delete))
        .add(Read, Model, routes!(models::version::content))
        .add(Read, Model, routes!(models::onnx::onnx))
        .add(Read, Model, routes!(models::export::export))
        .add(Read, Model, routes!(models::alias::get))
        .add(Train, Model, routes!(models::alias::put))
        .add(Train, Model, routes!(models::alias::delete))
        .add(Infer, Model, routes!(models::residence::load))
        .add(Infer, Model, routes!(models::residence::unload))
        .add(Read, Model, routes!(models::filters::filters))
}

#[rustfmt::skip]
fn access(operations: Operations) -> Operations {
    operations
        .add(Admin, Everything, routes!(webhooks::create::create))
        .add(Admin, Everything, routes!(webhooks::item::list))
        .add(Admin, Everything, routes!(webhooks::item::get))
        .add(Admin, Everything, routes!(webhooks::item::delete))
        .add(Admin, Everything, routes!(webhooks::deliveries::test))
        .add(Admin, Everything, routes!(webhooks::deliveries::list))
        .add(Admin, Everything, routes!(webhooks::deliveries::redeliver))
        .add(Admin, Nothing, routes!(keys::create::create))
        .add(Admin, Nothing, routes!(keys::item::list))
        .add(Needs::Key, Nothing, routes!(keys::me::me))
        .add(Admin, Nothing, routes!(keys::item::get))
        .add(Admin, Nothing, routes!(keys::item::delete))
        .add(Admin, Everything, routes!(keys::audit::audit))
}

/// The whole service.
pub fn router(state: AppState) -> Router {
    let (router, openapi, _) = documented().split();
    let text = document::text(openapi);
    let body_limit = state.limits.body_bytes;
    let cors = state.access.hosts.cors();
    let router = router
        .route(
            "/openapi.json",
            get(async move |app: AppState, request: Request| {
                let text = document::below(&text, app.access.prefix(&request).as_deref());
                ([(header::CONTENT_TYPE, "application/json")], text)
            }),
        )
        // Verbs that no family answers yet: the model is looked up, and what it does offer is named.
        .route(ANY_VERB, post(models::verbs::unknown))
        .merge(SwaggerUi::new("/docs").config(Config::from("../openapi.json")))
        .fallback(|| async {
            Problem::not_found("there is nothing at this path; /docs lists what there is")
        })
        .method_not_allowed_fallback(async || edge::method_not_allowed());
    // Most services have no pages elsewhere, and a layer costs something for every request.
    let router = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer((
            middleware::from_fn_with_state(state.clone(), edge::edge),
            DefaultBodyLimit::max(body_limit),
            RequestDecompressionLayer::new(),
            CompressionLayer::new().compress_when(DefaultPredicate::new().and(v2::is_packable)),
        ))
        .with_state(state)
}
