//! Series: kept once per step, and thinned.

use super::Fixture;
use super::scale::plan;
use crate::jobs::Lease;
use crate::store::metrics::thinned;
use crate::store::{JobReport, MetricPoint, Series};

fn point(key: &str, step: i64, value: f64) -> MetricPoint {
    MetricPoint {
        key: key.to_owned(),
        step,
        epoch: step / 100,
        value,
        at: step,
    }
}

async fn write(f: &Fixture, lease: &Lease, points: Vec<MetricPoint>) {
    let report = JobReport {
        points,
        ..JobReport::default()
    };
    f.store.report(lease, &report, 20).await.expect("reports");
}

fn steps(series: &Series, key: &str) -> Vec<i64> {
    series[key].iter().map(|point| point.step).collect()
}

#[tokio::test]
async fn a_series_is_thinned_to_the_last_of_equal_stretches() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let mut points: Vec<MetricPoint> = (1..=3000)
        .map(|step| point("train/loss", step, 1.0))
        .collect();
    points.extend([point("test/loss", 1000, 2.0), point("test/loss", 2000, 3.0)]);
    write(&f, &lease, points).await;

    let series = f.store.series(&job.id, None, 3).await.expect("series");
    assert_eq!(steps(&series, "train/loss"), [1000, 2000, 3000]);
    assert_eq!(steps(&series, "test/loss"), [1000, 2000]);
    let one = f.store.series(&job.id, None, 1).await.expect("series");
    assert_eq!(steps(&one, "train/loss"), [3000]);
    let all = f
        .store
        .series(&job.id, None, 100_000)
        .await
        .expect("series");
    assert_eq!(all["train/loss"].len(), 3000);
    for max_points in [7, 100, 2999] {
        let some = f
            .store
            .series(&job.id, None, max_points)
            .await
            .expect("series");
        let count = some["train/loss"].len();
        assert_eq!(count, usize::try_from(max_points).expect("small"));
    }
    let keys = ["test/loss".to_owned(), "none".to_owned()];
    let chosen = f
        .store
        .series(&job.id, Some(&keys), 10)
        .await
        .expect("series");
    assert_eq!(chosen.keys().collect::<Vec<_>>(), ["test/loss"]);
    assert!(
        f.store
            .series(&job.id, Some(&[]), 10)
            .await
            .expect("series")
            .is_empty()
    );
}

#[tokio::test]
async fn going_back_to_a_checkpoint_doubles_nothing() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    write(
        &f,
        &lease,
        (1..=5).map(|step| point("k", step, 1.0)).collect(),
    )
    .await;
    f.store
        .truncate_metrics_after(&lease, 3)
        .await
        .expect("truncates");
    write(
        &f,
        &lease,
        (3..=4).map(|step| point("k", step, 2.0)).collect(),
    )
    .await;
    let series = f.store.series(&job.id, None, 100).await.expect("series");
    assert_eq!(steps(&series, "k"), [1, 2, 3, 4]);
    assert_eq!(series["k"][2].value, Some(2.0));
}

#[tokio::test]
async fn what_is_not_finite_is_kept_as_no_number() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    write(
        &f,
        &lease,
        vec![
            point("k", 1, f64::NAN),
            point("k", 2, f64::INFINITY),
            point("k", 3, 0.1),
        ],
    )
    .await;
    let series = f.store.series(&job.id, None, 100).await.expect("series");
    let values: Vec<Option<f64>> = series["k"].iter().map(|point| point.value).collect();
    assert_eq!(values, [None, None, Some(0.1)]);
}

#[tokio::test]
async fn no_peak_is_lost_in_thinning() {
    let f = Fixture::new().await;
    let (job, lease) = f.running("a").await;
    let value = |step| match step {
        37 => 90.0,
        38 => -5.0,
        _ => 1.0,
    };
    let points = (1..=100).map(|step| point("k", step, value(step)));
    write(&f, &lease, points.collect()).await;
    let series = f.store.series(&job.id, None, 2).await.expect("series");
    let ends: Vec<_> = series["k"].iter().map(|p| (p.step, p.min, p.max)).collect();
    assert_eq!(
        ends,
        [(50, Some(-5.0), Some(90.0)), (100, Some(1.0), Some(1.0))]
    );
}

/// Grouping them took a minute once; a look into the index for each stretch takes a moment.
#[tokio::test]
async fn a_million_points_are_thinned_by_looks_into_an_index() {
    let f = Fixture::new().await;
    let (job, _) = f.running("a").await;
    let fill = "INSERT INTO metrics (job_id, key, step, epoch, value, at)
                WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 250000)
                SELECT $1, k.column1, i, i / 100, i * 0.5, i FROM n, (VALUES ('a'), ('b'), ('c'), ('d')) k";
    sqlx::query(fill)
        .bind(&job.id)
        .execute(f.store.writer().expect("in place"))
        .await
        .expect("fills");
    let sql = thinned(&job.id, None, 1000);
    let plan = plan(&f.store, sql.sql().as_str()).await;
    assert!(
        !plan.contains("SCAN x") && !plan.contains("SCAN m"),
        "{plan}"
    );
    let stretch = "metrics_by_value (job_id=? AND key=? AND step>? AND step<?)";
    assert!(plan.contains(stretch), "{plan}");
    assert!(plan.contains("(job_id=? AND key=? AND step=?)"), "{plan}");
    let series = f.store.series(&job.id, None, 1000).await.expect("series");
    assert_eq!(series.len(), 4);
    for points in series.values() {
        assert_eq!(points.len(), 1000);
        assert_eq!(points[999].step, 249_999);
        assert_eq!((points[1].min, points[1].max), (Some(125.0), Some(249.5)));
    }
}
