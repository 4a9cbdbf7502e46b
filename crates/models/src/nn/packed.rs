//! The weights of an affine map as its kernel reads them: on the CPU, when they do not change any more.
//!
//! A general product copies the weights into such an order each time it is called, which for a few rows
//! costs more than the product itself, and for hundreds still a tenth of it. Each row is summed in the same
//! order whatever rows are beside it: a row's answer does not depend on its batch, to the last bit.
//!
//! Beside libtorch's linear layer, 784 to 500 units on two threads, it is 1.9 times as fast on 4 rows and as fast on
//! one. On 32 and 256 rows it has 0.75 and 0.8 of its speed: what it is kept for there is that answers do not depend on
//! the batch. `make bench-parts ONLY=linear`.

#![expect(
    unsafe_code,
    reason = "vector instructions, and values without a check of each index"
)]

use tch::{Device, Kind, Tensor};

use super::rng::{values, values_mut};
use super::thread_pool::in_blocks;

/// Columns of a panel: two registers of eight floats.
const COLUMNS: usize = 16;
/// Rows computed at once, at most: their sums, the weights and a value fit the sixteen registers of AVX2, and
/// there are sums enough that none waits for the one before.
const ROWS: usize = 6;
/// Rows that go through all layers together, by one thread: what is between two layers stays in its cache.
const BLOCK: usize = 32;
/// Inputs beyond which a panel leaves no room in the second cache for the rows, which matters once the rows
/// are many: libtorch then cuts the sums into parts.
const MOST_INPUTS: usize = 4096;
/// Multiplications below which handing a block over costs more than it saves.
const WORTH_SHARING: usize = 10_000_000;

pub struct Packed {
    /// Panel after panel, `[units / 16][inputs][16]`; the last is filled up with zeros.
    panels: Vec<[f32; COLUMNS]>,
    bias: Vec<[f32; COLUMNS]>,
    inputs: usize,
    units: usize,
    /// Units and the zeros that fill up the last panel.
    width: usize,
}

/// `x Wᵀ + b`, or with `relu` the greater of that and zero.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    pub packed: &'a Packed,
    pub relu: bool,
}

impl Packed {
    /// From `weight: [units, inputs]` and `bias: [units]`; none where the kernel would not run.
    pub fn of(weight: &Tensor, bias: &Tensor) -> Option<Self> {
        if !has_kernel() || weight.device() != Device::Cpu || weight.kind() != Kind::Float {
            return None;
        }
        let [units, inputs] = *weight.size().as_slice() else {
            return None;
        };
        let (units, inputs) = (usize::try_from(units).ok()?, usize::try_from(inputs).ok()?);
        if units == 0 || inputs == 0 {
            return None;
        }
        let (weight, bias) = (weight.detach().contiguous(), bias.detach().contiguous());
        let mut panels = vec![[0.0; COLUMNS]; units.div_ceil(COLUMNS) * inputs];
        for (unit, row) in values(&weight).chunks_exact(inputs).enumerate() {
            let panel = &mut panels[unit / COLUMNS * inputs..][..inputs];
            for (place, &value) in panel.iter_mut().zip(row) {
                place[unit % COLUMNS] = value;
            }
        }
        let mut padded = vec![[0.0; COLUMNS]; units.div_ceil(COLUMNS)];
        for (place, &value) in padded.as_flattened_mut().iter_mut().zip(values(&bias)) {
            *place = value;
        }
        Some(Self {
            panels,
            width: padded.len() * COLUMNS,
            bias: padded,
            inputs,
            units,
        })
    }

    /// Bytes that the copy takes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }

    /// `x Wᵀ + b`: `[rows, inputs] -> [rows, units]`; none for inputs that are not for this kernel.
    pub fn forward(&self, x: &Tensor) -> Option<Tensor> {
        let layer = Layer {
            packed: self,
            relu: false,
        };
        through(&[layer], x)
    }
}

