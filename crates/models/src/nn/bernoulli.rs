//! The log-likelihood of Bernoulli values under logits, in one pass over the numbers on the CPU.
//!
//! `ln p(x) = Σ x l - ln(1 + e^l)`, and its slope `x - σ(l)`, of each row. As tensor operations these are
//! eight passes and three transcendental functions a value; here it is one exponential, since
//! `Σ ln(1 + e_i) = ln Π (1 + e_i)`. It is 2.3 times as fast so, and 1.6 times with its gradient:
//! `make bench-parts ONLY=likelihood`.

#![expect(
    unsafe_code,
    reason = "vector instructions, where the processor has them"
)]

use tch::{Device, Kind, Tensor};

use super::loss::cross_entropy_per_row;
use super::rng::{values, values_mut};

const LANES: usize = 16;
/// Factors of a product, each at most 2, so that it stays below the greatest f32, 2^128.
const FACTORS: usize = 64;

/// `[samples · batch]` in nats, for `logits: [samples · batch, features]` and `x: [batch, features]`: the
/// rows of `x` again and again.
pub fn log_likelihood(logits: &Tensor, x: &Tensor) -> Tensor {
    if logits.device() != Device::Cpu {
        let times = logits.size()[0] / x.size()[0].max(1);
        return -cross_entropy_per_row(logits, &x.repeat([times, 1]));
    }
    if !logits.requires_grad() {
        return one_pass(logits, x, None);
    }
    // What autograd sees is linear in the logits, with the slope found here as its coefficients.
    let (slope, found) = tch::no_grad(|| {
        let mut slope = Tensor::empty(logits.size(), (Kind::Float, Device::Cpu));
        let found = one_pass(logits, x, Some(&mut slope));
        (slope, found)
    });
    let linear = (logits * slope).sum_dim_intlist(1, false, Kind::Float);
    &linear + (found - linear.detach())
}

fn one_pass(logits: &Tensor, x: &Tensor, mut slope: Option<&mut Tensor>) -> Tensor {
    let (logits, x) = (logits.contiguous(), x.contiguous());
    let rows = logits.size()[0];
    let mut found = Tensor::empty([rows], (Kind::Float, Device::Cpu));
    let features = usize::try_from(logits.size()[1]).unwrap_or(1).max(1);
    let (l, x) = (values(&logits), values(&x));
    let mut slopes = slope
        .as_mut()
        .map(|slope| values_mut(slope).chunks_exact_mut(features));
    let rows = l
        .chunks_exact(features)
        .zip(x.chunks_exact(features).cycle());
    for ((l, x), found) in rows.zip(values_mut(&mut found)) {
        *found = fastest(l, x, slopes.as_mut().and_then(Iterator::next));
    }
    found
}

/// With the widest vectors that this machine has.
fn fastest(l: &[f32], x: &[f32], slope: Option<&mut [f32]>) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the instructions it is compiled to are there.
        return unsafe { with_avx2(l, x, slope) };
    }
    row(l, x, slope)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(l: &[f32], x: &[f32], slope: Option<&mut [f32]>) -> f32 {
    row(l, x, slope)
}

/// One row's log-likelihood; with `slope`, also its derivative by each logit.
#[inline(always)]
fn row(l: &[f32], x: &[f32], slope: Option<&mut [f32]>) -> f32 {
    let mut sum = 0.0;
    let block = LANES * FACTORS;
    match slope {
        Some(slope) => {
            let blocks = l.chunks(block).zip(x.chunks(block));
            for ((l, x), slope) in blocks.zip(slope.chunks_mut(block)) {
                sum += blockwise::<true>(l, x, slope);
            }
        }
        None => {
            for (l, x) in l.chunks(block).zip(x.chunks(block)) {
                sum += blockwise::<false>(l, x, &mut []);
            }
        }
    }
    sum
}

