//! Connections: how many there may be, what serves each, and how they end. Whatever a client does not do in its
//! time (finish a head, read an answer, ask anything) costs it the connection.

mod activity;
mod patience;
mod tls;

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::task::TaskTracker;
use tower::Service;

pub use tls::{Tls, TlsError, TlsFiles};

use super::prefix;
use activity::{Activity, InHand, Noted};
use patience::{Patience, TICK, Verdict};

/// What a connection's bytes pass on their way: nothing, or TLS.
pub trait Wrap: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Takes its time within the connection's own task.
    fn wrap(&self, stream: TcpStream)
    -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// Bytes as they are.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Wrap for Plain {
    type Stream = TcpStream;

    async fn wrap(&self, stream: TcpStream) -> std::io::Result<TcpStream> {
        Ok(stream)
    }
}

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves `most` connections at once until draining; further ones wait to be accepted. Paths below `base` and those
/// without it are answered alike. Ends once every request that was let in is answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    wrap: impl Wrap,
    base: Arc<str>,
    most: usize,
    mut draining: watch::Receiver<bool>,
) {
    // Made ready once; for every connection anew it would take 400 KiB of each.
    let router: Router = router.with_state(());
    let places = Arc::new(Semaphore::new(most));
    let (tasks, asked_to_end) = (TaskTracker::new(), draining.clone());
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let (place, (stream, peer)) = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => break,
            accepted = next => accepted,
        };
        let connection = Connection {
            router: router.clone(),
            peer,
            base: Arc::clone(&base),
            places: Arc::clone(&places),
            crowd: most / 4,
            draining: asked_to_end.clone(),
        };
        let wrap = wrap.clone();
        tasks.spawn(async move {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, wrap.wrap(stream)).await {
                connection.serve(stream).await;
            }
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// The next connection, however long it takes.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(error.kind()) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Whether the next connection can be accepted all the same.
fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    /// What stands before all paths, or nothing.
    base: Arc<str>,
    places: Arc<Semaphore>,
    /// Where fewer places than this are free, nobody may be idle for long.
    crowd: usize,
    draining: watch::Receiver<bool>,
}

impl Connection {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut self, stream: S) {
        let activity = Arc::new(Activity::default());
        let io = TokioIo::new(Noted::of(stream, Arc::clone(&activity)));
        let (router, noted) = (self.router, Arc::clone(&activity));
        let (peer, base) = (ConnectInfo(self.peer), self.base);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            if !base.is_empty() {
                prefix::strip(&mut request, &base);
            }
            let in_hand = InHand::of(&noted);
            let answering = router.clone().call(request);
            async move {
                answering
                    .await
                    .map(|response| response.map(|body| in_hand.until_sent(body)))
            }
        });
        let mut serving = pin!(http1::Builder::new().serve_connection(io, service));
        let mut tick = interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut patience = Patience::default();
        let mut ending = false;
        loop {
            tokio::select! {
                biased;
                served = serving.as_mut() => {
                    if let Err(error) = served {
                        tracing::trace!(%error, "a connection broke off");
                    }
                    return;
                }
                _ = self.draining.wait_for(|draining| *draining), if !ending => {
                    ending = true;
                    serving.as_mut().graceful_shutdown();
                }
                _ = tick.tick() => {
                    let crowded = self.places.available_permits() < self.crowd;
                    match patience.look(activity.now(), crowded) {
                        Verdict::Stays => {}
                        Verdict::Ends => serving.as_mut().graceful_shutdown(),
                        Verdict::IsCut => return,
                    }
                }
            }
        }
    }
}
