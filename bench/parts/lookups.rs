//! What is remembered between requests beside what it spares: the series of a route (`api/telemetry.rs`) beside
//! finding it by its labels, and the version behind a ref (`api/models/resolve.rs`) beside asking the database.

use axum::http::Method;
use latentd::api::models::resolve::Resolver;
use latentd::api::telemetry::series;
use latentd::jobs::parse_ref;
use latentd::store::Store;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::{Side, compare};

const ROUTE: &str = "/v1/models/{model}/encode";

pub fn measure() {
    PrometheusBuilder::new()
        .install_recorder()
        .expect("no other recorder");
    compare(
        "lookups: the two series of a request",
        vec![
            Side::new("telemetry.rs", || series(ROUTE, &Method::POST, 200)),
            Side::new("by their labels", || by_labels(ROUTE, &Method::POST, 200)),
        ],
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let store = runtime
        .block_on(Store::open(&folder.path().join("latentd.db")))
        .expect("a database");
    let reference = parse_ref("digits").expect("a ref");
    let resolver = Resolver::new(store.clone());
    compare(
        "lookups: a ref that names nothing",
        vec![
            Side::new("resolve.rs", || resolver.recall("digits").is_none()),
            Side::new("SQLite", || {
                runtime.block_on(store.model_version(&reference)).is_err()
            }),
        ],
    );
}

fn by_labels(route: &str, method: &Method, status: u16) -> (metrics::Counter, metrics::Histogram) {
    let labels = [
        ("method", method.to_string()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    (
        metrics::counter!("latentd_http_requests_total", &labels),
        metrics::histogram!("latentd_http_request_duration_seconds", &labels[..2]),
    )
}
