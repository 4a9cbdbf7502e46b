//! The thread that owns the tensors of a device: calls in by a bounded queue, answers out by oneshot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tch::Device;
use tokio::sync::{mpsc, oneshot};

use super::call::{Call, CallError, Reply};
use super::loaded::LoadedModels;
use crate::artifacts::Artifacts;
use crate::nn::model::DataFacts;

/// A published version, with all that loading it takes.
#[derive(Debug, Clone)]
pub struct ModelSource {
    pub name: String,
    pub version: i64,
    pub kind: String,
    pub spec: Value,
    pub facts: DataFacts,
    pub sha256: String,
}

#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    pub threads: u32,
    pub queue: usize,
    pub memory_bytes: usize,
    pub device: Device,
}

/// What the thread is asked for.
pub(super) enum Work {
    Call(Box<Order>),
    Errand(Errand),
}

/// Something else that needs its tensors; it answers by itself.
pub(super) type Errand = Box<dyn FnOnce(&mut LoadedModels, Device) + Send>;

pub(super) struct Order {
    source: ModelSource,
    call: Call,
    answer: oneshot::Sender<Result<Reply, CallError>>,
}

/// What the door needs to know of the queue behind it.
#[derive(Default)]
struct Load {
    waiting: AtomicUsize,
    /// Microseconds a call took, smoothed.
    usual_micros: AtomicU64,
}

/// A handle; the thread ends when the last one is dropped.
#[derive(Clone)]
pub struct Engine {
    orders: mpsc::Sender<Work>,
    load: Arc<Load>,
}

impl Engine {
    pub fn start(artifacts: Artifacts, config: EngineConfig) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::channel(config.queue);
        let load = Arc::new(Load::default());
        let seen = Arc::clone(&load);
        std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || {
                serve(
                    inbox,
                    LoadedModels::new(artifacts, config.memory_bytes, config.device),
                    &config,
                    &seen,
                )
            })?;
        Ok(Self { orders, load })
    }

    /// Queues a call and waits for its answer; refused at once when the queue is full.
    pub async fn call(&self, source: ModelSource, call: Call) -> Result<Reply, CallError> {
        let (answer, reply) = oneshot::channel();
        self.admit(Work::Call(Box::new(Order {
            source,
            call,
            answer,
        })))?;
        reply.await.unwrap_or(Err(CallError::Closed))
    }

    pub(super) fn admit(&self, work: Work) -> Result<(), CallError> {
        let permit = self.orders.try_reserve().map_err(|e| match e {
            mpsc::error::TrySendError::Full(()) => self.full(),
            mpsc::error::TrySendError::Closed(()) => CallError::Closed,
        })?;
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        permit.send(work);
        Ok(())
    }

    pub fn waiting(&self) -> usize {
        self.load.waiting.load(Ordering::Relaxed)
    }

    fn full(&self) -> CallError {
        let queued = self.waiting();
        let micros = self.load.usual_micros.load(Ordering::Relaxed) * queued as u64;
        CallError::Full {
            queued,
            retry_after_seconds: micros.div_ceil(1_000_000).max(1),
        }
    }
}

fn serve(
    mut inbox: mpsc::Receiver<Work>,
    mut models: LoadedModels,
    config: &EngineConfig,
    load: &Load,
) {
    tch::set_num_threads(i32::try_from(config.threads).unwrap_or(1));
    while let Some(work) = inbox.blocking_recv() {
        load.waiting.fetch_sub(1, Ordering::Relaxed);
        let order = match work {
            Work::Call(order) => order,
            Work::Errand(errand) => {
                errand(&mut models, config.device);
                continue;
            }
        };
        // A caller that left before its turn costs nothing.
        if order.answer.is_closed() {
            continue;
        }
        let start = Instant::now();
        let reply = fenced(&mut models, &order, config.device);
        note_duration(load, start.elapsed());
        let _ = order.answer.send(reply);
    }
}

fn fenced(models: &mut LoadedModels, order: &Order, device: Device) -> Result<Reply, CallError> {
    fence(|| {
        let model = models.get(&order.source)?;
        order.call.apply(model, &order.source.facts, device)
    })
}

/// libtorch reports errors by panicking; one bad call must not take the thread with it.
pub(super) fn fence<T>(work: impl FnOnce() -> Result<T, CallError>) -> Result<T, CallError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(CallError::Failed(panic_text(panic.as_ref()))))
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    // libtorch appends a native backtrace; the first line says what happened.
    text.lines().next().unwrap_or_default().to_owned()
}

fn note_duration(load: &Load, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let before = load.usual_micros.load(Ordering::Relaxed);
    let smoothed = if before == 0 {
        micros
    } else {
        before - before / 8 + micros / 8
    };
    load.usual_micros.store(smoothed, Ordering::Relaxed);
}
