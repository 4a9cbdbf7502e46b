//! Traces of requests and jobs by OTLP (OpenTelemetry), for those who configure where to. Spans are made when
//! what they tell of is over: of a request that nobody traces, this costs one look at whether anybody does.
//!
//! The settings are OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_ENDPOINT` (or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) turns traces on, `OTEL_EXPORTER_OTLP_HEADERS`,
//! `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and the rest say how.

#![expect(
    clippy::disallowed_methods,
    reason = "spans carry the time of day, and this module uses no other"
)]

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

static TRACES: OnceLock<Traces> = OnceLock::new();

/// Begins to send spans, if an endpoint is configured.
pub fn start() -> Result<(), String> {
    let configured = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !configured("OTEL_EXPORTER_OTLP_ENDPOINT")
        && !configured("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    {
        return Ok(());
    }
    // An error says that there is a provider of TLS already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|e| format!("traces: {e}"))?;
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !configured("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name("latentd");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("latentd");
    let _ = TRACES.set(Traces { provider, tracer });
    Ok(())
}

/// Sends what is left. The process may end then.
pub fn finish() {
    if let Some(traces) = TRACES.get() {
        let _ = traces
            .provider
            .shutdown_with_timeout(Duration::from_secs(3));
    }
}

pub fn are_on() -> bool {
    TRACES.get().is_some()
}

/// Length of what this version knows of a `traceparent`; a later one may have more behind it.
const PARENT_LENGTH: usize = 55;

/// What a request's `traceparent` says, where it is one.
pub fn told(traceparent: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(traceparent).ok()?;
    known(text).map(str::to_owned)
}

fn known(traceparent: &str) -> Option<&str> {
    let text = traceparent.trim();
    parent(text).and_then(|_| text.get(..PARENT_LENGTH))
}

/// Whose span a request is part of, by its W3C `traceparent`: `00-<trace id>-<parent id>-<flags>`.
fn parent(traceparent: &str) -> Option<Context> {
    let mut parts = traceparent.trim().split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let whole = version.len() == 2
        && version != "ff"
        && [version, trace, span, flags].into_iter().all(hex)
        && (version != "00" || parts.next().is_none())
        && [trace, span, flags].map(str::len) == [32, 16, 2];
    if !whole {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    let valid = context.is_valid();
    valid.then(|| Context::new().with_remote_span_context(context))
}

/// A stretch of time within a request.
pub struct Part {
    pub name: &'static str,
    pub start: SystemTime,
    pub took: Duration,
    pub attributes: Vec<KeyValue>,
    /// Stretches within this one.
    pub parts: Vec<Part>,
}

/// A request that has been answered.
pub struct Answered<'a> {
    pub traceparent: Option<&'a str>,
    pub method: &'a str,
    pub route: &'a str,
    pub status: u16,
    pub request_id: &'a str,
    pub start: SystemTime,
    pub took: Duration,
    pub parts: Vec<Part>,
}

pub fn request(answered: Answered<'_>) {
    let Some(Traces { tracer, .. }) = TRACES.get() else {
        return;
    };
    let context = answered.traceparent.and_then(parent).unwrap_or_default();
    let text = |key: &'static str, value: &str| KeyValue::new(key, value.to_owned());
    let mut span = SpanBuilder::from_name(format!("{} {}", answered.method, answered.route))
        .with_kind(SpanKind::Server)
        .with_start_time(answered.start)
        .with_attributes([
            text("http.request.method", answered.method),
            text("http.route", answered.route),
            text("latentd.request_id", answered.request_id),
            KeyValue::new("http.response.status_code", i64::from(answered.status)),
        ])
        .start_with_context(tracer, &context);
    if answered.status >= 500 {
        span.set_status(Status::error(""));
    }
    let own = Context::new().with_remote_span_context(span.span_context().clone());
    for part in answered.parts {
        within(tracer, part, &own);
    }
    span.end_with_timestamp(answered.start + answered.took);
}

fn within(tracer: &SdkTracer, part: Part, parent: &Context) {
    let mut span = SpanBuilder::from_name(part.name)
        .with_start_time(part.start)
        .with_attributes(part.attributes)
        .start_with_context(tracer, parent);
    let own = Context::new().with_remote_span_context(span.span_context().clone());
    for inner in part.parts {
        within(tracer, inner, &own);
    }
    span.end_with_timestamp(part.start + part.took);
}

/// A job under way: one span for this run of it, and one within it for each epoch.
pub struct JobSpan {
    context: Context,
    epoch_since: SystemTime,
}

impl JobSpan {
    /// Within the span of the client's that asked for the job, if it told of one. None where nobody traces.
    pub fn start(id: &str, kind: &str, attempt: i64, traceparent: Option<&str>) -> Option<Self> {
        let Traces { tracer, .. } = TRACES.get()?;
        let asked = traceparent.and_then(parent).unwrap_or_default();
        let span = SpanBuilder::from_name("job")
            .with_attributes([
                KeyValue::new("latentd.job.id", id.to_owned()),
                KeyValue::new("latentd.job.kind", kind.to_owned()),
                KeyValue::new("latentd.job.attempt", attempt),
            ])
            .start_with_context(tracer, &asked);
        Some(Self {
            context: Context::new().with_span(span),
            epoch_since: SystemTime::now(),
        })
    }

    /// An epoch is over, and the next one begins.
    pub fn epoch(&mut self, number: u32, metrics: &[(String, f64)]) {
        let Some(Traces { tracer, .. }) = TRACES.get() else {
            return;
        };
        let now = SystemTime::now();
        let mut attributes = vec![KeyValue::new("latentd.epoch", i64::from(number))];
        attributes.extend(
            metrics
                .iter()
                .map(|(name, value)| KeyValue::new(name.clone(), *value)),
        );
        let mut span = SpanBuilder::from_name("epoch")
            .with_start_time(self.epoch_since)
            .with_attributes(attributes)
            .start_with_context(tracer, &self.context);
        span.end_with_timestamp(now);
        self.epoch_since = now;
    }
}

impl Drop for JobSpan {
    fn drop(&mut self) {
        self.context.span().end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_or_left() {
        let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let found = parent(sound).expect("sound");
        let span = found.span();
        let context = span.span_context();
        assert_eq!(
            context.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert!(context.is_sampled() && context.is_remote());
        for wrong in [
            "",
            "00",
            "00-0-0-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "0é-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(parent(wrong).is_none(), "{wrong}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(parent(later).is_some());
        assert_eq!(known(later), Some(&later[..PARENT_LENGTH]));
        assert_eq!(known("01-more"), None);
    }
}
