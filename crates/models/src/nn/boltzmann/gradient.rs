//! The gradient of a machine: `-∂ ln p(v)/∂W = <v h>_model - <v h>_data`, and the same for the biases, from samples
//! of the data and of the model (Hinton, 2002).

use tch::{Kind, Tensor};

use super::machine::Machine;

/// What the optimiser descends: the model's statistics minus the data's.
pub struct Gradient {
    pub weights: Tensor,
    pub visible_bias: Tensor,
    pub hidden_bias: Tensor,
}

/// Visible states and hidden means of a set of rows or chains, `[rows, …]`.
pub struct Statistics {
    pub v: Tensor,
    pub h: Tensor,
}

impl Statistics {
    /// The data's: `v` and `E[h | v]`.
    pub fn of_data(machine: &Machine, v: &Tensor) -> Self {
        Self {
            h: machine.hidden_mean(v),
            v: v.shallow_clone(),
        }
    }
}

impl Gradient {
    /// `<v h>_model - <v h>_data`, and the same for the biases; the product in `kind`, in one sum, so
    /// that the difference is rounded and not what is subtracted.
    ///
    /// In f32 the data's product is added to the model's in place (`addmm_`), which spares a copy of all states beside
    /// each other: 1.1 times as fast as both products apart or as one (`make bench-parts ONLY=contrastive`).
    pub fn between(model: &Statistics, data: &Statistics, kind: Kind) -> Self {
        let rows = |phase: &Statistics| phase.v.size()[0] as f64;
        // The means are taken on the narrow side.
        let (h, minus_h) = (&model.h / rows(model), &data.h / -rows(data));
        let weights = if kind == Kind::Float {
            model
                .v
                .transpose(0, 1)
                .matmul(&h)
                .addmm_(&data.v.transpose(0, 1), &minus_h)
        } else {
            let v = Tensor::cat(&[&model.v, &data.v], 0).to_kind(kind);
            let h = Tensor::cat(&[h, minus_h], 0).to_kind(kind);
            v.transpose(0, 1).matmul(&h).to_kind(Kind::Float)
        };
        Self {
            weights,
            visible_bias: column_means(&model.v) - column_means(&data.v),
            hidden_bias: column_means(&model.h) - column_means(&data.h),
        }
    }

    /// In the name order of the parameters.
    pub fn in_name_order(self) -> [Tensor; 3] {
        [self.hidden_bias, self.visible_bias, self.weights]
    }
}

pub fn column_means(x: &Tensor) -> Tensor {
    x.mean_dim(0, false, Kind::Float)
}

#[cfg(test)]
impl Statistics {
    /// Of a model and of data that are on at different rates.
    pub fn of_coins(machine: &Machine, rng: &mut crate::nn::rng::Rng) -> [Self; 2] {
        [(7, 0.3), (5, 0.6)].map(|(rows, rate)| {
            let coins = Tensor::full(
                [rows, machine.units()],
                rate,
                (Kind::Float, machine.device()),
            );
            Self::of_data(machine, &rng.bernoulli(&coins))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::machine::MachineConfig;
    use crate::nn::rng::Rng;

    #[test]
    fn it_is_the_slope_of_the_difference_in_free_energy() {
        let mut rng = Rng::at(1, &[]);
        let machine = MachineConfig::bernoulli(4, 3).random(&mut rng);
        let [model, data] = Statistics::of_coins(&machine, &mut rng);
        for tensor in machine.tensors().values() {
            let _ = tensor.set_requires_grad(true);
        }
        let mean = |v: &Tensor| machine.free_energy(v).mean(Kind::Float);
        (mean(&data.v) - mean(&model.v)).backward();
        for (kind, tolerance) in [(Kind::Float, 1e-6), (Kind::BFloat16, 5e-3)] {
            let found = Gradient::between(&model, &data, kind).in_name_order();
            for (found, (name, tensor)) in found.iter().zip(machine.tensors()) {
                let close = found.allclose(&tensor.grad(), 0.0, tolerance, false);
                assert!(close, "{name} in {kind:?}");
            }
        }
    }
}
