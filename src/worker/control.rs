//! What the world wants of the run in this process, as one word that the training thread reads
//! before every step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::jobs::Wish;
use crate::train::Request;

const CONTINUE: u8 = 0;
const STOP: u8 = 1;
const RELEASE: u8 = 2;
const CANCEL: u8 = 3;
const LOST: u8 = 4;

/// Later words outrank earlier ones: a job that is given back is stopped by whoever takes it up, a
/// canceled one is not given back, a lost one does nothing more.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<AtomicU8>);

impl Control {
    /// Does what the client wants of the worker.
    pub fn obey(&self, wish: Wish) {
        match wish {
            Wish::GoOn => {}
            Wish::Stop => {
                self.0.fetch_max(STOP, Ordering::Relaxed);
            }
            Wish::Leave => self.release(),
            Wish::Cancel => {
                self.0.fetch_max(CANCEL, Ordering::Relaxed);
            }
        }
    }
    pub fn release(&self) {
        self.0.fetch_max(RELEASE, Ordering::Relaxed);
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
            STOP => Request::Stop,
            RELEASE => Request::Release,
            _ => Request::Cancel,
        }
    }
}
