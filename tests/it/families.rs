//! Every family in the table over HTTP, without naming their insides: a new one is covered on arrival.
//! What needs no HTTP is tested by the suite in `src/families`.

use serde_json::{Value, json};

use crate::fixtures::{assert_close, rows};
use crate::service::Service;
use crate::training::digits_job;
use crate::v2;

const VERBS: [&str; 12] = [
    "encode",
    "decode",
    "reconstruct",
    "denoise",
    "generate",
    "score",
    "inpaint",
    "transform",
    "interpolate",
    "predict",
    "recommend",
    "topics",
];

/// A job that trains a family's smallest sensible net on the 8x8 digits, published as its kind; its own
/// defaults and two epochs where none is listed.
fn small(kind: &str) -> Value {
    let epochs = |n: u32| json!({"epochs": n});
    let (model, training) = match kind {
        "pca" => (json!({"kind": "pca", "code": 8}), json!({})),
        "rbm" => (json!({"kind": "rbm", "hidden": 64}), epochs(3)),
        "autoencoder" => (
            json!({"kind": "autoencoder", "hidden": [64], "code": 8}),
            epochs(3),
        ),
        "vae" => (
            json!({"kind": "vae", "hidden": [64], "latent": 8}),
            epochs(3),
        ),
        "dbn" => (json!({"kind": "dbn", "hidden": [64, 32]}), epochs(2)),
        "gan" => (json!({"kind": "gan", "latent": 16}), epochs(2)),
        "mlp" => (json!({"kind": "mlp", "hidden": [64]}), epochs(3)),
        other => (json!({"kind": other}), epochs(2)),
    };
    digits_job(kind, &model, &training)
}

/// A model that has been trained, as the service describes it.
struct Trained {
    kind: String,
    offered: Vec<String>,
    code: usize,
}

impl Trained {
    async fn all(service: &Service) -> Vec<Self> {
        let info = service.get("/v1/info").await.ok(200);
        let mut trained = Vec::new();
        for family in info["families"].as_array().expect("a list") {
            let kind = family["kind"].as_str().expect("a kind").to_owned();
            service.train(&small(&kind)).await;
            let version = service
                .get(&format!("/v1/models/{kind}/versions/1"))
                .await
                .ok(200);
            let offered = version["capabilities"].as_array().expect("a list");
            let shape = version["code_shape"].as_array();
            let sides = shape.into_iter().flatten().filter_map(Value::as_u64);
            trained.push(Self {
                kind,
                offered: offered
                    .iter()
                    .filter_map(|verb| verb.as_str().map(str::to_owned))
                    .collect(),
                code: usize::try_from(sides.product::<u64>()).expect("a size"),
            });
        }
        trained
    }

    fn offers(&self, verb: &str) -> bool {
        self.offered.iter().any(|offered| offered == verb)
    }

    fn path(&self, verb: &str) -> String {
        format!("/v1/models/{}/{verb}", self.kind)
    }

    /// A body that the verb can answer.
    fn request(&self, verb: &str) -> Value {
        match verb {
            "generate" => json!({"n": 2, "seed": 1}),
            "decode" => json!({"inputs": [vec![0.5; self.code]]}),
            "inpaint" => {
                let mask = [[0; 32], [1; 32]].concat();
                json!({"rows": test_rows(0, 2), "mask": mask, "seed": 1})
            }
            // The ends are inputs for a model that encodes, else drawn from its prior.
            "interpolate" if self.offers("encode") => json!({"rows": test_rows(0, 2), "steps": 3}),
            "interpolate" => json!({"from": 1, "to": 2, "steps": 3}),
            _ => json!({"rows": test_rows(0, 5)}),
        }
    }

    /// The verb that shows best whether two models are the same.
    fn telling(&self) -> &str {
        ["reconstruct", "predict", "generate"]
            .into_iter()
            .find(|verb| self.offers(verb))
            .unwrap_or(&self.offered[0])
    }
}

fn test_rows(offset: usize, limit: usize) -> Value {
    json!({"dataset": "digits", "split": "test", "offset": offset, "limit": limit})
}

#[tokio::test]
async fn what_it_advertises_it_answers_and_nothing_else_before_and_after_a_restart() {
    let mut service = Service::with_digits(&[]).await;
    let trained = Trained::all(&service).await;
    let mut before = Vec::new();
    for model in &trained {
        for verb in VERBS {
            let answer = service.post(&model.path(verb), &model.request(verb)).await;
            if model.offers(verb) {
                let answer = answer.ok(200);
                let outputs = answer["outputs"].as_array().expect("outputs");
                assert!(!outputs.is_empty(), "{} {verb}", model.kind);
                v2::answers_as_described(&service, &format!("{}:{verb}", model.kind)).await;
            } else {
                answer.problem(422, "unsupported_operation");
            }
        }
        before.push(told(&service, model).await);
    }
    // The models are read from disk again: the same answers.
    service.kill();
    service.restart().await;
    for (model, before) in trained.iter().zip(before) {
        let after = told(&service, model).await;
        assert!(before == after, "{}: before and after", model.kind);
    }
}

async fn told(service: &Service, model: &Trained) -> Vec<u8> {
    let verb = model.telling();
    let request = model.request(verb);
    service
        .post_for(&model.path(verb), &request, "application/x-npy")
        .await
        .expect(200)
        .body
        .clone()
}

#[tokio::test]
async fn a_batch_is_its_rows_one_by_one() {
    let service = Service::with_digits(&[]).await;
    for model in Trained::all(&service).await {
        let verb = model.telling();
        if verb == "generate" {
            continue;
        }
        let ask = async |offset: usize, limit: usize| {
            let request = json!({"rows": test_rows(offset, limit)});
            rows(&service.post(&model.path(verb), &request).await.ok(200)["outputs"])
        };
        for (i, row) in ask(0, 5).await.iter().enumerate() {
            assert_close(row, &ask(i, 1).await[0], 1e-5);
        }
    }
}
