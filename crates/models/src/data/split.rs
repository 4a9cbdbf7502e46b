//! A split of a data set as a net sees it: batches of f32 rows in model units.

use std::io;

use tch::kind::Element;
use tch::{Device, Tensor};

use super::SplitFiles;
use super::rows::{LabelFile, RowFile, TargetFile};
use crate::nn::rng::values_mut;

/// One minibatch. `x: [batch, features]` f32; `labels: [batch]` i64 and `targets: [batch]` f64 where the
/// data set has them.
pub struct Batch {
    pub x: Tensor,
    pub labels: Option<Tensor>,
    pub targets: Option<Tensor>,
}

impl Batch {
    /// Another batch of the same parts, each changed in the same way: a share of its rows, say.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            x: change(&self.x),
            labels: self.labels.as_ref().map(&change),
            targets: self.targets.as_ref().map(&change),
        }
    }
}

pub struct Split {
    rows: RowFile,
    labels: Option<LabelFile>,
    targets: Option<TargetFile>,
}

impl Split {
    /// Opens the canonical files of a split that has labels, or targets, or neither.
    pub fn open(files: &SplitFiles, labels: bool, targets: bool) -> io::Result<Self> {
        let (label_file, target_file) = (&files.labels, &files.targets);
        let labels = labels.then(|| LabelFile::open(label_file)).transpose()?;
        let targets = targets.then(|| TargetFile::open(target_file)).transpose()?;
        Ok(Self {
            rows: RowFile::open(&files.rows)?,
            labels,
            targets,
        })
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.rows.rows()).unwrap_or(u32::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows at `indices`, in that order, on `device`.
    pub fn batch(&self, indices: &[u32], device: Device) -> io::Result<Batch> {
        let size = [indices.len() as i64, self.rows.row_len() as i64];
        let mut x = Tensor::empty(size, (tch::Kind::Float, Device::Cpu));
        self.rows.gather(indices, values_mut(&mut x))?;
        let labels = self.labels.as_ref().map(LabelFile::labels);
        let targets = self.targets.as_ref().map(TargetFile::targets);
        Ok(Batch {
            x: x.to_device(device),
            labels: labels.map(|all| picked(all, indices, device)),
            targets: targets.map(|all| picked(all, indices, device)),
        })
    }
}

/// The values at `indices`: `[indices]`.
fn picked<T: Copy + Element>(all: &[T], indices: &[u32], device: Device) -> Tensor {
    let values: Vec<T> = indices.iter().map(|&i| all[i as usize]).collect();
    Tensor::from_slice(&values).to_device(device)
}
