//! `GET /v1/jobs/{job}/events`: a page, or a live stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::{IntoParams, ToSchema};

use super::feed::Batch;
use crate::api::extract::{Form, Query, negotiate};
use crate::api::problem::{Problem, Result};
use crate::api::responses::{List, page_limit, rfc3339, unbuffered};
use crate::api::state::AppState;
use crate::clock::now_ms;
use crate::store;
use crate::store::EventKind;

const HEARTBEAT: Duration = Duration::from_secs(15);
const BATCH: u32 = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Events after this id; the header `Last-Event-ID` does the same. Default 0.
    pub after: Option<i64>,
    /// Events on the page, from 1 to 1000. Default 20.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Something that happened to a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventResponse {
    pub id: i64,
    /// `status`, `phase`, `progress`, `metrics`, `checkpoint`, `sample`, `log`, or `end`, the last one.
    /// `gap` stands for events that are no longer kept.
    pub kind: String,
    #[schema(value_type = Object)]
    pub data: Value,
    #[schema(format = DateTime)]
    pub at: String,
}

impl From<store::Event> for EventResponse {
    fn from(event: store::Event) -> Self {
        Self {
            id: event.id,
            kind: event.kind.as_str().to_owned(),
            data: event.data,
            at: rfc3339(event.at),
        }
    }
}

impl EventResponse {
    /// In the place of the events after `after` and up to `last` that were dropped; going on from its id
    /// loses nothing more.
    fn gap(after: i64, last: i64) -> Self {
        Self {
            id: last,
            kind: "gap".to_owned(),
            data: json!({ "after": after, "up_to": last, "message": "events of this stretch are no longer kept" }),
            at: rfc3339(now_ms()),
        }
    }
}

/// Read or follow a job's events
// What happened to a job, oldest first; `Accept: text/event-stream` follows it live to its `end`.
#[utoipa::path(get, path = "/v1/jobs/{job}/events", operation_id = "get_job_events",
    params(EventsQuery, ("Last-Event-ID" = Option<i64>, Header, description = "Events after this id")),
    responses(
        (status = 200, description = "Events",
            content((List<EventResponse> = "application/json"), (String = "text/event-stream"))),
        (status = 204, description = "The job has ended, and nothing comes after this id"),
        (status = 406, description = "Neither JSON nor an event stream is accepted"),
        (status = 422, description = "A parameter is invalid"),
    ))]
pub async fn events(
    app: AppState,
    Path(job): Path<String>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let form = negotiate(&headers, &[Form::Json, Form::EventStream])?;
    let job = app.job(&job).await?.id;
    let after = match last_event_id(&headers)? {
        Some(id) => id,
        None => query.after.unwrap_or(0),
    };
    if form == Form::EventStream {
        let reader = Reader {
            app,
            job,
            after,
            live: None,
            behind: true,
            ended: false,
        };
        if reader.is_past_the_end().await {
            // The one answer after which an `EventSource` does not come again.
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let live = Sse::new(follow(reader)).keep_alive(KeepAlive::new().interval(HEARTBEAT));
        return Ok(unbuffered(live.into_response()));
    }
    let limit = page_limit(query.limit, 1000)?;
    let page = app.store.events(&job, after, limit + 1).await?;
    let gap = page.gap.map(|last| EventResponse::gap(after, last));
    let mut found = page.events;
    // The gap is on the page too.
    let room = limit as usize - usize::from(gap.is_some());
    let has_more = found.len() > room;
    found.truncate(room);
    let data = gap
        .into_iter()
        .chain(found.into_iter().map(EventResponse::from))
        .collect();
    Ok(Json(List::of(data, has_more, |e| e.id.to_string())).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some)
        .ok_or_else(|| Problem::field("/Last-Event-ID", "header: must be a whole number"))
}

/// Where a reader of the log stands.
struct Reader {
    app: AppState,
    job: String,
    after: i64,
    /// What is new, once the log was read to its end.
    live: Option<Receiver<Arc<Batch>>>,
    /// Whether the log may hold what was not read yet.
    behind: bool,
    ended: bool,
}

/// Reads on from the log until `end`. The log is durable, so a slow reader holds nothing up.
fn follow(reader: Reader) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    stream::unfold(reader, |mut reader| async move {
        let batch = reader.next_batch().await?;
        Some((stream::iter(batch), reader))
    })
    .flatten()
    .map(|event| Ok(as_sse(event)))
}

impl Reader {
    /// The next events, once there are any; `None` after the last.
    async fn next_batch(&mut self) -> Option<Vec<EventResponse>> {
        let mut draining = self.app.draining.clone();
        while !self.ended && !*draining.borrow() && self.app.still_may() {
            if self.behind {
                let found = self.read_the_log().await?;
                if !found.is_empty() {
                    return Some(found);
                }
                continue;
            }
            let Some(live) = &mut self.live else {
                self.behind = true;
                continue;
            };
            let batch = tokio::select! {
                batch = live.recv() => batch,
                _ = draining.wait_for(|draining| *draining) => return None,
            };
            match batch {
                Ok(batch) if batch.after <= self.after => {
                    let found = self.read_the_feed(&batch);
                    if !found.is_empty() {
                        return Some(found);
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => self.live = None,
            }
        }
        None
    }

    /// What the log has next. Once that is nothing the feed is followed, and then the log is looked at again:
    /// something may have come in between.
    async fn read_the_log(&mut self) -> Option<Vec<EventResponse>> {
        let next = self.app.store.events(&self.job, self.after, BATCH);
        let page = next.await.ok()?;
        let gap = page.gap.map(|last| EventResponse::gap(self.after, last));
        let last = page.events.last().map(|event| event.id).or(page.gap);
        let Some(last) = last else {
            if self.is_past_the_end().await {
                return None;
            }
            self.behind = self.live.is_none();
            let follow = || self.app.feeds.follow(&self.job);
            self.live.get_or_insert_with(follow);
            return Some(Vec::new());
        };
        self.after = last;
        self.ended = page.events.iter().any(|event| event.kind == EventKind::End);
        let events = page.events.into_iter().map(EventResponse::from);
        Some(gap.into_iter().chain(events).collect())
    }

    fn read_the_feed(&mut self, batch: &Batch) -> Vec<EventResponse> {
        let after = self.after;
        let new = batch.events.iter().filter(|event| event.id > after);
        let found: Vec<EventResponse> = new.cloned().map(EventResponse::from).collect();
        self.after = found.last().map_or(after, |event| event.id);
        self.ended = batch.has_end();
        found
    }

    /// A reader that starts after the `end` would wait for ever, and so would one of a job that is gone.
    async fn is_past_the_end(&self) -> bool {
        let store = &self.app.store;
        match store.job(&self.job).await {
            Ok(job) if job.status.is_terminal() => {
                let rest = store.events(&self.job, self.after, 1).await;
                rest.is_ok_and(|page| page.events.is_empty() && page.gap.is_none())
            }
            Ok(_) => false,
            Err(_) => true,
        }
    }
}

fn as_sse(event: EventResponse) -> sse::Event {
    let data = serde_json::to_string(&event).unwrap_or_default();
    sse::Event::default()
        .id(event.id.to_string())
        .event(event.kind)
        .data(data)
}
