//! JSON documents from outside, read into types: what is wrong is said by the field it is wrong in.

mod ranges;
mod strict;
mod tagged;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

pub use ranges::Ranges;
pub use strict::Strict;
pub(crate) use tagged::tagged;

/// One invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field.
    pub pointer: String,
    /// The rule it breaks.
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: shortened(pointer.into(), MOST_OF_A_FIELD),
            detail: shortened(detail.into(), MOST_OF_A_FIELD),
        }
    }
}

/// What a client should know of a thing, though nothing is wrong enough to refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// Stable, for programs; docs/API.md lists them.
    #[schema(example = "unused_array")]
    pub code: String,
    /// For people.
    pub detail: String,
    /// JSON pointer to the field or form part that it is about.
    pub pointer: String,
}

impl Warning {
    pub fn new(code: &str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let FieldError { pointer, detail } = FieldError::new(pointer, detail);
        Self {
            code: code.to_owned(),
            detail,
            pointer,
        }
    }
}

/// Bytes that are told of a field. Errors quote what clients name, which can be as large as a body, or far
/// larger than a compressed one.
const MOST_OF_A_FIELD: usize = 1000;

/// The text, or its first `most` bytes and an ellipsis.
pub fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('\u{2026}');
    }
    text
}

/// The OpenAPI schema of a type, and those it refers to.
pub struct TypeSchema {
    pub name: String,
    pub schema: RefOr<Schema>,
    pub references: Vec<(String, RefOr<Schema>)>,
}

impl TypeSchema {
    pub fn of<T: ToSchema>() -> Self {
        let mut references = Vec::new();
        T::schemas(&mut references);
        Self {
            name: T::name().into_owned(),
            schema: T::schema(),
            references,
        }
    }
}

/// Reads `value` as a `T`; pointers in errors start with `base`.
pub fn read<T: DeserializeOwned>(value: &Value, base: &str) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|e| {
        let pointer = format!("{base}{}", pointer(e.path()));
        FieldError::new(pointer, e.into_inner().to_string())
    })
}

/// The JSON pointer of a path through a document.
pub fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    use std::fmt::Write;
    let mut out = String::new();
    for segment in path {
        let _ = match segment {
            Segment::Seq { index } => write!(out, "/{index}"),
            Segment::Map { key } => write!(out, "/{}", escaped(key)),
            Segment::Enum { variant } => write!(out, "/{variant}"),
            Segment::Unknown => Ok(()),
        };
    }
    out
}

/// A field's name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Collects rules that do not hold.
#[derive(Debug, Default)]
pub struct Rules(Vec<FieldError>);

impl Rules {
    /// Notes `detail` on the field unless `holds`.
    pub fn require(&mut self, holds: bool, pointer: &str, detail: impl Into<String>) {
        if !holds {
            self.0.push(FieldError::new(pointer, detail));
        }
    }

    pub fn extend(&mut self, errors: Vec<FieldError>) {
        self.0.extend(errors);
    }

    pub fn broken(self) -> Vec<FieldError> {
        self.0
    }

    /// `Ok(())` if every rule holds.
    pub fn outcome(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read only through serde")]
    struct Point {
        axes: Vec<i64>,
    }

    #[test]
    fn the_pointer_names_the_field() {
        let wrong_type = read::<Point>(&json!({"axes": [1, "x"]}), "/model").unwrap_err();
        assert_eq!(wrong_type.pointer, "/model/axes/1");
        let unknown = read::<Point>(&json!({"axes": [], "a/b": 1}), "/model").unwrap_err();
        assert_eq!(unknown.pointer, "/model/a~1b");
        assert!(
            unknown.detail.contains("unknown field"),
            "{}",
            unknown.detail
        );
    }

    #[test]
    fn what_is_told_stays_short_and_whole_characters() {
        let error = FieldError::new("/é".repeat(9000), "x".repeat(1000));
        assert_eq!(error.detail, "x".repeat(1000));
        assert!(error.pointer.len() <= 1003 && error.pointer.ends_with('\u{2026}'));
    }
}
