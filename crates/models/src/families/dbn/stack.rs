//! The RBMs of a deep belief network, and the mean-field passes up and down through them.

use tch::{Device, Kind, Tensor};

use super::spec::Spec;
use crate::nn::boltzmann::machine::{Machine, MachineConfig};
use crate::nn::boltzmann::units::Layer;
use crate::nn::loss::cross_entropy_per_row;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::{Graph, Value};

pub struct Stack {
    /// From the data up; there is at least one.
    pub machines: Vec<Machine>,
    /// Log-odds of the top RBM's visible units in the data, without weights: where annealed importance
    /// sampling starts, `[visible of the top]`.
    pub base_bias: Tensor,
}

impl Stack {
    pub fn configs(spec: &Spec, data: &DataFacts, compute: Kind) -> Vec<MachineConfig> {
        let widths = spec.widths(data);
        let top = widths.len().saturating_sub(2);
        widths
            .windows(2)
            .enumerate()
            .map(|(i, pair)| MachineConfig {
                visible: Layer::bernoulli(pair[0]),
                classes: if i == top {
                    spec.joint_classes(data)
                } else {
                    0
                },
                hidden: if i == top && spec.linear_code() {
                    Layer::gaussian(pair[1])
                } else {
                    Layer::bernoulli(pair[1])
                },
                compute,
            })
            .collect()
    }

    pub fn init(
        spec: &Spec,
        data: &DataFacts,
        compute: Kind,
        rng: &mut Rng,
        device: Device,
    ) -> Self {
        let machines: Vec<Machine> = Self::configs(spec, data, compute)
            .into_iter()
            .map(|config| config.init(rng, device))
            .collect();
        let top = &machines[machines.len() - 1];
        let base_bias = top.visible_bias.zeros_like();
        Self {
            machines,
            base_bias,
        }
    }

    pub fn depth(&self) -> usize {
        self.machines.len()
    }

    pub fn top(&self) -> &Machine {
        &self.machines[self.depth() - 1]
    }

    /// What the RBM at `depth` sees of the data: `[batch, features] -> [batch, units]`, the means of the
    /// hidden layer below it. At `self.depth()` the top hidden layer, under the labels that are likely.
    pub fn up(&self, x: &Tensor, depth: usize) -> Tensor {
        self.machines[..depth]
            .iter()
            .fold(x.shallow_clone(), |v, machine| {
                machine.hidden_mean(&machine.with_likely_labels(&v))
            })
    }

    /// The means of the data given what the RBM at `depth` sees: `[batch, units] -> [batch, features]`.
    pub fn down(&self, v: &Tensor, depth: usize) -> Tensor {
        self.machines[..depth]
            .iter()
            .rev()
            .fold(v.shallow_clone(), |h, machine| {
                machine.unit_part(&machine.visible_mean(&h))
            })
    }

    /// Values in a row of the data.
    pub fn features(&self) -> i64 {
        self.machines[0].units()
    }

    /// [`Self::up`] as a graph.
    pub fn write_up(&self, graph: &mut Graph, x: &Value, depth: usize) -> Value {
        let machines = self.machines[..depth].iter().enumerate();
        machines.fold(x.clone(), |v, (i, machine)| {
            machine.write_hidden(graph, &prefix(i), &v)
        })
    }

    /// [`Self::down`] from the top hidden layer as a graph.
    pub fn write_down(&self, graph: &mut Graph, code: &Value) -> Value {
        let machines = self.machines.iter().enumerate().rev();
        machines.fold(code.clone(), |h, (i, machine)| {
            machine.write_units(graph, &prefix(i), &h)
        })
    }

    /// The probabilities of the classes that the top RBM has, as a graph.
    pub fn write_classes(&self, graph: &mut Graph, x: &Value) -> Value {
        let top = self.depth() - 1;
        let v = self.write_up(graph, x, top);
        self.top()
            .write_class_probabilities(graph, &prefix(top), &v)
    }

    /// As `up`, each layer drawn from its distribution.
    pub fn sample_up(&self, x: &Tensor, depth: usize, rng: &mut Rng) -> Tensor {
        self.machines[..depth]
            .iter()
            .fold(x.shallow_clone(), |v, machine| {
                machine.sample_hidden(&machine.hidden_mean(&v), rng)
            })
    }

    /// As `down`, the layers between drawn from their distributions.
    pub fn sample_down(&self, v: &Tensor, depth: usize, rng: &mut Rng) -> Tensor {
        let mut h = v.shallow_clone();
        for (i, machine) in self.machines[..depth].iter().enumerate().rev() {
            let p = machine.visible_mean(&h);
            h = if i > 0 { rng.bernoulli(&p) } else { p };
        }
        h
    }

    /// The variational free energy of each row in nats, up to the constant `ln Z` of the top RBM:
    /// `F_top(μ) + Σ_k (-ln p(μ_k | μ_{k+1}) - H(μ_{k+1}))`, with every layer at its mean μ. Exact for one
    /// layer.
    pub fn free_energy(&self, x: &Tensor) -> Tensor {
        let below = &self.machines[..self.depth() - 1];
        let mut sum = Tensor::zeros([x.size()[0]], (Kind::Float, x.device()));
        let mut v = x.shallow_clone();
        for machine in below {
            let input = machine.hidden_input(&v);
            let h = input.sigmoid();
            // The cross-entropy of a layer's means under themselves is their entropy.
            sum += cross_entropy_per_row(&machine.visible_input(&h), &v)
                - cross_entropy_per_row(&input, &h);
            v = h;
        }
        sum + self.top().free_energy(&v)
    }

    /// `layers.<i>.weights`, `.hidden_bias` and `.visible_bias`, and `base_bias`; the tensors share storage.
    pub fn named_tensors(&self) -> Tensors {
        let mut named = Tensors::from([("base_bias".to_owned(), self.base_bias.shallow_clone())]);
        for (i, machine) in self.machines.iter().enumerate() {
            for (name, tensor) in machine.tensors() {
                named.insert(format!("{}{name}", prefix(i)), tensor);
            }
        }
        named
    }

    pub fn load(&mut self, source: &Tensors) -> Result<(), TensorMismatch> {
        for (name, mut tensor) in self.named_tensors() {
            crate::nn::copy_named(source, &name, &mut tensor)?;
        }
        Ok(())
    }
}

/// Of the names of a machine's tensors.
fn prefix(layer: usize) -> String {
    format!("layers.{layer}.")
}
