//! Pausing, resuming and stopping; priorities; room on a device.

use serde_json::Map;

use super::{Fixture, POLICY, ROOM, checkpoint, version};
use crate::jobs::{LeasePolicy, Status, Task};
use crate::store::{JobReport, StoreError};
use crate::train::Directive;

#[tokio::test]
async fn a_running_job_is_paused_by_its_worker_and_resumed_by_another() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    assert_eq!(
        f.store.pause(&job.id, 20).await.expect("pauses").status,
        Status::Pausing
    );
    // Asked for again it is as it was.
    assert_eq!(
        f.store.pause(&job.id, 21).await.expect("pauses").status,
        Status::Pausing
    );
    let told = f.store.report(&lease, &JobReport::default(), 22).await;
    assert_eq!(told.expect("reports"), Directive::Release);
    assert_eq!(
        f.store.release(&lease, 23).await.expect("leaves"),
        Status::Paused
    );
    assert!(f.claim("w2", 5000).await.is_none(), "a paused job waits");

    let resumed = f.store.resume(&job.id, 6000).await.expect("resumes");
    assert_eq!((resumed.status, resumed.attempt), (Status::Queued, 1));
    let (again, _) = f.claim("w2", 6001).await.expect("claimed");
    assert_eq!((again.id, again.attempt), (job.id.clone(), 1));
    assert_eq!(
        f.path(&job.id).await,
        [
            Status::Queued,
            Status::Running,
            Status::Pausing,
            Status::Paused,
            Status::Queued,
            Status::Running
        ]
    );
}

#[tokio::test]
async fn a_pause_can_be_taken_back_until_the_worker_has_left() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.pause(&job.id, 20).await.expect("pauses");
    let resumed = f.store.resume(&job.id, 21).await.expect("resumes");
    assert_eq!(resumed.status, Status::Running);
    // The worker may have heard of the pause: then the job goes to the queue, not astray.
    assert_eq!(
        f.store.release(&lease, 22).await.expect("leaves"),
        Status::Queued
    );
}

#[tokio::test]
async fn a_job_whose_worker_is_lost_while_pausing_is_paused() {
    let f = Fixture::new().await;
    let (job, _) = f.running("a").await;
    f.store.pause(&job.id, 20).await.expect("pauses");
    f.store
        .expire_owner("w1", POLICY, 30)
        .await
        .expect("expires");
    assert_eq!(f.job(&job.id).await.status, Status::Paused);

    // Its worker was lost before: there is nobody to wait for.
    f.store.resume(&job.id, 40).await.expect("resumes");
    f.claim("w2", 41).await.expect("claimed");
    f.store
        .expire_owner("w2", POLICY, 42)
        .await
        .expect("expires");
    let paused = f.store.pause(&job.id, 43).await.expect("pauses");
    assert_eq!(paused.status, Status::Paused);
}

#[tokio::test]
async fn a_queued_job_steps_out_of_the_queue_and_back_to_its_place() {
    let f = Fixture::new().await;
    let (a, b) = (f.queued("a").await, f.queued("b").await);
    let paused = f.store.pause(&a.id, 5).await.expect("pauses");
    assert_eq!(paused.status, Status::Paused);
    assert_eq!(
        f.store.queue_position(&b.id).await.expect("a place"),
        Some(1)
    );
    f.store.resume(&a.id, 6).await.expect("resumes");
    assert_eq!(
        f.store.queue_position(&b.id).await.expect("a place"),
        Some(2)
    );
    assert_eq!(f.claim("w1", 10).await.expect("claimed").0.id, a.id);
}

#[tokio::test]
async fn a_job_that_ends_while_pausing_has_ended() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.pause(&job.id, 20).await.expect("pauses");
    f.store
        .succeed(&lease, &version("m1"), &Map::new(), 30)
        .await
        .expect("succeeds");
    assert_eq!(f.job(&job.id).await.status, Status::Succeeded);
    let refused = f.store.resume(&job.id, 31).await;
    assert!(matches!(refused, Err(StoreError::Transition(_))));
}

#[tokio::test]
async fn a_stop_reaches_the_worker_and_whoever_takes_the_job_up() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let stopped = f.store.stop(&job.id, 20).await.expect("stops");
    assert_eq!((stopped.status, stopped.stop), (Status::Running, true));
    assert_eq!(
        f.store.heartbeat(&lease, 1000, 21).await.expect("beats"),
        Directive::Stop
    );
    f.store
        .expire_owner("w1", POLICY, 30)
        .await
        .expect("expires");
    let (again, _) = f.claim("w2", 40).await.expect("claimed");
    assert!(again.stop);
    assert_eq!(
        f.path(&job.id).await,
        [Status::Queued, Status::Running],
        "a stop is no state of its own"
    );
}

