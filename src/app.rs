//! The wiring of the program: the only file that sees every module.

#![expect(
    clippy::disallowed_methods,
    reason = "the tasks that live as long as the process"
)]

pub mod backup;
mod health;
mod house;
mod start;
mod sweep;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use self::house::House;
use self::start::Error;
use self::sweep::sweep;
use crate::api;
use crate::api::connections::{self, Plain, Tls, TlsFiles};
use crate::api::held::Allowance;
use crate::api::jobs::feed::Feeds;
use crate::api::models::resolve::Resolver;
use crate::api::state::{AppState, Limits, Shared};
use crate::artifacts::{Artifacts, Reserve};
use crate::config::{Common, Serve, Work};
use crate::inference::{Bounds, Engine, EngineConfig};
use crate::jobs::LeasePolicy;
use crate::layout::Layout;
use crate::machine::{self, MachineInfo};
use crate::store::{Store, StoreError};
use crate::telemetry;
use crate::traces;
use crate::webhooks::{self, Backoff, Reach};
use crate::worker::process;
use crate::worker::supervisor::{Supervisor, termination};

/// Bodies of the greatest size that are held at once.
const ALL_BODIES: usize = 16;
pub mod keys;

pub use health::health;

/// `latentd openapi`.
pub fn print_openapi() -> Result<(), Error> {
    let text = api::document::text(api::documented().split().1);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn policy(common: &Common) -> LeasePolicy {
    LeasePolicy {
        lease_ms: common.lease_seconds * 1000,
        on_cpu: common.jobs_on_cpu.unwrap_or(i64::MAX),
        per_gpu: common.jobs_per_gpu,
        ..LeasePolicy::default()
    }
}

/// Requests are answered in milliseconds and training takes minutes: on shared cores the service goes first.
fn stand_back(nice: i32) {
    if let Err(error) = rustix::process::nice(nice) {
        tracing::warn!(%error, "training keeps its priority");
    }
}

/// `latentd work`.
pub fn work(options: &Work) -> Result<(), Error> {
    telemetry::start(&options.common)?;
    let layout = Layout::new(std::path::absolute(&options.common.data_dir)?);
    // A service has prepared it before it starts a worker.
    if options.owner.is_none() {
        start::prepare(&layout, options.common.umask)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let policy = policy(&options.common);
    if options.once {
        traces::start()?;
        stand_back(options.common.training_nice);
        let owner = options
            .owner
            .clone()
            .unwrap_or_else(|| format!("worker_{}", uuid::Uuid::new_v4().simple()));
        runtime.block_on(process::run_one(
            &layout,
            &owner,
            policy,
            options.owner.is_some(),
        ))?;
        traces::finish();
        // A thread that reads standard input would keep the process alive.
        runtime.shutdown_background();
        return Ok(());
    }
    runtime.block_on(async {
        let store = open(&layout).await?;
        let supervisor = supervisor(&options.common, &store, &layout, 20);
        supervisor.run().await;
        Ok(())
    })
}

/// `grace_seconds` are those that a worker has to leave at a shutdown.
fn supervisor(common: &Common, store: &Store, layout: &Layout, grace_seconds: u64) -> Supervisor {
    let (watch, health) = store.watch();
    tokio::spawn(watch.run());
    Supervisor {
        store: store.clone(),
        health,
        layout: layout.clone(),
        policy: policy(common),
        queued: Arc::new(Notify::new()),
        draining: draining(),
        grace: Duration::from_secs(grace_seconds),
        patience: Duration::from_secs(common.grace_seconds),
        nice: common.training_nice,
    }
}

/// Opens the database, or says which file cannot be, and what may help.
async fn open(layout: &Layout) -> Result<Store, Error> {
    let path = layout.database();
    Store::open(&path).await.map_err(|error| {
        let advice = match error {
            StoreError::Damaged(_) => {
                ". Put a backup in its place; or read out what can be read with sqlite3 and its .recover; or move it \
                 away, with the -wal and -shm beside it, and a new one is made"
            }
            _ => "",
        };
        format!("{}: {error}{advice}", path.display()).into()
    })
}

/// Turns true when the process is asked to end.
fn draining() -> watch::Receiver<bool> {
    let (drain, draining) = watch::channel(false);
    tokio::spawn(async move {
        termination().await;
        tracing::info!("shutting down");
        drain.send_replace(true);
    });
    draining
}

/// `latentd serve`.
pub fn serve(options: &Serve) -> Result<(), Error> {
    telemetry::start(&options.common)?;
    traces::start()?;
    let layout = Layout::new(std::path::absolute(&options.common.data_dir)?);
    start::prepare(&layout, options.common.umask)?;
    let _lock = start::lock(&layout.root)?;
    machine::use_few_arenas();
    let runtime = runtime()?;
    let outcome = runtime.block_on(run_service(options, layout));
    // Whatever still hangs on a slow client is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// Threads that block are few: each keeps memory of its own.
fn runtime() -> std::io::Result<Runtime> {
    const BLOCKING: usize = 64;
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build()
}

async fn run_service(options: &Serve, layout: Layout) -> Result<(), Error> {
    let store = open(&layout).await?;
    let keyring = keys::ring(options, &store).await?;
    let artifacts = Artifacts::open(layout.artifacts())?;
    sweep(&store, &artifacts, &layout).await?;
    let listener = bind(options.listen).await?;
    let address = listener.local_addr()?;
    let tls = tls(options)?;
    let grace = options.shutdown_seconds.saturating_sub(2).max(1);
    let supervisor = supervisor(&options.common, &store, &layout, grace);
    let draining = supervisor.draining.clone();
    let reserve = Reserve::of(&layout.root);
    let house = House {
        store: store.clone(),
        artifacts: artifacts.clone(),
        layout: layout.clone(),
        reserve: reserve.clone(),
        sweep_every: Duration::from_secs(options.sweep_seconds),
        keep_events: options.keep_events,
        keep_jobs: options.keep_jobs,
    };
    tokio::spawn(house.keep());
    let mut workers = JoinSet::new();
    for _ in 0..options.workers {
        workers.spawn(supervisor.clone().run());
    }
    let machine = MachineInfo::detect();
    let metrics = telemetry::metrics()?;
    let state = AppState::new(Shared {
        engine: start_engine(options, &artifacts, machine)?,
        resolver: Resolver::new(store.clone()),
        feeds: Feeds::new(store.clone()),
        store: store.clone(),
        health: supervisor.health.clone(),
        artifacts,
        reserve,
        layout,
        access: keys::access(options, address, keyring),
        limits: limits(options),
        answers: Allowance::new(answers(options)),
        bodies: Allowance::new(ALL_BODIES.saturating_mul(options.max_body_mib as usize) << 20),
        machine,
        webhook_reach: reach(options),
        queued: supervisor.queued,
        draining: draining.clone(),
        metrics,
    });
    workers.spawn(sender(options, &store, draining.clone())?.run());
    tokio::spawn(keys::keep(state.clone(), options.keep_audit_days));
    let router = api::router(state);
    announce(if tls.is_some() { "https" } else { "http" }, address)?;
    let server = server(options, listener, router, tls, draining.clone());
    finish_within(options, server, draining, workers).await?;
    store.close().await;
    tokio::task::spawn_blocking(traces::finish).await?;
    Ok(())
}

/// Serves until draining, then gives requests and workers their time.
async fn finish_within(
    options: &Serve,
    server: impl Future<Output = ()>,
    mut draining: watch::Receiver<bool>,
    mut workers: JoinSet<()>,
) -> Result<(), Error> {
    let bound = async {
        let _ = draining.wait_for(|draining| *draining).await;
        tokio::time::sleep(Duration::from_secs(options.shutdown_seconds)).await;
    };
    let all = async {
        server.await;
        while workers.join_next().await.is_some() {}
    };
    tokio::select! {
        () = all => {}
        () = bound => tracing::warn!("some requests or jobs did not finish in time"),
    }
    Ok(())
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(listen).await;
    Ok(bound.map_err(|error| format!("cannot listen on {listen}: {error}"))?)
}

/// The one line on standard output: scripts wait for it.
fn announce(scheme: &str, address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "latentd is ready at {scheme}://{address}")?;
    out.flush()
}

/// TLS, where a certificate is named.
fn tls(options: &Serve) -> Result<Option<Tls>, Error> {
    let (Some(certificates), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(None);
    };
    let tls = Tls::of(TlsFiles {
        certificates: certificates.clone(),
        key: key.clone(),
    })?;
    tokio::spawn(tls.clone().follow());
    Ok(Some(tls))
}

/// Serves until draining.
async fn server(
    options: &Serve,
    listener: TcpListener,
    router: axum::Router,
    tls: Option<Tls>,
    draining: watch::Receiver<bool>,
) {
    let (most, base) = (connections(options), Arc::from(options.base_path.as_str()));
    match tls {
        None => connections::serve(listener, router, Plain, base, most, draining).await,
        Some(tls) => connections::serve(listener, router, tls, base, most, draining).await,
    }
}

/// Tells others of jobs.
fn sender(
    options: &Serve,
    store: &Store,
    draining: watch::Receiver<bool>,
) -> Result<webhooks::Sender, Error> {
    Ok(webhooks::Sender {
        store: store.clone(),
        client: webhooks::Client::new(reach(options), webhooks::Times::default())?,
        backoff: Backoff {
            every: options.webhook_backoff_ms.map(Duration::from_millis),
        },
        draining,
    })
}

/// Bytes of answers that are held at once.
fn answers(options: &Serve) -> usize {
    let one = usize::try_from(options.max_answer_mib << 20).unwrap_or(usize::MAX);
    one.saturating_mul(2).max(64 << 20)
}

/// Connections at once. An upload has a file open beside its connection, and the service some of its own.
fn connections(options: &Serve) -> usize {
    const ITS_OWN: u64 = 128;
    const USUAL: u32 = 10_000;
    let files = machine::open_files().saturating_sub(ITS_OWN) / 2;
    let most = u64::from(options.max_connections.unwrap_or(USUAL)).min(files);
    tracing::debug!(most, "connections are served at once");
    usize::try_from(most.max(8)).unwrap_or(usize::MAX)
}

fn limits(options: &Serve) -> Limits {
    Limits {
        upload_bytes: options.max_upload_mib << 20,
        unpacked_bytes: options.max_unpacked_mib << 20,
        body_bytes: (options.max_body_mib as usize) << 20,
        answer_bytes: options.max_answer_mib << 20,
        queued_jobs: i64::from(options.max_queued_jobs),
    }
}

fn reach(options: &Serve) -> Reach {
    if options.webhook_allow_private {
        Reach::Anywhere
    } else {
        Reach::Public
    }
}

fn start_engine(
    options: &Serve,
    artifacts: &Artifacts,
    machine: MachineInfo,
) -> Result<Engine, Error> {
    let config = EngineConfig {
        threads: options.inference_threads.unwrap_or(machine.threads),
        memory_bytes: options.model_memory_mib << 20,
        device: tch::Device::cuda_if_available(),
        bounds: Bounds {
            calls: options.inference_queue as usize,
            rows: options.batch_rows as usize,
            delay: Duration::from_millis(options.batch_delay_ms),
        },
    };
    Ok(Engine::start(artifacts.clone(), config)?)
}
