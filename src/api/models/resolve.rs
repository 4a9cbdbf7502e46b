//! Which version a ref names, remembered between requests: at tens of thousands a second, asking the
//! database each time would be most of the work. A look-up there takes 160 us, longer than a small batch
//! (`make bench-parts ONLY=lookups`).
//!
//! What is remembered is never older than anything a client can know. Every answer of this service that may
//! tell of a new version (all but inference) makes it forget, before the client reads it; what other
//! processes publish meanwhile is seen after `STALE_AFTER` at the latest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::api::problem::{Problem, Result};
use crate::families::Family;
use crate::inference::ModelSource;
use crate::jobs::parse_ref;
use crate::store::{ModelVersion, Store};
use crate::verbs::Signature;

const STALE_AFTER: Duration = Duration::from_millis(50);
/// Refs remembered at once. More are not wrong, only slower.
const MOST: usize = 4096;

/// A version that was found, with what every call of it needs.
pub struct Resolved {
    pub version: ModelVersion,
    pub source: Arc<ModelSource>,
    /// Least and greatest value of the training rows.
    pub range: [f64; 2],
    /// What is special about its verbs.
    pub signature: Signature,
    /// Numbers that a row leaves in the model while it is trained.
    pub working: u64,
}

struct Known {
    generation: u64,
    at: Instant,
    resolved: Arc<Resolved>,
}

pub struct Resolver {
    store: Store,
    generation: AtomicU64,
    known: RwLock<HashMap<String, Known>>,
}

impl Resolver {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            generation: AtomicU64::default(),
            known: RwLock::default(),
        }
    }

    /// The version that a ref (`name`, `name:3`, `name@alias`) names.
    pub async fn resolve(&self, reference: &str) -> Result<Arc<Resolved>> {
        if let Some(found) = self.recall(reference) {
            return Ok(found);
        }
        // Noted before the database is asked: what it says is at least as new as this.
        let since = (self.generation.load(Ordering::Acquire), Instant::now());
        let version = self.find(reference).await?;
        let range = version.data.get("range").cloned().unwrap_or_default();
        let source = Arc::new(source(version.clone())?);
        let working = Family::working_a_row(&source.kind, &source.spec, &source.facts);
        let resolved = Arc::new(Resolved {
            range: serde_json::from_value(range).unwrap_or([0.0, 1.0]),
            signature: Family::signature_of(&source.kind, &source.spec, &source.facts),
            working: u64::try_from(working).unwrap_or(u64::MAX),
            source,
            version,
        });
        self.remember(reference, since, &resolved);
        Ok(resolved)
    }

    /// The same from the database alone. What can name nothing is not found.
    pub async fn find(&self, reference: &str) -> Result<ModelVersion> {
        let parsed = parse_ref(reference).map_err(|e| Problem::not_found(e.to_string()))?;
        Ok(self.store.model_version(&parsed).await?)
    }

    /// Whatever was found before this moment is looked up anew.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// What the ref was found to name a moment ago.
    pub fn recall(&self, reference: &str) -> Option<Arc<Resolved>> {
        let generation = self.generation.load(Ordering::Acquire);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(reference)?;
        let fresh = found.generation == generation && found.at.elapsed() < STALE_AFTER;
        fresh.then(|| Arc::clone(&found.resolved))
    }

    fn remember(&self, reference: &str, since: (u64, Instant), resolved: &Arc<Resolved>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        let ((generation, at), resolved) = (since, Arc::clone(resolved));
        let found = Known {
            generation,
            at,
            resolved,
        };
        known.insert(reference.to_owned(), found);
    }
}

/// What the engine needs to load a version.
pub fn source(version: ModelVersion) -> Result<ModelSource> {
    Ok(ModelSource {
        facts: serde_json::from_value(version.data).map_err(Problem::internal)?,
        name: version.name,
        version: version.version,
        kind: version.kind,
        spec: version.spec,
        sha256: version.sha256,
    })
}
