//! What answers have in common: pages of things, newest first; the path of what was made; how times are written.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Problem, Result};
pub use crate::clock::rfc3339;
use crate::store::{Page, StoreError};

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

impl PageQuery {
    pub fn bounds(&self) -> Result<(u32, Option<&str>)> {
        Ok((page_limit(self.limit, 200)?, self.after.as_deref()))
    }
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

/// What handlers of lists return.
pub type Listed<T> = Result<Json<List<T>>>;

impl<T> List<T> {
    /// A page as the store has it.
    pub fn page<S>(page: Page<S>, show: impl Fn(S) -> T, id: impl Fn(&T) -> String) -> Json<Self> {
        let data = page.items.into_iter().map(show).collect();
        Json(Self::of(data, page.has_more, id))
    }

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

/// A page of what whoever asks may see: the first that shows something, since most may be for others. `next` reads
/// the page behind an id.
pub async fn visible<T, F: Future<Output = Result<Page<T>, StoreError>>>(
    mut after: Option<String>,
    next: impl Fn(Option<String>) -> F,
    shows: impl Fn(&T) -> bool,
    id: impl Fn(&T) -> &str,
) -> Result<Page<T>> {
    loop {
        let mut page = next(after).await?;
        after = page.items.last().map(|last| id(last).to_owned());
        page.items.retain(&shows);
        if !page.items.is_empty() || !page.has_more {
            return Ok(page);
        }
    }
}

/// An answer that comes bit by bit: proxies that heed this header hand it on as it comes.
pub fn unbuffered(mut response: Response) -> Response {
    let header = HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(header, HeaderValue::from_static("no"));
    response
}

/// Something was made, or is to be: it, and its path.
pub fn made(status: StatusCode, path: &str, body: impl Serialize) -> Result<Response> {
    let location = HeaderValue::from_str(path).map_err(Problem::internal)?;
    Ok((status, [(header::LOCATION, location)], Json(body)).into_response())
}
