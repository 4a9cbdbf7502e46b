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
async fn limits_hold_for_pretraining_and_for_what_others_asked() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    let admin = made(&service, "admin", &["--scopes", "admin"]).await;
    let flags = [
        "--scopes",
        "train,read",
        "--job-samples",
        "10000",
        "--models",
        "l*",
    ];
    let key = made(&service, "limited", &flags).await;
    let model = json!({"kind": "dbn", "hidden": [8, 8], "head": "classifier", "pretraining": {"epochs": 1000}});
    let mut job = json!({"name": "l", "dataset": "digits", "model": model,
        "training": {"epochs": 1, "max_rows": 500}});
    let refused = post(&service, "/v1/jobs", &key, &job).await;
    refused.says("pretraining").invalid("/training/epochs");
    job["model"]["pretraining"]["epochs"] = json!(1);
    post(&service, "/v1/jobs", &key, &job).await.expect(202);
    // What an administrator asked for is more than this key may ask for again.
    job["training"]["epochs"] = json!(50);
    let large = post(&service, "/v1/jobs", &admin, &job).await.ok(202);
    let path = format!("/v1/jobs/{}", large["id"].as_str().expect("an id"));
    ask(&service, Method::POST, &format!("{path}/cancel"), &admin)
        .await
        .expect(200);
    let retry = format!("{path}/retry");
    ask(&service, Method::POST, &retry, &key)
        .await
        .invalid("/training/epochs");
    ask(&service, Method::POST, &retry, &admin)
        .await
        .expect(202);
}

#[tokio::test]
async fn the_service_stays_closed_once_there_was_a_key() {
    let service = Service::start(&[]).await;
    let admin = made(&service, "admin", &["--scopes", "admin"]).await;
    ask(&service, Method::DELETE, "/v1/keys/admin", &admin)
        .await
        .expect(204);
    service
        .get("/v1/datasets")
        .await
        .problem(401, "unauthorized");
    let again = made(&service, "again", &["--scopes", "admin"]).await;
    let log = ask(&service, Method::GET, "/v1/audit?limit=1000", &again)
        .await
        .ok(200);
    let lines: Vec<_> = log["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|line| {
            line["operation"]
                .as_str()
                .is_some_and(|o| o.ends_with("e_key"))
        })
        .map(|line| (line["operation"].as_str(), line["address"].as_str()))
        .collect();
    let by_hand = Some("command line");
    assert_eq!(
        lines,
        [
            (Some("create_key"), by_hand),
            (Some("revoke_key"), Some("127.0.0.1")),
            (Some("create_key"), by_hand),
        ]
    );
}

#[tokio::test]
async fn pages_of_named_origins_ask_with_keys_too() {
    let service = Service::start(&["--cors-origins", "https://lab.example"]).await;
    let key = made(&service, "reader", &["--scopes", "read"]).await;
    let page = ("origin", "https://lab.example");
    let preflight = service
        .request(Method::OPTIONS, "/v1/jobs")
        .header(page.0, page.1);
    let reply = service
        .send(preflight.header("access-control-request-method", "POST"))
        .await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, page.1)
    );
    let refused = service
        .send(
            service
                .request(Method::GET, "/v1/jobs")
                .header(page.0, page.1),
        )
        .await;
    assert_eq!(
        (
            refused.status,
            refused.header("access-control-allow-origin")
        ),
        (401, page.1)
    );
    let request = service
        .request(Method::GET, "/v1/jobs")
        .header(page.0, page.1);
    service.send(request.bearer_auth(&key)).await.expect(200);
}

/// A client that sends a change and hangs up before it is answered.
#[tokio::test]
async fn what_is_done_for_a_client_that_has_gone_is_told() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("rbm")).await;
    let admin = made(&service, "admin", &["--scopes", "admin"]).await;
    for alias in 0..40 {
        let body = "{\"version\":1}";
        let head = format!(
            "PUT /v1/models/rbm/aliases/a{alias} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {admin}\r\n\
            content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(service.address()).expect("a connection");
        std::io::Write::write_all(&mut stream, head.as_bytes()).expect("sent");
        std::thread::sleep(Duration::from_micros(alias * 100));
        drop(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let model = ask(&service, Method::GET, "/v1/models/rbm", &admin)
        .await
        .ok(200);
    let done = model["aliases"].as_object().expect("aliases").len();
    let log = ask(&service, Method::GET, "/v1/audit?limit=1000", &admin)
        .await
        .ok(200);
    let told = log["data"].as_array().expect("a list").iter();
    let told = told
        .filter(|line| line["operation"] == "put_model_alias")
        .count();
    assert!(done > 0 && told == done, "{done} done, {told} told");
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
            assert!(
                what.ends_with("_key") || text("address") == "127.0.0.1",
                "{line}"
            );
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
