//! One RBM of a stack: Bernoulli visible units, the last of which may be one softmax group of labels,
//! and hidden units that are Bernoulli, or linear with unit variance.
//!
//! `E(v, l, h) = -v·b - l·d - h·c - v W h - l U h` (Hinton, Osindero and Teh, 2006). The labels are
//! visible units like the others, so `[v l]`, `[b d]` and `[W; U]` are one vector or matrix each, and only
//! the way down tells them apart. With linear hidden units (Hinton and Salakhutdinov, 2006)
//! `-h·c` becomes `½ |h - c|²`.

use tch::{Device, Kind, Tensor};

use super::categorical::draw_classes;
use super::gibbs::BernoulliPair;
use super::rng::Rng;
use crate::onnx::{Graph, Value};

/// What to build.
#[derive(Debug, Clone, Copy)]
pub struct MachineConfig {
    /// Visible units that are not labels.
    pub units: i64,
    /// Size of the label group; 0 for none.
    pub classes: i64,
    pub hidden: i64,
    pub linear_hidden: bool,
    /// What products are computed in (`Float` or `BFloat16`); sums and weights stay f32.
    pub compute: Kind,
}

pub struct Machine {
    pub pair: BernoulliPair,
    config: MachineConfig,
}

impl MachineConfig {
    /// Small normal weights and zero biases.
    pub fn init(self, rng: &mut Rng, device: Device) -> Machine {
        Machine {
            pair: BernoulliPair::init(self.units + self.classes, self.hidden, rng, device),
            config: self,
        }
    }

    /// Numbers in the weights and biases, without making them.
    pub fn parameters(&self) -> u128 {
        let [units, classes, hidden] =
            [self.units, self.classes, self.hidden].map(|n| u128::from(n.unsigned_abs()));
        let visible = units + classes;
        visible
            .saturating_mul(hidden)
            .saturating_add(visible + hidden)
    }
}

impl Machine {
    pub fn classes(&self) -> i64 {
        self.config.classes
    }

    /// Visible units that are not labels.
    pub fn units(&self) -> i64 {
        self.config.units
    }

    pub fn hidden_units(&self) -> i64 {
        self.config.hidden
    }

    /// The same machine, of Bernoulli hidden units, with its energy divided by `temperature`.
    #[must_use]
    pub fn tempered(&self, temperature: f64) -> Self {
        Self {
            pair: BernoulliPair {
                weights: &self.pair.weights / temperature,
                visible_bias: &self.pair.visible_bias / temperature,
                hidden_bias: &self.pair.hidden_bias / temperature,
            },
            config: self.config,
        }
    }

    /// `c + v W`: `[batch, visible] -> [batch, hidden]`.
    pub fn hidden_input(&self, v: &Tensor) -> Tensor {
        self.affine(&self.pair.hidden_bias, v, &self.pair.weights)
    }

    /// The mean of the hidden units, `[batch, hidden]`; `v` has its labels.
    pub fn hidden(&self, v: &Tensor) -> Tensor {
        let input = self.hidden_input(v);
        if self.config.linear_hidden {
            input
        } else {
            input.sigmoid()
        }
    }

    pub fn sample_hidden(&self, mean: &Tensor, rng: &mut Rng) -> Tensor {
        if self.config.linear_hidden {
            mean + rng.normal(&mean.size(), mean.device())
        } else {
            rng.bernoulli(mean)
        }
    }

    /// `b + h Wᵀ`: `[batch, hidden] -> [batch, visible]`.
    pub fn visible_input(&self, h: &Tensor) -> Tensor {
        self.affine(
            &self.pair.visible_bias,
            h,
            &self.pair.weights.transpose(0, 1),
        )
    }

    /// The probabilities of the visible units and, behind them, of the labels: `[batch, visible]`.
    pub fn visible(&self, h: &Tensor) -> Tensor {
        let input = self.visible_input(h);
        if self.config.classes == 0 {
            return input.sigmoid();
        }
        let labels = self.label_part(&input).softmax(1, Kind::Float);
        Tensor::cat(&[self.unit_part(&input).sigmoid(), labels], 1)
    }

    pub fn sample_visible(&self, p: &Tensor, rng: &mut Rng) -> Tensor {
        if self.config.classes == 0 {
            return rng.bernoulli(p);
        }
        let class = draw_classes(&self.label_part(p), rng);
        let units = rng.bernoulli(&self.unit_part(p));
        self.with_labels(&units, Some(&class))
    }

