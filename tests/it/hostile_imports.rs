//! Imports whose form is none, and imports that end too early or never.

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::exchange::{Bundle, form};
use crate::hostile_bundles::{given, kept, refused};
use crate::service::{Service, until};

#[tokio::test]
async fn forms_that_are_none_of_ours() {
    let (service, bundle) = given().await;
    let Bundle {
        bytes,
        weights,
        manifest,
    } = bundle;
    let text = manifest.to_string().into_bytes();
    for (case, sent, pointer, said) in [
        (
            "nothing",
            form(&[("name", b"x".to_vec())]),
            "/bundle",
            "is missing",
        ),
        (
            "weights alone",
            form(&[("weights", weights.clone())]),
            "/manifest",
            "is missing",
        ),
        (
            "manifest alone",
            form(&[("manifest", text.clone())]),
            "/weights",
            "is missing",
        ),
        (
            "both",
            form(&[("bundle", bytes.clone()), ("weights", weights)]),
            "/bundle",
            "either",
        ),
        (
            "a stranger",
            form(&[("model", bytes.clone())]),
            "/model",
            "is not a part",
        ),
        (
            "twice",
            form(&[("manifest", text.clone()), ("manifest", text)]),
            "/manifest",
            "two parts",
        ),
        (
            "a way out",
            form(&[("name", b"../x".to_vec()), ("bundle", bytes.clone())]),
            "/name",
            "is not a name",
        ),
    ] {
        refused(&service, case, sent, pointer, said).await;
    }
    service
        .post("/v1/models", &json!({}))
        .await
        .problem(415, "unsupported_media_type");
    service
        .post_bytes("/v1/models", "multipart/form-data", bytes)
        .await
        .problem(400, "malformed");
}

#[tokio::test]
async fn an_import_over_the_limit_or_broken_off_leaves_nothing() {
    let mut service = Service::start(&["--max-upload-mib", "1"]).await;
    let before = kept(&service).await;
    let large = form(&[("bundle", vec![0; 2 << 20])]);
    service.import(large).await.problem(413, "too_large");
    assert!(kept(&service).await == before);
    for kill in [false, true] {
        let mut connection = TcpStream::connect(service.address())
            .await
            .expect("a connection");
        let head = "POST /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\
                    content-type: multipart/form-data; boundary=x\r\n\r\n\
                    --x\r\ncontent-disposition: form-data; name=\"weights\"\r\n\r\n12345";
        connection.write_all(head.as_bytes()).await.expect("sent");
        until("the upload to begin", || async {
            (kept(&service).await != before).then_some(())
        })
        .await;
        if kill {
            service.kill();
            service.restart().await;
        } else {
            drop(connection);
        }
        until("it to be cleared away", || async {
            (kept(&service).await == before).then_some(())
        })
        .await;
    }
    let head = service.request(Method::HEAD, "/v1/models");
    service.send(head).await.expect(200);
}
