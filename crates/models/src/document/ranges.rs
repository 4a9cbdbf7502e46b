//! The ranges that a type's OpenAPI schema names, checked against a JSON document. What the documentation of the
//! API says of a field and what is refused are thereby one and the same.
//!
//! The keywords are those of JSON Schema: `minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum`, `minItems`,
//! `maxItems`, `minLength` and `maxLength`. The extension `x-unit` names what is counted, for the texts.
//! Types, required and unknown fields are not checked here: serde does that when the document is read.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::{FieldError, TypeSchema, escaped};

/// The schema of a type as JSON, and those it refers to.
#[derive(Debug)]
pub struct Ranges {
    schema: Value,
    components: Map<String, Value>,
}

impl Ranges {
    pub fn of<T: ToSchema>() -> Self {
        let json = |schema| serde_json::to_value(schema).unwrap_or_default();
        let known = TypeSchema::of::<T>();
        let references = known.references.into_iter();
        Self {
            schema: json(known.schema),
            components: references
                .map(|(name, schema)| (name, json(schema)))
                .collect(),
        }
    }

    /// Every value out of its range, in the document's order; pointers start with `base`.
    pub fn broken(&self, value: &Value, base: &str) -> Vec<FieldError> {
        let mut errors = Vec::new();
        self.walk(&self.schema, value, &mut base.to_owned(), &mut errors);
        errors
    }

    fn walk(
        &self,
        schema: &Value,
        value: &Value,
        pointer: &mut String,
        errors: &mut Vec<FieldError>,
    ) {
        let schema = self.resolved(schema);
        if let Some(rule) = broken_rule(schema, value) {
            errors.push(FieldError::new(pointer.as_str(), rule));
        }
        let alternative = list(schema, "oneOf").find(|schema| self.fits(schema, value));
        for part in list(schema, "allOf").chain(alternative) {
            self.walk(part, value, pointer, errors);
        }
        let length = pointer.len();
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(schema) = schema["properties"].get(name) {
                        pointer.push('/');
                        pointer.push_str(&escaped(name));
                        self.walk(schema, field, pointer, errors);
                        pointer.truncate(length);
                    }
                }
            }
            // Of a list that is too long, what is too much is not looked at.
            Value::Array(items) if may_break(&schema["items"]) => {
                let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
                for (i, item) in (0..most).zip(items) {
                    let _ = write!(pointer, "/{i}");
                    self.walk(&schema["items"], item, pointer, errors);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// The schema itself, or the one it refers to.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next());
        name.and_then(|name| self.components.get(name))
            .unwrap_or(schema)
    }

    /// Whether a value is meant by this alternative: of its type, with the fields it requires and, where it has
    /// one, of its `kind`.
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let schema = self.resolved(schema);
        if schema["oneOf"].is_array() {
            return list(schema, "oneOf").any(|schema| self.fits(schema, value));
        }
        let types = &schema["type"];
        let of_type =
            list(schema, "type").any(|t| is_of_type(value, t)) || is_of_type(value, types);
        let mut required = list(schema, "required").filter_map(Value::as_str);
        // A kind with a default is written as `allOf`: its values, and the default.
        let kind = &schema["properties"]["kind"];
        let kinds = kind["enum"].as_array();
        let kinds = kinds.or_else(|| kind["allOf"][0]["enum"].as_array());
        of_type
            && required.all(|field| value.get(field).is_some())
            && kinds.is_none_or(|kinds| kinds.contains(&value["kind"]))
    }
}

fn list<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema[keyword].as_array().into_iter().flatten()
}

/// Whether items of a list may be out of a range. A row of plain numbers can be long, and is not looked through.
fn may_break(items: &Value) -> bool {
    let mut keywords = items.as_object().into_iter().flat_map(Map::keys);
    keywords.any(|keyword| !["type", "format"].contains(&keyword.as_str()))
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer" | "number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

/// What is wrong with the value itself, its parts aside.
fn broken_rule(schema: &Value, value: &Value) -> Option<String> {
    let bound = |keyword: &str| schema[keyword].as_number();
    let count = |least: &str, most: &str, n: usize| {
        Range {
            least: bound(least),
            most: bound(most),
            ..Range::default()
        }
        .refusal(&n.into())
    };
    let (verb, usual_unit, (range, got)) = match value {
        Value::Number(number) => {
            let range = Range {
                least: bound("minimum"),
                above: bound("exclusiveMinimum"),
                most: bound("maximum"),
                below: bound("exclusiveMaximum"),
            };
            ("be", "", range.refusal(number)?)
        }
        Value::Array(items) => ("have", "items", count("minItems", "maxItems", items.len())?),
        Value::String(text) => {
            let length = text.chars().count();
            (
                "have",
                "characters",
                count("minLength", "maxLength", length)?,
            )
        }
        _ => return None,
    };
    let unit = schema["x-unit"].as_str().unwrap_or(usual_unit);
    let space = if unit.is_empty() { "" } else { " " };
    Some(format!("must {verb} {range}{space}{unit}, got {got}"))
}

/// The bounds of a number, those left out being infinite.
#[derive(Default)]
struct Range<'a> {
    least: Option<&'a Number>,
    above: Option<&'a Number>,
    most: Option<&'a Number>,
    below: Option<&'a Number>,
}

impl Range<'_> {
    /// The range in words and the number, unless it lies within.
    fn refusal(&self, number: &Number) -> Option<(String, String)> {
        let is = |orders: &[Ordering], bound: Option<&Number>| {
            bound.is_none_or(|bound| orders.contains(&order(number, bound)))
        };
        let within = is(&[Ordering::Greater, Ordering::Equal], self.least)
            && is(&[Ordering::Greater], self.above)
            && is(&[Ordering::Less, Ordering::Equal], self.most)
            && is(&[Ordering::Less], self.below);
        (!within).then(|| (self.to_string(), text(number)))
    }
}

