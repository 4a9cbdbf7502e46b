//! A crowd that follows one job.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use reqwest::Method;

use crate::service::Service;
use crate::training::digits_job;
use serde_json::json;

const CROWD: usize = 1000;

/// Reads a stream to its end; the ids of its events.
async fn follow(service: &Service, id: &str) -> Vec<i64> {
    let request = service
        .request(Method::GET, &format!("/v1/jobs/{id}/events"))
        .header("accept", "text/event-stream");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut body = answer.bytes_stream();
    let mut text = Vec::new();
    while let Some(chunk) = body.next().await {
        text.extend_from_slice(&chunk.expect("a chunk"));
    }
    let text = String::from_utf8(text).expect("text");
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().expect("a number")).collect()
}

/// The database is read once for all of them, and others get at it as if they were not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_of_one_job_hold_up_nobody() {
    let service = Service::with_digits(&["--workers", "1"]).await;
    let model = json!({"kind": "rbm", "hidden": 256});
    let training = json!({"epochs": 100_000, "batch_size": 1, "seed": 5});
    let id = service.queue(&digits_job("a", &model, &training)).await;
    service.running(&id).await;

    let crowd = join_all((0..CROWD).map(|_| follow(&service, &id)));
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            for path in ["/readyz", "/v1/jobs", &format!("/v1/jobs/{id}")] {
                let began = Instant::now();
                service.get(path).await.expect(200);
                slowest = slowest.max(began.elapsed());
            }
        }
        let cancel = service.request(Method::POST, &format!("/v1/jobs/{id}/cancel"));
        service.send(cancel).await.ok(200);
        slowest
    };
    let (told, slowest) = tokio::join!(crowd, others);
    println!("the slowest of the others took {slowest:?}");
    let all: Vec<i64> = service
        .all_events(&id)
        .await
        .iter()
        .filter_map(|event| event["id"].as_i64())
        .collect();
    for ids in told {
        assert_eq!(ids, all, "each event once, in order, up to the end");
    }
    let log = service.log();
    assert!(!log.contains("slow threshold"), "{log}");
}