    /// `v: [batch, units]` and, behind it, the labels `[batch]` as one 1 each; all 0 where they are
    /// not known.
    pub fn with_labels(&self, v: &Tensor, labels: Option<&Tensor>) -> Tensor {
        if self.config.classes == 0 {
            return v.shallow_clone();
        }
        let size = [v.size()[0], self.config.classes];
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
        if self.config.classes == 0 {
            return v.shallow_clone();
        }
        Tensor::cat(&[v, &self.class_probabilities(v)], 1)
    }

    /// `v: [batch, units]` and, behind it, a label drawn from `p(l | v)`.
    pub fn with_drawn_labels(&self, v: &Tensor, rng: &mut Rng) -> Tensor {
        if self.config.classes == 0 {
            return v.shallow_clone();
        }
        let class = draw_classes(&self.class_probabilities(v), rng);
        self.with_labels(v, Some(&class))
    }

    /// What of the visible units is not labels.
    pub fn unit_part(&self, v: &Tensor) -> Tensor {
        v.narrow(1, 0, self.config.units)
    }

    fn label_part(&self, v: &Tensor) -> Tensor {
        v.narrow(1, self.config.units, self.config.classes)
    }

    /// `p(l | v) ∝ exp(-F(v, l))`: `[batch, units] -> [batch, classes]`.
    pub fn class_probabilities(&self, v: &Tensor) -> Tensor {
        (-self.class_free_energies(v)).softmax(1, Kind::Float)
    }

    /// `F(v) = -ln Σ_h exp(-E(v, h))`, summed over the labels too: `[batch, units] -> [batch]`.
    pub fn free_energy(&self, v: &Tensor) -> Tensor {
        if self.config.classes > 0 {
            return -(-self.class_free_energies(v)).logsumexp(1, false);
        }
        self.free_energy_of_inputs(&self.hidden_input(v)) - v.mv(&self.pair.visible_bias)
    }

    /// `F(v, l)` of each class: `[batch, units] -> [batch, classes]`.
    fn class_free_energies(&self, v: &Tensor) -> Tensor {
        let (units, classes) = (self.config.units, self.config.classes);
        let weights = self.pair.weights.narrow(0, 0, units);
        let input = self.affine(&self.pair.hidden_bias, v, &weights);
        let bias = v.mv(&self.pair.visible_bias.narrow(0, 0, units));
        let columns: Vec<Tensor> = (units..units + classes)
            .map(|l| {
                let with_label = self.free_energy_of_inputs(&(&input + self.pair.weights.get(l)));
                with_label - &bias - self.pair.visible_bias.get(l)
            })
            .collect();
        Tensor::stack(&columns, 1)
    }

    /// The hidden units' part of the free energy: `-Σ ln(1 + exp(input))`, or with linear units
    /// `Σ (c² - input²) / 2`.
    fn free_energy_of_inputs(&self, input: &Tensor) -> Tensor {
        let sum = |x: Tensor| x.sum_dim_intlist(1, false, Kind::Float);
        if self.config.linear_hidden {
            sum((self.pair.hidden_bias.square() - input.square()) * 0.5)
        } else {
            -sum(input.softplus())
        }
    }

    /// The mean of the hidden units under the labels that are likely, for `v` without labels.
    pub fn write_hidden(&self, graph: &mut Graph, prefix: &str, v: &Value) -> Value {
        let input = if self.config.classes == 0 {
            self.pair.write_hidden_input(graph, prefix, v)
        } else {
            let labels = self.write_class_probabilities(graph, prefix, v);
            let visible = graph.beside(v, &labels);
            self.pair.write_hidden_input(graph, prefix, &visible)
        };
        if self.config.linear_hidden {
            input
        } else {
            graph.map("Sigmoid", &input)
        }
    }

    /// The probabilities of the visible units that are not labels.
    pub fn write_units(&self, graph: &mut Graph, prefix: &str, h: &Value) -> Value {
        let mut input = self.pair.write_visible_input(graph, prefix, h);
        if self.config.classes > 0 {
            input = graph.narrow(&input, 1, 0, self.config.units);
        }
        graph.map("Sigmoid", &input)
    }

    /// `p(l | v)`: the hidden units' part of `-F(v, l)` for all classes at once,
    /// `[batch, classes, hidden]` before the sum. What no label changes is left out.
    pub fn write_class_probabilities(&self, graph: &mut Graph, prefix: &str, v: &Value) -> Value {
        let (units, classes) = (self.config.units, self.config.classes);
        let weights = graph.weight(&format!("{prefix}weights"), &self.pair.weights);
        let hidden = graph.weight(&format!("{prefix}hidden_bias"), &self.pair.hidden_bias);
        let visible = graph.weight(&format!("{prefix}visible_bias"), &self.pair.visible_bias);
        let of_units = graph.narrow(&weights, 0, 0, units);
        let of_labels = graph.narrow(&weights, 0, units, classes);
        let bias = graph.narrow(&visible, 0, units, classes);
        let input = graph.affine(v, &of_units, &hidden);
        let input = graph.unsqueeze(&input, 1);
        let input = graph.add(&input, &of_labels);
        let each = if self.config.linear_hidden {
            let square = graph.multiply(&input, &input);
            graph.multiply_by(&square, 0.5)
        } else {
            graph.map("Softplus", &input)
        };
        let sum = graph.sum_over(&each, 2);
        let exponents = graph.add(&sum, &bias);
        graph.softmax(&exponents)
    }

