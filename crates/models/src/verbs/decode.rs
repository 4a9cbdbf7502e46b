//! `decode`: codes to the rows that they stand for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[cfg(test)]
use super::Model;
#[cfg(test)]
use super::call::{Call, Example, Input};
use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Options, RowKind};
use crate::nn::model::Rows;
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeOptions {
    /// Class of each row, for models conditioned on labels.
    pub labels: Option<Vec<i64>>,
}

pub trait Decoder {
    /// `[rows, code] -> [rows, features]`.
    fn decode(&self, codes: &Rows) -> tch::Tensor;
}

impl Options for DecodeOptions {
    fn run(&self, call: &Context<'_>, _rng: &mut Rng) -> Result<Reply, CallError> {
        let decoder = call.part(call.model.decoder())?;
        let codes = call.rows(&call.part(call.model.code_shape())?)?;
        Ok(Reply::of(decoder.decode(&codes), call.shape()))
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }
}

impl Define for DecodeOptions {
    const NAME: &'static str = "decode";
    const SUMMARY: &'static str = "Codes to outputs";
    const ABOUT: &'static str = "The row that each code stands for; `inputs` are codes.";
    const ROWS: RowKind = RowKind::Code;
    const PREFERENCE: u8 = 5;

    /// As many codes as rows, each of one number of its row again and again.
    #[cfg(test)]
    fn example(model: &dyn Model, rows: &Example) -> Call {
        let Input { rows, values, labels } = rows.input.clone();
        let width: i64 = model.code_shape().unwrap_or_default().iter().product();
        let firsts = values.chunks(values.len() / rows).map(|row| row[0]);
        let codes = firsts.flat_map(|first| vec![first; usize::try_from(width).unwrap_or(0)]);
        let input = Input {
            rows,
            values: codes.collect(),
            labels,
        };
        Call::of(Self::default(), input)
    }
}
