//! How jobs end, and that they end once.

use serde_json::{Map, json};

use super::{Fixture, checkpoint, version};
use crate::jobs::{JobError, ModelRef, Move, Selector, Status};
use crate::store::StoreError;

#[tokio::test]
async fn success_publishes_and_ends() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let notes = Map::from_iter([("unmatched".to_owned(), json!(["decoder"]))]);
    assert_eq!(
        f.store
            .succeed(&lease, &version("m1"), &notes, 50)
            .await
            .expect("succeeds"),
        1
    );

    let job = f.job(&job.id).await;
    assert_eq!((job.status, job.finished_at), (Status::Succeeded, Some(50)));
    assert_eq!(
        job.result,
        Some(json!({ "model": "a", "version": 1, "unmatched": ["decoder"] }))
    );
    let newest = ModelRef {
        name: "a".into(),
        selector: Selector::Newest,
    };
    let published = f.store.model_version(&newest).await.expect("the model");
    assert_eq!(
        (published.version, published.job_id.as_deref()),
        (1, Some(job.id.as_str()))
    );
    assert_eq!(
        (published.kind.as_str(), published.dataset.as_deref()),
        ("rbm", Some("digits"))
    );
    assert_eq!(published.code_shape, Some(vec![16]));

    let again = f.store.succeed(&lease, &version("m1"), &notes, 51).await;
    assert!(matches!(again, Err(StoreError::LeaseLost)));
    assert_eq!(f.store.recent_run_times(5).await.expect("times"), [40]);
}

#[tokio::test]
async fn a_canceling_job_publishes_nothing() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    match f
        .store
        .succeed(&lease, &version("m1"), &Map::new(), 30)
        .await
    {
        Err(StoreError::Transition(refused)) => {
            assert_eq!(
                (refused.from, refused.attempted),
                (Status::Canceling, Move::Succeed)
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        f.store.model("a").await,
        Err(StoreError::NotFound(_))
    ));
    f.store.finish_cancel(&lease, 40).await.expect("finishes");
    assert_eq!(f.job(&job.id).await.status, Status::Canceled);
}

#[tokio::test]
async fn failure_says_why() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let error = JobError::new("diverged", "the loss is not a number");
    assert_eq!(
        f.store.fail(&lease, &error, 30).await.expect("fails"),
        Status::Failed
    );
    let job = f.job(&job.id).await;
    assert_eq!((job.status, job.error), (Status::Failed, Some(error)));
}

#[tokio::test]
async fn failure_on_the_way_out_is_a_cancel() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    let error = JobError::new("x", "x");
    assert_eq!(
        f.store.fail(&lease, &error, 30).await.expect("ends"),
        Status::Canceled
    );
    assert_eq!(f.job(&job.id).await.error, None);
}

#[tokio::test]
async fn a_worker_that_leaves_a_canceling_job_ends_it() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.store.cancel(&job.id, 20).await.expect("cancels");
    assert_eq!(
        f.store.release(&lease, 30).await.expect("releases"),
        Status::Canceled
    );
}

#[tokio::test]
async fn cancel_is_open_until_the_end() {
    let f = Fixture::new().await;
    let queued = f.queued("a").await;
    assert_eq!(
        f.store.cancel(&queued.id, 5).await.expect("cancels").status,
        Status::Canceled
    );
    let again = f.store.cancel(&queued.id, 6).await;
    assert!(
        matches!(again, Err(StoreError::Transition(refused)) if refused.from == Status::Canceled)
    );

    let (running, lease) = f.running("b").await;
    for now in [20, 21] {
        assert_eq!(
            f.store
                .cancel(&running.id, now)
                .await
                .expect("cancels")
                .status,
            Status::Canceling
        );
    }
    assert_eq!(
        f.path(&running.id).await,
        [Status::Queued, Status::Running, Status::Canceling]
    );
    f.store
        .finish_cancel(&lease, 30)
        .await
        .expect("the worker still holds it");
    assert!(matches!(
        f.store.cancel("job_none", 1).await,
        Err(StoreError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_running_job_has_no_cancel_to_finish() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let refused = f.store.finish_cancel(&lease, 20).await;
    assert!(matches!(refused, Err(StoreError::Transition(_))));
    assert_eq!(f.job(&job.id).await.status, Status::Running);
}

#[tokio::test]
async fn of_ended_jobs_the_last_are_kept_and_the_models_of_all() {
    let f = Fixture::new().await;
    let mut ids = Vec::new();
    for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
        let (job, lease) = f.running(name).await;
        let digest = format!("c{i}");
        f.store
            .record_checkpoint(&lease, &checkpoint(10, &digest, false), 1, 20)
            .await
            .expect("records");
        f.store
            .succeed(&lease, &version(&format!("m{i}")), &Map::new(), 30)
            .await
            .expect("succeeds");
        ids.push(job.id);
    }
    let queued = f.queued("d").await;
    let orphans = f.store.prune_jobs(1).await.expect("prunes");
    assert_eq!(orphans, ["c0", "c1"]);
    for id in &ids[..2] {
        assert!(matches!(
            f.store.job(id).await,
            Err(StoreError::NotFound(_))
        ));
        let page = f.store.events(id, 0, 10).await.expect("reads");
        assert!(page.events.is_empty(), "its events went with it");
    }
    assert_eq!(f.job(&ids[2]).await.status, Status::Succeeded);
    assert_eq!(f.job(&queued.id).await.status, Status::Queued);
    let newest = ModelRef {
        name: "a".into(),
        selector: Selector::Newest,
    };
    assert!(
        f.store.model_version(&newest).await.is_ok(),
        "its model stays"
    );
    assert!(f.store.prune_jobs(1).await.expect("prunes").is_empty());
}
