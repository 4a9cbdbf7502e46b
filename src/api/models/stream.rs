//! Verbs over the rows of a data set, however many: computed chunk by chunk as fast as the client reads, so
//! that neither side holds more than a chunk.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use super::answer::{Answer, seed_header};
use super::resolve::Resolved;
use super::rows::RowsRef;
use crate::api::body::no_allowance;
use crate::api::extract::Form;
use crate::api::held::Held;
use crate::api::problem::{Problem, Result};
use crate::api::responses::unbuffered;
use crate::api::state::AppState;
use crate::data::npy;
use crate::inference::{Reply, RequestOptions};
use crate::store::Dataset;
use crate::verbs::Operation;

/// A verb on many rows.
pub struct Streamed {
    pub found: Arc<Resolved>,
    pub operation: Operation,
    pub request_options: RequestOptions,
    pub rows: RowsRef,
    pub dataset: Dataset,
    pub rows_at_once: u64,
    /// What they take as an answer.
    pub bytes_at_once: usize,
}

pub async fn answer(app: AppState, streamed: Streamed, form: Form) -> Result<Response> {
    if !streamed.operation.options.answers_row_by_row() {
        let rule = "this verb's answer is not one row for each row: ask for at most 4096";
        return Err(Problem::field("/rows/limit", rule));
    }
    let labels = &streamed.operation.labels;
    if labels.as_ref().is_some_and(|labels| labels.len() > 1) {
        let rule = "give one label for all rows, or none: rows bring their own";
        return Err(Problem::field("/labels", rule));
    }
    let end = end(&streamed)?;
    let mut chunks = Chunks {
        app,
        next: streamed.rows.offset,
        end,
        chunk: 0,
        streamed,
    };
    // The first chunk tells the shape, and what is wrong with the request.
    let held = chunks.room().await?;
    let first = chunks.compute().await?;
    let head = if form == Form::Npy {
        let row = first.output.shape.iter().copied();
        let rows = end - chunks.streamed.rows.offset;
        let shape = std::iter::once(rows).chain(row.map(|d| u64::try_from(d).unwrap_or(0)));
        npy::header_f32(&shape.collect::<Vec<_>>())
    } else {
        Vec::new()
    };
    let headers = seed_header(&first);
    let start = held.with([head, chunks.written(&first, form)?].concat());
    let rest = stream::try_unfold(chunks, move |mut chunks| async move {
        if chunks.next >= chunks.end {
            return Ok(None);
        }
        let told = async {
            let held = chunks.room().await?;
            let reply = chunks.compute().await?;
            Ok::<_, Problem>(held.with(chunks.written(&reply, form)?))
        };
        match told.await {
            Ok(bytes) => Ok(Some((bytes, chunks))),
            // The status is out already: a connection that breaks off is the one way left to say so.
            Err(problem) => Err(std::io::Error::other(format!("{problem:?}"))),
        }
    });
    let all = stream::once(async move { Ok(start) });
    let body = Body::from_stream(futures_util::StreamExt::chain(all, rest));
    let media_type = [(header::CONTENT_TYPE, form.media_type())];
    Ok(unbuffered((headers, media_type, body).into_response()))
}

/// The row after the last one.
fn end(streamed: &Streamed) -> Result<u64> {
    let splits = &streamed.dataset.splits;
    let split = splits.get(&streamed.rows.split);
    let rows = split.map_or(0, |split| u64::try_from(split.rows).unwrap_or(0));
    let RowsRef { offset, limit, .. } = &streamed.rows;
    if rows > 0 && *offset >= rows {
        let rule = format!("must be below the split's {rows} rows, got {offset}");
        return Err(Problem::field("/rows/offset", rule));
    }
    // A split that is not there is told of when its first rows are read.
    Ok(offset.saturating_add(*limit).min(rows.max(offset + 1)))
}

struct Chunks {
    app: AppState,
    streamed: Streamed,
    next: u64,
    end: u64,
    chunk: u64,
}

/// One line of an answer in lines.
#[derive(Serialize)]
struct Line<'a> {
    /// Number of the first row in its split.
    offset: u64,
    rows: usize,
    #[serde(flatten)]
    answer: Answer<'a>,
}

impl Chunks {
    /// Room for the next chunk. A client that does not read keeps what it was sent, and gets no more.
    async fn room(&self) -> Result<Held> {
        let wait = self.app.answers.wait(self.streamed.bytes_at_once);
        wait.await.ok_or_else(no_allowance)
    }

    async fn compute(&mut self) -> Result<Reply> {
        let rows = RowsRef {
            offset: self.next,
            limit: self.streamed.rows_at_once.min(self.end - self.next),
            ..self.streamed.rows.clone()
        };
        let input = rows.read(&self.app, &self.streamed.dataset).await?;
        let call = self.streamed.operation.of_chunk(self.chunk).on(input);
        let source = Arc::clone(&self.streamed.found.source);
        let options = self.streamed.request_options;
        let reply = self.app.engine.call(source, call, options, None).await?;
        self.next += rows.limit;
        self.chunk += 1;
        Ok(reply)
    }

    /// The chunk that was computed last.
    fn written(&self, reply: &Reply, form: Form) -> Result<Vec<u8>> {
        if form == Form::Npy {
            return Ok(npy::bytes_of(&reply.output.values));
        }
        let line = Line {
            offset: self.next - reply.rows as u64,
            rows: reply.rows,
            answer: Answer {
                version: &self.streamed.found.version,
                reply,
            },
        };
        let mut bytes = serde_json::to_vec(&line).map_err(Problem::internal)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
