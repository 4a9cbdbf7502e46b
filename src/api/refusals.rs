//! Refusals in the OpenAPI document: which operation answers which 4xx and 5xx.
//!
//! A handler's `#[utoipa::path]` lists what it answers when all goes well, and of its refusals only those
//! that say something particular, without a body: `(status = 409, description = "It has ended")`. The others
//! come from `COMMON` by the operation's path, parameters and body; what the handler says goes before it.
//! The body of every refusal, a `Problem`, is added here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Status, description, and which operations answer so.
type Refusal = (&'static str, &'static str, fn(&Operation) -> bool);

/// What operations have in common. The first row that applies speaks for its status.
#[rustfmt::skip]
const COMMON: [Refusal; 32] = [
    ("400", "Not JSON, or not the bytes that it speaks of", |o| o.is_v2_inference()),
    ("400", "Not JSON", |o| o.reads("application/json")),
    ("400", "The version is named twice: in the name and behind it", |o| o.under("/v2/models/{model}/versions/")),
    ("401", "An API key is needed, and none or a wrong one was sent", |o| o.needs_a_key()),
    ("403", "The API key does not allow this, or a page of another origin asked", |o| o.needs_a_key()),
    ("403", "Asked under a foreign host, or by a page of another origin", |_| true),
    ("404", "There is no such version or verb", |o| o.is_v2_inference() && o.under("/versions/")),
    ("404", "There is no such model or verb", |o| o.is_v2_inference()),
    ("404", "There is none", |o| o.is_of_one_item()),
    ("404", "There is no such data set", |o| o.under("/datasets/{dataset}/")),
    ("404", "There is no such job", |o| o.under("/jobs/{job}/")),
    ("404", "There is no such model", |o| o.under("/models/{model}/")),
    ("404", "There is no such webhook", |o| o.under("/webhooks/{webhook}/")),
    ("406", "Not a form this is answered in", |o| o.is_verb()),
    ("408", "The body came too slowly", |o| !o.about["requestBody"].is_null()),
    ("413", "Larger than this server reads", |o| o.reads("application/json")),
    ("415", "Compressed in a way that is not read here", |o| o.is_v2_inference()),
    ("415", "Not a form this is asked in", |o| o.is_verb() && o.reads("image/png")),
    // The inference protocol's bodies are read as JSON whatever they are called.
    ("415", "Not sent as JSON", |o| o.under("/v1/") && o.reads("application/json")),
    ("422", "A tensor or parameter is invalid, or the model does not offer this", |o| o.is_v2_inference()),
    ("422", "A field is invalid, or the model does not offer this", |o| o.is_verb()),
    ("422", "The model does not offer this verb", |o| o.describes_a_verb()),
    ("422", "A query parameter is invalid", |o| o.takes("query", None)),
    ("422", "A field is invalid", |o| o.reads("application/json")),
    ("429", "The queue is full", |o| o.queues_a_job()),
    ("429", "Too many requests wait", |o| o.is_inference()),
    ("429", "The API key asks too often", |o| o.needs_a_key()),
    ("503", "The service is shutting down", |o| o.is_v2_inference()),
    ("503", "The data directory is not in its place", |o| o.stores()),
    ("504", "The timeout passed", |o| o.is_v2_inference()),
    ("504", "The deadline passed", |o| o.is_verb()),
    ("507", "The disk is full", |o| o.stores()),
];

/// An operation as the document describes it.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    about: &'a Value,
}

