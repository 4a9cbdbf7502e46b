//! Canonical files, open for reading.
//!
//! Rows are mapped into memory and handed out in the model's units; labels
//! and targets are small and read whole. Nothing here writes, and nothing reads a file
//! that `import` or `digits` did not write.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use super::import::element::{Element, Layout};
use super::npy::{HEADER_LEN, Header, read_header};
use super::{Dtype, ImportError};

#[cfg(target_endian = "big")]
compile_error!("canonical files are little-endian and mapped as they are");

/// What a stored u8 is multiplied by on its way to a model.
pub const U8_SCALE: f32 = 1.0 / 255.0;

/// Why rows could not be gathered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatherError {
    #[error("row {index} was asked for, but there are {rows} rows")]
    OutOfRange { index: u32, rows: usize },
    #[error("{rows} rows of {row_len} values do not fit a buffer of {given}")]
    WrongSize {
        rows: usize,
        row_len: usize,
        given: usize,
    },
}

/// The mapped rows of one data set.
pub struct RowFile {
    map: Mmap,
    rows: usize,
    shape: Vec<usize>,
    row_len: usize,
    dtype: Dtype,
}

impl From<GatherError> for io::Error {
    fn from(error: GatherError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl RowFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: a map is sound while nobody changes or cuts the file under
        // it. Canonical files are immutable once they have their name: they
        // are written and synced first, and replaced or unlinked as a whole.
        #[allow(unsafe_code, reason = "the one map; see SAFETY")]
        let map = unsafe { Mmap::map(&file)? };
        let header = read_header(&mut map.as_ref()).map_err(damaged)?;
        let Header { layout, dims } = header;
        let dtype = match layout {
            Layout {
                element: Element::U8,
                ..
            } => Dtype::U8,
            Layout {
                element: Element::F32,
                big_endian: false,
            } => Dtype::F32,
            _ => {
                return Err(io::Error::other(
                    "not a canonical rows file: neither |u1 nor <f4",
                ));
            }
        };
        let dims: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.unwrap_or_default();
        let bytes = dims.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        let (Some((&rows, shape)), Some(bytes)) = (dims.split_first(), bytes) else {
            return Err(io::Error::other(
                "not a canonical rows file: it has no rows",
            ));
        };
        // Every header that we write has one length, so the values start at a
        // multiple of 64 and f32 is aligned.
        if bytes == 0 || HEADER_LEN.checked_add(bytes) != Some(map.len()) {
            return Err(io::Error::other(format!(
                "a canonical rows file of {bytes} bytes of values is {} bytes long",
                map.len()
            )));
        }
        Ok(Self {
            rows,
            shape: shape.to_vec(),
            row_len: shape.iter().product(),
            dtype,
            map,
        })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in one row.
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// The shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// All values as stored, in C order, if they are u8.
    pub fn as_u8(&self) -> Option<&[u8]> {
        (self.dtype == Dtype::U8).then(|| self.payload())
    }

    /// All values as stored, in C order, if they are f32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if self.dtype != Dtype::F32 {
            return None;
        }
        // SAFETY: any four bytes are a valid f32; `align_to` keeps alignment.
        #[allow(unsafe_code, reason = "a view of plain bytes; see SAFETY")]
        let (before, values, after) = unsafe { self.payload().align_to::<f32>() };
        (before.is_empty() && after.is_empty()).then_some(values)
    }

    fn payload(&self) -> &[u8] {
        self.map.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Copies rows to `out` ([indices, row length]) in the model's units.
    ///
    /// On an error `out` may have been written in part.
    pub fn gather(&self, indices: &[u32], out: &mut [f32]) -> Result<(), GatherError> {
        let row_len = self.row_len;
        if indices.len().checked_mul(row_len) != Some(out.len()) {
            let (rows, given) = (indices.len(), out.len());
            return Err(GatherError::WrongSize {
                rows,
                row_len,
                given,
            });
        }
        let targets = indices.iter().zip(out.chunks_exact_mut(row_len.max(1)));
        if let Some(values) = self.as_f32() {
            for (&index, target) in targets {
                target.copy_from_slice(self.row_of(values, index)?);
            }
        } else {
            let values = self.payload();
            for (&index, target) in targets {
                // Equal lengths without bounds checks: this loop vectorises.
                for (out, &value) in target.iter_mut().zip(self.row_of(values, index)?) {
                    *out = f32::from(value) * U8_SCALE;
                }
            }
        }
        Ok(())
    }

    fn row_of<'a, T>(&self, values: &'a [T], index: u32) -> Result<&'a [T], GatherError> {
        let start = usize::try_from(index)
            .ok()
            .and_then(|i| i.checked_mul(self.row_len));
        start
            .and_then(|start| values.get(start..start.checked_add(self.row_len)?))
            .ok_or(GatherError::OutOfRange {
                index,
                rows: self.rows,
            })
    }
}

fn damaged(error: ImportError) -> io::Error {
    match error {
        ImportError::Io(error) => error,
        other => io::Error::other(format!("not a canonical file: {other}")),
    }
}

