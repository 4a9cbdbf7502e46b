//! The two threads that compute on a device, and the handle by which calls reach them.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::Value;
use tch::Device;
use tokio::sync::oneshot;

use super::desk::Desk;
use super::door::{Command, Door, Line, Place, Work};
use super::errand::Errands;
use super::loader::Loader;
use super::queue::{Bounds, Priority, Trigger, Waiting};
use super::registry::{LoadedModel, Registry};
use super::statistics::ModelStatistics;
use crate::artifacts::Artifacts;
use crate::nn::model::DataFacts;
use crate::verbs::call::{Call, CallError, Reply, Verb};

/// A published version, with all that loading it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSource {
    pub name: String,
    pub version: i64,
    pub kind: String,
    pub spec: Value,
    pub facts: DataFacts,
    pub sha256: String,
}

impl ModelSource {
    /// Whether both are the same weights under the same name.
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || self.version == other.version
                && self.name == other.name
                && self.sha256 == other.sha256
    }
}

#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    pub threads: u32,
    pub memory_bytes: usize,
    pub device: Device,
    pub bounds: Bounds,
}

/// How a call is to be treated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    pub priority: Priority,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
}

pub(super) struct Order {
    pub source: Arc<ModelSource>,
    pub call: Call,
    /// What must be equal in calls that are computed together; none for calls that go alone.
    pub kind: Option<Verb>,
    pub terms: Terms,
    /// Whether the caller holds a [`Place`].
    pub in_hand: bool,
    pub since: Instant,
    pub answer: oneshot::Sender<Result<Reply, CallError>>,
    /// Lives as long as somebody waits for the answer.
    pub asker: Weak<()>,
    /// It was long, and its model gone when its turn came.
    pub sent_back: bool,
}

impl Waiting for Order {
    fn goes_with(&self, other: &Self) -> bool {
        self.kind.is_some() && self.kind == other.kind && self.source.is(&other.source)
    }
    fn rows(&self) -> usize {
        self.call.input.rows
    }
    fn priority(&self) -> Priority {
        self.terms.priority
    }
    fn since(&self) -> Instant {
        self.since
    }
    fn deadline(&self) -> Option<Instant> {
        self.terms.deadline
    }
    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

/// A handle; the threads end when the last one is dropped.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

struct Handle(Arc<Door>, Errands);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Engine {
    pub fn start(artifacts: Artifacts, config: EngineConfig) -> std::io::Result<Self> {
        let door = Arc::new(Door::new(config.bounds));
        let errands = Errands::start(artifacts.clone())?;
        let loader = Loader::start(artifacts, config.device, Arc::clone(&door))?;
        let registry = Registry::new(config.memory_bytes, loader, Arc::clone(&door));
        let room = Room {
            door: Arc::clone(&door),
            registry,
            desk: Desk::new(Arc::clone(&door), Line::Quick, config),
        };
        let for_long = Desk::new(Arc::clone(&door), Line::Long, config);
        let aside = Arc::clone(&door);
        std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || room.serve())?;
        std::thread::Builder::new()
            .name("long calls".to_owned())
            .spawn(move || serve_long(&aside, for_long))?;
        Ok(Self(Arc::new(Handle(door, errands))))
    }

    /// Queues a call and waits for its answer; refused when the queue is full, a moment later, and given up at
    /// its deadline, whatever the thread is doing then. `place` is the caller's, if it asked for one.
    pub async fn call(
        &self,
        source: Arc<ModelSource>,
        call: Call,
        terms: Terms,
        place: Option<&Place>,
    ) -> Result<Reply, CallError> {
        let (answer, reply) = oneshot::channel();
        let here = Arc::new(());
        let admitted = self.0.0.admit(Order {
            asker: Arc::downgrade(&here),
            kind: call.verb.merges(),
            source,
            call,
            terms,
            in_hand: place.is_some(),
            since: Instant::now(),
            answer,
            sent_back: false,
        });
        if let Err(refused) = admitted {
            if let CallError::Full { .. } = refused {
                hold_back().await;
            }
            return Err(refused);
        }
        let reply = match terms.deadline {
            None => reply.await,
            Some(at) => match Box::pin(tokio::time::timeout_at(at.into(), reply)).await {
                Ok(reply) => reply,
                Err(_) => {
                    self.0.0.note_late();
                    return Err(CallError::Late);
                }
            },
        };
        let reply = reply.unwrap_or_else(|_| {
            // Dropped unanswered: as too late by the queue, which may see it first, or at the end.
            let late = terms.deadline.is_some_and(|at| at <= Instant::now());
            Err(if late {
                self.0.0.note_late();
                CallError::Late
            } else {
                CallError::Closed
            })
        });
        // Among the long ones "full" is said within.
        if let Err(CallError::Full { .. }) = reply {
            hold_back().await;
        }
        reply
    }

    pub(super) fn errands(&self) -> &Errands {
        &self.0.1
    }

