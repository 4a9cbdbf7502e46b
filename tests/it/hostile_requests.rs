//! Requests that are wrong in every way but one: the answer is a 4xx problem that names the field.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::{npy, png};
use crate::process::peak_memory;
use crate::service::Service;
use crate::training::{digits_job, small_autoencoder, small_rbm};

#[tokio::test]
async fn a_job_that_cannot_be_is_refused_by_field() {
    let service = Service::with_digits(&["--max-body-mib", "1"]).await;
    let rbm = || json!({"kind": "rbm"});
    let job = |model: Value, training: Value| json!({"dataset": "digits", "model": model, "training": training});
    for (body, pointer) in [
        (job(json!({"kind": "rbn"}), json!({})), "/model/kind"),
        (job(json!({"hidden": 5}), json!({})), "/model/kind"),
        (
            job(json!({"kind": "rbm", "hiden": 5}), json!({})),
            "/model/hiden",
        ),
        (
            job(json!({"kind": "rbm", "hidden": 0}), json!({})),
            "/model/hidden",
        ),
        (
            job(json!({"kind": "rbm", "hidden": -3}), json!({})),
            "/model/hidden",
        ),
        (
            job(
                json!({"kind": "rbm", "hidden": 1_000_000_000_000_i64}),
                json!({}),
            ),
            "/model/hidden",
        ),
        (
            job(json!({"kind": "rbm", "chains": 5}), json!({})),
            "/model/chains",
        ),
        (
            job(json!({"kind": "autoencoder", "hidden": [8, 0]}), json!({})),
            "/model/hidden/1",
        ),
        (
            job(
                json!({"kind": "autoencoder", "hidden": [16_000_000, 16_000_000]}),
                json!({}),
            ),
            "/model",
        ),
        (job(rbm(), json!({"epochs": 0})), "/training/epochs"),
        (
            job(rbm(), json!({"learning_rate": -1})),
            "/training/learning_rate",
        ),
        (
            job(rbm(), json!({"learning_rate": "NaN"})),
            "/training/learning_rate",
        ),
        (job(rbm(), json!({"device": "cuda:99"})), "/training/device"),
        (
            job(rbm(), json!({"gradient_clip": 1})),
            "/training/gradient_clip",
        ),
        (job(rbm(), json!({"no_such": 1})), "/training/no_such"),
        (json!({"dataset": "nowhere", "model": rbm()}), "/dataset"),
        (
            json!({"dataset": "digits", "model": rbm(), "name": "a/b"}),
            "/name",
        ),
        (
            json!({"dataset": "digits", "model": rbm(), "modle": 1}),
            "/modle",
        ),
    ] {
        service.post("/v1/jobs", &body).await.invalid(pointer);
    }
    // Refused while the client still sends, which must get to read why.
    let huge = format!("{{\"dataset\": \"{}\"}}", "x".repeat(24 << 20));
    service
        .post_bytes("/v1/jobs", "application/json", huge)
        .await
        .problem(413, "too_large");

    service
        .post_bytes("/v1/jobs", "application/json", "[".repeat(100_000))
        .await
        .problem(422, "invalid");
    service
        .post_bytes("/v1/jobs", "application/json", "{")
        .await
        .problem(400, "malformed");
    service
        .post_bytes("/v1/jobs", "text/plain", "{}")
        .await
        .problem(415, "unsupported_media_type");
    let jobs = service.get("/v1/jobs").await.ok(200);
    assert_eq!(jobs["data"], json!([]), "nothing was queued");
}

#[tokio::test]
async fn paths_methods_and_queries_that_are_not_there() {
    let service = Service::start(&[]).await;
    service.get("/v1/nothing").await.problem(404, "not_found");
    service
        .get("/v1/jobs/job_x")
        .await
        .problem(404, "not_found");
    for reference in ["none", "none:0", "none@x", "%C3%A9", &"n".repeat(300)] {
        let path = format!("/v1/models/{reference}/encode");
        service
            .post(&path, &json!({"inputs": [[1]]}))
            .await
            .problem(404, "not_found");
    }
    let put = service.send(service.request(Method::PUT, "/v1/jobs")).await;
    put.problem(405, "method_not_allowed");
    assert!(
        put.header("allow").contains("POST"),
        "{}",
        put.header("allow")
    );
    service.get("/v1/jobs?limit=0").await.invalid("/limit");
    service.get("/v1/jobs?colour=red").await.invalid("/colour");
    let named = service
        .send(
            service
                .request(Method::GET, "/v1/nothing")
                .header("x-request-id", "mine-7"),
        )
        .await;
    assert_eq!(named.header("x-request-id"), "mine-7");
    assert_eq!(named.json()["request_id"], "mine-7");
}

