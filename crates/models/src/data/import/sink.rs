//! The writer of the canonical files.
//!
//! The number of rows is often known only at the end, so a header of fixed
//! size goes first, as a place-holder, and is written again at the close.
//! What a value of each role may be is known here, and the size limit is kept
//! here. That rows are finite is the caller's business; removing the file of a
//! failed import is too.

#![expect(
    clippy::disallowed_methods,
    reason = "this is where such files are written"
)]

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::super::npy::{HEADER_LEN, header};
use super::super::{Column, Dtype, ImportError, Role, Written, invalid};
use super::element::{finite_f32, label};
use super::source::fill;
use super::survey::Survey;

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

/// The value that a number stands for in a column, or what is wrong with it in a few words.
pub(crate) fn checked(role: Role, number: f64) -> Result<f64, String> {
    let definition = role.definition();
    let (name, one) = (definition.name, definition.one);
    if definition.dtype == Some(Dtype::I64) {
        return label(number).map(f64::from).ok_or_else(|| {
            format!(
                "the {one} is {number}; {name} are whole numbers from 0 to 65535 \
                 (numbers to regress on are targets, not {name})"
            )
        });
    }
    // Also of f64: predictions come as f32, so what does not fit one could never be answered.
    finite_f32(number).map_err(|what| format!("as a {one}, {what}"))?;
    Ok(number)
}

/// Writes one column: shape `[rows, *row shape]`.
pub(crate) struct ColumnSink {
    role: Role,
    dtype: Dtype,
    body: Body,
    values: u64,
    min: f64,
    max: f64,
    survey: Option<Survey>,
    /// Reused from call to call, to turn floats into bytes.
    bytes: Vec<u8>,
}

impl ColumnSink {
    pub(crate) fn create(
        path: &Path,
        role: Role,
        dtype: Dtype,
        limit: u64,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            role,
            dtype,
            body: Body::create(path, limit)?,
            values: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            survey: None,
            bytes: Vec::new(),
        })
    }

    /// Keeps an eye on the columns of rows of this shape.
    pub(super) fn watch(&mut self, shape: &[usize]) {
        self.survey = Survey::of_rows(shape);
    }

    /// What was seen of the columns.
    pub(super) fn take_survey(&mut self) -> Option<Survey> {
        self.survey.take()
    }

    /// For a sink of `Dtype::U8`.
    pub(crate) fn push_u8(&mut self, values: &[u8]) -> Result<(), ImportError> {
        if let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) {
            self.min = self.min.min(f64::from(low) / 255.0);
            self.max = self.max.max(f64::from(high) / 255.0);
        }
        if let Some(survey) = &mut self.survey {
            let values: Vec<f32> = values.iter().copied().map(f32::from).collect();
            survey.see(&values);
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
        if let Some(survey) = &mut self.survey {
            survey.see(values);
        }
        self.values += values.len() as u64;
        self.bytes.clear();
        self.bytes
            .extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self.body.write(&self.bytes)
    }

    /// One value that is as `checked` allows.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "codes are whole and small, and rounding to f32 is the point"
    )]
    pub(crate) fn push(&mut self, value: f64) -> Result<(), ImportError> {
        match self.dtype {
            Dtype::U8 => return self.push_u8(&[value as u8]),
            Dtype::F32 => return self.push_f32(&[value as f32]),
            Dtype::I64 => self.body.write(&(value as i64).to_le_bytes())?,
            Dtype::F64 => self.body.write(&value.to_le_bytes())?,
        }
        self.values += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        Ok(())
    }

    /// Writes the real header and makes the file durable.
    pub(crate) fn finish(self, shape: &[usize]) -> Result<Written, ImportError> {
        let name = self.role.name();
        if self.values == 0 && self.role != Role::Rows {
            return Err(invalid(format!("the file holds no {name}")));
        }
        let dims: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
        let row_len = dims.iter().product::<u64>();
        let count = self.values.checked_div(row_len).unwrap_or(0);
        if count == 0 || count * row_len != self.values {
            return Err(invalid(format!(
                "{} values do not make whole rows of {row_len} values",
                self.values
            )));
        }
        self.body
            .close(self.dtype.descr(), &[&[count], &dims[..]].concat())?;
        let of_codes = self.dtype == Dtype::I64;
        #[expect(clippy::cast_possible_truncation, reason = "codes are small")]
        let classes = of_codes.then_some(self.max as i64 + 1);
        Ok(Written {
            column: Column {
                role: self.role,
                dtype: self.dtype,
                shape: shape.iter().map(|&d| d as i64).collect(),
                range: (!of_codes).then_some([self.min, self.max]),
                classes,
                names: Vec::new(),
            },
            count,
        })
    }
}

/// Codes that wait for the order of their words, in a file that goes when this does.
pub(super) struct Waiting {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Waiting {
    pub(super) fn create(path: &Path) -> Result<Self, ImportError> {
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 16, File::create(path)?),
        })
    }

    pub(super) fn push(&mut self, code: f64) -> Result<(), ImportError> {
        let code = u16::try_from(place(code)).unwrap_or(u16::MAX);
        Ok(self.file.write_all(&code.to_le_bytes())?)
    }

    pub(super) fn each(
        &mut self,
        mut visit: impl FnMut(f64) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        self.file.flush()?;
        let mut file = BufReader::with_capacity(1 << 16, File::open(&self.path)?);
        let mut code = [0u8; 2];
        while fill(&mut file, &mut code)? == code.len() {
            visit(f64::from(u16::from_le_bytes(code)))?;
        }
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Best effort: it lies in the folder of the upload, which goes too if that fails.
        let _ = fs::remove_file(&self.path);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "codes are whole and small"
)]
pub(super) fn place(code: f64) -> usize {
    code as usize
}
