//! Arrays with names, as one safetensors body.

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::array;
use super::import::element::{Element, Layout};
use super::{ImportError, invalid};

/// As of an NPY array.
const MOST_HEADER: u64 = 64 * 1024;

/// An array to be written.
pub struct Named<'a> {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub values: Values<'a>,
}

pub enum Values<'a> {
    Floats(&'a [f32]),
    Whole(&'a [i64]),
}

/// The one tensor that a body holds, which must have this name: its shape, of any rank from 1, and its values in
/// C order, in the model's units (u8 over 255).
pub fn decode_f32(
    bytes: &[u8],
    name: &str,
    max_values: usize,
) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
    // The first eight bytes are the length of the header, which one tensor keeps short.
    let length = bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n));
    if length > MOST_HEADER {
        return Err(invalid(format!(
            "the safetensors header claims {length} bytes; more than {MOST_HEADER} are not read"
        )));
    }
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| invalid(format!("this is not a safetensors file: {e}")))?;
    if let Some(other) = tensors.names().into_iter().find(|other| *other != name) {
        return Err(invalid(format!(
            "the file must hold one tensor, named '{name}'; it has one named '{other}'"
        )));
    }
    let tensor = tensors
        .tensor(name)
        .map_err(|_| invalid(format!("the file has no tensor named '{name}'")))?;
    let element = element(tensor.dtype()).ok_or_else(|| {
        invalid(format!(
            "'{name}' holds {}, which is not read; store it as F32",
            tensor.dtype()
        ))
    })?;
    let layout = Layout {
        element,
        big_endian: false,
    };
    let dims: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
    array::decode_f32(layout, &dims, tensor.data(), max_values)
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        Dtype::I8 => Element::I8,
        Dtype::U16 => Element::U16,
        Dtype::I16 => Element::I16,
        Dtype::U32 => Element::U32,
        Dtype::I32 => Element::I32,
        Dtype::U64 => Element::U64,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        _ => return None,
    })
}

/// The one key beside the tensors: one key has one order, and the same answer the same bytes.
const NOTE: &str = "latentd";

/// The arrays and a note about them; none where a shape does not have as many values as are given.
pub fn encode(arrays: &[Named<'_>], note: String) -> Option<Vec<u8>> {
    let bytes: Vec<(Dtype, Vec<u8>)> = arrays
        .iter()
        .map(|array| match array.values {
            Values::Floats(values) => {
                let mut bytes = Vec::new();
                array::append(&mut bytes, values);
                (Dtype::F32, bytes)
            }
            Values::Whole(values) => (
                Dtype::I64,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
        })
        .collect();
    let views: Option<Vec<(&str, TensorView<'_>)>> = arrays
        .iter()
        .zip(&bytes)
        .map(|(array, (dtype, bytes))| {
            let view = TensorView::new(*dtype, array.shape.clone(), bytes).ok()?;
            Some((array.name, view))
        })
        .collect();
    let note = HashMap::from([(NOTE.to_owned(), note)]);
    safetensors::serialize(views?, Some(note)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
        let view = TensorView::new(dtype, shape.to_vec(), data).expect("fits");
        safetensors::serialize([(name, view)], None).expect("writes")
    }

    #[test]
    fn what_is_written_is_read() {
        let array = Named {
            name: "inputs",
            shape: vec![2, 1, 3],
            values: Values::Floats(&[0.0, 0.5, -1.0, 1e-30, 3.25, 7.0]),
        };
        let bytes = encode(&[array], "a note".to_owned()).expect("writes");
        let (shape, values) = decode_f32(&bytes, "inputs", 6).expect("reads");
        assert_eq!(shape, [2, 1, 3]);
        assert_eq!(values, [0.0, 0.5, -1.0, 1e-30, 3.25, 7.0]);
    }

    #[test]
    fn bytes_become_shares_of_255() {
        let bytes = body("inputs", Dtype::U8, &[1, 2], &[0, 255]);
        assert_eq!(
            decode_f32(&bytes, "inputs", 2).expect("reads").1,
            [0.0, 1.0]
        );
    }

    #[test]
    fn what_cannot_be_taken_is_told() {
        let told = |bytes: &[u8]| decode_f32(bytes, "inputs", 4).unwrap_err().to_string();
        assert!(told(b"no").contains("not a safetensors file"));
        let float = 1.0_f32.to_le_bytes();
        assert!(told(&body("x", Dtype::F32, &[1], &float)).contains("'x'"));
        assert!(told(&body("inputs", Dtype::BF16, &[2], &float)).contains("BF16"));
        assert!(told(&body("inputs", Dtype::F32, &[0], &[])).contains("no rows"));
        let nan = f32::NAN.to_le_bytes();
        assert!(told(&body("inputs", Dtype::F32, &[1, 1], &nan)).contains("row 0, column 0"));
        assert!(told(&body("inputs", Dtype::F32, &[5], &[0; 20])).contains("at most 4"));
        let cut = body("inputs", Dtype::F32, &[1], &float);
        assert!(told(&cut[..cut.len() - 1]).contains("not a safetensors file"));
        let name = "x".repeat(70_000);
        assert!(told(&body(&name, Dtype::F32, &[1], &float)).contains("more than 65536"));
        let empty: [(&str, TensorView<'_>); 0] = [];
        let empty = safetensors::serialize(empty, None).expect("writes");
        assert!(told(&empty).contains("no tensor named 'inputs'"));
    }
}