impl Operation<'_> {
    /// Whether a body of this media type is read.
    fn reads(&self, media_type: &str) -> bool {
        !self.about["requestBody"]["content"][media_type].is_null()
    }

    fn needs_a_key(&self) -> bool {
        !self.about["security"].is_null()
    }

    fn under(&self, part: &str) -> bool {
        self.path.contains(part)
    }

    /// Whether the path ends in an id, or goes on behind a number of a version or checkpoint. What is put
    /// need not be there.
    fn is_of_one_item(&self) -> bool {
        let named =
            self.path.ends_with('}') || self.under("/{version}/") || self.under("/{number}/");
        named && self.method != "put"
    }

    /// Whether there is a parameter in this place: of this name, or of any.
    fn takes(&self, place: &str, name: Option<&str>) -> bool {
        let parameters = self.about["parameters"].as_array();
        parameters.into_iter().flatten().any(|parameter| {
            parameter["in"] == place && name.is_none_or(|name| parameter["name"] == name)
        })
    }

    /// Whether a model computes the answer, before a deadline.
    fn is_inference(&self) -> bool {
        self.takes("header", Some("x-latentd-timeout-ms"))
    }

    /// `POST /v2/models/{model}/infer` and that of a version.
    fn is_v2_inference(&self) -> bool {
        self.is_inference() && self.under("/v2/")
    }

    /// `POST /v1/models/{model}/{verb}`.
    fn is_verb(&self) -> bool {
        self.is_inference() && self.under("/v1/")
    }

    /// `GET /v2/models/{model}` and what is below, but for statistics: these count verbs together.
    fn describes_a_verb(&self) -> bool {
        self.method == "get" && self.under("/v2/models/{model}") && !self.under("/stats")
    }

    /// Whether something is written down. What asks a model, or moves it into memory or out, writes nothing.
    fn stores(&self) -> bool {
        let residence = ["/load", "/unload"].map(|end| self.path.ends_with(end));
        self.under("/v1/")
            && ["post", "put", "delete"].contains(&self.method)
            && !self.is_inference()
            && residence == [false, false]
    }

    fn queues_a_job(&self) -> bool {
        self.about["tags"][0] == "jobs" && !self.about["responses"]["202"].is_null()
    }

    /// What its own lines and the table say, by status.
    fn responses(&self) -> Map<String, Value> {
        let own = self.about["responses"].as_object().cloned();
        let mut all: BTreeMap<String, Value> = own.into_iter().flatten().collect();
        for (status, description, applies) in COMMON {
            if !all.contains_key(status) && applies(self) {
                all.insert(status.to_owned(), json!({ "description": description }));
            }
        }
        for (status, response) in &mut all {
            if status.starts_with(['4', '5']) && response["content"].is_null() {
                let problem = json!({ "$ref": "#/components/schemas/Problem" });
                response["content"] = json!({ "application/problem+json": { "schema": problem } });
            }
        }
        all.into_iter().collect()
    }
}

/// Completes every operation of the document.
pub fn complete(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, methods) in paths {
        for (method, about) in methods.as_object_mut().into_iter().flatten() {
            let operation = Operation {
                method,
                path,
                about,
            };
            let responses = operation.responses();
            about["responses"] = responses.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptions(method: &str, path: &str, about: Value) -> Vec<(String, String)> {
        let mut document = json!({ "paths": { path: { method: about } } });
        complete(&mut document);
        let responses = document["paths"][path][method]["responses"].as_object();
        let described = responses.into_iter().flatten().map(|(status, response)| {
            let is_refusal = status.starts_with(['4', '5']);
            let body = &response["content"]["application/problem+json"];
            assert_eq!(!body.is_null(), is_refusal, "{status}: {response}");
            (
                status.clone(),
                response["description"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
        });
        described.collect()
    }

    #[test]
    fn a_handler_speaks_before_the_table() {
        let about = json!({
            "requestBody": { "content": { "application/json": {} } },
            "responses": { "200": { "description": "Done" }, "422": { "description": "Its own" } },
        });
        let found = descriptions("post", "/v1/things/{thing}/do", about);
        let wanted = [
            ("200", "Done"),
            ("400", "Not JSON"),
            (
                "403",
                "Asked under a foreign host, or by a page of another origin",
            ),
            ("408", "The body came too slowly"),
            ("413", "Larger than this server reads"),
            ("415", "Not sent as JSON"),
            ("422", "Its own"),
            ("503", "The data directory is not in its place"),
            ("507", "The disk is full"),
        ];
        let wanted = wanted.map(|(status, text)| (status.to_owned(), text.to_owned()));
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_named_may_be_missing_unless_it_is_put() {
        let about = json!({ "responses": {} });
        for (method, path, wanted) in [
            ("get", "/v1/jobs/{job}", Some("There is none")),
            ("put", "/v1/jobs/{job}", None),
            (
                "get",
                "/v1/jobs/{job}/metrics",
                Some("There is no such job"),
            ),
            (
                "get",
                "/v1/models/{model}/versions/{version}/onnx",
                Some("There is none"),
            ),
            (
                "put",
                "/v1/models/{model}/aliases/{alias}",
                Some("There is no such model"),
            ),
            ("get", "/v1/jobs", None),
        ] {
            let mut found = descriptions(method, path, about.clone());
            found.retain(|(status, _)| status == "404");
            let wanted: Vec<_> = wanted
                .map(|text| ("404".to_owned(), text.to_owned()))
                .into_iter()
                .collect();
            assert_eq!(found, wanted, "{method} {path}");
        }
    }
}
