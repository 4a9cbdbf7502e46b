//! What separates the cells of a CSV file, told from its first lines; and numbers with decimal commas.

use csv::{ByteRecord, ReaderBuilder, Terminator};

/// Those that are found; any other has to be named.
const KNOWN: [u8; 3] = [b',', b';', b'\t'];
/// Lines that are looked at.
const LINES: u64 = 50;

/// What the first lines are like under one delimiter.
#[derive(Clone, Copy, Debug, Default)]
struct Cells {
    lines: u64,
    /// In the first line.
    first: u64,
    /// Whether all lines have as many cells as the first, and more than one.
    even: bool,
    all: u64,
    numbers: u64,
    /// Cells that are no numbers and hold another delimiter: the pieces of cells.
    pieces: u64,
}

/// The delimiter under which the first lines have the same number of cells, more than one.
///
/// `head` begins the file; `whole` says that it ends it too. Of several, the one that leaves the fewest pieces
/// of cells, then the one with the largest share of numbers, then the one with the most cells; of none, the one
/// that the first line has most of.
pub(super) fn found(head: &[u8], whole: bool) -> u8 {
    let mut best = (KNOWN[0], cells(head, whole, KNOWN[0]));
    for delimiter in KNOWN.into_iter().skip(1) {
        let cells = cells(head, whole, delimiter);
        if better(&cells, &best.1) {
            best = (delimiter, cells);
        }
    }
    best.0
}

fn better(one: &Cells, other: &Cells) -> bool {
    if !one.even || !other.even {
        return one.even || (!other.even && one.first > other.first);
    }
    let share = |part: u64, of: &Cells| u128::from(part) * u128::from(of.all.max(1));
    let pieces = share(one.pieces, other).cmp(&share(other.pieces, one));
    let numbers = share(one.numbers, other).cmp(&share(other.numbers, one));
    let order = pieces
        .reverse()
        .then(numbers)
        .then(one.first.cmp(&other.first));
    order.is_gt()
}

fn cells(head: &[u8], whole: bool, delimiter: u8) -> Cells {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(Terminator::Any(b'\n'))
        .from_reader(head);
    let mut record = ByteRecord::new();
    let mut found = Cells {
        even: true,
        ..Cells::default()
    };
    while found.lines < LINES && reader.read_byte_record(&mut record).unwrap_or(false) {
        let cut = !whole && reader.position().byte() >= head.len() as u64;
        if cut && found.lines > 0 {
            break;
        }
        if record.len() == 1 && record.as_slice().trim_ascii().is_empty() {
            continue;
        }
        let count = record.len() as u64;
        if found.lines == 0 {
            found.first = count;
        }
        found.even &= count > 1 && count == found.first;
        found.lines += 1;
        found.all += count;
        for cell in &record {
            if number(cell, delimiter != b',').is_some() {
                found.numbers += 1;
            } else if KNOWN.iter().any(|other| cell.contains(other)) {
                found.pieces += 1;
            }
        }
    }
    found.even &= found.lines > 0;
    found
}

/// A cell as a number; where commas separate no cells, one may stand for the decimal point.
pub(super) fn number(cell: &[u8], commas: bool) -> Option<f64> {
    let cell = std::str::from_utf8(cell.trim_ascii()).ok()?;
    if let Ok(number) = cell.parse() {
        return Some(number);
    }
    let (before, after) = cell.split_once(',').filter(|_| commas)?;
    let digits = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    let plain = !cell.contains('.') && !after.contains(',') && digits(before) && digits(after);
    plain.then(|| format!("{before}.{after}").parse().ok())?
}

/// Whether a cell that is a number has a decimal point or a decimal comma.
pub(super) fn mark(cell: &[u8]) -> Option<u8> {
    cell.iter().copied().find(|b| matches!(b, b'.' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_equal_number_tell() {
        for (text, wanted) in [
            ("1,2\n3,4\n", ','),
            ("1;2\n3;4", ';'),
            ("1\t2\n3\t4", '\t'),
            ("\"height, cm\";\"weight, kg\"\n170;60\n180;80\n", ';'),
            ("1,5;2,5\n3,5;4,5\n", ';'),
            ("1,5;2,5", ';'),
            ("1,5\t2,5\n3,5\t4,5\n", '\t'),
            ("1,5;a\n2,5;b\n", ';'),
            ("1,5;1,25;1\n2,5;3,5;2\n", ';'),
            ("\"a;b\",c\n1,2\n", ','),
            ("a;b,c,d\n1,2,3\n", ','),
            ("a,b;x\n1;2\n3;4\n", ';'),
            ("1,2,a;b\n3,4,c;d\n", ','),
            ("a\tb;c\n1\t2\n", '\t'),
            ("\n\n a;b\n1;2\n", ';'),
            ("one\ntwo\n", ','),
            ("5\n", ','),
            ("", ','),
            // Uneven under each: most of line 1.
            ("1;2;3\n4,5\n", ';'),
            ("1,2\n3\n", ','),
        ] {
            assert_eq!(char::from(found(text.as_bytes(), true)), wanted, "{text:?}");
        }
        // A last line that is cut is not counted.
        assert_eq!(found(b"1;2\n3;4\n5,6,7;", false), b';');
        assert_eq!(found(b"1,2\n3,4\n5;6;7", false), b',');
    }

    #[test]
    fn decimal_commas_stand_where_commas_separate_nothing() {
        for (cell, value) in [
            ("1,5", 1.5),
            (" -0,25 ", -0.25),
            ("1,5e3", 1500.0),
            ("7", 7.0),
            ("1.5", 1.5),
        ] {
            assert_eq!(number(cell.as_bytes(), true), Some(value), "{cell}");
        }
        for cell in [
            "1,234,567",
            "1.234,5",
            "1,234.5",
            ",",
            "a,5",
            "1,",
            ",5x",
            "",
            "\u{ff11}",
        ] {
            assert_eq!(number(cell.as_bytes(), true), None, "{cell}");
        }
        assert_eq!(number(b"1,5", false), None);
    }
}
