//! Clients that send slowly, or stop: they keep nobody else from being answered, and are told in time.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::fixtures::first_digits;
use crate::service::Service;
use crate::training::small_rbm;

/// A connection on which so much was sent.
async fn sends(service: &Service, text: &str) -> TcpStream {
    let mut connection = TcpStream::connect(service.address())
        .await
        .expect("a connection");
    connection.write_all(text.as_bytes()).await.expect("sent");
    connection
}

/// The head of a POST of this many bytes, and the first of them.
fn begun(path: &str, media_type: &str, length: usize, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {media_type}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// What a connection is answered until it is closed, and when.
async fn answered(mut connection: TcpStream) -> (String, Duration) {
    let (start, mut answer) = (Instant::now(), Vec::new());
    let read = connection.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(60), read).await;
    (
        String::from_utf8_lossy(&answer).into_owned(),
        start.elapsed(),
    )
}

#[tokio::test]
async fn who_sends_slowly_keeps_nobody_from_being_answered() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("rbm")).await;
    let path = "/v1/models/rbm/encode";
    let mut slow = Vec::new();
    for _ in 0..256 {
        let begun = begun(path, "application/json", 1000, "{");
        slow.push(sends(&service, &begun).await);
    }
    let body = json!({"inputs": first_digits(&service, 1).await});
    let start = Instant::now();
    for _ in 0..20 {
        service.post(path, &body).await.expect(200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let mut ends = JoinSet::new();
    for connection in slow {
        ends.spawn(answered(connection));
    }
    while let Some(end) = ends.join_next().await {
        let (answer, _) = end.expect("no panic");
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_stops_is_told_so_wherever_it_was_sent() {
    let service = Service::start(&[]).await;
    let form = "multipart/form-data; boundary=x";
    let part = "--x\r\ncontent-disposition: form-data; name=\"train\"\r\n\r\n1,2";
    let json = "application/json";
    for (path, media_type, body) in [
        ("/v1/jobs", json, "{\"dataset\""),
        ("/v1/webhooks", json, ""),
        ("/v1/datasets", json, "{"),
        ("/v1/datasets", form, "--x\r\ncontent-"),
        ("/v1/datasets", form, part),
        ("/v1/models", form, "-"),
        ("/v2/repository/index", json, "{"),
    ] {
        let stopped = sends(&service, &begun(path, media_type, 5000, body)).await;
        let (answer, took) = answered(stopped).await;
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"),
            "{path}: {answer}"
        );
        assert!(took < Duration::from_secs(8), "{path}: {took:?}");
    }
    assert_eq!(service.dataset_files(), [""; 0]);
}

/// A byte now and then is as good as none, and a rate that is low but steady is enough.
#[tokio::test]
async fn the_least_rate_is_told_from_less() {
    let service = Service::start(&[]).await;
    let document = format!("{{\"name\": \"{}\"}}", "x".repeat(9000));
    let trickle = async |bytes: usize| {
        let head = begun("/v1/webhooks", "application/json", document.len(), "");
        let mut connection = sends(&service, &head).await;
        for piece in document.as_bytes().chunks(bytes).take(12) {
            // It is closed once it is refused.
            let _ = connection.write_all(piece).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        answered(connection).await.0
    };
    let slow = trickle(1).await;
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    let steady = trickle(1000).await;
    assert!(steady.starts_with("HTTP/1.1 422 "), "{steady}");
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_not_to() {
    let service = Service::start(&[]).await;
    let form = "multipart/form-data; boundary=x";
    for (path, media_type, length) in [
        ("/v1/jobs", "application/json", 99_999_999_999_usize),
        ("/v1/jobs", "application/json", 2 << 20),
        ("/v1/datasets", form, 99_999_999_999),
    ] {
        let head = begun(path, media_type, length, "");
        let head = head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        let (answer, took) = answered(sends(&service, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        assert!(took < Duration::from_secs(2), "{path}: {took:?}");
    }
}

/// A head that does not end costs its sender the connection; one that asks nothing yet may wait.
#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let service = Service::start(&[]).await;
    let mut idle = sends(&service, "").await;
    let mut asked = sends(&service, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut drip = sends(&service, "GET /livez HTTP/1.1\r\nhost: localhost\r\nx-").await;
    let dripped = tokio::spawn(async move {
        let start = Instant::now();
        let mut answer = [0; 64];
        while start.elapsed() < Duration::from_secs(40) {
            let _ = drip.write_all(b"a").await;
            let read = drip.read(&mut answer);
            match tokio::time::timeout(Duration::from_secs(1), read).await {
                Ok(Ok(0) | Err(_)) => return start.elapsed(),
                Ok(Ok(_)) => panic!("answered: {}", String::from_utf8_lossy(&answer)),
                Err(_) => {}
            }
        }
        start.elapsed()
    });
    let took = dripped.await.expect("no panic");
    assert!(
        (10..30).contains(&took.as_secs()),
        "half a head was held for {took:?}"
    );
    for connection in [&mut idle, &mut asked] {
        let again = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        connection.write_all(again).await.expect("still open");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.expect("answered");
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn connections_past_the_bound_wait_for_a_place() {
    let service = Service::start(&["--max-connections", "8"]).await;
    let request = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let half = "GET /livez HTTP/1.1\r\nhost: localhost\r\n";
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(sends(&service, half).await);
    }
    let mut waits = sends(&service, request).await;
    let mut first = [0; 1];
    let early = tokio::time::timeout(Duration::from_secs(1), waits.read(&mut first)).await;
    assert!(early.is_err(), "it was served beside eight others");
    drop(held.pop());
    let (answer, _) = answered(waits).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Nobody is idle for long where so many want a place, nor half way through a head.
    let (answer, took) = answered(sends(&service, request).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(took < Duration::from_secs(40), "{took:?}");
}
