//! Writers of the canonical files.
//!
//! The number of rows is often known only at the end, so a header of fixed
//! size goes first, as a place-holder, and is written again at the close.
//! What a label or a target may be is known here, and the size limit is kept
//! here. That rows are finite is the caller's business; removing the file of a
//! failed import is too.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use super::super::npy::{HEADER_LEN, header};
use super::super::{Dtype, ImportError, LabelsInfo, RowsInfo, TargetsInfo, invalid};
use super::element::{finite_f32, label};

/// A file under way, and the bytes in it so far.
struct Body {
    out: BufWriter<File>,
    written: u64,
    limit: u64,
}

impl Body {
    fn create(path: &Path, limit: u64) -> Result<Self, ImportError> {
        let mut out = BufWriter::with_capacity(1 << 18, File::create(path)?);
        out.write_all(&[0; HEADER_LEN])?;
        Ok(Self {
            out,
            written: HEADER_LEN as u64,
            limit,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        if self.written > self.limit {
            return Err(ImportError::TooLarge { limit: self.limit });
        }
        Ok(self.out.write_all(bytes)?)
    }

    fn close(mut self, descr: &str, shape: &[u64]) -> Result<(), ImportError> {
        let header = header(descr, shape);
        if header.len() != HEADER_LEN {
            return Err(invalid("the shape has too many dimensions to be stored"));
        }
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.flush()?;
        Ok(self.out.get_ref().sync_all()?)
    }
}

/// Writes rows: `|u1` or `<f4`, shape [rows, *row shape].
pub(crate) struct RowSink {
    body: Body,
    dtype: Dtype,
    values: u64,
    min: f64,
    max: f64,
    /// Reused from call to call, to turn floats into bytes.
    bytes: Vec<u8>,
}

impl RowSink {
    pub(crate) fn create(path: &Path, dtype: Dtype, limit: u64) -> Result<Self, ImportError> {
        Ok(Self {
            body: Body::create(path, limit)?,
            dtype,
            values: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            bytes: Vec::new(),
        })
    }

    /// For a sink of `Dtype::U8`.
    pub(crate) fn push_u8(&mut self, values: &[u8]) -> Result<(), ImportError> {
        if let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) {
            self.min = self.min.min(f64::from(low) / 255.0);
            self.max = self.max.max(f64::from(high) / 255.0);
        }
        self.values += values.len() as u64;
        self.body.write(values)
    }

    /// For a sink of `Dtype::F32`; the values are finite.
    pub(crate) fn push_f32(&mut self, values: &[f32]) -> Result<(), ImportError> {
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.min = self.min.min(f64::from(low));
        self.max = self.max.max(f64::from(high));
        self.values += values.len() as u64;
        self.bytes.clear();
        self.bytes
            .extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self.body.write(&self.bytes)
    }

    /// Writes the real header and makes the file durable.
    pub(crate) fn finish(self, shape: Vec<usize>) -> Result<RowsInfo, ImportError> {
        let row_len = shape.iter().map(|&d| d as u64).product::<u64>();
        let rows = self.values.checked_div(row_len).unwrap_or(0);
        if rows == 0 || rows * row_len != self.values {
            return Err(invalid(format!(
                "{} values do not make whole rows of {row_len} values",
                self.values
            )));
        }
        let descr = match self.dtype {
            Dtype::U8 => "|u1",
            Dtype::F32 => "<f4",
        };
        let full: Vec<u64> = std::iter::once(rows)
            .chain(shape.iter().map(|&d| d as u64))
            .collect();
        self.body.close(descr, &full)?;
        Ok(RowsInfo {
            rows,
            shape,
            dtype: self.dtype,
            min: self.min,
            max: self.max,
        })
    }
}

/// Writes one value for each row: its label or its target.
pub(crate) trait ColumnSink: Sized {
    /// What one value is called in messages.
    const NAME: &'static str;
    type Value;
    type Info;

    fn create(path: &Path, limit: u64) -> Result<Self, ImportError>;

    /// The value that a number stands for, or what is wrong with it in a few words.
    fn value(number: f64) -> Result<Self::Value, String>;

    fn push(&mut self, value: Self::Value) -> Result<(), ImportError>;

    fn finish(self) -> Result<Self::Info, ImportError>;
}

/// Writes labels: `<i8`, shape `[rows]`.
pub(crate) struct LabelSink {
    body: Body,
    count: u64,
    largest: u16,
}

impl ColumnSink for LabelSink {
    const NAME: &'static str = "label";
    type Value = u16;
    type Info = LabelsInfo;

    fn create(path: &Path, limit: u64) -> Result<Self, ImportError> {
        Ok(Self {
            body: Body::create(path, limit)?,
            count: 0,
            largest: 0,
        })
    }

    fn value(number: f64) -> Result<u16, String> {
        label(number).ok_or_else(|| {
            format!(
                "the label is {number}; labels are whole numbers from 0 to 65535 \
                 (numbers to regress on are targets, not labels)"
            )
        })
    }

    fn push(&mut self, label: u16) -> Result<(), ImportError> {
        self.count += 1;
        self.largest = self.largest.max(label);
        self.body.write(&i64::from(label).to_le_bytes())
    }

    fn finish(self) -> Result<LabelsInfo, ImportError> {
        if self.count == 0 {
            return Err(invalid("the file holds no labels"));
        }
        self.body.close("<i8", &[self.count])?;
        Ok(LabelsInfo {
            count: self.count,
            classes: u64::from(self.largest) + 1,
        })
    }
}

/// Writes targets: `<f8`, shape `[rows]`.
///
/// In 64 bits, since an amount or a date may have more digits than an f32 keeps.
pub(crate) struct TargetSink {
    body: Body,
    count: u64,
    min: f64,
    max: f64,
}

impl ColumnSink for TargetSink {
    const NAME: &'static str = "target";
    type Value = f64;
    type Info = TargetsInfo;

    fn create(path: &Path, limit: u64) -> Result<Self, ImportError> {
        Ok(Self {
            body: Body::create(path, limit)?,
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        })
    }

    /// Predictions come as f32, so what does not fit one could never be answered.
    fn value(number: f64) -> Result<f64, String> {
        finite_f32(number).map_err(|what| format!("as a target, {what}"))?;
        Ok(number)
    }

    fn push(&mut self, target: f64) -> Result<(), ImportError> {
        self.count += 1;
        self.min = self.min.min(target);
        self.max = self.max.max(target);
        self.body.write(&target.to_le_bytes())
    }

    fn finish(self) -> Result<TargetsInfo, ImportError> {
        if self.count == 0 {
            return Err(invalid("the file holds no targets"));
        }
        self.body.close("<f8", &[self.count])?;
        Ok(TargetsInfo {
            count: self.count,
            min: self.min,
            max: self.max,
        })
    }
}
