//! The Open Inference Protocol without any client of it: what is asked as it should be.

use std::io::Write;

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::{gz, gz_bomb, rows};
use crate::reply::Reply;
use crate::service::Service;
use crate::training::small_autoencoder;
use crate::tritonclient::train_models;

pub const HEAD: &str = "inference-header-content-length";

/// Asks with a JSON head and bytes behind it.
pub async fn infer(service: &Service, model: &str, head: &Value, tail: &[u8]) -> Reply {
    let head = head.to_string();
    let body = [head.as_bytes(), tail].concat();
    let request = service.request(Method::POST, &format!("/v2/models/{model}/infer"));
    service
        .send(request.header(HEAD, head.len()).body(body))
        .await
}

pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, []) = bytes.as_chunks::<4>() else {
        panic!("not whole floats")
    };
    values.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn numbers(list: &Value) -> Vec<f32> {
    serde_json::from_value(list.clone()).expect("numbers")
}

pub fn binary(name: &str, shape: &[usize], datatype: &str, size: usize) -> Value {
    json!({"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}})
}

/// The JSON of an answer and the bytes behind it.
fn parts(reply: &Reply) -> (Value, &[u8]) {
    let length = reply.expect(200).header(HEAD).parse().expect("a length");
    let (head, tail) = reply.body.split_at(length);
    (serde_json::from_slice(head).expect("JSON"), tail)
}

async fn digits(service: &Service, limit: usize) -> (Vec<f32>, Vec<i64>) {
    let path = format!("/v1/datasets/digits/rows?split=test&limit={limit}");
    let page = service.get(&path).await.ok(200);
    let labels = serde_json::from_value(page["labels"].clone()).expect("labels");
    (rows(&page["rows"]).concat(), labels)
}

/// A verb of a model, asked with exactly the tensors that its metadata lists, answers those that it lists.
pub async fn answers_as_described(service: &Service, model: &str) {
    let metadata = service.get(&format!("/v2/models/{model}")).await.ok(200);
    let config = service
        .get(&format!("/v2/models/{model}/config"))
        .await
        .ok(200);
    let described = |list: &Value| list.as_array().expect("a list").clone();
    let mut inputs = described(&metadata["inputs"]);
    for input in &mut inputs {
        let mut shape: Vec<i64> = serde_json::from_value(input["shape"].clone()).expect("a shape");
        shape[0] = if shape[0] == -1 { 2 } else { shape[0] };
        let count = usize::try_from(shape.iter().product::<i64>()).expect("a size");
        let value = if input["name"] == "inputs" {
            json!(0.5)
        } else {
            json!(0)
        };
        input["shape"] = json!(shape);
        input["data"] = json!(vec![value; count]);
    }
    let answer = service
        .post(
            &format!("/v2/models/{model}/infer"),
            &json!({"inputs": inputs}),
        )
        .await
        .ok(200);
    let (outputs, listed) = (
        described(&answer["outputs"]),
        described(&metadata["outputs"]),
    );
    assert_eq!(outputs.len(), listed.len(), "{model}: {metadata}");
    for (output, listed) in outputs.iter().zip(&listed) {
        let shape = &output["shape"].as_array().expect("a shape")[1..];
        assert_eq!(
            shape,
            &listed["shape"].as_array().expect("a shape")[1..],
            "{model}: {listed}"
        );
        for field in ["name", "datatype"] {
            assert_eq!(output[field], listed[field], "{model}");
        }
    }
    for (side, tensors) in [
        ("input", &metadata["inputs"]),
        ("output", &metadata["outputs"]),
    ] {
        let names = |list: &Value| -> Vec<Value> {
            described(list).iter().map(|t| t["name"].clone()).collect()
        };
        assert_eq!(names(&config[side]), names(tensors), "{model}: {config}");
    }
}

#[tokio::test]
async fn written_binary_and_mixed_requests_get_the_answer_of_v1() {
    let service = Service::with_digits(&[]).await;
    train_models(&service).await;
    let (x, labels) = digits(&service, 3).await;
    let inputs: Vec<&[f32]> = x.chunks(64).collect();
    let asked = service
        .post(
            "/v1/models/drawn/encode",
            &json!({"inputs": inputs, "labels": labels}),
        )
        .await
        .ok(200);
    let codes = rows(&asked["outputs"]).concat();

    let written = json!({"id": "a", "inputs": [
        {"name": "inputs", "shape": [3, 1, 8, 8], "datatype": "FP32", "data": [inputs]},
        {"name": "labels", "shape": [3], "datatype": "INT64", "data": labels},
    ]});
    let answer = service.post("/v2/models/drawn/infer", &written).await;
    assert_eq!(answer.header(HEAD), "");
    let answer = answer.ok(200);
    assert_eq!(
        (&answer["id"], &answer["model_version"]),
        (&json!("a"), &json!("1"))
    );
    let names: Vec<&str> = answer["outputs"]
        .as_array()
        .expect("outputs")
        .iter()
        .filter_map(|o| o["name"].as_str())
        .collect();
    assert_eq!(names, ["outputs", "mean", "log_variance"]);
    assert_eq!(answer["outputs"][0]["shape"], json!([3, 6]));
    assert_eq!(numbers(&answer["outputs"][0]["data"]), codes);

    let behind: Vec<u8> = labels.iter().flat_map(|l| l.to_le_bytes()).collect();
    let values = bytes(&x);
    for (head, tail) in [
        (
            json!({"inputs": [binary("inputs", &[3, 64], "FP32", values.len()), binary("labels", &[3, 1], "INT64",
                24)]}),
            [values.clone(), behind.clone()].concat(),
        ),
        (
            json!({"inputs": [binary("labels", &[3], "INT64", 24), {"name": "inputs", "shape": [3, 64],
                "datatype": "FP32", "data": x}]}),
            behind,
        ),
        (
            json!({"inputs": [binary("inputs", &[3, 64], "FP32", values.len())], "parameters": {"labels": labels}}),
            values,
        ),
    ] {
        let mut head = head;
        head["parameters"]["binary_data_output"] = json!(true);
        head["outputs"] =
            json!([{"name": "mean", "parameters": {"binary_data": false}}, {"name": "outputs"}]);
        let reply = infer(&service, "drawn%3Aencode", &head, &tail).await;
        let (answer, tail) = parts(&reply);
        assert_eq!(answer["model_name"], "drawn:encode");
        assert_eq!(
            answer["outputs"][1]["parameters"]["binary_data_size"],
            tail.len()
        );
        assert!(answer["outputs"][1].get("data").is_none());
        assert_eq!(floats(tail), codes);
        assert_eq!(
            numbers(&answer["outputs"][0]["data"]),
            rows(&asked["mean"]).concat()
        );
    }
}

#[tokio::test]
async fn bodies_may_be_packed_and_answers_are_only_where_clients_read_them() {
    let service = Service::with_digits(&["--max-body-mib", "1"]).await;
    service.train(&small_autoencoder("net")).await;
    let head = json!({"inputs": [binary("inputs", &[50, 64], "FP32", 12_800)],
        "parameters": {"binary_data_output": true}});
    let text = head.to_string();
    let body = [text.as_bytes(), &bytes(&[0.5; 3200])].concat();
    let ask = async |encoding: &str, body: Vec<u8>, accept: &str| {
        let request = service
            .request(Method::POST, "/v2/models/net:reconstruct/infer")
            .header(HEAD, text.len())
            .header("content-encoding", encoding)
            .header("accept-encoding", accept);
        service.send(request.body(body)).await
    };
    let plain = ask("identity", body.clone(), "identity").await;
    let (_, images) = parts(&plain);
    assert_eq!(plain.header("content-encoding"), "");
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&body).expect("memory");
    let zlib = zlib.finish().expect("memory");
    for (encoding, packed) in [("gzip", gz(&body)), ("deflate", zlib)] {
        let reply = ask(encoding, packed, "identity").await;
        assert_eq!(parts(&reply).1, images);
    }
    let packed = ask("identity", body.clone(), "zstd, br, gzip, deflate").await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(packed.body.as_slice());
    std::io::Read::read_to_end(&mut reader, &mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);

    ask("br", body.clone(), "gzip")
        .await
        .problem(415, "unsupported_media_type");
    ask("gzip", body, "gzip").await.problem(400, "malformed");
    let bomb = gz_bomb(text.as_bytes(), 256 << 20);
    ask("gzip", bomb, "gzip").await.problem(413, "too_large");
    // Clients do not unpack these, whatever they say they accept.
    for path in ["/v2/models/net", "/v2/models/stats", "/v2/models/nowhere"] {
        let request = service
            .request(Method::GET, path)
            .header("accept-encoding", "gzip, deflate, zstd");
        let reply = service.send(request).await;
        assert_eq!(reply.header("content-encoding"), "", "{path}");
    }
}

#[tokio::test]
async fn what_was_unloaded_is_not_ready_until_it_is_asked() {
    let service = Service::with_digits(&[]).await;
    for _ in 0..2 {
        service.train(&small_autoencoder("net")).await;
    }
    let index = async |body: &'static str| {
        let request = service
            .request(Method::POST, "/v2/repository/index")
            .body(body);
        let index = service.send(request).await.ok(200);
        let states = index.as_array().expect("a list").clone();
        states
            .iter()
            .map(|e| {
                (
                    e["version"].as_str().expect("a version").to_owned(),
                    e["state"] == "READY",
                )
            })
            .collect::<Vec<_>>()
    };
    let is = |version: &str, ready: bool| (version.to_owned(), ready);
    assert_eq!(index("").await, [is("2", true), is("1", true)]);
    let order = async |what: &str| {
        let request = service.request(Method::POST, &format!("/v2/repository/models/{what}"));
        service.send(request).await.expect(200);
    };
    order("net/unload").await;
    assert_eq!(index("{}").await, [is("2", false), is("1", false)]);
    assert_eq!(index(r#"{"ready": true}"#).await, []);
    service
        .get("/v2/models/net/ready")
        .await
        .problem(503, "unloaded");
    order("net/load").await;
    assert_eq!(index("").await, [is("2", true), is("1", false)]);
    service.get("/v2/models/net/ready").await.expect(200);
    let body = json!({"rows": {"dataset": "digits", "limit": 1}});
    service
        .post("/v1/models/net:1/encode", &body)
        .await
        .expect(200);
    assert_eq!(index("").await, [is("2", true), is("1", true)]);
    order("net:2/unload").await;
    service
        .get("/v2/models/net/versions/2/ready")
        .await
        .problem(503, "unloaded");
    service
        .get("/v2/models/net/versions/1/ready")
        .await
        .expect(200);
    service
        .post(
            "/v2/repository/models/net/load",
            &json!({"parameters": {"config": "{}"}}),
        )
        .await
        .invalid("/parameters/config");
    service
        .post_bytes("/v2/repository/index", "application/json", "{")
        .await
        .problem(400, "malformed");
    let live = service.get("/v2/health/live").await.ok(200);
    assert_eq!(live, json!({"live": true}));
    assert_eq!(
        service.get("/v2/health/ready").await.ok(200),
        json!({"ready": true})
    );
}

/// Clients of other servers send `content_type` and `headers` along; a mistyped parameter of ours is told.
#[tokio::test]
async fn what_other_servers_are_told_says_nothing_here() {
    let service = Service::with_digits(&[]).await;
    service
        .train(&crate::training::small_autoencoder("net"))
        .await;
    let ask = |request: Value, tensor: Value, output: Value| {
        let input = json!({"name": "inputs", "shape": [1, 64], "datatype": "FP32", "data": vec![0.5; 64],
            "parameters": tensor});
        json!({"parameters": request, "inputs": [input], "outputs": [{"name": "outputs", "parameters": output}]})
    };
    let others = json!({"content_type": "np", "headers": {"x": ["y", {"z": 1}]}});
    let none = json!({});
    let path = "/v2/models/net/infer";
    let plain = service
        .post(path, &ask(none.clone(), none.clone(), none.clone()))
        .await
        .ok(200);
    let asked = ask(others.clone(), others.clone(), others.clone());
    let told = service.post(path, &asked).await.ok(200);
    assert_eq!(told["outputs"], plain["outputs"]);
    let wrong = json!({"content_type": "np", "layr": 0});
    for (asked, pointer) in [
        (
            ask(wrong.clone(), none.clone(), none.clone()),
            "/parameters/layr",
        ),
        (
            ask(none.clone(), wrong.clone(), none.clone()),
            "/inputs/0/parameters/layr",
        ),
        (ask(none.clone(), none, wrong), "/outputs/0/parameters/layr"),
    ] {
        service.post(path, &asked).await.invalid(pointer);
    }
}
