//! Reads an uploaded PNG or JPEG as one row. Draws nothing.
//!
//! The size is compared with the one needed, and with the limits, from the
//! header alone, so a small file that claims vast dimensions costs nothing.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgba};

use super::super::import::element::U8_SCALE;
use super::{Layout, PictureError};

/// The decoder's buffers; more than enough for a picture of the limits.
const BYTES_PER_PIXEL: u64 = 16;
/// Room for the tables and chunks that the decoders keep whatever the size.
const FIXED_BYTES: u64 = 4 << 20;

/// Turns a picture into one row of `shape`, with values in [0, 1].
///
/// [3, h, w] is read as planes of red, green and blue, everything else as
/// grey. What is transparent is laid over white, as a page shows it; the camera's mark for orientation is followed;
/// 16-bit samples are brought down to 8.
pub fn decode_image(
    bytes: &[u8],
    shape: &[usize],
    max_pixels: u64,
) -> Result<Vec<f32>, PictureError> {
    let layout = Layout::of(shape)?;
    let picture = open(bytes, layout, max_pixels)?;
    let picture = over_white(picture);
    if layout.channels == 1 {
        return Ok(units(picture.to_luma8().as_raw()).collect());
    }
    let pixels = picture.to_rgb8();
    let (pixels, _) = pixels.as_raw().as_chunks::<3>();
    let plane = |channel: usize| pixels.iter().filter_map(move |p| p.get(channel));
    Ok(units((0..3).flat_map(plane)).collect())
}

fn units<'a>(samples: impl IntoIterator<Item = &'a u8>) -> impl Iterator<Item = f32> {
    samples
        .into_iter()
        .map(|&sample| f32::from(sample) * U8_SCALE)
}

/// The picture without transparency: `α c + (1 - α)` for each colour.
fn over_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let mut pixels = picture.to_rgba8();
    for Rgba([r, g, b, alpha]) in pixels.pixels_mut() {
        let white = 255 - *alpha;
        for colour in [r, g, b] {
            // Rounded; at most 255, since both parts together are.
            let shown = (u32::from(*colour) * u32::from(*alpha) + 127) / 255;
            *colour = u8::try_from(shown).unwrap_or(u8::MAX).saturating_add(white);
        }
    }
    DynamicImage::ImageRgba8(pixels).into_rgb8().into()
}

/// Whether the picture is shown on its side.
fn lies(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(
        orientation,
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
    )
}

