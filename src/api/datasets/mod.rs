//! `/v1/datasets`.

pub mod create;
pub mod import;
pub mod item;
pub mod preview;
pub mod rows;
pub mod upload;
mod warnings;

use std::collections::BTreeMap;
use std::io::ErrorKind;

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Code, Problem, Result};
use super::responses::rfc3339;
use super::state::{AppState, blocking};
use crate::data::split::Split;
use crate::data::{Column, FileForm, Role, SplitFiles};
use crate::document::Warning;
use crate::store;

/// A data set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dataset)]
pub struct DatasetResponse {
    pub id: String,
    pub name: String,
    /// `dense`: every row has every value.
    pub kind: String,
    /// Shape of one row.
    #[schema(example = json!([1, 28, 28]))]
    pub shape: Vec<i64>,
    /// `u8` (served to models as value / 255) or `f32`.
    pub dtype: String,
    /// Least and greatest value over all splits, as models see them.
    pub range: [f64; 2],
    /// Label classes, if there are labels.
    pub classes: Option<i64>,
    /// The words that labels stand for, in the order of their codes, if labels are words.
    pub label_names: Option<Vec<String>>,
    /// Least and greatest target over all splits, if there are targets.
    pub target_range: Option<[f64; 2]>,
    pub splits: BTreeMap<String, DatasetSplit>,
    /// What the file of each part was taken for.
    pub files: BTreeMap<String, DatasetFile>,
    /// Of the canonical files.
    pub sha256: String,
    pub bytes: i64,
    #[schema(format = DateTime)]
    pub created_at: String,
    /// What to know of the data though it was taken: an array that is left out, say.
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetSplit {
    pub rows: i64,
    pub labels: bool,
    /// Targets of each row, numbers to regress on: 0 or 1.
    #[schema(minimum = 0, maximum = 1)]
    pub targets: i64,
}

/// A file of an upload.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetFile {
    /// `csv`, `idx`, `npy` or `npz`.
    pub format: String,
    /// CSV: whether line 1 was read as a header.
    pub header: Option<bool>,
    /// CSV: what separates its cells.
    #[schema(example = ",")]
    pub delimiter: Option<char>,
}

impl From<FileForm> for DatasetFile {
    fn from(form: FileForm) -> Self {
        let FileForm {
            format,
            header,
            delimiter,
        } = form;
        Self {
            format,
            header,
            delimiter,
        }
    }
}

impl From<store::Dataset> for DatasetResponse {
    fn from(d: store::Dataset) -> Self {
        let split = |s: &store::Split| DatasetSplit {
            rows: s.rows,
            labels: s.has(Role::Labels),
            targets: s.has(Role::Targets).into(),
        };
        let mut splits = BTreeMap::from([("train".to_owned(), split(&d.splits.train))]);
        if let Some(test) = &d.splits.test {
            splits.insert("test".to_owned(), split(test));
        }
        let column = |role| d.column(role);
        Self {
            shape: d.shape().to_vec(),
            dtype: column(Role::Rows).map_or_else(String::new, |rows| rows.dtype.as_str().into()),
            range: d.range(),
            classes: column(Role::Labels).and_then(|labels| labels.classes),
            label_names: column(Role::Labels)
                .map(|labels| labels.names.clone())
                .filter(|names| !names.is_empty()),
            target_range: column(Role::Targets).and_then(|targets| targets.range),
            splits,
            files: d
                .files
                .into_iter()
                .map(|(part, form)| (part, form.into()))
                .collect(),
            id: d.id,
            name: d.name,
            kind: d.kind,
            sha256: d.sha256,
            bytes: d.bytes,
            created_at: rfc3339(d.created_at),
            warnings: d.warnings,
        }
    }
}

/// Some rows of a split, in model units, flat.
pub struct Slice {
    pub values: Vec<f32>,
    pub rows: usize,
    pub labels: Option<Vec<i64>>,
    pub targets: Option<Vec<f64>>,
}

/// The split of this name; `pointer` is to the field that names it.
pub fn find_split<'a>(
    dataset: &'a store::Dataset,
    split: &str,
    pointer: &str,
) -> Result<&'a store::Split> {
    let rule = || format!("data set '{}' has no split '{split}'", dataset.name);
    let found = dataset.splits.get(split);
    found.ok_or_else(|| Problem::field(pointer, rule()))
}

/// How many of the rows that are asked for there are.
pub fn rows_there(dataset: &store::Dataset, split: &str, offset: u64, limit: u64) -> u64 {
    let rows = dataset.splits.get(split).map_or(0, |split| split.rows);
    let rows = u64::try_from(rows).unwrap_or(0);
    limit.min(rows.saturating_sub(offset))
}

/// Reads rows of a split; `pointer` says which field of the request asked.
pub async fn read_rows(
    app: &AppState,
    dataset: &store::Dataset,
    split: &str,
    offset: u64,
    limit: u64,
    pointer: &str,
) -> Result<Slice> {
    let found = find_split(dataset, split, &format!("{pointer}split"))?;
    let rows = u64::try_from(found.rows).unwrap_or(0);
    if offset >= rows {
        let rule = format!("must be below the split's {rows} rows, got {offset}");
        return Err(Problem::field(format!("{pointer}offset"), rule));
    }
    let end = offset.saturating_add(limit).min(rows);
    let files = SplitFiles::of(&app.layout.dataset(&dataset.id), split);
    let columns: Vec<Column> = dataset.columns_of(found).cloned().collect();
    let read = move || -> std::io::Result<Slice> {
        let opened = Split::open(&files, &columns)?;
        let index = |row: u64| u32::try_from(row).unwrap_or(u32::MAX);
        let indices: Vec<u32> = (index(offset)..index(end)).collect();
        Ok(Slice {
            values: opened.rows(&indices)?,
            rows: indices.len(),
            labels: opened.pick(Role::Labels, &indices)?,
            targets: opened.pick(Role::Targets, &indices)?,
        })
    };
    match blocking(read).await? {
        Ok(slice) => Ok(slice),
        // What the system has no number for was found in the file itself.
        Err(error) if error.kind() != ErrorKind::NotFound && error.raw_os_error().is_some() => {
            Err(Problem::internal(error))
        }
        Err(error) => match app.dataset(&dataset.id).await {
            Ok(_) => Err(Problem::damaged("files of the data set", error)),
            Err(problem) if problem.code() == Code::NotFound => {
                Err(Problem::not_found("the data set was deleted meanwhile"))
            }
            Err(problem) => Err(problem),
        },
    }
}
