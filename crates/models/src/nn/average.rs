//! Averages of weights over the steps of a descent, smoother than the weights they follow (Polyak and Juditsky,
//! 1992).
//!
//! Two rules, for what an average is to forget. That of a generator, whose first weights say nothing of its last
//! (Yazıcı et al., 2019), has a decay that rises ([`follow`]); that of a machine near its end is a plain mean until
//! it is as long as its memory ([`WeightAverage`]).

use tch::Tensor;

use super::{TensorMismatch, Tensors, copy_named};

/// `average ← decay · average + (1 - decay) · weights`, tensor by tensor of the same names.
///
/// The decay starts near zero and rises to its value as the steps add up, so that the average soon
/// forgets where the weights began.
pub fn follow(average: &Tensors, weights: &Tensors, decay: f64, steps: i64) {
    let steps = steps as f64;
    let decay = decay.min((1.0 + steps) / (10.0 + steps));
    tch::no_grad(|| {
        for (slow, fast) in average.values().zip(weights.values()) {
            let _ = slow.shallow_clone().lerp_(fast, 1.0 - decay);
        }
    });
}

/// `w̄ ← w̄ + r (w - w̄)` with `r = max(1 - decay, 1 / n)` at the n-th set of weights: the plain mean
/// of all until it is as long as the decay's memory, so that nothing of the start stays in it.
pub struct WeightAverage {
    decay: f64,
    count: i64,
    average: Tensors,
}

impl WeightAverage {
    /// `average` shares storage with the net that holds the average.
    pub fn new(decay: f64, average: Tensors) -> Self {
        Self {
            decay,
            count: 0,
            average,
        }
    }

    /// Whether no weights have been added yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes in `weights`, which have the names of the average.
    pub fn add(&mut self, weights: &Tensors) {
        self.count += 1;
        let rate = (1.0 - self.decay).max(1.0 / self.count as f64);
        for (average, now) in self.average.values_mut().zip(weights.values()) {
            let _ = average.lerp_(now, rate);
        }
    }

    /// What the next addition depends on beside the average itself.
    pub fn state(&self, prefix: &str) -> Tensors {
        let count = Tensor::from_slice(&[self.count]);
        Tensors::from([(format!("{prefix}.count"), count)])
    }

    pub fn restore(&mut self, prefix: &str, state: &Tensors) -> Result<(), TensorMismatch> {
        let mut count = Tensor::from_slice(&[0_i64]);
        copy_named(state, &format!("{prefix}.count"), &mut count)?;
        self.count = count.int64_value(&[0]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f32) -> Tensors {
        Tensors::from([("w".to_owned(), Tensor::from_slice(&[value]))])
    }

    #[test]
    fn it_is_the_mean_at_first_and_forgets_exponentially_later() {
        let net = one(100.0);
        let mut average = WeightAverage::new(
            0.75,
            net.iter()
                .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                .collect(),
        );
        let mut seen = Vec::new();
        for value in [1.0, 3.0, 5.0, 7.0, 8.0, 0.0] {
            average.add(&one(value));
            seen.push(net["w"].double_value(&[0]));
        }
        // Means of one to four values, then a quarter of the way to each new one.
        assert_eq!(seen, [1.0, 2.0, 3.0, 4.0, 5.0, 3.75]);
    }

    #[test]
    fn the_average_closes_in_by_the_share_that_the_decay_leaves() {
        let (average, weights) = (one(0.0), one(1.0));
        follow(&average, &weights, 0.75, 1_000_000);
        assert_eq!(average["w"].double_value(&[0]), 0.25);
        follow(&average, &weights, 0.75, 1_000_000);
        assert_eq!(average["w"].double_value(&[0]), 0.4375);
        // At the first step nine tenths of the start are gone already.
        follow(&average, &one(0.0), 0.75, 0);
        assert!((average["w"].double_value(&[0]) - 0.04375).abs() < 1e-6);
    }
}
