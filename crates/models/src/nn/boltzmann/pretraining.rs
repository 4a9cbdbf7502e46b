//! One machine of a stack in training, on what the layer below makes of the rows, by gradient descent with momentum
//! (Hinton, Osindero and Teh, 2006; Hinton and Salakhutdinov, 2006).

use tch::{Kind, Tensor};

use super::chains::Chains;
use super::gradient::{Gradient, Statistics};
use super::machine::Machine;
use crate::nn::frozen::Frozen;
use crate::nn::optimizer::{Optimizer, OptimizerConfig, Rule};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};

pub struct Pretraining {
    chains: Chains,
    gibbs_steps: u32,
    optimizer: Optimizer,
}

impl Pretraining {
    /// Of the machine that is given to each step.
    pub fn new(
        machine: &Machine,
        chains: Chains,
        gibbs_steps: u32,
        momentum: f64,
        weight_decay: f64,
    ) -> Self {
        let config = OptimizerConfig {
            rule: Rule::Momentum,
            momentum,
            decay: 0.0,
            weight_decay,
        };
        Self {
            chains,
            gibbs_steps,
            optimizer: Optimizer::new(config, machine.tensors()),
        }
    }

    /// `ΔW ∝ <v h>_data - <v h>_model`, and the same for the biases. `v: [batch, visible]`.
    pub fn step(&mut self, machine: &Machine, v: &Tensor, learning_rate: f64, rng: &mut Rng) {
        let machine = machine.computing_in(machine.compute());
        let data = Statistics::of_data(&machine, v);
        let steps = self.gibbs_steps;
        let model = self.chains.advance(&machine, &data.h, steps, rng);
        self.descend(&machine, &model, &data, learning_rate);
    }

    /// The same of chains from the data. Returns their mean squared error per value after the first Gibbs step.
    pub fn step_with_error(
        &mut self,
        machine: &Machine,
        v: &Tensor,
        learning_rate: f64,
        rng: &mut Rng,
    ) -> f64 {
        let machine = machine.computing_in(machine.compute());
        let data = Statistics::of_data(&machine, v);
        let mut model = self.chains.advance(&machine, &data.h, 1, rng);
        let error = (&model.v - v).square().mean(Kind::Double);
        if self.gibbs_steps > 1 {
            let more = self.gibbs_steps - 1;
            model = self.chains.advance(&machine, &model.h, more, rng);
        }
        self.descend(&machine, &model, &data, learning_rate);
        error.double_value(&[])
    }

    fn descend(&mut self, machine: &Machine, model: &Statistics, data: &Statistics, rate: f64) {
        let gradient = Gradient::between(model, data, machine.compute());
        self.optimizer.step(&gradient.in_name_order(), rate, None);
    }

    /// Leaves the machine's parts of these names as they are.
    pub fn freeze(&mut self, frozen: &Frozen) {
        self.optimizer.freeze(frozen);
    }

    /// Everything the next step depends on beside the machine itself.
    pub fn state(&self) -> Tensors {
        let mut state = self.optimizer.state("optimizer");
        state.extend(self.chains.state());
        state
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.optimizer.restore("optimizer", state)?;
        self.chains.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::chains::Reconstruction;
    use crate::nn::boltzmann::machine::MachineConfig;
    use crate::nn::boltzmann::units::Layer;
    use tch::Device;

    /// Two patterns of four units, and their complements never: the free energy must tell them apart.
    fn trained(persistent: bool, compute: Kind) -> Machine {
        let mut rng = Rng::at(1, &[]);
        let config = MachineConfig {
            classes: 2,
            compute,
            ..MachineConfig::bernoulli(4, 8)
        };
        let machine = config.init(&mut rng, Device::Cpu);
        let chains = if persistent {
            Chains::persistent(&machine, 20, &mut rng)
        } else {
            Chains::FromData(Reconstruction::SamplesThenMeans)
        };
        let mut pretraining = Pretraining::new(&machine, chains, 1, 0.9, 0.0);
        let patterns = Tensor::from_slice2(&[[1.0_f32, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]);
        let v = machine.with_labels(&patterns, Some(&Tensor::from_slice(&[0_i64, 1])));
        let v = v.repeat([10, 1]);
        for step in 0..800 {
            // Persistent chains come to rest only as the rate falls.
            let rate = 0.05 * (1.0 - f64::from(step) / 800.0);
            pretraining.step(&machine, &v, rate, &mut rng);
        }
        machine
    }

    #[test]
    fn it_learns_patterns_and_their_labels() {
        for persistent in [false, true] {
            for compute in [Kind::Float, Kind::BFloat16] {
                let machine = trained(persistent, compute);
                let seen = Tensor::from_slice2(&[[1.0_f32, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]);
                let never = Tensor::from_slice2(&[[1.0_f32, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]);
                let lead = machine.free_energy(&never).min().double_value(&[])
                    - machine.free_energy(&seen).max().double_value(&[]);
                assert!(lead > 1.0, "{persistent} {compute:?}: {lead} nats");
                let p = machine.class_probabilities(&seen);
                let least = p.diag(0).min().double_value(&[]);
                assert!(least > 0.8, "{persistent} {compute:?}: {least}");
            }
        }
    }

    /// Rows of two kinds, told apart by which half is on.
    fn two_kinds() -> Tensor {
        let rows: Vec<f32> = (0..64)
            .flat_map(|row| (0..8).map(move |i| f32::from(u8::from((i < 4) == (row % 2 == 0)))))
            .collect();
        Tensor::from_slice(&rows).view([64, 8])
    }

    #[test]
    fn either_kind_of_hidden_unit_learns_two_kinds_of_rows() {
        for (hidden, compute, rate) in [
            (Layer::bernoulli(2), Kind::Float, 0.1),
            (Layer::bernoulli(2), Kind::BFloat16, 0.1),
            (Layer::gaussian(2), Kind::Float, 0.01),
        ] {
            let mut rng = Rng::at(2, &[]);
            let config = MachineConfig {
                hidden,
                compute,
                ..MachineConfig::bernoulli(8, 2)
            };
            let machine = config.init(&mut rng, Device::Cpu);
            let chains = Chains::FromData(Reconstruction::Means);
            let mut pretraining = Pretraining::new(&machine, chains, 1, 0.9, 2e-4);
            let x = two_kinds();
            for _ in 0..600 {
                pretraining.step_with_error(&machine, &x, rate, &mut rng);
            }
            let error = machine.reconstruction(&x) - &x;
            let error = error.square().mean(Kind::Double).double_value(&[]);
            assert!(error < 0.02, "{hidden:?} in {compute:?}: {error}");
        }
    }
}
