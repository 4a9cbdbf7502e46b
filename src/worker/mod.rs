//! The process that runs one job, and the supervisor that starts such processes.
//!
//! A job has a process of its own because libtorch's random state and thread pool are global to the
//! process, and because a crash in native code must never reach the service.

pub mod checkpoint;
pub mod control;
pub mod evaluation;
pub mod glimpse;
pub mod observer;
pub mod process;
pub mod promotion;
pub mod supervisor;
pub mod training;

use std::path::PathBuf;

/// Where things lie in the data directory.
#[derive(Debug, Clone)]
pub struct Layout {
    pub root: PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
    pub fn database(&self) -> PathBuf {
        self.root.join("latentd.db")
    }
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }
    pub fn datasets(&self) -> PathBuf {
        self.root.join("datasets")
    }
    pub fn dataset(&self, id: &str) -> PathBuf {
        self.datasets().join(id)
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
