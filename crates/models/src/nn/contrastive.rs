//! One update of a [`Machine`] by contrastive divergence (CD-k; Hinton, 2002) or persistent contrastive
//! divergence (PCD; Tieleman, 2008), by gradient descent with momentum.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};
use utoipa::ToSchema;

use super::frozen::Frozen;
use super::machine::Machine;
use super::optimizer::{Optimizer, OptimizerConfig};
use super::rng::Rng;
use super::{TensorMismatch, Tensors, copy_named};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ContrastiveAlgorithm)]
pub enum Algorithm {
    /// Contrastive divergence: the chain starts at the data.
    Cd,
    /// Persistent contrastive divergence: the chains go on from step to step.
    Pcd,
}

/// How the model's side of the gradient is found.
#[derive(Debug, Clone, Copy)]
pub struct ContrastiveConfig {
    pub algorithm: Algorithm,
    pub gibbs_steps: u32,
    /// Persistent chains; CD keeps none.
    pub chains: i64,
    pub optimizer: OptimizerConfig,
}

pub struct Contrastive {
    config: ContrastiveConfig,
    optimizer: Optimizer,
    /// Hidden states of the persistent chains, `[chains, hidden]`; empty for CD.
    chains: Tensor,
}

impl ContrastiveConfig {
    pub fn init(self, machine: &Machine, rng: &mut Rng, device: Device) -> Contrastive {
        let chains = match self.algorithm {
            Algorithm::Cd => 0,
            Algorithm::Pcd => self.chains,
        };
        let start = Tensor::full([chains, machine.hidden_units()], 0.5, (Kind::Float, device));
        Contrastive {
            optimizer: Optimizer::new(self.optimizer, machine.pair.tensors()),
            chains: machine.sample_hidden(&start, rng),
            config: self,
        }
    }
}

impl Contrastive {
    /// `ΔW ∝ <v h>_data - <v h>_model`, and the same for the biases. `v0: [batch, visible]`.
    pub fn step(&mut self, machine: &Machine, v0: &Tensor, learning_rate: f64, rng: &mut Rng) {
        let h0 = machine.hidden(v0);
        let (vk, hk) = self.model_side(machine, &h0, rng);
        let (rows, chains) = (v0.size()[0] as f64, vk.size()[0] as f64);
        let mean = |x: &Tensor| x.mean_dim(0, false, Kind::Float);
        // One product for both sides: the difference is taken before anything is rounded.
        let visible = Tensor::cat(&[&vk, v0], 0);
        let hidden = Tensor::cat(&[&hk / chains, &h0 / -rows], 0);
        // In the name order of the parameters; the optimiser descends, so model minus data.
        let gradients = [
            mean(&hk) - mean(&h0),
            mean(&vk) - mean(v0),
            machine.product(&visible.transpose(0, 1), &hidden),
        ];
        self.optimizer.step(&gradients, learning_rate, None);
    }

    /// The end of the chain that stands for the model: visible units and hidden means.
    fn model_side(&mut self, machine: &Machine, h0: &Tensor, rng: &mut Rng) -> (Tensor, Tensor) {
        let persistent = self.config.algorithm == Algorithm::Pcd;
        let mut h = if persistent {
            self.chains.shallow_clone()
        } else {
            machine.sample_hidden(h0, rng)
        };
        for _ in 1..self.config.gibbs_steps {
            let v = machine.sample_visible(&machine.visible(&h), rng);
            h = machine.sample_hidden(&machine.hidden(&v), rng);
        }
        let p = machine.visible(&h);
        if persistent {
            let v = machine.sample_visible(&p, rng);
            let hidden = machine.hidden(&v);
            self.chains = machine.sample_hidden(&hidden, rng);
            (v, hidden)
        } else {
            // Probabilities in place of the last sample have less noise (Hinton, 2010, section 3.2).
            let hidden = machine.hidden(&p);
            (p, hidden)
        }
    }

    /// Leaves the machine's parts of these names as they are.
    pub fn freeze(&mut self, frozen: &Frozen) {
        self.optimizer.freeze(frozen);
    }

    /// Everything the next step depends on beside the machine itself.
    pub fn state(&self) -> Tensors {
        let mut state = self.optimizer.state("optimizer");
        if self.chains.numel() > 0 {
            state.insert("chains".to_owned(), self.chains.shallow_clone());
        }
        state
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.optimizer.restore("optimizer", state)?;
        if self.chains.numel() > 0 {
            copy_named(state, "chains", &mut self.chains)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::MachineConfig;
    use super::super::optimizer::Rule;
    use super::*;

    /// Two patterns of four units, and their complements never: the free energy must tell them apart.
    fn trained(algorithm: Algorithm, compute: Kind) -> Machine {
        let mut rng = Rng::at(1, &[]);
        let config = MachineConfig {
            units: 4,
            classes: 2,
            hidden: 8,
            linear_hidden: false,
            compute,
        };
        let machine = config.init(&mut rng, Device::Cpu);
        let mut contrastive = ContrastiveConfig {
            algorithm,
            gibbs_steps: 1,
            chains: 20,
            optimizer: OptimizerConfig {
                rule: Rule::Momentum,
                momentum: 0.9,
                decay: 0.0,
                weight_decay: 0.0,
            },
        }
        .init(&machine, &mut rng, Device::Cpu);
        let patterns = Tensor::from_slice2(&[[1.0_f32, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]);
        let v = machine.with_labels(&patterns, Some(&Tensor::from_slice(&[0_i64, 1])));
        let v = v.repeat([10, 1]);
        for step in 0..800 {
            // Persistent chains come to rest only as the rate falls.
            let rate = 0.05 * (1.0 - f64::from(step) / 800.0);
            contrastive.step(&machine, &v, rate, &mut rng);
        }
        machine
    }

    #[test]
    fn it_learns_patterns_and_their_labels() {
        for algorithm in [Algorithm::Cd, Algorithm::Pcd] {
            for compute in [Kind::Float, Kind::BFloat16] {
                let machine = trained(algorithm, compute);
                let seen = Tensor::from_slice2(&[[1.0_f32, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]);
                let never = Tensor::from_slice2(&[[1.0_f32, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]);
                let lead = machine.free_energy(&never).min().double_value(&[])
                    - machine.free_energy(&seen).max().double_value(&[]);
                assert!(lead > 1.0, "{algorithm:?} {compute:?}: {lead} nats");
                let p = machine.class_probabilities(&seen);
                let least = p.diag(0).min().double_value(&[]);
                assert!(least > 0.8, "{algorithm:?} {compute:?}: {least}");
            }
        }
    }
}
