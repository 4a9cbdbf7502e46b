//! The table `datasets`: what was uploaded. The rows' bytes are files in a folder named by the id.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::columns::{json, to_json};
use super::page::{Page, rows_for};
use super::{Result, Store, StoreError};
use crate::nn::model::DataFacts;

/// A dataset. `id` is from `jobs::dataset_id`, taken before its folder is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub shape: Vec<i64>,
    pub dtype: String,
    /// The least and the greatest value.
    pub range: [f64; 2],
    pub classes: Option<i64>,
    pub splits: Splits,
    pub sha256: String,
    pub bytes: i64,
    pub created_at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Splits {
    pub train: Split,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Split>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    pub rows: i64,
    pub labels: bool,
    /// The least and the greatest target, if every row has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_range: Option<[f64; 2]>,
}

impl Split {
    /// Numbers to regress on that each row has: 0 or 1.
    pub fn targets(&self) -> i64 {
        i64::from(self.target_range.is_some())
    }
}

impl Dataset {
    /// What a net must know of the rows.
    pub fn facts(&self) -> DataFacts {
        // Labels of the test rows alone teach nothing; nor do targets.
        DataFacts::new(&self.shape, self.range.into())
            .with_classes(self.classes.filter(|_| self.splits.train.labels))
            .with_targets(self.splits.train.target_range.is_some())
    }

    /// The least and the greatest target over all splits.
    pub fn target_range(&self) -> Option<[f64; 2]> {
        let splits = std::iter::once(self.splits.train).chain(self.splits.test);
        splits
            .filter_map(|split| split.target_range)
            .reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
    }
}

impl Store {
    /// Adds a dataset whose files are complete. A name that is taken is a conflict.
    pub async fn insert_dataset(&self, dataset: &Dataset) -> Result<()> {
        let inserted = sqlx::query(
            "INSERT INTO datasets (id, name, kind, shape, dtype, range_min, range_max,
                                   classes, splits, sha256, bytes, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(&dataset.id)
        .bind(&dataset.name)
        .bind(&dataset.kind)
        .bind(to_json(&dataset.shape)?)
        .bind(&dataset.dtype)
        .bind(dataset.range[0])
        .bind(dataset.range[1])
        .bind(dataset.classes)
        .bind(to_json(&dataset.splits)?)
        .bind(&dataset.sha256)
        .bind(dataset.bytes)
        .bind(dataset.created_at)
        .execute(self.writer())
        .await?;
        match inserted.rows_affected() {
            1 => Ok(()),
            _ => Err(StoreError::Conflict(format!(
                "a dataset named \"{}\" exists",
                dataset.name
            ))),
        }
    }

    /// By id or name.
    pub async fn dataset(&self, reference: &str) -> Result<Dataset> {
        let mut conn = self.reader().acquire().await?;
        find(&mut conn, reference).await
    }

    /// Newest first; `after` is the id of the last one of the page before, which may be gone by
    /// now.
    pub async fn list_datasets(&self, limit: u32, after: Option<&str>) -> Result<Page<Dataset>> {
        let query = match after {
            None => sqlx::query("SELECT * FROM datasets ORDER BY id DESC LIMIT $1"),
            Some(_) => {
                sqlx::query("SELECT * FROM datasets WHERE id < $2 ORDER BY id DESC LIMIT $1")
            }
        };
        let query = query.bind(rows_for(limit));
        let query = match after {
            None => query,
            Some(id) => query.bind(id),
        };
        let rows = query.fetch_all(self.reader()).await?;
        let datasets: Result<Vec<Dataset>> = rows.iter().map(read).collect();
        Ok(Page::of(datasets?, limit))
    }

    /// Refused while a job that has not ended uses it. Returns the row, for the caller to remove
    /// its folder.
    pub async fn delete_dataset(&self, reference: &str) -> Result<Dataset> {
        let mut tx = self.write().await?;
        let dataset = find(&mut tx, reference).await?;
        let user: Option<String> = sqlx::query_scalar(
            "SELECT id FROM jobs
             WHERE dataset_id = $1 AND status NOT IN ('succeeded', 'failed', 'canceled') LIMIT 1",
        )
        .bind(&dataset.id)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(job) = user {
            let text = format!(
                "dataset \"{}\" is in use by job \"{job}\", which has not ended",
                dataset.name
            );
            return Err(StoreError::Conflict(text));
        }
        sqlx::query("DELETE FROM datasets WHERE id = $1")
            .bind(&dataset.id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(dataset)
    }

    /// The ids of all, so that a sweep can tell which folders nobody names.
    pub async fn dataset_ids(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT id FROM datasets ORDER BY id")
            .fetch_all(self.reader())
            .await?)
    }
}

/// An id wins over a name that looks like one.
async fn find(conn: &mut SqliteConnection, reference: &str) -> Result<Dataset> {
    let row = sqlx::query(
        "SELECT * FROM datasets WHERE id = $1 OR name = $1
         ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END LIMIT 1",
    )
    .bind(reference)
    .fetch_optional(conn)
    .await?;
    read(&row.ok_or_else(|| StoreError::no("dataset", reference))?)
}

fn read(row: &SqliteRow) -> Result<Dataset> {
    Ok(Dataset {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        shape: json(row, "shape")?,
        dtype: row.try_get("dtype")?,
        range: [row.try_get("range_min")?, row.try_get("range_max")?],
        classes: row.try_get("classes")?,
        splits: json(row, "splits")?,
        sha256: row.try_get("sha256")?,
        bytes: row.try_get("bytes")?,
        created_at: row.try_get("created_at")?,
    })
}
