//! Checkpoints of a job: written whole before a row names them, read back newest first, past any
//! that a failing disk has damaged.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::artifacts::files::Stored;
use crate::artifacts::{Artifacts, Reserve, WantOfRoom, weights};
use crate::clock::now_ms;
use crate::jobs::Lease;
use crate::nn::Tensors;
use crate::store::{Checkpoint, CheckpointReport, Sample, Store, StoreError};
use crate::train::{Cursor, Snapshot};

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the checkpoint could not be written: {0}")]
    Disk(#[from] std::io::Error),
    #[error("the checkpoint could not be encoded: {0}")]
    Encode(#[from] weights::WeightsError),
    #[error("the cursor could not be encoded: {0}")]
    Cursor(#[from] serde_json::Error),
}

impl WantOfRoom for CheckpointError {
    fn is_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_full(),
            Self::Disk(error) => error.is_full(),
            Self::Encode(_) | Self::Cursor(_) => false,
        }
    }
}

/// The note inside a checkpoint file.
#[derive(Serialize, Deserialize)]
struct Note {
    cursor: Cursor,
}

pub struct Checkpoints {
    pub store: Store,
    pub artifacts: Artifacts,
    pub reserve: Reserve,
    pub lease: Lease,
    pub keep: u32,
    pub runtime: Handle,
}

impl Checkpoints {
    pub fn write(&self, snapshot: &Snapshot<'_>) -> Result<(), CheckpointError> {
        // No file where the data directory was.
        self.store.require_in_place()?;
        let cursor = snapshot.cursor.clone();
        let bytes = weights::encode(&snapshot.state, &Note { cursor })?;
        let Stored { sha256, bytes } = self.artifacts.put(&bytes)?;
        let row = CheckpointReport {
            epoch: i64::from(snapshot.progress.epoch),
            step: i64::try_from(snapshot.progress.step).unwrap_or(i64::MAX),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            sha256: sha256.clone(),
            metrics: snapshot
                .metrics
                .iter()
                .map(|(k, v)| (k.clone(), (*v).into()))
                .collect(),
            best: snapshot.best,
            position: serde_json::to_value(snapshot.cursor)?,
        };
        let recorded = self.runtime.block_on(self.store.record_checkpoint(
            &self.lease,
            &row,
            self.keep,
            now_ms(),
        ))?;
        self.artifacts.remove(&recorded.orphans);
        Ok(())
    }

    /// A picture of what the model makes after an epoch.
    pub fn write_sample(&self, epoch: u32, png: &[u8]) -> Result<(), CheckpointError> {
        let Stored { sha256, bytes } = self.artifacts.put(png)?;
        let sample = Sample {
            epoch: i64::from(epoch),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            sha256,
            created_at: now_ms(),
        };
        let recorded = self.store.record_sample(&self.lease, &sample);
        let orphans = self.runtime.block_on(recorded)?;
        self.artifacts.remove(&orphans);
        Ok(())
    }

    /// The newest checkpoint that can be read; damaged ones are dropped on the way.
    pub fn newest(&self) -> Result<Option<(Cursor, Tensors)>, CheckpointError> {
        for row in self.rows()? {
            match read_checkpoint(&self.artifacts, &row.report.sha256) {
                Ok(found) => return Ok(Some(found)),
                Err(reason) => {
                    tracing::warn!(
                        job = row.job_id,
                        number = row.number,
                        reason,
                        "checkpoint dropped"
                    );
                    self.runtime
                        .block_on(self.store.drop_checkpoint(&self.lease, row.number))?;
                }
            }
        }
        Ok(None)
    }

    /// The state of the best checkpoint, if one was marked.
    pub fn best(&self) -> Result<Option<Tensors>, CheckpointError> {
        let best = self.rows()?.into_iter().find(|row| row.report.best);
        let read = best.and_then(|row| read_checkpoint(&self.artifacts, &row.report.sha256).ok());
        Ok(read.map(|(_, tensors)| tensors))
    }

    fn rows(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let rows = self.store.checkpoints(&self.lease.job_id);
        self.runtime.block_on(rows)
    }

    /// Forgets what was measured after a step: it will be measured again.
    pub fn truncate_metrics(&self, step: u64) -> Result<(), CheckpointError> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let truncate = self.store.truncate_metrics_after(&self.lease, step);
        Ok(self.runtime.block_on(truncate)?)
    }
}

/// Where the run stood, and the learner's state; or why that cannot be read.
pub fn read_checkpoint(artifacts: &Artifacts, sha256: &str) -> Result<(Cursor, Tensors), String> {
    let (tensors, note): (_, Note) = read_weights(artifacts, sha256)?;
    Ok((note.cursor, tensors))
}

/// Tensors and the note beside them; or why they cannot be read.
pub fn read_weights<N: DeserializeOwned>(
    artifacts: &Artifacts,
    sha256: &str,
) -> Result<(Tensors, N), String> {
    let bytes = artifacts.get(sha256).map_err(|e| e.to_string())?;
    weights::decode(&bytes).map_err(|e| e.to_string())
}
