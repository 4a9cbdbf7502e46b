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

/// What the client may choose about an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The shape of one row, where the file's own does not say it.
    pub shape: Option<Vec<usize>>,
    /// CSV only: the column of a role, by name or index.
    pub columns: BTreeMap<Role, String>,
    /// Bounds the bytes read after decompression, and the bytes written.
    pub max_bytes: u64,
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
    pub fn one_a_row(self, rows: u64) -> Result<Column, ImportError> {
        if self.count == rows {
            return Ok(self.column);
        }
        let name = self.column.role.name();
        Err(invalid(format!(
            "has {} {name} for {rows} rows",
            self.count
        )))
    }
}

/// How a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of an archive: the arrays that became columns, and those that did not.
    pub taken: Vec<String>,
    pub unused: Vec<String>,
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

/// Shorthand for the commonest refusal.
pub(crate) fn invalid(message: impl Into<String>) -> ImportError {
    ImportError::Invalid(message.into())
}

/// Writes a shape as people read it: `60000 x 28 x 28`.
pub fn show_dims<T: ToString>(dims: &[T]) -> String {
    let parts: Vec<String> = dims.iter().map(ToString::to_string).collect();
    parts.join(" x ")
}
