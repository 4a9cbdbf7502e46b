//! The process that runs one job, and the supervisor that starts such processes.
//!
//! A job has a process of its own because libtorch's random state and thread pool are global to the
//! process, and because a crash in native code must never reach the service.

pub mod checkpoint;
pub mod evaluation;
pub mod observer;
pub mod preview;
pub mod process;
pub mod promotion;
mod room;
pub mod supervisor;
pub mod training;
