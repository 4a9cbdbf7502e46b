//! The values of an array, from bytes and to bytes.

use super::import::element::{Element, Layout, U8_SCALE, finite_f32};
use super::{ImportError, invalid, show_dims};

/// The shape, of any rank from 1, and the values in C order, in the model's units (u8 over 255).
pub(super) fn decode_f32(
    layout: Layout,
    dims: &[u64],
    body: &[u8],
    max_values: usize,
) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
    let shown = show_dims(dims);
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let values = shape
        .as_ref()
        .and_then(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d)));
    let (Some(shape), Some(values)) = (shape, values) else {
        return Err(invalid(format!(
            "the array's shape, {shown}, is larger than any memory"
        )));
    };
    if values > max_values {
        return Err(invalid(format!(
            "the array holds {values} values ({shown}); at most {max_values} are taken at once"
        )));
    }
    if shape.is_empty() || values == 0 {
        return Err(invalid(format!(
            "the array holds no rows (its shape is ({shown}))"
        )));
    }
    let needed = values.saturating_mul(layout.element.size());
    if body.len() != needed {
        return Err(invalid(format!(
            "an array of {shown} needs {needed} bytes after its header, but {} follow it",
            body.len()
        )));
    }
    if let Some(out) = plain(layout, body) {
        return Ok((shape, out));
    }
    let row_len = shape.iter().skip(1).product::<usize>().max(1);
    let mut out = Vec::with_capacity(values);
    layout.each(body, |value| {
        let value = finite_f32(value).map_err(|what| {
            let (row, column) = (out.len() / row_len, out.len() % row_len);
            invalid(format!("row {row}, column {column} (both from 0): {what}"))
        })?;
        out.push(if layout.element == Element::U8 {
            value * U8_SCALE
        } else {
            value
        });
        Ok::<(), ImportError>(())
    })?;
    Ok((shape, out))
}

/// Values that need nothing done to them, which is most arrays: a copy. None where there is more to say.
fn plain(layout: Layout, body: &[u8]) -> Option<Vec<f32>> {
    if layout.element != Element::F32 || layout.big_endian {
        return None;
    }
    let (values, _) = body.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
    // Without an early end, so that it is done many at a time.
    let finite = values.iter().fold(true, |all, v| all & v.is_finite());
    finite.then_some(values)
}

/// Values as they stand in a file.
pub(super) fn append(out: &mut Vec<u8>, values: &[f32]) {
    let start = out.len();
    out.resize(start + size_of_val(values), 0);
    let (places, _) = out[start..].as_chunks_mut::<4>();
    for (place, value) in places.iter_mut().zip(values) {
        *place = value.to_le_bytes();
    }
}
