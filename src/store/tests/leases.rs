//! Claims, fencing, and workers that are lost.

use serde_json::Map;

use super::{Fixture, POLICY, checkpoint, version};
use crate::jobs::{JobError, LeasePolicy, Status, WORKER_DIED};
use crate::store::{Expired, JobReport, StoreError};
use crate::train::Directive;

#[tokio::test]
async fn two_claimers_race_and_one_wins() {
    let f = Fixture::new().await;
    let other = f.another().await;
    for round in 0..20 {
        f.queued("a").await;
        let (one, two) = (format!("w{round}a"), format!("w{round}b"));
        let (a, b) = tokio::join!(
            f.store.claim(&one, POLICY, 10),
            other.claim(&two, POLICY, 10)
        );
        let won = [a.expect("claims"), b.expect("claims")];
        let mut leases = won.iter().flatten().map(|(_, lease)| lease);
        let lease = leases.next().expect("one wins");
        assert!(leases.next().is_none(), "exactly one wins");
        let error = JobError::new("x", "x");
        f.store.fail(lease, &error, 11).await.expect("fails");
    }
}

#[tokio::test]
async fn the_oldest_job_is_next_and_none_is_none() {
    let f = Fixture::new().await;
    assert!(f.claim("w1", 5).await.is_none());
    let a = f.queued("a").await;
    f.queued("b").await;
    let (job, lease) = f.claim("w1", 7).await.expect("claims");
    assert_eq!(
        (&job.id, job.status, job.started_at),
        (&a.id, Status::Running, Some(7))
    );
    assert_eq!(
        (lease.job_id.as_str(), lease.owner.as_str(), lease.token),
        (a.id.as_str(), "w1", 1)
    );
}

#[tokio::test]
async fn a_heartbeat_extends_the_lease_and_tells_of_a_cancel() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let beat = async |now| f.store.heartbeat(&lease, 1000, now).await.expect("beats");
    assert_eq!(beat(1000).await, Directive::Continue);
    assert!(
        f.claim("w2", 1500).await.is_none(),
        "it would have run out at 1010"
    );
    f.store.cancel(&job.id, 1600).await.expect("cancels");
    assert_eq!(beat(1700).await, Directive::Cancel);
    f.store.finish_cancel(&lease, 1800).await.expect("finishes");
    let late = f.store.heartbeat(&lease, 1000, 1900).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
}

#[tokio::test]
async fn a_lapsed_lease_goes_to_another_and_the_late_worker_changes_nothing() {
    let f = Fixture::new().await;
    let (job, old) = f.running("a").await;
    let (again, new) = f.claim("w2", 1011).await.expect("takes over");
    assert_eq!((&again.id, again.attempt, new.token), (&job.id, 2, 2));
    assert_eq!(
        (again.status, again.started_at),
        (Status::Running, Some(10))
    );
    let before = f.job(&job.id).await;
    let events = f
        .store
        .events(&job.id, 0, 100)
        .await
        .expect("events")
        .events
        .len();

    let error = JobError::new("x", "x");
    let report = JobReport {
        phase: Some("late".into()),
        ..JobReport::default()
    };
    let late = [
        f.store.heartbeat(&old, 1000, 1020).await.map(drop),
        f.store.report(&old, &report, 1020).await.map(drop),
        f.store.append_events(&old, &[]).await,
        f.store.truncate_metrics_after(&old, 0).await,
        f.store
            .record_checkpoint(&old, &checkpoint(1, "c1", true), 1, 1020)
            .await
            .map(drop),
        f.store.drop_checkpoint(&old, 1).await.map(drop),
        f.store.release(&old, 1020).await.map(drop),
        f.store.finish_cancel(&old, 1020).await,
        f.store.fail(&old, &error, 1020).await.map(drop),
        f.store
            .succeed(&old, &version("m1"), &Map::new(), 1020)
            .await
            .map(drop),
    ];
    for (write, outcome) in late.into_iter().enumerate() {
        assert!(
            matches!(outcome, Err(StoreError::LeaseLost)),
            "write {write}"
        );
    }
    assert_eq!(f.job(&job.id).await, before);
    assert_eq!(
        f.store
            .events(&job.id, 0, 100)
            .await
            .expect("events")
            .events
            .len(),
        events
    );
    assert!(f.store.all_artifacts().await.expect("artifacts").is_empty());
    f.store
        .heartbeat(&new, 1000, 1030)
        .await
        .expect("the new worker holds it");
}

