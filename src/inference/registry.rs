//! The models in memory: loaded once, the least recently used dropped when they outgrow their budget.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::door::Door;
use super::engine::{ModelSource, Order};
use super::loader::Loader;
use super::queue::{Waiting, is_late};
use super::resident::Resident;
use crate::verbs::call::CallError;

/// A model in memory, as told to those who ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedModel {
    pub name: String,
    pub version: i64,
    pub bytes: usize,
}

struct Entry {
    source: Arc<ModelSource>,
    resident: Arc<Resident>,
}

/// A model under way, and who waits for it.
struct Expected {
    source: Arc<ModelSource>,
    orders: Vec<Order>,
    told: Vec<oneshot::Sender<Result<(), CallError>>>,
    /// Somebody had it dropped before it was there, and nobody asked for it since.
    unwanted: bool,
}

pub(super) struct Registry {
    /// Most recently used last.
    entries: Vec<Entry>,
    expected: Vec<Expected>,
    budget: usize,
    loader: Loader,
    door: Arc<Door>,
}

impl Registry {
    pub fn new(budget: usize, loader: Loader, door: Arc<Door>) -> Self {
        Self {
            entries: Vec::new(),
            expected: Vec::new(),
            budget,
            loader,
            door,
        }
    }

    pub fn has(&self, source: &ModelSource) -> bool {
        self.entries.iter().any(|entry| entry.source.is(source))
    }

    /// The model, now the one most recently used.
    pub fn get(&mut self, source: &ModelSource) -> Option<Arc<Resident>> {
        let at = self.entries.iter().position(|e| e.source.is(source))?;
        let last = self.entries.len() - 1;
        if at != last {
            let entry = self.entries.remove(at);
            self.entries.push(entry);
        }
        self.entries.last().map(|entry| Arc::clone(&entry.resident))
    }

    /// Keeps calls until their model is there, and has it loaded unless it is under way.
    pub fn park(&mut self, source: Arc<ModelSource>, orders: Vec<Order>) {
        self.door.park(orders.len());
        self.expect(source).orders.extend(orders);
    }

    pub fn load(&mut self, source: Arc<ModelSource>, told: oneshot::Sender<Result<(), CallError>>) {
        if self.has(&source) {
            let _ = told.send(Ok(()));
        } else {
            self.expect(source).told.push(told);
        }
    }

    fn expect(&mut self, source: Arc<ModelSource>) -> &mut Expected {
        let at = self.expected.iter().position(|e| e.source.is(&source));
        let at = at.unwrap_or_else(|| {
            self.loader.load(Arc::clone(&source));
            self.expected.push(Expected {
                source,
                orders: Vec::new(),
                told: Vec::new(),
                unwanted: false,
            });
            self.expected.len() - 1
        });
        let expected = &mut self.expected[at];
        expected.unwanted = false;
        expected
    }

    /// The loader is done: what waited goes back to the head of the queue, or hears why it can't be.
    pub fn arrived(&mut self, source: &Arc<ModelSource>, found: Result<Resident, CallError>) {
        let Some(at) = self.expected.iter().position(|e| e.source.is(source)) else {
            return;
        };
        let expected = self.expected.swap_remove(at);
        let unwanted = expected.unwanted && expected.orders.is_empty();
        let Expected { orders, told, .. } = expected;
        match found {
            Ok(resident) => {
                if !unwanted {
                    self.keep(source, resident);
                }
                for told in told {
                    let _ = told.send(Ok(()));
                }
                self.door.put_back(orders);
            }
            Err(CallError::Load(reason)) => {
                self.door.unpark(orders.len());
                for told in told {
                    let _ = told.send(Err(CallError::Load(reason.clone())));
                }
                for order in orders {
                    let _ = order.answer.send(Err(CallError::Load(reason.clone())));
                }
            }
            Err(_) => self.door.unpark(orders.len()),
        }
    }

    /// The version that was just asked for stays, even if it alone is more than the budget.
    fn keep(&mut self, source: &Arc<ModelSource>, resident: Resident) {
        let mut used: usize = self.entries.iter().map(|e| e.resident.bytes).sum();
        while used + resident.bytes > self.budget {
            // One that a long call is computed with would go on taking its room.
            let idle = |entry: &Entry| Arc::strong_count(&entry.resident) == 1;
            let Some(at) = self.entries.iter().position(idle) else {
                break;
            };
            let dropped = self.entries.remove(at);
            used -= dropped.resident.bytes;
            let ModelSource { name, version, .. } = dropped.source.as_ref();
            tracing::info!(model = name, version, "model dropped to make room");
        }
        tracing::info!(
            model = source.name,
            version = source.version,
            bytes = resident.bytes,
            "model loaded"
        );
        metrics::counter!("latentd_model_loads_total").increment(1);
        self.door.set_aside().take_up(&source.name, source.version);
        self.entries.push(Entry {
            source: Arc::clone(source),
            resident: Arc::new(resident),
        });
        self.tell();
    }

    /// Calls that nobody waits for any more make room.
    pub fn drop_dead(&mut self) {
        let now = Instant::now();
        for expected in &mut self.expected {
            let before = expected.orders.len();
            expected
                .orders
                .retain(|order| !order.is_gone() && !is_late(order, now));
            self.door.unpark(before - expected.orders.len());
        }
    }

    pub fn unload(&mut self, name: &str, version: i64) -> bool {
        let is_it = |source: &ModelSource| source.name == name && source.version == version;
        let before = self.entries.len();
        self.entries.retain(|e| !is_it(&e.source));
        for expected in self.expected.iter_mut().filter(|e| is_it(&e.source)) {
            expected.unwanted = true;
        }
        let was_there = self.entries.len() < before;
        self.door.set_aside().put(name, version);
        if was_there {
            tracing::info!(model = name, version, "model unloaded");
            metrics::counter!("latentd_model_unloads_total").increment(1);
            self.tell();
        }
        was_there
    }

    fn tell(&self) {
        *self.door.shelf() = self
            .entries
            .iter()
            .map(|entry| LoadedModel {
                name: entry.source.name.clone(),
                version: entry.source.version,
                bytes: entry.resident.bytes,
            })
            .collect();
    }
}
