//! The epoch loop over any learner: batches, schedules, validation, early stopping, checkpoints.
//!
//! It knows no family, no SQL and no HTTP. What a run needs from outside it asks of an `Observer`.

pub mod cursor;
pub mod epoch_loop;
pub mod forecast;
pub mod learner;
pub mod regression;
pub mod settings;
pub mod trial;

pub use cursor::{Cursor, Means};
pub use epoch_loop::{Halt, Observer, Outcome, Request, Run, Snapshot, fit};
pub use learner::{Learner, Phase, Report, StepContext};
pub use regression::Regression;
pub use settings::Training;
