//! Bodies that come and go compressed or as tensors, and answers that are streamed.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::ZlibEncoder;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

use crate::fixtures::{assert_near, first_digits, gz, gz_bomb, read_npy};
use crate::process::own_memory;
use crate::service::Service;
use crate::training::{digits_job, small_autoencoder};

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn bodies_are_read_and_written_compressed() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("ae")).await;
    let body = json!({"inputs": first_digits(&service, 40).await});
    let plain = service.post("/v1/models/ae/encode", &body).await.ok(200);
    let bytes = serde_json::to_vec(&body).expect("JSON");
    let ask = |encoding: &str, bytes: Vec<u8>| {
        service
            .request(Method::POST, "/v1/models/ae/encode")
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
            .body(bytes)
    };
    let zstd = zstd::encode_all(bytes.as_slice(), 1).expect("memory");
    for (encoding, sent) in [
        ("gzip", gz(&bytes)),
        ("deflate", deflated(&bytes)),
        ("zstd", zstd),
    ] {
        let reply = service.send(ask(encoding, sent)).await.ok(200);
        assert_eq!(reply["outputs"], plain["outputs"], "{encoding}");
        let wanted = service
            .request(Method::POST, "/v1/models/ae/encode")
            .header("accept-encoding", encoding)
            .json(&body);
        let reply = service.send(wanted).await;
        reply.expect(200);
        assert_eq!(reply.header("content-encoding"), encoding);
        let mut unpacked = Vec::new();
        let read = match encoding {
            "gzip" => GzDecoder::new(reply.body.as_slice()).read_to_end(&mut unpacked),
            "deflate" => ZlibDecoder::new(reply.body.as_slice()).read_to_end(&mut unpacked),
            _ => zstd::Decoder::new(reply.body.as_slice())
                .expect("a frame")
                .read_to_end(&mut unpacked),
        };
        read.expect("whole");
        let unpacked: Value = serde_json::from_slice(&unpacked).expect("JSON");
        assert_eq!(unpacked["outputs"], plain["outputs"], "{encoding}");
    }
    service
        .send(ask("br", bytes.clone()))
        .await
        .problem(415, "unsupported_media_type");
    service
        .send(ask("gzip", b"no gzip at all".to_vec()))
        .await
        .problem(400, "malformed");
    // 64 MiB once unpacked, and the limit is 32.
    service
        .send(ask("gzip", gz_bomb(b"{", 64 << 20)))
        .await
        .problem(413, "too_large");
}

