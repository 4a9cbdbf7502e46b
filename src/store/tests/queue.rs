//! Admission, idempotency, the queue's order and the lists.

use super::{Fixture, ROOM};
use crate::jobs::Status;
use crate::store::{Idempotency, JobFilter, StoreError};

#[tokio::test]
async fn a_queued_job_reads_back_as_it_was_asked_for() {
    let f = Fixture::new().await;
    let new = f.new_job("a");
    let job = f.queued("a").await;
    assert_eq!(
        (job.status, job.attempt, job.created_at),
        (Status::Queued, 1, 1)
    );
    assert_eq!((&job.plan, job.progress.epochs), (&new, 2));
    assert_eq!(
        (job.started_at, job.finished_at, &job.error),
        (None, None, &None)
    );
    assert_eq!(f.job(&job.id).await, job);
    assert_eq!(f.path(&job.id).await, [Status::Queued]);
    assert!(matches!(
        f.store.job("job_none").await,
        Err(StoreError::NotFound(_))
    ));
}

#[tokio::test]
async fn the_same_key_makes_one_job() {
    let f = Fixture::new().await;
    let key = Idempotency {
        key: "k".into(),
        digest: "d".into(),
    };
    let first = f
        .store
        .insert_job(&f.new_job("a"), None, Some(&key), ROOM, 1)
        .await
        .expect("admitted");
    assert!(!first.replayed);

    // Even when the queue has no room: nothing new is asked for.
    let second = f
        .store
        .insert_job(&f.new_job("a"), None, Some(&key), 1, 2)
        .await
        .expect("replayed");
    assert!(second.replayed);
    assert_eq!(second.job, first.job);

    let other = Idempotency {
        key: "k".into(),
        digest: "e".into(),
    };
    let refused = f
        .store
        .insert_job(&f.new_job("a"), None, Some(&other), ROOM, 3)
        .await;
    assert!(matches!(refused, Err(StoreError::IdempotencyMismatch)));
    assert_eq!(
        f.store.job_counts().await.expect("counts")[&Status::Queued],
        1
    );
}

#[tokio::test]
async fn the_same_key_at_the_same_moment_makes_one_job() {
    let f = Fixture::new().await;
    let (other, new) = (f.another().await, f.new_job("a"));
    let key = Idempotency {
        key: "k".into(),
        digest: "d".into(),
    };
    let (a, b) = tokio::join!(
        f.store.insert_job(&new, None, Some(&key), ROOM, 1),
        other.insert_job(&new, None, Some(&key), ROOM, 1)
    );
    let (a, b) = (a.expect("admitted"), b.expect("admitted"));
    assert_eq!(a.job.id, b.job.id);
    assert!(a.replayed != b.replayed);
}

#[tokio::test]
async fn a_full_queue_admits_nothing() {
    let f = Fixture::new().await;
    f.queued("a").await;
    f.queued("b").await;
    let refused = f.store.insert_job(&f.new_job("c"), None, None, 2, 1).await;
    assert!(matches!(refused, Err(StoreError::QueueFull { queued: 2 })));
    f.claim("w1", 5).await.expect("claims");
    f.store
        .insert_job(&f.new_job("c"), None, None, 2, 6)
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn positions_count_those_who_wait() {
    let f = Fixture::new().await;
    let (a, b, c) = (
        f.queued("a").await,
        f.queued("b").await,
        f.queued("c").await,
    );
    assert_eq!(f.store.queue_position(&c.id).await.expect("reads"), Some(3));
    f.claim("w1", 5).await.expect("claims the oldest");
    assert_eq!(f.store.queue_position(&a.id).await.expect("reads"), None);
    assert_eq!(f.store.queue_position(&b.id).await.expect("reads"), Some(1));
    f.store.cancel(&b.id, 6).await.expect("cancels");
    assert_eq!(f.store.queue_position(&c.id).await.expect("reads"), Some(1));
}

#[tokio::test]
async fn a_released_job_keeps_its_place() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    f.queued("b").await;
    assert_eq!(
        f.store.release(&lease, 20).await.expect("releases"),
        Status::Queued
    );
    assert_eq!(
        f.store.queue_position(&job.id).await.expect("reads"),
        Some(1)
    );
    let (again, second) = f.claim("w2", 30).await.expect("claims");
    assert_eq!(
        (&again.id, again.attempt, again.started_at),
        (&job.id, 1, Some(10))
    );
    assert!(second.token > lease.token);
    let path = [
        Status::Queued,
        Status::Running,
        Status::Queued,
        Status::Running,
    ];
    assert_eq!(f.path(&job.id).await, path);
}

#[tokio::test]
async fn lists_go_page_by_page_newest_first() {
    let f = Fixture::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        f.queued(name).await;
    }
    let any = JobFilter::default();
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = f
            .store
            .list_jobs(&any, 2, after.as_deref())
            .await
            .expect("lists");
        names.extend(page.items.iter().map(|job| job.plan.name.clone()));
        after = page.items.last().map(|job| job.id.clone());
        f.queued("later").await; // what arrives meanwhile moves no page
        if !page.has_more {
            break;
        }
    }
    assert_eq!(names, ["e", "d", "c", "b", "a"]);
    assert!(matches!(
        f.store.list_jobs(&any, 2, Some("job_none")).await,
        Err(StoreError::NotFound(_))
    ));
}

#[tokio::test]
async fn lists_are_filtered() {
    let f = Fixture::new().await;
    let a = f.queued("a").await;
    f.queued("b").await;
    f.store.cancel(&a.id, 2).await.expect("cancels");
    let canceled = JobFilter {
        status: Some(Status::Canceled),
        ..JobFilter::default()
    };
    let page = f.store.list_jobs(&canceled, 10, None).await.expect("lists");
    assert_eq!(
        (
            page.items.len(),
            page.items[0].plan.name.as_str(),
            page.has_more
        ),
        (1, "a", false)
    );
    assert_eq!(page.items[0].transitions.len(), 2);
    for filter in [
        JobFilter {
            name: Some("b".into()),
            kind: Some("rbm".into()),
            ..canceled.clone()
        },
        JobFilter {
            kind: Some("vae".into()),
            ..JobFilter::default()
        },
    ] {
        assert!(
            f.store
                .list_jobs(&filter, 10, None)
                .await
                .expect("lists")
                .items
                .is_empty()
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_by_its_column() {
    let f = Fixture::new().await;
    let job = f.queued("a").await;
    let spoil = async |sql: &'static str| {
        let spoilt = sqlx::query(sql)
            .execute(f.store.writer().expect("in place"))
            .await;
        spoilt.expect("spoils");
    };
    spoil("UPDATE events SET kind = 'rumour'").await;
    let error = f.store.events(&job.id, 0, 9).await.expect_err("no kind");
    let text = "the database holds something unreadable: kind: \"rumour\"";
    assert_eq!(error.to_string(), text);
    spoil("UPDATE jobs SET metrics = '{'").await;
    let error = f.store.job(&job.id).await.expect_err("no JSON").to_string();
    let text = "the database holds something unreadable: metrics: EOF while parsing";
    assert!(error.starts_with(text), "{error}");
}
