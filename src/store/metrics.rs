//! The table `metrics`: one value per job, key and step.

use std::collections::BTreeMap;

use sqlx::{FromRow, Row};

use super::db::{Conn, QueryBuilder};
use super::lease::hold;
use super::{Result, Store};
use crate::jobs::Lease;

/// Rows of one INSERT: well under `SQLite`'s 32,766 bound values.
const BATCH: usize = 1000;

/// What a worker measured. A value that is not finite is kept as "no number": JSON has no other
/// word for it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    pub key: String,
    pub step: i64,
    pub epoch: i64,
    pub value: f64,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct SeriesPoint {
    pub step: i64,
    pub epoch: i64,
    pub value: Option<f64>,
    /// Of the stretch that the point stands for.
    #[sqlx(rename = "low")]
    pub min: Option<f64>,
    #[sqlx(rename = "high")]
    pub max: Option<f64>,
    pub at: i64,
}

/// Points by key, steps ascending.
pub type Series = BTreeMap<String, Vec<SeriesPoint>>;

impl Store {
    /// Each key's points, at most `max_points` of them: the steps are cut into that many equal
    /// stretches, and the last point of each stretch stands for it, with the least and the greatest
    /// value of the stretch. So the very last point is always there, and no peak is lost.
    pub async fn series(
        &self,
        job_id: &str,
        keys: Option<&[String]>,
        max_points: u32,
    ) -> Result<Series> {
        if keys.is_some_and(<[String]>::is_empty) {
            return Ok(Series::new());
        }
        let mut query = thinned(job_id, keys, max_points);
        let mut series = Series::new();
        for row in query.build().fetch_all(self.reader()).await? {
            let points: &mut Vec<_> = series.entry(row.try_get("key")?).or_default();
            points.push(SeriesPoint::from_row(&row)?);
        }
        Ok(series)
    }

    /// Forgets what came after the step of the checkpoint from which a worker resumes: it will be
    /// measured again.
    pub async fn truncate_metrics_after(&self, lease: &Lease, step: i64) -> Result<()> {
        let mut tx = self.write().await?;
        hold(&mut tx, lease).await?;
        sqlx::query("DELETE FROM metrics WHERE job_id = $1 AND step > $2")
            .bind(&lease.job_id)
            .bind(step)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

/// Every part is a look into an index: the names by skipping from one to the next, and of each stretch its
/// last step, its least and its greatest value. A million points are read in a fraction of a second, where
/// grouping them would sort them first.
pub(super) fn thinned(job_id: &str, keys: Option<&[String]>, max_points: u32) -> QueryBuilder {
    let mut query = QueryBuilder::new("WITH RECURSIVE job (id, points) AS (SELECT ");
    query.push_bind(job_id.to_owned());
    query.push(", ").push_bind(i64::from(max_points.max(1)));
    query.push(
        "), names (key) AS (
             SELECT MIN(m.key) FROM job JOIN metrics m ON m.job_id = job.id
             UNION ALL
             SELECT (SELECT MIN(m.key) FROM metrics m WHERE m.job_id = job.id AND m.key > names.key)
             FROM names, job WHERE names.key IS NOT NULL
         ), span (key, low, width) AS (
             SELECT key, (SELECT MIN(step) FROM metrics m WHERE m.job_id = job.id AND m.key = names.key),
                    (SELECT MAX(step) FROM metrics m WHERE m.job_id = job.id AND m.key = names.key)
             FROM names, job WHERE key IS NOT NULL",
    );
    if let Some(keys) = keys {
        query.push(" AND key IN (");
        let mut list = query.separated(", ");
        for key in keys {
            list.push_bind(key.clone());
        }
        query.push(")");
    }
    // The i-th stretch begins at the first step whose (step - low) * points / width is at least i.
    query.push(
        "), stretch (key, low, width, i) AS (
             SELECT key, low, width - low + 1, 0 FROM span
             UNION ALL
             SELECT key, low, width, i + 1 FROM stretch, job WHERE i + 1 < MIN(points, width)
         ), edge (key, first, last) AS (
             SELECT key, low + (i * width + parts - 1) / parts,
                    low + ((i + 1) * width + parts - 1) / parts - 1
             FROM (SELECT *, MIN(points, width) AS parts FROM stretch, job)
         )
         SELECT m.key, m.step, m.epoch, m.value, m.at,
                (SELECT MIN(value) FROM metrics x
                 WHERE x.job_id = job.id AND x.key = edge.key AND x.step BETWEEN first AND last) AS low,
                (SELECT MAX(value) FROM metrics x
                 WHERE x.job_id = job.id AND x.key = edge.key AND x.step BETWEEN first AND last) AS high
         FROM job CROSS JOIN edge CROSS JOIN metrics m
              ON m.job_id = job.id AND m.key = edge.key AND m.step =
                 (SELECT MAX(step) FROM metrics x
                  WHERE x.job_id = job.id AND x.key = edge.key AND x.step BETWEEN first AND last)
         ORDER BY m.key, m.step",
    );
    query
}

/// Within a report's transaction. A step that is measured again replaces what was measured before.
pub(super) async fn insert(conn: &mut Conn, job_id: &str, points: &[MetricPoint]) -> Result<()> {
    for batch in points.chunks(BATCH) {
        let mut query =
            QueryBuilder::new("INSERT INTO metrics (job_id, key, step, epoch, value, at) ");
        query.push_values(batch, |mut values, point| {
            values
                .push_bind(job_id)
                .push_bind(&point.key)
                .push_bind(point.step)
                .push_bind(point.epoch)
                .push_bind(Some(point.value).filter(|value| value.is_finite()))
                .push_bind(point.at);
        });
        query.push(
            " ON CONFLICT (job_id, key, step)
              DO UPDATE SET epoch = excluded.epoch, value = excluded.value, at = excluded.at",
        );
        query.build().execute(&mut *conn).await?;
    }
    Ok(())
}
