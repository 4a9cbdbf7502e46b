//! TLS from files, read again when they change; and the service below a path of a proxy's.

use std::path::Path;
use std::process::Command;

use reqwest::{Certificate, Client, Method};
use serde_json::json;

use crate::service::{Service, until};

const BINARY: &str = env!("CARGO_BIN_EXE_latentd");

/// Writes a certificate of its own making for this machine, and its key; answers the certificate.
fn certificate(folder: &Path) -> String {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let pem = made.cert.pem();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    std::fs::write(folder.join("cert.pem"), &pem).expect("a file");
    pem
}

/// A client that trusts this certificate alone.
fn trusting(pem: &str) -> Client {
    let certificate = Certificate::from_pem(pem.as_bytes()).expect("a certificate");
    let client = Client::builder().tls_certs_only([certificate]);
    client.build().expect("a client")
}

#[tokio::test]
async fn a_certificate_is_served_and_renewed_without_a_restart() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let first = certificate(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let service = Service::start(&["--tls-cert", &cert, "--tls-key", &key]).await;
    let url = format!("https://{}/readyz", service.address());
    let answer = trusting(&first).get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let plain = format!("http://{}/readyz", service.address());
    assert!(Client::new().get(&plain).send().await.is_err());
    let healthy = |cert: &str| {
        let mut command = Command::new(BINARY);
        command.args(["health", "--listen", service.address(), "--tls-cert", cert]);
        command.output().expect("the program runs").status.success()
    };
    assert!(healthy(&cert));

    // A key that is not the certificate's changes nothing; then both are new.
    std::fs::write(&key, "no key").expect("a file");
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let answer = trusting(&first).get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let second = certificate(folder.path());
    assert_ne!(first, second);
    until("the new certificate", || async {
        let answer = trusting(&second).get(&url).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
    assert!(trusting(&first).get(&url).send().await.is_err());
}

#[test]
fn files_that_are_no_certificate_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    certificate(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    std::fs::write(path("empty.pem"), "").expect("a file");
    for (flags, said) in [
        (vec!["--tls-cert", &cert], "--tls-key"),
        (vec!["--tls-cert", &key, "--tls-key", &key], "key.pem"),
        (
            vec!["--tls-cert", &path("empty.pem"), "--tls-key", &key],
            "empty.pem",
        ),
        (
            vec!["--tls-cert", &path("none.pem"), "--tls-key", &key],
            "none.pem",
        ),
        (vec!["--base-path", "nowhere"], "such as /latentd"),
        (vec!["--cors-origins", "*"], "such as https://"),
    ] {
        let mut command = Command::new(BINARY);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &path("data"),
        ]);
        let output = command.args(&flags).output().expect("the program runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains(said),
            "{flags:?}: {told}"
        );
    }
}

#[tokio::test]
async fn below_a_path_of_a_proxy_links_lead_back_to_it() {
    let flags = [
        "--base-path",
        "/tools/latentd",
        "--trusted-proxies",
        "127.0.0.0/8",
    ];
    let service = Service::start(&flags).await;
    let body = json!({"name": "digits", "builtin": "digits"});
    let made = service.post("/tools/latentd/v1/datasets", &body).await;
    made.expect(201);
    let location = made.header("location").to_owned();
    assert!(
        location.starts_with("/tools/latentd/v1/datasets/"),
        "{location}"
    );
    service.get(&location).await.expect(200);
    // The proxy may have taken the path away.
    service.get("/v1/datasets/digits").await.expect(200);
    service.get("/tools/latentd/docs/").await.expect(200);
    service
        .get("/tools/latentd-not/v1/datasets")
        .await
        .expect(404);
    let document = service.get("/tools/latentd/openapi.json").await.ok(200);
    assert_eq!(document["servers"][0]["url"], "/tools/latentd");
    let page = service
        .get("/tools/latentd/docs/swagger-initializer.js")
        .await;
    assert!(
        page.whole_text().contains("../openapi.json"),
        "{}",
        page.text()
    );

    let said = async |prefix: &str| {
        let body = json!({"name": format!("d{}", prefix.len()), "builtin": "digits"});
        let request = service.request(Method::POST, "/v1/datasets").json(&body);
        let made = service
            .send(request.header("x-forwarded-prefix", prefix))
            .await;
        made.expect(201).header("location").to_owned()
    };
    assert!(said("/other").await.starts_with("/other/v1/datasets/"));
    // What is no path is not repeated.
    let odd = said("//evil.example").await;
    assert!(odd.starts_with("/tools/latentd/v1/"), "{odd}");
}
