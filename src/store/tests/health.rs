//! Writes that fail by no fault of their own, and those after them.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Fixture, ROOM};
use crate::store::StoreError;

/// A database that may not grow is to `SQLite` what a full disk is: it rolls the transaction back by itself.
#[tokio::test]
async fn a_full_disk_breaks_one_transaction_and_not_the_next() {
    let f = Fixture::new().await;
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(f.store.writer().expect("in place"))
        .await
        .expect("as large as it is, at least");
    let mut plan = f.new_job("large");
    plan.metadata = json!({ "long": "x".repeat(1 << 20) });
    let refused = f.store.insert_job(&plan, None, None, ROOM, 1).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    // The limit was the connection's own: a new one has none.
    let taken = f.store.insert_job(&plan, None, None, ROOM, 1).await;
    assert_eq!(taken.expect("taken").job.plan.name, "large");
}

#[tokio::test]
async fn a_database_that_another_holds_takes_no_writes() {
    let f = Fixture::new().await;
    let (watch, health) = f.store.watch();
    let task = tokio::spawn(watch.run());
    assert!(health.takes_writes());
    let other = f.another().await;
    let lock = other.write().await.expect("the lock");
    let seen = async {
        while health.takes_writes() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), seen)
        .await
        .expect("it is seen");
    lock.rollback().await.expect("given back");
    let back = async {
        while !health.takes_writes() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), back)
        .await
        .expect("it is seen");
    task.abort();
}
