//! An exponential moving average of weights: smoother than the weights it follows (Polyak and
//! Juditsky, 1992; for generators Yazıcı et al., 2019).

use super::Tensors;

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

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;

    #[test]
    fn the_average_closes_in_by_the_share_that_the_decay_leaves() {
        let named = |value: f32| Tensors::from([("w".to_owned(), Tensor::from_slice(&[value]))]);
        let (average, weights) = (named(0.0), named(1.0));
        follow(&average, &weights, 0.75, 1_000_000);
        assert_eq!(average["w"].double_value(&[0]), 0.25);
        follow(&average, &weights, 0.75, 1_000_000);
        assert_eq!(average["w"].double_value(&[0]), 0.4375);
        // At the first step nine tenths of the start are gone already.
        follow(&average, &named(0.0), 0.75, 0);
        assert!((average["w"].double_value(&[0]) - 0.04375).abs() < 1e-6);
    }
}
