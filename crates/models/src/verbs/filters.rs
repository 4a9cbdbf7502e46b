//! The first layer's weights as pictures: asked like a verb, but none that a client names.

use serde::Deserialize;
use utoipa::ToSchema;

use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Options, RowKind};
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
pub struct FiltersOptions {}

pub trait Filters {
    /// What each first-layer unit looks for: `[units, features]`.
    fn filters(&self) -> tch::Tensor;
}

impl Options for FiltersOptions {
    fn run(&self, call: &Context<'_>, _rng: &mut Rng) -> Result<Reply, CallError> {
        let filters = call.part(call.model.filters())?.filters();
        Ok(Reply::of(filters, call.shape()))
    }

    fn may_batch(&self) -> bool {
        false
    }

    fn answers_row_by_row(&self) -> bool {
        false
    }
}

impl Define for FiltersOptions {
    const NAME: &'static str = "filters";
    const SUMMARY: &'static str = "What the first layer's units look for";
    const ABOUT: &'static str = "The weights of each unit.";
    const ROWS: RowKind = RowKind::None;
    const PREFERENCE: u8 = u8::MAX;
}