#[tokio::test]
async fn the_token_alone_is_not_the_lease() {
    let f = Fixture::new().await;
    let (_, mut lease) = f.running("a").await;
    lease.owner = "another".into();
    assert!(matches!(
        f.store.release(&lease, 20).await,
        Err(StoreError::LeaseLost)
    ));
}

#[tokio::test]
async fn a_job_that_was_to_be_canceled_ends_with_its_worker() {
    let f = Fixture::new().await;
    let (job, _) = f.running("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    assert!(f.claim("w2", 1011).await.is_none());
    let path = [
        Status::Queued,
        Status::Running,
        Status::Canceling,
        Status::Canceled,
    ];
    assert_eq!(f.path(&job.id).await, path);

    let (job, _) = f.running("b").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    let expired = f.store.expire_leases(POLICY, 1011).await.expect("expires");
    assert_eq!(
        expired,
        [Expired {
            job_id: job.id,
            status: Status::Canceled,
            deaths: 1
        }]
    );
}

#[tokio::test]
async fn a_supervisor_frees_its_workers_job_at_once() {
    let f = Fixture::new().await;
    let (job, old) = f.running("a").await;
    f.queued("b").await;
    let expired = f
        .store
        .expire_owner("w1", POLICY, 20)
        .await
        .expect("expires");
    assert_eq!(
        expired,
        [Expired {
            job_id: job.id.clone(),
            status: Status::Running,
            deaths: 1
        }]
    );
    assert!(
        f.store
            .expire_owner("w1", POLICY, 20)
            .await
            .expect("expires")
            .is_empty()
    );
    assert!(matches!(
        f.store.heartbeat(&old, 1000, 21).await,
        Err(StoreError::LeaseLost)
    ));
    let (again, _) = f.claim("w2", 21).await.expect("claims");
    assert_eq!((&again.id, again.attempt), (&job.id, 2), "before the queue");
}

#[tokio::test]
async fn a_job_that_waits_for_a_second_worker_cancels_at_once() {
    let f = Fixture::new().await;
    let (job, _) = f.running("a").await;
    f.store
        .expire_owner("w1", POLICY, 20)
        .await
        .expect("expires");
    let canceled = f.store.cancel(&job.id, 30).await.expect("cancels");
    assert_eq!(
        (canceled.status, canceled.finished_at),
        (Status::Canceled, Some(30))
    );
    assert!(f.claim("w2", 5000).await.is_none());
}

#[tokio::test]
async fn a_job_that_kills_its_workers_fails_in_the_end() {
    let f = Fixture::new().await;
    let job = f.queued("a").await;
    for death in 1..=3 {
        let owner = format!("w{death}");
        f.claim(&owner, death).await.expect("claims");
        let expired = f
            .store
            .expire_owner(&owner, POLICY, death)
            .await
            .expect("expires");
        let wanted = if death < 3 {
            Status::Running
        } else {
            Status::Failed
        };
        assert_eq!((expired[0].status, expired[0].deaths), (wanted, death));
    }
    let job = f.job(&job.id).await;
    assert_eq!((job.attempt, job.finished_at), (3, Some(3)));
    assert_eq!(job.error.expect("an error").code, WORKER_DIED);
}

#[tokio::test]
async fn a_checkpoint_forgives_the_deaths_before_it() {
    let f = Fixture::new().await;
    f.queued("a").await;
    let policy = LeasePolicy {
        max_deaths: 2,
        ..POLICY
    };
    for round in 0..6 {
        let owner = format!("w{round}");
        let (_, lease) = f.claim(&owner, round).await.expect("claims");
        f.store
            .record_checkpoint(&lease, &checkpoint(round, "c", false), 3, round)
            .await
            .expect("records");
        let expired = f
            .store
            .expire_owner(&owner, policy, round)
            .await
            .expect("expires");
        assert_eq!((expired[0].status, expired[0].deaths), (Status::Running, 1));
    }
}
