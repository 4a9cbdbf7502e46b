//! What handlers share.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, watch};

use super::access::{Access, Caller};
use super::held::Allowance;
use super::jobs::feed::Feeds;
use super::models::resolve::{Resolved, Resolver};
use super::problem::{Problem, Result};
use crate::artifacts::{Artifacts, Reserve};
use crate::inference::Engine;
use crate::jobs::Job;
use crate::layout::Layout;
use crate::machine::MachineInfo;
use crate::store::{Dataset, Health, ModelVersion, Store};
use crate::webhooks::Reach;

/// Bounds on what clients send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub upload_bytes: u64,
    pub unpacked_bytes: u64,
    pub body_bytes: usize,
    pub answer_bytes: u64,
    pub queued_jobs: i64,
}

/// A handle: handlers and layers copy it for every request. It knows who asks, so that what a request names is held
/// against its key wherever it is looked up.
#[derive(Clone)]
pub struct AppState {
    shared: Arc<Shared>,
    pub caller: Caller,
}

impl AppState {
    pub fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            caller: Caller::default(),
        }
    }

    /// The same, as somebody asks it.
    #[must_use]
    pub fn asked_by(&self, caller: &Caller) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            caller: caller.clone(),
        }
    }

    /// Whether the key of whoever asked is still one: for answers that go on.
    pub fn still_may(&self) -> bool {
        let key = self.caller.key();
        key.is_none_or(|key| self.access.keyring.stands(key))
    }

    /// By id or name.
    pub async fn dataset(&self, reference: &str) -> Result<Dataset> {
        let found = self.store.dataset(reference).await;
        // A refusal repeats what was asked for: neither whether there is such a one nor the name behind an id.
        let name = match &found {
            Ok(dataset) => dataset.name.as_str(),
            Err(_) => reference,
        };
        if !self.caller.reaches_dataset(name) {
            return Err(Caller::cannot_reach_dataset(reference));
        }
        Ok(found?)
    }

    pub async fn job(&self, id: &str) -> Result<Job> {
        let job = self.store.job(id).await?;
        self.caller
            .require_job(&job.plan.name, &job.plan.dataset_name)?;
        Ok(job)
    }

    /// The version that a ref (`name`, `name:3`, `name@alias`) names.
    pub async fn resolve(&self, reference: &str) -> Result<Arc<Resolved>> {
        self.require_ref(reference)?;
        self.resolver.resolve(reference).await
    }

    /// The same from the database alone.
    pub async fn find(&self, reference: &str) -> Result<ModelVersion> {
        self.require_ref(reference)?;
        self.resolver.find(reference).await
    }

    /// Whether whoever asks reaches what a ref names.
    pub fn require_ref(&self, reference: &str) -> Result<()> {
        let name = reference.split([':', '@']).next().unwrap_or_default();
        self.caller.require_model(name)
    }
}

impl Deref for AppState {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// A handler names it like any other part of its request.
impl FromRequestParts<Self> for AppState {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Self) -> Result<Self, Infallible> {
        let mut state = state.clone();
        if state.access.keyring.is_required()
            && let Some(caller) = parts.extensions.get::<Caller>()
        {
            state.caller = caller.clone();
        }
        Ok(state)
    }
}

pub struct Shared {
    pub store: Store,
    /// Whether the store takes writes.
    pub health: Health,
    pub artifacts: Artifacts,
    /// Room for what makes room.
    pub reserve: Reserve,
    pub layout: Layout,
    pub engine: Engine,
    pub resolver: Resolver,
    /// Jobs that are followed live.
    pub feeds: Feeds,
    pub limits: Limits,
    /// Of bodies that are read or waited for their turn.
    pub bodies: Allowance,
    /// Of answers that are computed or not read yet.
    pub answers: Allowance,
    pub access: Access,
    pub machine: MachineInfo,
    /// How far webhooks may point.
    pub webhook_reach: Reach,
    /// Knocks on the supervisors' door when a job was queued.
    pub queued: Arc<Notify>,
    /// Turns true when the service shuts down: long answers end then.
    pub draining: watch::Receiver<bool>,
    pub metrics: PrometheusHandle,
}

/// Does what blocks beside the request threads.
pub fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let running = tokio::task::spawn_blocking(work);
    async { running.await.map_err(Problem::internal) }
}