fn open(bytes: &[u8], layout: Layout, max_pixels: u64) -> Result<DynamicImage, PictureError> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    reader.set_format(match bytes {
        [0x89, b'P', b'N', b'G', ..] => ImageFormat::Png,
        [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
        _ => return Err(PictureError::Unknown),
    });
    let side = u32::try_from(max_pixels).unwrap_or(u32::MAX);
    let mut limits = Limits::default();
    limits.max_image_width = Some(side);
    limits.max_image_height = Some(side);
    limits.max_alloc = Some(
        max_pixels
            .saturating_mul(BYTES_PER_PIXEL)
            .saturating_add(FIXED_BYTES),
    );
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| unreadable(&e))?;
    let orientation = decoder.orientation().map_err(|e| unreadable(&e))?;
    let (stored_w, stored_h) = decoder.dimensions();
    let (found_w, found_h) = if lies(orientation) {
        (stored_h, stored_w)
    } else {
        (stored_w, stored_h)
    };
    let pixels = u64::from(found_w) * u64::from(found_h);
    if pixels > max_pixels {
        return Err(PictureError::TooLarge {
            pixels,
            limit: max_pixels,
        });
    }
    let Layout { h, w, .. } = layout;
    if usize::try_from(found_w) != Ok(w) || usize::try_from(found_h) != Ok(h) {
        return Err(PictureError::WrongSize {
            found_w,
            found_h,
            w,
            h,
        });
    }
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| unreadable(&e))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn unreadable(error: &ImageError) -> PictureError {
    PictureError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayAlphaImage, GrayImage, Luma, LumaA, Rgb, RgbImage, RgbaImage};

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.into().write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    #[test]
    fn grey_and_colour() {
        let mut grey = GrayImage::new(3, 3);
        grey.put_pixel(1, 0, Luma([255]));
        let png = encoded(grey, ImageFormat::Png);
        let want = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        for shape in [&[9][..], &[3, 3], &[1, 3, 3]] {
            assert_eq!(decode_image(&png, shape, 100).unwrap(), want);
        }
        let mut colour = RgbImage::new(2, 1);
        colour.put_pixel(1, 0, Rgb([0, 255, 51]));
        let row = decode_image(&encoded(colour, ImageFormat::Png), &[3, 1, 2], 100).unwrap();
        assert_eq!(row, [0.0, 0.0, 0.0, 1.0, 0.0, 51.0 * U8_SCALE]);
    }

    #[test]
    fn jpeg() {
        let white = GrayImage::from_pixel(16, 8, Luma([255]));
        let row = decode_image(&encoded(white, ImageFormat::Jpeg), &[8, 16], 1000).unwrap();
        assert!(row.len() == 128 && row.iter().all(|v| *v > 0.98));
    }

    #[test]
    fn what_is_transparent_is_laid_over_white() {
        // Black strokes of growing opacity on a clear canvas, as a page draws them.
        let opacities = [0, 51, 102, 255];
        let want: Vec<f32> = units(&[255, 204, 153, 0]).collect();
        let colour = RgbaImage::from_fn(4, 1, |x, _| Rgba([0, 0, 0, opacities[x as usize]]));
        let png = encoded(colour, ImageFormat::Png);
        assert_eq!(decode_image(&png, &[1, 4], 100).unwrap(), want);
        let row = decode_image(&png, &[3, 1, 4], 100).unwrap();
        assert_eq!(row, want.repeat(3));
        let grey = GrayAlphaImage::from_fn(4, 1, |x, _| LumaA([0, opacities[x as usize]]));
        let png = encoded(grey, ImageFormat::Png);
        assert_eq!(decode_image(&png, &[1, 4], 100).unwrap(), want);
        // Opaque throughout: read as it is.
        let solid = RgbaImage::from_pixel(2, 1, Rgba([10, 20, 30, 255]));
        let row = decode_image(&encoded(solid, ImageFormat::Png), &[3, 1, 2], 100).unwrap();
        let want: Vec<f32> = units(&[10, 10, 20, 20, 30, 30]).collect();
        assert_eq!(row, want);
    }

    /// A JPEG with this mark in its EXIF data.
    fn marked(picture: GrayImage, orientation: u8) -> Vec<u8> {
        let plain = encoded(picture, ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let length = u16::try_from(exif.len() + 2).unwrap();
        let mut out = plain[..2].to_vec();
        out.extend([0xff, 0xe1]);
        out.extend(length.to_be_bytes());
        out.extend(exif);
        out.extend(&plain[2..]);
        out
    }

    #[test]
    fn a_picture_is_turned_as_it_is_shown() {
        // White on the left, 16 wide and 8 high as stored.
        let stored = || GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 255 } else { 0 }]));
        let light = |row: &[f32], w: usize, h: usize| {
            let at = |x: usize, y: usize| row[y * w + x] > 0.5;
            [at(0, 0), at(w - 1, 0), at(0, h - 1), at(w - 1, h - 1)]
        };
        for (orientation, shape, corners) in [
            (1, [8, 16], [true, false, true, false]),
            (2, [8, 16], [false, true, false, true]),
            (3, [8, 16], [false, true, false, true]),
            (4, [8, 16], [true, false, true, false]),
            (5, [16, 8], [true, true, false, false]),
            (6, [16, 8], [true, true, false, false]),
            (7, [16, 8], [false, false, true, true]),
            (8, [16, 8], [false, false, true, true]),
        ] {
            let jpeg = marked(stored(), orientation);
            let row = decode_image(&jpeg, &shape, 1000).unwrap();
            let [h, w] = shape;
            assert_eq!(light(&row, w, h), corners, "{orientation}");
            // What is stored is not what is shown.
            let other = decode_image(&jpeg, &[shape[1], shape[0]], 1000);
            assert!(
                matches!(other, Err(PictureError::WrongSize { .. })),
                "{orientation}"
            );
        }
    }

    #[test]
    fn refusals() {
        let png = encoded(GrayImage::new(3, 2), ImageFormat::Png);
        let refused = decode_image(&png, &[3, 2], 100).unwrap_err();
        assert!(refused.to_string().contains("3 x 2"), "{refused}");
        assert!(matches!(
            decode_image(&png, &[2, 3], 5),
            Err(PictureError::TooLarge { .. })
        ));
        assert_eq!(
            decode_image(b"GIF89a", &[2, 3], 100),
            Err(PictureError::Unknown)
        );
        for end in 4..png.len() - 20 {
            assert!(decode_image(&png[..end], &[2, 3], 100).is_err());
        }
    }

    #[test]
    fn a_bomb_is_refused_from_its_header() {
        // A header that claims 60,000 pixels each way; the body is not read.
        let mut png = encoded(GrayImage::new(3, 2), ImageFormat::Png);
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(60_000u32.to_be_bytes());
        chunk.extend(60_000u32.to_be_bytes());
        chunk.extend([8, 0, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        chunk.extend(crc.sum().to_be_bytes());
        png.splice(12..33, chunk);
        let refused = decode_image(&png, &[2, 3], 100_000).unwrap_err();
        assert!(
            matches!(refused, PictureError::TooLarge { .. }),
            "{refused}"
        );
        assert!(decode_image(&png, &[2, 3], 1000).is_err());
    }
}
