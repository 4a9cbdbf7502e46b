//! The reports of a worker, each in one transaction: a commit is a sync of the disk.

use serde_json::{Map, Value, json};
use sqlx::types::Json;

use crate::jobs::{JobProgress, Lease};
use crate::store::db::Conn;
use crate::store::events::{self, EventKind, NewEvent};
use crate::store::lease::{exactly_one, hold};
use crate::store::metrics::{self, MetricPoint};
use crate::store::{Result, Store};
use crate::train::Directive;

/// What is new since the last report. What is absent or empty stays as it was, except
/// `eta_seconds`, which goes with `progress`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobReport {
    pub phase: Option<String>,
    pub progress: Option<JobProgress>,
    pub eta_seconds: Option<f64>,
    pub device: Option<String>,
    /// Replaces the job's latest values, key by key.
    pub latest: Map<String, Value>,
    /// For the series.
    pub points: Vec<MetricPoint>,
    /// More to tell, behind the events that follow from the above.
    pub events: Vec<NewEvent>,
}

impl Store {
    /// Writes a report, and its events: `phase` if it is another, `progress`, `metrics`. Tells the
    /// worker what the client wants of it, as a heartbeat does.
    pub async fn report(&self, lease: &Lease, report: &JobReport, now: i64) -> Result<Directive> {
        let mut tx = self.write().await?;
        let job = hold(&mut tx, lease).await?;
        let news = update(&mut tx, lease, report, now).await?;
        metrics::insert(&mut tx, &lease.job_id, &report.points).await?;
        events::append(&mut tx, &lease.job_id, &news).await?;
        events::append(&mut tx, &lease.job_id, &report.events).await?;
        tx.commit().await?;
        Ok(job.status.directive(job.stop))
    }
}

/// Changes the job's row; what there is to tell of that.
async fn update(
    conn: &mut Conn,
    lease: &Lease,
    report: &JobReport,
    now: i64,
) -> Result<Vec<NewEvent>> {
    let query = sqlx::query_as("SELECT phase, metrics FROM jobs WHERE id = $1");
    let (phase, Json(mut latest)): (Option<String>, Json<Map<String, Value>>) =
        query.bind(&lease.job_id).fetch_one(&mut *conn).await?;
    latest.extend(report.latest.clone());
    let progress = report.progress.clone().map(finite);
    let eta_seconds = report.eta_seconds.filter(|seconds| seconds.is_finite());

    let updated = sqlx::query(
        "UPDATE jobs
         SET phase = COALESCE($1, phase), progress = COALESCE($2, progress),
             eta_seconds = CASE WHEN $2 IS NULL THEN eta_seconds ELSE $3 END,
             device = COALESCE($4, device), metrics = $5
         WHERE id = $6 AND lease_owner = $7 AND lease_token = $8",
    )
    .bind(&report.phase)
    .bind(progress.as_ref().map(Json))
    .bind(eta_seconds)
    .bind(&report.device)
    .bind(Json(&latest))
    .bind(&lease.job_id)
    .bind(&lease.owner)
    .bind(lease.token)
    .execute(conn)
    .await?;
    exactly_one(updated.rows_affected())?;

    let mut news = Vec::new();
    let mut tell = |kind, data| news.push(NewEvent::new(kind, data, now));
    if report.phase.is_some() && report.phase != phase {
        tell(EventKind::Phase, json!({ "phase": report.phase }));
    }
    if let Some(progress) = &progress {
        tell(
            EventKind::Progress,
            json!({ "progress": progress, "eta_seconds": eta_seconds }),
        );
    }
    if !report.latest.is_empty() {
        tell(EventKind::Metrics, json!({ "metrics": report.latest }));
    }
    Ok(news)
}

/// A fraction of nothing is no number, which JSON could not keep.
fn finite(mut progress: JobProgress) -> JobProgress {
    if !progress.fraction.is_finite() {
        progress.fraction = 0.0;
    }
    progress.samples_per_second = progress.samples_per_second.filter(|rate| rate.is_finite());
    progress
}