/// The labels of one data set.
#[derive(Clone, Debug)]
pub struct LabelFile {
    labels: Vec<i64>,
}

impl LabelFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        let words = read_words(path, Element::I64)?.ok_or_else(|| {
            io::Error::other("not a canonical labels file: not <i8 of one dimension")
        })?;
        Ok(Self {
            labels: words.into_iter().map(i64::from_le_bytes).collect(),
        })
    }

    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The labels of a range of rows, if all of them exist.
    pub fn get(&self, range: Range<usize>) -> Option<&[i64]> {
        self.labels.get(range)
    }
}

/// The targets of one data set.
#[derive(Clone, Debug)]
pub struct TargetFile {
    targets: Vec<f64>,
}

impl TargetFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        let words = read_words(path, Element::F64)?.ok_or_else(|| {
            io::Error::other("not a canonical targets file: not <f8 of one dimension")
        })?;
        Ok(Self {
            targets: words.into_iter().map(f64::from_le_bytes).collect(),
        })
    }

    pub fn targets(&self) -> &[f64] {
        &self.targets
    }
}

/// The values of a little-endian file of one dimension, 8 bytes each; none if it is no such file.
fn read_words(path: &Path, element: Element) -> io::Result<Option<Vec<[u8; 8]>>> {
    let mut reader = BufReader::new(File::open(path)?);
    let Header { layout, dims } = read_header(&mut reader).map_err(damaged)?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let (words, rest) = bytes.as_chunks::<8>();
    let canonical = Layout {
        element,
        big_endian: false,
    };
    let is_canonical = layout == canonical && dims == [words.len() as u64] && rest.is_empty();
    Ok(is_canonical.then(|| words.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::super::import::sink::{ColumnSink, LabelSink, RowSink, TargetSink};
    use super::super::npy::encode_f32;
    use super::*;

    #[test]
    fn gathers_in_model_units() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let mut sink = RowSink::create(&path, Dtype::U8, 10_000).unwrap();
        sink.push_u8(&[0, 51, 255, 102, 0, 255]).unwrap();
        let info = sink.finish(vec![2]).unwrap();
        assert_eq!((info.rows, info.min, info.max), (3, 0.0, 1.0));

        let rows = RowFile::open(&path).unwrap();
        assert_eq!(
            (rows.rows(), rows.row_len(), rows.shape()),
            (3, 2, &[2][..])
        );
        assert_eq!(rows.as_u8().unwrap().len(), 6);
        assert!(rows.as_f32().is_none());
        let mut out = [0.0; 4];
        rows.gather(&[2, 0], &mut out).unwrap();
        assert_eq!(
            out.map(f32::to_bits),
            [0.0, 1.0, 0.0, 51.0 * U8_SCALE].map(f32::to_bits)
        );
        let refused = rows.gather(&[3, 0], &mut out);
        assert_eq!(refused, Err(GatherError::OutOfRange { index: 3, rows: 3 }));
        assert!(rows.gather(&[0], &mut out).is_err());
    }

    #[test]
    fn maps_floats_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        std::fs::write(&path, encode_f32(&[2, 1, 2], &[1.0, 2.0, 3.0, -4.0])).unwrap();
        let rows = RowFile::open(&path).unwrap();
        assert_eq!(rows.as_f32().unwrap(), [1.0, 2.0, 3.0, -4.0]);
        assert_eq!(rows.shape(), [1, 2]);
        let mut out = [0.0; 2];
        rows.gather(&[1], &mut out).unwrap();
        assert_eq!(out.map(f32::to_bits), [3.0f32, -4.0].map(f32::to_bits));
    }

    #[test]
    fn foreign_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let whole = encode_f32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        for bytes in [&whole[..whole.len() - 1], &whole[..100], b"x"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(RowFile::open(&path).is_err());
            assert!(LabelFile::open(&path).is_err());
            assert!(TargetFile::open(&path).is_err());
        }
    }

    #[test]
    fn targets_there_and_back_to_the_last_digit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.npy");
        let mut sink = TargetSink::create(&path, 10_000).unwrap();
        let targets = [1_700_000_000.25, -0.1, 0.0];
        for target in targets {
            sink.push(target).unwrap();
        }
        let info = sink.finish().unwrap();
        assert!((info.min, info.max) == (-0.1, 1_700_000_000.25));
        let read = TargetFile::open(&path).unwrap();
        assert_eq!(
            read.targets()
                .iter()
                .map(|t| t.to_bits())
                .collect::<Vec<_>>(),
            targets.map(f64::to_bits)
        );
        assert!(LabelFile::open(&path).is_err(), "no labels");
    }

    #[test]
    fn labels_there_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.npy");
        let mut sink = LabelSink::create(&path, 10_000).unwrap();
        for label in [3, 0, 9] {
            sink.push(label).unwrap();
        }
        assert_eq!(sink.finish().unwrap().classes, 10);
        let labels = LabelFile::open(&path).unwrap();
        assert_eq!(labels.labels(), [3, 0, 9]);
        assert_eq!(labels.get(1..3), Some(&[0, 9][..]));
        assert_eq!(labels.get(1..4), None);
    }
}
