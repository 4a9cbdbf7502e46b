//! The trained pair of nets: what it answers.

use tch::{Device, Tensor};

use super::discriminator::{self, Discriminator};
use super::generator::{Generator, Interval};
use super::spec::Spec;
use crate::nn::frozen::{CannotFreeze, Frozen};
use crate::nn::graph::{self, GraphVerb};
use crate::nn::latent::slerp;
use crate::nn::model::{DataFacts, Rows};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::Graph;
use crate::verbs::generate::Drawing;
use crate::verbs::{Decoder, Interpolator, Model, Sampler, Scorer};

pub struct Gan {
    pub(super) generator: Generator,
    pub(super) discriminator: Discriminator,
    pub(super) interval: Interval,
    classes: Option<i64>,
    device: Device,
}

impl Gan {
    pub(super) fn init(spec: &Spec, data: &DataFacts, rng: &mut Rng, device: Device) -> Self {
        Self {
            generator: Generator::init(spec, data, rng, device),
            discriminator: discriminator::config(spec, data).init(rng, device),
            interval: Interval::of(data),
            classes: data.classes().filter(|_| spec.conditional),
            device,
        }
    }

    pub(super) fn restore(&self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.generator.net.load("generator", tensors)?;
        self.discriminator.load("discriminator", tensors)
    }

    pub(super) fn freeze_statistics(&mut self, frozen: &Frozen) -> Result<(), CannotFreeze> {
        self.generator.net.freeze_statistics("generator", frozen)?;
        self.discriminator
            .freeze_statistics("discriminator", frozen)
    }

    /// `[n, latent] -> [n, features]`, in the units of the data.
    fn rows_of(&self, noise: &Tensor, labels: Option<&Tensor>) -> Tensor {
        self.interval
            .spread(&self.generator.centred(noise, labels, None))
    }
}

impl Model for Gan {
    fn pack(&mut self) -> usize {
        self.generator.net.pack() + self.discriminator.pack()
    }
    fn tensors(&self) -> Tensors {
        let mut tensors = self.generator.net.tensors("generator");
        tensors.extend(self.discriminator.tensors("discriminator"));
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.generator.latent])
    }
    fn conditioned_on(&self) -> Option<i64> {
        self.classes
    }
    crate::offers!(decoder: Decoder, sampler: Sampler, scorer: Scorer, interpolator: Interpolator);
    crate::refuses!(gibbs_steps: "a model of kind 'gan' has no use for it");
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let mut graph = Graph::default();
        let noise = graph::latent_in(&mut graph, verb, self.generator.latent)?;
        let labels = self.classes.map(|_| graph::labels_in(&mut graph));
        let centred = self
            .generator
            .write(&mut graph, "generator", &noise, labels.as_ref());
        let rows = self.interval.write_spread(&mut graph, &centred);
        graph::rows_out(&mut graph, &rows, self.generator.net.output_features());
        Some(graph)
    }
}

impl Decoder for Gan {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.rows_of(&codes.x, codes.labels())
    }
}

impl Sampler for Gan {
    /// `temperature` scales the noise.
    fn generate(&self, n: i64, labels: Option<&Tensor>, how: Drawing, rng: &mut Rng) -> Tensor {
        let noise = self.generator.noise(n, rng, self.device);
        self.rows_of(&(noise * how.temperature), labels)
    }
}

impl Scorer for Gan {
    /// The discriminator's logit, its sign turned.
    fn metric(&self) -> &'static str {
        "discriminator"
    }
    fn score(&self, rows: &Rows, _rng: &mut Rng) -> Tensor {
        let x = self.interval.centred(&rows.x);
        -self.discriminator.logits(&x, rows.labels(), None)
    }
}

impl Interpolator for Gan {
    fn draw(&self, rng: &mut Rng) -> Option<Tensor> {
        Some(self.generator.noise(1, rng, self.device))
    }
    /// Along the great circle of the noise.
    fn way(&self, from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
        slerp(from, to, shares)
    }
}
