//! Tells a format from a file's first bytes.
//!
//! Formats that are not read but known by sight are named in the refusal:
//! "this is Parquet" helps more than "not recognised".

use super::super::{FileForm, ImportError, invalid, npy};
use super::idx;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Idx,
    Npy,
    Npz,
    Csv,
}

impl Format {
    pub(super) fn form(self) -> FileForm {
        FileForm::of(match self {
            Self::Idx => "idx",
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Csv => "csv",
        })
    }
}

const READ: &str = "the formats read are IDX, NPY, NPZ and CSV, each also gzipped";

/// First bytes of formats that people may well try.
const KNOWN: [(&[u8], &str); 21] = [
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB", "a MATLAB file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"RIFF", "a RIFF file (WebP or audio)"),
    (b"%PDF", "a PDF document"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\xff\xfe", "text in UTF-16 (save it as UTF-8)"),
    (b"\xfe\xff", "text in UTF-16 (save it as UTF-8)"),
];

pub(super) fn sniff(head: &[u8]) -> Result<Format, ImportError> {
    if head.is_empty() {
        return Err(invalid("the file is empty"));
    }
    if head.starts_with(npy::MAGIC) {
        return Ok(Format::Npy);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Format::Npz);
    }
    if idx::recognises(head) {
        return Ok(Format::Idx);
    }
    // "BM" could begin a column's name, so text is never matched on it.
    let (legible, text) = (is_legible(head), is_text(head));
    let known = KNOWN
        .iter()
        .find(|(magic, _)| head.starts_with(magic) && (!legible || magic.len() > 3));
    if let Some((_, name)) = known {
        return Err(ImportError::Unsupported(format!(
            "this looks like {name}; {READ}"
        )));
    }
    if text {
        return Ok(Format::Csv);
    }
    if let Some(line) = other_text(head).filter(|_| legible) {
        return Err(invalid(format!("line {line}: {NOT_UTF8}")));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Err(ImportError::Unsupported(format!(
            "this looks like a tar archive; {READ}"
        )));
    }
    Err(ImportError::Unsupported(format!(
        "the file is in no known format; {READ}"
    )))
}

/// What is said of text in another encoding.
pub(super) const NOT_UTF8: &str =
    "the text is not UTF-8; save the file as UTF-8 (\"CSV UTF-8\" in spreadsheets)";

/// Whether these could be lines of text, in whatever encoding: no control characters, and something of a table.
fn is_legible(head: &[u8]) -> bool {
    let control = |b: &u8| (b.is_ascii_control() && !b"\t\n\r\x0c".contains(b)) || *b == 0;
    let is_cell = |b: &u8| b.is_ascii_alphanumeric();
    !head.iter().any(control) && (head.is_ascii() || head.iter().any(is_cell))
}

/// The line of the first byte that is no UTF-8, if there is one.
fn other_text(head: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(head).err()?;
    error.error_len()?;
    let before = head.get(..error.valid_up_to())?;
    Some(before.iter().filter(|b| **b == b'\n').count() + 1)
}

/// UTF-8 with no NUL; a character cut by the end of the head is let pass.
fn is_text(head: &[u8]) -> bool {
    let utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    utf8 && !head.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_content() {
        assert_eq!(sniff(&[0, 0, 8, 3, 0]).unwrap(), Format::Idx);
        assert_eq!(sniff(b"\x93NUMPY\x01\x00").unwrap(), Format::Npy);
        assert_eq!(sniff(b"PK\x03\x04").unwrap(), Format::Npz);
        assert_eq!(
            sniff("1,2\né".as_bytes().get(..5).unwrap()).unwrap(),
            Format::Csv
        );
        assert_eq!(sniff(b"BMI,age\n").unwrap(), Format::Csv);
        for (bytes, name) in [(&b"PAR1\x15"[..], "Parquet"), (b"%PDF-1.7", "PDF")] {
            let refused = sniff(bytes).unwrap_err();
            assert!(matches!(&refused, ImportError::Unsupported(m) if m.contains(name)));
        }
        assert!(matches!(
            sniff(&[7, 0, 1]),
            Err(ImportError::Unsupported(_))
        ));
        assert!(matches!(sniff(&[]), Err(ImportError::Invalid(_))));
        // Text in cp1252 and in Shift-JIS.
        for (bytes, line) in [
            (&b"gr\xf6\xdfe,breite\n1,2\n"[..], "line 1: "),
            (b"BM,T \xb0C\n1,2\n", "line 1: "),
            (b"a,b\n1,2\n3,\xe4\n", "line 3: "),
            (b"\x90g\x92\xb7,\x91\xcc\x8fd\n170,60\n", "line 1: "),
        ] {
            let refused = sniff(bytes).unwrap_err();
            assert!(
                matches!(&refused, ImportError::Invalid(m) if m.starts_with(line)),
                "{refused}"
            );
        }
        for bytes in [&b"\xde\xad\xbe\xef"[..], b"a\x01\xff\xc0,1", b"1,2\0\xff"] {
            assert!(matches!(sniff(bytes), Err(ImportError::Unsupported(_))));
        }
    }
}
