//! The data directory under a service that runs: removed, replaced, and put back.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::service::{Service, until};
use crate::training::{digits_job, small_rbm};

impl Service {
    async fn is_ready(&self, wanted: u16) {
        until("what /readyz says", || async {
            (self.get("/readyz").await.status == wanted).then_some(())
        })
        .await;
    }
}

/// What is written into a file that no restart will find must not be promised to anyone.
#[tokio::test]
async fn a_data_directory_that_is_not_in_its_place_takes_no_writes() {
    let service = Service::with_digits(&["--workers", "1"]).await;
    let (place, away) = (
        service.data_dir(),
        service.data_dir().with_extension("away"),
    );
    let job = json!({"dataset": "digits", "model": {"kind": "pca"}, "name": "a"});
    service.ended_job(&service.queue(&job).await).await;
    fs::rename(&place, &away).expect("it can be moved");

    for replaced in [false, true] {
        if replaced {
            // As a restore beside the running service would leave it.
            fs::create_dir(&place).expect("a folder");
            fs::copy(away.join("latentd.db"), place.join("latentd.db")).expect("a copy");
        }
        let builtin = json!({"name": "more", "builtin": "digits"});
        let webhook = json!({"url": "https://example.com/", "events": ["job.failed"]});
        for reply in [
            service.post("/v1/jobs", &job).await,
            service.post("/v1/datasets", &builtin).await,
            service.post("/v1/webhooks", &webhook).await,
            service
                .put("/v1/models/a/aliases/b", &json!({"version": 1}))
                .await,
            service.delete("/v1/models/a").await,
            service.delete("/v1/datasets/digits").await,
        ] {
            reply.problem(503, "storage_unavailable");
        }
        service.is_ready(503).await;
        service
            .get("/readyz")
            .await
            .problem(503, "storage_unavailable");
        service.get("/livez").await.expect(200);
        assert_eq!(place.exists(), replaced, "nothing is made anew");
    }
    let errors = |log: &str| log.matches("ERROR").count();
    assert_eq!(errors(&service.log()), 1, "{}", service.log());

    fs::remove_dir_all(&place).expect("it can be removed");
    fs::rename(&away, &place).expect("it can be moved back");
    service.is_ready(200).await;
    let id = service.queue(&job).await;
    assert_eq!(service.ended_job(&id).await["status"], "succeeded");
    let request = service.request(Method::DELETE, "/v1/models/a");
    service.send(request).await.expect(204);
}

/// As workers that were killed leave it behind: a service that runs for a year must not keep it for a year.
#[tokio::test]
async fn what_nothing_names_is_removed_while_the_service_runs() {
    let service = Service::with_digits(&["--workers", "1", "--sweep-seconds", "1"]).await;
    let done = service.train(&small_rbm("a")).await;
    let artifacts = service.data_dir().join("artifacts");
    let datasets = service.data_dir().join("datasets");
    let nameless = "ab".repeat(32);
    let folder = artifacts.join("ab");
    fs::create_dir_all(&folder).expect("a folder");
    fs::create_dir(datasets.join("ds_gone")).expect("a folder");
    let incoming = [&artifacts, &datasets].map(|folder| folder.join(".incoming-1"));
    for folder in &incoming {
        fs::create_dir(folder).expect("a folder");
        fs::write(folder.join("train.upload"), b"half").expect("a file");
    }
    let left = [
        folder.join(format!("{nameless}.safetensors")),
        folder.join(format!("{nameless}.json")),
        folder.join(".0d3b.tmp"),
        datasets.join("ds_gone/train.npy"),
    ];
    for path in &left {
        fs::write(path, b"left behind").expect("a file");
    }
    // Beside a job that writes all the time, and is to miss nothing.
    let model = json!({"kind": "rbm", "hidden": 32});
    let job = digits_job(
        "b",
        &model,
        &json!({"epochs": 60, "seed": 3, "keep_checkpoints": 5}),
    );
    let id = service.queue(&job).await;
    for path in &left {
        until("what nothing names to go", || async {
            (!path.exists()).then_some(())
        })
        .await;
    }
    let other = service.succeeded(&id).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for done in [&done, &other] {
        service.weights(done).await;
        let id = done["id"].as_str().expect("an id");
        let kept = service
            .get(&format!("/v1/jobs/{id}/checkpoints"))
            .await
            .ok(200);
        for checkpoint in kept["data"].as_array().expect("a list") {
            let path = format!("/v1/jobs/{id}/checkpoints/{}/content", checkpoint["number"]);
            service.get(&path).await.expect(200);
        }
    }
    let rows = "/v1/datasets/digits/rows?split=test&offset=0&limit=1";
    service.get(rows).await.expect(200);
    for folder in incoming {
        assert!(folder.exists(), "an upload may be under way");
    }
}
