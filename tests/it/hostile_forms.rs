//! Forms that unpack to far more than was sent, or never come to a part: they cost neither memory nor time.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::process::peak_memory;
use crate::reply::Reply;
use crate::service::Service;

/// The text `block` again and again between `head` and `tail`, so many bytes of it, as zstd.
fn packed(head: &str, block: &str, bytes: usize, tail: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.write_all(head.as_bytes()).expect("memory");
    let block = block.repeat((1 << 20) / block.len());
    for _ in 0..bytes / block.len() {
        encoder.write_all(block.as_bytes()).expect("memory");
    }
    encoder.write_all(tail.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

async fn send(service: &Service, path: &str, body: Vec<u8>, encoding: &str) -> Reply {
    service
        .send(
            service
                .request(Method::POST, path)
                .header("content-type", "multipart/form-data; boundary=x")
                .header("content-encoding", encoding)
                .body(body),
        )
        .await
}

const SIZE: usize = 256 << 20;

#[tokio::test]
async fn what_never_comes_to_a_part_costs_no_memory() {
    let service = Service::start(&[]).await;
    let before = peak_memory(service.pid());
    let preamble = packed("", "a", SIZE, "");
    let open = "--x\r\ncontent-disposition: form-data; name=\"train\"\r\nx-long: ";
    let head = packed(open, "a", SIZE, "");
    let later = "--x\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nn\r\n";
    let later = packed(&format!("{later}{open}"), "a", SIZE, "");
    for path in ["/v1/datasets", "/v1/models"] {
        for body in [&preamble, &head, &later] {
            let reply = send(&service, path, body.clone(), "zstd").await;
            reply.problem(400, "malformed");
            reply.says("16384");
        }
    }
    let grown = peak_memory(service.pid()) - before;
    assert!(grown < 48 << 20, "the service grew by {} MiB", grown >> 20);
}

#[tokio::test]
async fn a_packed_upload_is_never_whole_in_memory() {
    let service = Service::start(&[]).await;
    let before = peak_memory(service.pid());
    let head = "--x\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\npacked\r\n\
                --x\r\ncontent-disposition: form-data; name=\"train\"; filename=\"t.csv\"\r\n\r\n";
    let csv = packed(head, "0.25,0.50,0.75,1\n", SIZE, "\r\n--x--\r\n");
    assert!(csv.len() < 1 << 20, "small as sent");
    let made = send(&service, "/v1/datasets", csv, "zstd").await.ok(201);
    assert_eq!(made["shape"], json!([4]), "{made}");
    let grown = peak_memory(service.pid()) - before;
    assert!(grown < 96 << 20, "the service grew by {} MiB", grown >> 20);
}

/// Before, such a form of 256 MiB took 9 s of a core, and four times as much for twice the bytes.
#[tokio::test]
async fn junk_is_refused_at_once() {
    let service = Service::start(&[]).await;
    let start = Instant::now();
    let reply = send(&service, "/v1/datasets", vec![b'j'; SIZE / 4], "identity").await;
    reply.problem(400, "malformed");
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}
