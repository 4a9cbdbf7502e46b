//! Rows as pictures: grids of them as PNG, and uploaded pictures as rows.
//!
//! Both directions share one notion of which row shapes are pictures. Rows
//! are in the model's units, [0, 1] for pixels.

mod draw;
mod read;

pub use draw::grid_png;
pub use read::decode_image;

use super::show_dims;

/// How values become brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// 0 is black, 1 is white.
    Unit,
    /// For filters: each tile by its own largest magnitude, 0 mid-grey.
    MinMaxPerTile,
    /// The first is black, the second white.
    Range(f32, f32),
}

/// Why a picture could not be drawn or read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error(
        "rows of shape ({shape}) are no pictures; these are: (1, h, w), (3, h, w), (h, w), \
         or (d) where d is a square number"
    )]
    NotAPicture { shape: String },
    #[error("{values} values are no whole number of rows of shape ({shape})")]
    Ragged { values: usize, shape: String },
    #[error("there are no rows to draw")]
    Empty,
    #[error("the picture would have {pixels} pixels, more than {limit}")]
    TooLarge { pixels: u64, limit: u64 },
    #[error("the picture is {found_w} x {found_h} pixels (width x height); needed are {w} x {h}")]
    WrongSize {
        found_w: u32,
        found_h: u32,
        w: usize,
        h: usize,
    },
    #[error("the picture is neither PNG nor JPEG")]
    Unknown,
    #[error("the picture cannot be read: {0}")]
    Unreadable(String),
    #[error("the picture could not be encoded: {0}")]
    Encoding(String),
}

/// A row seen as a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// 1 (grey) or 3 (red, green, blue planes).
    channels: usize,
    h: usize,
    w: usize,
}

impl Layout {
    fn of(shape: &[usize]) -> Result<Self, PictureError> {
        let layout = match *shape {
            [channels @ (1 | 3), h, w] => Some(Self { channels, h, w }),
            [h, w] => Some(Self { channels: 1, h, w }),
            [d] => {
                let side = d.isqrt();
                (side * side == d).then_some(Self {
                    channels: 1,
                    h: side,
                    w: side,
                })
            }
            _ => None,
        };
        layout
            .filter(|l| l.values().is_some_and(|values| values > 0))
            .ok_or_else(|| PictureError::NotAPicture {
                shape: show_dims(shape),
            })
    }

    /// Values in one row; none if that cannot be counted.
    fn values(self) -> Option<usize> {
        self.channels.checked_mul(self.h)?.checked_mul(self.w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_shapes_are_pictures() {
        let layout = |shape: &[usize]| Layout::of(shape).map(|l| (l.channels, l.h, l.w));
        assert_eq!(layout(&[1, 4, 5]), Ok((1, 4, 5)));
        assert_eq!(layout(&[3, 4, 5]), Ok((3, 4, 5)));
        assert_eq!(layout(&[4, 5]), Ok((1, 4, 5)));
        assert_eq!(layout(&[64]), Ok((1, 8, 8)));
        for bad in [
            &[][..],
            &[0],
            &[63],
            &[2, 4, 5],
            &[0, 4],
            &[3, usize::MAX, 2],
            &[1, 1, 1, 1],
        ] {
            assert!(Layout::of(bad).is_err(), "{bad:?}");
        }
    }
}