#[tokio::test]
async fn tensors_go_in_and_come_out_by_name() {
    let service = Service::with_digits(&[]).await;
    let vae = json!({"kind": "vae", "hidden": [24], "latent": 3});
    service
        .train(&digits_job("vae", &vae, &json!({"epochs": 1})))
        .await;
    let digits = first_digits(&service, 5).await;
    let values = digits.iter().flatten().flat_map(|v| v.to_le_bytes());
    let values: Vec<u8> = values.collect();
    let file = |name: &str, shape: &[usize]| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &values).expect("fits");
        safetensors::serialize([(name, view)], None).expect("memory")
    };
    let (path, kind) = ("/v1/models/vae/encode", "application/x-safetensors");
    let ask = |body: Vec<u8>| {
        service
            .request(Method::POST, path)
            .header("content-type", kind)
            .header("accept", kind)
            .body(body)
    };
    let json = service.post(path, &json!({"inputs": digits})).await.ok(200);
    let reply = service.send(ask(file("inputs", &[5, 1, 8, 8]))).await;
    reply.expect(200);
    assert_eq!(reply.header("content-type"), kind);
    let tensors = SafeTensors::deserialize(&reply.body).expect("safetensors");
    for name in ["outputs", "mean", "log_variance"] {
        let tensor = tensors.tensor(name).expect("it is there");
        assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[5, 3][..]));
        let (numbers, _) = tensor.data().as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|v| f32::from_le_bytes(*v)).collect();
        assert_near(&json!(numbers[..3]), &json[name][0], 1e-5, name);
    }
    let (_, header) = SafeTensors::read_metadata(&reply.body).expect("a header");
    let note = &header.metadata().as_ref().expect("a note")["latentd"];
    let note: Value = serde_json::from_str(note).expect("JSON");
    assert_eq!(
        (&note["model"], &note["version"]),
        (&json!("vae"), &json!(1))
    );

    // What comes out of `encode` goes into `decode` as it is.
    let codes = tensors.tensor("outputs").expect("it is there");
    let body = safetensors::serialize([("inputs", codes)], None).expect("memory");
    let decoded = service
        .post_bytes("/v1/models/vae/decode", kind, body)
        .await
        .ok(200);
    let wanted = json!({"inputs": json["outputs"]});
    let wanted = service.post("/v1/models/vae/decode", &wanted).await.ok(200);
    assert_near(
        &decoded["outputs"][4],
        &wanted["outputs"][4],
        1e-5,
        "decoded",
    );

    for (what, body) in [
        ("another name", file("x", &[5, 64])),
        ("another width", file("inputs", &[64, 5])),
        ("cut short", file("inputs", &[5, 64])[..400].to_vec()),
        ("no file", b"{}".to_vec()),
    ] {
        println!("{what}");
        service.send(ask(body)).await.invalid("/inputs");
    }
    // Every draw by the same seed is the same file.
    let two = json!({"n": 2, "seed": 9});
    let draw = || service.post_for("/v1/models/vae/generate", &two, kind);
    assert_eq!(draw().await.body, draw().await.body);
}

#[tokio::test]
async fn rows_of_a_whole_data_set_are_streamed() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("ae")).await;
    let body = |limit: u64| json!({"rows": {"dataset": "digits", "split": "train", "offset": 3, "limit": limit}});
    let some = service
        .post("/v1/models/ae/reconstruct", &body(1000))
        .await
        .ok(200);
    let npy = service
        .post_for(
            "/v1/models/ae/reconstruct",
            &body(100_000),
            "application/x-npy",
        )
        .await;
    npy.expect(200);
    let (shape, values) = read_npy(&npy.body);
    assert_eq!(shape, [1434, 1, 8, 8]);
    assert_eq!(values.len(), 1434 * 64);
    let lines = service
        .post_for(
            "/v1/models/ae/reconstruct",
            &body(100_000),
            "application/x-ndjson",
        )
        .await;
    lines.expect(200);
    let lines: Vec<Value> = lines
        .whole_text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut next = 3;
    for line in &lines {
        assert_eq!(line["offset"], next);
        let rows = line["rows"].as_u64().expect("a number");
        assert_eq!(
            line["outputs"].as_array().map(Vec::len),
            Some(rows as usize)
        );
        assert_eq!(line["errors"].as_array().map(Vec::len), Some(rows as usize));
        next += rows;
    }
    assert_eq!(next, 1437);
    assert_near(
        &lines[0]["outputs"][0],
        &some["outputs"][0],
        1e-5,
        "the first row",
    );
    let row = &lines[2]["outputs"][7];
    assert_near(row, &some["outputs"][2 * 256 + 7], 1e-5, "a later row");
    assert_near(row, &json!(values[519 * 64..520 * 64]), 1e-5, "as npy");

    service
        .post("/v1/models/ae/reconstruct", &body(5000))
        .await
        .invalid("/rows/limit");
    service
        .post("/v1/models/ae/reconstruct", &body(0))
        .await
        .invalid("/rows/limit");
    let beyond = json!({"rows": {"dataset": "digits", "offset": 5000, "limit": 5000}});
    let accept = "application/x-npy";
    service
        .post_for("/v1/models/ae/reconstruct", &beyond, accept)
        .await
        .invalid("/rows/offset");
    let nowhere = json!({"rows": {"dataset": "digits", "split": "tset", "limit": 5000}});
    service
        .post_for("/v1/models/ae/reconstruct", &nowhere, accept)
        .await
        .invalid("/rows/split");
}

