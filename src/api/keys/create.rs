//! `POST /v1/keys`.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeyResponse;
use crate::api::extract::Json;
use crate::api::problem::{Problem, Result};
use crate::api::responses::made;
use crate::api::state::AppState;
use crate::clock::{now_ms, parse_rfc3339};
use crate::document::{FieldError, Ranges, Rules};
use crate::jobs::check_name;
use crate::keys::{Globs, Grant, Key, KeyLimits, KeyToken, Scope};

/// What a new key may do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// Taken by no other key: the audit log names it.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    pub name: String,
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// Names of models that it reaches, `*` standing for any text. Default: every name.
    #[schema(required = false)]
    pub models: Option<Vec<String>>,
    /// The same of data sets.
    #[schema(required = false)]
    pub datasets: Option<Vec<String>>,
    #[serde(default)]
    #[schema(required = false)]
    pub limits: KeyLimits,
    /// When it stops being one. Default: never.
    #[schema(required = false, format = DateTime)]
    pub expires_at: Option<String>,
}

/// Make an API key
// The answer is the only one that shows the key. A key gives away no more than it has itself.
#[utoipa::path(post, path = "/v1/keys", operation_id = "create_key",
    request_body = KeyRequest,
    responses(
        (status = 201, description = "Made; `key` is shown here and never again", body = KeyResponse),
        (status = 403, description = "It would go beyond the key that asks"),
        (status = 409, description = "Another key has this name"),
    ))]
pub async fn create(app: AppState, Json(request): Json<KeyRequest>) -> Result<Response> {
    let grant = request.granted().map_err(Problem::fields)?;
    if let Some(asking) = app.caller.key()
        && let Err(excess) = asking.grant.covers(&grant)
    {
        return Err(Problem::forbidden(format!(
            "{}: {excess}",
            excess.pointer().trim_start_matches('/').replace('/', ".")
        )));
    }
    let token = KeyToken::fresh().map_err(Problem::internal)?;
    let key = Key {
        id: token.id.clone(),
        name: request.name,
        hash: token.hash(),
        grant,
        created_by: app.caller.id().map(str::to_owned),
        created_at: now_ms(),
        last_used_at: None,
    };
    app.store.insert_key(&key).await?;
    app.access.keyring.reload(&app.store).await?;
    let path = format!("/v1/keys/{}", key.id);
    let shown = KeyResponse {
        key: Some(token.text()),
        ..key.into()
    };
    made(StatusCode::CREATED, &path, shown)
}

impl KeyRequest {
    /// What it grants, once every rule is checked.
    pub fn granted(&self) -> Result<Grant, Vec<FieldError>> {
        granted(self)
    }
}

fn granted(request: &KeyRequest) -> Result<Grant, Vec<FieldError>> {
    let mut rules = Rules::default();
    let limits = serde_json::to_value(request.limits).unwrap_or_default();
    rules.extend(Ranges::of::<KeyLimits>().broken(&limits, "/limits"));
    if let Err(error) = check_name(&request.name) {
        rules.require(false, "/name", error.to_string());
    }
    let like_an_id =
        request.name.len() == 20 && request.name.bytes().all(|b| b.is_ascii_hexdigit());
    rules.require(
        request.name != "me" && !like_an_id,
        "/name",
        "must be neither `me` nor look like an id",
    );
    let mut scopes = request.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    rules.require(
        !scopes.is_empty(),
        "/scopes",
        "must name at least one scope",
    );
    let mut globs = |pointer: &str, patterns: &Option<Vec<String>>| match patterns {
        None => Globs::default(),
        Some(patterns) => Globs::of(patterns.clone()).unwrap_or_else(|error| {
            rules.require(false, pointer, error.to_string());
            Globs::default()
        }),
    };
    let models = globs("/models", &request.models);
    let datasets = globs("/datasets", &request.datasets);
    let expires_at = request.expires_at.as_deref().map(parse_rfc3339);
    match expires_at {
        Some(None) => rules.require(
            false,
            "/expires_at",
            "must be a time as RFC 3339 writes it, such as 2027-01-31T12:00:00Z",
        ),
        Some(Some(at)) if at <= now_ms() => {
            rules.require(false, "/expires_at", "must be in the future");
        }
        _ => {}
    }
    let broken = rules.broken();
    if !broken.is_empty() {
        return Err(broken);
    }
    Ok(Grant {
        scopes,
        models,
        datasets,
        limits: request.limits,
        expires_at: expires_at.flatten(),
    })
}
