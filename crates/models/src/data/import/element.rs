//! The number types that array files hold, and how to read them from bytes.
//!
//! Knows nothing of files, shapes or limits: bytes in, f64 values (or text) out. Every
//! type here fits f64 exactly but for the largest 64-bit integers, which lose
//! digits that f32 would lose anyway.

use super::super::{ImportError, invalid};

/// What a stored u8 is multiplied by on its way to a model.
pub const U8_SCALE: f32 = 1.0 / 255.0;

/// A number type, whatever its byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Element {
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// A number type together with its byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub element: Element,
    pub big_endian: bool,
}

/// What one value of an array takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number(Layout),
    Text(Text),
}

impl Kind {
    /// The layout of numbers; text is refused.
    pub(crate) fn numbers(self) -> Result<Layout, ImportError> {
        match self {
            Self::Number(layout) => Ok(layout),
            Self::Text(_) => Err(invalid(
                "the array holds strings; integers, floats up to 64 bits and booleans are read (strings as \
                 labels only)",
            )),
        }
    }

    pub fn size(self) -> usize {
        match self {
            Self::Number(layout) => layout.element.size(),
            Self::Text(text) => text.size(),
        }
    }
}

/// Text of a fixed length, filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// A character takes four bytes (UTF-32), else one byte is one of UTF-8.
    pub wide: bool,
    /// Of characters, or bytes.
    pub length: usize,
    pub big_endian: bool,
}

impl Text {
    fn size(self) -> usize {
        self.length * if self.wide { 4 } else { 1 }
    }

    /// The text of a value; none if these bytes are none.
    pub fn read(self, value: &[u8]) -> Option<String> {
        if !self.wide {
            let text = std::str::from_utf8(value).ok()?;
            return Some(text.trim_end_matches('\0').to_owned());
        }
        let (units, _) = value.as_chunks::<4>();
        let unit = |unit: &[u8; 4]| match self.big_endian {
            true => u32::from_be_bytes(*unit),
            false => u32::from_le_bytes(*unit),
        };
        let text: Option<String> = units.iter().map(unit).map(char::from_u32).collect();
        Some(text?.trim_end_matches('\0').to_owned())
    }
}

impl Layout {
    /// Calls `visit` with each value in turn; stops at its first error.
    ///
    /// Bytes after the last whole value are left out: callers cut their
    /// buffers at multiples of 8.
    pub fn each<E>(self, bytes: &[u8], visit: impl FnMut(f64) -> Result<(), E>) -> Result<(), E> {
        let big = self.big_endian;
        // The match stands outside the loop, so that each type gets its own.
        match self.element {
            Element::Bool => walk(
                bytes,
                big,
                |[b]: [u8; 1]| f64::from(u8::from(b != 0)),
                visit,
            ),
            Element::U8 => walk(bytes, big, |[b]: [u8; 1]| f64::from(b), visit),
            Element::I8 => walk(bytes, big, |b| f64::from(i8::from_le_bytes(b)), visit),
            Element::U16 => walk(bytes, big, |b| f64::from(u16::from_le_bytes(b)), visit),
            Element::I16 => walk(bytes, big, |b| f64::from(i16::from_le_bytes(b)), visit),
            Element::U32 => walk(bytes, big, |b| f64::from(u32::from_le_bytes(b)), visit),
            Element::I32 => walk(bytes, big, |b| f64::from(i32::from_le_bytes(b)), visit),
            Element::U64 => walk(bytes, big, |b| u64::from_le_bytes(b) as f64, visit),
            Element::I64 => walk(bytes, big, |b| i64::from_le_bytes(b) as f64, visit),
            Element::F16 => walk(bytes, big, |b| half(u16::from_le_bytes(b)), visit),
            Element::F32 => walk(bytes, big, |b| f64::from(f32::from_le_bytes(b)), visit),
            Element::F64 => walk(bytes, big, f64::from_le_bytes, visit),
        }
    }
}

fn walk<const N: usize, E>(
    bytes: &[u8],
    big_endian: bool,
    convert: impl Fn([u8; N]) -> f64,
    mut visit: impl FnMut(f64) -> Result<(), E>,
) -> Result<(), E> {
    let (chunks, _) = bytes.as_chunks::<N>();
    for chunk in chunks {
        let mut value = *chunk;
        if big_endian {
            value.reverse();
        }
        visit(convert(value))?;
    }
    Ok(())
}

/// IEEE 754 half precision: 1 sign bit, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f64::from(bits & 0x03ff) / 1024.0;
    let size = match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    sign * size
}

/// The f32 nearest to a value, or what is wrong with it in a few words.
pub fn finite_f32(value: f64) -> Result<f32, String> {
    if !value.is_finite() {
        return Err(format!("{value} is not a finite number"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to f32 is the point"
    )]
    let narrow = value as f32;
    if narrow.is_finite() {
        Ok(narrow)
    } else {
        Err(format!("{value:e} is too large for a 32-bit float"))
    }
}

/// The label that a value stands for: a whole number from 0 to 65535.
pub fn label(value: f64) -> Option<u16> {
    if value.fract() != 0.0 || !(0.0..=65535.0).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above to be whole and in range"
    )]
    Some(value as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(element: Element, big_endian: bool, bytes: &[u8]) -> Vec<f64> {
        let mut out = Vec::new();
        let layout = Layout {
            element,
            big_endian,
        };
        let done: Result<(), ()> = layout.each(bytes, |v| {
            out.push(v);
            Ok(())
        });
        assert!(done.is_ok());
        out
    }

    #[test]
    fn both_byte_orders() {
        assert_eq!(values(Element::I16, true, &[0xff, 0xfe, 0, 1]), [-2.0, 1.0]);
        assert_eq!(
            values(Element::I16, false, &[0xfe, 0xff, 1, 0]),
            [-2.0, 1.0]
        );
        assert_eq!(values(Element::F32, true, &1.5f32.to_be_bytes()), [1.5]);
        assert_eq!(values(Element::Bool, false, &[0, 1, 7]), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn half_precision() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f64.powi(-24)),
        ];
        for (bits, want) in cases {
            assert!((half(bits) - want).abs() < 1e-12, "{bits:04x}");
        }
        assert!(half(0x7c00).is_infinite());
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn narrow_and_label() {
        assert!(finite_f32(f64::NAN).is_err());
        assert!(finite_f32(1e300).is_err());
        assert_eq!(label(65535.0), Some(65535));
        assert_eq!(label(0.5), None);
        assert_eq!(label(-1.0), None);
        assert_eq!(label(65536.0), None);
        assert_eq!(label(f64::NAN), None);
    }
}
