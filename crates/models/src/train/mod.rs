//! The epoch loop over any learner: batches, schedules, validation, early stopping, checkpoints.
//!
//! It knows no family, no SQL and no HTTP. What a run needs from outside it asks of an `Observer`.

pub mod adopt;
pub mod cursor;
pub mod directive;
pub mod epoch_loop;
pub mod forecast;
mod hold_out;
pub mod learner;
mod losses;
pub mod means;
pub mod observer;
pub mod regression;
pub mod resume;
pub mod settings;
pub mod trial;

pub use adopt::{Adopted, Freeze, Start};
pub use cursor::Cursor;
pub use directive::{Directive, StopSignal};
pub use epoch_loop::{Outcome, Run, fit};
pub use learner::{Learner, Phase, StepContext};
pub use means::{Means, Report};
pub use observer::{Halt, Observer, Progress, Snapshot};
pub use regression::Regression;
pub use resume::resume;
pub use settings::Training;
