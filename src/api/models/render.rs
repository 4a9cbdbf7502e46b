//! Rows as pictures.

use super::shape::dims;
use crate::api::problem::{Problem, Result};
use crate::api::state::blocking;
use crate::data::picture::{Scale, grid_png};

/// [0, 1] where the data lies within it, else the data's own range.
pub fn scale_of(range: [f64; 2]) -> Scale {
    #[expect(clippy::cast_possible_truncation, reason = "shades need no more")]
    let [low, high] = range.map(|v| v as f32);
    if low >= 0.0 && high <= 1.0 {
        Scale::Unit
    } else {
        Scale::Range(low, high)
    }
}

/// A PNG grid of rows of one shape; drawn off the request threads.
pub async fn grid(
    values: Vec<f32>,
    shape: &[i64],
    columns: Option<usize>,
    scale: Scale,
) -> Result<Vec<u8>> {
    let shape = dims(shape);
    let drawn = blocking(move || grid_png(&values, &shape, columns, scale)).await?;
    drawn.map_err(|e| Problem::field("/shape", e.to_string()))
}
