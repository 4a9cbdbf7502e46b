//! A model version out of a checkpoint: the learner is built, put where the checkpoint left it, and asked
//! for its model. Nothing is trained.

use tch::Device;

use super::checkpoint::read_checkpoint;
use super::training::{TrainingError, publish};
use crate::artifacts::Artifacts;
use crate::families::Family;
use crate::jobs::Job;
use crate::nn::model::DataFacts;
use crate::store::{Checkpoint, NewVersion};
use crate::train::{Training, resume};

#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// The file is gone or damaged, or of another version of this program.
    #[error("{0}")]
    Unreadable(String),
    #[error("the version could not be written: {0}")]
    Unwritable(TrainingError),
}

pub fn version_of(
    job: &Job,
    facts: &DataFacts,
    checkpoint: &Checkpoint,
    artifacts: &Artifacts,
) -> Result<NewVersion, PromotionError> {
    let unreadable = |e: &dyn std::fmt::Display| PromotionError::Unreadable(e.to_string());
    let (cursor, state) =
        read_checkpoint(artifacts, &checkpoint.report.sha256).map_err(|e| unreadable(&e))?;
    let training: Training =
        serde_json::from_value(job.plan.training.clone()).map_err(|e| unreadable(&e))?;
    let family = Family::find(&job.plan.kind).ok_or_else(|| unreadable(&job.plan.kind))?;
    let learner = (family.learner)(&job.plan.model, &training, facts, Device::Cpu);
    let mut learner = learner.map_err(|e| unreadable(&e))?;
    resume(learner.as_mut(), &cursor, &state).map_err(|e| unreadable(&e))?;
    // In the middle of an epoch some learners have not made a whole model of what they know.
    if cursor.step > 0 {
        learner.close_epoch(cursor.phase, cursor.epoch);
    }
    let metrics = checkpoint
        .report
        .metrics
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
        .collect();
    publish(job, facts, learner.as_ref(), metrics, artifacts).map_err(PromotionError::Unwritable)
}
