//! The lines of a CSV file, one record at a time.
//!
//! No record may grow past a bound, so the memory does not depend on the file. Whether line 1 is a header is
//! settled here, and how numbers are written; what the cells mean is not known.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, ReaderBuilder, Terminator};

use super::super::{FileForm, Header, ImportError, ImportOptions, Role, invalid};
use super::column::{index_of, quoted};
use super::delimiter;
use super::sniff::NOT_UTF8;
use super::source::{Fault, Input, fill, read_error};

/// The longest line that is read: some 800,000 values of 20 characters.
const MAX_RECORD: usize = 16 << 20;

/// An open CSV file, at one of its records.
pub(super) struct Lines {
    reader: csv::Reader<Guard>,
    spent: Rc<Cell<usize>>,
    delimiter: u8,
    /// Of the first number with a decimal point or comma: which of them, and its line.
    mark: Option<(u8, u64)>,
    pub columns: usize,
    pub header: Option<ByteRecord>,
    /// The first record, read in advance, is data.
    pending: bool,
    pub record: ByteRecord,
    /// A blank line between the record before and the current one.
    pub blank: Option<u64>,
}

impl Lines {
    /// `named` are the columns that the client named, which are not all numbers.
    pub(super) fn open(
        mut input: Input,
        options: &ImportOptions,
        named: &BTreeMap<Role, String>,
    ) -> Result<Self, ImportError> {
        let mut start = [0u8; 3];
        let got = fill(input.reader.as_mut(), &mut start)?;
        let start = start.get(..got).unwrap_or_default();
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let mut whole = Cursor::new(start.to_vec()).chain(input.reader);
        let (head, ended) = head(&mut whole)?;
        let delimiter = options.delimiter;
        let delimiter = delimiter.unwrap_or_else(|| delimiter::found(&head, ended));
        let spent = Rc::new(Cell::new(0));
        // With a line end after the last line too, `line` has no odd case.
        let inner: Box<dyn Read> =
            Box::new(Cursor::new(head).chain(whole).chain(Cursor::new(b"\n")));
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
        let mut lines = Self {
            reader,
            spent,
            delimiter,
            mark: None,
            columns: 0,
            header: None,
            pending: false,
            record: ByteRecord::new(),
            blank: None,
        };
        if !lines.read()? {
            return Err(invalid("the CSV file is empty"));
        }
        lines.columns = lines.record.len();
        lines.require_text()?;
        let is_header = match options.header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => lines.looks_like_names(named),
        };
        lines.pending = true;
        if is_header {
            lines.header = Some(std::mem::take(&mut lines.record));
            lines.pending = lines.read()?;
        }
        Ok(lines)
    }

    /// Whether line 1 has a cell that no row could have: one that is no number, and no label in words either.
    fn looks_like_names(&self, named: &BTreeMap<Role, String>) -> bool {
        let words = words(named, self.columns);
        let mut cells = (0..).zip(&self.record);
        cells.any(|(at, cell)| !words.contains(&at) && self.read_number(cell).is_none())
    }

    /// Refuses a file that has nothing below its header.
    pub(super) fn require_rows(&self) -> Result<(), ImportError> {
        if self.pending {
            return Ok(());
        }
        Err(invalid("the CSV file has a header line and no rows"))
    }

    /// Whether line 1, which was taken for a row, counts its columns, as writers of tables without names do.
    pub(super) fn counts_columns(&self, named: &BTreeMap<Role, String>) -> bool {
        let words = words(named, self.columns);
        let cells = (0..)
            .zip(&self.record)
            .filter(|(at, _)| !words.contains(at));
        let mut cells = cells.map(|(at, cell)| (at, self.read_number(cell)));
        let Some((at, Some(first))) = cells.next() else {
            return false;
        };
        let begin = first - at as f64;
        self.columns >= 3 && cells.all(|(at, cell)| cell == Some(begin + at as f64))
    }

    pub(super) fn form(&self) -> FileForm {
        FileForm {
            header: Some(self.header.is_some()),
            delimiter: Some(self.delimiter.into()),
            ..FileForm::of("csv")
        }
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

    fn require_text(&self) -> Result<(), ImportError> {
        if self.record.as_slice().is_ascii() {
            return Ok(());
        }
        let mut cells = (0..).zip(&self.record);
        let broken = cells.find(|(_, cell)| std::str::from_utf8(cell).is_err());
        broken.map_or(Ok(()), |(at, _)| Err(self.broken(at, NOT_UTF8)))
    }

    /// Moves to the next record.
    pub(super) fn next(&mut self) -> Result<bool, ImportError> {
        Ok(std::mem::take(&mut self.pending) || self.read()?)
    }

    /// Whether the record is text, and has as many cells as the first.
    pub(super) fn check(&self) -> Result<(), ImportError> {
        self.require_text()?;
        if self.record.len() == self.columns {
            return Ok(());
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

    pub(super) fn read_number(&self, cell: &[u8]) -> Option<f64> {
        delimiter::number(cell, self.delimiter != b',')
    }

    /// A cell as a number.
    pub(super) fn number(&mut self, column: usize) -> Result<f64, ImportError> {
        let cell = self.record.get(column).unwrap_or_default();
        let Some(number) = self.read_number(cell) else {
            if cell.trim_ascii().is_empty() {
                return Err(self.broken(column, "the cell is empty; every cell must be a number"));
            }
            let what = format!("{} is not a number", quoted(cell));
            return Err(self.broken(column, &what));
        };
        if self.delimiter != b','
            && let Some(mark) = delimiter::mark(cell)
        {
            self.keep_mark(mark, column)?;
        }
        Ok(number)
    }

    /// A file has decimal points or decimal commas: of both, one would stand between thousands.
    fn keep_mark(&mut self, mark: u8, column: usize) -> Result<(), ImportError> {
        let line = self.line();
        let (kept, first) = *self.mark.get_or_insert((mark, line));
        if kept == mark {
            return Ok(());
        }
        let name = |mark| if mark == b',' { "comma" } else { "point" };
        let what = format!(
            "the number has a decimal {}, but line {first} has one with a decimal {}; write all in one way, \
             without marks between thousands",
            name(mark),
            name(kept)
        );
        Err(self.broken(column, &what))
    }

    /// A complaint about one cell of the current record.
    pub(super) fn broken(&self, column: usize, what: &str) -> ImportError {
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

/// The columns, of those named by their number, that may hold words in a row.
fn words(named: &BTreeMap<Role, String>, columns: usize) -> Vec<usize> {
    let coded = named.iter().filter(|(role, _)| role.is_coded());
    coded
        .filter_map(|(_, wanted)| index_of(wanted, columns))
        .collect()
}

/// Reads the first line, and more where it is short: what tells the delimiter. The bytes belong to the stream
/// still; whether they are all of it.
fn head(reader: &mut dyn Read) -> Result<(Vec<u8>, bool), ImportError> {
    const ENOUGH: usize = 64 << 10;
    let (mut seen, mut lines) = (Vec::new(), false);
    let mut block = [0u8; 4096];
    while seen.len() <= MAX_RECORD && !(lines && seen.len() >= ENOUGH) {
        let got = fill(reader, &mut block)?;
        if got == 0 {
            return Ok((seen, true));
        }
        let block = block.get(..got).unwrap_or_default();
        lines |= block.contains(&b'\n');
        seen.extend_from_slice(block);
    }
    Ok((seen, false))
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