impl std::fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (Some(least), Some(most)) = (self.least, self.most) {
            return write!(f, "between {} and {}", text(least), text(most));
        }
        let bounds = [
            ("at least", self.least),
            ("above", self.above),
            ("at most", self.most),
            ("below", self.below),
        ];
        let told = bounds
            .iter()
            .filter_map(|(side, bound)| Some((side, (*bound)?)));
        for (i, (side, bound)) in told.enumerate() {
            let and = if i == 0 { "" } else { " and " };
            write!(f, "{and}{side} {}", text(bound))?;
        }
        Ok(())
    }
}

/// Exact, whatever the two are stored as: as floats, large integers would be rounded to the bound beside them.
fn order(a: &Number, b: &Number) -> Ordering {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // One has a fraction, and is thus small enough for the other's rounding not to matter.
        _ => float(a).total_cmp(&float(b)),
    }
}

/// The number as an integer if it is one, however it is written.
fn whole(number: &Number) -> Option<i128> {
    let from_float = || {
        let float = float(number);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole, and within the range"
        )]
        (float.fract() == 0.0 && float.abs() < 1e38).then_some(float as i128)
    };
    number.as_i128().or_else(from_float)
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// Without the `.0` that JSON writes behind a whole float.
fn text(number: &Number) -> String {
    if number.is_f64() {
        float(number).to_string()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "read only through its schema")]
    struct Settings {
        #[schema(minimum = 1, maximum = 1000)]
        steps: u32,
        #[schema(exclusive_minimum = 0.0)]
        rate: Option<f64>,
        #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
        share: f64,
        #[schema(maximum = 9_007_199_254_740_992.0)]
        seed: u64,
        #[schema(min_items = 1, max_items = 2)]
        widths: Vec<i64>,
        #[schema(max_length = 3)]
        name: String,
        noise: Option<Noise>,
        either: Either,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "read only through its schema")]
    struct Noise {
        #[schema(exclusive_minimum = 0.0, maximum = 0.9)]
        level: f64,
    }

    #[derive(ToSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "read only through its schema")]
    enum Either {
        Word(String),
        First(First),
        Second(Second),
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "read only through its schema")]
    struct First {
        a: i64,
        #[schema(minimum = 1)]
        n: i64,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "read only through its schema")]
    struct Second {
        b: i64,
        #[schema(minimum = -5)]
        n: i64,
    }

    fn broken(value: &Value) -> Vec<(String, String)> {
        let errors = Ranges::of::<Settings>().broken(value, "/at");
        errors.into_iter().map(|e| (e.pointer, e.detail)).collect()
    }

    #[test]
    fn every_value_out_of_its_range_is_told_by_its_place() {
        let cases = [
            (
                json!({"steps": 0}),
                "steps",
                "must be between 1 and 1000, got 0",
            ),
            (
                json!({"steps": -7}),
                "steps",
                "must be between 1 and 1000, got -7",
            ),
            (json!({"rate": 0.0}), "rate", "must be above 0, got 0"),
            (json!({"rate": -0.0}), "rate", "must be above 0, got -0"),
            (
                json!({"share": 1}),
                "share",
                "must be at least 0 and below 1, got 1",
            ),
            (
                json!({"widths": []}),
                "widths",
                "must have between 1 and 2 items, got 0",
            ),
            (
                json!({"widths": [1, 2, 3]}),
                "widths",
                "must have between 1 and 2 items, got 3",
            ),
            (
                json!({"name": "éèàç"}),
                "name",
                "must have at most 3 characters, got 4",
            ),
            (
                json!({"noise": {"level": 1.5}}),
                "noise/level",
                "must be above 0 and at most 0.9, got 1.5",
            ),
            (
                json!({"either": {"a": 0, "n": 0}}),
                "either/n",
                "must be at least 1, got 0",
            ),
            (
                json!({"either": {"b": 0, "n": -6}}),
                "either/n",
                "must be at least -5, got -6",
            ),
        ];
        for (value, field, detail) in cases {
            assert_eq!(
                broken(&value),
                [(format!("/at/{field}"), detail.to_owned())]
            );
        }
        let several = json!({"noise": {"level": 0}, "share": -1, "unknown": -1, "steps": 2000});
        let places: Vec<String> = broken(&several).into_iter().map(|(at, _)| at).collect();
        assert_eq!(places, ["/at/noise/level", "/at/share", "/at/steps"]);
    }

    #[test]
    fn what_is_within_or_of_another_type_passes() {
        for value in [
            json!({"steps": 1, "rate": 5e-324, "share": -0.0, "widths": [0], "name": "éèà"}),
            json!({"steps": 1000.0, "rate": null, "share": 0.999, "noise": null, "either": "word"}),
            json!({"steps": "0", "rate": [], "noise": -1, "either": {"b": 0, "n": -5}}),
            json!(0),
        ] {
            assert_eq!(broken(&value), [], "{value}");
        }
    }

    #[test]
    fn integers_are_compared_as_such() {
        let most = 9_007_199_254_740_992_u64;
        assert_eq!(broken(&json!({"seed": most})), []);
        // As floats these two are equal.
        assert_eq!(broken(&json!({"seed": most + 1})).len(), 1);
        assert_eq!(broken(&json!({"seed": u64::MAX})).len(), 1);
        assert_eq!(broken(&json!({"steps": i64::MIN, "share": 1e300})).len(), 2);
    }
}
