//! What handlers share.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, watch};

use super::held::Allowance;
use super::models::resolve::Resolver;
use super::problem::{Problem, Result};
use crate::artifacts::{Artifacts, Reserve};
use crate::inference::Engine;
use crate::layout::Layout;
use crate::machine::MachineInfo;
use crate::store::{Health, Store};
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

/// A handle: handlers and layers copy it for every request.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

impl AppState {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for AppState {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// A handler names it like any other part of its request.
impl FromRequestParts<Self> for AppState {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &Self) -> Result<Self, Infallible> {
        Ok(state.clone())
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
    pub limits: Limits,
    /// Of bodies that are read or waited for their turn.
    pub bodies: Allowance,
    /// Of answers that are computed or not read yet.
    pub answers: Allowance,
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
