//! Traces: what a collector of OTLP gets of requests and jobs.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::fixtures::first_digits;
use crate::service::{Service, until};
use crate::training::small_autoencoder;

/// The messages that came.
type Collected = Arc<Mutex<Vec<Bytes>>>;

/// A collector; its port, and what it got.
async fn collector() -> (u16, Collected) {
    let collected = Collected::default();
    let kept = Arc::clone(&collected);
    let router = Router::new().route(
        "/v1/traces",
        post(async move |body: Bytes| kept.lock().expect("no panic").push(body)),
    );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, collected)
}

/// Whether a message has all of these. Names and ids stand in a message of protobuf as they are.
fn holds(collected: &Collected, wanted: &[&[u8]]) -> bool {
    let has = |message: &Bytes, part: &[u8]| message.windows(part.len()).any(|w| w == part);
    let all = collected.lock().expect("no panic");
    all.iter()
        .any(|message| wanted.iter().all(|part| has(message, part)))
}

#[tokio::test]
async fn requests_and_jobs_are_traced_where_that_is_configured() {
    let (port, collected) = collector().await;
    let environment = [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            format!("http://127.0.0.1:{port}"),
        ),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned()),
    ];
    let service = Service::with_digits_in(&[], &environment).await;
    let job = service
        .request(Method::POST, "/v1/jobs")
        .header(
            "traceparent",
            format!("00-{}-00f067aa0ba902b7-01", "7b".repeat(16)),
        )
        .json(&small_autoencoder("ae"));
    let job = service.send(job).await.ok(202);
    service.succeeded(job["id"].as_str().expect("an id")).await;
    let trace: [u8; 16] = [
        0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47,
        0x36,
    ];
    let request = service
        .request(Method::POST, "/v1/models/ae/encode")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .header("x-request-id", "the-request-that-is-traced")
        .json(&json!({"inputs": first_digits(&service, 2).await}));
    service.send(request).await.expect(200);
    for wanted in [
        b"POST /v1/models/{model}/encode".as_slice(),
        b"queue",
        b"batch",
        b"latentd.batch.rows",
        b"compute",
        b"the-request-that-is-traced",
        b"epoch",
        b"train/loss",
        b"latentd.job.id",
        b"service.version",
        &trace,
    ] {
        let what = format!("a span with {}", String::from_utf8_lossy(wanted));
        until(&what, async || holds(&collected, &[wanted]).then_some(())).await;
    }
    // The worker's spans come in messages of their own.
    let job = [b"latentd.job.attempt".as_slice(), &[0x7b; 16]];
    until("the job in its client's trace", async || {
        holds(&collected, &job).then_some(())
    })
    .await;
}
