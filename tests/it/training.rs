//! Jobs from a client's side: small ones to train, waiting for them, what they leave behind.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::service::{PATIENCE, Service, until};

/// A job on the embedded digits; one thread, so that tests may run side by side.
pub fn digits_job(name: &str, model: &Value, training: &Value) -> Value {
    let mut job = json!({"name": name, "dataset": "digits", "model": model, "training": {"threads": 1,
        "device": "cpu"}});
    let fields = training.as_object().expect("an object").clone();
    job["training"]
        .as_object_mut()
        .expect("an object")
        .extend(fields);
    job
}

/// A machine that is trained in no time, published as `name`.
pub fn small_rbm(name: &str) -> Value {
    digits_job(
        name,
        &json!({"kind": "rbm", "hidden": 32}),
        &json!({"epochs": 3, "batch_size": 64, "seed": 7}),
    )
}

/// An autoencoder that is trained in no time, published as `name`.
pub fn small_autoencoder(name: &str) -> Value {
    let model = json!({"kind": "autoencoder", "hidden": [48, 24], "code": 8});
    digits_job(
        name,
        &model,
        &json!({"epochs": 3, "batch_size": 64, "seed": 7}),
    )
}

/// A job that is still training when the test is over, unless it is stopped.
pub fn endless(name: &str) -> Value {
    digits_job(
        name,
        &json!({"kind": "rbm", "hidden": 64}),
        &json!({"epochs": 500_000, "checkpoint_every_epochs": 1000}),
    )
}

impl Service {
    /// Queues a job; answers its id.
    pub async fn queue(&self, job: &Value) -> String {
        let queued = self.post("/v1/jobs", job).await.ok(202);
        queued["id"].as_str().expect("an id").to_owned()
    }

    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).await.ok(200)
    }

    /// The job once it has ended, whichever way.
    pub async fn ended_job(&self, id: &str) -> Value {
        let request = || {
            self.request(reqwest::Method::GET, &format!("/v1/jobs/{id}"))
                .header("prefer", "wait=20")
        };
        let rounds = PATIENCE.as_secs() / 20;
        for _ in 0..rounds {
            let job = self.send(request()).await.ok(200);
            if ["succeeded", "failed", "canceled"]
                .contains(&job["status"].as_str().unwrap_or_default())
            {
                return job;
            }
        }
        panic!(
            "job {id} has not ended: {}\n{}",
            self.job(id).await,
            self.log()
        );
    }

    /// The job once it has succeeded.
    pub async fn succeeded(&self, id: &str) -> Value {
        let job = self.ended_job(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        job
    }

    /// Trains to the end.
    pub async fn train(&self, job: &Value) -> Value {
        let id = self.queue(job).await;
        self.succeeded(&id).await
    }

    /// Waits until the job is being trained.
    pub async fn running(&self, id: &str) {
        until("the job to train", || async {
            let job = self.job(id).await;
            assert!(job["finished_at"].is_null(), "it has ended: {job}");
            (job["progress"]["step"].as_i64() > Some(0)).then_some(())
        })
        .await;
    }

    /// Digest of the weights that a finished job published, as downloaded.
    pub async fn weights(&self, job: &Value) -> String {
        let (model, version) = (&job["result"]["model"], &job["result"]["version"]);
        let path = format!(
            "/v1/models/{}/versions/{version}",
            model.as_str().expect("a published model")
        );
        let content = self.get(&format!("{path}/content")).await;
        let digest: String = Sha256::digest(&content.expect(200).body)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(self.get(&path).await.ok(200)["sha256"], digest.as_str());
        digest
    }

    /// Every event of a job, page by page.
    pub async fn all_events(&self, id: &str) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let page = self
                .get(&format!("/v1/jobs/{id}/events?limit=1000&after={after}"))
                .await
                .ok(200);
            let data = page["data"].as_array().expect("a list").clone();
            events.extend(data);
            if page["has_more"] == false {
                return events;
            }
            after = page["last_id"]
                .as_str()
                .and_then(|id| id.parse::<i64>().ok())
                .expect("the last id");
        }
    }

    /// Every point of every metric of a job, as (step, value).
    pub async fn all_series(&self, id: &str) -> Vec<(String, Vec<(i64, f64)>)> {
        let metrics = self
            .get(&format!("/v1/jobs/{id}/metrics?max_points=10000"))
            .await
            .ok(200);
        let series = metrics["series"].as_object().expect("series").clone();
        let point = |p: &Value| {
            (
                p["step"].as_i64().expect("a step"),
                p["value"].as_f64().expect("a finite value"),
            )
        };
        let points = |list: &Value| list.as_array().expect("points").iter().map(point).collect();
        series
            .iter()
            .map(|(name, list)| (name.clone(), points(list)))
            .collect()
    }
}
