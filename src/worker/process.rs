//! `latentd work --once`: claims a job, runs it, ends. Its parent talks to it over standard input: the
//! line `release` asks it to leave, and the end of the stream means that the parent is gone.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks that live as long as the process, which is one job"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::checkpoint::Checkpoints;
use super::evaluation;
use super::observer::JobObserver;
use super::room::AGAIN;
use super::training::{self, Ended, TrainingError};
use crate::artifacts::{Artifacts, Reserve, WantOfRoom};
use crate::clock::now_ms;
use crate::jobs::{Job, JobError, Lease, LeasePolicy, Task};
use crate::layout::Layout;
use crate::leave::leave;
use crate::panics::panic_text;
use crate::store::{Store, StoreError};
use crate::traces;
use crate::train::{Directive, StopSignal};

const HEARTBEAT: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the data directory cannot be used: {0}")]
    Disk(#[from] std::io::Error),
}

/// Runs one job, if one can be claimed; says whether there was one.
pub async fn run_one(
    layout: &Layout,
    owner: &str,
    policy: LeasePolicy,
    supervised: bool,
) -> Result<bool, WorkerError> {
    let signal = StopSignal::default();
    if supervised {
        tokio::spawn(obey_parent(signal.clone()));
    }
    tokio::spawn(release_on_signal(signal.clone()));
    let database = layout.database();
    let store = match supervised {
        true => Store::open_existing(&database).await?,
        false => Store::open(&database).await?,
    };
    let artifacts = Artifacts::open(layout.artifacts())?;
    let Some((job, lease)) = once_claimed(&store, owner, policy, &signal).await? else {
        return Ok(false);
    };
    tracing::info!(
        job = job.id,
        kind = job.plan.kind,
        attempt = job.attempt,
        "job claimed"
    );
    signal.raise(job.status.directive(job.stop));
    let heart = tokio::spawn(keep_lease(
        store.clone(),
        Reserve::of(&layout.root),
        lease.clone(),
        policy,
        signal.clone(),
    ));
    let kept = artifacts.clone();
    let ended = run_in_thread(
        job.clone(),
        lease.clone(),
        &store,
        artifacts,
        layout.clone(),
        signal.clone(),
    )
    .await;
    // The lease is kept until the end is written: on a full disk that may take its time.
    let closed = once_closed(&store, &kept, &job, &lease, &ended, &signal).await;
    heart.abort();
    closed.map(|()| true)
}

/// Claims a job, once there is room to write that down: a process that ended for want of it would be followed
/// by the next.
async fn once_claimed(
    store: &Store,
    owner: &str,
    policy: LeasePolicy,
    signal: &StopSignal,
) -> Result<Option<(Job, Lease)>, StoreError> {
    loop {
        match store.claim(owner, policy, now_ms()).await {
            Err(error) if error.is_full() && signal.directive() == Directive::Continue => {
                tracing::warn!(%error, "no job can be claimed");
                sleep(AGAIN).await;
            }
            done => return done,
        }
    }
}

async fn obey_parent(signal: StopSignal) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "release" {
            signal.raise(Directive::Release);
        }
    }
    // The parent died: without it nobody would count this worker. The job goes on from its last
    // checkpoint elsewhere, once the lease has run out.
    leave(3);
}

/// Ctrl-C reaches the whole process group; the parent, if any, decides, but to release is never wrong.
async fn release_on_signal(signal: StopSignal) {
    super::supervisor::termination().await;
    signal.raise(Directive::Release);
}

/// Extends the lease, and learns from it what the client wants.
async fn keep_lease(
    store: Store,
    reserve: Reserve,
    lease: Lease,
    policy: LeasePolicy,
    signal: StopSignal,
) {
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held_until = Instant::now() + lease_time(policy);
    loop {
        beat.tick().await;
        match store.heartbeat(&lease, policy.lease_ms, now_ms()).await {
            Ok(directive) => {
                held_until = Instant::now() + lease_time(policy);
                signal.raise(directive);
            }
            Err(StoreError::LeaseLost) => return signal.raise(Directive::Lost),
            // Nobody can take the job either, for that is a write too.
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "heartbeat failed");
                reserve.give_back();
            }
            Err(error) if Instant::now() < held_until => tracing::warn!(%error, "heartbeat failed"),
            Err(_) => return signal.raise(Directive::Lost),
        }
    }
}

fn lease_time(policy: LeasePolicy) -> Duration {
    Duration::from_millis(u64::try_from(policy.lease_ms).unwrap_or(0))
}

