//! NPZ: which of the arrays in a ZIP file are the rows, the labels and the
//! targets.
//!
//! The ZIP format itself is read by `archive`, the arrays by `npy` and
//! `arrays`.

use std::fs::File;
use std::path::Path;

use super::super::npy;
use super::super::{ImportError, ImportOptions, Imported, RowsInfo, SplitFiles, invalid};
use super::archive::{self, Member};
use super::arrays::{Array, copy_column, copy_rows};
use super::shape::refuse_channels_last;
use super::sink::{ColumnSink, LabelSink, TargetSink};
use super::source::Input;

/// Names under which rows are looked for, the first found wins.
const ROWS: [&str; 6] = ["x", "x_train", "train", "images", "data", "features"];

/// Values that an archive holds one of for each row.
pub(super) trait Named: ColumnSink {
    /// Names under which they are looked for beside rows.
    const BESIDE_ROWS: &'static [&'static str];
    /// Further names where only they are asked for.
    const ALONE: &'static [&'static str];
}

impl Named for LabelSink {
    const BESIDE_ROWS: &'static [&'static str] =
        &["y", "y_train", "labels", "train_labels", "targets"];
    const ALONE: &'static [&'static str] = &["y_test", "test_labels"];
}

impl Named for TargetSink {
    const BESIDE_ROWS: &'static [&'static str] = &["train_targets", "test_targets"];
    const ALONE: &'static [&'static str] = &["targets", "y", "y_train", "y_test"];
}

/// Imports the rows, and the labels and targets that the archive has.
pub(super) fn import_rows(
    path: &Path,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut file = File::open(path)?;
    let mut arrays = arrays(&mut file)?;
    let at = position(&arrays, &ROWS)
        .or((arrays.len() == 1).then_some(0))
        .ok_or_else(|| unknown(&arrays, "rows", &ROWS))?;
    let member = arrays.remove(at);
    let (array, mut input) = open(&file, &member, options.max_bytes)?;
    refuse_channels_last(&array.dims)?;
    let rows = copy_rows(&array, &mut input, options, &out.rows)?;
    let archive = Archive {
        file: &file,
        others: &arrays,
        limit: options.max_bytes,
    };
    Ok(Imported {
        labels: archive.beside::<LabelSink>(&rows, &out.labels)?,
        targets: archive.beside::<TargetSink>(&rows, &out.targets)?,
        rows,
    })
}

/// An archive, and its arrays that are not the rows.
struct Archive<'a> {
    file: &'a File,
    others: &'a [Member],
    limit: u64,
}

impl Archive<'_> {
    /// Imports what goes with the rows, if it is there.
    fn beside<S: Named>(
        &self,
        rows: &RowsInfo,
        out: &Path,
    ) -> Result<Option<S::Info>, ImportError> {
        let Some(at) = position(self.others, S::BESIDE_ROWS) else {
            return Ok(None);
        };
        let member = &self.others[at];
        let (array, mut input) = open(self.file, member, self.limit)?;
        let found = copy_column::<S>(&array, &mut input, self.limit, out)?;
        let count = array.dims.first().copied().unwrap_or(0);
        if count != rows.rows {
            return Err(invalid(format!(
                "the archive has {} rows but {count} {}s (in {:?})",
                rows.rows,
                S::NAME,
                member.name
            )));
        }
        Ok(Some(found))
    }
}

/// Imports only the labels, or only the targets.
pub(super) fn import_column<S: Named>(
    path: &Path,
    out: &Path,
    limit: u64,
) -> Result<S::Info, ImportError> {
    let mut file = File::open(path)?;
    let arrays = arrays(&mut file)?;
    let at = position(&arrays, S::BESIDE_ROWS)
        .or_else(|| position(&arrays, S::ALONE))
        .or((arrays.len() == 1).then_some(0))
        .ok_or_else(|| unknown(&arrays, &format!("{}s", S::NAME), S::BESIDE_ROWS))?;
    let (array, mut input) = open(&file, &arrays[at], limit)?;
    copy_column::<S>(&array, &mut input, limit, out)
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
