//! API keys from outside: every operation against every scope, names, expiry, the command line.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::key_limits::{ask, keys, made, post};
use crate::service::{Service, until};
use crate::training::{endless, small_rbm};

const SCOPES: [&str; 5] = ["read", "infer", "data", "train", "admin"];

/// Every operation of the document: method, a path where nothing is, and the scope that it says it needs.
async fn operations(service: &Service) -> Vec<(Method, String, Option<Option<String>>)> {
    let document = service.get("/openapi.json").await.ok(200);
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let filled: Vec<&str> = path
            .split('/')
            .map(|part| match part {
                "{version}" | "{number}" => "1",
                part if part.starts_with('{') => "nothing",
                part => part,
            })
            .collect();
        for (method, operation) in item.as_object().expect("operations") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let needs = operation["security"].as_array().map(|ways| {
                let scopes = ways[0]["bearer"].as_array().expect("scopes");
                scopes.first().and_then(Value::as_str).map(str::to_owned)
            });
            found.push((method, filled.join("/"), needs));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_asks_for_the_scope_that_the_document_names() {
    let service = Service::start(&[]).await;
    let mut by_scope = Vec::new();
    for scope in SCOPES {
        by_scope.push((scope, made(&service, scope, &["--scopes", scope]).await));
    }
    let operations = operations(&service).await;
    assert!(operations.len() > 70, "{}", operations.len());
    let open: Vec<&str> = operations
        .iter()
        .filter(|(.., needs)| needs.is_none())
        .map(|(_, path, _)| path.as_str())
        .collect();
    assert_eq!(
        open,
        ["/livez", "/readyz", "/v2/health/live", "/v2/health/ready"]
    );
    for (method, path, needs) in &operations {
        let mut methods = vec![method.clone()];
        if method == Method::GET {
            methods.push(Method::HEAD);
        }
        for method in methods {
            let status = async |header: Option<(&str, String)>| {
                let mut request = service.request(method.clone(), path);
                if let Some((name, value)) = header {
                    request = request.header(name, value);
                }
                service.send(request).await.status
            };
            let Some(needed) = needs else {
                assert!(status(None).await < 400, "{method} {path}");
                continue;
            };
            let wrong = format!("lk_{}_{}", "0".repeat(20), "0".repeat(64));
            for header in [
                None,
                Some(("authorization", format!("Bearer {wrong}"))),
                Some(("x-api-key", wrong)),
                Some(("authorization", format!("Basic {}", by_scope[4].1))),
            ] {
                assert_eq!(
                    status(header.clone()).await,
                    401,
                    "{method} {path} {header:?}"
                );
            }
            for (scope, key) in &by_scope {
                let may = match needed {
                    None => true,
                    Some(needed) => needed == scope || *scope == "admin",
                };
                for header in [
                    ("authorization", format!("Bearer {key}")),
                    ("x-api-key", key.clone()),
                ] {
                    let status = status(Some(header)).await;
                    let told = format!("{method} {path} with {scope}: {status}");
                    assert!(status != 401 && status < 500, "{told}");
                    assert_eq!(status != 403, may, "{told}");
                }
            }
        }
    }
    // What is in no document.
    service.get("/nowhere").await.problem(401, "unauthorized");
    service.get("/docs/").await.expect(200);
    let unknown = "/v1/models/nothing/topics";
    let reply = service.post(unknown, &json!({})).await;
    reply.problem(401, "unauthorized");
    let told = ask(&service, Method::POST, unknown, &by_scope[0].1).await;
    told.problem(403, "forbidden");
    ask(&service, Method::POST, unknown, &by_scope[1].1)
        .await
        .problem(404, "not_found");
    assert_eq!(
        service.get("/v1/jobs").await.header("www-authenticate"),
        "Bearer realm=\"latentd\""
    );
}

#[tokio::test]
async fn a_key_reaches_the_names_that_it_says() {
    let service = Service::with_digits(&[]).await;
    for name in ["prod-a", "dev-b"] {
        service.train(&small_rbm(name)).await;
    }
    let secret = json!({"name": "secret", "builtin": "digits"});
    service.post("/v1/datasets", &secret).await.expect(201);
    let mut hidden = endless("dev-job");
    hidden["dataset"] = json!("secret");
    let hidden = service.queue(&hidden).await;
    let reach = ["--models", "prod-*", "--datasets", "dig*"];
    let flags = [&["--scopes", "read,infer,train,data"], &reach[..]].concat();
    let key = made(&service, "prod", &flags).await;
    let status = async |method: Method, path: &str| ask(&service, method, path, &key).await.status;

    for path in [
        "/v1/models/prod-a",
        "/v1/models/prod-a/versions/1",
        "/v2/models/prod-a",
        "/v1/datasets/digits",
        "/v1/datasets/digits/preview.png",
    ] {
        assert_eq!(status(Method::GET, path).await, 200, "{path}");
    }
    let id = service_dataset_id(&service, &key).await;
    assert_eq!(
        status(Method::GET, &format!("/v1/datasets/{id}")).await,
        200
    );
    for path in [
        "/v1/models/dev-b",
        "/v1/models/dev-b/versions/1/content",
        "/v1/models/dev%2Db",
        "/v2/models/dev-b",
        "/v2/models/dev-b%3Aencode/config",
        "/v1/datasets/secret",
        "/v1/datasets/secret/rows",
        "/v1/datasets/secret/preview.png",
        &format!("/v1/jobs/{hidden}"),
        &format!("/v1/jobs/{hidden}/events"),
        "/metrics",
    ] {
        assert_eq!(status(Method::GET, path).await, 403, "{path}");
    }
    for path in [
        format!("/v1/jobs/{hidden}/cancel"),
        "/v1/models/dev-b:1/generate".to_owned(),
        "/v1/models/dev-b@a/encode".to_owned(),
        "/v2/models/dev-b/infer".to_owned(),
        "/v2/repository/models/dev-b/unload".to_owned(),
    ] {
        assert_eq!(status(Method::POST, &path).await, 403, "{path}");
    }
    assert_eq!(status(Method::DELETE, "/v1/datasets/secret").await, 403);
    // What bodies name.
    let job = |name: &str, dataset: &str| {
        let mut job = small_rbm(name);
        job["dataset"] = json!(dataset);
        job
    };
    let mut from = job("prod-c", "digits");
    from["init_from"] = json!("dev-b");
    let mut resumed = job("prod-c", "digits");
    resumed["init_from"] = json!({"job": hidden, "checkpoint": 1});
    let rows = json!({"rows": {"dataset": "secret"}});
    for (path, body) in [
        ("/v1/jobs", job("dev-c", "digits")),
        ("/v1/jobs", job("prod-c", "secret")),
        ("/v1/jobs", from),
        ("/v1/jobs", resumed),
        (
            "/v1/evaluations",
            json!({"model": "dev-b", "metrics": [{"kind": "reconstruction"}]}),
        ),
        (
            "/v1/evaluations",
            json!({"model": "prod-a", "dataset": "secret", "metrics": [{"kind": "reconstruction"}]}),
        ),
        ("/v1/models/prod-a/encode", rows),
        (
            "/v1/datasets",
            json!({"name": "other", "builtin": "digits"}),
        ),
    ] {
        post(&service, path, &key, &body)
            .await
            .problem(403, "forbidden");
    }
    post(&service, "/v1/jobs", &key, &job("prod-c", "digits"))
        .await
        .expect(202);
    let form = Form::new()
        .text("name", "other")
        .part("train", Part::bytes(b"1,2\n3,4\n".to_vec()));
    let request = service
        .request(Method::POST, "/v1/datasets")
        .bearer_auth(&key);
    service
        .send(request.multipart(form))
        .await
        .problem(403, "forbidden");
    // Lists.
    let names = async |path: &str, field: &str| -> Vec<String> {
        let list = ask(&service, Method::GET, path, &key).await.ok(200);
        let data = list["data"].as_array().expect("a list").iter();
        data.map(|item| item[field].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(names("/v1/datasets", "name").await, ["digits"]);
    assert_eq!(names("/v1/models?limit=1", "name").await, ["prod-a"]);
    assert!(
        names("/v1/jobs", "name")
            .await
            .iter()
            .all(|name| name.starts_with("prod-"))
    );
    let index = post(&service, "/v2/repository/index", &key, &json!({}))
        .await
        .whole_text();
    assert!(
        index.contains("prod-a") && !index.contains("dev-b"),
        "{index}"
    );
    let stats = ask(&service, Method::GET, "/v2/models/stats", &key)
        .await
        .whole_text();
    assert!(
        stats.contains("prod-a") && !stats.contains("dev-b"),
        "{stats}"
    );
}

async fn service_dataset_id(service: &Service, key: &str) -> String {
    let digits = ask(service, Method::GET, "/v1/datasets/digits", key)
        .await
        .ok(200);
    digits["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_and_give_no_more_than_they_have() {
    let service = Service::with_digits(&[]).await;
    service.get("/v1/jobs").await.expect(200);
    let admin = made(&service, "admin", &["--scopes", "admin"]).await;
    service.get("/v1/jobs").await.problem(401, "unauthorized");
    let wanted = json!({"name": "ci", "scopes": ["infer", "read"], "models": ["prod-*"],
        "limits": {"jobs": 2}, "expires_at": "2099-01-01T00:00:00Z"});
    let reply = post(&service, "/v1/keys", &admin, &wanted).await;
    let shown = reply.ok(201);
    let (id, key) = (
        shown["id"].as_str().expect("an id"),
        shown["key"].as_str().expect("a key"),
    );
    assert_eq!(reply.header("location"), format!("/v1/keys/{id}"));
    assert_eq!(shown["expires_at"], "2099-01-01T00:00:00Z");
    post(&service, "/v1/keys", &admin, &wanted)
        .await
        .problem(409, "conflict");
    let me = ask(&service, Method::GET, "/v1/keys/me", key).await.ok(200);
    assert_eq!(
        (&me["name"], &me["limits"]["jobs"], &me["usage"]["jobs"]),
        (&json!("ci"), &json!(2), &json!(0))
    );
    let list = ask(&service, Method::GET, "/v1/keys", &admin).await;
    let secret = key.rsplit('_').next().expect("a secret");
    assert!(!list.whole_text().contains(secret) && list.whole_text().contains("ci"));
    assert_eq!(list.json()["data"].as_array().map(Vec::len), Some(2));
    let kept = std::fs::read(service.data_dir().join("latentd.db")).expect("the database");
    let wal = std::fs::read(service.data_dir().join("latentd.db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| {
        bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    assert!(!holds(&kept) && !holds(&wal));

    for (wanted, pointer) in [
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": "x y", "scopes": ["read"]}), "/name"),
        (json!({"name": "me", "scopes": ["read"]}), "/name"),
        (json!({"name": "x", "scopes": ["write"]}), "/scopes/0"),
        (
            json!({"name": "x", "scopes": ["read"], "models": []}),
            "/models",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "datasets": ["a/b"]}),
            "/datasets",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}),
            "/expires_at",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "expires_at": "soon"}),
            "/expires_at",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "limits": {"jobs": -1}}),
            "/limits/jobs",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "colour": 1}),
            "/colour",
        ),
    ] {
        post(&service, "/v1/keys", &admin, &wanted)
            .await
            .invalid(pointer);
    }
    // An administrator of some models alone.
    let some = json!({"name": "some", "scopes": ["admin"], "models": ["prod-*"]});
    let some = post(&service, "/v1/keys", &admin, &some).await.ok(201);
    let some = some["key"].as_str().expect("a key");
    let wide = json!({"name": "wide", "scopes": ["read"]});
    post(&service, "/v1/keys", some, &wide)
        .await
        .problem(403, "forbidden");
    let within = json!({"name": "within", "scopes": ["read"], "models": ["prod-a*"]});
    post(&service, "/v1/keys", some, &within).await.expect(201);
    ask(&service, Method::DELETE, "/v1/keys/admin", some)
        .await
        .problem(403, "forbidden");

    ask(&service, Method::DELETE, &format!("/v1/keys/{id}"), &admin)
        .await
        .expect(204);
    ask(&service, Method::GET, "/v1/keys/me", key)
        .await
        .problem(401, "unauthorized");
    let listed = keys(&service, &["list"]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(
        listed.contains("within") && !listed.contains(" ci "),
        "{listed}"
    );
    assert!(keys(&service, &["revoke", "within"]).status.success());
    assert!(!keys(&service, &["revoke", "within"]).status.success());
    for odd in [
        &["create", "--name", "y", "--scopes", "write"][..],
        &[
            "create",
            "--name",
            "y",
            "--scopes",
            "read",
            "--expires",
            "soon",
        ],
        &["create", "--name", "admin", "--scopes", "read"],
        &[
            "create", "--name", "y", "--scopes", "read", "--models", "a/b",
        ],
    ] {
        let output = keys(&service, odd);
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{odd:?}"
        );
    }
    let short = made(&service, "short", &["--scopes", "read", "--expires", "2s"]).await;
    let told = until("the key to expire", || async {
        let reply = ask(&service, Method::GET, "/v1/jobs", &short).await;
        (reply.status == 401).then_some(reply)
    })
    .await;
    told.says("expired at");
}
