//! What a key may do at most, and what the audit log says of it.

use std::process::Output;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::reply::Reply;
use crate::service::{Service, until};
use crate::training::small_rbm;

const BINARY: &str = env!("CARGO_BIN_EXE_latentd");

/// `latentd keys` on the directory of a service.
pub fn keys(service: &Service, arguments: &[&str]) -> Output {
    std::process::Command::new(BINARY)
        .arg("keys")
        .args(arguments)
        .arg("--data-dir")
        .arg(service.data_dir())
        .output()
        .expect("the program runs")
}

/// A key made at the command line, once the service knows it.
pub async fn made(service: &Service, name: &str, more: &[&str]) -> String {
    let output = keys(service, &[&["create", "--name", name], more].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let key = String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned();
    assert!(key.starts_with("lk_"), "{key}");
    until("the service to know the key", || async {
        let reply = ask(service, Method::GET, "/v1/keys/me", &key).await;
        (reply.status != 401 && reply.status != 404).then_some(())
    })
    .await;
    key
}

pub async fn ask(service: &Service, method: Method, path: &str, key: &str) -> Reply {
    service
        .send(service.request(method, path).bearer_auth(key))
        .await
}

pub async fn post(service: &Service, path: &str, key: &str, body: &Value) -> Reply {
    let request = service.request(Method::POST, path).bearer_auth(key);
    service.send(request.json(body)).await
}

#[tokio::test]
async fn a_key_is_held_to_its_limits() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    let limits = [
        "--scopes",
        "train,data,read",
        "--requests-per-second",
        "50",
        "--jobs",
        "2",
        "--stored-mib",
        "1",
        "--job-samples",
        "10000",
    ];
    let key = made(&service, "limited", &limits).await;
    let reply = ask(&service, Method::GET, "/v1/jobs", &key).await;
    assert_eq!(reply.header("ratelimit-limit"), "50");
    assert!(!reply.header("ratelimit-remaining").is_empty());
    let mut job = small_rbm("a");
    let first = post(&service, "/v1/jobs", &key, &job).await.ok(202);
    post(&service, "/v1/jobs", &key, &job).await.expect(202);
    let third = post(&service, "/v1/jobs", &key, &job).await;
    third.problem(429, "job_limit");
    assert!(
        third
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|seconds| seconds > 0)
    );
    let me = ask(&service, Method::GET, "/v1/keys/me", &key)
        .await
        .ok(200);
    assert_eq!(me["usage"]["jobs"], 2);
    let cancel = format!("/v1/jobs/{}/cancel", first["id"].as_str().expect("an id"));
    ask(&service, Method::POST, &cancel, &key).await.expect(200);
    job["training"]["epochs"] = json!(7);
    post(&service, "/v1/jobs", &key, &job)
        .await
        .invalid("/training/epochs");
    job["training"]["epochs"] = json!(6);
    post(&service, "/v1/jobs", &key, &job).await.expect(202);

    let upload = async |name: &str, rows: usize| {
        let csv = "0.5,0.25,0.125,1.5\n".repeat(rows);
        let form = Form::new()
            .text("name", name.to_owned())
            .part("train", Part::bytes(csv.into_bytes()));
        let request = service
            .request(Method::POST, "/v1/datasets")
            .bearer_auth(&key);
        service.send(request.multipart(form)).await
    };
    upload("half", 40_000).await.expect(201);
    upload("more", 40_000).await.problem(413, "too_large");
    ask(&service, Method::DELETE, "/v1/datasets/half", &key)
        .await
        .expect(204);
    upload("again", 40_000).await.expect(201);

    let mut refused = None;
    for _ in 0..400 {
        let reply = ask(&service, Method::GET, "/v1/keys/me", &key).await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-remaining"), "0");
}

#[tokio::test]
async fn the_audit_log_says_who_did_what() {
    let service = Service::with_digits(&[]).await;
    let admin = made(&service, "admin", &["--scopes", "admin"]).await;
    let reader = made(&service, "reader", &["--scopes", "read"]).await;
    // Both keys were refused until the service knew them, and of refusals only some are written down.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let body = json!({"name": "again", "builtin": "digits"});
    post(&service, "/v1/datasets", &admin, &body)
        .await
        .expect(201);
    post(&service, "/v1/datasets", &reader, &body)
        .await
        .expect(403);
    ask(&service, Method::GET, "/v1/datasets", &reader)
        .await
        .expect(200);
    ask(&service, Method::DELETE, "/v1/datasets/nothing", &admin)
        .await
        .expect(404);
    service.get("/v1/datasets").await.expect(401);
    let log = ask(&service, Method::GET, "/v1/audit?limit=1000", &admin)
        .await
        .ok(200);
    let lines: Vec<String> = log["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| {
            let text = |field: &str| line[field].as_str().unwrap_or("-").to_owned();
            let (who, what, object) = (text("key_name"), text("operation"), text("object"));
            assert!(line["request_id"].is_string() && line["at"].is_string());
            assert_eq!(text("address"), "127.0.0.1");
            format!("{who} {what} {object} {} {}", line["status"], text("code"))
        })
        .filter(|line| line.contains("datasets"))
        .collect();
    assert_eq!(
        lines,
        [
            "- list_datasets /v1/datasets 401 unauthorized",
            "admin delete_dataset /v1/datasets/nothing 404 not_found",
            "reader create_dataset /v1/datasets 403 forbidden",
            "admin create_dataset /v1/datasets 201 -",
        ]
    );
    let request = service
        .request(Method::GET, "/v1/audit?limit=2")
        .bearer_auth(&admin);
    let lines = service
        .send(request.header("accept", "application/x-ndjson"))
        .await;
    assert_eq!(lines.whole_text().lines().count(), 2);
    assert!(!lines.whole_text().contains(&admin));
    ask(&service, Method::GET, "/v1/audit", &reader)
        .await
        .problem(403, "forbidden");
}
