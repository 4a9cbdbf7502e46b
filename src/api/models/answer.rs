//! How the answer of a verb is written: JSON from flat buffers, npy, safetensors, or a picture.

use std::io::{Cursor, Write};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::render::{grid, scale_of};
use super::resolve::Resolved;
use crate::api::extract::Form;
use crate::api::held::Held;
use crate::api::problem::{Problem, Result};
use crate::data::npy;
use crate::data::tensors::{self, Named, Values};
use crate::inference::Reply;
use crate::store::ModelVersion;
use crate::traces;
use crate::verbs::call::{Field, Timing};

/// What the answer takes counts as `held` until it is sent.
pub async fn write(found: &Resolved, reply: Reply, form: Form, held: Held) -> Result<Response> {
    let timing = reply.timing;
    let seed = match form {
        // It has room for it.
        Form::Json => HeaderMap::new(),
        _ => seed_header(&reply),
    };
    let body = match form {
        Form::Npy => npy::encode_f32(&shape_of(&reply, &reply.output), &reply.output.values),
        Form::Safetensors => safetensors(&found.version, &reply)
            .ok_or_else(|| Problem::internal("an answer's shape is not that of its values"))?,
        Form::Png => Box::pin(picture_of(reply, found.range)).await?,
        Form::Json | Form::JsonLines | Form::EventStream => {
            let version = &found.version;
            let answer = Answer {
                version,
                reply: &reply,
            };
            // Most numbers and their commas are no longer than that.
            let mut body = Vec::with_capacity(256 + 13 * answer.numbers());
            serde_json::to_writer(&mut body, &answer).map_err(Problem::internal)?;
            body
        }
    };
    let media_type = [(header::CONTENT_TYPE, form.media_type())];
    let mut response = (seed, media_type, held.with(body)).into_response();
    tell_timing(&mut response, timing);
    Ok(response)
}

/// In a header for the client, and for the request's spans.
pub fn tell_timing(response: &mut Response, timing: Timing) {
    response.headers_mut().extend(server_timing(&timing));
    if traces::are_on() {
        response.extensions_mut().insert(timing);
    }
}

/// Where the time went, in milliseconds (the W3C's Server-Timing).
fn server_timing(timing: &Timing) -> Option<(HeaderName, HeaderValue)> {
    // Whole numbers are written faster than others.
    let split = |time: Duration| (time.as_micros() / 1000, time.as_micros() % 1000);
    let (queue, compute, rows) = (
        split(timing.queue),
        split(timing.compute),
        timing.batch_rows,
    );
    let mut text = Cursor::new([0; 128]);
    write!(
        text,
        "queue;dur={}.{:03}, compute;dur={}.{:03};desc=\"{rows} rows\"",
        queue.0, queue.1, compute.0, compute.1,
    )
    .ok()?;
    let length = usize::try_from(text.position()).ok()?;
    let value = HeaderValue::from_bytes(&text.get_ref()[..length]).ok()?;
    Some((HeaderName::from_static("server-timing"), value))
}

/// Of a whole field: `[rows, …]`.
fn shape_of(reply: &Reply, field: &Field) -> Vec<usize> {
    let row = field.shape.iter().map(|&d| usize::try_from(d).unwrap_or(0));
    std::iter::once(reply.rows).chain(row).collect()
}

/// All fields of the JSON answer: those of numbers as tensors, the others in a note beside them.
fn safetensors(version: &ModelVersion, reply: &Reply) -> Option<Vec<u8>> {
    let fields = std::iter::once(&reply.output).chain(&reply.extras);
    let mut arrays: Vec<Named<'_>> = fields
        .map(|field| Named {
            name: field.name,
            shape: shape_of(reply, field),
            values: Values::Floats(&field.values),
        })
        .collect();
    arrays.extend(reply.labels.as_ref().map(|labels| Named {
        name: "labels",
        shape: vec![labels.len()],
        values: Values::Whole(labels),
    }));
    let note = json!({
        "model": version.name,
        "version": version.version,
        "metric": reply.metric,
        "label_names": reply.labels.as_ref().and(version.data.get("label_names")),
        "seed": reply.seed,
    });
    tensors::encode(&arrays, note.to_string())
}

/// Forms without room for it carry the seed beside the body.
pub fn seed_header(reply: &Reply) -> HeaderMap {
    let seed = reply
        .seed
        .map(|seed| (HeaderName::from_static("x-latentd-seed"), seed.into()));
    seed.into_iter().collect()
}

/// The outputs as a grid; with noisy inputs, a row of those above each row of outputs.
async fn picture_of(reply: Reply, range: [f64; 2]) -> Result<Vec<u8>> {
    let Reply {
        rows,
        output,
        extras,
        ..
    } = reply;
    let Some(noisy) = extras.into_iter().find(|field| field.name == "inputs") else {
        return grid(output.values, &output.shape, None, scale_of(range)).await;
    };
    let width = output.values.len() / rows.max(1);
    let columns = rows.min(16);
    let mut values = Vec::with_capacity(2 * output.values.len());
    let blank = |values: &mut Vec<f32>, n: usize| values.resize(values.len() + n * width, 0.0);
    for (above, below) in noisy
        .values
        .chunks(columns * width)
        .zip(output.values.chunks(columns * width))
    {
        let missing = columns - above.len() / width.max(1);
        values.extend_from_slice(above);
        blank(&mut values, missing);
        values.extend_from_slice(below);
        blank(&mut values, missing);
    }
    grid(values, &output.shape, Some(columns), scale_of(range)).await
}

/// The JSON answer, written from flat buffers.
pub struct Answer<'a> {
    pub version: &'a ModelVersion,
    pub reply: &'a Reply,
}

impl Answer<'_> {
    fn numbers(&self) -> usize {
        let Reply { output, extras, .. } = self.reply;
        let fields = std::iter::once(output).chain(extras);
        fields.map(|field| field.values.len()).sum()
    }
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Reply {
            rows,
            output,
            extras,
            seed,
            labels,
            metric,
            timing: _,
        } = self.reply;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", &self.version.name)?;
        map.serialize_entry("version", &self.version.version)?;
        map.serialize_entry("shape", &output.shape)?;
        for field in std::iter::once(output).chain(extras) {
            map.serialize_entry(field.name, &Rows { field, rows: *rows })?;
        }
        if let Some(labels) = labels {
            map.serialize_entry("labels", labels)?;
            if let Some(names) = self.version.data.get("label_names") {
                map.serialize_entry("label_names", names)?;
            }
        }
        if let Some(metric) = metric {
            map.serialize_entry("metric", metric)?;
        }
        if let Some(seed) = seed {
            map.serialize_entry("seed", seed)?;
        }
        map.end()
    }
}

/// A field as a list of flat rows, or of numbers where a row is one number without a shape.
struct Rows<'a> {
    field: &'a Field,
    rows: usize,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.field.shape.is_empty() {
            return self.field.values.serialize(serializer);
        }
        let width = self.field.values.len() / self.rows.max(1);
        let mut rows = serializer.serialize_seq(Some(self.rows))?;
        for row in self.field.values.chunks(width.max(1)) {
            rows.serialize_element(row)?;
        }
        rows.end()
    }
}
