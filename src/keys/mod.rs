//! API keys: what a key may do, and how it is told from others. Pure: no SQL, no HTTP, no clock.

mod globs;
mod key;
mod limits;
mod scope;
mod token;

pub use globs::{GlobError, Globs};
pub use key::{Excess, Grant, Key};
pub use limits::{Bucket, KeyLimits, Taken};
pub use scope::Scope;
pub use token::{KeyToken, SECRET_BYTES};
