//! What the service does now and then for as long as it runs: it drops what is old, and removes what nothing names.

use std::time::Duration;

use super::sweep::Sweeper;
use crate::artifacts::{Artifacts, Reserve};
use crate::clock::now_ms;
use crate::layout::Layout;
use crate::store::Store;

const EVERY: Duration = Duration::from_secs(10);
const DELIVERIES_EVERY: Duration = Duration::from_secs(600);
const KEEP_DELIVERIES_MS: i64 = 7 * 24 * 60 * 60 * 1000;
const KEEP_DELIVERIES: u32 = 2000;

pub struct House {
    pub store: Store,
    pub artifacts: Artifacts,
    pub layout: Layout,
    pub reserve: Reserve,
    /// Events of each job, and ended jobs; 0 keeps all of these.
    pub keep_events: u32,
    pub keep_jobs: u32,
    /// Between two looks at what nothing names.
    pub sweep_every: Duration,
}

impl House {
    /// Keeps it for as long as the service runs.
    pub async fn keep(self) {
        let mut since = now_ms();
        let mut deliveries = tokio::time::interval(DELIVERIES_EVERY);
        let mut looks = tokio::time::interval(self.sweep_every);
        let mut sweeper = Sweeper::default();
        self.set_aside();
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = deliveries.tick() => {
                    self.drop_deliveries().await;
                    continue;
                }
                _ = looks.tick() => {
                    self.sweep(&mut sweeper).await;
                    continue;
                }
            }
            self.set_aside();
            since = self.drop_events(since).await;
            self.drop_jobs().await;
        }
    }

    /// Also after it was spent, once there is room again.
    fn set_aside(&self) {
        if self.store.require_in_place().is_err() {
            return;
        }
        match self.reserve.fill() {
            Ok(true) => tracing::debug!("room was set aside for a full disk"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "no room could be set aside for a full disk"),
        }
    }

    async fn sweep(&self, sweeper: &mut Sweeper) {
        if self.store.require_in_place().is_err() {
            return;
        }
        let looked = sweeper
            .look(&self.store, &self.artifacts, &self.layout)
            .await;
        if let Err(error) = looked {
            tracing::warn!(%error, "what nothing names could not be removed");
        }
    }

    async fn drop_deliveries(&self) {
        let before = now_ms() - KEEP_DELIVERIES_MS;
        let drop = || self.store.prune_deliveries(before, KEEP_DELIVERIES);
        if let Err(error) = self.reserve.spend(drop).await {
            tracing::warn!(%error, "old deliveries could not be dropped");
        }
    }

    /// Of jobs that run or have ended since; the next `since`.
    async fn drop_events(&self, since: i64) -> i64 {
        let now = now_ms();
        let drop = || self.store.prune_events(self.keep_events, since);
        match self.reserve.spend(drop).await {
            Ok(_) => now,
            Err(error) => {
                tracing::warn!(%error, "old events could not be dropped");
                since
            }
        }
    }

    async fn drop_jobs(&self) {
        if self.keep_jobs == 0 {
            return;
        }
        let drop = || self.store.prune_jobs(self.keep_jobs);
        match self.reserve.spend(drop).await {
            Ok(orphans) => self.artifacts.remove(&orphans),
            Err(error) => tracing::warn!(%error, "old jobs could not be dropped"),
        }
    }
}
