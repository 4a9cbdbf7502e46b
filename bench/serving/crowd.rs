//! Load from many connections, each asking again as soon as it is answered, with the latencies of what was
//! answered 200 apart from what was refused: `crowd URL BODY CONNECTIONS SECONDS`. Prints one JSON document.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints what it finds, and one that fails panics"
)]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Default)]
struct Seen {
    /// Microseconds of each answer that was a 200.
    ok: Vec<u32>,
    refused: u64,
    other: u64,
    broken: u64,
}

/// Status of one answer; the connection is good for the next one.
async fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<u16> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        while buffer.len() < head + 4 + length {
            if stream.read_buf(buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        return status.ok_or_else(|| std::io::ErrorKind::InvalidData.into());
    }
}

async fn client(address: String, request: Vec<u8>, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut buffer = Vec::new();
    let mut stream = None;
    while Instant::now() < end {
        let connection = match &mut stream {
            Some(connection) => connection,
            None => match TcpStream::connect(&address).await {
                Ok(connected) => {
                    let _ = connected.set_nodelay(true);
                    stream.insert(connected)
                }
                Err(_) => {
                    seen.broken += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        let start = Instant::now();
        match ask(connection, &request, &mut buffer).await {
            Ok(200) => {
                let micros = u32::try_from(start.elapsed().as_micros());
                seen.ok.push(micros.unwrap_or(u32::MAX));
            }
            Ok(429) => seen.refused += 1,
            Ok(_) => seen.other += 1,
            Err(_) => {
                seen.broken += 1;
                stream = None;
            }
        }
    }
    seen
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, body, connections, seconds] = words.as_slice() else {
        return Err("usage: crowd URL BODY CONNECTIONS SECONDS".into());
    };
    let rest = url
        .strip_prefix("http://")
        .ok_or("the URL begins with http://")?;
    let (address, path) = rest.split_once('/').ok_or("the URL has a path")?;
    let body = std::fs::read(body)?;
    let mut request = format!(
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    let (connections, seconds): (usize, u64) = (connections.parse()?, seconds.parse()?);
    let end = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(client(address.to_owned(), request.clone(), end)))
        .collect();
    let mut all = Seen::default();
    for client in clients {
        let seen = client.await?;
        all.ok.extend(seen.ok);
        all.refused += seen.refused;
        all.other += seen.other;
        all.broken += seen.broken;
    }
    all.ok.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let place = (share * all.ok.len() as f64) as usize;
        let micros = all.ok.get(place.min(all.ok.len().saturating_sub(1)));
        micros.map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    };
    println!(
        r#"{{"a_second":{:.1},"p50_ms":{:.3},"p99_ms":{:.3},"refused":{},"other":{},"broken":{}}}"#,
        all.ok.len() as f64 / seconds as f64,
        at(0.5),
        at(0.99),
        all.refused,
        all.other,
        all.broken
    );
    Ok(())
}
