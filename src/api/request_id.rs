//! The id of the request under way: the client's own if it sent a usable one.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers.
pub fn current() -> Cow<'static, str> {
    CURRENT
        .try_with(|id| Cow::Owned(id.clone()))
        .unwrap_or(Cow::Borrowed(""))
}

/// Gives a request its id, and its response the same one.
pub async fn scope<F>(request: Request, answer: F) -> Response
where
    F: AsyncFnOnce(Request) -> Response,
{
    let given = request.headers().get(HEADER).filter(|value| {
        let id = value.to_str().unwrap_or_default();
        !id.is_empty() && id.len() <= 128
    });
    let (id, header) = match given {
        Some(value) => (
            value.to_str().unwrap_or_default().to_owned(),
            Some(value.clone()),
        ),
        None => {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let header = HeaderValue::from_str(&id).ok();
            (id, header)
        }
    };
    let mut response = CURRENT.scope(id, answer(request)).await;
    if let Some(value) = header {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
