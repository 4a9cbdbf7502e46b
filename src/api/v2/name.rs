//! How a path says what is asked: a model as elsewhere (`name`, `name:3`, `name@alias`), and a verb behind it
//! (`name:decode`), since the protocol has no place for one.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::api::models::verbs::{is_verb, require_offered, unanswered};
use crate::api::problem::{Code, Problem, Result};
use crate::store::ModelVersion;
use crate::verbs::{self, VERBS, Verb};

/// A model and a verb, as a path names them.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// As the client wrote it: answers repeat it.
    pub shown: String,
    /// The model alone.
    pub reference: String,
    /// Whether the path goes on with `/versions/{version}`.
    pub of_version: bool,
    verb: Option<String>,
}

impl Named {
    /// Reads the path's model and, where it has one, its version.
    pub fn read(model: &str, version: Option<&str>) -> Result<Self> {
        let (reference, verb) = match model.rsplit_once(':') {
            Some((rest, word)) if is_verb(word) => (rest, Some(word.to_owned())),
            Some((_, word)) if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) => {
                let text = format!("there is no verb \"{word}\"");
                return Err(Problem::not_found(text));
            }
            _ => (model, None),
        };
        let reference = match version {
            None => reference.to_owned(),
            Some(_) if reference.contains([':', '@']) => {
                let text = "the version is named twice: in the name and behind it";
                return Err(Problem::new(Code::Malformed, text));
            }
            Some(version) => format!("{reference}:{version}"),
        };
        Ok(Self {
            shown: model.to_owned(),
            reference,
            of_version: version.is_some(),
            verb,
        })
    }

    /// The verb that is asked of this version, which offers it; where none is named, the one that VERBS prefers.
    pub fn verb(&self, version: &ModelVersion) -> Result<&'static Verb> {
        let offers = |verb: &&Verb| version.capabilities.iter().any(|c| c == verb.name);
        let preferred = || {
            VERBS
                .iter()
                .filter(offers)
                .min_by_key(|verb| verb.preference)
        };
        let name = match &self.verb {
            Some(name) => name,
            None => preferred().map_or("predict", |verb| verb.name),
        };
        require_offered(version, name)?;
        verbs::find(name).ok_or_else(|| unanswered(name))
    }
}

/// From `/{model}` or `/{model}/versions/{version}`.
impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let path = Path::<Vec<String>>::from_request_parts(parts, state).await;
        let Path(names) = path.map_err(IntoResponse::into_response)?;
        let model = names.first().map_or("", String::as_str);
        Self::read(model, names.get(1).map(String::as_str)).map_err(IntoResponse::into_response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(model: &str, version: Option<&str>) -> Option<(String, Option<String>)> {
        let named = Named::read(model, version).ok()?;
        assert_eq!(named.shown, model);
        Some((named.reference, named.verb))
    }

    #[test]
    fn a_verb_stands_behind_the_last_colon() {
        let found = |reference: &str, verb: Option<&str>| {
            Some((reference.to_owned(), verb.map(str::to_owned)))
        };
        for (model, version, wanted) in [
            ("net", None, found("net", None)),
            ("net:3", None, found("net:3", None)),
            ("net:decode", None, found("net", Some("decode"))),
            ("net:3:decode", None, found("net:3", Some("decode"))),
            ("net@best:score", None, found("net@best", Some("score"))),
            ("net@best", None, found("net@best", None)),
            ("net:score", Some("2"), found("net:2", Some("score"))),
            ("net", Some("x"), found("net:x", None)),
            ("net:shout", None, None),
            ("net:", None, None),
            ("net:3", Some("3"), None),
            ("net@best", Some("3"), None),
        ] {
            assert_eq!(read(model, version), wanted, "{model} {version:?}");
        }
    }
}
