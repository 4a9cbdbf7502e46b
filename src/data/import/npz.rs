//! NPZ: which of the arrays in a ZIP file are the rows and which the labels.
//!
//! The ZIP format itself is read by `archive`, the arrays by `npy` and
//! `arrays`.

use std::fs::File;
use std::path::Path;

use super::super::npy;
use super::super::{ImportError, ImportOptions, Imported, LabelsInfo, invalid};
use super::archive::{self, Member};
use super::arrays::{Array, copy_labels, copy_rows};
use super::shape::refuse_channels_last;
use super::source::Input;

/// Names under which rows are looked for, the first found wins.
const ROWS: [&str; 6] = ["x", "x_train", "train", "images", "data", "features"];
/// The same for the labels that go with those rows.
const LABELS: [&str; 5] = ["y", "y_train", "labels", "train_labels", "targets"];
/// Further names when only labels are asked for.
const MORE_LABELS: [&str; 2] = ["y_test", "test_labels"];

/// Imports the rows, and the labels if the archive has them.
pub(super) fn import_rows(
    path: &Path,
    rows_out: &Path,
    labels_out: &Path,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut file = File::open(path)?;
    let arrays = arrays(&mut file)?;
    let single = arrays.first().filter(|_| arrays.len() == 1);
    let rows = find(&arrays, &ROWS)
        .or(single)
        .ok_or_else(|| unknown(&arrays, "rows", &ROWS))?;
    let labels = find(&arrays, &LABELS).filter(|labels| labels.name != rows.name);
    let (array, mut input) = open(&file, rows, options.max_bytes)?;
    refuse_channels_last(&array.dims)?;
    let rows = copy_rows(&array, &mut input, options, rows_out)?;
    let Some(labels) = labels else {
        return Ok(Imported { rows, labels: None });
    };
    let (array, mut input) = open(&file, labels, options.max_bytes)?;
    let found = copy_labels(&array, &mut input, options.max_bytes, labels_out)?;
    if found.count != rows.rows {
        return Err(invalid(format!(
            "the archive has {} rows but {} labels (in {:?})",
            rows.rows, found.count, labels.name
        )));
    }
    Ok(Imported {
        rows,
        labels: Some(found),
    })
}

/// Imports only the labels.
pub(super) fn import_labels(
    path: &Path,
    labels_out: &Path,
    limit: u64,
) -> Result<LabelsInfo, ImportError> {
    let mut file = File::open(path)?;
    let arrays = arrays(&mut file)?;
    let single = arrays.first().filter(|_| arrays.len() == 1);
    let labels = find(&arrays, &LABELS)
        .or_else(|| find(&arrays, &MORE_LABELS))
        .or(single)
        .ok_or_else(|| unknown(&arrays, "labels", &LABELS))?;
    let (array, mut input) = open(&file, labels, limit)?;
    copy_labels(&array, &mut input, limit, labels_out)
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

fn find<'a>(arrays: &'a [Member], names: &[&str]) -> Option<&'a Member> {
    let is = |m: &Member, name: &str| short_name(m).is_some_and(|s| s.eq_ignore_ascii_case(name));
    names
        .iter()
        .find_map(|name| arrays.iter().find(|m| is(m, name)))
}

fn unknown(arrays: &[Member], what: &str, names: &[&str]) -> ImportError {
    let found: Vec<String> = arrays
        .iter()
        .filter_map(short_name)
        .take(12)
        .map(|name| name.chars().take(40).collect())
        .collect();
    invalid(format!(
        "the NPZ file has {} arrays and none is known to be the {what}; found {}; \
         name it one of {}, or send one array alone",
        arrays.len(),
        found.join(", "),
        names.join(", ")
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
