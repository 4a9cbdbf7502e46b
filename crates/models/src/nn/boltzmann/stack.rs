//! RBMs on top of one another (Hinton, Osindero and Teh, 2006), and the passes up and down through them; one
//! machine alone is a stack, too.

use tch::{Device, Kind, Tensor};

use super::machine::{Machine, MachineConfig};
use crate::nn::loss::cross_entropy_per_row;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_all};
use crate::onnx::{Graph, Value};

pub struct Stack {
    /// From the data up; there is at least one.
    pub machines: Vec<Machine>,
    /// Log-odds of the top machine's visible units in the data, `[visible of the top]`: the machine without
    /// weights that tempering and estimates of `ln Z` start from.
    pub base_bias: Tensor,
}

impl Stack {
    /// Fresh weights; there is at least one machine.
    pub fn init(machines: &[MachineConfig], rng: &mut Rng, device: Device) -> Self {
        let machines: Vec<Machine> = machines.iter().map(|m| m.init(rng, device)).collect();
        let base_bias = machines[machines.len() - 1].visible_bias.zeros_like();
        Self {
            machines,
            base_bias,
        }
    }

    /// The same machines in storage of their own.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            machines: self.machines.iter().map(Machine::copy).collect(),
            base_bias: self.base_bias.copy(),
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
        copy_all(source, self.named_tensors())
    }
}

/// Of the names of a machine's tensors.
fn prefix(layer: usize) -> String {
    format!("layers.{layer}.")
}
