//! Canonical files, open for reading.
//!
//! A column is mapped into memory and handed out row by row. Nothing here writes, and nothing reads a file
//! that `import` or `digits` did not write.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

use super::import::element::{Element, Layout, U8_SCALE};
use super::npy::{HEADER_LEN, Header, read_header};
use super::{Column, Dtype, ImportError};

#[cfg(target_endian = "big")]
compile_error!("canonical files are little-endian and mapped as they are");

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
    #[error("the column holds {0} values, which is not what was asked for")]
    WrongType(&'static str),
}

impl From<GatherError> for io::Error {
    fn from(error: GatherError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// A number as canonical files store it: any bytes of its size are one.
pub trait Stored: Copy + private::Plain {
    const DTYPE: Dtype;
}

mod private {
    pub trait Plain {}
}

macro_rules! stored {
    ($($number:ty => $dtype:expr),*) => {$(
        impl private::Plain for $number {}
        impl Stored for $number {
            const DTYPE: Dtype = $dtype;
        }
    )*};
}

stored!(u8 => Dtype::U8, f32 => Dtype::F32, i64 => Dtype::I64, f64 => Dtype::F64);

/// One mapped column of a split.
pub struct ColumnFile {
    map: Mmap,
    rows: usize,
    shape: Vec<usize>,
    row_len: usize,
    dtype: Dtype,
}

impl ColumnFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: a map is sound while nobody changes or cuts the file under
        // it. Canonical files are immutable once they have their name: they
        // are written and synced first, and replaced or unlinked as a whole.
        #[expect(unsafe_code, reason = "the one map; see SAFETY")]
        let map = unsafe { Mmap::map(&file)? };
        let header = read_header(&mut map.as_ref()).map_err(damaged)?;
        let Header { layout, dims } = header;
        let dtype = dtype_of(layout).ok_or_else(|| {
            io::Error::other("not a canonical file: its values have another type")
        })?;
        let dims: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.unwrap_or_default();
        let bytes = dims.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        let (Some((&rows, shape)), Some(bytes)) = (dims.split_first(), bytes) else {
            return Err(io::Error::other("not a canonical file: it has no rows"));
        };
        // Every header that we write has one length, so the values start at a
        // multiple of 64 and are aligned.
        if bytes == 0 || HEADER_LEN.checked_add(bytes) != Some(map.len()) {
            return Err(io::Error::other(format!(
                "a canonical file of {bytes} bytes of values is {} bytes long",
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

    /// Opens the file of a column, which must hold what is known of it.
    pub fn open_as(path: &Path, column: &Column) -> io::Result<Self> {
        let file = Self::open(path)?;
        let shape = file.shape.iter().map(|&d| d as i64);
        if file.dtype == column.dtype && shape.eq(column.shape.iter().copied()) {
            return Ok(file);
        }
        Err(io::Error::other(format!(
            "a file of {} holds {} values of shape {:?}, not {} of {:?}",
            column.role.name(),
            file.dtype.as_str(),
            file.shape,
            column.dtype.as_str(),
            column.shape
        )))
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in one row.
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// The shape of one row; `[]` where it is one value.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// All values as stored, in C order, if they are of this type.
    pub fn values<T: Stored>(&self) -> Option<&[T]> {
        if self.dtype != T::DTYPE {
            return None;
        }
        // SAFETY: `Stored` is sealed to types of which any bytes are a value; `align_to` keeps alignment.
        #[expect(unsafe_code, reason = "a view of plain bytes; see SAFETY")]
        let (before, values, after) = unsafe { self.payload().align_to::<T>() };
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
        let places = indices.iter().zip(out.chunks_exact_mut(row_len.max(1)));
        if let Some(values) = self.values::<f32>() {
            for (&index, place) in places {
                place.copy_from_slice(self.row_of(values, index)?);
            }
        } else if let Some(values) = self.values::<u8>() {
            for (&index, place) in places {
                // Equal lengths without bounds checks: this loop vectorises.
                for (out, &value) in place.iter_mut().zip(self.row_of(values, index)?) {
                    *out = f32::from(value) * U8_SCALE;
                }
            }
        } else {
            return Err(GatherError::WrongType(self.dtype.as_str()));
        }
        Ok(())
    }

    /// The rows at `indices` as they are stored, which must be as this type: `[indices, row length]`.
    pub fn pick<T: Stored>(&self, indices: &[u32]) -> Result<Vec<T>, GatherError> {
        let values = self
            .values::<T>()
            .ok_or(GatherError::WrongType(self.dtype.as_str()))?;
        let mut out = Vec::with_capacity(indices.len() * self.row_len);
        for &index in indices {
            let row = self.row_of(values, index)?;
            // Most columns have single values, which need no call to be copied.
            match row {
                &[value] => out.push(value),
                more => out.extend_from_slice(more),
            }
        }
        Ok(out)
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

fn dtype_of(layout: Layout) -> Option<Dtype> {
    match layout.element {
        Element::U8 => Some(Dtype::U8),
        _ if layout.big_endian => None,
        Element::F32 => Some(Dtype::F32),
        Element::I64 => Some(Dtype::I64),
        Element::F64 => Some(Dtype::F64),
        _ => None,
    }
}

fn damaged(error: ImportError) -> io::Error {
    match error {
        ImportError::Io(error) => error,
        other => io::Error::other(format!("not a canonical file: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::super::import::sink::ColumnSink;
    use super::super::npy::encode_f32;
    use super::*;

    #[test]
    fn gathers_in_model_units() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let mut sink = ColumnSink::create(&path, Role::Rows, Dtype::U8, 10_000).unwrap();
        sink.push_u8(&[0, 51, 255, 102, 0, 255]).unwrap();
        let written = sink.finish(&[2]).unwrap();
        assert_eq!((written.count, written.column.range), (3, Some([0.0, 1.0])));

        let rows = ColumnFile::open_as(&path, &written.column).unwrap();
        assert_eq!(
            (rows.rows(), rows.row_len(), rows.shape()),
            (3, 2, &[2][..])
        );
        assert_eq!(rows.values::<u8>().unwrap().len(), 6);
        assert!(rows.values::<f32>().is_none());
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
        let rows = ColumnFile::open(&path).unwrap();
        assert_eq!(rows.values::<f32>().unwrap(), [1.0, 2.0, 3.0, -4.0]);
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
            assert!(ColumnFile::open(&path).is_err());
        }
    }

    #[test]
    fn targets_there_and_back_to_the_last_digit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.npy");
        let mut sink = ColumnSink::create(&path, Role::Targets, Dtype::F64, 10_000).unwrap();
        let targets = [1_700_000_000.25, -0.1, 0.0];
        for target in targets {
            sink.push(target).unwrap();
        }
        let column = sink.finish(&[]).unwrap().column;
        assert_eq!(column.range, Some([-0.1, 1_700_000_000.25]));
        let read = ColumnFile::open_as(&path, &column).unwrap();
        assert_eq!(
            read.values::<f64>()
                .unwrap()
                .iter()
                .map(|t| t.to_bits())
                .collect::<Vec<_>>(),
            targets.map(f64::to_bits)
        );
        let labels = Column {
            role: Role::Labels,
            dtype: Dtype::I64,
            ..column
        };
        assert!(ColumnFile::open_as(&path, &labels).is_err(), "no labels");
    }

    #[test]
    fn labels_there_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.npy");
        let mut sink = ColumnSink::create(&path, Role::Labels, Dtype::I64, 10_000).unwrap();
        for label in [3.0, 0.0, 9.0] {
            sink.push(label).unwrap();
        }
        let column = sink.finish(&[]).unwrap().column;
        assert_eq!((column.classes, column.range), (Some(10), None));
        let labels = ColumnFile::open_as(&path, &column).unwrap();
        assert_eq!(labels.values::<i64>().unwrap(), [3, 0, 9]);
        assert_eq!(labels.pick::<i64>(&[1, 2]), Ok(vec![0, 9]));
        assert!(labels.pick::<i64>(&[1, 3]).is_err());
        assert!(labels.pick::<f64>(&[1]).is_err());
    }
}
