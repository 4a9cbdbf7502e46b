//! The keys as they are held against requests: in memory, and read again when they may have changed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use axum::http::{HeaderMap, header};

use crate::api::problem::{Code, Problem, Result};
use crate::clock::{now_ms, rfc3339};
use crate::keys::{Bucket, Key, KeyToken, Taken};
use crate::store::{Store, StoreError};

/// The header for those who cannot send `Authorization`.
pub const API_KEY: &str = "x-api-key";

pub struct Keyring {
    /// Whether keys are asked for though there may be none.
    always: bool,
    required: AtomicBool,
    known: RwLock<HashMap<String, Arc<Key>>>,
    used: Mutex<HashMap<String, Use>>,
    /// Requests without a key that the audit log may still be told of.
    refusals: Mutex<Bucket>,
    since: Instant,
}

/// Refusals a second that the audit log is told of: anybody can cause them, and the disk is finite.
const REFUSALS_PER_SECOND: u32 = 10;

/// What is remembered of a key between two looks at the database.
struct Use {
    bucket: Bucket,
    /// Refusals that the audit log may still be told of.
    refusals: Bucket,
    /// Of the last request, and not yet written down.
    at: Option<i64>,
}

impl Keyring {
    pub fn new(always: bool) -> Self {
        Self {
            always,
            required: AtomicBool::new(always),
            known: RwLock::default(),
            used: Mutex::default(),
            refusals: Mutex::new(Bucket::full(REFUSALS_PER_SECOND, 0)),
            since: Instant::now(),
        }
    }

    /// Whether a request needs a key: as soon as there is one.
    pub fn is_required(&self) -> bool {
        self.required.load(Ordering::Acquire)
    }

    pub fn is_empty(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.is_empty()
    }

    /// Reads the keys again: keys are made and revoked by other processes too.
    pub async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let keys = store.keys().await?;
        let known: HashMap<_, _> = keys
            .into_iter()
            .map(|key| (key.id.clone(), Arc::new(key)))
            .collect();
        // For as long as the process lives: revoking the last key must not open the service to everybody.
        let required = self.is_required() || self.always || !known.is_empty();
        self.used().retain(|id, _| known.contains_key(id));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.required.store(required, Ordering::Release);
        Ok(())
    }

    /// Writes down when keys were last used.
    pub async fn note_use(&self, store: &Store) -> Result<(), StoreError> {
        let used: Vec<(String, i64)> = {
            let mut used = self.used();
            let noted = used.iter_mut();
            noted
                .filter_map(|(id, usage)| Some((id.clone(), usage.at.take()?)))
                .collect()
        };
        if used.is_empty() {
            return Ok(());
        }
        store.touch_keys(&used).await
    }

    /// The key that a request shows.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Key>> {
        let Some(token) = shown(headers)? else {
            return Err(unauthorized(
                "this service asks for an API key: send `Authorization: Bearer lk_…` or `X-Api-Key: lk_…`",
            ));
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&token.id).map(Arc::clone);
        drop(known);
        // One text for a key that never was and for a wrong secret: which ids there are is nobody's business.
        let key = found
            .filter(|key| token.is_of(&key.hash))
            .ok_or_else(|| unauthorized("there is no such API key"))?;
        let now = now_ms();
        if key.grant.has_expired(now) {
            let at = key.grant.expires_at.map_or_else(String::new, rfc3339);
            return Err(unauthorized(format!("this API key expired at {at}")));
        }
        Ok(key)
    }

    /// Whether a key that was let in is still one.
    pub fn stands(&self, key: &Key) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.contains_key(&key.id) && !key.grant.has_expired(now_ms())
    }

    /// Counts a request of this key, which is refused where there are too many; what is left of its rate, if it has
    /// one.
    pub fn count(&self, key: &Key) -> Option<Taken> {
        let rate = key.grant.limits.requests_per_second;
        let now = self.now();
        let mut used = self.used();
        let usage = used.entry(key.id.clone()).or_insert_with(|| Use {
            bucket: Bucket::full(rate.unwrap_or(1), now),
            refusals: Bucket::full(REFUSALS_PER_SECOND, now),
            at: None,
        });
        usage.at = Some(now_ms());
        rate.map(|rate| usage.bucket.take(rate, now))
    }

    /// Whether one more refusal is written to the audit log: of a key, or of a request without one. Those of one do
    /// not crowd out the others.
    pub fn notes_refusal(&self, key: Option<&Key>) -> bool {
        if let Some(key) = key {
            let now = self.now();
            let mut used = self.used();
            let usage = used.get_mut(&key.id);
            return usage
                .is_some_and(|usage| usage.refusals.take(REFUSALS_PER_SECOND, now).allowed);
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.take(REFUSALS_PER_SECOND, self.now()).allowed
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn used(&self) -> MutexGuard<'_, HashMap<String, Use>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key in the headers, if there is one.
fn shown(headers: &HeaderMap) -> Result<Option<KeyToken>> {
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let bearer = match (authorizations.next(), authorizations.next()) {
        (Some(value), None) => {
            let text = value.to_str().unwrap_or_default();
            let (scheme, token) = text.split_once(' ').unwrap_or_default();
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(unauthorized(
                    "the Authorization header must be `Bearer lk_…`",
                ));
            }
            Some(token.trim())
        }
        (Some(_), Some(_)) => return Err(unauthorized("there are several Authorization headers")),
        (None, _) => None,
    };
    let mut keys = headers.get_all(API_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(value), None) => Some(value.to_str().unwrap_or_default().trim()),
        (Some(_), Some(_)) => return Err(unauthorized("there are several X-Api-Key headers")),
        (None, _) => None,
    };
    let text = match (bearer, key) {
        (Some(a), Some(b)) if a != b => {
            return Err(unauthorized(
                "Authorization and X-Api-Key show different keys",
            ));
        }
        (Some(text), _) | (None, Some(text)) => text,
        (None, None) => return Ok(None),
    };
    match KeyToken::parse(text) {
        Some(token) => Ok(Some(token)),
        None => Err(unauthorized("there is no such API key")),
    }
}

fn unauthorized(detail: impl Into<String>) -> Problem {
    Problem::new(Code::Unauthorized, detail)
}
