//! Files on disk: weights and checkpoints by the digest of their content. The only room that writes
//! them. A file is complete before anything names it: temporary file, fsync, rename.

pub mod bundle;
pub mod files;
pub mod inspect;
pub mod leftovers;
pub mod room;
pub mod weights;

pub use files::{ArtifactError, Artifacts};
pub use room::{Reserve, WantOfRoom};