/// Through layers of which each takes what the one before gives: `[rows, inputs] -> [rows, units of the last]`;
/// none for inputs that are not for this kernel.
pub fn through(layers: &[Layer<'_>], x: &Tensor) -> Option<Tensor> {
    let ([first, ..], [.., last]) = (layers, layers) else {
        return None;
    };
    let [rows, inputs] = *x.size().as_slice() else {
        return None;
    };
    let many = rows > BLOCK as i64;
    let small = |layer: &Layer<'_>| layer.packed.inputs <= MOST_INPUTS;
    let fits = usize::try_from(inputs) == Ok(first.packed.inputs)
        && (!many || layers.iter().all(small))
        && x.device() == Device::Cpu
        && x.kind() == Kind::Float
        && !x.requires_grad();
    if !fits {
        return None;
    }
    let x = x.contiguous();
    let (width, units) = (last.packed.width as i64, last.packed.units as i64);
    // Every value of it is written: each panel writes its columns of each row.
    let mut out = Tensor::empty([rows, width], (Kind::Float, Device::Cpu));
    let cost: usize = layers.iter().map(|l| l.packed.panels.len() * COLUMNS).sum();
    let worth = many && usize::try_from(rows).ok()? * cost >= WORTH_SHARING;
    in_blocks(
        (values(&x), BLOCK * first.packed.inputs),
        (values_mut(&mut out), BLOCK * last.packed.width),
        worth,
        |x, out| block_through(layers, x, out),
    );
    Some(if units == width {
        out
    } else {
        out.narrow(1, 0, units)
    })
}

/// How many of the rows that are left are computed next. Seven or eight are two times three or four, rather than
/// six and hardly any.
fn at_once(left: usize) -> usize {
    match left {
        7 | 8 => 4,
        _ => left.min(ROWS),
    }
}

/// One block through all layers.
fn block_through(layers: &[Layer<'_>], x: &[f32], out: &mut [f32]) {
    let Some((last, before)) = layers.split_last() else {
        return;
    };
    let first = before.first().unwrap_or(last);
    let rows = x.len() / first.packed.inputs;
    let widest = before.iter().map(|layer| layer.packed.width).max();
    let room = rows * widest.unwrap_or(0);
    let (mut from, mut to) = (vec![0.0; room], vec![0.0; room]);
    let (mut read, mut stride) = (x, first.packed.inputs);
    for layer in before {
        let packed = layer.packed;
        layer.apply(read, stride, &mut to[..rows * packed.width]);
        std::mem::swap(&mut from, &mut to);
        (read, stride) = (&from[..rows * packed.width], packed.width);
    }
    last.apply(read, stride, out);
}

impl Layer<'_> {
    /// Of rows that lie `stride` values apart.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(
            unused_unsafe,
            reason = "only the kernel of x86-64 needs what not all processors have"
        )
    )]
    fn apply(&self, x: &[f32], stride: usize, out: &mut [f32]) {
        // SAFETY: `Packed::of` made the weights only where the processor has what the kernel needs.
        unsafe { self.panel_by_panel(x, stride, out) }
    }

    /// A panel stays in the nearest cache for all rows; the weights pass by once.
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
    fn panel_by_panel(&self, x: &[f32], stride: usize, out: &mut [f32]) {
        let Packed { inputs, width, .. } = *self.packed;
        for (i, panel) in self.packed.panels.chunks_exact(inputs).enumerate() {
            let bias: &[f32; COLUMNS] = &self.packed.bias[i];
            let (mut x, mut out) = (x, &mut *out);
            while !x.is_empty() {
                let rows = at_once(x.len() / stride);
                let (these, others) = x.split_at(rows * stride);
                let (sums, rest) = out.split_at_mut(rows * width);
                let sums = &mut sums[i * COLUMNS..];
                match rows {
                    1 => self.tile::<1>(these, stride, panel, bias, sums),
                    2 => self.tile::<2>(these, stride, panel, bias, sums),
                    3 => self.tile::<3>(these, stride, panel, bias, sums),
                    4 => self.tile::<4>(these, stride, panel, bias, sums),
                    5 => self.tile::<5>(these, stride, panel, bias, sums),
                    _ => self.tile::<ROWS>(these, stride, panel, bias, sums),
                }
                (x, out) = (others, rest);
            }
        }
    }

    /// `M` rows by one panel, to its columns in `out`.
    #[inline]
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
    fn tile<const M: usize>(
        &self,
        x: &[f32],
        stride: usize,
        panel: &[[f32; COLUMNS]],
        bias: &[f32; COLUMNS],
        out: &mut [f32],
    ) {
        let mut rows = [x; M];
        for (m, row) in rows.iter_mut().enumerate() {
            *row = &x[m * stride..][..panel.len()];
        }
        let mut sums = [wide::load(bias); M];
        for (i, weights) in panel.iter().enumerate() {
            let weights = wide::load(weights);
            for (sums, row) in sums.iter_mut().zip(rows) {
                // SAFETY: each row was cut to as many values as the panel has.
                let value = unsafe { *row.get_unchecked(i) };
                *sums = wide::multiply_add(value, weights, *sums);
            }
        }
        for (sums, out) in sums.iter().zip(out.chunks_mut(self.packed.width)) {
            if let Some(out) = out.first_chunk_mut() {
                wide::store(if self.relu { wide::relu(*sums) } else { *sums }, out);
            }
        }
    }
}

