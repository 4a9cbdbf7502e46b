//! Mean and scatter matrix of rows that come batch after batch, in f64.

use tch::{Device, Kind, Tensor};

use super::{TensorMismatch, Tensors, copy_named};

/// Mean and scatter `Σ (x - mean)(x - mean)ᵀ` of the rows seen so far.
pub struct Moments {
    count: i64,
    /// `[features]`.
    mean: Tensor,
    /// `[features, features]`.
    scatter: Tensor,
}

impl Moments {
    pub fn new(features: i64, device: Device) -> Self {
        let options = (Kind::Double, device);
        Self {
            count: 0,
            mean: Tensor::zeros([features], options),
            scatter: Tensor::zeros([features, features], options),
        }
    }

    /// Joins the moments of `x: [batch, features]` to those so far (Chan, Golub and LeVeque, 1979).
    /// Every sum is of differences from a mean, so data far from zero loses no digits.
    pub fn add(&mut self, x: &Tensor) {
        let x = x.to_kind(Kind::Double);
        let (old, new) = (self.count as f64, x.size()[0] as f64);
        let mean = x.mean_dim(0, false, Kind::Double);
        let centred = &x - &mean;
        let between = mean - &self.mean;
        let weight = old * new / (old + new);
        let _ = self.scatter.addmm_(&centred.transpose(0, 1), &centred);
        let _ = self.scatter.addr_(&(&between * weight), &between);
        self.mean += between * (new / (old + new));
        self.count += x.size()[0];
    }

    /// `[features]`.
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// The unbiased covariance, `[features, features]`.
    pub fn covariance(&self) -> Tensor {
        &self.scatter / (self.count - 1).max(1) as f64
    }

    pub fn state(&self, prefix: &str) -> Tensors {
        Tensors::from([
            (format!("{prefix}.count"), Tensor::from_slice(&[self.count])),
            (format!("{prefix}.mean"), self.mean.shallow_clone()),
            (format!("{prefix}.scatter"), self.scatter.shallow_clone()),
        ])
    }

    pub fn restore(&mut self, prefix: &str, state: &Tensors) -> Result<(), TensorMismatch> {
        let mut count = Tensor::from_slice(&[0_i64]);
        copy_named(state, &format!("{prefix}.count"), &mut count)?;
        copy_named(state, &format!("{prefix}.mean"), &mut self.mean)?;
        copy_named(state, &format!("{prefix}.scatter"), &mut self.scatter)?;
        self.count = count.int64_value(&[0]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rng::Rng;
    use super::*;

    #[test]
    fn batches_add_up_to_the_whole_even_far_from_zero() {
        let x = Rng::at(4, &[])
            .normal(&[90, 3], Device::Cpu)
            .to_kind(Kind::Double);
        let mixing = Tensor::from_slice(&[1.0_f64, 0.5, 0.0, 0.0, 2.0, 0.3, 0.0, 0.0, 0.1]);
        let x = x.matmul(&mixing.view([3, 3])) + 1e6;
        let mut moments = Moments::new(3, Device::Cpu);
        for (from, rows) in [(0, 50), (50, 1), (51, 39)] {
            moments.add(&x.narrow(0, from, rows));
        }
        let close = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-8;
        assert!(close(moments.mean(), &x.mean_dim(0, false, Kind::Double)));
        assert!(close(
            &moments.covariance(),
            &x.transpose(0, 1).cov(1, None::<Tensor>, None::<Tensor>)
        ));
    }
}