#[tokio::test]
async fn a_verb_that_is_asked_wrongly_says_what_it_needs() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("machine")).await;
    service.train(&small_autoencoder("net")).await;
    let ask = |verb: &'static str, body: Value| (format!("/v1/models/{verb}"), body);
    let rows = json!({"dataset": "digits", "split": "test", "limit": 1});
    for ((path, body), pointer) in [
        (ask("machine/encode", json!({})), "/inputs"),
        (ask("machine/encode", json!({"inputs": []})), "/inputs"),
        (
            ask("machine/encode", json!({"inputs": [[1, 2, 3]]})),
            "/inputs",
        ),
        (
            ask("machine/encode", json!({"rows": rows, "layr": 0})),
            "/layr",
        ),
        (
            ask("machine/encode", json!({"rows": rows, "layer": 1})),
            "/layer",
        ),
        (
            ask("machine/encode", json!({"rows": {"dataset": "none"}})),
            "/rows/dataset",
        ),
        (
            ask(
                "machine/encode",
                json!({"rows": {"dataset": "digits", "split": "x"}}),
            ),
            "/rows/split",
        ),
        (
            ask(
                "machine/encode",
                json!({"rows": {"dataset": "digits", "offset": 5000}}),
            ),
            "/rows/offset",
        ),
        (ask("machine/generate", json!({"n": 0})), "/n"),
        (ask("machine/generate", json!({"n": 1_000_000})), "/n"),
        (
            ask("machine/generate", json!({"temperature": 0})),
            "/temperature",
        ),
        (
            ask("machine/generate", json!({"gibbs_steps": 1_000_000})),
            "/gibbs_steps",
        ),
        (ask("machine/generate", json!({"labels": [1]})), "/labels"),
        (ask("machine/generate", json!({"seed": -1})), "/seed"),
        (
            ask("net/reconstruct", json!({"rows": rows, "gibbs_steps": 3})),
            "/gibbs_steps",
        ),
        (
            ask(
                "net/denoise",
                json!({"rows": rows, "corrupt": {"kind": "mask", "level": 1.5}}),
            ),
            "/corrupt/level",
        ),
    ] {
        service.post(&path, &body).await.invalid(pointer);
    }
    let small = png(5, 5, &[0.0; 25]);
    let sent = service
        .post_bytes("/v1/models/net/encode", "image/png", small)
        .await;
    sent.invalid("/inputs");
    let narrow = npy(&[2, 63], &[0.0; 126]);
    service
        .post_bytes("/v1/models/net/encode", "application/x-npy", narrow)
        .await
        .invalid("/inputs");
    service
        .post_bytes("/v1/models/net/encode", "image/png", "no picture")
        .await
        .invalid("/inputs");
    service
        .post_bytes("/v1/models/net/encode", "text/csv", "1,2")
        .await
        .problem(415, "unsupported_media_type");
    service
        .post_for("/v1/models/net/encode", &json!({"rows": rows}), "text/html")
        .await
        .problem(406, "not_acceptable");
    let named = json!({"inputs": [vec![0.5; 64]], "x".repeat(1 << 20): 1});
    let told = service.post("/v1/models/net/encode", &named).await;
    assert!(told.body.len() < 20_000, "{} bytes", told.body.len());
    told.expect(422);
    // There are no lines to be had of what is given at once.
    let given = json!({"inputs": [vec![0.5; 64]]});
    service
        .post_for("/v1/models/net/encode", &given, "application/x-ndjson")
        .await
        .problem(406, "not_acceptable");
    // Each is a number that may be sent, and its square none that can be held.
    let huge = json!({"inputs": [vec![0.5; 64], vec![3e38; 64]]});
    service
        .post("/v1/models/net/reconstruct", &huge)
        .await
        .invalid("/inputs");
    service
        .post_bytes("/v1/models/net/decode", "image/png", png(8, 8, &[0.0; 64]))
        .await
        .invalid("/inputs");
    service
        .post("/v1/models/net/generate", &json!({"n": 1}))
        .await
        .problem(422, "unsupported_operation");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_in_every_form() {
    let service = Service::with_digits(&[]).await;
    let model = json!({"kind": "rbm", "hidden": 32});
    service
        .train(&digits_job("machine", &model, &json!({"epochs": 2})))
        .await;
    let cold = json!({"n": 1, "gibbs_steps": 1, "temperature": 1e-42});
    service
        .post("/v1/models/machine/generate", &cold)
        .await
        .invalid("/temperature");
    for form in ["application/json", "application/x-npy", "image/png"] {
        let draw = async |seed: u64| {
            let body = json!({"n": 3, "seed": seed, "gibbs_steps": 20});
            let reply = service
                .post_for("/v1/models/machine/generate", &body, form)
                .await;
            reply.expect(200).body.clone()
        };
        let first = draw(4).await;
        assert!(first == draw(4).await, "{form}: same seed");
        assert!(first != draw(5).await, "{form}: other seed");
    }
}