/// A panel's columns of one row, in two registers of AVX2. Told by its name: left to itself the compiler keeps
/// the sums in memory as soon as the lines around them change, and is three times slower.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps,
    };

    use super::COLUMNS;

    pub type Wide = [__m256; 2];

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn load(from: &[f32; COLUMNS]) -> Wide {
        let at = from.as_ptr();
        // SAFETY: both halves lie within `from`.
        unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(COLUMNS / 2))] }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn multiply_add(value: f32, weights: Wide, sums: Wide) -> Wide {
        let value = _mm256_set1_ps(value);
        [
            _mm256_fmadd_ps(value, weights[0], sums[0]),
            _mm256_fmadd_ps(value, weights[1], sums[1]),
        ]
    }

    /// What is no number stays none.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn relu(sums: Wide) -> Wide {
        let zero = _mm256_setzero_ps();
        [_mm256_max_ps(zero, sums[0]), _mm256_max_ps(zero, sums[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn store(sums: Wide, to: &mut [f32; COLUMNS]) {
        let at = to.as_mut_ptr();
        // SAFETY: both halves lie within `to`.
        unsafe {
            _mm256_storeu_ps(at, sums[0]);
            _mm256_storeu_ps(at.add(COLUMNS / 2), sums[1]);
        }
    }
}

/// The same on other processors, where `Packed::of` makes no weights and none of it runs.
#[cfg(not(target_arch = "x86_64"))]
mod wide {
    use super::COLUMNS;

    pub type Wide = [f32; COLUMNS];

    pub fn load(from: &[f32; COLUMNS]) -> Wide {
        *from
    }
    pub fn multiply_add(value: f32, weights: Wide, sums: Wide) -> Wide {
        std::array::from_fn(|i| value.mul_add(weights[i], sums[i]))
    }
    pub fn relu(sums: Wide) -> Wide {
        sums.map(|sum| if sum < 0.0 { 0.0 } else { sum })
    }
    pub fn store(sums: Wide, to: &mut [f32; COLUMNS]) {
        *to = sums;
    }
}

#[cfg(target_arch = "x86_64")]
fn has_kernel() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Elsewhere it was not measured.
#[cfg(not(target_arch = "x86_64"))]
fn has_kernel() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::super::rng::Rng;
    use super::*;

    fn flat(x: &Tensor) -> Vec<f32> {
        values(&x.contiguous()).to_vec()
    }

    #[test]
    fn the_product_is_that_of_libtorch_and_of_each_row_alone() {
        let mut rng = Rng::at(5, &[]);
        for (units, inputs) in [(1, 1), (7, 33), (16, 5), (40, 100), (129, 64)] {
            let weight = rng.normal(&[units, inputs], Device::Cpu);
            let bias = rng.normal(&[units], Device::Cpu);
            let Some(packed) = Packed::of(&weight, &bias) else {
                println!("skipped: this processor has no AVX2");
                return;
            };
            for rows in [1, 2, 3, 4, 5, 8, 31, 32, 33, 64, 131] {
                let x = rng.normal(&[rows, inputs], Device::Cpu);
                let y = packed.forward(&x).expect("it fits");
                let wanted = x.linear(&weight, Some(&bias));
                let off = (&y - wanted).abs().max().double_value(&[]);
                assert!(off < 1e-4, "{units} x {inputs}, {rows} rows: off by {off}");
                let last = packed.forward(&x.narrow(0, rows - 1, 1)).expect("it fits");
                assert_eq!(flat(&last), flat(&y.get(rows - 1)));
            }
        }
    }

    #[test]
    fn layers_at_once_are_the_layers_one_by_one() {
        let mut rng = Rng::at(6, &[]);
        // Widths that are no multiple of a panel; rows enough to be shared.
        let widths = [300, 131, 70, 9];
        let mut packed = Vec::new();
        for pair in widths.windows(2) {
            let weight = rng.normal(&[pair[1], pair[0]], Device::Cpu);
            let Some(layer) = Packed::of(&weight, &rng.normal(&[pair[1]], Device::Cpu)) else {
                println!("skipped: this processor has no AVX2");
                return;
            };
            packed.push(layer);
        }
        let layers: Vec<Layer<'_>> = packed
            .iter()
            .zip([true, true, false])
            .map(|(packed, relu)| Layer { packed, relu })
            .collect();
        let x = rng.normal(&[517, 300], Device::Cpu);
        let at_once = through(&layers, &x).expect("it fits");
        assert_eq!(at_once.size(), [517, 9]);
        // One block at a time is never shared.
        for start in [0, 17, 500] {
            let few = x.narrow(0, start, 17);
            let one_by_one = layers.iter().fold(few, |x, layer| {
                let y = layer.packed.forward(&x).expect("it fits");
                if layer.relu { y.relu() } else { y }
            });
            let part = at_once.narrow(0, start, 17);
            assert_eq!(flat(&part), flat(&one_by_one), "from row {start}");
        }
        // What is no number is not made one on the way.
        let lost = through(&layers, &(x.narrow(0, 0, 1) * f64::NAN)).expect("it fits");
        assert!(flat(&lost).iter().all(|v| v.is_nan()));
    }
}
