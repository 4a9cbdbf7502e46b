//! What a job is and which moves it may make. Pure: no SQL, no HTTP, no clock.

mod ids;
mod job;
mod lease;
mod model_ref;
mod moves;
mod names;
mod status;
mod webhook_event;
mod words;

pub use ids::{JobIdError, check_job_id, dataset_id, delivery_id, job_id, webhook_id};
pub use job::{Job, JobError, JobKey, JobPlan, JobProgress, Transition, WORKER_DIED};
pub use lease::{Lease, LeasePolicy};
pub use model_ref::{ModelRef, ModelRefError, Selector, parse_ref};
pub use moves::{Move, TransitionError, apply, open_moves};
pub use names::{NameError, check_name, is_name};
pub use status::{Status, Task};
pub use webhook_event::{DeliveryStatus, TEST_EVENT, WebhookEvent, message, payload};
pub(crate) use words::words;
