//! CSV: lines of numbers, perhaps under a line of names; labels may be words.
//!
//! Which columns are no values of the rows is settled on the first line.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::{
    Dtype, Header, ImportError, ImportOptions, Imported, Reading, Role, SplitFiles, Written,
    invalid,
};
use super::column::Columns;
use super::element::finite_f32;
use super::faults::Faults;
use super::lines::Lines;
use super::shape::chosen_shape;
use super::sink::{ColumnSink, checked};
use super::source::Input;
use super::survey::MOST_COLUMNS;
use super::words::Codes;
use crate::document::Warning;

/// Imports the rows, and what goes with them where columns were named for it.
pub(super) fn import_rows(
    input: Input,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut lines = Lines::open(input, options, &options.columns)?;
    let columns = Columns::find(options, lines.header.as_ref(), lines.columns)?;
    lines.require_rows()?;
    let row_len = columns.row_len;
    let shape = chosen_shape(options, row_len)?.unwrap_or_else(|| vec![row_len]);
    let rows_out = out.path(Role::Rows);
    let mut rows = ColumnSink::create(&rows_out, Role::Rows, Dtype::F32, options.max_bytes)?;
    rows.watch(&shape);
    let mut beside = Vec::new();
    for &(role, at) in &columns.beside {
        beside.push((at, Beside::create(role, &out.path(role), options)?));
    }
    let warning = doubtful_header(&lines, options, out.split());
    let mut row = Vec::with_capacity(row_len);
    let mut faults = Faults::default();
    while faults.last(lines.next())? {
        if faults.pass(None, lines.check())?.is_none() {
            continue;
        }
        row.clear();
        for column in 0..lines.columns {
            if !columns.beside.iter().any(|&(_, at)| at == column) {
                let value = value(&mut lines, column);
                row.extend(faults.pass(Some(column), value)?);
            }
        }
        for (at, column) in &mut beside {
            let taken = column.take(&mut lines, *at);
            faults.pass(Some(*at), taken)?;
        }
        // A row that lacks a value would move those that follow; nothing is kept of such a file.
        if faults.is_empty() {
            rows.push_f32(&row)?;
        }
    }
    faults.outcome()?;
    let survey = rows.take_survey();
    let mut imported = Imported::from(rows.finish(&shape)?);
    for (_, column) in beside {
        imported.columns.push(column.finish(None)?.column);
    }
    imported.reading = Reading {
        // Nothing is told of the columns of wider rows.
        names: columns.left(lines.header.as_ref().filter(|_| row_len <= MOST_COLUMNS)),
        warnings: warning.into_iter().collect(),
        ..lines.form().into()
    };
    imported.reading.survey(survey, out.split());
    Ok(imported)
}

fn value(lines: &mut Lines, column: usize) -> Result<f32, ImportError> {
    finite_f32(lines.number(column)?).map_err(|what| lines.broken(column, &what))
}

/// A column that goes with the rows.
enum Beside {
    Codes(Codes),
    Numbers(Role, ColumnSink),
}

impl Beside {
    fn create(role: Role, out: &Path, options: &ImportOptions) -> Result<Self, ImportError> {
        if role.is_coded() {
            return Ok(Self::Codes(Codes::create(role, out, options)?));
        }
        let dtype = role.definition().dtype.unwrap_or(Dtype::F32);
        let sink = ColumnSink::create(out, role, dtype, options.max_bytes)?;
        Ok(Self::Numbers(role, sink))
    }

    /// The cell of the current line.
    fn take(&mut self, lines: &mut Lines, column: usize) -> Result<(), ImportError> {
        match self {
            Self::Codes(codes) => {
                let cell = lines.record.get(column).unwrap_or_default();
                let code = codes.code(cell, lines.read_number(cell));
                codes.push(code.map_err(|what| lines.broken(column, &what))?)
            }
            Self::Numbers(role, sink) => {
                let number = checked(*role, lines.number(column)?);
                sink.push(number.map_err(|what| lines.broken(column, &what))?)
            }
        }
    }

    fn finish(self, before: Option<&[u8]>) -> Result<Written, ImportError> {
        match self {
            Self::Codes(codes) => codes.finish(before),
            Self::Numbers(_, sink) => sink.finish(&[]),
        }
    }
}

/// A first line of numbers is a row unless the client says otherwise; this one looks as if it should.
fn doubtful_header(lines: &Lines, options: &ImportOptions, part: &str) -> Option<Warning> {
    let doubtful = options.header == Header::Auto && lines.header.is_none();
    (doubtful && lines.counts_columns(&options.columns)).then(|| {
        let detail = "line 1 was read as a row, but it counts the columns; \
                      if it is a header, send the part 'header' with 'yes', else with 'no'";
        Warning::new("doubtful_header", format!("/{part}"), detail)
    })
}

/// Imports a file of one column as that of a role, for so many rows.
pub(super) fn import_column(
    role: Role,
    input: Input,
    out: &SplitFiles,
    options: &ImportOptions,
    rows: u64,
) -> Result<(Written, Reading), ImportError> {
    let mut lines = Lines::open(input, options, &BTreeMap::new())?;
    let definition = role.definition();
    if lines.columns != 1 {
        return Err(invalid(format!(
            "a CSV file of {} has one column; this one has {} (where its commas are decimal commas, \
             send the part 'delimiter' with ';')",
            definition.name, lines.columns
        )));
    }
    // A word on line 1 above other words: only their number tells whether it is one of them.
    let word = lines
        .header
        .as_ref()
        .and_then(|names| names.get(0))
        .map(<[u8]>::to_vec);
    let mut word = word.filter(|_| role.is_coded() && options.header == Header::Auto);
    if word.is_none() || rows != 1 {
        lines.require_rows()?;
    }
    let mut column = Beside::create(role, &out.path(role), options)?;
    let (mut count, mut faults) = (0, Faults::default());
    while faults.last(lines.next())? {
        // Most likely a value that is missing: without it the others would move to other rows.
        if let Some(line) = lines.blank {
            let rule = format!(
                "line {line} is blank; every line is the {} of a row",
                definition.one
            );
            faults.note(None, invalid(rule))?;
        }
        if faults.pass(None, lines.check())?.is_some() {
            let taken = column.take(&mut lines, 0);
            faults.pass(Some(0), taken)?;
        }
        count += 1;
    }
    faults.outcome()?;
    let above_words = count == 0 || matches!(&column, Beside::Codes(codes) if codes.are_words());
    word = word.filter(|_| above_words && count + 1 == rows);
    let mut reading = Reading::from(lines.form());
    if let (Some(word), Beside::Codes(codes)) = (&word, &column) {
        reading.form.header = Some(false);
        if count > 0 && !codes.knows(word) {
            let detail = "line 1 was read as a label, since there is a line for each row, but no other row has it; \
                          if it is a header, a label is missing";
            let part = format!("/{}", role.in_split(out.split()));
            reading
                .warnings
                .push(Warning::new("doubtful_header", part, detail));
        }
    }
    Ok((column.finish(word.as_deref())?, reading))
}
