//! The number types of the protocol, and tensors of them as the models' floats.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::data::import::element::{Element, Layout, finite_f32};

/// How the values of a tensor are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TensorDatatype)]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    /// Strings; only answers to `classification` have them.
    Bytes,
}

impl Datatype {
    /// The numbers that tensors of this type hold; none for strings.
    pub(super) fn element(self) -> Option<Element> {
        Some(match self {
            Self::Bool => Element::Bool,
            Self::Uint8 => Element::U8,
            Self::Uint16 => Element::U16,
            Self::Uint32 => Element::U32,
            Self::Uint64 => Element::U64,
            Self::Int8 => Element::I8,
            Self::Int16 => Element::I16,
            Self::Int32 => Element::I32,
            Self::Int64 => Element::I64,
            Self::Fp16 => Element::F16,
            Self::Fp32 => Element::F32,
            Self::Fp64 => Element::F64,
            Self::Bytes => return None,
        })
    }

    /// Its name in a model's configuration.
    pub fn config_name(self) -> String {
        let name = serde_json::to_value(self).unwrap_or_default();
        format!("TYPE_{}", name.as_str().unwrap_or_default())
    }

    /// Whether a number written in JSON is one of this type.
    fn holds(self, value: f32) -> bool {
        let whole_from =
            |low: f64, high: f64| value.fract() == 0.0 && (low..=high).contains(&f64::from(value));
        match self {
            Self::Bool => value == 0.0 || value == 1.0,
            Self::Uint8 => whole_from(0.0, 255.0),
            Self::Uint16 => whole_from(0.0, 65_535.0),
            Self::Uint32 => whole_from(0.0, 4_294_967_296.0),
            Self::Uint64 => whole_from(0.0, f64::INFINITY),
            Self::Int8 => whole_from(-128.0, 127.0),
            Self::Int16 => whole_from(-32_768.0, 32_767.0),
            Self::Int32 => whole_from(-2_147_483_648.0, 2_147_483_648.0),
            Self::Int64 => whole_from(f64::NEG_INFINITY, f64::INFINITY),
            Self::Fp16 | Self::Fp32 | Self::Fp64 => true,
            Self::Bytes => false,
        }
    }

    /// The first of these numbers that is not one of this type.
    pub fn misfit(self, values: &[f32]) -> Option<f32> {
        values.iter().copied().find(|&value| !self.holds(value))
    }
}

/// Little-endian values as floats; `bytes` hold whole ones.
pub(super) fn floats(element: Element, bytes: &[u8]) -> Result<Vec<f32>, String> {
    let layout = Layout {
        element,
        big_endian: false,
    };
    let mut values = Vec::with_capacity(bytes.len() / element.size());
    layout.each(bytes, |value| {
        let value = finite_f32(value).map_err(|what| format!("value {}: {what}", values.len()))?;
        values.push(value);
        Ok::<(), String>(())
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_protocols() {
        let name = |datatype| serde_json::to_value(datatype).expect("a name");
        assert_eq!(name(Datatype::Fp32), "FP32");
        assert_eq!(name(Datatype::Uint8), "UINT8");
        assert_eq!(name(Datatype::Bool), "BOOL");
        assert_eq!(Datatype::Int64.config_name(), "TYPE_INT64");
        assert!(serde_json::from_value::<Datatype>("fp32".into()).is_err());
    }

    #[test]
    fn bytes_become_floats_and_what_is_not_finite_is_named() {
        let halves = [0x00, 0x3c, 0x00, 0xc0];
        assert_eq!(floats(Element::F16, &halves), Ok(vec![1.0, -2.0]));
        let longs = [1_i64.to_le_bytes(), (-7_i64).to_le_bytes()].concat();
        assert_eq!(floats(Element::I64, &longs), Ok(vec![1.0, -7.0]));
        let odd = [1_f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat();
        let said = floats(Element::F32, &odd).expect_err("not a number");
        assert!(said.contains("value 1"), "{said}");
    }

    #[test]
    fn json_numbers_are_held_to_their_type() {
        assert_eq!(Datatype::Uint8.misfit(&[0.0, 255.0, 256.0]), Some(256.0));
        assert_eq!(Datatype::Int64.misfit(&[3.0, 0.5]), Some(0.5));
        assert_eq!(Datatype::Fp16.misfit(&[0.5, -1e9]), None);
        assert_eq!(Datatype::Bytes.misfit(&[1.0]), Some(1.0));
    }
}