    fn affine(&self, bias: &Tensor, x: &Tensor, weights: &Tensor) -> Tensor {
        match self.config.compute {
            Kind::Float => bias.addmm(x, weights),
            _ => self.product(x, weights) + bias,
        }
    }

    pub(super) fn product(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let kind = self.config.compute;
        a.to_kind(kind)
            .matmul(&b.to_kind(kind))
            .to_kind(Kind::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(classes: i64, linear_hidden: bool) -> Machine {
        let mut rng = Rng::at(5, &[]);
        let config = MachineConfig {
            units: 3,
            classes,
            hidden: 4,
            linear_hidden,
            compute: Kind::Float,
        };
        let mut machine = config.init(&mut rng, Device::Cpu);
        let visible = 3 + classes;
        machine.pair.weights = rng.normal(&[visible, 4], Device::Cpu);
        machine.pair.visible_bias = rng.normal(&[visible], Device::Cpu);
        machine.pair.hidden_bias = rng.normal(&[4], Device::Cpu);
        machine
    }

    /// Every state of `n` bits, `[2^n, n]`.
    fn states(n: i64) -> Tensor {
        let rows: Vec<f32> = (0..1 << n)
            .flat_map(|s: i64| (0..n).map(move |i| (s >> i & 1) as f32))
            .collect();
        Tensor::from_slice(&rows).view([-1, n])
    }

    /// `-E(v, h)` of all pairs, for Bernoulli hidden units: `[rows of v, rows of h]`.
    fn negative_energies(m: &Machine, v: &Tensor, h: &Tensor) -> Tensor {
        v.matmul(&m.pair.weights).matmul(&h.transpose(0, 1))
            + v.mv(&m.pair.visible_bias).unsqueeze(1)
            + h.mv(&m.pair.hidden_bias)
    }

    #[test]
    fn classes_are_as_likely_as_enumeration_says() {
        let m = machine(3, false);
        let v = states(3);
        let sums: Vec<Tensor> = (0..3)
            .map(|l| {
                let labels = Tensor::full([8], l, (Kind::Int64, Device::Cpu));
                let joined = m.with_labels(&v, Some(&labels));
                negative_energies(&m, &joined, &states(4)).logsumexp(1, false)
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
    fn the_free_energy_of_linear_hidden_units_is_their_integral() {
        let m = machine(0, true);
        let v = states(3);
        // One unit at a time: -ln ∫ exp(-(h - c)² / 2 + (input - c) h) dh, less the constant ln √2π.
        let grid = Tensor::linspace(-40, 40, 80_001, (Kind::Double, Device::Cpu));
        let mut expected = -v.mv(&m.pair.visible_bias);
        for j in 0..4 {
            let c = m.pair.hidden_bias.double_value(&[j]);
            let drive = m.hidden_input(&v).select(1, j).to_kind(Kind::Double) - c;
            let exponent = (&grid - c).square() * -0.5 + drive.unsqueeze(1) * &grid;
            let integral = exponent.logsumexp(1, false) + (1e-3_f64).ln();
            let normal = (std::f64::consts::TAU).ln() / 2.0;
            expected -= (integral - normal).to_kind(Kind::Float);
        }
        assert!(
            m.free_energy(&v).allclose(&expected, 1e-3, 1e-3, false),
            "{} {expected}",
            m.free_energy(&v)
        );
    }

    #[test]
    fn labels_are_drawn_as_often_as_they_are_likely() {
        let m = machine(3, false);
        let h = Tensor::ones([40_000, 4], (Kind::Float, Device::Cpu));
        let p = m.visible(&h);
        let drawn = m.sample_visible(&p, &mut Rng::at(1, &[]));
        let worst = (drawn.mean_dim(0, false, Kind::Float) - p.get(0))
            .abs()
            .max();
        assert!(worst.double_value(&[]) < 0.01, "off by {worst}");
        let labels = m.label_part(&drawn).sum_dim_intlist(1, false, Kind::Float);
        assert!(labels.equal(&Tensor::ones_like(&labels)), "one label a row");
    }
}