/// `ln(1 + e^l) = max(l, 0) + ln(1 + e)` and `σ(l) = (1 or e) / (1 + e)`, with `e = e^-|l|`.
#[inline(always)]
fn blockwise<const SLOPE: bool>(l: &[f32], x: &[f32], slope: &mut [f32]) -> f32 {
    let mut product = [1.0_f32; LANES];
    let mut sum = [0.0_f32; LANES];
    let full = l.len() / LANES * LANES;
    for at in (0..full).step_by(LANES) {
        let (l, x) = (&l[at..at + LANES], &x[at..at + LANES]);
        let mut slopes = [0.0_f32; LANES];
        for i in 0..LANES {
            let e = exp_of_negative(-l[i].abs());
            product[i] *= 1.0 + e;
            sum[i] += x[i] * l[i] - l[i].max(0.0);
            if SLOPE {
                slopes[i] = x[i] - if l[i] < 0.0 { e } else { 1.0 } / (1.0 + e);
            }
        }
        if SLOPE {
            slope[at..at + LANES].copy_from_slice(&slopes);
        }
    }
    for at in full..l.len() {
        let e = exp_of_negative(-l[at].abs());
        product[at - full] *= 1.0 + e;
        sum[at - full] += x[at] * l[at] - l[at].max(0.0);
        if SLOPE {
            slope[at] = x[at] - if l[at] < 0.0 { e } else { 1.0 } / (1.0 + e);
        }
    }
    sum.iter().zip(product).map(|(s, p)| s - p.ln()).sum()
}

/// `e^a` for `a <= 0`, to the last two bits: `2^n e^r` with `|r| <= ½ ln 2`, `e^r` by its series.
#[inline(always)]
fn exp_of_negative(a: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let a = a.max(-87.0);
    // Adding 1.5 · 2^23 rounds to a whole number, which then stands in the lowest bits.
    let shifted = a * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (a - n * LN2_HIGH) - n * LN2_LOW;
    let mut series = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        series = series * r + coefficient;
    }
    let power = (shifted.to_bits() << 23).wrapping_add(0x3F80_0000);
    series * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::super::rng::Rng;
    use super::*;

    /// Logits that are small, large and huge, and values from 0 to 1; no whole number of lanes.
    fn drawn(rows: i64) -> (Tensor, Tensor) {
        let mut rng = Rng::at(6, &[]);
        let logits = rng.normal(&[rows, 1117], Device::Cpu).pow_tensor_scalar(3) * 4.0;
        (logits, rng.uniform(&[rows, 1117], Device::Cpu))
    }

    #[test]
    fn it_is_minus_the_cross_entropy() {
        let (logits, x) = drawn(6);
        let found = log_likelihood(&logits, &x);
        let expected = -cross_entropy_per_row(&logits, &x);
        let apart = ((&found - &expected) / &expected)
            .abs()
            .max()
            .double_value(&[]);
        assert!(apart < 1e-6, "{apart}");
        // Two samples of three rows.
        let x = x.narrow(0, 0, 3);
        let expected = -cross_entropy_per_row(&logits, &x.repeat([2, 1]));
        let apart = ((log_likelihood(&logits, &x) - &expected) / expected)
            .abs()
            .max();
        assert!(apart.double_value(&[]) < 1e-6);
    }

    #[test]
    fn its_gradient_is_that_of_the_cross_entropy() {
        let (logits, x) = drawn(4);
        let weights = Tensor::from_slice(&[1.0_f32, -0.5, 0.0, 2.0]);
        let gradient = |of: &dyn Fn(&Tensor) -> Tensor| {
            let logits = logits.detach().copy().set_requires_grad(true);
            (of(&logits) * &weights).sum(Kind::Float).backward();
            logits.grad()
        };
        let found = gradient(&|logits| log_likelihood(logits, &x));
        let expected = gradient(&|logits| -cross_entropy_per_row(logits, &x));
        let apart = (found - expected).abs().max().double_value(&[]);
        assert!(apart < 1e-6, "{apart}");
    }

    #[test]
    fn what_is_not_a_number_is_not_hidden() {
        let (logits, x) = drawn(2);
        let _ = logits.get(1).get(3).fill_(f64::NAN);
        let found = log_likelihood(&logits, &x);
        assert!(found.double_value(&[0]).is_finite() && found.double_value(&[1]).is_nan());
    }
}