async fn run_in_thread(
    job: Job,
    lease: Lease,
    store: &Store,
    artifacts: Artifacts,
    layout: Layout,
    signal: StopSignal,
) -> Result<Ended, JobError> {
    let dataset = store.dataset(&job.plan.dataset_id).await;
    let dataset = dataset.map_err(|_| JobError::new("data_unreadable", "the data set is gone"))?;
    let keep = job.plan.training["keep_checkpoints"].as_u64();
    let checkpoints = Checkpoints {
        store: store.clone(),
        artifacts,
        reserve: Reserve::of(&layout.root),
        lease,
        keep: keep.and_then(|k| u32::try_from(k).ok()).unwrap_or(1),
        runtime: Handle::current(),
    };
    let job_id = job.id.clone();
    let run = tokio::task::spawn_blocking(move || {
        let mut observer = JobObserver::new(checkpoints, signal);
        observer.trace = traces::JobSpan::start(
            &job.id,
            &job.plan.kind,
            job.attempt,
            job.plan.traceparent.as_deref(),
        );
        catch_unwind(AssertUnwindSafe(|| match job.plan.task {
            Task::Train => training::run(&job, &dataset, &layout, &mut observer),
            Task::Evaluate => evaluation::run(&job, &dataset, &layout, &mut observer),
        }))
    });
    match run.await {
        Ok(Ok(Ok(ended))) => Ok(ended),
        Ok(Ok(Err(error))) => Err(failure(store, &job_id, &error).await),
        Ok(Err(panic)) => Err(internal(panic_text(panic.as_ref()))),
        Err(error) => Err(internal(error.to_string())),
    }
}

/// What the client reads of an error, and from where the job could be taken up.
async fn failure(store: &Store, job: &str, error: &TrainingError) -> JobError {
    let latest = store.latest_checkpoint(job).await.ok().flatten();
    JobError {
        step: error.step(),
        checkpoint: latest.map(|checkpoint| checkpoint.number),
        ..JobError::new(error.code(), error.to_string())
    }
}

fn internal(detail: String) -> JobError {
    JobError::new("internal", detail)
}

/// Closes the job, again and again while the disk is full.
async fn once_closed(
    store: &Store,
    artifacts: &Artifacts,
    job: &Job,
    lease: &Lease,
    ended: &Result<Ended, JobError>,
    signal: &StopSignal,
) -> Result<(), WorkerError> {
    loop {
        match close(store, job, lease, ended, signal).await {
            Err(WorkerError::Store(error)) if error.is_full() => {
                tracing::warn!(%error, job = job.id, "how the job ended is not written yet");
                if let Ok(Ended::Trained(version, _)) = ended {
                    artifacts.renew(&version.sha256);
                }
                sleep(AGAIN).await;
            }
            done => return done,
        }
    }
}

/// The last write: what became of the job.
async fn close(
    store: &Store,
    job: &Job,
    lease: &Lease,
    ended: &Result<Ended, JobError>,
    signal: &StopSignal,
) -> Result<(), WorkerError> {
    if signal.directive() == Directive::Lost {
        tracing::warn!(
            job = lease.job_id,
            "the lease was lost; another worker may have the job"
        );
        return Ok(());
    }
    let now = now_ms();
    match ended {
        Ok(Ended::Trained(version, notes)) => {
            let published = store.succeed(lease, version, notes, now).await;
            unless_canceled(store, lease, published.map(drop)).await?;
        }
        Ok(Ended::Evaluated(figures)) => {
            let evaluation = evaluation::of(job).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            let version = (evaluation.model.as_str(), evaluation.version);
            let recorded = store.finish_evaluation(lease, version, figures, now).await;
            unless_canceled(store, lease, recorded).await?;
        }
        Ok(Ended::Canceled) => store.finish_cancel(lease, now).await?,
        Ok(Ended::Released) => {
            store.release(lease, now).await?;
        }
        Err(error) => {
            tracing::error!(
                job = lease.job_id,
                code = error.code,
                detail = error.detail,
                "job failed"
            );
            store.fail(lease, error, now).await?;
        }
    }
    Ok(())
}

/// Canceled at the last moment: nothing may be published.
async fn unless_canceled(
    store: &Store,
    lease: &Lease,
    ended: Result<(), StoreError>,
) -> Result<(), StoreError> {
    match ended {
        Err(StoreError::Transition(_)) => store.finish_cancel(lease, now_ms()).await,
        other => other,
    }
}
