//! Import: the client's file in, canonical NPY files out.
//!
//! The format is told from the content, never from a name. Everything streams
//! through buffers of fixed size. If anything fails, no output file is left.
//!
//! `source` opens and unpacks; `idx`, `npz`, `table` (CSV) and `super::npy`
//! know the formats; `arrays` and `sink` write what all of them yield.

mod archive;
mod arrays;
mod column;
pub(crate) mod element;
mod idx;
mod npz;
mod shape;
pub(crate) mod sink;
mod sniff;
pub(crate) mod source;
mod table;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use self::arrays::Array;
use self::sniff::{Format, sniff};
use self::source::{Input, Source, read_error};
use super::npy;
use super::{ImportError, ImportOptions, Imported, LabelsInfo};

/// Imports a file of rows, with their labels if the file has them.
///
/// `labels_out` is written only if the result has labels.
pub fn import_rows(
    source: &Path,
    rows_out: &Path,
    labels_out: &Path,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let result = rows(source, rows_out, labels_out, options);
    if result.is_err() {
        remove(rows_out);
        remove(labels_out);
    }
    result
}

/// Imports a file of labels, one for each row.
///
/// Of the options only `max_bytes` counts; a `label_column` is refused.
pub fn import_labels(
    source: &Path,
    labels_out: &Path,
    options: &ImportOptions,
) -> Result<LabelsInfo, ImportError> {
    let result = labels(source, labels_out, options);
    if result.is_err() {
        remove(labels_out);
    }
    result
}

fn rows(
    path: &Path,
    rows_out: &Path,
    labels_out: &Path,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let source = Source::open(path, options.max_bytes)?;
    let format = sniff(&source.head)?;
    if format != Format::Csv {
        refuse_label_column(
            options,
            "the file is not a CSV file, and only those have columns",
        )?;
    }
    match format {
        Format::Csv => table::import_rows(source.input, rows_out, labels_out, options),
        Format::Npz => {
            let spool = Spool::of(source, path, rows_out)?;
            npz::import_rows(spool.path(), rows_out, labels_out, options)
        }
        Format::Idx | Format::Npy => {
            let mut input = source.input;
            let array = header(format, &mut input)?;
            let rows = arrays::copy_rows(&array, &mut input, options, rows_out)?;
            Ok(Imported { rows, labels: None })
        }
    }
}

fn labels(
    path: &Path,
    labels_out: &Path,
    options: &ImportOptions,
) -> Result<LabelsInfo, ImportError> {
    let limit = options.max_bytes;
    refuse_label_column(
        options,
        "it names a column of the file of rows, not of one of labels",
    )?;
    let source = Source::open(path, limit)?;
    let format = sniff(&source.head)?;
    match format {
        Format::Csv => table::import_labels(source.input, labels_out, limit),
        Format::Npz => {
            let spool = Spool::of(source, path, labels_out)?;
            npz::import_labels(spool.path(), labels_out, limit)
        }
        Format::Idx | Format::Npy => {
            let mut input = source.input;
            let array = header(format, &mut input)?;
            arrays::copy_labels(&array, &mut input, limit, labels_out)
        }
    }
}

fn header(format: Format, input: &mut Input) -> Result<Array, ImportError> {
    if format == Format::Idx {
        return idx::read_header(input);
    }
    let npy::Header { layout, dims } = npy::read_header(input.reader.as_mut())?;
    shape::refuse_channels_last(&dims)?;
    Ok(Array { layout, dims })
}

fn refuse_label_column(options: &ImportOptions, why: &str) -> Result<(), ImportError> {
    if options.label_column.is_none() {
        return Ok(());
    }
    Err(ImportError::Option {
        field: "label_column",
        detail: why.to_owned(),
    })
}

/// Best effort: the file may never have been made, and the error that led
/// here is the one worth telling.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// An archive as a file that can be sought in. A gzipped one is unpacked to a
/// temporary file beside the output, which goes when this does.
enum Spool {
    AsSent(PathBuf),
    Unpacked(PathBuf),
}

impl Spool {
    fn of(source: Source, path: &Path, beside: &Path) -> Result<Self, ImportError> {
        if !source.gzipped {
            return Ok(Self::AsSent(path.to_owned()));
        }
        let mut name = beside.as_os_str().to_owned();
        name.push(".unpacked");
        // Made before the copy, so that a copy that fails is removed too.
        let spool = Self::Unpacked(PathBuf::from(name));
        let mut file = File::create(spool.path())?;
        let mut reader = source.input.reader;
        io::copy(&mut reader, &mut file).map_err(read_error)?;
        Ok(spool)
    }

    fn path(&self) -> &Path {
        match self {
            Self::AsSent(path) | Self::Unpacked(path) => path,
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Self::Unpacked(path) = self {
            remove(path);
        }
    }
}
