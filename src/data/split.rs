//! A split of a data set as a net sees it: batches of f32 rows in model units.

use std::io;
use std::path::Path;

use tch::{Device, Tensor};

use super::rows::{LabelFile, RowFile};
use crate::nn::rng::values_mut;

/// One minibatch. `x: [batch, features]`; `labels: [batch]` where the data set has them.
pub struct Batch {
    pub x: Tensor,
    pub labels: Option<Tensor>,
}

pub struct Split {
    rows: RowFile,
    labels: Option<LabelFile>,
}

impl Split {
    /// Opens the canonical files of a split; `labels` where the split has them.
    pub fn open(rows: &Path, labels: Option<&Path>) -> io::Result<Self> {
        Ok(Self {
            rows: RowFile::open(rows)?,
            labels: labels.map(LabelFile::open).transpose()?,
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
        let labels = self.labels.as_ref().map(|file| {
            let all = file.labels();
            let picked: Vec<i64> = indices.iter().map(|&i| all[i as usize]).collect();
            Tensor::from_slice(&picked).to_device(device)
        });
        Ok(Batch {
            x: x.to_device(device),
            labels,
        })
    }
}
