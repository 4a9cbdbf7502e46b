//! Preview pictures of a model while it trains: samples, or rows beside their reconstructions.

use tch::{Device, Tensor};

use crate::data::picture::{self, Scale};
use crate::data::split::Split;
use crate::nn::model::{DataFacts, Rows};
use crate::nn::rng::{Rng, values};
use crate::train::epoch_loop::stream;
use crate::verbs::Model;
use crate::verbs::generate::preview;

/// Samples of a model that generates, eight by eight.
const SAMPLES: i64 = 64;
const COLUMNS: usize = 8;
/// Rows that are reconstructed otherwise.
const RECONSTRUCTED: u32 = 32;

/// What the pictures of one run show.
pub struct Preview {
    facts: DataFacts,
    seed: u64,
    device: Device,
    /// The first rows of the test split, else of the training split: `[rows, features]`.
    rows: Tensor,
    labels: Option<Tensor>,
}

impl Preview {
    /// `None` where rows are no images.
    pub fn open(
        facts: &DataFacts,
        seed: u64,
        device: Device,
        split: &Split,
    ) -> std::io::Result<Option<Self>> {
        if !matches!(facts.shape(), [1 | 3, _, _] | [_, _]) {
            return Ok(None);
        }
        let first: Vec<u32> = (0..split.len().min(RECONSTRUCTED)).collect();
        let batch = split.batch(&first, device)?;
        Ok(Some(Self {
            facts: facts.clone(),
            seed,
            device,
            rows: batch.rows().shallow_clone(),
            labels: batch.labels().map(Tensor::shallow_clone),
        }))
    }

    /// A PNG, or none of a model that neither generates nor reconstructs.
    pub fn picture(&self, model: &dyn Model) -> Option<Vec<u8>> {
        let _guard = tch::no_grad_guard();
        // The same noise each time: what changes is the model.
        let mut rng = Rng::at(self.seed, &[stream::SAMPLES]);
        let tiles = match preview(model, SAMPLES, self.device, &mut rng) {
            Some(samples) => samples,
            None => self.in_pairs(&self.reconstructions(model, &mut rng)?),
        };
        let shape: Vec<usize> = self
            .facts
            .shape()
            .iter()
            .map(|&d| usize::try_from(d).unwrap_or(0))
            .collect();
        let tiles = values(&tiles.to_device(Device::Cpu).contiguous()).to_vec();
        picture::grid_png(&tiles, &shape, Some(COLUMNS), self.scale()).ok()
    }

    fn reconstructions(&self, model: &dyn Model, rng: &mut Rng) -> Option<Tensor> {
        let part = model.reconstructor()?;
        let rows = Rows {
            x: self.rows.shallow_clone(),
            labels: self.labels.as_ref().map(Tensor::shallow_clone),
        };
        Some(part.reconstruct(&rows, 0, rng))
    }

    /// A line of images, then the line of their reconstructions, and so on.
    fn in_pairs(&self, reconstructions: &Tensor) -> Tensor {
        let columns = COLUMNS as i64;
        let lines = (0..self.rows.size()[0]).step_by(COLUMNS).flat_map(|from| {
            let some = columns.min(self.rows.size()[0] - from);
            [
                self.rows.narrow(0, from, some),
                reconstructions.narrow(0, from, some),
            ]
        });
        Tensor::cat(&lines.collect::<Vec<_>>(), 0)
    }

    fn scale(&self) -> Scale {
        let (low, high) = self.facts.range();
        if low >= 0.0 && high <= 1.0 {
            return Scale::Unit;
        }
        #[expect(clippy::cast_possible_truncation, reason = "shades need no more")]
        Scale::Range(low as f32, high as f32)
    }
}
