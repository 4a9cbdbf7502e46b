//! Datasets, and the jobs that hold on to them.

use sqlx::SqlitePool;
use tempfile::TempDir;

use super::imports::file_as_of;
use super::{Fixture, ROOM, dataset};
use crate::data::{Column, Dtype, Role};
use crate::store::{Dataset, Split, Store, StoreError};

fn column(role: Role, dtype: Dtype, shape: &[i64]) -> Column {
    Column {
        role,
        dtype,
        shape: shape.to_vec(),
        range: None,
        classes: None,
        names: Vec::new(),
    }
}

#[tokio::test]
async fn by_id_by_name_and_once_per_name() {
    let f = Fixture::new().await;
    for reference in [&f.dataset.id, &f.dataset.name] {
        assert_eq!(f.store.dataset(reference).await.expect("found"), f.dataset);
    }
    let taken = f.store.insert_dataset(&dataset("digits"), None).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))));
    assert!(matches!(
        f.store.dataset("none").await,
        Err(StoreError::NotFound(_))
    ));
    assert_eq!(f.store.dataset_ids().await.expect("ids"), [f.dataset.id]);
}

#[tokio::test]
async fn targets_are_told_of_and_those_of_the_test_rows_alone_teach_nothing() {
    let f = Fixture::new().await;
    let mut prices = dataset("prices");
    prices.columns[1] = Column {
        range: Some([-3.0, 1e6]),
        ..column(Role::Targets, Dtype::F64, &[])
    };
    prices.splits.train.columns = vec![Role::Rows, Role::Targets];
    prices.splits.test = Some(Split {
        rows: 10,
        columns: vec![Role::Rows, Role::Targets],
    });
    f.store
        .insert_dataset(&prices, None)
        .await
        .expect("inserts");
    let found = f.store.dataset("prices").await.expect("found");
    assert_eq!(found, prices);
    assert!(found.facts().has_targets());
    assert_eq!(found.facts().classes(), None);
    prices.splits.train.columns = vec![Role::Rows];
    assert!(!prices.facts().has_targets());
}

/// As version 0.1.0 wrote it.
async fn insert_old(pool: &SqlitePool, name: &str, classes: Option<i64>, splits: &str) {
    sqlx::query(
        "INSERT INTO datasets (id, name, kind, shape, dtype, range_min, range_max, classes,
                               splits, sha256, bytes, created_at)
         VALUES ($1, $1, 'dense', '[1,8,8]', 'f32', 0.1, 0.30000000000000004, $2, $3, 'd0', 100, 1)",
    )
    .bind(name)
    .bind(classes)
    .bind(splits)
    .execute(pool)
    .await
    .expect("inserts");
}

/// Name, columns of the training rows, columns of the test rows, classes, and the range of the targets.
type Told<'a> = (
    &'a str,
    &'a [Role],
    &'a [Role],
    Option<i64>,
    Option<[f64; 2]>,
);

#[tokio::test]
async fn what_was_stored_before_columns_has_them() {
    let folder = TempDir::new().expect("a folder");
    let pool = file_as_of(8, &folder).await;
    for (name, classes, splits) in [
        (
            "digits",
            Some(10),
            r#"{"train":{"rows":9,"labels":true},"test":{"rows":5,"labels":true}}"#,
        ),
        ("plain", None, r#"{"train":{"rows":9,"labels":false}}"#),
        (
            "prices",
            None,
            r#"{"train":{"rows":9,"labels":false,"target_range":[-2.5,1000000.0]},
                "test":{"rows":5,"labels":false,"target_range":[-3.0,0.30000000000000004]}}"#,
        ),
        (
            "test",
            Some(4),
            r#"{"train":{"rows":9,"labels":false},
                "test":{"rows":5,"labels":true,"target_range":[0.1,0.2]}}"#,
        ),
    ] {
        insert_old(&pool, name, classes, splits).await;
    }
    pool.close().await;
    let store = Store::open(&folder.path().join("latentd.db")).await;
    let store = store.expect("migrates");
    const ALL: &[Role] = &[Role::Rows, Role::Labels, Role::Targets];
    const ROWS: &[Role] = &[Role::Rows];
    const LABELLED: &[Role] = &[Role::Rows, Role::Labels];
    const PRICED: &[Role] = &[Role::Rows, Role::Targets];
    let cases: [Told<'_>; 4] = [
        ("digits", LABELLED, LABELLED, Some(10), None),
        ("plain", ROWS, &[], None, None),
        ("prices", PRICED, PRICED, None, Some([-3.0, 1e6])),
        ("test", ROWS, ALL, Some(4), Some([0.1, 0.2])),
    ];
    for (name, train, test, classes, targets) in cases {
        let Dataset {
            columns, splits, ..
        } = store.dataset(name).await.expect("found");
        assert_eq!(
            (splits.train.rows, splits.train.columns),
            (9, train.to_vec())
        );
        let of_test = splits.test.map(|split| (split.rows, split.columns));
        assert_eq!(of_test, (!test.is_empty()).then(|| (5, test.to_vec())));
        let mut expected = vec![Column {
            range: Some([0.1, 0.300_000_000_000_000_04]),
            ..column(Role::Rows, Dtype::F32, &[1, 8, 8])
        }];
        expected.extend(classes.map(|classes| Column {
            classes: Some(classes),
            ..column(Role::Labels, Dtype::I64, &[])
        }));
        expected.extend(targets.map(|range| Column {
            range: Some(range),
            ..column(Role::Targets, Dtype::F64, &[])
        }));
        assert_eq!(columns, expected, "{name}");
    }
    store.delete_dataset("digits").await.expect("deletes");
    let left = store.list_datasets(10, None).await.expect("lists").items;
    assert_eq!(left.len(), 3);
}

#[tokio::test]
async fn a_page_follows_even_one_that_was_deleted() {
    let f = Fixture::new().await;
    for name in ["a", "b", "c"] {
        f.store
            .insert_dataset(&dataset(name), None)
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
