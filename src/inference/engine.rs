//! The handle by which the API reaches the models: calls, loading, background tasks and figures.

use std::sync::Arc;
use std::time::Instant;

use tch::Device;
use tokio::sync::oneshot;

use super::admission::{Admission, Lane, Permit, delayed};
use super::background::BackgroundTasks;
use super::cache::ModelCache;
use super::executor::{Executor, Threads};
use super::loader::Loader;
use super::model_thread::{ModelThread, run_slow};
use super::queue::Bounds;
use super::request::{Request, RequestOptions};
use super::scheduler::{Command, Scheduler};
use super::snapshot::{LoadedModelInfo, Snapshot};
use super::source::ModelSource;
use super::statistics::{BatchMetrics, ModelStatistics, Statistics, rejected};
use crate::artifacts::Artifacts;
use crate::verbs::call::{Call, CallError, Reply};

#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    pub threads: u32,
    pub memory_bytes: usize,
    pub device: Device,
    pub bounds: Bounds,
}

/// A handle; the threads end when the last one is dropped.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

struct Handle {
    admission: Arc<Admission>,
    scheduler: Arc<Scheduler>,
    snapshot: Arc<Snapshot>,
    statistics: Arc<Statistics>,
    background: BackgroundTasks,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.scheduler.close();
    }
}

impl Engine {
    pub fn start(artifacts: Artifacts, config: EngineConfig) -> std::io::Result<Self> {
        let admission = Arc::new(Admission::new(config.bounds.calls));
        let scheduler = Arc::new(Scheduler::new(config.bounds, Arc::clone(&admission)));
        let snapshot = Arc::new(Snapshot::default());
        let statistics = Arc::new(Statistics::default());
        let background = BackgroundTasks::start(artifacts.clone())?;
        let loader = Loader::start(artifacts, config.device, Arc::clone(&scheduler))?;
        let cache = ModelCache::new(
            config.memory_bytes,
            loader,
            Arc::clone(&scheduler),
            Arc::clone(&snapshot),
        );
        let executor = |lane| Executor {
            lane,
            device: config.device,
            admission: Arc::clone(&admission),
            statistics: Arc::clone(&statistics),
            metrics: BatchMetrics::new(config.bounds.rows),
            threads: Threads::new(config.threads),
        };
        let fast = ModelThread {
            scheduler: Arc::clone(&scheduler),
            cache,
            executor: executor(Lane::Fast),
        };
        let (slow, for_slow) = (executor(Lane::Slow), Arc::clone(&scheduler));
        std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || fast.run())?;
        std::thread::Builder::new()
            .name("slow calls".to_owned())
            .spawn(move || run_slow(&for_slow, slow))?;
        Ok(Self(Arc::new(Handle {
            admission,
            scheduler,
            snapshot,
            statistics,
            background,
        })))
    }

    /// Rejects a request whose body would be read for nothing. A rejection is delayed.
    pub async fn require_room(&self) -> Result<(), CallError> {
        match self.0.admission.rejects() {
            None => Ok(()),
            Some(full) => Err(delayed(full).await),
        }
    }

    /// A permit for a request that has arrived, to be held until it is answered; and the request. A rejection is
    /// delayed, and what arrived is dropped before.
    pub async fn enter<T>(&self, arrived: T) -> Result<(Permit, T), CallError> {
        match self.0.admission.enter() {
            Ok(permit) => Ok((permit, arrived)),
            Err(full) => {
                drop(arrived);
                Err(delayed(full).await)
            }
        }
    }

    /// Queues a call and waits for the reply. Rejected, after a delay, when the queue is full; given up at its
    /// deadline, whatever the thread is doing then. `permit` is the caller's, if it has one.
    pub async fn call(
        &self,
        source: Arc<ModelSource>,
        call: Call,
        options: RequestOptions,
        permit: Option<&Permit>,
    ) -> Result<Reply, CallError> {
        let (tx, rx) = oneshot::channel();
        let caller = Arc::new(());
        let submitted = self.0.scheduler.submit(Request {
            caller: Arc::downgrade(&caller),
            source,
            call,
            options,
            admitted: permit.is_some(),
            queued_at: Instant::now(),
            reply: tx,
            slow: None,
            requeued: false,
        });
        let received = match (submitted, options.deadline) {
            (Err(error), _) => Ok(Err(error)),
            (Ok(()), None) => rx.await,
            (Ok(()), Some(at)) => match Box::pin(tokio::time::timeout_at(at.into(), rx)).await {
                Ok(received) => received,
                Err(_) => Ok(Err(CallError::Late)),
            },
        };
        let reply = received.unwrap_or_else(|_| {
            // Dropped without a reply: as late by a queue, which may see it first, or at the end.
            let late = options.deadline.is_some_and(|at| at <= Instant::now());
            Err(if late {
                CallError::Late
            } else {
                CallError::Closed
            })
        });
        match reply {
            // The slow lane says so after the call was queued.
            Err(full @ CallError::Full { .. }) => Err(delayed(full).await),
            Err(CallError::Late) => {
                rejected("deadline", 1);
                Err(CallError::Late)
            }
            reply => reply,
        }
    }

    /// Loads a version. Returns once it is warm.
    pub async fn load(&self, source: Arc<ModelSource>) -> Result<(), CallError> {
        let (tx, rx) = oneshot::channel();
        self.0.scheduler.command(Command::Load(source, tx));
        rx.await.unwrap_or(Err(CallError::Closed))
    }

    /// Drops a version from memory. Returns whether it was there.
    pub async fn unload(&self, name: &str, version: i64) -> bool {
        let (tx, rx) = oneshot::channel();
        let command = Command::Unload(name.to_owned(), version, tx);
        self.0.scheduler.command(command);
        rx.await.unwrap_or(false)
    }

    /// Tasks on stored versions, beside the models in memory.
    pub fn background(&self) -> &BackgroundTasks {
        &self.0.background
    }

    pub fn loaded(&self) -> Vec<LoadedModelInfo> {
        self.0.snapshot.loaded()
    }

    pub fn is_loaded(&self, name: &str, version: i64) -> bool {
        self.0.snapshot.is_loaded(name, version)
    }

    /// Whether it was unloaded on request and not loaded since.
    pub fn is_manually_unloaded(&self, name: &str, version: i64) -> bool {
        self.0.snapshot.is_manually_unloaded(name, version)
    }

    pub fn statistics(&self, name: &str, version: i64) -> ModelStatistics {
        self.0.statistics.of(name, version)
    }

    /// Requests that wait, for their turn or for their model.
    pub fn waiting(&self) -> usize {
        self.0.scheduler.waiting()
    }

    /// Slow calls, whether they wait or are computed.
    pub fn slow(&self) -> usize {
        self.0.scheduler.slow()
    }

    pub fn bounds(&self) -> Bounds {
        self.0.scheduler.bounds()
    }
}
