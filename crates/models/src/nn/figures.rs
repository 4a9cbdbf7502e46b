//! Figures that are told of a batch.

use tch::{Kind, Tensor};

/// The mean of all values, summed up in f64.
pub fn mean(x: &Tensor) -> f64 {
    x.mean(Kind::Double).double_value(&[])
}

/// Peak signal-to-noise ratio, `-10 log10(mse)` in dB, for values in [0, 1] and the squared error of each row per
/// value: `[rows]`.
pub fn psnr(errors: &Tensor) -> Tensor {
    errors.clamp_min(1e-12).log10() * -10.0
}
