//! The generator: from noise to a row.
//!
//! `z [-> h_1 … h_n] -> tanh`, its output in [-1, 1] laid over the range of the data. The hidden layers
//! are batch normalised and rectified.

use tch::{Device, Kind, Tensor};

use super::spec::{Conditioning, Spec};
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map, Norm};
use crate::nn::conv;
use crate::nn::model::DataFacts;
use crate::nn::net::{Init, Net, NetConfig, Pass};
use crate::nn::rng::Rng;
use crate::onnx::{Graph, Value};

/// The interval the rows lie in: [0, 1] for data within it, else that of the data. Inside the nets it
/// is [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    middle: f64,
    half: f64,
}

impl Interval {
    pub fn of(data: &DataFacts) -> Self {
        let (low, high) = data.clamp_range();
        let half = (high - low) / 2.0;
        Self {
            middle: f64::midpoint(low, high),
            // Data that never varies is the middle of any interval.
            half: if half > 0.0 { half } else { 1.0 },
        }
    }

    /// Into [-1, 1].
    pub fn centred(self, rows: &Tensor) -> Tensor {
        (rows - self.middle) / self.half
    }

    /// Out of [-1, 1].
    pub fn spread(self, centred: &Tensor) -> Tensor {
        centred * self.half + self.middle
    }

    /// [`Self::spread`] as a graph.
    pub fn write_spread(self, graph: &mut Graph, centred: &Value) -> Value {
        let scaled = graph.multiply_by(centred, self.half);
        let middle = graph.number(self.middle);
        graph.add(&scaled, &middle)
    }
}

pub struct Generator {
    pub net: Net,
    /// Values of the noise.
    pub latent: i64,
    /// Classes that come one-hot beside the noise; 0 for none.
    beside: i64,
}

/// Standard deviation of the first weights of nets with batch normalisation (Radford et al., 2016).
pub(super) const DCGAN_INIT: Init = Init::Normal(0.02);

/// The generator's net on this data. Rows that are no images make no convolutional net; the rules of the
/// spec say so beforehand.
pub fn config(spec: &Spec, data: &DataFacts) -> NetConfig {
    let classes = data.classes().unwrap_or(0);
    let (norm, beside) = match spec.conditioning() {
        None => (Norm::Batch, 0),
        Some(Conditioning::Concat) => (Norm::Batch, classes),
        Some(Conditioning::Projection) => (Norm::ConditionalBatch { classes }, 0),
    };
    let input = [spec.latent + beside];
    let mut config = if spec.is_convolutional(data) {
        let channels = spec.channels(data);
        let shape = conv::feature_map(data.shape(), &channels)
            .unwrap_or_default()
            .to_vec();
        let mut blocks = vec![BlockConfig::new(Map::Linear { shape }, Activation::Relu)];
        blocks[0].norm = norm;
        let up = conv::decoder(data.shape(), &channels, Activation::Relu, norm);
        blocks.extend(up.unwrap_or_default());
        NetConfig {
            init: DCGAN_INIT,
            ..NetConfig::new(&input, blocks)
        }
    } else {
        let mut blocks = BlockConfig::dense(&spec.hidden(), Activation::Relu);
        for block in &mut blocks {
            block.norm = norm;
        }
        let output = Map::linear(data.features());
        blocks.push(BlockConfig::new(output, Activation::Linear));
        NetConfig::new(&input, blocks)
    };
    if let Some(last) = config.blocks.last_mut() {
        last.activation = Activation::Tanh;
    }
    config
}

impl Generator {
    pub fn init(spec: &Spec, data: &DataFacts, rng: &mut Rng, device: Device) -> Self {
        Self {
            net: config(spec, data).init(rng, device),
            latent: spec.latent,
            beside: match spec.conditioning() {
                Some(Conditioning::Concat) => data.classes().unwrap_or(0),
                _ => 0,
            },
        }
    }

    /// Noise for `n` rows, `[n, latent]`.
    pub fn noise(&self, n: i64, rng: &mut Rng, device: Device) -> Tensor {
        rng.normal(&[n, self.latent], device)
    }

    /// `[n, latent] -> [n, features]` in [-1, 1]; with the moments of the batch in `training`.
    pub fn centred(
        &self,
        noise: &Tensor,
        labels: Option<&Tensor>,
        training: Option<&mut Rng>,
    ) -> Tensor {
        let mut pass = Pass { training, labels };
        match labels.filter(|_| self.beside > 0) {
            Some(labels) => {
                let labels = one_hot(labels, self.beside);
                self.net.pass(&Tensor::cat(&[noise, &labels], 1), &mut pass)
            }
            None => self.net.pass(noise, &mut pass),
        }
    }

    /// [`Self::centred`] in use, as a graph.
    pub fn write(
        &self,
        graph: &mut Graph,
        prefix: &str,
        noise: &Value,
        labels: Option<&Value>,
    ) -> Value {
        let depth = self.net.depth();
        match labels.filter(|_| self.beside > 0) {
            Some(labels) => {
                let labels = graph.one_hot(labels, self.beside);
                let input = graph.beside(noise, &labels);
                self.net.write_to(graph, prefix, &input, depth, None)
            }
            None => self.net.write_to(graph, prefix, noise, depth, labels),
        }
    }
}

/// `[rows] -> [rows, classes]`.
pub(super) fn one_hot(labels: &Tensor, classes: i64) -> Tensor {
    labels.one_hot(classes).to_kind(Kind::Float)
}