/// A list has no names: what it would mean could only follow from the order of fields in the source.
#[tokio::test]
async fn lists_are_no_objects() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("rbm")).await;
    let rows = json!(["digits", "test", 0, 1]);
    let tensor =
        json!({"name": "inputs", "shape": [1, 64], "datatype": "FP32", "data": vec![0.5; 64]});
    for (method, path, body) in [
        (Method::POST, "/v1/datasets", json!(["d2", "digits"])),
        (
            Method::POST,
            "/v1/jobs",
            json!({"dataset": "digits", "model": {"kind": "rbm"}, "training": [1]}),
        ),
        (
            Method::POST,
            "/v1/webhooks",
            json!(["https://example.com/", ["job.failed"], null, {}]),
        ),
        (Method::PUT, "/v1/models/rbm/aliases/a", json!([1])),
        (Method::POST, "/v1/models/rbm/encode", json!({"rows": rows})),
        (
            Method::POST,
            "/v1/models/rbm/encode",
            json!({"rows": rows, "inputs": null}),
        ),
        (
            Method::POST,
            "/v1/models/rbm/denoise",
            json!({"rows": {"dataset": "digits"}, "corrupt": ["mask", 0.5]}),
        ),
        (Method::POST, "/v2/repository/models/rbm/load", json!([])),
        (Method::POST, "/v2/models/rbm/infer", json!([])),
        (
            Method::POST,
            "/v2/models/rbm/infer",
            json!({"inputs": [tensor], "outputs": [["outputs"]]}),
        ),
        (
            Method::POST,
            "/v2/models/rbm/infer",
            json!({"inputs": [["inputs", [1, 64], "FP32", null, [0.5]]]}),
        ),
    ] {
        let asked = service.request(method, path).json(&body);
        let reply = service.send(asked).await;
        reply.problem(422, "invalid");
        assert!(
            reply.text().contains("an object"),
            "{path} {body}: {}",
            reply.text()
        );
    }
}

/// Sixteen megabytes of JSON of no use: they are measured before they are kept, where they would take a gigabyte.
#[tokio::test]
async fn json_that_is_no_rows_costs_no_memory() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("rbm")).await;
    let zeros = "0,".repeat(8 << 20);
    let lists = "[],".repeat(5 << 20);
    let before = peak_memory(service.pid());
    let v2 = "\"name\":\"inputs\",\"datatype\":\"FP32\",\"shape\":[1]";
    for (path, body) in [
        (
            "/v1/models/rbm/encode",
            format!("{{\"inputs\":[[1]],\"labels\":[{zeros}0]}}"),
        ),
        (
            "/v1/models/rbm/encode",
            format!("{{\"l\\u0061bels\":[{zeros}0]}}"),
        ),
        ("/v1/models/rbm/inpaint", format!("{{\"mask\":[{lists}0]}}")),
        (
            "/v1/models/rbm/score",
            format!("{{\"rows\":{{\"dataset\":[{lists}0]}}}}"),
        ),
        (
            "/v1/jobs",
            format!("{{\"dataset\":\"digits\",\"metadata\":{{\"a\":[{zeros}0]}}}}"),
        ),
        (
            "/v1/evaluations",
            format!("{{\"model\":\"rbm\",\"metrics\":[{lists}0]}}"),
        ),
        (
            "/v2/models/rbm/infer",
            format!("{{\"parameters\":{{\"a\":[{zeros}0]}}}}"),
        ),
        (
            "/v2/models/rbm/infer",
            format!("{{\"outputs\":[{lists}0]}}"),
        ),
        (
            "/v2/models/rbm/infer",
            format!("{{\"inputs\":[{{{v2},\"parameters\":{{\"headers\":[{lists}0]}}}}]}}"),
        ),
    ] {
        let reply = service.post_bytes(path, "application/json", body).await;
        assert!(
            [413, 422].contains(&reply.status),
            "{path}: {}",
            reply.text()
        );
    }
    let grown = peak_memory(service.pid()) - before;
    assert!(grown < 250 << 20, "the service grew by {} MiB", grown >> 20);
    let masked = json!({"inputs": [vec![0.5; 64]], "mask": vec![0; 64]});
    service
        .post("/v1/models/rbm/inpaint", &masked)
        .await
        .ok(200);
}
