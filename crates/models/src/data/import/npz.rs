//! NPZ: the columns among the arrays of a ZIP file.
//!
//! The ZIP format itself is read by `archive`, the arrays by `npy` and
//! `arrays`; `names` says which of them is which column.

use std::fs::File;
use std::path::Path;

use super::super::npy;
use super::super::{
    Column, ImportError, ImportOptions, Imported, Reading, Role, SplitFiles, Written, invalid,
};
use super::archive::{self, Member};
use super::arrays::{Array, copy_column, copy_rows};
use super::names;
use super::shape::refuse_channels_last;
use super::sniff::Format;
use super::source::Input;

/// Imports the rows, and what the archive has beside them.
pub(super) fn import_rows(
    path: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut archive = Archive::open(path)?;
    let rows_at = archive.find(Role::Rows, out.split(), false)?;
    let rows_at = rows_at.ok_or_else(|| archive.unknown(Role::Rows, out.split()))?;
    let mut others = Vec::new();
    for role in Role::beside_rows() {
        let at = archive.find(role, out.split(), false)?;
        others.extend(at.filter(|at| *at != rows_at).map(|at| (role, at)));
    }
    let (array, mut input) = archive.array(rows_at, options.max_bytes)?;
    refuse_channels_last(&array.dims)?;
    let (written, survey) = copy_rows(&array, &mut input, options, &out.path(Role::Rows))?;
    let mut imported = Imported::from(written);
    for (role, at) in others {
        let column = archive.beside(role, at, imported.rows, options, &out.path(role))?;
        imported.columns.push(column);
    }
    imported.reading = archive.reading();
    imported.reading.survey(survey, out.split());
    Ok(imported)
}

/// Imports the column of one role alone.
pub(super) fn import_column(
    role: Role,
    path: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<(Written, Reading), ImportError> {
    let mut archive = Archive::open(path)?;
    let at = archive.find(role, out.split(), true)?;
    let at = at.ok_or_else(|| archive.unknown(role, out.split()))?;
    let (array, mut input) = archive.array(at, options.max_bytes)?;
    let written = copy_column(role, &array, &mut input, options, &out.path(role))?;
    Ok((written, archive.reading()))
}

/// The arrays of a file, and which of them were taken.
struct Archive {
    file: File,
    arrays: Vec<Member>,
    taken: Vec<usize>,
}

impl Archive {
    fn open(path: &Path) -> Result<Self, ImportError> {
        let mut file = File::open(path)?;
        let mut arrays = archive::members(&mut file)?;
        arrays.retain(|member| member.name.ends_with(".npy"));
        if arrays.is_empty() {
            return Err(ImportError::Unsupported(
                "this is a ZIP file, but no NPZ: it has no .npy member".to_owned(),
            ));
        }
        Ok(Self {
            file,
            arrays,
            taken: Vec::new(),
        })
    }

    fn names(&self) -> Vec<&str> {
        self.arrays.iter().map(short_name).collect()
    }

    fn find(&self, role: Role, split: &str, alone: bool) -> Result<Option<usize>, ImportError> {
        names::find(role, split, &self.names(), alone)
    }

    fn unknown(&self, role: Role, split: &str) -> ImportError {
        names::unknown(role, split, &self.names())
    }

    /// Takes the array at this place.
    fn array(&mut self, at: usize, limit: u64) -> Result<(Array, Input), ImportError> {
        self.taken.push(at);
        let mut input = archive::open(&self.file, &self.arrays[at], limit)?;
        let npy::AnyHeader { kind, dims } = npy::read_any_header(input.reader.as_mut())?;
        Ok((Array { kind, dims }, input))
    }

    /// Imports what goes with so many rows.
    fn beside(
        &mut self,
        role: Role,
        at: usize,
        rows: u64,
        options: &ImportOptions,
        out: &Path,
    ) -> Result<Column, ImportError> {
        let (array, mut input) = self.array(at, options.max_bytes)?;
        let found = copy_column(role, &array, &mut input, options, out)?;
        if found.count == rows {
            return Ok(found.column);
        }
        Err(invalid(format!(
            "the archive has {rows} rows but {} {} (in {:?})",
            found.count,
            role.name(),
            self.arrays[at].name
        )))
    }

    fn reading(&self) -> Reading {
        let names = self
            .arrays
            .iter()
            .map(|member| short_name(member).to_owned());
        let (taken, unused) = (0..)
            .zip(names)
            .partition::<Vec<_>, _>(|(at, _)| self.taken.contains(at));
        let names =
            |arrays: Vec<(usize, String)>| arrays.into_iter().map(|(_, name)| name).collect();
        Reading {
            taken: names(taken),
            unused: names(unused),
            ..Format::Npz.form().into()
        }
    }
}

fn short_name(member: &Member) -> &str {
    let name = member.name.as_str();
    name.strip_suffix(".npy").unwrap_or(name)
}
