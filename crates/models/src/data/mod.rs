//! Data sets on disk: what a client may send, and the one form we keep.
//!
//! Whatever comes in (IDX, NPY, NPZ or CSV, each perhaps gzipped) is turned
//! into one canonical NPY file of rows and, where there are any, one of
//! labels and one of targets. Everything after the import reads only the
//! canonical form.
//!
//! Here live bytes and shapes. HTTP, the database and tensors may not be
//! known in this folder.

mod array;
mod batch;
pub mod column;
pub mod digits;
pub mod import;
pub mod npy;
pub mod picture;
pub mod rows;
pub mod split;
pub mod tensors;

pub use batch::Batch;
pub use column::Role;

use std::io;
use std::path::{Path, PathBuf};

/// How the values of a canonical rows file are stored.
///
/// A model always sees f32: u8 is divided by 255 on the way out (so pictures
/// land in [0, 1]), f32 is handed over as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    U8,
    F32,
}

impl Dtype {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::F32 => "f32",
        }
    }

    /// Bytes that one stored value takes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
        }
    }
}

/// What the client may choose about an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The shape of one row, where the file's own does not say it.
    pub shape: Option<Vec<usize>>,
    /// CSV only: the column that holds the labels, by name or index.
    pub label_column: Option<String>,
    /// CSV only: the column that holds the targets, likewise.
    pub target_column: Option<String>,
    /// Bounds the bytes read after decompression, and the bytes written.
    pub max_bytes: u64,
}

/// What the rows of an imported file turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsInfo {
    pub rows: u64,
    /// The shape of one row.
    pub shape: Vec<usize>,
    pub dtype: Dtype,
    /// The smallest and largest value in the model's units (u8 over 255).
    pub min: f64,
    pub max: f64,
}

/// What the labels of an imported file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelsInfo {
    pub count: u64,
    /// The largest label plus one.
    pub classes: u64,
}

/// What the targets of an imported file turned out to be: the numbers that a
/// regressor is to learn, one for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetsInfo {
    pub count: u64,
    pub min: f64,
    pub max: f64,
}

/// The outcome of one import.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub rows: RowsInfo,
    pub labels: Option<LabelsInfo>,
    pub targets: Option<TargetsInfo>,
}

/// Where the canonical files of one split lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitFiles {
    /// `|u1` or `<f4`, `[rows, *row shape]`.
    pub rows: PathBuf,
    /// `<i8`, `[rows]`; there only if the split has labels.
    pub labels: PathBuf,
    /// `<f8`, `[rows]`; there only if the split has targets.
    pub targets: PathBuf,
}

impl SplitFiles {
    pub fn of(folder: &Path, split: &str) -> Self {
        Self {
            rows: folder.join(format!("{split}.npy")),
            labels: folder.join(format!("{split}_labels.npy")),
            targets: folder.join(format!("{split}_targets.npy")),
        }
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
