//! The label group of a machine: the last visible units, of which exactly one is on (Hinton, Osindero and Teh, 2006).

use tch::{Kind, Tensor};

use super::machine::Machine;
use crate::nn::categorical::draw_classes;
use crate::nn::rng::Rng;
use crate::onnx::{Graph, Value};

impl Machine {
    /// `E[v]` from the inputs: the labels' probabilities are a softmax, `[batch, visible]`.
    pub(super) fn visible_mean_of(&self, input: Tensor) -> Tensor {
        let units = self.config.visible.units;
        if self.classes() == 0 {
            return units.mean(input);
        }
        let labels = self.label_part(&input).softmax(1, Kind::Float);
        Tensor::cat(&[units.mean(self.unit_part(&input)), labels], 1)
    }

    /// `v ~ p(v | h)`, from its mean.
    pub fn sample_visible(&self, mean: &Tensor, rng: &mut Rng) -> Tensor {
        let units = self.config.visible.units;
        if self.classes() == 0 {
            return units.sample(mean, rng);
        }
        let class = draw_classes(&self.label_part(mean), rng);
        let units = units.sample(&self.unit_part(mean), rng);
        self.with_labels(&units, Some(&class))
    }

    /// `v: [batch, units]` and, behind it, the labels `[batch]` as one 1 each; all 0 where they are
    /// not known.
    pub fn with_labels(&self, v: &Tensor, labels: Option<&Tensor>) -> Tensor {
        if self.classes() == 0 {
            return v.shallow_clone();
        }
        let size = [v.size()[0], self.classes()];
        let ones = Tensor::zeros(size, (Kind::Float, v.device()));
        if let Some(labels) = labels {
            let _ = ones
                .shallow_clone()
                .scatter_value_(1, &labels.unsqueeze(1), 1.0);
        }
        Tensor::cat(&[v, &ones], 1)
    }

    /// `v: [batch, units]` and, behind it, `p(l | v)`.
    pub fn with_likely_labels(&self, v: &Tensor) -> Tensor {
        if self.classes() == 0 {
            return v.shallow_clone();
        }
        Tensor::cat(&[v, &self.class_probabilities(v)], 1)
    }

    /// `v: [batch, units]` and, behind it, a label drawn from `p(l | v)`.
    pub fn with_drawn_labels(&self, v: &Tensor, rng: &mut Rng) -> Tensor {
        if self.classes() == 0 {
            return v.shallow_clone();
        }
        let class = draw_classes(&self.class_probabilities(v), rng);
        self.with_labels(v, Some(&class))
    }

    /// What of the visible units is not labels.
    pub fn unit_part(&self, v: &Tensor) -> Tensor {
        v.narrow(1, 0, self.units())
    }

    pub(super) fn label_part(&self, v: &Tensor) -> Tensor {
        v.narrow(1, self.units(), self.classes())
    }

    /// `p(l | v) ∝ exp(-F(v, l))`: `[batch, units] -> [batch, classes]`.
    pub fn class_probabilities(&self, v: &Tensor) -> Tensor {
        (-self.class_free_energies(v)).softmax(1, Kind::Float)
    }

    /// `F(v, l)` of each class: `[batch, units] -> [batch, classes]`.
    pub(super) fn class_free_energies(&self, v: &Tensor) -> Tensor {
        let (units, classes) = (self.units(), self.classes());
        let weights = self.weights.narrow(0, 0, units);
        let input = self.affine(&self.hidden_bias, v, &weights);
        let bias = self.visible_bias.narrow(0, 0, units);
        let energy = self.config.visible.units.energy(v, &bias);
        let columns: Vec<Tensor> = (units..units + classes)
            .map(|l| {
                let with_label = self.hidden_free_energy(&(&input + self.weights.get(l)));
                with_label + &energy - self.visible_bias.get(l)
            })
            .collect();
        Tensor::stack(&columns, 1)
    }

    /// `p(l | v)`: the hidden units' part of `-F(v, l)` for all classes at once,
    /// `[batch, classes, hidden]` before the sum. What no label changes is left out.
    pub fn write_class_probabilities(&self, graph: &mut Graph, prefix: &str, v: &Value) -> Value {
        let (units, classes) = (self.units(), self.classes());
        let weights = graph.weight(&format!("{prefix}weights"), &self.weights);
        let hidden = graph.weight(&format!("{prefix}hidden_bias"), &self.hidden_bias);
        let visible = graph.weight(&format!("{prefix}visible_bias"), &self.visible_bias);
        let of_units = graph.narrow(&weights, 0, 0, units);
        let of_labels = graph.narrow(&weights, 0, units, classes);
        let bias = graph.narrow(&visible, 0, units, classes);
        let input = graph.affine(v, &of_units, &hidden);
        let input = graph.unsqueeze(&input, 1);
        let input = graph.add(&input, &of_labels);
        let each = self.config.hidden.units.write_log_sum(graph, &input);
        let sum = graph.sum_over(&each, 2);
        let exponents = graph.add(&sum, &bias);
        graph.softmax(&exponents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::machine::MachineConfig;
    use crate::nn::boltzmann::units::states;
    use tch::Device;

    fn machine() -> Machine {
        let config = MachineConfig {
            classes: 3,
            ..MachineConfig::bernoulli(3, 4)
        };
        config.random(&mut Rng::at(5, &[]))
    }

    #[test]
    fn classes_are_as_likely_as_enumeration_says() {
        let m = machine();
        let (v, h) = (states(0..8, 3, Device::Cpu), states(0..16, 4, Device::Cpu));
        let sums: Vec<Tensor> = (0..3)
            .map(|l| {
                let labels = Tensor::full([8], l, (Kind::Int64, Device::Cpu));
                let joined = m.with_labels(&v, Some(&labels));
                m.negative_energies(&joined, &h).logsumexp(1, false)
            })
            .collect();
        let joint = Tensor::stack(&sums, 1);
        assert!(m.class_probabilities(&v).allclose(
            &joint.softmax(1, Kind::Float),
            1e-4,
            1e-5,
            false
        ));
        assert!(
            m.free_energy(&v)
                .allclose(&(-joint.logsumexp(1, false)), 1e-4, 1e-4, false)
        );
    }

    #[test]
    fn labels_are_drawn_as_often_as_they_are_likely() {
        let m = machine();
        let h = Tensor::ones([40_000, 4], (Kind::Float, Device::Cpu));
        let p = m.visible_mean(&h);
        let drawn = m.sample_visible(&p, &mut Rng::at(1, &[]));
        let worst = (drawn.mean_dim(0, false, Kind::Float) - p.get(0))
            .abs()
            .max();
        assert!(worst.double_value(&[]) < 0.01, "off by {worst}");
        let labels = m.label_part(&drawn).sum_dim_intlist(1, false, Kind::Float);
        assert!(labels.equal(&Tensor::ones_like(&labels)), "one label a row");
    }
}
