//! Web pages reach nothing: other hosts and origins are refused, and what they make up fills no memory.

use reqwest::Method;
use serde_json::json;

use crate::reply::Reply;
use crate::service::Service;
use crate::training::small_rbm;

async fn ask(service: &Service, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = service.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.send(request).await
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let service = Service::with_digits(&[]).await;
    let job = service.train(&small_rbm("rbm")).await;
    let job = job["id"].as_str().expect("an id");
    let evil = [("origin", "http://evil.example")];
    let fetched = [("sec-fetch-site", "cross-site")];
    for page in [&evil[..], &fetched] {
        for (method, path) in [
            (Method::POST, "/v1/models".to_owned()),
            (Method::POST, "/v1/datasets".to_owned()),
            (Method::POST, format!("/v1/jobs/{job}/cancel")),
            (Method::POST, format!("/v1/jobs/{job}/retry")),
            (
                Method::POST,
                format!("/v1/jobs/{job}/checkpoints/1/promote"),
            ),
            (Method::POST, "/v1/models/rbm/unload".to_owned()),
            (Method::POST, "/v1/models/rbm/generate?n=4".to_owned()),
            (Method::POST, "/v2/models/rbm:generate/infer".to_owned()),
            (Method::POST, "/v2/repository/models/rbm/unload".to_owned()),
            (Method::DELETE, "/v1/models/rbm".to_owned()),
            (Method::PUT, "/v1/models/rbm/aliases/a".to_owned()),
        ] {
            let reply = ask(&service, method, &path, page).await;
            reply.problem(403, "cross_origin");
        }
    }
    service.get("/v1/models/rbm/versions/1").await.expect(200);
    ask(&service, Method::GET, "/v1/models", &evil)
        .await
        .problem(403, "foreign_host");
    let own = format!("http://{}", service.address());
    ask(&service, Method::GET, "/v1/models", &[("origin", &own)])
        .await
        .expect(200);
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_not_answered() {
    let service = Service::start(&["--allowed-hosts", "models.example,*.lab.example"]).await;
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1"] {
        for path in ["/v1/datasets", "/livez", "/metrics", "/docs", "/nowhere"] {
            let reply = ask(&service, Method::GET, path, &[("host", host)]).await;
            reply.problem(403, "foreign_host");
        }
        let reply = ask(
            &service,
            Method::DELETE,
            "/v1/models/rbm",
            &[("host", host)],
        )
        .await;
        reply.problem(403, "foreign_host");
    }
    for host in [
        "localhost",
        "127.0.0.1:1",
        "[::1]",
        "models.example",
        "a.lab.example",
    ] {
        let reply = ask(&service, Method::GET, "/v1/datasets", &[("host", host)]).await;
        reply.expect(200);
    }
}

#[tokio::test]
async fn pages_of_named_origins_may_ask_and_read() {
    let service = Service::start(&["--cors-origins", "https://lab.example"]).await;
    let lab = ("origin", "https://lab.example");
    let builtin = json!({"name": "digits", "builtin": "digits"});
    let request = service.request(Method::POST, "/v1/datasets").json(&builtin);
    let reply = service.send(request.header(lab.0, lab.1)).await;
    reply.expect(201);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://lab.example"
    );
    let asks = [lab, ("access-control-request-method", "DELETE")];
    let reply = ask(&service, Method::OPTIONS, "/v1/datasets/digits", &asks).await;
    reply.expect(200);
    assert_eq!(reply.header("access-control-allow-methods"), "DELETE");
    let evil = ("origin", "https://evil.example");
    let reply = ask(&service, Method::GET, "/v1/datasets", &[evil]).await;
    reply.problem(403, "foreign_host");
    let asks = [evil, ("access-control-request-method", "DELETE")];
    let reply = ask(&service, Method::OPTIONS, "/v1/datasets/digits", &asks).await;
    assert_ne!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn what_clients_make_up_is_no_label() {
    let service = Service::start(&[]).await;
    let mut before = 0;
    for i in 0..300 {
        if i == 20 {
            before = service.get("/metrics").await.body.len();
        }
        let method = Method::from_bytes(format!("MADEUP{i}").as_bytes()).expect("a method");
        ask(&service, method, "/livez", &[])
            .await
            .problem(405, "method_not_allowed");
        let path = format!("/v1/models/made-up-{i}/made-up-{i}");
        ask(&service, Method::POST, &path, &[]).await;
        let path = format!("/v2/models/made-up-{i}:made-up-{i}/infer");
        ask(&service, Method::POST, &path, &[]).await;
        ask(&service, Method::GET, &format!("/made-up-{i}"), &[]).await;
    }
    let after = service.get("/metrics").await.whole_text();
    assert!(!after.to_lowercase().contains("made"), "{after}");
    assert!(after.contains("method=\"OTHER\""), "{after}");
    assert!(
        after.len() < before + 4096,
        "{before} bytes before, {} after",
        after.len()
    );
}
