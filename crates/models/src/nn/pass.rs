//! What a forward pass through a net, or a part of one, is told beside its input.

use tch::Tensor;

use super::rng::Rng;

/// What a forward pass depends on besides its input.
#[derive(Default)]
pub struct Pass<'a> {
    /// Draws the dropout masks. Without it the pass is deterministic, and normalisations use their
    /// running statistics.
    pub training: Option<&'a mut Rng>,
    /// Class of each row, `[batch]` i64, for blocks conditioned on it.
    pub labels: Option<&'a Tensor>,
}

impl<'a> Pass<'a> {
    pub fn train(rng: &'a mut Rng) -> Self {
        Self {
            training: Some(rng),
            labels: None,
        }
    }

    pub fn with_labels(self, labels: Option<&'a Tensor>) -> Self {
        Self { labels, ..self }
    }
}
