//! CSV: lines of numbers, perhaps under a line of names.
//!
//! Records are read one at a time and no record may grow past a bound, so the
//! memory does not depend on the file. Which columns are no values of the rows
//! is settled on the first line.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, ReaderBuilder, Terminator};

use super::super::{
    Dtype, ImportError, ImportOptions, Imported, Role, SplitFiles, Written, invalid,
};
use super::column::{Columns, quoted};
use super::element::finite_f32;
use super::shape::chosen_shape;
use super::sink::{ColumnSink, checked};
use super::source::{Fault, Input, fill, read_error};

/// The longest line that is read: some 800,000 values of 20 characters.
const MAX_RECORD: usize = 16 << 20;

/// Imports the rows, and what goes with them where columns were named for it.
pub(super) fn import_rows(
    input: Input,
    out: &SplitFiles,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut table = Table::open(input)?;
    let columns = Columns::find(options, table.names(), table.columns)?;
    let row_len = columns.row_len;
    let shape = chosen_shape(options, row_len)?.unwrap_or_else(|| vec![row_len]);
    let limit = options.max_bytes;
    let rows_out = out.path(Role::Rows);
    let mut rows = ColumnSink::create(&rows_out, Role::Rows, Dtype::F32, limit)?;
    let mut beside = Vec::new();
    for &(role, at) in &columns.beside {
        beside.push((role, at, sink(role, &out.path(role), limit)?));
    }
    let mut row = Vec::with_capacity(row_len);
    while table.next()? {
        row.clear();
        for column in 0..table.columns {
            if !columns.beside.iter().any(|&(_, at)| at == column) {
                row.push(table.value(column)?);
            }
        }
        for (role, at, sink) in &mut beside {
            sink.push(table.of_role(*role, *at)?)?;
        }
        rows.push_f32(&row)?;
    }
    let mut imported = Imported::from(rows.finish(&shape)?);
    for (_, _, sink) in beside {
        imported.columns.push(sink.finish(&[])?.column);
    }
    Ok(imported)
}

fn sink(role: Role, out: &Path, limit: u64) -> Result<ColumnSink, ImportError> {
    let dtype = role.definition().dtype.unwrap_or(Dtype::F32);
    ColumnSink::create(out, role, dtype, limit)
}

/// Imports a file of one column as that of a role.
pub(super) fn import_column(
    role: Role,
    input: Input,
    out: &Path,
    limit: u64,
) -> Result<Written, ImportError> {
    let mut table = Table::open(input)?;
    let definition = role.definition();
    if table.columns != 1 {
        return Err(invalid(format!(
            "a CSV file of {} has one column; this one has {}",
            definition.name, table.columns
        )));
    }
    let mut sink = sink(role, out, limit)?;
    while table.next()? {
        // Most likely a value that is missing: without it the others would move to other rows.
        if let Some(line) = table.blank {
            return Err(invalid(format!(
                "line {line} is blank; every line is the {} of a row",
                definition.one
            )));
        }
        sink.push(table.of_role(role, 0)?)?;
    }
    sink.finish(&[])
}

/// An open CSV file, at one of its records.
struct Table {
    reader: csv::Reader<Guard>,
    spent: Rc<Cell<usize>>,
    columns: usize,
    header: Option<ByteRecord>,
    /// The first record, read in advance, is data.
    pending: bool,
    record: ByteRecord,
    /// A blank line between the record before and the current one.
    blank: Option<u64>,
}

