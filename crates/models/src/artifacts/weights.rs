//! Named tensors as safetensors bytes. The same tensors and note always give the same bytes, so equal
//! digests mean equal weights.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::nn::Tensors;

/// The one metadata key: one key has one order.
const NOTE: &str = "latentd";

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("not a safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    #[error("tensor '{0}' has a type this version does not store")]
    Type(String),
    #[error("the file's own note cannot be read: {0}")]
    Note(#[from] serde_json::Error),
    #[error("the file has no note of latentd's")]
    NoNote,
}

/// Serialises tensors (f32, f64 or i64, any device) with a note about them.
pub fn encode(tensors: &Tensors, note: &impl Serialize) -> Result<Vec<u8>, WeightsError> {
    let mut blobs = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let dtype = match tensor.kind() {
            Kind::Float => Dtype::F32,
            Kind::Double => Dtype::F64,
            Kind::Int64 => Dtype::I64,
            _ => return Err(WeightsError::Type(name.clone())),
        };
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        let shape: Vec<usize> = tensor
            .size()
            .iter()
            .map(|&d| usize::try_from(d).unwrap_or(0))
            .collect();
        let mut bytes = vec![0; tensor.numel() * dtype.bitsize() / 8];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        blobs.push((name, dtype, shape, bytes));
    }
    let views = blobs
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, WeightsError>>()?;
    let note = HashMap::from([(NOTE.to_owned(), serde_json::to_string(note)?)]);
    Ok(safetensors::serialize(views, Some(note))?)
}

/// The tensors and the note of [`encode`]'s bytes. Of another program's file the note is null.
pub fn decode<N: DeserializeOwned>(bytes: &[u8]) -> Result<(Tensors, N), WeightsError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let note = match header.metadata().as_ref().and_then(|m| m.get(NOTE)) {
        Some(note) => serde_json::from_str(note)?,
        None => serde_json::from_value(Value::Null).map_err(|_| WeightsError::NoNote)?,
    };
    let mut tensors = Tensors::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::I64 => Kind::Int64,
            _ => return Err(WeightsError::Type(name.to_owned())),
        };
        let shape: Vec<i64> = view
            .shape()
            .iter()
            .map(|&d| i64::try_from(d).unwrap_or(0))
            .collect();
        tensors.insert(
            name.to_owned(),
            Tensor::from_data_size(view.data(), &shape, kind),
        );
    }
    Ok((tensors, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_to_the_last_bit_and_equal_sets_give_equal_bytes()
    -> Result<(), WeightsError> {
        let tensors = Tensors::from([
            (
                "w".to_owned(),
                Tensor::from_slice(&[1.0_f32, f32::MIN_POSITIVE, -0.0]).view([3, 1]),
            ),
            ("steps".to_owned(), Tensor::from_slice(&[7_i64])),
            (
                "sums".to_owned(),
                Tensor::from_slice(&[0.1_f64, -1e300, f64::MIN_POSITIVE]),
            ),
            (
                "empty".to_owned(),
                Tensor::zeros([0], (Kind::Float, Device::Cpu)),
            ),
        ]);
        let bytes = encode(&tensors, &"a note")?;
        assert_eq!(bytes, encode(&tensors, &"a note")?);
        let (back, note): (Tensors, String) = decode(&bytes)?;
        assert_eq!(note, "a note");
        for (name, tensor) in &tensors {
            assert_eq!(tensor.size(), back[name].size(), "{name}");
            assert_eq!(tensor.kind(), back[name].kind(), "{name}");
            assert_eq!(tensor, &back[name], "{name}");
        }
        assert!(decode::<String>(&bytes[..bytes.len() - 1]).is_err());
        Ok(())
    }
}
