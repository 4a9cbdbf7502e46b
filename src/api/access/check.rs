//! A request on its way in: its host and origin, its key, whether the key may do this to that, and how often.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, Response, header};
use percent_encoding::percent_decode_str;

use super::address;
use super::caller::Caller;
use super::needs::{About, Needs, Row};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::keys::{Scope, Taken};

/// Paths that are in no table and need no key: they show nothing but this program.
const OPEN: [&str; 4] = ["/docs", "/docs/", "/docs/{*rest}", "/openapi.json"];
/// The longest path that is written to the audit log.
const LONGEST_OBJECT: usize = 300;

/// What is known of a request that was let in, or was not.
#[derive(Default)]
pub struct Admitted {
    pub caller: Caller,
    /// The operation, where the path and the method are one's.
    pub operation: Option<String>,
    /// Whether the operation may change something: asking models does not.
    pub changes: bool,
    /// The path, where keys are asked for.
    pub object: Option<String>,
    pub address: Option<IpAddr>,
    /// What is left of the key's rate.
    taken: Option<(u32, Taken)>,
}

impl Admitted {
    /// Tells the key what is left of its rate.
    pub fn tell<B>(&self, response: &mut Response<B>) {
        let Some((rate, taken)) = self.taken else {
            return;
        };
        for (name, value) in [
            ("ratelimit-limit", u64::from(rate)),
            ("ratelimit-remaining", taken.remaining),
            ("ratelimit-reset", taken.reset_ms.div_ceil(1000)),
        ] {
            response
                .headers_mut()
                .insert(name, HeaderValue::from(value));
        }
    }
}

/// Lets a request in, or says why not. Whoever asked is known to the handlers from then on.
pub async fn admit(app: &AppState, request: &mut Request) -> (Admitted, Result<()>) {
    let mut admitted = Admitted::default();
    // With keys a page has nothing to gain from a name that was made to point here: it has no key.
    let required = app.access.keyring.is_required();
    if let Err(refusal) = app.access.hosts.check(request, required) {
        return (admitted, Err(refusal));
    }
    // A browser asks before it sends a page's request, and shows no key then; the origin was looked at above.
    if !required || is_preflight(request) {
        return (admitted, Ok(()));
    }
    // Boxed, since most services have no keys, and a future is moved as a whole.
    let checked = Box::pin(check(app, request, &mut admitted)).await;
    (admitted, checked)
}

fn is_preflight(request: &Request) -> bool {
    let asks = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks && request.method() == Method::OPTIONS
}

async fn check(app: &AppState, request: &mut Request, admitted: &mut Admitted) -> Result<()> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let method = match request.method() {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let rows = route.and_then(|route| app.access.operations.get(route));
    let row = rows.and_then(|rows| rows.get(method));
    let (needs, about) = match (route, rows, row) {
        (_, _, Some(row)) => (row.needs, row.about),
        (Some(route), None, _) if OPEN.contains(&route) => (Needs::Nothing, About::Nothing),
        // A path of which nothing is known.
        (Some(_), None, _) => (Needs::Scope(Scope::Admin), About::Everything),
        // What is answered there is that there is nothing, or no such method.
        (None, ..) | (Some(_), Some(_), None) => (Needs::Key, About::Nothing),
    };
    if needs == Needs::Nothing {
        return Ok(());
    }
    admitted.operation = row.map(|row| row.id.clone());
    admitted.changes = row.is_some_and(|row| method != Method::GET && changes(row));
    let path = request.uri().path();
    admitted.object = Some(path.chars().take(LONGEST_OBJECT).collect());
    admitted.address = address::client(
        request.extensions(),
        request.headers(),
        &app.access.trusted_proxies,
    );
    let key = app.access.keyring.authenticate(request.headers())?;
    admitted.caller = Caller::with(Arc::clone(&key));
    if let (Some(taken), Some(rate)) = (
        app.access.keyring.count(&key),
        key.grant.limits.requests_per_second,
    ) {
        admitted.taken = Some((rate, taken));
        if !taken.allowed {
            let text = format!("this key may ask {rate} times a second");
            let seconds = taken.reset_ms.div_ceil(1000).max(1);
            return Err(Problem::new(Code::RateLimited, text).retry_after(seconds));
        }
    }
    if let Needs::Scope(scope) = needs {
        admitted.caller.require_scope(scope)?;
    }
    if !key.grant.reaches_everything() {
        let path = request.uri().path();
        require_reach(
            app,
            &admitted.caller,
            about,
            route.unwrap_or_default(),
            path,
        )
        .await?;
    }
    request.extensions_mut().insert(admitted.caller.clone());
    Ok(())
}

fn changes(row: &Row) -> bool {
    matches!(
        row.needs,
        Needs::Scope(Scope::Data | Scope::Train | Scope::Admin)
    )
}

/// Whether the key reaches what the path names. What is not there is looked for by the handler, if the key reaches
/// such a name.
async fn require_reach(
    app: &AppState,
    caller: &Caller,
    about: About,
    route: &str,
    path: &str,
) -> Result<()> {
    let named = |parameter| segment(route, path, parameter).unwrap_or_default();
    // As the handlers look things up, so that there is one rule for paths and for bodies.
    let app = app.asked_by(caller);
    let reached = match about {
        About::Nothing => Ok(()),
        About::Everything => Err(Problem::forbidden(
            "this is about all names, and this key reaches only some of them",
        )),
        About::Model => app.require_ref(&named("{model}")),
        About::Dataset => app.dataset(&named("{dataset}")).await.map(drop),
        About::Job => app.job(&named("{job}")).await.map(drop),
    };
    match reached {
        Err(problem) if problem.code() == Code::NotFound => Ok(()),
        reached => reached,
    }
}

/// The part of a path where its route has a parameter.
fn segment(route: &str, path: &str, parameter: &str) -> Option<String> {
    let at = route.split('/').position(|part| part == parameter)?;
    let text = path.split('/').nth(at)?;
    Some(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_where_its_route_has_it() {
        let route = "/v2/models/{model}/versions/{version}/infer";
        let found = segment(route, "/v2/models/net%3Aencode/versions/3/infer", "{model}");
        assert_eq!(found.as_deref(), Some("net:encode"));
        let found = segment("/v1/jobs/{job}", "/v1/jobs/a%2Fb", "{job}");
        assert_eq!(found.as_deref(), Some("a/b"));
        assert_eq!(segment("/v1/jobs", "/v1/jobs", "{job}"), None);
    }
}
