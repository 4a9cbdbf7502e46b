//! Import: the client's file in, canonical NPY files out.
//!
//! The format is told from the content, never from a name. Everything streams
//! through buffers of fixed size. If anything fails, no output file is left.
//!
//! `source` opens and unpacks (`gzip`); `idx`, `npz`, `table` with `lines` (CSV) and
//! `super::npy` know the formats; `arrays` and `sink` write what all of them yield.

#![expect(
    clippy::disallowed_methods,
    reason = "this is where such files are written"
)]

pub(crate) mod archive;
mod arrays;
mod column;
mod delimiter;
pub mod element;
mod faults;
mod gzip;
mod idx;
mod lines;
mod names;
mod npz;
mod shape;
pub(crate) mod sink;
mod sniff;
pub(crate) mod source;
mod survey;
mod table;
mod words;

#[cfg(test)]
mod csv_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod target_tests;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use self::arrays::Array;
use self::sniff::{Format, sniff};
use self::source::{Input, Source, read_error};
use self::survey::Survey;
use super::npy;
use super::{ImportError, ImportOptions, Imported, Reading, Role, SplitFiles, Written};

/// Imports a file of rows, with what the file has beside them.
///
/// Of `out`, only the files of the columns in the result are written.
pub fn import_rows(
    source: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let result = rows(source, out, options);
    if result.is_err() {
        for role in Role::ALL {
            remove(&out.path(role));
        }
    }
    result
}

/// Imports a file of the column of one role, a value for each of so many rows.
pub fn import_column(
    role: Role,
    source: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
    rows: u64,
) -> Result<(Written, Reading), ImportError> {
    let result = one_column(role, source, out, options, rows);
    if result.is_err() {
        remove(&out.path(role));
    }
    result
}

fn rows(path: &Path, out: &SplitFiles, options: &ImportOptions) -> Result<Imported, ImportError> {
    let source = Source::open(path, options.max_bytes)?;
    let format = sniff(&source.head)?;
    if format != Format::Csv {
        refuse_columns(options)?;
    }
    match format {
        Format::Csv => table::import_rows(source.input, out, options),
        Format::Npz => {
            let spool = Spool::of(source, path, &out.path(Role::Rows))?;
            npz::import_rows(spool.path(), out, options)
        }
        Format::Idx | Format::Npy => {
            let mut input = source.input;
            let array = header(format, &mut input)?;
            let (part, out) = (out.split(), out.path(Role::Rows));
            let (written, survey) = arrays::copy_rows(&array, &mut input, options, &out)?;
            let mut reading = Reading::from(format.form());
            reading.survey(survey, part);
            Ok(Imported {
                reading,
                ..written.into()
            })
        }
    }
}

fn one_column(
    role: Role,
    path: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
    rows: u64,
) -> Result<(Written, Reading), ImportError> {
    let source = Source::open(path, options.max_bytes)?;
    let format = sniff(&source.head)?;
    let file = out.path(role);
    match format {
        Format::Csv => table::import_column(role, source.input, out, options, rows),
        Format::Npz => {
            let spool = Spool::of(source, path, &file)?;
            npz::import_column(role, spool.path(), out, options)
        }
        Format::Idx | Format::Npy => {
            let mut input = source.input;
            let array = header(format, &mut input)?;
            let written = arrays::copy_column(role, &array, &mut input, options, &file)?;
            Ok((written, format.form().into()))
        }
    }
}

fn header(format: Format, input: &mut Input) -> Result<Array, ImportError> {
    if format == Format::Idx {
        return idx::read_header(input);
    }
    let npy::AnyHeader { kind, dims } = npy::read_any_header(input.reader.as_mut())?;
    shape::refuse_channels_last(&dims)?;
    Ok(Array { kind, dims })
}

fn refuse_columns(options: &ImportOptions) -> Result<(), ImportError> {
    match options.columns.keys().next() {
        None => Ok(()),
        Some(role) => Err(ImportError::Option {
            field: role.field(),
            detail: "the file is not a CSV file, and only those have columns".to_owned(),
        }),
    }
}

impl Reading {
    /// What was seen of the columns, told of those that are learnt from.
    fn survey(&mut self, survey: Option<Survey>, part: &str) {
        let Some(survey) = survey.filter(|_| part == "train") else {
            return;
        };
        self.warnings.extend(survey.warnings(&self.names, part));
        self.warnings
            .extend(survey::labels_among(&self.names, part));
    }
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