    /// A place for a request, to be held until it is answered; asked for before a body is read that would be
    /// read for nothing. Where there is none the refusal is late by a moment, see `hold_back`.
    pub async fn enter(&self) -> Result<Place, CallError> {
        let refused = match self.0.0.enter() {
            Ok(place) => return Ok(place),
            Err(refused) => refused,
        };
        hold_back().await;
        Err(refused)
    }

    /// Loads a version and answers once it is ready.
    pub async fn load(&self, source: Arc<ModelSource>) -> Result<(), CallError> {
        let (told, hears) = oneshot::channel();
        self.0.0.command(Command::Load(source, told));
        hears.await.unwrap_or(Err(CallError::Closed))
    }

    /// Drops a version from memory; whether it was there.
    pub async fn unload(&self, name: &str, version: i64) -> bool {
        let (told, hears) = oneshot::channel();
        self.0
            .0
            .command(Command::Unload(name.to_owned(), version, told));
        hears.await.unwrap_or(false)
    }

    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.0.0.shelf().clone()
    }

    pub fn is_loaded(&self, name: &str, version: i64) -> bool {
        let shelf = self.0.0.shelf();
        shelf.iter().any(|m| m.name == name && m.version == version)
    }

    /// Whether it was unloaded on request and not asked for since.
    pub fn is_set_aside(&self, name: &str, version: i64) -> bool {
        self.0.0.set_aside().holds(name, version)
    }

    pub fn statistics(&self, name: &str, version: i64) -> ModelStatistics {
        self.0.0.statistics().of(name, version)
    }

    pub fn waiting(&self) -> usize {
        self.0.0.waiting()
    }

    /// Calls that are long, whether they wait or are computed.
    pub fn long(&self) -> usize {
        self.0.0.long()
    }

    pub fn capacity(&self) -> usize {
        self.0.0.bounds().calls
    }

    pub fn bounds(&self) -> Bounds {
        self.0.0.bounds()
    }
}

/// Holds a refusal back, for about a quarter of a second. A client that asks again at once and then again would
/// take the cores from those who were let in; one that heeds `Retry-After` waits longer anyway. Drawn, so that
/// what came together does not come again together.
pub(super) async fn hold_back() {
    let drawn = getrandom::u32().unwrap_or_default() % 300;
    let pause = Duration::from_millis(100 + u64::from(drawn));
    // Boxed: what few calls come to must not make the futures of all of them larger.
    Box::pin(tokio::time::sleep(pause)).await;
}

/// What the thread has that keeps the models and answers quick calls.
struct Room {
    door: Arc<Door>,
    registry: Registry,
    desk: Desk,
}

impl Room {
    fn serve(mut self) {
        loop {
            match self.door.wait() {
                Work::Batch(orders, trigger) => self.answer(orders, trigger),
                Work::Command(Command::Load(source, told)) => self.registry.load(source, told),
                Work::Command(Command::Arrived(source, found)) => {
                    self.registry.arrived(&source, found);
                }
                Work::Command(Command::DropDead) => self.registry.drop_dead(),
                Work::Command(Command::Unload(name, version, told)) => {
                    let _ = told.send(self.registry.unload(&name, version));
                }
                Work::End => return,
            }
        }
    }

    fn answer(&mut self, orders: Vec<Order>, trigger: Trigger) {
        let Some(source) = orders.first().map(|order| Arc::clone(&order.source)) else {
            return;
        };
        let Some(resident) = self.registry.get(&source) else {
            self.registry.park(source, orders);
            return;
        };
        let is_long = |order: &Order| resident.is_long(&order.call);
        let (long, quick): (Vec<_>, Vec<_>) = orders.into_iter().partition(is_long);
        if !long.is_empty() {
            self.door.hand_over(long, &resident);
        }
        self.desk.answer(quick, trigger, &resident);
    }
}

/// How far the thread for long calls stands back for the other one, as `nice` counts.
#[cfg(target_os = "linux")]
const LONG_CALLS_NICE: i32 = 5;

fn serve_long(door: &Arc<Door>, mut desk: Desk) {
    // On Linux it holds for the thread alone, and for those it starts; elsewhere for all.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(LONG_CALLS_NICE);
    while let Some((handed, trigger)) = door.wait_for_long() {
        let resident = handed.iter().find_map(|handed| handed.resident.upgrade());
        // Their places in the line are free when they are answered.
        let (orders, _places): (Vec<_>, Vec<_>) =
            handed.into_iter().map(|h| (h.order, h.place)).unzip();
        match resident {
            Some(resident) => desk.answer(orders, trigger, &resident),
            None => door.send_back(orders),
        }
    }
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

/// Time for so many calls at the pace of late, in whole seconds, at least one.
pub(super) fn seconds_for(calls: usize, each: Duration) -> u64 {
    let micros = each.as_micros().saturating_mul(calls as u128);
    u64::try_from(micros.div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .max(1)
}
