//! Requests of the Open Inference Protocol that are broken in every way but one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::Arbitrary;
use crate::reply::Reply;
use crate::service::Service;
use crate::training::small_autoencoder;
use crate::v2::{HEAD, binary, bytes, infer};

#[tokio::test]
async fn a_broken_request_is_told_what_is_wrong_with_it() {
    let service = Service::with_digits(&["--max-body-mib", "1"]).await;
    service.train(&small_autoencoder("net")).await;
    let row = bytes(&[0.5; 64]);
    let input = |shape: Value, size: Value| {
        json!({"inputs": [{"name": "inputs", "shape": shape, "datatype": "FP32",
        "parameters": {"binary_data_size": size}}]})
    };
    let whole = input(json!([1, 64]), json!(256));
    parts_ok(&infer(&service, "net", &whole, &row).await);
    let huge = i64::MAX;
    for (head, tail, pointer) in [
        (
            input(json!([1, 64]), json!(256)),
            &row[..200],
            "/inputs/0/parameters/binary_data_size",
        ),
        (
            input(json!([1, 64]), json!(200)),
            &row[..200],
            "/inputs/0/parameters/binary_data_size",
        ),
        (
            input(json!([1, 64]), json!(u64::MAX)),
            &row,
            "/inputs/0/parameters/binary_data_size",
        ),
        (
            input(json!([huge, huge]), json!(256)),
            &row,
            "/inputs/0/shape",
        ),
        (
            input(json!([1_000_000_000, 64]), json!(256)),
            &row,
            "/inputs/0/shape",
        ),
        (input(json!([-1, 64]), json!(256)), &row, "/inputs/0/shape"),
        (input(json!([]), json!(4)), &row, "/inputs/0/shape"),
        (input(json!([0, 64]), json!(0)), &[], "/inputs"),
        (input(json!([4, 16]), json!(256)), &row, "/inputs/0"),
        (
            input(json!([1, 64]), json!(-256)),
            &row,
            "/inputs/0/parameters/binary_data_size",
        ),
        (
            json!({"inputs": [{"name": "inputs", "shape": [1, 64], "datatype": "FP32"}]}),
            &[],
            "/inputs/0/data",
        ),
        (json!({"inputs": []}), &[], "/inputs"),
        (json!({}), &[], "/inputs"),
        (json!({"inputs": [], "colour": 1}), &[], "/colour"),
        (json!({"inputs": [{"name": "inputs"}]}), &[], "/inputs/0"),
    ] {
        infer(&service, "net", &head, tail).await.invalid(pointer);
    }
    let asked = |extra: Value| {
        let mut head = whole.clone();
        head.as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        head
    };
    for (extra, pointer) in [
        (json!({"outputs": [{"name": "nothing"}]}), "/outputs/0/name"),
        (
            json!({"outputs": [{"name": "outputs"}, {"name": "outputs"}]}),
            "/outputs/1/name",
        ),
        (json!({"parameters": {"layr": 1}}), "/parameters/layr"),
        (json!({"parameters": {"layer": 9}}), "/parameters/layer"),
        (
            json!({"parameters": {"timeout": "soon"}}),
            "/parameters/timeout",
        ),
        (
            json!({"parameters": {"sequence_id": 1}}),
            "/parameters/sequence_id",
        ),
        (
            json!({"parameters": {"priority": "urgent"}}),
            "/parameters/priority",
        ),
        (
            json!({"parameters": {"timeout_ms": 0}}),
            "/parameters/timeout_ms",
        ),
        (
            json!({"parameters": {"layer": 0, "layer.x": 1}}),
            "/parameters/layer.x",
        ),
    ] {
        infer(&service, "net", &asked(extra), &row)
            .await
            .invalid(pointer);
    }
    // An option that came as a tensor stands there, not among the parameters.
    for (values, rows) in [(&[0.5; 64][..], 1), (&[1.0; 192], 3), (&[1.0; 32], 1)] {
        let head = json!({"inputs": [binary("inputs", &[1, 64], "FP32", 256),
            binary("mask", &[rows, values.len() / rows], "FP32", 4 * values.len())]});
        let tail = [row.clone(), bytes(values)].concat();
        let answer = infer(&service, "net:inpaint", &head, &tail).await;
        answer.invalid("/inputs/1");
    }
    infer(
        &service,
        "net",
        &asked(json!({"parameters": {"timeout": 1}})),
        &row,
    )
    .await
    .problem(504, "deadline_passed");
    infer(&service, "net", &whole, &[row.as_slice(), &[0]].concat())
        .await
        .problem(400, "malformed");
    // Not a byte of the JSON is where it should be.
    for length in ["0", "7", "9999999", "-1", "many", "99999999999999999999"] {
        let request = service.request(Method::POST, "/v2/models/net/infer");
        let sent = service
            .send(request.header(HEAD, length).body(whole.to_string()))
            .await;
        sent.problem(400, "malformed");
    }
    for (model, status, code) in [
        ("nowhere", 404, "not_found"),
        ("net:shout", 404, "not_found"),
        ("net:2", 404, "not_found"),
        ("net/versions/x", 404, "not_found"),
        ("net@best/versions/1", 400, "malformed"),
        ("net:predict", 422, "unsupported_operation"),
        ("net:topics", 422, "unsupported_operation"),
    ] {
        infer(&service, model, &whole, &row)
            .await
            .problem(status, code);
    }
    service
        .get("/v2/models/net/infer")
        .await
        .problem(405, "method_not_allowed");
    let large = vec![0.0; 64 * 8192];
    infer(
        &service,
        "net",
        &input(json!([8192, 64]), json!(2_097_152)),
        &bytes(&large),
    )
    .await
    .problem(413, "too_large");
}

#[track_caller]
fn parts_ok(reply: &Reply) {
    assert_eq!(reply.ok(200)["outputs"][0]["shape"], json!([1, 8]));
}

#[tokio::test]
async fn arbitrary_bytes_are_no_reason_to_fail() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("net")).await;
    let head = json!({"id": "x", "parameters": {"layer": 0}, "inputs": [binary("inputs", &[2, 64], "FP32", 512)],
        "outputs": [{"name": "outputs", "parameters": {"binary_data": true}}]});
    let text = head.to_string();
    let whole = [text.as_bytes(), &bytes(&[0.25; 128])].concat();
    let mut dice = Arbitrary(11);
    for round in 0..400 {
        let mut body = whole.clone();
        let mut length = text.len();
        match round % 4 {
            0 => body.truncate(usize::try_from(dice.below(whole.len() as u64)).expect("small")),
            1 => length = usize::try_from(dice.below(2 * whole.len() as u64)).expect("small"),
            _ => {
                for _ in 0..=dice.below(3) {
                    let at = usize::try_from(dice.below(text.len() as u64)).expect("small");
                    body[at] = dice.bytes(1)[0];
                }
            }
        }
        let request = service.request(Method::POST, "/v2/models/net/infer");
        let sent = service.send(request.header(HEAD, length).body(body)).await;
        assert!(
            sent.status == 200 || (400..500).contains(&sent.status),
            "{}",
            sent.text()
        );
    }
}
