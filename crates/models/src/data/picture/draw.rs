//! Draws rows side by side into one PNG. Reads no pictures.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::super::show_dims;
use super::{Layout, PictureError, Scale};

/// Tiles narrower than this are magnified, or nobody can see them.
const SMALLEST_TILE: usize = 28;
const GAP: usize = 1;
const BACKGROUND: u8 = 128;
/// Pixels of one grid; some 48 MiB of colour at most.
const MAX_PIXELS: u64 = 16 << 20;

/// Draws `rows` ([n, *shape]) as a grid, in reading order.
///
/// Without `columns` the grid is as nearly square as it can be.
pub fn grid_png(
    rows: &[f32],
    shape: &[usize],
    columns: Option<usize>,
    scale: Scale,
) -> Result<Vec<u8>, PictureError> {
    let layout = Layout::of(shape)?;
    let row_len = layout.values().unwrap_or(1);
    if rows.is_empty() {
        return Err(PictureError::Empty);
    }
    if !rows.len().is_multiple_of(row_len) {
        return Err(PictureError::Ragged {
            values: rows.len(),
            shape: show_dims(shape),
        });
    }
    let mut canvas = Canvas::new(layout, rows.len() / row_len, columns)?;
    for (index, row) in rows.chunks_exact(row_len).enumerate() {
        canvas.draw(index, row, scale);
    }
    canvas.png()
}

/// The grid's pixels: [height, width, channels], interleaved as PNG wants.
struct Canvas {
    layout: Layout,
    columns: usize,
    zoom: usize,
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(layout: Layout, tiles: usize, columns: Option<usize>) -> Result<Self, PictureError> {
        let square = tiles.isqrt() + usize::from(tiles.isqrt().pow(2) < tiles);
        let columns = columns.unwrap_or(square).clamp(1, tiles.max(1));
        let lines = tiles.div_ceil(columns);
        let zoom = SMALLEST_TILE.div_ceil(layout.w.min(SMALLEST_TILE));
        // Tiles stand between gaps, and gaps run round the outside too.
        let along = |tile: usize, count: usize| {
            tile.checked_mul(zoom)?
                .checked_add(GAP)?
                .checked_mul(count)?
                .checked_add(GAP)
        };
        let size = along(layout.w, columns).zip(along(layout.h, lines));
        let pixels = size
            .and_then(|(w, h)| (w as u64).checked_mul(h as u64))
            .unwrap_or(u64::MAX);
        let (Some((width, height)), true) = (size, pixels <= MAX_PIXELS) else {
            return Err(PictureError::TooLarge {
                pixels,
                limit: MAX_PIXELS,
            });
        };
        let pixels = vec![BACKGROUND; width * height * layout.channels];
        Ok(Self {
            layout,
            columns,
            zoom,
            width,
            height,
            pixels,
        })
    }

    /// Draws tile number `index` of values [channels, h, w].
    fn draw(&mut self, index: usize, row: &[f32], scale: Scale) {
        let Layout { channels, h, w } = self.layout;
        let top = GAP + index / self.columns * (h * self.zoom + GAP);
        let left = GAP + index % self.columns * (w * self.zoom + GAP);
        let span = w * self.zoom * channels;
        let bounds = bounds(row, scale);
        for y in 0..h * self.zoom {
            let start = ((top + y) * self.width + left) * channels;
            let Some(line) = self.pixels.get_mut(start..start + span) else {
                return;
            };
            for (at, pixel) in line.iter_mut().enumerate() {
                let x = at / channels / self.zoom;
                let source = (at % channels * h + y / self.zoom) * w + x;
                *pixel = row
                    .get(source)
                    .map_or(BACKGROUND, |&value| brightness(value, bounds));
            }
        }
    }

