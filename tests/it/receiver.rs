//! A receiver of webhooks: it takes what comes, checks the signature with code of its own, and answers as
//! it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub raw: Vec<u8>,
    pub body: Value,
}

/// What to answer next: a status, and headers.
pub type Next = (u16, &'static [(&'static str, &'static str)]);

#[derive(Default)]
struct Shared {
    received: Vec<Received>,
    next: VecDeque<Next>,
}

/// Listens until it is dropped.
pub struct Receiver {
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Answers with these one after the other, and then with 204.
    pub async fn start(next: &[Next]) -> Self {
        Self::at(0, next).await
    }

    /// The same on a port that was a receiver's before.
    pub async fn at(port: u16, next: &[Next]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Mutex::new(Shared {
            received: Vec::new(),
            next: next.iter().copied().collect(),
        }));
        let router = Router::new()
            .route("/hook", post(take))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serves");
        });
        Self {
            port,
            shared,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Everything so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().expect("no panic").received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let mut shared = shared.lock().expect("no panic");
    shared.received.push(Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap_or(0),
        signature: header("webhook-signature"),
        raw: body.to_vec(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    let (status, extra) = shared.next.pop_front().unwrap_or((204, &[]));
    let status = StatusCode::from_u16(status).expect("a status");
    let mut response = status.into_response();
    for (name, value) in extra {
        response
            .headers_mut()
            .insert(*name, value.parse().expect("a header"));
    }
    response
}

impl Received {
    /// Whether the message is signed with this secret. HMAC-SHA256 is written out (RFC 2104), so that the
    /// service's own code is not compared with itself.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let coded = secret.strip_prefix("whsec_").expect("a secret");
        let key = STANDARD.decode(coded).expect("base64");
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(&key);
        let pad = |with: u8| block.map(|byte| byte ^ with);
        let mut signed = format!("{}.{}.", self.id, self.timestamp).into_bytes();
        signed.extend_from_slice(&self.raw);
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(signed)
            .finalize();
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize();
        self.signature == format!("v1,{}", STANDARD.encode(outer))
    }
}
