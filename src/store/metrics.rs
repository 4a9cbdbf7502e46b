//! The table `metrics`: one value per job, key and step.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::jobs::hold;
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

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesPoint {
    pub step: i64,
    pub epoch: i64,
    pub value: Option<f64>,
    /// Of the stretch that the point stands for.
    pub min: Option<f64>,
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
            let point = SeriesPoint {
                step: row.try_get("step")?,
                epoch: row.try_get("epoch")?,
                value: row.try_get("value")?,
                min: row.try_get("low")?,
                max: row.try_get("high")?,
                at: row.try_get("at")?,
            };
            series.entry(row.try_get("key")?).or_default().push(point);
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

fn thinned(job_id: &str, keys: Option<&[String]>, max_points: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "WITH span AS (
             SELECT key, MIN(step) AS low, MAX(step) AS high FROM metrics WHERE job_id = ",
    );
    query.push_bind(job_id.to_owned());
    if let Some(keys) = keys {
        query.push(" AND key IN (");
        let mut list = query.separated(", ");
        for key in keys {
            list.push_bind(key.clone());
        }
        query.push(")");
    }
    query.push(
        " GROUP BY key
         ), kept AS (
             SELECT m.key AS key, MAX(m.step) AS step, MIN(m.value) AS low, MAX(m.value) AS high
             FROM span JOIN metrics m ON m.key = span.key AND m.job_id = ",
    );
    query.push_bind(job_id.to_owned());
    query.push(" GROUP BY m.key, (m.step - span.low) * ");
    query.push_bind(i64::from(max_points.max(1)));
    query.push(
        " / (span.high - span.low + 1)
         )
         SELECT m.key, m.step, m.epoch, m.value, kept.low, kept.high, m.at
         FROM kept JOIN metrics m ON m.key = kept.key AND m.step = kept.step AND m.job_id = ",
    );
    query.push_bind(job_id.to_owned());
    query.push(" ORDER BY m.key, m.step");
    query
}

/// Within a report's transaction. A step that is measured again replaces what was measured before.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    job_id: &str,
    points: &[MetricPoint],
) -> Result<()> {
    for batch in points.chunks(BATCH) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO metrics (job_id, key, step, epoch, value, at) ",
        );
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
