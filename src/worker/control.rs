//! What the world wants of the run in this process, as one word that the training thread reads
//! before every step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::train::Request;

const CONTINUE: u8 = 0;
const RELEASE: u8 = 1;
const CANCEL: u8 = 2;
const LOST: u8 = 3;

/// Later words outrank earlier ones: a canceled job is not released, a lost one does nothing more.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<AtomicU8>);

impl Control {
    pub fn release(&self) {
        self.0.fetch_max(RELEASE, Ordering::Relaxed);
    }
    pub fn cancel(&self) {
        self.0.fetch_max(CANCEL, Ordering::Relaxed);
    }
    /// The lease is gone: another worker may have the job, so nothing may be written.
    pub fn lose(&self) {
        self.0.fetch_max(LOST, Ordering::Relaxed);
    }
    pub fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LOST
    }
    pub fn request(&self) -> Request {
        match self.0.load(Ordering::Relaxed) {
            CONTINUE => Request::Continue,
            RELEASE => Request::Release,
            _ => Request::Cancel,
        }
    }
}
