//! Rows as pictures.

use crate::api::problem::{Problem, Result};
use crate::data::picture;

/// How values become shades.
#[derive(Debug, Clone, Copy)]
pub struct Scale(picture::Scale);

impl Scale {
    /// [0, 1] where the data lies within it, else the data's own range.
    pub fn of_range(range: [f64; 2]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "shades need no more")]
        let [low, high] = range.map(|v| v as f32);
        Self(if low >= 0.0 && high <= 1.0 {
            picture::Scale::Unit
        } else {
            picture::Scale::Range(low, high)
        })
    }

    /// Each tile by its own greatest magnitude, zero in the middle: for weights.
    pub const SIGNED: Self = Self(picture::Scale::MinMaxPerTile);
}

/// A PNG grid of rows of one shape; drawn off the request threads.
pub async fn grid(
    values: Vec<f32>,
    shape: &[i64],
    columns: Option<usize>,
    scale: Scale,
) -> Result<Vec<u8>> {
    let shape: Vec<usize> = shape
        .iter()
        .map(|&d| usize::try_from(d).unwrap_or(0))
        .collect();
    let draw = move || picture::grid_png(&values, &shape, columns, scale.0);
    tokio::task::spawn_blocking(draw)
        .await
        .map_err(|e| Problem::internal(&e))?
        .map_err(|e| Problem::field("/shape", e.to_string()))
}
