//! The first rows of the data, where only their labels or targets may be learnt from (`labeled_rows`).

use tch::{Device, Tensor};

use crate::data::split::Batch;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};

pub struct Labeled(Batch);

impl Labeled {
    /// Of the batches that hold them; there is at least one.
    pub fn of(batches: &[Batch]) -> Self {
        let joined = |part: fn(&Batch) -> Option<&Tensor>| {
            let parts: Option<Vec<&Tensor>> = batches.iter().map(part).collect();
            parts.map(|parts| Tensor::cat(&parts, 0))
        };
        Self(Batch {
            x: joined(|batch| Some(&batch.x)).unwrap_or_default(),
            labels: joined(|batch| batch.labels.as_ref()),
            targets: joined(|batch| batch.targets.as_ref()),
        })
    }

    /// Some of the rows, each at most once.
    pub fn draw(&self, rows: i64, rng: &mut Rng) -> Batch {
        let all = u32::try_from(self.0.x.size()[0]).unwrap_or(u32::MAX);
        let picked: Vec<i64> = rng.permutation(all).into_iter().map(i64::from).collect();
        let count = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .min(picked.len());
        let index = Tensor::from_slice(&picked[..count]).to_device(self.0.x.device());
        self.0.map(|tensor| tensor.index_select(0, &index))
    }

    pub fn name_tensors(&self, into: &mut Tensors) {
        let Batch { x, labels, targets } = &self.0;
        let parts = [
            ("rows", Some(x)),
            ("labels", labels.as_ref()),
            ("targets", targets.as_ref()),
        ];
        for (name, tensor) in parts {
            if let Some(tensor) = tensor {
                into.insert(format!("labeled.{name}"), tensor.shallow_clone());
            }
        }
    }

    pub fn restored(state: &Tensors, device: Device) -> Result<Self, TensorMismatch> {
        let take = |name: &str| state.get(name).map(|tensor| tensor.to_device(device));
        let rows = "labeled.rows";
        Ok(Self(Batch {
            x: take(rows).ok_or_else(|| TensorMismatch::Missing(rows.to_owned()))?,
            labels: take("labeled.labels"),
            targets: take("labeled.targets"),
        }))
    }
}
