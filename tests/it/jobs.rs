//! Jobs from queue to result: what they say of themselves, lists, cancellation, idempotency.

use reqwest::Method;
use serde_json::{Value, json};

use crate::service::Service;
use crate::training::{endless, small_autoencoder, small_rbm};

#[tokio::test]
async fn a_job_tells_its_whole_story() {
    let service = Service::with_digits(&[]).await;
    let mut wanted = small_rbm("story");
    wanted["metadata"] = json!({"who": "a test", "deep": [1, {"x": null}]});
    wanted["training"]["validation_fraction"] = json!(0.2);
    let created = service.post("/v1/jobs", &wanted).await;
    let queued = created.ok(202);
    let id = queued["id"].as_str().expect("an id");
    assert_eq!(created.header("location"), format!("/v1/jobs/{id}"));
    assert_eq!(queued["progress"]["epochs"], 3, "known from the start");

    let job = service.succeeded(id).await;
    let statuses: Vec<_> = job["transitions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| t["status"].clone())
        .collect();
    assert_eq!(statuses, ["queued", "running", "succeeded"]);
    assert_eq!(
        (&job["task"], &job["attempt"], &job["device"]),
        (&json!("train"), &json!(1), &json!("cpu"))
    );
    assert_eq!(job["metadata"], wanted["metadata"]);
    assert_eq!(job["model"]["algorithm"], "cd", "defaults are filled in");
    assert_eq!(job["result"], json!({"model": "story", "version": 1}));
    assert_eq!(job["progress"]["fraction"], 1.0);
    assert_eq!(job["progress"]["step"], job["progress"]["total_steps"]);
    assert!(job["error"].is_null() && job["queue_position"].is_null());
    for split in ["train", "validation", "test"] {
        assert!(
            job["metrics"][format!("{split}/reconstruction_mse")].is_f64(),
            "{split}: {job}"
        );
    }
    let times = ["created_at", "started_at", "finished_at"]
        .map(|name| job[name].as_str().expect("a time").to_owned());
    assert!(
        times.is_sorted() && times.iter().all(|time| time.ends_with('Z')),
        "{times:?}"
    );
}

#[tokio::test]
async fn every_job_of_a_name_publishes_a_version() {
    let service = Service::with_digits(&[]).await;
    let first = service.train(&small_rbm("model")).await;
    let second = service.train(&small_autoencoder("model")).await;
    assert_eq!(
        (&first["result"]["version"], &second["result"]["version"]),
        (&json!(1), &json!(2))
    );
    let model = service.get("/v1/models/model").await.ok(200);
    let kinds: Vec<_> = model["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|v| v["kind"].clone())
        .collect();
    assert_eq!(kinds, ["autoencoder", "rbm"], "newest first");
    assert_eq!(model["versions"][1]["job"], first["id"]);

    service
        .send(
            service
                .request(Method::PUT, "/v1/models/model/aliases/good")
                .json(&json!({"version": 1})),
        )
        .await
        .ok(200);
    let rows = json!({"rows": {"dataset": "digits", "limit": 1}});
    for (reference, version) in [
        ("model", 2),
        ("model:1", 1),
        ("model@good", 1),
        ("model:2", 2),
    ] {
        let answer = service
            .post(&format!("/v1/models/{reference}/encode"), &rows)
            .await
            .ok(200);
        assert_eq!(
            (&answer["model"], &answer["version"]),
            (&json!("model"), &json!(version))
        );
    }
    service
        .delete("/v1/models/model/versions/1")
        .await
        .problem(409, "conflict");
    service
        .delete("/v1/models/model/aliases/good")
        .await
        .expect(204);
    service
        .delete("/v1/models/model/versions/1")
        .await
        .expect(204);
    service
        .post("/v1/models/model:1/encode", &rows)
        .await
        .problem(404, "not_found");
    service.delete("/v1/models/model").await.expect(204);
    service
        .get("/v1/models/model")
        .await
        .problem(404, "not_found");
    let third = service.train(&small_rbm("model")).await;
    assert_eq!(third["status"], "succeeded");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    for job in [
        small_rbm("a"),
        small_autoencoder("b"),
        small_rbm("c"),
        small_rbm("a"),
    ] {
        service.queue(&job).await;
    }
    let names = async |query: &str| {
        let page = service.get(&format!("/v1/jobs?{query}")).await.ok(200);
        let names: Vec<Value> = page["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|job| job["name"].clone())
            .collect();
        (
            names,
            page["last_id"].as_str().unwrap_or_default().to_owned(),
            page["has_more"] == true,
        )
    };
    let (first, last, more) = names("limit=3").await;
    assert_eq!(
        (first, more),
        (vec![json!("a"), json!("c"), json!("b")], true)
    );
    let (rest, _, more) = names(&format!("limit=3&after={last}")).await;
    assert_eq!((rest, more), (vec![json!("a")], false));
    assert_eq!(names("kind=autoencoder").await.0, ["b"]);
    assert_eq!(names("name=a&status=queued").await.0, ["a", "a"]);
    assert_eq!(names("status=running").await.0, [""; 0]);
    let positions = service.get("/v1/jobs").await.ok(200);
    let positions: Vec<_> = positions["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| job["queue_position"].clone())
        .collect();
    assert_eq!(positions, [4, 3, 2, 1], "first come, first served");
}

#[tokio::test]
async fn cancel_works_at_any_time_but_after_the_end() {
    let service = Service::with_digits(&[]).await;
    let running = service.queue(&endless("running")).await;
    let waiting = service.queue(&endless("waiting")).await;
    service.running(&running).await;
    let cancel = async |id: &str| {
        service
            .post(&format!("/v1/jobs/{id}/cancel"), &Value::Null)
            .await
    };
    assert_eq!(
        cancel(&waiting).await.ok(200)["status"],
        "canceled",
        "at once, as nothing runs"
    );
    cancel(&running).await.expect(200);
    let ended = service.ended_job(&running).await;
    assert_eq!(ended["status"], "canceled");
    assert!(
        ended["result"].is_null() && ended["error"].is_null(),
        "{ended}"
    );
    for id in [&running, &waiting] {
        cancel(id).await.problem(409, "illegal_transition");
    }
    service
        .get("/v1/models/running")
        .await
        .problem(404, "not_found");
    // The next job has a worker again.
    let next = service.train(&small_rbm("next")).await;
    let id = next["id"].as_str().expect("an id");
    cancel(id).await.problem(409, "illegal_transition");
    cancel("job_none").await.problem(404, "not_found");
}

#[tokio::test]
async fn an_idempotency_key_gives_one_job() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    let post = async |key: &str, job: &Value| {
        service
            .send(
                service
                    .request(Method::POST, "/v1/jobs")
                    .header("idempotency-key", key)
                    .json(job),
            )
            .await
    };
    let first = post("k1", &small_rbm("a")).await.ok(202);
    let again = post("k1", &small_rbm("a")).await.ok(202);
    assert_eq!(first["id"], again["id"]);
    post("k1", &small_rbm("b"))
        .await
        .problem(422, "idempotency_mismatch");
    let other = post("k2", &small_rbm("a")).await.ok(202);
    assert_ne!(first["id"], other["id"]);
    post("", &small_rbm("a")).await.invalid("/Idempotency-Key");
    post(&"k".repeat(256), &small_rbm("a"))
        .await
        .invalid("/Idempotency-Key");
    assert_eq!(
        service.get("/v1/jobs").await.ok(200)["data"]
            .as_array()
            .expect("a list")
            .len(),
        2
    );
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let service = Service::with_digits(&["--workers", "0", "--max-queued-jobs", "2"]).await;
    let first = service.queue(&small_rbm("a")).await;
    service.queue(&small_rbm("b")).await;
    let refused = service.post("/v1/jobs", &small_rbm("c")).await;
    refused.problem(429, "queue_full");
    let seconds: u64 = refused
        .header("retry-after")
        .parse()
        .expect("a number of seconds");
    assert!((1..=3600).contains(&seconds));
    service
        .post(&format!("/v1/jobs/{first}/cancel"), &Value::Null)
        .await
        .ok(200);
    service.queue(&small_rbm("c")).await;
}

#[tokio::test]
async fn checkpoints_are_listed_and_downloaded() {
    let service = Service::with_digits(&[]).await;
    let mut job = small_rbm("kept");
    job["training"]["epochs"] = json!(6);
    job["training"]["keep_checkpoints"] = json!(3);
    let job = service.train(&job).await;
    let id = job["id"].as_str().expect("an id");
    let list = service
        .get(&format!("/v1/jobs/{id}/checkpoints"))
        .await
        .ok(200);
    let checkpoints = list["data"].as_array().expect("a list");
    let epochs: Vec<_> = checkpoints.iter().map(|c| c["epoch"].clone()).collect();
    assert_eq!(epochs, [6, 5, 4], "the newest three");
    for checkpoint in checkpoints {
        let number = &checkpoint["number"];
        assert_eq!(
            service
                .get(&format!("/v1/jobs/{id}/checkpoints/{number}"))
                .await
                .ok(200),
            *checkpoint
        );
        let content = service
            .get(&format!("/v1/jobs/{id}/checkpoints/{number}/content"))
            .await;
        let tensors =
            safetensors::SafeTensors::deserialize(&content.expect(200).body).expect("safetensors");
        assert!(
            tensors.len() > 3,
            "weights and the optimizer's state: {:?}",
            tensors.names()
        );
        assert_eq!(checkpoint["bytes"], content.body.len());
    }
    service
        .get(&format!("/v1/jobs/{id}/checkpoints/1"))
        .await
        .problem(404, "not_found");
    service
        .get(&format!("/v1/jobs/{id}/checkpoints/x"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_job_that_diverges_fails_with_its_reason() {
    let service = Service::with_digits(&[]).await;
    let mut job = small_autoencoder("wild");
    job["model"]["loss"] = json!("mean_squared_error");
    job["training"] =
        json!({"epochs": 200, "optimizer": "sgd", "learning_rate": 1e30, "threads": 1});
    let id = service.queue(&job).await;
    let job = service.ended_job(&id).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!("diverged")),
        "{job}"
    );
    assert!(
        job["error"]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("learning_rate"))
    );
    service
        .get("/v1/models/wild")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_wait_is_answered_early_and_metrics_are_thinned() {
    let service = Service::with_digits(&[]).await;
    let id = service.queue(&small_rbm("waited-for")).await;
    let answer = service
        .send(
            service
                .request(Method::GET, &format!("/v1/jobs/{id}"))
                .header("prefer", "respond-async, wait=120"),
        )
        .await;
    assert_eq!(answer.ok(200)["status"], "succeeded");
    assert_eq!(answer.header("preference-applied"), "wait=120");
    let all = service.all_series(&id).await;
    let thin = service
        .get(&format!(
            "/v1/jobs/{id}/metrics?keys=train/reconstruction_mse&max_points=1"
        ))
        .await
        .ok(200);
    let series = thin["series"].as_object().expect("series");
    assert_eq!(series.len(), 1);
    let whole = &all
        .iter()
        .find(|(name, _)| name == "train/reconstruction_mse")
        .expect("the series")
        .1;
    let kept = series["train/reconstruction_mse"]
        .as_array()
        .expect("points");
    assert_eq!(kept.len(), 1);
    assert_eq!(
        kept[0]["step"].as_i64(),
        whole.last().map(|point| point.0),
        "the last point is kept"
    );
}
