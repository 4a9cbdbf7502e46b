//! The model cache: models are loaded once; the least recently used are dropped when they outgrow the budget.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::loaded_model::LoadedModel;
use super::loader::Loader;
use super::queue::{Queued, is_late};
use super::request::Request;
use super::scheduler::Scheduler;
use super::snapshot::{LoadedModelInfo, Snapshot};
use super::source::ModelSource;
use crate::verbs::call::CallError;

struct Entry {
    source: Arc<ModelSource>,
    model: Arc<LoadedModel>,
}

/// A model that is being loaded, and who waits for it.
struct Pending {
    source: Arc<ModelSource>,
    requests: Vec<Request>,
    loads: Vec<oneshot::Sender<Result<(), CallError>>>,
    /// It was unloaded meanwhile, and nobody has asked for it since.
    unloaded: bool,
}

pub(super) struct ModelCache {
    /// Most recently used last.
    entries: Vec<Entry>,
    pending: Vec<Pending>,
    budget_bytes: usize,
    loader: Loader,
    scheduler: Arc<Scheduler>,
    snapshot: Arc<Snapshot>,
}

impl ModelCache {
    pub fn new(
        budget_bytes: usize,
        loader: Loader,
        scheduler: Arc<Scheduler>,
        snapshot: Arc<Snapshot>,
    ) -> Self {
        Self {
            entries: Vec::new(),
            pending: Vec::new(),
            budget_bytes,
            loader,
            scheduler,
            snapshot,
        }
    }

    /// The model, now the one most recently used.
    pub fn get(&mut self, source: &ModelSource) -> Option<&Arc<LoadedModel>> {
        let at = self.entries.iter().position(|e| e.source.is(source))?;
        let last = self.entries.len() - 1;
        if at != last {
            let entry = self.entries.remove(at);
            self.entries.push(entry);
        }
        self.entries.last().map(|entry| &entry.model)
    }

    /// Parks requests until their model is loaded.
    pub fn park(&mut self, source: Arc<ModelSource>, requests: Vec<Request>) {
        self.scheduler.park(requests.len());
        self.pending(source).requests.extend(requests);
    }

    pub fn load(&mut self, source: Arc<ModelSource>, tx: oneshot::Sender<Result<(), CallError>>) {
        if self.entries.iter().any(|entry| entry.source.is(&source)) {
            let _ = tx.send(Ok(()));
        } else {
            self.pending(source).loads.push(tx);
        }
    }

    /// Has the model loaded unless that is under way.
    fn pending(&mut self, source: Arc<ModelSource>) -> &mut Pending {
        let at = self.pending.iter().position(|e| e.source.is(&source));
        let at = at.unwrap_or_else(|| {
            self.loader.load(Arc::clone(&source));
            self.pending.push(Pending {
                source,
                requests: Vec::new(),
                loads: Vec::new(),
                unloaded: false,
            });
            self.pending.len() - 1
        });
        let pending = &mut self.pending[at];
        pending.unloaded = false;
        pending
    }

    /// Takes over from the loader: parked requests return to the head of the queue, or are told of the error.
    pub fn loaded(&mut self, source: &Arc<ModelSource>, result: Result<LoadedModel, CallError>) {
        let Some(at) = self.pending.iter().position(|e| e.source.is(source)) else {
            return;
        };
        let Pending {
            requests,
            loads,
            unloaded,
            ..
        } = self.pending.swap_remove(at);
        match result {
            Ok(model) => {
                if !unloaded || !requests.is_empty() {
                    self.insert(source, model);
                }
                for tx in loads {
                    let _ = tx.send(Ok(()));
                }
                self.scheduler.unpark_to_queue(requests);
            }
            Err(error) => {
                self.scheduler.unpark(requests.len());
                for tx in loads {
                    let _ = tx.send(Err(error.clone()));
                }
                for request in requests {
                    let _ = request.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// A version that was just asked for stays, even if it alone exceeds the budget.
    fn insert(&mut self, source: &Arc<ModelSource>, model: LoadedModel) {
        let mut used: usize = self.entries.iter().map(|e| e.model.bytes).sum();
        while used + model.bytes > self.budget_bytes {
            // A model that the slow lane computes with would keep its memory.
            let idle = |entry: &Entry| Arc::strong_count(&entry.model) == 1;
            let Some(at) = self.entries.iter().position(idle) else {
                break;
            };
            let dropped = self.entries.remove(at);
            used -= dropped.model.bytes;
            let ModelSource { name, version, .. } = dropped.source.as_ref();
            tracing::info!(model = name, version, "model dropped to make room");
        }
        let ModelSource { name, version, .. } = source.as_ref();
        tracing::info!(model = name, version, bytes = model.bytes, "model loaded");
        metrics::counter!("latentd_model_loads_total").increment(1);
        self.snapshot.note_loaded(name, *version);
        self.entries.push(Entry {
            source: Arc::clone(source),
            model: Arc::new(model),
        });
        self.publish();
    }

    /// Drops the parked requests that nobody waits for.
    pub fn purge_parked(&mut self) {
        let now = Instant::now();
        for pending in &mut self.pending {
            let before = pending.requests.len();
            pending
                .requests
                .retain(|request| !request.is_cancelled() && !is_late(request, now));
            self.scheduler.unpark(before - pending.requests.len());
        }
    }

    /// Drops a version from memory. Returns whether it was there.
    pub fn unload(&mut self, name: &str, version: i64) -> bool {
        let is_it = |source: &ModelSource| source.name == name && source.version == version;
        let before = self.entries.len();
        self.entries.retain(|e| !is_it(&e.source));
        for pending in self.pending.iter_mut().filter(|e| is_it(&e.source)) {
            pending.unloaded = true;
        }
        let was_there = self.entries.len() < before;
        self.snapshot.note_unloaded(name, version);
        if was_there {
            tracing::info!(model = name, version, "model unloaded");
            metrics::counter!("latentd_model_unloads_total").increment(1);
            self.publish();
        }
        was_there
    }

    fn publish(&self) {
        let info = |entry: &Entry| LoadedModelInfo {
            name: entry.source.name.clone(),
            version: entry.source.version,
            bytes: entry.model.bytes,
        };
        self.snapshot
            .publish(self.entries.iter().map(info).collect());
    }
}
