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
    let text = is_text(head);
    let known = KNOWN
        .iter()
        .find(|(magic, _)| head.starts_with(magic) && (!text || magic.len() > 3));
    if let Some((_, name)) = known {
        return Err(ImportError::Unsupported(format!(
            "this looks like {name}; {READ}"
        )));
    }
    if text {
        return Ok(Format::Csv);
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
    }
}