/// Every chunk of a stream that draws numbers draws its own, and the same seed draws them again.
#[tokio::test]
async fn a_stream_is_the_same_for_the_same_seed() {
    let service = Service::with_digits(&[]).await;
    let job = digits_job(
        "rbm",
        &json!({"kind": "rbm", "hidden": 24}),
        &json!({"epochs": 1}),
    );
    service.train(&job).await;
    let body = |seed: u64| json!({"rows": {"dataset": "digits", "limit": 600}, "gibbs_steps": 2, "seed": seed});
    let ask = async |seed| {
        let accept = "application/x-ndjson";
        let reply = service
            .post_for("/v1/models/rbm/reconstruct", &body(seed), accept)
            .await;
        reply.expect(200);
        assert_eq!(reply.header("x-latentd-seed"), seed.to_string());
        reply.whole_text()
    };
    assert_eq!(ask(5).await, ask(5).await);
    assert_ne!(ask(5).await, ask(6).await);
}

/// A client that reads slowly, or not at all, costs the service a chunk and no more.
#[tokio::test]
async fn a_stream_takes_no_memory() {
    let service = Service::start(&[]).await;
    let width = 2048;
    let rows = 20_000;
    let values: Vec<f32> = (0..rows * width).map(|i| (i % 7) as f32 / 7.0).collect();
    let upload = crate::fixtures::npy(&[rows, width], &values);
    drop(values);
    let form = Form::new()
        .text("name", "wide")
        .part("train", Part::bytes(upload));
    let request = service
        .request(Method::POST, "/v1/datasets")
        .multipart(form);
    service.send(request).await.expect(201);
    let mut job = digits_job(
        "pca",
        &json!({"kind": "pca", "code": 4}),
        &json!({"max_rows": 3000}),
    );
    job["dataset"] = json!("wide");
    service.train(&job).await;
    let ask = |limit: u64| json!({"rows": {"dataset": "wide", "limit": limit}});
    let accept = "application/x-npy";
    let first = service
        .post_for("/v1/models/pca/reconstruct", &ask(5000), accept)
        .await;
    first.expect(200);
    let before = own_memory(service.pid());
    let request = service
        .request(Method::POST, "/v1/models/pca/reconstruct")
        .header("accept", accept)
        .json(&ask(20_000));
    let mut response = request.send().await.expect("an answer");
    let (mut bytes, mut most) = (0, 0);
    while let Some(chunk) = response.chunk().await.expect("a chunk") {
        bytes += chunk.len();
        most = most.max(own_memory(service.pid()));
    }
    assert!(bytes > rows * width * 4, "{bytes} bytes");
    assert!(
        most < before + (64 << 20),
        "{} MiB before, {} MiB while {} MiB were streamed",
        before >> 20,
        most >> 20,
        bytes >> 20
    );
}

/// What is done is answered, also to who says that nothing but a packing will do.
#[tokio::test]
async fn who_refuses_answers_as_they_are_gets_them_all_the_same() {
    let service = Service::with_digits(&[]).await;
    for refusing in ["identity;q=0", "*;q=0", "br, identity; q=0.0"] {
        let ask = |method: Method, path: &str| {
            let request = service.request(method, path);
            request.header("accept-encoding", refusing)
        };
        let made = ask(Method::POST, "/v1/jobs").json(&small_autoencoder("x"));
        let made = service.send(made).await;
        made.expect(202);
        assert!(made.header("location").starts_with("/v1/jobs/"));
        service
            .send(ask(Method::GET, "/v1/datasets/digits/preview.png"))
            .await
            .expect(200);
        service
            .send(ask(Method::GET, "/v1/nothing"))
            .await
            .problem(404, "not_found");
    }
}
