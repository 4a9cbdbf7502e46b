//! The few rows whose labels or targets may be learnt from (`labeled_rows`).

use tch::{Device, Tensor};

use crate::data::{Batch, Role};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};

pub struct Labeled(Batch);

/// Which rows these are, told batch by batch: the first of each class, as many of one class as of another, for a
/// classifier; else the first of all. A handful of labels that happens to lack a class would measure luck.
pub struct Choice {
    /// How many more of each class; one place where classes do not matter.
    wanted: Vec<i64>,
    kept: Vec<Batch>,
}

impl Choice {
    /// Of `rows` rows; `classes` of a classifier's labels.
    pub fn of(rows: i64, classes: Option<i64>) -> Self {
        let classes = classes.unwrap_or(1).max(1);
        Self {
            wanted: (0..classes)
                .map(|class| rows / classes + i64::from(class < rows % classes))
                .collect(),
            kept: Vec::new(),
        }
    }

    /// The rows of the next batch that are chosen, if there are any.
    pub fn choose(&mut self, batch: &Batch) -> Option<Batch> {
        let rows = batch.rows().size()[0];
        let classes: Vec<i64> = match batch.labels() {
            Some(labels) if self.wanted.len() > 1 => Vec::try_from(labels).unwrap_or_default(),
            _ => vec![0; usize::try_from(rows).unwrap_or(0)],
        };
        let mut picked = Vec::new();
        for (row, class) in (0..rows).zip(classes) {
            let left = usize::try_from(class)
                .ok()
                .and_then(|c| self.wanted.get_mut(c));
            if let Some(left) = left.filter(|left| **left > 0) {
                *left -= 1;
                picked.push(row);
            }
        }
        if picked.is_empty() {
            return None;
        }
        let index = Tensor::from_slice(&picked).to_device(batch.rows().device());
        let chosen = batch.map(|tensor| tensor.index_select(0, &index));
        self.kept.push(chosen.map(Tensor::shallow_clone));
        Some(chosen)
    }

    pub fn made(self) -> Option<Labeled> {
        Batch::joined(&self.kept).map(Labeled)
    }
}

impl Labeled {
    /// Some of the rows, each at most once.
    pub fn draw(&self, rows: i64, rng: &mut Rng) -> Batch {
        let all = u32::try_from(self.0.rows().size()[0]).unwrap_or(u32::MAX);
        let picked: Vec<i64> = rng.permutation(all).into_iter().map(i64::from).collect();
        let count = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .min(picked.len());
        let index = Tensor::from_slice(&picked[..count]).to_device(self.0.rows().device());
        self.0.map(|tensor| tensor.index_select(0, &index))
    }

    pub fn name_tensors(&self, into: &mut Tensors) {
        for (role, column) in self.0.columns() {
            into.insert(tensor_name(role), column.shallow_clone());
        }
    }

    pub fn restored(state: &Tensors, device: Device) -> Result<Self, TensorMismatch> {
        let take = |role| {
            let column = state.get(&tensor_name(role))?;
            Some((role, column.to_device(device)))
        };
        let (_, rows) =
            take(Role::Rows).ok_or_else(|| TensorMismatch::Missing(tensor_name(Role::Rows)))?;
        let columns = Role::ALL.into_iter().filter_map(take);
        Ok(Self(
            columns.fold(Batch::new(rows), |batch, (role, column)| {
                batch.with(role, column)
            }),
        ))
    }
}

fn tensor_name(role: Role) -> String {
    format!("labeled.{}", role.name())
}
