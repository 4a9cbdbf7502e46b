//! Starts a worker process when there is a job to claim, sees it end, and frees at once what it held.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::now_ms;
use crate::jobs::{LeasePolicy, Status};
use crate::layout::Layout;
use crate::store::{Health, Store};

/// How often the queue is looked at when nobody knocks: for jobs whose worker's lease ran out.
const POLL: Duration = Duration::from_millis(500);
/// How often a running worker is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Rounds that libtorch's threads wait actively at the end of a piece of work, as libgomp reads it at start; some
/// microseconds. Its own default is a millisecond or more. On idle cores that is no faster, and beside anything
/// that takes a core for a while a training becomes ten times slower or worse: whoever waits burns the time slice
/// of the one that is waited for. To sleep at once loses a third on idle cores, where steps are short.
const SPIN_COUNT: (&str, &str) = ("GOMP_SPINCOUNT", "500");

/// Unless the user has said how threads are to wait.
fn brief_waits(said: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    (!said(SPIN_COUNT.0) && !said("OMP_WAIT_POLICY")).then_some(SPIN_COUNT)
}

/// The very program that runs, even if its file was replaced by another version meanwhile: workers and
/// service must agree on what is in the database.
const THIS_PROGRAM: &str = "/proc/self/exe";

#[derive(Clone)]
pub struct Supervisor {
    pub store: Store,
    /// Without writes no worker could claim a job.
    pub health: Health,
    pub layout: Layout,
    pub policy: LeasePolicy,
    /// Knocked when a job was queued.
    pub queued: Arc<Notify>,
    /// Turns true when the service shuts down.
    pub draining: watch::Receiver<bool>,
    /// How long a worker may take to write its checkpoint and leave at a shutdown.
    pub grace: Duration,
    /// How long a worker may hang.
    pub patience: Duration,
    /// How far its workers stand back for whoever else wants the cores.
    pub nice: i32,
}

impl Supervisor {
    /// Runs worker processes, one at a time, until draining.
    pub async fn run(mut self) {
        while !*self.draining.borrow() {
            if !self.health.takes_writes() {
                self.wait().await;
                continue;
            }
            match self
                .store
                .is_anything_claimable(self.policy, now_ms())
                .await
            {
                Ok(true) => self.run_worker().await,
                Ok(false) => self.wait().await,
                Err(error) => {
                    tracing::warn!(%error, "the queue could not be read");
                    sleep(POLL).await;
                }
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.queued.notified() => {}
            () = sleep(POLL) => {}
            () = drained(self.draining.clone()) => {}
        }
    }

    async fn run_worker(&mut self) {
        let owner = format!("worker_{}", uuid::Uuid::new_v4().simple());
        let (mut child, mut stdin) = match self.spawn(&owner) {
            Ok(started) => started,
            Err(error) => {
                tracing::error!(%error, "a worker could not be started");
                return sleep(POLL).await;
            }
        };
        let ended = tokio::select! {
            status = child.wait() => Some(status),
            () = drained(self.draining.clone()) => None,
            () = self.hangs(&owner) => {
                tracing::warn!(owner, "a worker hangs and is killed");
                let _ = child.start_kill();
                Some(child.wait().await)
            }
        };
        let status = match ended {
            Some(status) => status,
            None => self.let_go(&mut child, stdin.as_mut()).await,
        };
        let ended_well = matches!(&status, Ok(status) if status.success());
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => tracing::warn!(owner, %status, "a worker died"),
            Err(error) => tracing::error!(owner, %error, "a worker was lost"),
        }
        // Frees what it held if it died; a worker that ended well holds nothing.
        if let Err(error) = self.store.expire_owner(&owner, self.policy, now_ms()).await {
            tracing::warn!(owner, %error, "a dead worker's lease must run out by itself");
        }
        if !ended_well {
            sleep(POLL).await;
        }
    }

    /// Resolves when the worker has not done for too long what it must: kept its lease, left a job that
    /// it lost, stopped one that was canceled.
    async fn hangs(&self, owner: &str) {
        let (mut has_held, mut overdue) = (false, None);
        loop {
            sleep(LOOK_AFTER).await;
            let late = match self.store.lease_status(owner, now_ms()).await {
                Ok(Some(lease)) => {
                    has_held = true;
                    lease.lapsed || lease.status == Status::Canceling
                }
                // It has lost its job to another worker, or is about to end.
                Ok(None) => has_held,
                Err(_) => false,
            };
            // By a clock that nobody sets: when the other one leaps ahead every lease looks lapsed, until
            // its worker renews it.
            if !late {
                overdue = None;
            } else if overdue.get_or_insert_with(Instant::now).elapsed() > self.patience {
                return;
            }
        }
    }

    /// The standard input is kept apart: `Child::wait` would close it, which tells a worker that its
    /// parent died.
    fn spawn(&self, owner: &str) -> std::io::Result<(Child, Option<ChildStdin>)> {
        let mut child = Command::new(THIS_PROGRAM)
            .arg0(std::env::current_exe()?)
            .args(["work", "--once", "--owner", owner])
            .arg("--data-dir")
            .arg(&self.layout.root)
            .arg("--lease-seconds")
            .arg((self.policy.lease_ms / 1000).to_string())
            .arg("--jobs-per-gpu")
            .arg(self.policy.per_gpu.to_string())
            .args(self.limit_on_cpu())
            .arg("--training-nice")
            .arg(self.nice.to_string())
            .envs(brief_waits(|name| std::env::var_os(name).is_some()))
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        Ok((child, stdin))
    }

    fn limit_on_cpu(&self) -> Vec<String> {
        match self.policy.on_cpu {
            i64::MAX => Vec::new(),
            limit => vec!["--jobs-on-cpu".to_owned(), limit.to_string()],
        }
    }

    /// Asks the worker to write a checkpoint and leave; past the grace it is killed, and its job goes
    /// on from the checkpoint before.
    async fn let_go(
        &self,
        child: &mut Child,
        stdin: Option<&mut ChildStdin>,
    ) -> std::io::Result<ExitStatus> {
        if let Some(stdin) = stdin {
            let _ = stdin.write_all(b"release\n").await;
            let _ = stdin.flush().await;
        }
        if let Ok(status) = timeout(self.grace, child.wait()).await {
            return status;
        }
        tracing::warn!("a worker did not leave in time and is killed");
        child.kill().await?;
        child.wait().await
    }
}

/// Resolves when the service shuts down.
async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the service.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// Resolves when the process is asked to end (SIGTERM, SIGINT).
pub async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the default action ends the process.
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_threads_wait_is_the_users_to_say() {
        assert_eq!(brief_waits(|_| false), Some(SPIN_COUNT));
        assert_eq!(brief_waits(|name| name == "GOMP_SPINCOUNT"), None);
        assert_eq!(brief_waits(|name| name == "OMP_WAIT_POLICY"), None);
    }
}