#[tokio::test]
async fn a_job_that_no_worker_has_is_stopped_from_its_checkpoint() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.pause(&job.id, 20).await.expect("pauses");
    f.store
        .record_checkpoint(&lease, &checkpoint(10, "c1", false), 1, 21)
        .await
        .expect("records");
    f.store.release(&lease, 22).await.expect("leaves");
    let stopped = f.store.stop(&job.id, 23).await.expect("stops");
    assert_eq!((stopped.status, stopped.stop), (Status::Queued, true));
}

#[tokio::test]
async fn what_has_nothing_to_keep_is_not_stopped() {
    let f = Fixture::new().await;
    let queued = f.queued("a").await;
    let mut evaluation = f.new_job("b");
    evaluation.task = Task::Evaluate;
    let evaluation = f.store.insert_job(&evaluation, None, None, ROOM, 1).await;
    let evaluation = evaluation.expect("admitted").job;
    f.claim("w1", 10).await.expect("a");
    f.claim("w2", 10).await.expect("b");
    let fresh = f.queued("c").await;
    for (id, said) in [
        (&evaluation.id, "evaluation"),
        (&fresh.id, "nothing is trained"),
    ] {
        match f.store.stop(id, 20).await {
            Err(StoreError::Conflict(text)) => assert!(text.contains(said), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    f.store.stop(&queued.id, 20).await.expect("it runs");
    assert!(!f.job(&fresh.id).await.stop);
}

#[tokio::test]
async fn the_higher_priority_goes_first_and_the_older_of_equals() {
    let f = Fixture::new().await;
    let mut order = Vec::new();
    for (name, priority) in [("a", 0), ("b", 5), ("c", -5), ("d", 5)] {
        let mut new = f.new_job(name);
        new.priority = priority;
        let admitted = f.store.insert_job(&new, None, None, ROOM, 1).await;
        order.push(admitted.expect("admitted").job.id);
    }
    let mut positions = Vec::new();
    for id in &order {
        positions.push(f.store.queue_position(id).await.expect("a place"));
    }
    assert_eq!(positions, [Some(3), Some(1), Some(4), Some(2)]);
    for expected in ["b", "d", "a", "c"] {
        let (job, _) = f.claim(&format!("w-{expected}"), 10).await.expect("a job");
        assert_eq!(job.plan.name, expected);
    }
}

#[tokio::test]
async fn a_full_device_is_passed_over() {
    let f = Fixture::new().await;
    for (name, place) in [
        ("a", "cuda:0"),
        ("b", "cuda:0"),
        ("c", "cuda:1"),
        ("d", "cpu"),
    ] {
        let mut new = f.new_job(name);
        new.device_slot = place.to_owned();
        f.store
            .insert_job(&new, None, None, ROOM, 1)
            .await
            .expect("admitted");
    }
    let policy = LeasePolicy {
        on_cpu: 1,
        ..POLICY
    };
    let mut taken = Vec::new();
    for worker in ["w1", "w2", "w3", "w4"] {
        let claimed = f.store.claim(worker, policy, 10).await.expect("claims");
        taken.push(claimed.map(|(job, _)| job.plan.name));
    }
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(taken, [name("a"), name("c"), name("d"), None]);
    assert!(
        !f.store
            .is_anything_claimable(policy, 10)
            .await
            .expect("looks"),
        "no worker is started in vain"
    );
    f.store
        .expire_owner("w1", policy, 20)
        .await
        .expect("expires");
    let (back, lease) = f
        .store
        .claim("w5", policy, 21)
        .await
        .expect("claims")
        .expect("a");
    assert_eq!(
        back.plan.name, "a",
        "one that lost its worker goes before the queue"
    );
    f.store.release(&lease, 22).await.expect("leaves");
    f.store.pause(&back.id, 23).await.expect("pauses");
    let (next, _) = f
        .store
        .claim("w6", policy, 24)
        .await
        .expect("claims")
        .expect("b");
    assert_eq!(next.plan.name, "b");
}

#[tokio::test]
async fn the_supervisor_sees_what_its_worker_holds() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    let holding = async |now| f.store.lease_status("w1", now).await.expect("looks");
    let held = holding(1010).await.expect("held");
    assert_eq!((held.status, held.lapsed), (Status::Canceling, false));
    assert!(holding(1011).await.expect("held").lapsed);
    f.store.finish_cancel(&lease, 30).await.expect("ends");
    assert_eq!(holding(31).await, None);
}