impl Table {
    fn open(mut input: Input) -> Result<Self, ImportError> {
        let mut start = [0u8; 3];
        let got = fill(input.reader.as_mut(), &mut start)?;
        let start = start.get(..got).unwrap_or_default();
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let mut whole = Cursor::new(start.to_vec()).chain(input.reader);
        let (delimiter, first) = first_line(&mut whole)?;
        let spent = Rc::new(Cell::new(0));
        // With a line end after the last line too, `line` has no odd case.
        let inner: Box<dyn Read> =
            Box::new(Cursor::new(first).chain(whole).chain(Cursor::new(b"\n")));
        let guard = Guard {
            inner: BufReader::new(inner),
            spent: Rc::clone(&spent),
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(guard);
        let record = ByteRecord::new();
        let mut table = Self {
            reader,
            spent,
            columns: 0,
            header: None,
            pending: false,
            record,
            blank: None,
        };
        if !table.read()? {
            return Err(invalid("the CSV file is empty"));
        }
        table.columns = table.record.len();
        if table.record.iter().any(|cell| number(cell).is_none()) {
            table.header = Some(std::mem::take(&mut table.record));
            if !table.read()? {
                return Err(invalid("the CSV file has a header line and no rows"));
            }
        }
        table.pending = true;
        Ok(table)
    }

    fn names(&self) -> Option<&ByteRecord> {
        self.header.as_ref()
    }

    /// Reads a record, past any blank lines. A line ends at its LF: the CR
    /// before it, if any, stays in the last cell, where it counts as space.
    fn read(&mut self) -> Result<bool, ImportError> {
        let before = self.line();
        loop {
            self.spent.set(0);
            let more = self.reader.read_byte_record(&mut self.record);
            let more = more.map_err(|error| match error.into_kind() {
                ErrorKind::Io(error) => read_error(error),
                other => invalid(format!("the CSV file is malformed: {other:?}")),
            })?;
            let blank = self.record.as_slice().trim_ascii().is_empty() && self.record.len() == 1;
            if !more || !blank {
                let skipped = before > 0 && self.line() > before + 1;
                self.blank = skipped.then_some(before + 1);
                return Ok(more);
            }
        }
    }

    /// Moves to the next record, which has as many cells as the first.
    fn next(&mut self) -> Result<bool, ImportError> {
        if !std::mem::take(&mut self.pending) && !self.read()? {
            return Ok(false);
        }
        if self.record.len() == self.columns {
            return Ok(true);
        }
        Err(invalid(format!(
            "line {} has {} cells, but the first line has {}",
            self.line(),
            self.record.len(),
            self.columns
        )))
    }

    /// The line on which the current record ends, from 1.
    fn line(&self) -> u64 {
        self.reader.position().line().saturating_sub(1)
    }

    fn cell(&self, column: usize) -> Result<f64, ImportError> {
        let cell = self.record.get(column).unwrap_or_default();
        number(cell).ok_or_else(|| {
            if cell.trim_ascii().is_empty() {
                return self.broken(column, "the cell is empty; every cell must be a number");
            }
            self.broken(column, &format!("{} is not a number", quoted(cell)))
        })
    }

    fn value(&self, column: usize) -> Result<f32, ImportError> {
        finite_f32(self.cell(column)?).map_err(|what| self.broken(column, &what))
    }

    /// A cell as the value of a role.
    fn of_role(&self, role: Role, column: usize) -> Result<f64, ImportError> {
        checked(role, self.cell(column)?).map_err(|what| self.broken(column, &what))
    }

    /// A complaint about one cell of the current record.
    fn broken(&self, column: usize, what: &str) -> ImportError {
        let name = self.header.as_ref().and_then(|names| names.get(column));
        let name = name
            .map(|name| format!(" ({})", quoted(name)))
            .unwrap_or_default();
        invalid(format!(
            "line {}, column {column} (from 0){name}: {what}",
            self.line()
        ))
    }
}

fn number(cell: &[u8]) -> Option<f64> {
    std::str::from_utf8(cell.trim_ascii()).ok()?.parse().ok()
}

/// Reads up to the first line's end and tells the delimiter it uses; returns
/// the bytes read, which belong to the stream still.
fn first_line(reader: &mut dyn Read) -> Result<(u8, Vec<u8>), ImportError> {
    let mut seen = Vec::new();
    let mut block = [0u8; 4096];
    while seen.len() <= MAX_RECORD {
        let got = fill(reader, &mut block)?;
        let block = block.get(..got).unwrap_or_default();
        seen.extend_from_slice(block);
        if got == 0 || block.contains(&b'\n') {
            break;
        }
    }
    // Blank lines before the first are skipped, as the parser does.
    let line = seen
        .trim_ascii_start()
        .split(|&b| b == b'\n')
        .next()
        .unwrap_or_default();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .find(|d| line.contains(d))
        .unwrap_or(b',');
    Ok((delimiter, seen))
}

/// Stops a record that grows past the bound: counts the bytes handed to the
/// parser since the record began.
struct Guard {
    inner: BufReader<Box<dyn Read>>,
    spent: Rc<Cell<usize>>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.spent.get() > MAX_RECORD {
            let what = format!("a line of the CSV file is longer than {MAX_RECORD} bytes");
            return Err(Fault::Damaged(what).into());
        }
        let got = self.inner.read(buffer)?;
        self.spent.set(self.spent.get().saturating_add(got));
        Ok(got)
    }
}
