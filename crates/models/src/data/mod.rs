//! Data sets on disk: what a client may send, and the one form we keep.
//!
//! Whatever comes in (IDX, NPY, NPZ or CSV, each perhaps gzipped) is turned
//! into one canonical NPY file a column: of rows and, where there are any, of
//! labels, of targets. Everything after the import reads only the canonical
//! form. `column` lists the roles that a column may have.
//!
//! Here live bytes and shapes, and tensors in `split` and `batch` alone. HTTP
//! and the database may not be known in this folder.

mod array;
mod batch;
pub mod column;
pub mod digits;
pub mod import;
pub mod npy;
pub mod picture;
pub mod reader;
pub mod split;
pub mod tensors;

pub use batch::Batch;
pub use column::{Column, Dtype, Role};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::Warning;

/// What the client may choose about an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The shape of one row, where the file's own does not say it.
    pub shape: Option<Vec<usize>>,
    /// CSV only: the column of a role, by name or index.
    pub columns: BTreeMap<Role, String>,
    /// CSV only: whether line 1 is a header.
    pub header: Header,
    /// CSV only: what separates the cells; none: told from the first lines.
    pub delimiter: Option<u8>,
    /// How labels are coded, where the training split has settled that.
    pub coding: Option<Coding>,
    /// Bounds the bytes read after decompression, and the bytes written.
    pub max_bytes: u64,
}

/// Whether the first line of a CSV file names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does where that can be told from its cells.
    #[default]
    Auto,
    Yes,
    No,
}

/// What the codes of the training split stand for: themselves, or these words in the order of their codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coding {
    Numbers,
    Words(Vec<String>),
}

/// A column as one import wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub column: Column,
    /// Rows that it has a value for.
    pub count: u64,
}

impl Written {
    /// The column, if each of so many rows has its value.
    pub fn one_a_row(self, rows: u64, form: &FileForm) -> Result<Column, ImportError> {
        if self.count == rows {
            return Ok(self.column);
        }
        let name = self.column.role.name();
        let hint = match form.header {
            Some(false) if self.count == rows.saturating_add(1) => {
                "; if line 1 is a header, send the part 'header' with 'yes'"
            }
            Some(true) if self.count.saturating_add(1) == rows => {
                "; if line 1 is no header, send the part 'header' with 'no'"
            }
            _ => "",
        };
        Err(invalid(format!(
            "has {} {name} for {rows} rows{hint}",
            self.count
        )))
    }
}

/// What a file was taken for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileForm {
    /// `csv`, `idx`, `npy` or `npz`.
    pub format: String,
    /// CSV only: whether line 1 was read as a header.
    pub header: Option<bool>,
    /// CSV only: what separates its cells.
    #[serde(default)]
    pub delimiter: Option<char>,
}

impl FileForm {
    pub(crate) fn of(format: &str) -> Self {
        Self {
            format: format.to_owned(),
            header: None,
            delimiter: None,
        }
    }
}

/// How a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub form: FileForm,
    /// Of a table with a header: what the values of its rows are called.
    pub names: Names,
    pub warnings: Vec<Warning>,
    /// Of an archive: the arrays that became columns, and those that did not.
    pub taken: Vec<String>,
    pub unused: Vec<String>,
}

/// The names of columns, end to end: there may be millions, of a letter each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(csv::ByteRecord);

impl Names {
    /// Names without the spaces around them.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut record = csv::ByteRecord::new();
        names
            .into_iter()
            .for_each(|name| record.push_field(name.trim_ascii()));
        Self(record)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, at: usize) -> Option<&[u8]> {
        self.0.get(at)
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter()
    }
}

impl From<FileForm> for Reading {
    fn from(form: FileForm) -> Self {
        Self {
            form,
            ..Self::default()
        }
    }
}

/// The outcome of one import.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub rows: u64,
    /// Of the rows first, then what was found beside them.
    pub columns: Vec<Column>,
    pub reading: Reading,
}

impl From<Written> for Imported {
    fn from(rows: Written) -> Self {
        Self {
            rows: rows.count,
            columns: vec![rows.column],
            reading: Reading::default(),
        }
    }
}

impl Imported {
    pub fn column(&self, role: Role) -> Option<&Column> {
        self.columns.iter().find(|column| column.role == role)
    }
}

/// Where the canonical files of one split lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitFiles {
    folder: PathBuf,
    split: String,
}

impl SplitFiles {
    pub fn of(folder: &Path, split: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            split: split.to_owned(),
        }
    }

    pub fn split(&self) -> &str {
        &self.split
    }

    /// Of the column of a role: little-endian, `[rows, *row shape]`.
    pub fn path(&self, role: Role) -> PathBuf {
        let name = role.in_split(&self.split);
        self.folder.join(format!("{name}.npy"))
    }
}

/// Why an import was refused. All but `Io` are about what the client sent.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The format was recognised, but the content breaks its rules or ours.
    #[error("{0}")]
    Invalid(String),
    /// The same at several places.
    #[error("{}", .0.join("; "))]
    Faults(Vec<String>),
    /// The content is in no format that we read.
    #[error("{0}")]
    Unsupported(String),
    #[error("the data is larger than the {limit} bytes that one import may take")]
    TooLarge { limit: u64 },
    /// A form field sent beside the file does not fit the file.
    #[error("{field}: {detail}")]
    Option { field: &'static str, detail: String },
    /// Our own disk failed; nothing the client sent is at fault.
    #[error("the server could not read or write its files: {0}")]
    Io(#[from] io::Error),
}

/// Faults that one upload is told of.
pub const MOST_FAULTS: usize = 20;

/// Shorthand for the commonest refusal.
pub(crate) fn invalid(message: impl Into<String>) -> ImportError {
    ImportError::Invalid(message.into())
}

/// Writes a shape as people read it: `60000 x 28 x 28`.
pub fn show_dims<T: ToString>(dims: &[T]) -> String {
    let parts: Vec<String> = dims.iter().map(ToString::to_string).collect();
    parts.join(" x ")
}
