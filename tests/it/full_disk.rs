//! A disk that is full for a while, and what the service does then and after.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::service::{Service, until};
use crate::small_disk::SmallDisk;

/// Every kind of write, on a disk that was full: what broke a transaction must not break the next.
#[tokio::test]
async fn after_a_full_disk_the_service_writes_as_before() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: no file system can be mounted here");
        return;
    };
    let service = Service::with_digits_on(&["--workers", "0"], &disk.path().join("data")).await;
    let ballast = disk.fill();
    // What is long enough makes the write-ahead log grow.
    let mut refused = 0;
    for n in 0..40 {
        let job = json!({"dataset": "digits", "model": {"kind": "pca"}, "name": format!("full-{n}"),
            "metadata": {"long": "x".repeat(15_000)}});
        refused += usize::from(service.post("/v1/jobs", &job).await.status >= 500);
    }
    assert!(refused > 0, "the disk was never full");
    service.get("/v1/datasets/digits").await.expect(200);
    fs::remove_file(ballast).expect("room again");

    let job = json!({"dataset": "digits", "model": {"kind": "pca"}, "name": "after"});
    let id = until("a job to be taken", || async {
        let reply = service.post("/v1/jobs", &job).await;
        (reply.status == 202).then(|| reply.ok(202)["id"].as_str().expect("an id").to_owned())
    })
    .await;
    let cancel = service.request(Method::POST, &format!("/v1/jobs/{id}/cancel"));
    service.send(cancel).await.ok(200);
    let webhook = json!({"url": "https://example.com/", "events": ["job.failed"]});
    service.post("/v1/webhooks", &webhook).await.ok(201);
    let builtin = json!({"name": "again", "builtin": "digits"});
    service.post("/v1/datasets", &builtin).await.ok(201);
    service.delete("/v1/datasets/again").await.expect(204);
    service.get("/readyz").await.expect(200);
}
