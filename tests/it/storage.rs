//! What takes room, and how it is made: deleting jobs and checkpoints.

use serde_json::{Value, json};

use crate::service::Service;
use crate::training::{endless, small_rbm};

async fn artifacts(service: &Service) -> usize {
    let folders = std::fs::read_dir(service.data_dir().join("artifacts")).expect("a folder");
    let files = |path| std::fs::read_dir(path).expect("a folder").count();
    folders.flatten().map(|folder| files(folder.path())).sum()
}

#[tokio::test]
async fn what_takes_room_is_told_and_ended_jobs_can_be_deleted() {
    let service = Service::with_digits(&["--workers", "1"]).await;
    let mut job = small_rbm("a");
    job["training"]["keep_checkpoints"] = json!(3);
    let done = service.train(&job).await;
    let id = done["id"].as_str().expect("an id");
    let path = format!("/v1/jobs/{id}");
    let storage = service.get("/v1/storage").await.ok(200);
    let dataset = service.get("/v1/datasets/digits").await.ok(200);
    let version = service.get("/v1/models/a/versions/1").await.ok(200);
    let used = |kind: &str| storage[kind]["largest"][0].clone();
    assert_eq!(used("datasets")["bytes"], dataset["bytes"]);
    assert_eq!(used("datasets")["name"], "digits");
    assert_eq!(
        (
            used("models")["id"].clone(),
            used("models")["bytes"].clone()
        ),
        (json!("a"), version["bytes"].clone())
    );
    assert_eq!(used("jobs")["id"], id);
    for kind in ["datasets", "models", "jobs"] {
        assert_eq!(storage[kind]["count"], 1, "{storage}");
        assert_eq!(storage[kind]["bytes"], used(kind)["bytes"], "{storage}");
    }
    assert!(
        storage["free_bytes"].as_u64() > Some(0) && storage["database_bytes"].as_u64() > Some(0)
    );
    let metrics = service.get("/metrics").await.whole_text();
    assert!(metrics.contains("latentd_storage_free_bytes "), "{metrics}");

    let kept = service.get(&format!("{path}/checkpoints")).await.ok(200);
    let kept: Vec<&Value> = kept["data"].as_array().expect("a list").iter().collect();
    let number = &kept[1]["number"];
    let checkpoint = format!("{path}/checkpoints/{number}");
    let before = artifacts(&service).await;
    service.delete(&checkpoint).await.expect(204);
    assert_eq!(artifacts(&service).await, before - 1);
    service.delete(&checkpoint).await.problem(404, "not_found");
    service.get(&checkpoint).await.problem(404, "not_found");

    let running = service.queue(&endless("b")).await;
    service.running(&running).await;
    let other = format!("/v1/jobs/{running}");
    service.delete(&other).await.problem(409, "conflict");
    service
        .delete(&format!("{other}/checkpoints/1"))
        .await
        .problem(409, "conflict");

    service.delete(&path).await.expect(204);
    for gone in [
        &path,
        &format!("{path}/events"),
        &format!("{path}/checkpoints"),
    ] {
        service.get(gone).await.problem(404, "not_found");
    }
    service.delete(&path).await.problem(404, "not_found");
    let rows = json!({"rows": {"dataset": "digits", "split": "test", "offset": 0, "limit": 1}});
    service.post("/v1/models/a/encode", &rows).await.ok(200);
    let again = service.get("/v1/models/a/versions/1").await.ok(200);
    assert_eq!(
        again["sha256"], version["sha256"],
        "what it published stays"
    );
}
