//! A split of a data set as a net sees it: batches of every column that it has.

use std::io;

use tch::{Device, Tensor};

use super::reader::{ColumnFile, Stored};
use super::{Batch, Column, Dtype, Role, SplitFiles};
use crate::nn::rng::values_mut;

pub struct Split {
    rows: ColumnFile,
    /// What goes with the rows.
    others: Vec<(Role, ColumnFile)>,
}

impl Split {
    /// Opens the canonical files of the columns that the split has.
    pub fn open<'a>(
        files: &SplitFiles,
        columns: impl IntoIterator<Item = &'a Column>,
    ) -> io::Result<Self> {
        let (mut rows, mut others) = (None, Vec::new());
        for column in columns {
            let file = ColumnFile::open_as(&files.path(column.role), column)?;
            match column.role {
                Role::Rows => rows = Some(file),
                role => others.push((role, file)),
            }
        }
        let rows = rows.ok_or_else(|| io::Error::other("the split has no column of rows"))?;
        Ok(Self { rows, others })
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.rows.rows()).unwrap_or(u32::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows at `indices`, in that order, on `device`.
    pub fn batch(&self, indices: &[u32], device: Device) -> io::Result<Batch> {
        let mut batch = Batch::new(tensor(&self.rows, indices, device)?);
        for (role, file) in &self.others {
            batch = batch.with(*role, tensor(file, indices, device)?);
        }
        Ok(batch)
    }

    /// The rows at `indices`, flat, in model units.
    pub fn rows(&self, indices: &[u32]) -> io::Result<Vec<f32>> {
        let mut values = vec![0.0; indices.len() * self.rows.row_len()];
        self.rows.gather(indices, &mut values)?;
        Ok(values)
    }

    /// What another column has at `indices`, as it is stored; none where the split does not have it.
    pub fn pick<T: Stored>(&self, role: Role, indices: &[u32]) -> io::Result<Option<Vec<T>>> {
        let mut others = self.others.iter();
        let found = others.find(|(other, _)| *other == role);
        Ok(found.map(|(_, file)| file.pick(indices)).transpose()?)
    }
}

/// The rows of a column at `indices`: `[indices, row length]`, or `[indices]` of single values.
fn tensor(file: &ColumnFile, indices: &[u32], device: Device) -> io::Result<Tensor> {
    let mut size = vec![indices.len() as i64];
    if !file.shape().is_empty() {
        size.push(file.row_len() as i64);
    }
    let values = match file.dtype() {
        Dtype::U8 | Dtype::F32 => {
            let mut values = Tensor::empty(size, (tch::Kind::Float, Device::Cpu));
            file.gather(indices, values_mut(&mut values))?;
            values
        }
        Dtype::I64 => shaped(&file.pick::<i64>(indices)?, &size),
        Dtype::F64 => shaped(&file.pick::<f64>(indices)?, &size),
    };
    Ok(values.to_device(device))
}

fn shaped<T: tch::kind::Element>(values: &[T], size: &[i64]) -> Tensor {
    let flat = Tensor::from_slice(values);
    match size {
        [_] => flat,
        _ => flat.view(size),
    }
}
