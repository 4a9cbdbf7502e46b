//! Every range that the OpenAPI document names is the one that is kept: just outside it a value is refused at its
//! place, just inside it is not.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::service::Service;
use crate::training::small_rbm;

/// The schemas of the document, by their references.
struct Document(Value);

impl Document {
    /// The schema itself, the one it refers to, or the last alternative: the fullest one.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let found = match (schema["$ref"].as_str(), schema["oneOf"].as_array()) {
            (Some(reference), _) => self.0.pointer(&reference[1..]),
            (None, Some(alternatives)) => alternatives.iter().rfind(|a| a["type"] != "null"),
            (None, None) => return schema,
        };
        self.resolved(found.expect("a schema"))
    }

    /// A document of this schema with every field, each within its range.
    fn example(&self, schema: &Value) -> Value {
        let schema = self.resolved(schema);
        if let Some(value) = schema["enum"].get(0) {
            return value.clone();
        }
        let types = schema["type"].as_array();
        match types.map_or(&schema["type"], |types| &types[0]).as_str() {
            Some("object") => {
                let fields = schema["properties"].as_object().into_iter().flatten();
                let examples = fields.map(|(name, field)| (name.clone(), self.example(field)));
                Value::Object(examples.collect::<Map<_, _>>())
            }
            Some("array") => json!([self.example(&schema["items"])]),
            Some("integer" | "number") => {
                let usual = schema["default"]
                    .is_number()
                    .then(|| schema["default"].clone());
                let within = probes(schema).1.into_iter().next();
                usual.or(within).unwrap_or(json!(1))
            }
            Some("string") => json!("x"),
            Some("boolean") => json!(false),
            _ => Value::Null,
        }
    }

    /// The places of all numbers and lists below, each with its schema.
    fn places(&self, schema: &Value, at: &str, found: &mut Vec<(String, Value)>) {
        let schema = self.resolved(schema);
        found.push((at.to_owned(), schema.clone()));
        if schema["items"].is_object() {
            self.places(&schema["items"], &format!("{at}/0"), found);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            self.places(field, &format!("{at}/{name}"), found);
        }
    }
}

/// Values just outside and just inside the bounds of a number; none where it has no bounds.
fn probes(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    let integer = schema["type"] == "integer" || schema["type"][0] == "integer";
    for (keyword, upward) in [
        ("minimum", false),
        ("exclusiveMinimum", false),
        ("maximum", true),
        ("exclusiveMaximum", true),
    ] {
        let bound = &schema[keyword];
        let next = |upward: bool| match (bound.as_i64(), bound.as_f64()) {
            (Some(bound), _) if integer => json!(if upward { bound + 1 } else { bound - 1 }),
            (_, Some(bound)) if upward => json!(bound.next_up()),
            (_, bound) => json!(bound.expect("a number").next_down()),
        };
        if bound.is_null() {
            continue;
        }
        if keyword.starts_with("exclusive") {
            outside.push(bound.clone());
            inside.push(next(!upward));
        } else {
            outside.push(next(upward));
            inside.push(bound.clone());
        }
    }
    (outside, inside)
}

/// Lists of one item again and again, just too short or too long, and just long enough.
fn lengths(schema: &Value, item: &Value) -> (Vec<Value>, Vec<Value>) {
    let of = |n: u64| Value::from(vec![item.clone(); usize::try_from(n).expect("a length")]);
    let least = schema["minItems"].as_u64();
    let most = schema["maxItems"].as_u64();
    let outside = [least.map(|n| n - 1), most.map(|n| n + 1)];
    let lists = |lengths: [Option<u64>; 2]| lengths.into_iter().flatten().map(of).collect();
    (lists(outside), lists([least, most]))
}

/// What a request is refused for: pointers and rules, without the values that they quote.
async fn refusals(service: &Service, path: &str, request: &Value) -> Vec<(String, String)> {
    let problem = service.post(path, request).await.problem(422, "invalid");
    let errors = problem["errors"].as_array().expect("errors").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let rule = |detail: &Value| {
        text(detail)
            .split(", got")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    errors
        .map(|e| (text(&e["pointer"]), rule(&e["detail"])))
        .collect()
}

/// Tries every range below `schema` in requests that are `usual` but for one value, which stands below `at`.
async fn try_all(
    service: &Service,
    (path, usual): (&str, &Value),
    (document, schema, at): (&Document, &Value, &str),
) -> usize {
    let mut places = Vec::new();
    document.places(schema, at, &mut places);
    let mut tried = 0;
    for (place, schema) in places {
        let with = |value: &Value| {
            let mut request = usual.clone();
            *request.pointer_mut(&place).expect("a place") = value.clone();
            request
        };
        let list = schema["items"].is_object();
        let item = usual.pointer(&format!("{place}/0")).unwrap_or(&Value::Null);
        let (outside, inside) = if list {
            lengths(&schema, item)
        } else {
            probes(&schema)
        };
        let mut rules = BTreeSet::new();
        for value in &outside {
            let refused = refusals(service, path, &with(value)).await;
            let mut here = refused.into_iter().filter(|(pointer, _)| *pointer == place);
            // The first of its place, since ranges are looked at first.
            let rule = here
                .next()
                .unwrap_or_else(|| panic!("{value} passes at {place}"));
            rules.insert(rule);
            tried += 1;
        }
        for value in &inside {
            let refused = refusals(service, path, &with(value)).await;
            let wrong = refused.iter().find(|refusal| rules.contains(refusal));
            assert_eq!(wrong, None, "{value} at {place}");
        }
    }
    tried
}

#[tokio::test]
async fn what_the_document_says_of_jobs_and_evaluations_is_what_is_checked() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("rbm")).await;
    let document = Document(service.get("/openapi.json").await.ok(200));
    let schemas = &document.0["components"]["schemas"];
    let alternatives = |name: &str| schemas[name]["oneOf"].as_array().expect("kinds");

    let request = &schemas["JobRequest"];
    let mut job = document.example(request);
    job["dataset"] = "digits".into();
    // Such a job is never accepted, whatever else is in range.
    job["name"] = "a/b".into();
    let training = &schemas["TrainingRequest"];
    let mut tried = try_all(
        &service,
        ("/v1/jobs", &job),
        (&document, training, "/training"),
    )
    .await;
    for (field, schema) in request["properties"].as_object().expect("fields") {
        if !["model", "training"].contains(&field.as_str()) {
            let at = format!("/{field}");
            tried += try_all(&service, ("/v1/jobs", &job), (&document, schema, &at)).await;
        }
    }
    for family in alternatives("ModelSpec") {
        job["model"] = document.example(family);
        tried += try_all(&service, ("/v1/jobs", &job), (&document, family, "/model")).await;
    }

    let request = &schemas["EvaluationRequest"];
    let mut evaluation = document.example(request);
    evaluation["model"] = "rbm".into();
    evaluation["dataset"] = "digits".into();
    evaluation["split"] = "test".into();
    let asked = ("/v1/evaluations", &evaluation.clone());
    tried += try_all(&service, asked, (&document, request, "")).await;
    for metric in alternatives("Metric") {
        evaluation["metrics"][0] = document.example(metric);
        let asked = ("/v1/evaluations", &evaluation);
        tried += try_all(&service, asked, (&document, metric, "/metrics/0")).await;
    }
    assert!(tried > 150, "only {tried} values were tried");
}
