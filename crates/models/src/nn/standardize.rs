//! Values shifted and scaled to mean 0 and standard deviation 1, column by column.

use tch::{Device, Kind, Tensor};

use super::{TensorMismatch, Tensors, copy_named};
use crate::onnx::{Graph, Value};

/// `z = (x - mean) / deviation`, each `[columns]`.
pub struct Standardizer {
    mean: Tensor,
    deviation: Tensor,
}

/// Sums over rows that come batch after batch, in f64. They are of differences from the first batch's
/// mean: data far from zero loses no digits.
#[derive(Default)]
pub struct Columns {
    count: i64,
    sums: Option<Sums>,
}

struct Sums {
    origin: Tensor,
    first: Tensor,
    second: Tensor,
}

impl Columns {
    /// `x: [batch, columns]`.
    pub fn add(&mut self, x: &Tensor) {
        let x = x.to_kind(Kind::Double);
        let sums = self.sums.get_or_insert_with(|| {
            let origin = x.mean_dim(0, false, Kind::Double);
            Sums {
                first: origin.zeros_like(),
                second: origin.zeros_like(),
                origin,
            }
        });
        let difference = x - &sums.origin;
        sums.first += difference.sum_dim_intlist(0, false, Kind::Double);
        sums.second += difference.square().sum_dim_intlist(0, false, Kind::Double);
        self.count += difference.size()[0];
    }

    /// Mean and variance, each `[columns]` f64; none of no rows.
    pub fn moments(&self) -> Option<(Tensor, Tensor)> {
        let sums = self.sums.as_ref()?;
        let shift = &sums.first / self.count as f64;
        let variance = &sums.second / self.count as f64 - shift.square();
        Some((&sums.origin + shift, variance.clamp_min(0.0)))
    }
}

impl Standardizer {
    /// Leaves values as they are.
    pub fn identity(columns: i64, device: Device) -> Self {
        Self {
            mean: Tensor::zeros([columns], (Kind::Float, device)),
            deviation: Tensor::ones([columns], (Kind::Float, device)),
        }
    }

    /// Takes on the mean and the deviation of the rows summed up. A column that never changes is only
    /// shifted.
    pub fn fit(&mut self, columns: &Columns) {
        let Some((mean, variance)) = columns.moments() else {
            return;
        };
        let deviation = variance.sqrt();
        // Below this the differences are rounding errors of f32, or nothing in f32.
        let rounding = (mean.abs() * 1e-7).clamp_min(f64::from(f32::MIN_POSITIVE));
        let still = deviation.less_equal_tensor(&rounding);
        let deviation = deviation.masked_fill(&still, 1.0);
        self.deviation.copy_(&deviation);
        self.mean.copy_(&mean);
    }

    pub fn apply(&self, x: &Tensor) -> Tensor {
        (x - &self.mean) / &self.deviation
    }

    pub fn undo(&self, z: &Tensor) -> Tensor {
        z * &self.deviation + &self.mean
    }

    /// `z` of `x`; the tensors have the names of [`Self::name_tensors`].
    pub fn write(&self, graph: &mut Graph, prefix: &str, x: &Value) -> Value {
        let (mean, deviation) = self.write_moments(graph, prefix);
        let centred = graph.subtract(x, &mean);
        graph.divide(&centred, &deviation)
    }

    /// `x` of `z`.
    pub fn write_undo(&self, graph: &mut Graph, prefix: &str, z: &Value) -> Value {
        let (mean, deviation) = self.write_moments(graph, prefix);
        let scaled = graph.multiply(z, &deviation);
        graph.add(&scaled, &mean)
    }

    fn write_moments(&self, graph: &mut Graph, prefix: &str) -> (Value, Value) {
        let mean = graph.weight(&format!("{prefix}.mean"), &self.mean);
        let deviation = graph.weight(&format!("{prefix}.deviation"), &self.deviation);
        (mean, deviation)
    }

    /// `[columns]`.
    pub fn deviation(&self) -> &Tensor {
        &self.deviation
    }

    pub fn name_tensors(&self, prefix: &str, into: &mut Tensors) {
        into.insert(format!("{prefix}.mean"), self.mean.shallow_clone());
        into.insert(
            format!("{prefix}.deviation"),
            self.deviation.shallow_clone(),
        );
    }

    pub fn load(&mut self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        copy_named(source, &format!("{prefix}.mean"), &mut self.mean)?;
        copy_named(source, &format!("{prefix}.deviation"), &mut self.deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rng::Rng;
    use super::*;

    #[test]
    fn columns_end_at_mean_zero_and_deviation_one_and_come_back() {
        let scales = Tensor::from_slice(&[1e-3_f32, 50.0, 0.0]);
        let offsets = Tensor::from_slice(&[7.0_f32, -2e4, 3.0]);
        let x = Rng::at(2, &[]).normal(&[200, 3], Device::Cpu) * scales + offsets;
        let mut columns = Columns::default();
        columns.add(&x.narrow(0, 0, 120));
        columns.add(&x.narrow(0, 120, 80));
        let mut standardizer = Standardizer::identity(3, Device::Cpu);
        standardizer.fit(&columns);
        let z = standardizer.apply(&x);
        for (column, deviation) in [(0, 1.0), (1, 1.0), (2, 0.0)] {
            let z = z.select(1, column);
            let mean = z.mean(Kind::Double).double_value(&[]);
            assert!(mean.abs() < 1e-3, "{column}: mean {mean}");
            let found = z.std(false).double_value(&[]);
            assert!((found - deviation).abs() < 1e-3, "{column}: {found}");
        }
        let back = standardizer.undo(&z);
        assert!((back - x).abs().max().double_value(&[]) < 1e-2);
    }
}
