//! NPZ: which of the arrays in a ZIP file is the column of which role.
//!
//! The ZIP format itself is read by `archive`, the arrays by `npy` and
//! `arrays`.

use std::fs::File;
use std::path::Path;

use super::super::npy;
use super::super::{
    Column, ImportError, ImportOptions, Imported, Role, SplitFiles, Written, invalid,
};
use super::archive::{self, Member};
use super::arrays::{Array, copy_column, copy_rows};
use super::shape::refuse_channels_last;
use super::source::Input;

/// Imports the rows, and what the archive has beside them.
pub(super) fn import_rows(
    path: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut file = File::open(path)?;
    let mut arrays = arrays(&mut file)?;
    let names = Role::Rows.definition().arrays;
    let at = position(&arrays, names)
        .or((arrays.len() == 1).then_some(0))
        .ok_or_else(|| unknown(&arrays, Role::Rows))?;
    let member = arrays.remove(at);
    let (array, mut input) = open(&file, &member, options.max_bytes)?;
    refuse_channels_last(&array.dims)?;
    let written = copy_rows(&array, &mut input, options, &out.path(Role::Rows))?;
    let mut imported = Imported::from(written);
    for role in Role::beside_rows() {
        if let Some(at) = position(&arrays, role.definition().arrays) {
            let (limit, out) = (options.max_bytes, out.path(role));
            let column = beside(role, &file, &arrays[at], imported.rows, limit, &out)?;
            imported.columns.push(column);
        }
    }
    Ok(imported)
}

/// Imports what goes with so many rows.
fn beside(
    role: Role,
    file: &File,
    member: &Member,
    rows: u64,
    limit: u64,
    out: &Path,
) -> Result<Column, ImportError> {
    let (array, mut input) = open(file, member, limit)?;
    let found = copy_column(role, &array, &mut input, limit, out)?;
    if found.count == rows {
        return Ok(found.column);
    }
    Err(invalid(format!(
        "the archive has {rows} rows but {} {} (in {:?})",
        found.count,
        role.name(),
        member.name
    )))
}

/// Imports the column of one role alone.
pub(super) fn import_column(
    role: Role,
    path: &Path,
    out: &Path,
    limit: u64,
) -> Result<Written, ImportError> {
    let mut file = File::open(path)?;
    let arrays = arrays(&mut file)?;
    let definition = role.definition();
    let at = position(&arrays, definition.arrays)
        .or_else(|| position(&arrays, definition.alone))
        .or((arrays.len() == 1).then_some(0))
        .ok_or_else(|| unknown(&arrays, role))?;
    let (array, mut input) = open(&file, &arrays[at], limit)?;
    copy_column(role, &array, &mut input, limit, out)
}

/// The members that are arrays.
fn arrays(file: &mut File) -> Result<Vec<Member>, ImportError> {
    let mut members = archive::members(file)?;
    members.retain(|member| short_name(member).is_some());
    if members.is_empty() {
        return Err(ImportError::Unsupported(
            "this is a ZIP file, but no NPZ: it has no .npy member".to_owned(),
        ));
    }
    Ok(members)
}

fn short_name(member: &Member) -> Option<&str> {
    member.name.strip_suffix(".npy")
}

/// Where the first of these names that is there stands.
fn position(arrays: &[Member], names: &[&str]) -> Option<usize> {
    let is = |m: &Member, name: &str| short_name(m).is_some_and(|s| s.eq_ignore_ascii_case(name));
    names
        .iter()
        .find_map(|name| arrays.iter().position(|m| is(m, name)))
}

fn unknown(arrays: &[Member], role: Role) -> ImportError {
    let found: Vec<String> = arrays
        .iter()
        .filter_map(short_name)
        .take(12)
        .map(|name| name.chars().take(40).collect())
        .collect();
    invalid(format!(
        "the NPZ file has {} arrays and none is known to be the {}; found {}; \
         name it one of {}, or send one array alone",
        arrays.len(),
        role.name(),
        found.join(", "),
        role.definition().arrays.join(", ")
    ))
}

fn open(file: &File, member: &Member, limit: u64) -> Result<(Array, Input), ImportError> {
    let mut input = archive::open(file, member, limit)?;
    let header = npy::read_header(input.reader.as_mut())?;
    Ok((
        Array {
            layout: header.layout,
            dims: header.dims,
        },
        input,
    ))
}
