//! One verb asked of one model: its options read, the call made. What was asked in which protocol, and how the
//! answer is written, is not known here.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::find_version;
use super::resolve::Resolved;
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::inference::{CallError, Input, Permit, Reply, RequestOptions};
use crate::store::ModelVersion;
use crate::verbs::{self, Operation, RowKind, Verb};

/// Whether some model may answer to this word, now or one day.
pub fn is_verb(word: &str) -> bool {
    verbs::RESERVED.contains(&word) || verbs::find(word).is_some()
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

/// For a verb that a newer version of the program may have published a model with.
pub fn unanswered(name: &str) -> Problem {
    Problem::new(
        Code::UnsupportedOperation,
        format!("this server does not answer '{name}'"),
    )
}

/// The verb with these options.
pub fn operation_of(verb: &Verb, options: Map<String, Value>) -> Result<Operation> {
    (verb.read)(&Value::Object(options)).map_err(|e| Problem::fields(vec![e]))
}

/// The answer of a verb that the model offers. `permit` is held by the request for as long as this takes.
pub async fn ask(
    app: &AppState,
    found: &Resolved,
    operation: Operation,
    input: Option<Input>,
    terms: RequestOptions,
    permit: &Permit,
) -> Result<Reply> {
    let input = require_input(&operation, input)?;
    let call = operation.on(input);
    let source = Arc::clone(&found.source);
    let asked = app.engine.call(source, call, terms, Some(permit)).await;
    if let Err(CallError::Load(_)) = &asked {
        // Deleted while the call waited: there is no such version any more, and nothing has failed.
        let ModelVersion { name, version, .. } = &found.version;
        find_version(app, &format!("{name}:{version}")).await?;
    }
    Ok(asked?)
}

fn require_input(operation: &Operation, input: Option<Input>) -> Result<Input> {
    match (operation.options.row_kind(), input) {
        (RowKind::None | RowKind::Ends, None) => Ok(Input::default()),
        (RowKind::None, Some(_)) => {
            let rule = format!("{} takes no inputs", operation.options.verb());
            Err(Problem::field("/inputs", rule))
        }
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
    use serde_json::json;

    use super::*;
    use crate::verbs::VERBS;

    #[test]
    fn every_verb_is_read_under_its_own_name() {
        for verb in VERBS {
            let options = match verb.name {
                "inpaint" => json!({"mask": [1, 0]}),
                _ => json!({}),
            };
            let Value::Object(options) = options else {
                panic!("not an object")
            };
            let operation = operation_of(verb, options).expect(verb.name);
            assert_eq!(operation.options.verb(), verb.name);
        }
        let unknown = [("layr".to_owned(), json!(1))].into_iter().collect();
        let problem = operation_of(&VERBS[0], unknown).expect_err("unknown");
        assert!(format!("{problem:?}").contains("/layr"), "{problem:?}");
        assert!(is_verb("topics") && is_verb("score") && !is_verb("shout"));
    }
}
