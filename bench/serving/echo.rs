//! The least that an answer can cost: axum reads the body and sends the same bytes back.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints what it finds, and one that fails panics"
)]

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let address = SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(0)));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("echo is ready at http://{}", listener.local_addr()?);
    let router = Router::new().route("/encode", post(|body: Bytes| async { body }));
    axum::serve(listener, router).await
}
