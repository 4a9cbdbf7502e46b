//! Copies an array whose header has been read (IDX or NPY) to a sink.
//!
//! The header is believed only as far as the stream could bear it out: its
//! figures are checked against what the file can hold and against the limit
//! before a byte of the body is read. How headers look is not known here.

use std::path::Path;

use super::super::{Dtype, ImportError, ImportOptions, Role, Written, invalid, show_dims};
use super::element::{Element, Kind, finite_f32};
use super::shape::{chosen_shape, row_shape};
use super::sink::{ColumnSink, checked};
use super::source::{Input, fill};
use super::survey::Survey;
use super::words::Codes;

/// Bytes per step through the body; a multiple of every element's size.
const CHUNK: usize = 256 * 1024;

/// What a header says, in the terms that all formats share.
pub(super) struct Array {
    pub kind: Kind,
    pub dims: Vec<u64>,
}

impl Array {
    /// The bytes of the body, refused if the stream or the limit is smaller.
    ///
    /// `stored` is the size of one value in the canonical file.
    fn body_len(&self, input: &Input, stored: usize, limit: u64) -> Result<u64, ImportError> {
        let shown = show_dims(&self.dims);
        let size = self.kind.size() as u64;
        let values = self.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        let Some((values, bytes)) = values.and_then(|v| Some((v, v.checked_mul(size)?))) else {
            return Err(invalid(format!(
                "the header claims {shown} values, more than can be counted in 64 bits"
            )));
        };
        if values == 0 {
            return Err(invalid(format!(
                "the file holds no values: its header says {shown}"
            )));
        }
        if bytes > input.could_hold {
            return Err(invalid(format!(
                "the header claims {shown} values, {bytes} bytes, \
                 but a file of this size holds {} bytes at most",
                input.could_hold
            )));
        }
        if bytes > limit || values.saturating_mul(stored as u64) > limit {
            return Err(ImportError::TooLarge { limit });
        }
        Ok(bytes)
    }
}

/// Writes the array's rows to `rows_out`.
pub(super) fn copy_rows(
    array: &Array,
    input: &mut Input,
    options: &ImportOptions,
    rows_out: &Path,
) -> Result<(Written, Option<Survey>), ImportError> {
    let layout = array.kind.numbers()?;
    let natural = row_shape(&array.dims)?;
    let plain = layout.element == Element::U8;
    let dtype = if plain { Dtype::U8 } else { Dtype::F32 };
    let bytes = array.body_len(input, dtype.size(), options.max_bytes)?;
    let row_len: usize = natural.iter().product();
    let shape = chosen_shape(options, row_len)?.unwrap_or(natural);
    let mut sink = ColumnSink::create(rows_out, Role::Rows, dtype, options.max_bytes)?;
    sink.watch(&shape);
    if plain {
        each_chunk(input, bytes, |chunk| sink.push_u8(chunk))?;
        let survey = sink.take_survey();
        return Ok((sink.finish(&shape)?, survey));
    }
    let mut seen = 0u64;
    let mut floats = Vec::with_capacity(CHUNK);
    each_chunk(input, bytes, |chunk| {
        floats.clear();
        layout.each(chunk, |value| {
            floats.push(finite_f32(value).map_err(|what| {
                let index = seen + floats.len() as u64;
                let (row, column) = (index / row_len as u64, index % row_len as u64);
                invalid(format!("row {row}, column {column} (both from 0): {what}"))
            })?);
            Ok::<(), ImportError>(())
        })?;
        seen += floats.len() as u64;
        sink.push_f32(&floats)
    })?;
    let survey = sink.take_survey();
    Ok((sink.finish(&shape)?, survey))
}

/// Writes the array's values to `out`, one of the role for each row.
pub(super) fn copy_column(
    role: Role,
    array: &Array,
    input: &mut Input,
    options: &ImportOptions,
    out: &Path,
) -> Result<Written, ImportError> {
    let limit = options.max_bytes;
    let definition = role.definition();
    if !matches!(array.dims.as_slice(), [_] | [_, 1]) {
        return Err(invalid(format!(
            "{name} are an array of one dimension, one {one} for each row; this one is {}",
            show_dims(&array.dims),
            name = definition.name,
            one = definition.one
        )));
    }
    let dtype = definition.dtype.unwrap_or(Dtype::F32);
    let bytes = array.body_len(input, dtype.size(), limit)?;
    if role.is_coded() {
        return copy_codes(role, array, input, bytes, options, out);
    }
    let layout = array.kind.numbers()?;
    let mut sink = ColumnSink::create(out, role, dtype, limit)?;
    let mut row = 0u64;
    each_chunk(input, bytes, |chunk| {
        layout.each(chunk, |value| {
            let value = checked(role, value).map_err(|what| in_row(row, &what))?;
            row += 1;
            sink.push(value)
        })
    })?;
    sink.finish(&[])
}

fn in_row(row: u64, what: &str) -> ImportError {
    invalid(format!("row {row} (from 0): {what}"))
}

/// The same of codes, which may be words.
fn copy_codes(
    role: Role,
    array: &Array,
    input: &mut Input,
    bytes: u64,
    options: &ImportOptions,
    out: &Path,
) -> Result<Written, ImportError> {
    let mut codes = Codes::create(role, out, options)?;
    let mut row = 0u64;
    let mut take = |cell: &[u8], number: Option<f64>| {
        let code = codes
            .code(cell, number)
            .map_err(|what| in_row(row, &what))?;
        row += 1;
        codes.push(code)
    };
    match array.kind {
        Kind::Number(layout) => each_chunk(input, bytes, |chunk| {
            layout.each(chunk, |value| take(b"", Some(value)))
        })?,
        Kind::Text(text) => each_value(input, bytes, array.kind.size(), |value| {
            let cell = text
                .read(value)
                .ok_or_else(|| invalid("the array's strings are no text"))?;
            take(cell.as_bytes(), cell.trim().parse().ok())
        })?,
    }
    codes.finish(None)
}

/// Hands the body over value by value, each of `size` bytes.
fn each_value(
    input: &mut Input,
    bytes: u64,
    size: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    // A value may lie in two pieces of the body.
    let mut value = Vec::with_capacity(size);
    each_chunk(input, bytes, |mut chunk| {
        while !chunk.is_empty() {
            let (some, rest) = chunk.split_at(chunk.len().min(size - value.len()));
            value.extend_from_slice(some);
            chunk = rest;
            if value.len() == size {
                take(&value)?;
                value.clear();
            }
        }
        Ok(())
    })
}

/// Hands the body over piece by piece; it must be exactly `bytes` long.
fn each_chunk(
    input: &mut Input,
    bytes: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let reader = input.reader.as_mut();
    let mut buffer = vec![0u8; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let want = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let chunk = buffer.get_mut(..want).unwrap_or_default();
        let got = fill(reader, chunk)?;
        if got < want {
            let had = bytes - left + got as u64;
            return Err(invalid(format!(
                "the header promises {bytes} bytes of values, but the file ends after {had} of them"
            )));
        }
        take(chunk)?;
        left -= want as u64;
    }
    if fill(reader, &mut [0u8; 1])? > 0 {
        return Err(invalid(format!(
            "the file goes on after the {bytes} bytes of values that its header promises"
        )));
    }
    Ok(())
}
