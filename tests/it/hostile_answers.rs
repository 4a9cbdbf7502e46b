//! Answers that would be larger than the service may hold: refused before they are computed, by the field that asks
//! for so much, with the greatest number that is answered.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixtures::{file, form};
use crate::process::peak_memory;
use crate::service::{Service, until};
use crate::training::digits_job;

const COLUMNS: usize = 200_000;

/// Three rows of 200,000 columns, and models of them.
async fn wide(service: &Service) {
    let line = vec!["0.5"; COLUMNS].join(",");
    let csv = format!("{line}\n{line}\n{line}\n").into_bytes();
    let upload = file(form("wide", &[]), "train", csv);
    let made = service
        .request(Method::POST, "/v1/datasets")
        .multipart(upload);
    service.send(made).await.ok(201);
    for (name, model) in [
        ("machine", json!({"kind": "rbm", "hidden": 4})),
        (
            "net",
            json!({"kind": "autoencoder", "hidden": [4], "code": 2}),
        ),
    ] {
        let mut job = digits_job(name, &model, &json!({"epochs": 1, "batch_size": 3}));
        job["dataset"] = "wide".into();
        service.train(&job).await;
    }
}

#[tokio::test]
async fn an_answer_is_bounded_before_it_is_computed() {
    // One row as JSON, five as NPY.
    let service = Service::with_digits(&["--max-answer-mib", "4"]).await;
    wide(&service).await;
    let hidden = json!({"kind": "autoencoder", "hidden": [20_000], "code": 2});
    service
        .train(&digits_job(
            "broad",
            &hidden,
            &json!({"epochs": 1, "max_rows": 32}),
        ))
        .await;
    let before = peak_memory(service.pid());
    let rows = |limit: u64| json!({"dataset": "wide", "limit": limit});
    let codes = vec![[0.5; 4]; 400];
    let digits =
        |layer: Value| json!({"rows": {"dataset": "digits", "limit": 1000}, "layer": layer});
    for (path, body, pointer, most) in [
        (
            "machine/generate",
            json!({"n": 4096, "gibbs_steps": 1}),
            "/n",
            "at most 1,",
        ),
        (
            "machine/decode",
            json!({"inputs": codes}),
            "/inputs",
            "at most 1 rows",
        ),
        (
            "machine/reconstruct",
            json!({"rows": rows(4096)}),
            "/rows/limit",
            "at most 1,",
        ),
        (
            "net/interpolate",
            json!({"from": [], "to": [], "steps": 1024}),
            "/steps",
            "at most 1,",
        ),
        (
            "broad/encode",
            digits(json!(0)),
            "/rows/limit",
            "at most 8,",
        ),
    ] {
        let refused = service.post(&format!("/v1/models/{path}"), &body).await;
        refused.invalid(pointer);
        refused.says(most);
        refused.says("--max-answer-mib");
    }
    let npy = json!({"n": 4096, "gibbs_steps": 1});
    let refused = service
        .post_for("/v1/models/machine/generate", &npy, "application/x-npy")
        .await;
    refused.invalid("/n");
    refused.says("at most 5,");
    let tensors = json!({"parameters": {"n": 4096, "gibbs_steps": 1}});
    let refused = service
        .post("/v2/models/machine:generate/infer", &tensors)
        .await;
    refused.invalid("/parameters/n");
    refused.says("at most 1,");
    let page = service.get("/v1/datasets/wide/rows?limit=1000").await;
    page.invalid("/limit");
    page.says("at most 1,");
    let grown = peak_memory(service.pid()) - before;
    assert!(grown < 100 << 20, "the service grew by {} MiB", grown >> 20);
}

/// Of a thing that is answered with 16 MB: at most 64 MiB are held, whoever reads them or not.
#[tokio::test]
async fn answers_that_nobody_reads_have_a_bound() {
    let service = Service::start(&["--max-answer-mib", "16"]).await;
    wide(&service).await;
    let body = json!({"n": 20, "gibbs_steps": 1}).to_string();
    let request = format!(
        "POST /v1/models/machine/generate HTTP/1.1\r\nhost: localhost\r\naccept: application/x-npy\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let before = peak_memory(service.pid());
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..24 {
        let mut connection = TcpStream::connect(service.address())
            .await
            .expect("a connection");
        connection
            .write_all(request.as_bytes())
            .await
            .expect("sent");
        let mut status = [0; 12];
        connection.read_exact(&mut status).await.expect("an answer");
        match &status {
            b"HTTP/1.1 200" => held.push(connection),
            b"HTTP/1.1 429" => refused += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    // Each holds 16 MB less what the sockets between took of it.
    assert!(
        (3..24).contains(&held.len()) && refused > 0,
        "{} held",
        held.len()
    );
    let grown = peak_memory(service.pid()) - before;
    assert!(grown < 300 << 20, "the service grew by {} MiB", grown >> 20);
    // Small ones are answered all the same, and large ones once the others have left.
    service
        .post(
            "/v1/models/machine/score",
            &json!({"rows": {"dataset": "wide"}}),
        )
        .await
        .ok(200);
    drop(held);
    let large = json!({"n": 20, "gibbs_steps": 1});
    until("room", async || {
        let reply = service
            .post_for("/v1/models/machine/generate", &large, "application/x-npy")
            .await;
        (reply.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_fits_is_answered() {
    let service = Service::with_digits(&["--max-answer-mib", "4"]).await;
    wide(&service).await;
    let five = json!({"n": 5, "gibbs_steps": 1});
    let reply = service
        .post_for("/v1/models/machine/generate", &five, "application/x-npy")
        .await;
    assert!(reply.expect(200).body.len() >= 5 * 4 * COLUMNS);
    let one = json!({"n": 1, "gibbs_steps": 1});
    service
        .post("/v1/models/machine/generate", &one)
        .await
        .ok(200);
    // Of the 1000 rows that are asked for there is one.
    service
        .get("/v1/datasets/wide/rows?limit=1000&offset=2")
        .await
        .ok(200);
    let last = json!({"rows": {"dataset": "wide", "limit": 4096, "offset": 2}});
    service
        .post("/v1/models/machine/reconstruct", &last)
        .await
        .ok(200);
    let scores = json!({"rows": {"dataset": "wide", "limit": 3}});
    service
        .post("/v1/models/machine/score", &scores)
        .await
        .ok(200);
    let lines = json!({"rows": {"dataset": "wide", "limit": 3}});
    let told = service
        .post_for("/v1/models/machine/encode", &lines, "application/x-ndjson")
        .await;
    assert!(told.expect(200).text().contains("\"outputs\""));
}
