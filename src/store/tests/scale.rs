//! Many jobs, several openers: that indexes serve the queries, and that the file can be shared.

use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use super::{Fixture, POLICY, checkpoint, version};
use crate::jobs::Status;
use crate::store::jobs::{in_line, left_behind, list_query};
use crate::store::{JobFilter, JobReport, Store};

const MANY: i64 = 100_000;

pub(super) async fn plan(store: &Store, sql: &str) -> String {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
        .fetch_all(store.reader())
        .await;
    let rows = rows.expect("explains");
    let lines: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    lines.join("; ")
}

async fn fill(f: &Fixture) {
    let insert = "INSERT INTO jobs (id, name, task, kind, status, dataset_id, dataset_name, model,
                                    training, metadata, progress, created_at, finished_at)
                  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
                  SELECT 'job_' || i, 'name' || (i % 100), 'train', 'vae', 'canceled', $2, 'digits',
                         '{}', '{}', '{}', '{}', i, i FROM n";
    let filled = sqlx::query(insert)
        .bind(MANY)
        .bind(&f.dataset.id)
        .execute(f.store.writer().expect("in place"))
        .await;
    assert_eq!(filled.expect("fills").rows_affected(), 100_000);
}

#[tokio::test]
async fn a_page_of_many_jobs_is_read_from_an_index() {
    let f = Fixture::new().await;
    fill(&f).await;
    f.queued("a").await;
    let by_status = JobFilter {
        status: Some(Status::Canceled),
        ..JobFilter::default()
    };
    let by_name = JobFilter {
        name: Some("name7".into()),
        ..JobFilter::default()
    };
    let by_kind = JobFilter {
        kind: Some("rbm".into()),
        ..JobFilter::default()
    };
    let both = JobFilter {
        name: Some("name7".into()),
        ..by_status.clone()
    };
    for filter in [&JobFilter::default(), &by_status, &by_name, &by_kind, &both] {
        let plan = plan(&f.store, list_query(filter, 20, i64::MAX).sql().as_str()).await;
        assert!(
            plan.contains("SEARCH jobs") && !plan.contains("SCAN") && !plan.contains("B-TREE"),
            "{plan}"
        );
    }
    let page = f
        .store
        .list_jobs(&by_status, 20, None)
        .await
        .expect("lists");
    assert_eq!(
        (page.items.len(), page.has_more, page.items[0].seq),
        (20, true, MANY)
    );
    let page = f.store.list_jobs(&by_kind, 20, None).await.expect("lists");
    assert_eq!((page.items.len(), page.has_more), (1, false));

    for sql in [
        in_line().as_str(),
        left_behind().as_str(),
        "SELECT * FROM jobs WHERE status IN ('running', 'pausing', 'canceling') AND lease_until < 1",
        "SELECT COUNT(*) FROM jobs WHERE status = 'queued'",
        "SELECT * FROM jobs WHERE lease_owner = 'w1' AND status IN ('running', 'pausing', 'canceling')",
    ] {
        let plan = plan(&f.store, sql).await;
        assert!(
            !plan.contains("SCAN") && !plan.contains("B-TREE"),
            "{sql}: {plan}"
        );
    }
    assert_eq!(f.claim("w1", 10).await.expect("claims").0.plan.name, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_may_be_opened_by_several_at_once() {
    for _ in 0..5 {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("latentd.db");
        let open = || {
            let path = path.clone();
            tokio::spawn(async move { Store::open(&path).await })
        };
        for opening in [open(), open(), open(), open()] {
            opening.await.expect("joins").expect("opens");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_several_processes_wait_for_each_other() {
    let f = Fixture::new().await;
    let new = f.new_job("a");
    let mut writers = Vec::new();
    for _ in 0..4 {
        let (store, new) = (f.another().await, new.clone());
        writers.push(tokio::spawn(async move {
            for now in 0..15 {
                store
                    .insert_job(&new, None, None, 1000, now)
                    .await
                    .expect("waits its turn");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("no writer gives up");
    }
    assert_eq!(
        f.store.job_counts().await.expect("counts")[&Status::Queued],
        60
    );
    f.store
        .claim("w1", POLICY, 1)
        .await
        .expect("claims")
        .expect("a job");
    f.store.close().await;
}

/// Handlers and workers are spawned, so every future of the store must be `Send`. That compiles or
/// it does not; one method of each kind of query stands for the others.
#[tokio::test]
async fn the_futures_can_be_spawned() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let (store, new) = (f.store.clone(), f.new_job("b"));
    let spawned = tokio::spawn(async move {
        store.insert_job(&new, None, None, 9, 1).await?;
        store.list_jobs(&JobFilter::default(), 9, None).await?;
        store.list_models(9, None).await?;
        store.list_datasets(9, None).await?;
        store.series(&job.id, None, 9).await?;
        store.report(&lease, &JobReport::default(), 20).await?;
        store
            .record_checkpoint(&lease, &checkpoint(1, "c1", true), 1, 20)
            .await?;
        store.expire_leases(POLICY, 20).await?;
        store
            .succeed(&lease, &version("m1"), &serde_json::Map::new(), 30)
            .await?;
        store.delete_model("a").await
    });
    assert_eq!(spawned.await.expect("joins").expect("works"), ["m1"]);
}
