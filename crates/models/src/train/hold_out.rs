//! Which rows a run learns from, and which it only validates on.

use super::epoch_loop::stream;
use super::settings::Training;
use crate::data::split::Split;
use crate::nn::rng::Rng;

/// Row numbers to learn from and, held out by a seeded draw, to validate on.
pub fn divide(train: &Split, training: &Training) -> (Vec<u32>, Vec<u32>) {
    let limit = training
        .max_rows
        .map_or(u32::MAX, |m| u32::try_from(m).unwrap_or(u32::MAX));
    let n = train.len().min(limit);
    if training.validation_fraction <= 0.0 {
        return ((0..n).collect(), Vec::new());
    }
    let mut order = Rng::at(training.seed, &[stream::HOLD_OUT]).permutation(n);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below n"
    )]
    let held_out = ((f64::from(n) * training.validation_fraction).round() as usize)
        .clamp(1, order.len().saturating_sub(1).max(1));
    let learnt = order.split_off(held_out);
    (learnt, order)
}
