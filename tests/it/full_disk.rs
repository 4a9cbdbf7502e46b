//! A disk that is full for a while, and what the service does then and after.

use std::fs;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::reply::Reply;
use crate::service::{Service, until};
use crate::small_disk::SmallDisk;
use crate::training::digits_job;

impl Service {
    /// Moves an alias to and fro until the write-ahead log would have to grow and cannot; the refusal.
    async fn until_nothing_is_written(&self, model: &str) -> Reply {
        for n in 0..2000 {
            let path = format!("/v1/models/{model}/aliases/alias-{}", n % 50);
            let reply = self.put(&path, &json!({"version": 1})).await;
            if reply.status != 200 {
                return reply;
            }
        }
        panic!("the disk was never full");
    }

    async fn train_pca(&self, name: &str) {
        let job = json!({"dataset": "digits", "model": {"kind": "pca"}, "name": name});
        self.train(&job).await;
    }
}

/// What broke a transaction must not break the next.
#[tokio::test]
async fn after_a_full_disk_the_service_writes_as_before() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: no file system can be mounted here");
        return;
    };
    let service = Service::with_digits_on(&["--workers", "1"], &disk.path().join("data")).await;
    service.train_pca("a").await;
    let ballast = disk.fill();
    for _ in 0..3 {
        let refused = service.until_nothing_is_written("a").await;
        assert!(refused.status >= 500, "{}", refused.text());
    }
    service.get("/v1/datasets/digits").await.expect(200);
    service.get("/readyz").await.expect(200);
    fs::remove_file(ballast).expect("room again");

    let alias = json!({"version": 1});
    service.put("/v1/models/a/aliases/b", &alias).await.ok(200);
    service.train_pca("b").await;
    let webhook = json!({"url": "https://example.com/", "events": ["job.failed"]});
    service.post("/v1/webhooks", &webhook).await.ok(201);
    let builtin = json!({"name": "again", "builtin": "digits"});
    service.post("/v1/datasets", &builtin).await.ok(201);
    service.delete("/v1/datasets/again").await.expect(204);
}

/// Whatever is to be written down; what needs no room, and what makes some, is done.
#[tokio::test]
async fn a_full_disk_is_told_as_such_and_deletes_make_room() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: no file system can be mounted here");
        return;
    };
    let data_dir = disk.path().join("data");
    let service = Service::with_digits_on(&["--workers", "1"], &data_dir).await;
    service.train_pca("a").await;
    let webhook = json!({"url": "https://example.com/", "events": ["job.failed"]});
    let made = service.post("/v1/webhooks", &webhook).await.ok(201);
    let reserve = data_dir.join("reserve");
    assert!(reserve.exists());

    let ballast = disk.fill();
    // What the write-ahead log has room for within itself still goes in.
    let mut full = vec![service.until_nothing_is_written("a").await];
    let builtin = json!({"name": "more", "builtin": "digits"});
    full.push(service.post("/v1/datasets", &builtin).await);
    full.push(service.post("/v1/webhooks", &webhook).await);
    let bundle = service.get("/v1/models/a/versions/1/export").await;
    let part = reqwest::multipart::Part::bytes(bundle.body).file_name("a.zip");
    let form = reqwest::multipart::Form::new().part("bundle", part);
    let import = service.request(Method::POST, "/v1/models").multipart(form);
    full.push(service.send(import).await);
    for reply in full {
        reply.problem(507, "storage_full");
        reply.says("bytes are free where the data directory is");
    }
    assert_eq!(
        service.dataset_files().len(),
        1,
        "nothing is left of what was refused"
    );

    assert!(reserve.exists(), "it is kept for what makes room");
    let id = made["id"].as_str().expect("an id");
    service
        .delete(&format!("/v1/webhooks/{id}"))
        .await
        .expect(204);
    service.delete("/v1/models/a").await.expect(204);
    service.delete("/v1/datasets/digits").await.expect(204);
    assert!(!reserve.exists(), "it was spent");
    fs::remove_file(ballast).expect("room again");
    until("the reserve to be set aside again", || async {
        reserve.exists().then_some(())
    })
    .await;
    service.post("/v1/datasets", &builtin).await.ok(201);
}

async fn phase(service: &Service, id: &str, wanted: impl Fn(&Value) -> bool) {
    until("a phase", || async {
        let job = service.job(id).await;
        assert!(job["finished_at"].is_null(), "{job}");
        wanted(&job["phase"]).then_some(())
    })
    .await;
}

/// With room for the database alone, and then with none at all.
#[tokio::test]
async fn a_job_waits_for_room_and_ends_with_the_same_weights() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: no file system can be mounted here");
        return;
    };
    let service = Service::with_digits_on(&["--workers", "1"], &disk.path().join("data")).await;
    let job = |name| {
        let model = json!({"kind": "rbm", "hidden": 64});
        digits_job(
            name,
            &model,
            &json!({"epochs": 150, "batch_size": 32, "seed": 5}),
        )
    };
    let alone = service.train(&job("alone")).await;
    let id = service.queue(&job("waits")).await;
    phase(&service, &id, |phase| phase == "training").await;
    let waits = |phase: &Value| phase == "waiting for room on the disk";
    let mut ballast = disk.fill_but(4);
    phase(&service, &id, waits).await;
    // The room that was set aside goes to the heartbeat, and then there is none.
    for _ in 0..3 {
        ballast = disk.fill();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    fs::remove_file(ballast).expect("room again");
    let done = service.succeeded(&id).await;
    assert_eq!(service.weights(&done).await, service.weights(&alone).await);
    let events = service.all_events(&id).await;
    let told = |text: &str| events.iter().any(|event| event.to_string().contains(text));
    assert!(told("the job waits for room"), "{events:?}");
}

/// Where what is set aside elsewhere would be most of it.
#[tokio::test]
async fn deletes_make_room_on_a_disk_that_is_small() {
    let Some(disk) = SmallDisk::of(20) else {
        println!("SKIPPED: no file system can be mounted here");
        return;
    };
    let service = Service::with_digits_on(&["--workers", "1"], &disk.path().join("data")).await;
    service.train_pca("a").await;
    disk.fill();
    let refused = service.until_nothing_is_written("a").await;
    refused.problem(507, "storage_full");
    for n in 0..50 {
        let path = format!("/v1/models/a/aliases/alias-{n}");
        let reply = service.delete(&path).await;
        assert!([204, 404].contains(&reply.status), "{}", reply.text());
    }
    service.delete("/v1/models/a").await.expect(204);
    service.delete("/v1/datasets/digits").await.expect(204);
}
