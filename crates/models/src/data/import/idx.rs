//! The header of an IDX file, the format of the MNIST family.
//!
//! Two zero bytes, a type, a rank, then each dimension as a big-endian u32.
//! The body is copied by `arrays`.

use super::super::{ImportError, invalid};
use super::arrays::Array;
use super::element::{Element, Kind, Layout};
use super::source::{Input, fill};

/// Whether the first bytes of a file can be those of an IDX file.
pub(super) fn recognises(head: &[u8]) -> bool {
    matches!(head, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, rank, ..] if (1..=8).contains(rank))
}

/// Reads the header; the values follow in the stream.
pub(super) fn read_header(input: &mut Input) -> Result<Array, ImportError> {
    let mut start = [0u8; 4];
    take(input, &mut start)?;
    let [_, _, kind, rank] = start;
    let element = match kind {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => {
            return Err(invalid(format!(
                "{kind:#04x} is not a type of the IDX format"
            )));
        }
    };
    let mut dims = Vec::with_capacity(usize::from(rank));
    for _ in 0..rank {
        let mut dim = [0u8; 4];
        take(input, &mut dim)?;
        dims.push(u64::from(u32::from_be_bytes(dim)));
    }
    Ok(Array {
        kind: Kind::Number(Layout {
            element,
            big_endian: true,
        }),
        dims,
    })
}

fn take(input: &mut Input, buffer: &mut [u8]) -> Result<(), ImportError> {
    if fill(input.reader.as_mut(), buffer)? == buffer.len() {
        return Ok(());
    }
    Err(invalid("the file ends within its IDX header"))
}
