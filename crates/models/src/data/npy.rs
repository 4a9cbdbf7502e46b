//! The NPY format: its header, and whole arrays as HTTP bodies.
//!
//! The dict within the header is parsed by `dict`. Streaming a large file from
//! the disk is not done here but under `import`.

mod dict;

use std::io::Read;

use self::dict::parse_dict;
use super::array;
use super::import::element::{Kind, Layout};
use super::import::source::fill;
use super::{ImportError, invalid};

pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// Size of the header of every canonical file; fits a shape of rank 5.
pub(crate) const HEADER_LEN: usize = 192;
/// The limit that `numpy` itself sets on what it will parse without being told to trust.
const MAX_DICT: usize = 64 * 1024;

/// What the header of an NPY file says of an array of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnyHeader {
    pub kind: Kind,
    pub dims: Vec<u64>,
}

/// What the header of an NPY file of numbers says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub layout: Layout,
    pub dims: Vec<u64>,
}

/// A version 1.0 header in C order, padded to `HEADER_LEN` or, for a very
/// long shape, to the next multiple of 64.
pub(crate) fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    // A tuple of one needs its comma in Python.
    let comma = if dims.len() == 1 { "," } else { "" };
    let dims = dims.join(", ") + comma;
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    let total = (10 + dict.len() + 1).next_multiple_of(64).max(HEADER_LEN);
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    // A shape of rank 3000 would not fit 16 bits; ours end at rank 5.
    let length = u16::try_from(total - 10).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(dict.as_bytes());
    out.resize(total - 1, b' ');
    out.push(b'\n');
    out
}

/// Reads magic, version and header of an array of numbers; the values follow in the stream.
pub(crate) fn read_header(reader: &mut dyn Read) -> Result<Header, ImportError> {
    let AnyHeader { kind, dims } = read_any_header(reader)?;
    let layout = kind.numbers()?;
    Ok(Header { layout, dims })
}

/// The same of an array of numbers or text.
pub(crate) fn read_any_header(reader: &mut dyn Read) -> Result<AnyHeader, ImportError> {
    let mut start = [0u8; 8];
    take(reader, &mut start)?;
    let [magic @ .., major, minor] = start;
    if magic != MAGIC {
        return Err(invalid(
            "this is not an NPY array: the first six bytes are not \\x93NUMPY",
        ));
    }
    let length = match major {
        1 => {
            let mut field = [0u8; 2];
            take(reader, &mut field)?;
            u32::from(u16::from_le_bytes(field))
        }
        2 | 3 => {
            let mut field = [0u8; 4];
            take(reader, &mut field)?;
            u32::from_le_bytes(field)
        }
        _ => {
            return Err(invalid(format!(
                "NPY version {major}.{minor} is not read, only 1.0, 2.0 and 3.0"
            )));
        }
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_DICT {
        return Err(invalid(format!(
            "the NPY header claims {length} bytes; more than {MAX_DICT} are not read"
        )));
    }
    let mut dict = vec![0u8; length];
    take(reader, &mut dict)?;
    let dict =
        std::str::from_utf8(&dict).map_err(|_| invalid("the NPY header is not text in UTF-8"))?;
    parse_dict(dict)
}

fn take(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<(), ImportError> {
    let got = fill(reader, buffer)?;
    if got == buffer.len() {
        return Ok(());
    }
    Err(invalid(format!(
        "the NPY header is cut short: the file ends {} bytes before it does",
        buffer.len() - got
    )))
}

/// An array from an HTTP body, in the model's units (u8 over 255).
///
/// Returns its full shape, of any rank from 1, and its values in C order.
pub fn decode_f32(bytes: &[u8], max_values: usize) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
    let mut body = bytes;
    let Header { layout, dims } = read_header(&mut body)?;
    array::decode_f32(layout, &dims, body, max_values)
}

/// An array of f32 as a version 1.0 NPY file.
pub fn encode_f32(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let dims: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
    let mut out = header("<f4", &dims);
    array::append(&mut out, values);
    out
}

/// What comes before the values of an array of this shape.
pub fn header_f32(shape: &[u64]) -> Vec<u8> {
    header("<f4", shape)
}

/// Values as they stand in a file.
pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    let mut out = Vec::new();
    array::append(&mut out, values);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_dict(dict: &str, body: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([1, 0]);
        out.extend(u16::try_from(dict.len()).unwrap().to_le_bytes());
        out.extend(dict.as_bytes());
        out.extend(body);
        out
    }

    fn refusal(dict: &str, body: &[u8]) -> String {
        decode_f32(&with_dict(dict, body), 100)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn there_and_back() {
        let bytes = encode_f32(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.5]);
        assert_eq!((bytes.len() - 24) % 64, 0);
        let (shape, values) = decode_f32(&bytes, 6).unwrap();
        assert_eq!(
            (shape, values),
            (vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.5])
        );
        assert!(
            decode_f32(&bytes, 5)
                .unwrap_err()
                .to_string()
                .contains("6 values")
        );
    }

    #[test]
    fn canonical_headers_have_one_size() {
        assert_eq!(header("|u1", &[1]).len(), HEADER_LEN);
        assert_eq!(header("|u1", &[u64::MAX; 5]).len(), HEADER_LEN);
        assert_eq!(
            read_header(&mut &header("<i8", &[7])[..]).unwrap().dims,
            [7]
        );
    }

    #[test]
    fn bytes_become_fractions() {
        let dict = "{'shape':(2,),\"descr\":'|u1','fortran_order':False}\n";
        let (shape, values) = decode_f32(&with_dict(dict, &[0, 255]), 9).unwrap();
        assert_eq!((shape, values), (vec![2], vec![0.0, 1.0]));
    }

    #[test]
    fn refusals_say_why() {
        let f4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
        let mut nan = 1f32.to_le_bytes().to_vec();
        nan.extend(f32::NAN.to_le_bytes());
        assert!(refusal(f4, &nan).contains("row 0, column 1"));
        assert!(refusal(f4, &nan[..5]).contains("needs 8 bytes"));
        assert!(refusal(&f4.replace("<f4", "|O"), &nan).contains("pickle"));
        assert!(refusal(&f4.replace("<f4", "<c8"), &nan).contains("complex"));
        assert!(refusal(&f4.replace("<f4", "<U3"), &nan).contains("strings"));
        assert!(refusal(&f4.replace("'<f4'", "[('a', '<f4')]"), &nan).contains("records"));
        assert!(refusal(&f4.replace("False", "True"), &nan).contains("ascontiguousarray"));
        assert!(refusal(&f4.replace("(1, 2)", "(-1, 2)"), &nan).contains("a dimension"));
        assert!(
            refusal(&f4.replace("(1, 2)", "(4294967296, 4294967296)"), &nan).contains("memory")
        );
        assert!(refusal(&f4.replace("(1, 2)", "()"), &nan).contains("no rows"));
        assert!(refusal(&f4.replace("descr", "other"), &nan).contains("malformed"));
        assert!(refusal(&f4.replace('}', "} x"), &nan).contains("the end"));
        assert!(refusal("{'descr': '<f4'}", &nan).contains("lacks"));
        assert!(refusal("{'descr': '<f4", &nan).contains("quoted string"));
    }

    #[test]
    fn no_prefix_of_a_file_panics() {
        let bytes = encode_f32(&[1, 2], &[0.5, 0.25]);
        for end in 0..bytes.len() {
            assert!(decode_f32(&bytes[..end], 10).is_err());
        }
        let huge = [MAGIC, &[2, 0, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(
            decode_f32(&huge, 10)
                .unwrap_err()
                .to_string()
                .contains("4294967295")
        );
    }
}
