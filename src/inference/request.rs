//! A request as the queues and the executors see it: a call of one model, and where its reply goes.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::oneshot;

use super::admission::SlowPermit;
use super::loaded_model::LoadedModel;
use super::queue::{Priority, Queued};
use super::source::ModelSource;
use crate::verbs::{Call, CallError, Reply};

/// How a call is to be treated.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestOptions {
    pub priority: Priority,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
}

pub(super) struct Request {
    pub source: Arc<ModelSource>,
    pub call: Call,
    pub options: RequestOptions,
    /// Whether the caller holds a permit.
    pub admitted: bool,
    pub queued_at: Instant,
    pub reply: oneshot::Sender<Result<Reply, CallError>>,
    /// Dead once the caller has left.
    pub caller: Weak<()>,
    /// Set in the slow lane.
    pub slow: Option<Slow>,
    /// It was in the slow lane, and its model was gone when its turn came.
    pub requeued: bool,
}

/// What a request in the slow lane has besides.
pub(super) struct Slow {
    /// By its turn the model may have been dropped to free memory.
    pub model: Weak<LoadedModel>,
    #[expect(dead_code, reason = "held until the request is answered")]
    pub permit: Option<SlowPermit>,
}

impl Queued for Request {
    fn compatible_with(&self, other: &Self) -> bool {
        self.call.may_batch_with(&other.call) && self.source.is(&other.source)
    }
    fn rows(&self) -> usize {
        self.call.input.rows
    }
    fn priority(&self) -> Priority {
        self.options.priority
    }
    fn queued_at(&self) -> Instant {
        self.queued_at
    }
    fn deadline(&self) -> Option<Instant> {
        self.options.deadline
    }
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }
}
