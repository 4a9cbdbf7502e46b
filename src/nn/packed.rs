//! The weights of an affine map as its kernel reads them: for small batches on the CPU, when they do not
//! change any more.
//!
//! A general product copies the weights into such an order each time it is called, which for a few rows
//! costs more than the product itself. Each row is summed in the same order whatever rows are beside it: a
//! row's answer does not depend on its batch, to the last bit.

use tch::{Device, Kind, Tensor};

use super::rng::{values, values_mut};

/// Columns of a panel: two registers of eight floats.
const COLUMNS: usize = 16;
/// Rows computed at once: their sums and the weights fit the sixteen registers of AVX2.
const ROWS: usize = 4;
/// Rows beyond which libtorch, which shares work between threads, is at least as fast.
const MOST_ROWS: i64 = 64;

pub struct Packed {
    /// Panel after panel, `[units / 16][inputs][16]`; the last is filled up with zeros.
    panels: Vec<[f32; COLUMNS]>,
    bias: Vec<[f32; COLUMNS]>,
    inputs: usize,
    units: i64,
    /// Units and the zeros that fill up the last panel.
    width: usize,
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
            units: i64::try_from(units).ok()?,
        })
    }

    /// Bytes that the copy takes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }

    /// `x Wᵀ + b`: `[rows, inputs] -> [rows, units]`; none for inputs that are not for this kernel.
    pub fn forward(&self, x: &Tensor) -> Option<Tensor> {
        let [rows, inputs] = *x.size().as_slice() else {
            return None;
        };
        let fits = rows <= MOST_ROWS
            && usize::try_from(inputs) == Ok(self.inputs)
            && x.device() == Device::Cpu
            && x.kind() == Kind::Float
            && !x.requires_grad();
        if !fits {
            return None;
        }
        let x = x.contiguous();
        let width = i64::try_from(self.width).ok()?;
        let mut out = Tensor::empty([rows, width], (Kind::Float, Device::Cpu));
        self.product(values(&x), values_mut(&mut out));
        Some(out.narrow(1, 0, self.units))
    }

    #[cfg(target_arch = "x86_64")]
    fn product(&self, x: &[f32], out: &mut [f32]) {
        // SAFETY: `of` made this only where the processor has AVX2 and FMA.
        unsafe { self.product_avx2(x, out) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn product(&self, x: &[f32], out: &mut [f32]) {
        self.panel_by_panel(x, out);
    }

    /// The same lines, compiled for these instructions.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn product_avx2(&self, x: &[f32], out: &mut [f32]) {
        self.panel_by_panel(x, out);
    }

    /// A panel stays in the nearest cache for all rows; the weights pass by once.
    #[inline(always)]
    fn panel_by_panel(&self, x: &[f32], out: &mut [f32]) {
        for (i, panel) in self.panels.chunks_exact(self.inputs).enumerate() {
            let column = i * COLUMNS;
            let bias: &[f32; COLUMNS] = &self.bias[i];
            let rows = x.chunks(ROWS * self.inputs);
            for (x, out) in rows.zip(out.chunks_mut(ROWS * self.width)) {
                match x.len() / self.inputs {
                    1 => self.tile::<1>(x, panel, bias, column, out),
                    2 => self.tile::<2>(x, panel, bias, column, out),
                    3 => self.tile::<3>(x, panel, bias, column, out),
                    _ => self.tile::<ROWS>(x, panel, bias, column, out),
                }
            }
        }
    }

    /// `M` rows by one panel. The sums stay in registers as long as every index into them is known when this
    /// is compiled: hence plain loops and stores of whole panels. In memory they make it many times slower.
    #[inline(always)]
    fn tile<const M: usize>(
        &self,
        x: &[f32],
        panel: &[[f32; COLUMNS]],
        bias: &[f32; COLUMNS],
        column: usize,
        out: &mut [f32],
    ) {
        let rows: [&[f32]; M] =
            std::array::from_fn(|row| &x[row * self.inputs..(row + 1) * self.inputs]);
        let mut sums = [*bias; M];
        for (i, weights) in panel.iter().enumerate() {
            for m in 0..M {
                let value = rows[m][i];
                for (j, &weight) in weights.iter().enumerate() {
                    sums[m][j] = value.mul_add(weight, sums[m][j]);
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            out[m * self.width + column..][..COLUMNS].copy_from_slice(sums);
        }
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
            for rows in [1, 2, 3, 4, 5, 8, 63, 64] {
                let x = rng.normal(&[rows, inputs], Device::Cpu);
                let y = packed.forward(&x).expect("it fits");
                let wanted = x.linear(&weight, Some(&bias));
                let off = (&y - wanted).abs().max().double_value(&[]);
                assert!(off < 1e-4, "{units} x {inputs}, {rows} rows: off by {off}");
                let last = packed.forward(&x.narrow(0, rows - 1, 1)).expect("it fits");
                assert_eq!(values(&last.contiguous()), values(&y.get(rows - 1)));
            }
            let many = rng.normal(&[65, inputs], Device::Cpu);
            assert!(packed.forward(&many).is_none());
        }
    }
}
