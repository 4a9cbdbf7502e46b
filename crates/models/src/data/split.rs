//! A split of a data set as a net sees it: batches of f32 rows in model units.

use std::io;

use tch::kind::Element;
use tch::{Device, Tensor};

use super::rows::{LabelFile, RowFile, TargetFile};
use super::{Batch, Role, SplitFiles};
use crate::nn::rng::values_mut;

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
        let mut batch = Batch::new(x.to_device(device));
        if let Some(file) = &self.labels {
            batch = batch.with(Role::Labels, picked(file.labels(), indices, device));
        }
        if let Some(file) = &self.targets {
            batch = batch.with(Role::Targets, picked(file.targets(), indices, device));
        }
        Ok(batch)
    }
}

/// The values at `indices`: `[indices]`.
fn picked<T: Copy + Element>(all: &[T], indices: &[u32], device: Device) -> Tensor {
    let values: Vec<T> = indices.iter().map(|&i| all[i as usize]).collect();
    Tensor::from_slice(&values).to_device(device)
}
