//! The tables `datasets` and `dataset_columns`: what was uploaded. The values are files in a folder named by the id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::types::Json;

use super::columns::{insert, json};
use super::db::{Conn, DbRow};
use super::keys::bytes_of;
use super::page::{Page, rows_for};
use super::{Result, Store, StoreError};
use crate::data::{Column, Dtype, FileForm, Role};
use crate::document::Warning;
use crate::nn::model::DataFacts;

/// A dataset. `id` is from `jobs::dataset_id`, taken before its folder is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub id: String,
    pub name: String,
    pub kind: String,
    /// One a role, that of the rows first; over all splits.
    pub columns: Vec<Column>,
    pub splits: Splits,
    pub sha256: String,
    pub bytes: i64,
    pub created_at: i64,
    pub warnings: Vec<Warning>,
    /// What the file of each part was taken for.
    pub files: BTreeMap<String, FileForm>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Splits {
    pub train: Split,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Split>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    pub rows: i64,
    /// What each row of the split has.
    pub columns: Vec<Role>,
}

impl Splits {
    pub fn get(&self, name: &str) -> Option<&Split> {
        match name {
            "train" => Some(&self.train),
            "test" => self.test.as_ref(),
            _ => None,
        }
    }
}

impl Split {
    pub fn has(&self, role: Role) -> bool {
        self.columns.contains(&role)
    }
}

impl Dataset {
    pub fn column(&self, role: Role) -> Option<&Column> {
        self.columns.iter().find(|column| column.role == role)
    }

    /// The columns that a split has.
    pub fn columns_of<'a>(&'a self, split: &'a Split) -> impl Iterator<Item = &'a Column> {
        self.columns.iter().filter(|column| split.has(column.role))
    }

    /// The shape of one row.
    pub fn shape(&self) -> &[i64] {
        self.column(Role::Rows).map_or(&[], |rows| &rows.shape)
    }

    /// The least and the greatest value of the rows.
    pub fn range(&self) -> [f64; 2] {
        let rows = self.column(Role::Rows);
        rows.and_then(|rows| rows.range).unwrap_or_default()
    }

    /// The words that labels stand for, in the order of their codes; none where they are numbers.
    pub fn label_names(&self) -> &[String] {
        self.column(Role::Labels)
            .map_or(&[], |labels| &labels.names)
    }

    /// What a net must know of the rows.
    pub fn facts(&self) -> DataFacts {
        // Labels of the test rows alone teach nothing; nor do targets.
        let learnt = |role| {
            let column = self.column(role)?;
            self.splits.train.has(role).then_some(column)
        };
        let labels = learnt(Role::Labels);
        DataFacts::new(self.shape(), self.range().into())
            .with_classes(labels.and_then(|labels| labels.classes))
            .with_label_names(labels.map_or_else(Vec::new, |labels| labels.names.clone()))
            .with_targets(learnt(Role::Targets).is_some())
    }
}

impl Store {
    /// Adds a dataset whose files are complete. A name that is taken is a conflict.
    /// `key` is the API key that uploads it, if it needs one, and how many bytes all of its data sets may take.
    pub async fn insert_dataset(
        &self,
        dataset: &Dataset,
        key: Option<(&str, Option<i64>)>,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        if let Some((id, Some(most))) = key {
            let bytes = bytes_of(&mut tx, id).await? + dataset.bytes;
            if bytes > most {
                return Err(StoreError::KeyBytes { most, bytes });
            }
        }
        let inserted = insert!("datasets" {
            id: &dataset.id,
            name: &dataset.name,
            kind: &dataset.kind,
            splits: Json(&dataset.splits),
            sha256: &dataset.sha256,
            bytes: dataset.bytes,
            created_at: dataset.created_at,
            warnings: Json(&dataset.warnings),
            files: Json(&dataset.files),
            key_id: key.map(|(id, _)| id),
        } "ON CONFLICT (name) DO NOTHING")
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() != 1 {
            return Err(StoreError::Conflict(format!(
                "a dataset named \"{}\" exists",
                dataset.name
            )));
        }
        for column in &dataset.columns {
            insert!("dataset_columns" {
                dataset_id: &dataset.id,
                role: column.role.name(),
                dtype: column.dtype.as_str(),
                shape: Json(&column.shape),
                range_min: column.range.map(|[min, _]| min),
                range_max: column.range.map(|[_, max]| max),
                classes: column.classes,
                names: Json(&column.names),
            })
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// By id or name.
    pub async fn dataset(&self, reference: &str) -> Result<Dataset> {
        let mut conn = self.reader().acquire().await?;
        find(&mut conn, reference).await
    }

    /// Newest first; `after` is the id of the last one of the page before, which may be gone by
    /// now.
    pub async fn list_datasets(&self, limit: u32, after: Option<&str>) -> Result<Page<Dataset>> {
        let rows = sqlx::query(
            "SELECT * FROM (SELECT * FROM datasets WHERE $2 IS NULL OR id < $2
                            ORDER BY id DESC LIMIT $1)
             JOIN dataset_columns ON dataset_id = id ORDER BY id DESC",
        )
        .bind(rows_for(limit))
        .bind(after)
        .fetch_all(self.reader())
        .await?;
        Ok(Page::of(read(&rows)?, limit))
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
async fn find(conn: &mut Conn, reference: &str) -> Result<Dataset> {
    let rows = sqlx::query(
        "SELECT * FROM (SELECT * FROM datasets WHERE id = $1 OR name = $1
                        ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END LIMIT 1)
         JOIN dataset_columns ON dataset_id = id",
    )
    .bind(reference)
    .fetch_all(conn)
    .await?;
    let found = read(&rows)?.pop();
    found.ok_or_else(|| StoreError::no("dataset", reference))
}

/// The data sets of joined rows, each of which is of one column; those of a data set lie together.
fn read(rows: &[DbRow]) -> Result<Vec<Dataset>> {
    let mut datasets: Vec<Dataset> = Vec::new();
    for row in rows {
        let id: String = row.try_get("id")?;
        let column = read_column(row)?;
        match datasets.last_mut() {
            Some(dataset) if dataset.id == id => dataset.columns.push(column),
            _ => datasets.push(Dataset {
                id,
                name: row.try_get("name")?,
                kind: row.try_get("kind")?,
                columns: vec![column],
                splits: json(row, "splits")?,
                sha256: row.try_get("sha256")?,
                bytes: row.try_get("bytes")?,
                created_at: row.try_get("created_at")?,
                warnings: json(row, "warnings")?,
                files: json(row, "files")?,
            }),
        }
    }
    for dataset in &mut datasets {
        dataset.columns.sort_by_key(|column| column.role);
    }
    Ok(datasets)
}

fn read_column(row: &DbRow) -> Result<Column> {
    let (role, dtype): (&str, &str) = (row.try_get("role")?, row.try_get("dtype")?);
    let (min, max): (Option<f64>, Option<f64>) =
        (row.try_get("range_min")?, row.try_get("range_max")?);
    let corrupt = |what, word| StoreError::Corrupt(format!("{what} {word:?}"));
    Ok(Column {
        role: Role::parse(role).ok_or_else(|| corrupt("role", role))?,
        dtype: Dtype::parse(dtype).ok_or_else(|| corrupt("dtype", dtype))?,
        shape: json(row, "shape")?,
        range: min.zip(max).map(|(min, max)| [min, max]),
        classes: row.try_get("classes")?,
        names: json(row, "names")?,
    })
}
