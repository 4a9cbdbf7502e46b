//! CSV: lines of numbers, perhaps under a line of names.
//!
//! Which columns are no values of the rows is settled on the first line.

use std::path::Path;

use super::super::{
    Dtype, Header, ImportError, ImportOptions, Imported, Reading, Role, SplitFiles, Written,
    invalid,
};
use super::column::Columns;
use super::element::finite_f32;
use super::lines::{Lines, counts_columns};
use super::shape::chosen_shape;
use super::sink::{ColumnSink, checked};
use super::source::Input;
use crate::document::Warning;

/// Imports the rows, and what goes with them where columns were named for it.
pub(super) fn import_rows(
    input: Input,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut lines = Lines::open(input, options)?;
    let columns = Columns::find(options, lines.header.as_ref(), lines.columns)?;
    let row_len = columns.row_len;
    let shape = chosen_shape(options, row_len)?.unwrap_or_else(|| vec![row_len]);
    let limit = options.max_bytes;
    let rows_out = out.path(Role::Rows);
    let mut rows = ColumnSink::create(&rows_out, Role::Rows, Dtype::F32, limit)?;
    let mut beside = Vec::new();
    for &(role, at) in &columns.beside {
        beside.push((role, at, sink(role, &out.path(role), limit)?));
    }
    let warning = doubtful_header(&lines, options, out.split());
    let mut row = Vec::with_capacity(row_len);
    while lines.next()? {
        row.clear();
        for column in 0..lines.columns {
            if !columns.beside.iter().any(|&(_, at)| at == column) {
                row.push(value(&mut lines, column)?);
            }
        }
        for (role, at, sink) in &mut beside {
            sink.push(of_role(&mut lines, *role, *at)?)?;
        }
        rows.push_f32(&row)?;
    }
    let mut imported = Imported::from(rows.finish(&shape)?);
    for (_, _, sink) in beside {
        imported.columns.push(sink.finish(&[])?.column);
    }
    imported.reading = Reading {
        warnings: warning.into_iter().collect(),
        ..lines.form().into()
    };
    Ok(imported)
}

fn sink(role: Role, out: &Path, limit: u64) -> Result<ColumnSink, ImportError> {
    let dtype = role.definition().dtype.unwrap_or(Dtype::F32);
    ColumnSink::create(out, role, dtype, limit)
}

fn value(lines: &mut Lines, column: usize) -> Result<f32, ImportError> {
    finite_f32(lines.number(column)?).map_err(|what| lines.broken(column, &what))
}

/// A cell as the value of a role.
fn of_role(lines: &mut Lines, role: Role, column: usize) -> Result<f64, ImportError> {
    checked(role, lines.number(column)?).map_err(|what| lines.broken(column, &what))
}

/// A first line of numbers is a row unless the client says otherwise; this one looks as if it should.
fn doubtful_header(lines: &Lines, options: &ImportOptions, part: &str) -> Option<Warning> {
    let doubtful = options.header == Header::Auto && lines.header.is_none();
    (doubtful && counts_columns(&lines.record)).then(|| {
        let detail = "line 1 was read as a row, but it counts the columns; \
                      if it is a header, send the part 'header' with 'yes', else with 'no'";
        Warning::new("doubtful_header", format!("/{part}"), detail)
    })
}

/// Imports a file of one column as that of a role.
pub(super) fn import_column(
    role: Role,
    input: Input,
    out: &Path,
    options: &ImportOptions,
) -> Result<(Written, Reading), ImportError> {
    let mut lines = Lines::open(input, options)?;
    let definition = role.definition();
    if lines.columns != 1 {
        return Err(invalid(format!(
            "a CSV file of {} has one column; this one has {} (where its commas are decimal commas, \
             send the part 'delimiter' with ';')",
            definition.name, lines.columns
        )));
    }
    let mut sink = sink(role, out, options.max_bytes)?;
    while lines.next()? {
        // Most likely a value that is missing: without it the others would move to other rows.
        if let Some(line) = lines.blank {
            return Err(invalid(format!(
                "line {line} is blank; every line is the {} of a row",
                definition.one
            )));
        }
        sink.push(of_role(&mut lines, role, 0)?)?;
    }
    Ok((sink.finish(&[])?, lines.form().into()))
}
