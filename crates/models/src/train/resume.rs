//! Resuming a run from a checkpoint.

use super::adopt::CannotStart;
use super::cursor::Cursor;
use super::learner::Learner;
use super::observer::Halt;
use crate::nn::Tensors;

/// Puts a learner where a checkpoint left it.
pub fn resume(learner: &mut dyn Learner, cursor: &Cursor, state: &Tensors) -> Result<(), Halt> {
    learner.hold(&cursor.adopted).map_err(CannotStart::from)?;
    learner.enter(cursor.phase);
    learner.restore(state)?;
    Ok(())
}
