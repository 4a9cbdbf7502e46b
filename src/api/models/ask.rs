//! One verb asked of one model: its name and options made a [`Verb`], the call made. What was asked in which
//! protocol, and how the answer is written, is not known here.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::find_version;
use super::resolve::Resolved;
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::document::{self, FieldError};
use crate::inference::{Call, CallError, Input, Permit, Reply, RequestOptions, Verb};
use crate::store::ModelVersion;

type Reader = fn(&Value) -> Result<Verb, FieldError>;

/// The verbs that models answer, each with the reader of its options.
const VERBS: [(&str, Reader); 9] = [
    ("encode", |options| read(options).map(Verb::Encode)),
    ("decode", |options| read(options).map(Verb::Decode)),
    ("reconstruct", |options| {
        read(options).map(Verb::Reconstruct)
    }),
    ("denoise", |options| read(options).map(Verb::Denoise)),
    ("generate", |options| read(options).map(Verb::Generate)),
    ("score", |options| read(options).map(Verb::Score)),
    ("inpaint", |options| read(options).map(Verb::Inpaint)),
    ("interpolate", |options| {
        read(options).map(Verb::Interpolate)
    }),
    ("predict", |options| read(options).map(Verb::Predict)),
];

/// Verbs of the contract that wait for their families.
const LATER: [&str; 3] = ["transform", "recommend", "topics"];

fn read<O: DeserializeOwned>(options: &Value) -> Result<O, FieldError> {
    document::read(options, "")
}

/// Whether some model may answer to this word, now or one day.
pub fn is_verb(word: &str) -> bool {
    LATER.contains(&word) || VERBS.iter().any(|(name, _)| *name == word)
}

/// Refused before the request is read: what is wrong with it would not matter.
pub fn require_offered(version: &ModelVersion, verb: &str) -> Result<()> {
    if version.capabilities.iter().any(|offered| offered == verb) {
        return Ok(());
    }
    let offered = version.capabilities.join(", ");
    Err(Problem::new(
        Code::UnsupportedOperation,
        format!("this model does not offer '{verb}'; it offers: {offered}"),
    ))
}

/// The verb of this name with its options.
pub fn verb_of(name: &str, options: Map<String, Value>) -> Result<Verb> {
    let Some((_, reader)) = VERBS.iter().find(|(verb, _)| *verb == name) else {
        // A newer version of the program may have published a model that offers it.
        return Err(Problem::new(
            Code::UnsupportedOperation,
            format!("this server does not answer '{name}'"),
        ));
    };
    reader(&Value::Object(options)).map_err(|e| Problem::fields(vec![e]))
}

/// The answer of a verb that the model offers. `permit` is held by the request for as long as this takes.
pub async fn ask(
    app: &AppState,
    found: &Resolved,
    verb: Verb,
    input: Option<Input>,
    terms: RequestOptions,
    permit: &Permit,
) -> Result<Reply> {
    let call = Call {
        input: require_input(&verb, input)?,
        verb,
    };
    let source = Arc::clone(&found.source);
    let asked = app.engine.call(source, call, terms, Some(permit)).await;
    if let Err(CallError::Load(_)) = &asked {
        // Deleted while the call waited: there is no such version any more, and nothing has failed.
        let ModelVersion { name, version, .. } = &found.version;
        find_version(app, &format!("{name}:{version}")).await?;
    }
    Ok(asked?)
}

fn require_input(verb: &Verb, input: Option<Input>) -> Result<Input> {
    match (verb, input) {
        (Verb::Generate(_) | Verb::Interpolate(_), None) => Ok(Input::default()),
        (Verb::Generate(_), Some(_)) => Err(Problem::field("/inputs", "generate takes no inputs")),
        (_, Some(input)) if input.rows > 0 => Ok(input),
        (_, Some(_)) => Err(Problem::field("/inputs", "must have at least one row")),
        (_, None) => Err(Problem::field(
            "/inputs",
            "is missing: give inputs, or rows of a data set",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_verb_is_read_under_its_own_name() {
        for (name, _) in VERBS {
            let options = match name {
                "inpaint" => json!({"mask": [1, 0]}),
                _ => json!({}),
            };
            let Value::Object(options) = options else {
                panic!("not an object")
            };
            assert_eq!(verb_of(name, options).expect(name).name(), name);
        }
        let unknown = [("layr".to_owned(), json!(1))].into_iter().collect();
        let problem = verb_of("encode", unknown).expect_err("unknown");
        assert!(format!("{problem:?}").contains("/layr"), "{problem:?}");
        assert!(is_verb("topics") && is_verb("score") && !is_verb("shout"));
    }
}
