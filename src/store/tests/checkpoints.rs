//! Checkpoints: which are kept, and which files that leaves to nobody.

use serde_json::{Map, json};

use super::{Fixture, checkpoint, version};
use crate::store::{Recorded, StoreError};

#[tokio::test]
async fn the_last_and_the_best_are_kept() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let record = async |step, sha256, best| {
        let new = checkpoint(step, sha256, best);
        f.store
            .record_checkpoint(&lease, &new, 2, step)
            .await
            .expect("records")
    };
    let recorded = |number, orphans: &[&str]| {
        let orphans = orphans.iter().map(ToString::to_string).collect();
        Recorded { number, orphans }
    };
    assert_eq!(record(10, "c1", false).await, recorded(1, &[]));
    assert_eq!(record(20, "c2", true).await, recorded(2, &[]));
    assert_eq!(record(30, "c3", false).await, recorded(3, &["c1"]));
    assert_eq!(
        record(40, "c4", false).await,
        recorded(4, &[]),
        "2 is the best"
    );
    assert_eq!(
        record(50, "c5", true).await,
        recorded(5, &["c2", "c3"]),
        "2 was the best"
    );

    let kept = f.store.checkpoints(&job.id).await.expect("lists");
    let kept: Vec<(i64, bool)> = kept
        .iter()
        .map(|checkpoint| (checkpoint.number, checkpoint.report.best))
        .collect();
    assert_eq!(kept, [(5, true), (4, false)]);
    let latest = f
        .store
        .latest_checkpoint(&job.id)
        .await
        .expect("reads")
        .expect("there is one");
    assert_eq!(
        (latest.number, latest.report.step, latest.report.position),
        (5, 50, json!({ "step": 50 }))
    );
    assert_eq!(
        f.store
            .checkpoint(&job.id, 4)
            .await
            .expect("reads")
            .report
            .sha256,
        "c4"
    );
    assert!(matches!(
        f.store.checkpoint(&job.id, 3).await,
        Err(StoreError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_file_that_another_row_names_is_no_orphan() {
    let f = Fixture::new().await;
    let (_, lease) = f.running("a").await;
    f.store
        .succeed(&lease, &version("shared"), &Map::new(), 20)
        .await
        .expect("succeeds");
    let (job, lease) = f.running("b").await;
    for (step, sha256) in [(1, "shared"), (2, "twice"), (3, "twice"), (4, "c4")] {
        let new = checkpoint(step, sha256, false);
        let recorded = f
            .store
            .record_checkpoint(&lease, &new, 1, step)
            .await
            .expect("records");
        let orphans: &[&str] = if step == 4 { &["twice"] } else { &[] };
        assert_eq!(recorded.orphans, orphans, "step {step}");
    }
    assert_eq!(f.store.checkpoints(&job.id).await.expect("lists").len(), 1);
    let named = f.store.all_artifacts().await.expect("artifacts");
    assert_eq!(named, ["shared".to_owned(), "c4".to_owned()].into());
    assert!(f.store.is_artifact_named("c4").await.expect("reads"));
    assert!(!f.store.is_artifact_named("twice").await.expect("reads"));
}

#[tokio::test]
async fn a_broken_checkpoint_gives_way_to_the_one_before_and_its_number_stays_used() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    for step in [1, 2] {
        let new = checkpoint(step, &format!("c{step}"), false);
        f.store
            .record_checkpoint(&lease, &new, 5, step)
            .await
            .expect("records");
    }
    assert_eq!(
        f.store.drop_checkpoint(&lease, 2).await.expect("drops"),
        ["c2"]
    );
    let latest = f
        .store
        .latest_checkpoint(&job.id)
        .await
        .expect("reads")
        .expect("there is one");
    assert_eq!(latest.number, 1);
    let again = f
        .store
        .record_checkpoint(&lease, &checkpoint(2, "c2", false), 5, 9)
        .await
        .expect("records");
    assert_eq!(again.number, 3);
    assert!(matches!(
        f.store.drop_checkpoint(&lease, 2).await,
        Err(StoreError::NotFound(_))
    ));
}
