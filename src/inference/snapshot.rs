//! Which models are loaded, as the model thread last published it, and which versions were unloaded on request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A loaded model, as clients are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedModelInfo {
    pub name: String,
    pub version: i64,
    pub bytes: usize,
}

/// Versions remembered as unloaded. A version that is forgotten looks ready, which it is: it is loaded on demand.
const MOST_UNLOADED: usize = 4096;

#[derive(Default)]
pub(super) struct Snapshot {
    loaded: Mutex<Vec<LoadedModelInfo>>,
    /// Unloaded on request and not loaded since, the oldest first.
    manually_unloaded: Mutex<VecDeque<(String, i64)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Snapshot {
    pub fn publish(&self, loaded: Vec<LoadedModelInfo>) {
        *lock(&self.loaded) = loaded;
    }

    pub fn loaded(&self) -> Vec<LoadedModelInfo> {
        lock(&self.loaded).clone()
    }

    pub fn is_loaded(&self, name: &str, version: i64) -> bool {
        let loaded = lock(&self.loaded);
        loaded
            .iter()
            .any(|m| m.name == name && m.version == version)
    }

    pub fn note_unloaded(&self, name: &str, version: i64) {
        let mut unloaded = lock(&self.manually_unloaded);
        unloaded.retain(|(n, v)| n != name || *v != version);
        if unloaded.len() >= MOST_UNLOADED {
            unloaded.pop_front();
        }
        unloaded.push_back((name.to_owned(), version));
    }

    pub fn note_loaded(&self, name: &str, version: i64) {
        lock(&self.manually_unloaded).retain(|(n, v)| n != name || *v != version);
    }

    pub fn is_manually_unloaded(&self, name: &str, version: i64) -> bool {
        let unloaded = lock(&self.manually_unloaded);
        unloaded.iter().any(|(n, v)| n == name && *v == version)
    }
}
