//! `/v1/keys` and `/v1/audit`: who may do what, and who did it.

pub mod audit;
pub mod create;
pub mod item;
pub mod me;

use serde::Serialize;
use utoipa::ToSchema;

use super::responses::rfc3339;
use crate::keys::{Globs, Key, KeyLimits, Scope};

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyResponse {
    pub id: String,
    pub name: String,
    /// The beginning of the key, by which its owner can tell it.
    #[schema(example = "lk_01931f0a2b3c7d4e5f60_…")]
    pub prefix: String,
    pub scopes: Vec<Scope>,
    /// Names of models, and of the jobs that make them, that it reaches.
    pub models: Globs,
    /// Names of data sets that it reaches.
    pub datasets: Globs,
    pub limits: KeyLimits,
    /// The id of the key that made it; null for one that was made at the command line.
    pub created_by: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// To the minute.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// The whole key, in the answer that made it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl From<Key> for KeyResponse {
    fn from(key: Key) -> Self {
        Self {
            prefix: format!("lk_{}_…", key.id),
            id: key.id,
            name: key.name,
            scopes: key.grant.scopes,
            models: key.grant.models,
            datasets: key.grant.datasets,
            limits: key.grant.limits,
            created_by: key.created_by,
            created_at: rfc3339(key.created_at),
            expires_at: key.grant.expires_at.map(rfc3339),
            last_used_at: key.last_used_at.map(rfc3339),
            key: None,
        }
    }
}