    fn png(self) -> Result<Vec<u8>, PictureError> {
        let broken = |what: String| PictureError::Encoding(what);
        let width = u32::try_from(self.width).map_err(|e| broken(e.to_string()))?;
        let height = u32::try_from(self.height).map_err(|e| broken(e.to_string()))?;
        let colour = if self.layout.channels == 3 {
            ExtendedColorType::Rgb8
        } else {
            ExtendedColorType::L8
        };
        let mut out = Vec::new();
        PngEncoder::new(&mut out)
            .write_image(&self.pixels, width, height, colour)
            .map_err(|e| broken(e.to_string()))?;
        Ok(out)
    }
}

/// The values that are drawn black and white.
fn bounds(row: &[f32], scale: Scale) -> (f32, f32) {
    match scale {
        Scale::Unit => (0.0, 1.0),
        Scale::Range(black, white) => (black, white),
        Scale::MinMaxPerTile => {
            let finite = row.iter().filter(|v| v.is_finite());
            let reach = finite.fold(0f32, |reach, v| reach.max(v.abs()));
            (-reach, reach)
        }
    }
}

/// NaN, and a range with no width, are drawn as the background.
fn brightness(value: f32, (black, white): (f32, f32)) -> u8 {
    // In f64 the width of the range cannot overflow.
    let (value, black, white) = (f64::from(value), f64::from(black), f64::from(white));
    let unit = (value - black) / (white - black);
    if unit.is_nan() || white <= black {
        return BACKGROUND;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=255 and rounded"
    )]
    let grey = (unit.clamp(0.0, 1.0) * 255.0).round() as u8;
    grey
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(png: &[u8]) -> image::DynamicImage {
        image::load_from_memory(png).unwrap()
    }

    #[test]
    fn small_grey_tiles_are_magnified() {
        let mut rows = vec![0.0; 3 * 64];
        rows[0] = 1.0;
        rows[64 + 9] = 2.0;
        let picture = read(&grid_png(&rows, &[64], None, Scale::Unit).unwrap()).to_luma8();
        // Two columns and two lines of 32 pixels, and three gaps.
        assert_eq!(picture.dimensions(), (67, 67));
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!((at(0, 0), at(1, 1), at(4, 4), at(5, 5)), (128, 255, 255, 0));
        assert_eq!((at(33, 10), at(34 + 4, 1 + 4), at(50, 50)), (128, 255, 128));
    }

    #[test]
    fn colour_planes_are_interleaved() {
        let mut row = vec![0.0; 3 * 30 * 30];
        row[900] = 1.0;
        let picture = read(&grid_png(&row, &[3, 30, 30], Some(9), Scale::Unit).unwrap()).to_rgb8();
        assert_eq!(picture.dimensions(), (32, 32));
        assert_eq!(picture.get_pixel(1, 1).0, [0, 255, 0]);
    }

    #[test]
    fn scales() {
        assert_eq!(bounds(&[-2.0, 1.0], Scale::MinMaxPerTile), (-2.0, 2.0));
        assert_eq!(brightness(0.0, (-2.0, 2.0)), 128);
        assert_eq!(brightness(5.0, (0.0, 10.0)), 128);
        assert_eq!(brightness(f32::NAN, (0.0, 1.0)), BACKGROUND);
        assert_eq!(brightness(0.0, (0.0, 0.0)), BACKGROUND);
        assert_eq!(brightness(f32::INFINITY, (0.0, 1.0)), 255);
        assert_eq!(brightness(0.0, (f32::MIN, f32::MAX)), 128);
    }

    #[test]
    fn refusals() {
        let grid = |rows: &[f32], shape: &[usize]| grid_png(rows, shape, None, Scale::Unit);
        let refused = grid(&[0.0; 5], &[5]).unwrap_err();
        assert!(refused.to_string().contains("(5)"), "{refused}");
        assert_eq!(grid(&[], &[4]), Err(PictureError::Empty));
        assert!(matches!(
            grid(&[0.0; 5], &[4]),
            Err(PictureError::Ragged { .. })
        ));
        let many = vec![0.0; 40_000];
        assert!(matches!(
            grid(&many, &[1]),
            Err(PictureError::TooLarge { .. })
        ));
    }
}
