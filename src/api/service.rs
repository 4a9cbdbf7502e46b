//! `/livez`, `/readyz`, `/metrics`, `/v1/info`.

use axum::Json;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Code, Problem, Result};
use super::state::AppState;
use crate::artifacts::room;
use crate::families::FAMILIES;
use crate::machine::LIBTORCH;

/// The process runs
#[utoipa::path(get, path = "/livez", operation_id = "livez",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Requests are welcome
// Requests are welcome: the database takes writes and no shutdown is under way.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz",
    responses(
        (status = 200, description = "They are", body = String, content_type = "text/plain"),
        (status = 503, description = "Shutting down, or the database takes no writes"),
    ))]
pub async fn readyz(app: AppState) -> Result<&'static str> {
    if *app.draining.borrow() {
        return Err(
            Problem::new(Code::ShuttingDown, "the service is shutting down").retry_after(5),
        );
    }
    if app.health.takes_writes() {
        Ok("ok\n")
    } else {
        let detail = "the database takes no writes; the server's log has the reason";
        Err(Problem::new(Code::StorageUnavailable, detail).retry_after(5))
    }
}

/// Metrics for Prometheus
#[utoipa::path(get, path = "/metrics", operation_id = "metrics",
    responses((status = 200, description = "Counters, gauges and histograms, names `latentd_…`",
        body = String, content_type = "text/plain")))]
pub async fn metrics(app: AppState) -> Result<impl IntoResponse> {
    for (status, jobs) in app.store.job_counts().await? {
        metrics::gauge!("latentd_jobs", "status" => status.as_str()).set(jobs as f64);
    }
    metrics::gauge!("latentd_inference_queue_depth").set(app.engine.waiting() as f64);
    metrics::gauge!("latentd_inference_long_calls").set(app.engine.slow() as f64);
    metrics::gauge!("latentd_inference_queue_capacity").set(app.engine.bounds().calls as f64);
    if let Some(free) = room::free(&app.layout.root) {
        metrics::gauge!("latentd_storage_free_bytes").set(free as f64);
    }
    let loaded = app.engine.loaded();
    let bytes: usize = loaded.iter().map(|model| model.bytes).sum();
    metrics::gauge!("latentd_models_loaded").set(loaded.len() as f64);
    metrics::gauge!("latentd_models_loaded_bytes").set(bytes as f64);
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        app.metrics.render(),
    ))
}

/// What this server is and offers.
#[derive(Serialize, ToSchema)]
pub struct Info {
    version: &'static str,
    libtorch_version: String,
    /// `cpu`, then `cuda:0` and so on.
    devices: Vec<String>,
    /// CPU threads that a job uses when it does not say.
    threads: u32,
    families: Vec<FamilyInfo>,
}

#[derive(Serialize, ToSchema)]
pub struct FamilyInfo {
    kind: &'static str,
    summary: &'static str,
}

/// What this server is and offers
#[utoipa::path(get, path = "/v1/info", operation_id = "get_info",
    responses((status = 200, description = "Version, devices, model families", body = Info)))]
pub async fn info(app: AppState) -> Json<Info> {
    let cuda = (0..app.machine.cuda_devices).map(|i| format!("cuda:{i}"));
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        libtorch_version: LIBTORCH.to_owned(),
        devices: std::iter::once("cpu".to_owned()).chain(cuda).collect(),
        threads: app.machine.threads,
        families: FAMILIES
            .iter()
            .map(|f| FamilyInfo {
                kind: f.kind,
                summary: f.summary,
            })
            .collect(),
    })
}
