//! Pages of things, newest first.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Problem, Result};
pub use crate::clock::rfc3339;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Things on the page, from 1 to 200. Default 20.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// The `last_id` of the page before.
    pub after: Option<String>,
}

/// The number of things on a page, its bounds checked.
pub fn page_limit(limit: Option<u32>, most: u32) -> Result<u32> {
    let limit = limit.unwrap_or(20.min(most));
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::field(
            "/limit",
            format!("query parameter: must be between 1 and {most}, got {limit}"),
        ))
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListObject {
    List,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    #[schema(inline)]
    object: ListObject,
    data: Vec<T>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl<T> List<T> {
    pub fn of(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> String) -> Self {
        Self {
            object: ListObject::List,
            first_id: data.first().map(&id),
            last_id: data.last().map(&id),
            data,
            has_more,
        }
    }
}
