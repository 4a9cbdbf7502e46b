//! Datasets, and the jobs that hold on to them.

use super::{Fixture, ROOM, dataset};
use crate::store::{Split, StoreError};

#[tokio::test]
async fn by_id_by_name_and_once_per_name() {
    let f = Fixture::new().await;
    for reference in [&f.dataset.id, &f.dataset.name] {
        assert_eq!(f.store.dataset(reference).await.expect("found"), f.dataset);
    }
    let taken = f.store.insert_dataset(&dataset("digits")).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))));
    assert!(matches!(
        f.store.dataset("none").await,
        Err(StoreError::NotFound(_))
    ));
    assert_eq!(f.store.dataset_ids().await.expect("ids"), [f.dataset.id]);
}

#[tokio::test]
async fn targets_are_told_of_and_what_was_stored_without_has_none() {
    let f = Fixture::new().await;
    let mut prices = dataset("prices");
    prices.classes = None;
    prices.splits.train.labels = false;
    prices.splits.train.target_range = Some([-2.5, 1e6]);
    prices.splits.test = Some(Split {
        rows: 10,
        labels: false,
        target_range: Some([-3.0, 0.5]),
    });
    f.store.insert_dataset(&prices).await.expect("inserts");
    let found = f.store.dataset("prices").await.expect("found");
    assert_eq!(found, prices);
    assert_eq!(found.target_range(), Some([-3.0, 1e6]));
    assert!(found.facts().has_targets());
    // Targets of the test rows alone teach nothing.
    prices.splits.train.target_range = None;
    assert!(!prices.facts().has_targets());
    let older: Split = serde_json::from_str(r#"{"rows": 5, "labels": true}"#).expect("reads");
    assert_eq!(older.targets(), 0);
}

#[tokio::test]
async fn a_page_follows_even_one_that_was_deleted() {
    let f = Fixture::new().await;
    for name in ["a", "b", "c"] {
        f.store
            .insert_dataset(&dataset(name))
            .await
            .expect("inserts");
    }
    let first = f.store.list_datasets(2, None).await.expect("lists");
    let names: Vec<&str> = first
        .items
        .iter()
        .map(|dataset| dataset.name.as_str())
        .collect();
    assert_eq!((names, first.has_more), (vec!["c", "b"], true));
    f.store.delete_dataset("b").await.expect("deletes");
    let second = f
        .store
        .list_datasets(2, Some(&first.items[1].id))
        .await
        .expect("lists");
    let names: Vec<&str> = second
        .items
        .iter()
        .map(|dataset| dataset.name.as_str())
        .collect();
    assert_eq!((names, second.has_more), (vec!["a", "digits"], false));
}

#[tokio::test]
async fn a_dataset_in_use_stays_until_the_job_has_ended() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    for now in [20, 21] {
        let refused = f.store.delete_dataset("digits").await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        f.store.cancel(&job.id, now).await.expect("cancels");
    }
    f.store.finish_cancel(&lease, 30).await.expect("finishes");
    assert_eq!(
        f.store.delete_dataset("digits").await.expect("deletes"),
        f.dataset
    );
    let late = f
        .store
        .insert_job(&f.new_job("b"), None, None, ROOM, 40)
        .await;
    assert!(matches!(late, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_job_and_a_delete_at_the_same_moment_agree() {
    for _ in 0..10 {
        let f = Fixture::new().await;
        let (other, new) = (f.another().await, f.new_job("a"));
        let (job, deleted) = tokio::join!(
            f.store.insert_job(&new, None, None, ROOM, 1),
            other.delete_dataset("digits")
        );
        assert!(job.is_ok() != deleted.is_ok());
    }
}
