//! The discriminator: from a row in [-1, 1] to one logit, high for the data's. For the Wasserstein loss
//! it is the critic, and its logit a height.
//!
//! `D(x) = w · φ(x) + c`, φ being all layers but the last; with projection `+ e_y · φ(x)`
//! (Miyato and Koyama, 2018).

use tch::{Device, Kind, Tensor};

use super::generator::{DCGAN_INIT, one_hot};
use super::spec::{Conditioning, Spec};
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map, Norm};
use crate::nn::conv;
use crate::nn::frozen::{CannotFreeze, Frozen};
use crate::nn::model::DataFacts;
use crate::nn::net::{Net, NetConfig, Pass};
use crate::nn::norm::SpectralNorm;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_all};

/// What to build.
pub struct Config {
    body: NetConfig,
    head: NetConfig,
    /// Values of φ.
    features: i64,
    /// Classes and how they come in.
    labels: Option<(Conditioning, i64)>,
    spectral: bool,
}

pub struct Discriminator {
    body: Net,
    head: Net,
    embedding: Option<Embedding>,
    /// Classes that come one-hot beside the row; 0 for none.
    beside: i64,
    /// Height and width of the row, where the body is convolutional.
    sides: Option<[i64; 2]>,
}

/// `e_y` for each class, `[classes, features]`.
struct Embedding {
    table: Tensor,
    spectral: Option<SpectralNorm>,
}

/// The discriminator's nets on this data.
pub fn config(spec: &Spec, data: &DataFacts) -> Config {
    let labels = spec.conditioning().zip(data.classes());
    let beside = match labels {
        Some((Conditioning::Concat, classes)) => classes,
        _ => 0,
    };
    let convolutional = spec.is_convolutional(data);
    let normalised = convolutional && spec.batch_norm();
    let norm = if normalised { Norm::Batch } else { Norm::None };
    let (input, mut blocks) = if convolutional {
        let mut input = data.shape().to_vec();
        input[0] += beside;
        let mut blocks = conv::encoder(
            &spec.channels(data),
            spec.kernel(),
            Activation::LeakyRelu,
            norm,
        );
        // The first layer sees the row as it is (Radford et al., 2016).
        if let Some(first) = blocks.first_mut() {
            first.norm = Norm::None;
        }
        (input, blocks)
    } else {
        let widths: Vec<i64> = spec.hidden().into_iter().rev().collect();
        let blocks = BlockConfig::dense(&widths, Activation::LeakyRelu);
        (vec![data.features() + beside], blocks)
    };
    let mut head = BlockConfig::new(Map::linear(1), Activation::Linear);
    for block in blocks.iter_mut().chain([&mut head]) {
        block.spectral = spec.spectral_norm();
    }
    let mut body = NetConfig::new(&input, blocks);
    let shapes = body.shapes().unwrap_or_default();
    let features = shapes.last().unwrap_or(&input).iter().product();
    let mut head = NetConfig::new(&[features], vec![head]);
    if normalised {
        (body.init, head.init) = (DCGAN_INIT, DCGAN_INIT);
    }
    Config {
        body,
        head,
        features,
        labels,
        spectral: spec.spectral_norm(),
    }
}

impl Config {
    /// Numbers that one row leaves in a training step.
    pub fn working(&self) -> u128 {
        self.body.working().saturating_add(self.head.working())
    }

    pub fn parameters(&self) -> u128 {
        let table = match self.labels {
            Some((Conditioning::Projection, classes)) => {
                u128::from(classes.unsigned_abs()) * u128::from(self.features.unsigned_abs())
            }
            _ => 0,
        };
        let nets = self
            .body
            .parameters()
            .saturating_add(self.head.parameters());
        nets.saturating_add(table)
    }

    pub fn init(&self, rng: &mut Rng, device: Device) -> Discriminator {
        let mut projected = |classes| Embedding {
            // As great as the head's weights, so that neither rules at the start.
            table: rng.normal(&[classes, self.features], device) / (self.features as f64).sqrt(),
            spectral: self
                .spectral
                .then(|| SpectralNorm::init(classes, rng, device)),
        };
        let (embedding, beside) = match self.labels {
            None => (None, 0),
            Some((Conditioning::Concat, classes)) => (None, classes),
            Some((Conditioning::Projection, classes)) => (Some(projected(classes)), 0),
        };
        Discriminator {
            body: self.body.init(rng, device),
            head: self.head.init(rng, device),
            embedding,
            beside,
            sides: match *self.body.input {
                [_, height, width] => Some([height, width]),
                _ => None,
            },
        }
    }
}

impl Discriminator {
    pub fn pack(&mut self) -> usize {
        self.body.pack() + self.head.pack()
    }

    #[must_use]
    pub fn with_nets(self, change: impl Fn(Net) -> Net) -> Self {
        Self {
            body: change(self.body),
            head: change(self.head),
            ..self
        }
    }

    #[must_use]
    pub fn trainable(self) -> Self {
        if let Some(embedding) = &self.embedding {
            let _ = embedding.table.set_requires_grad(true);
        }
        self.with_nets(Net::trainable)
    }

    /// `[rows, features] -> [rows]`.
    pub fn logits(
        &self,
        x: &Tensor,
        labels: Option<&Tensor>,
        training: Option<&mut Rng>,
    ) -> Tensor {
        let is_training = training.is_some();
        let mut pass = Pass { training, labels };
        let features = self.body.pass(&self.with_labels(x, labels), &mut pass);
        let logits = self.head.pass(&features, &mut pass).squeeze_dim(1);
        let (Some(embedding), Some(labels)) = (&self.embedding, labels) else {
            return logits;
        };
        let table = match &embedding.spectral {
            Some(spectral) => spectral.normalised(&embedding.table, is_training),
            None => embedding.table.shallow_clone(),
        };
        logits + (table.index_select(0, labels) * features).sum_dim_intlist(1, false, Kind::Float)
    }

    /// The row with its label beside it: one-hot, as so many planes for an image.
    fn with_labels(&self, x: &Tensor, labels: Option<&Tensor>) -> Tensor {
        let Some(labels) = labels.filter(|_| self.beside > 0) else {
            return x.shallow_clone();
        };
        let mut labels = one_hot(labels, self.beside);
        if let Some([height, width]) = self.sides {
            let planes = labels.view([-1, self.beside, 1]);
            labels = planes.expand([-1, -1, height * width], false).flatten(1, 2);
        }
        Tensor::cat(&[x, &labels], 1)
    }

    pub fn freeze_statistics(&mut self, prefix: &str, frozen: &Frozen) -> Result<(), CannotFreeze> {
        if let Some(spectral) = self.embedding.as_mut().and_then(|e| e.spectral.as_mut()) {
            spectral.freeze(&format!("{prefix}.classes"), frozen)?;
        }
        let body = format!("{prefix}.body");
        self.body.freeze_statistics(&body, frozen)?;
        let head = format!("{prefix}.head");
        self.head.freeze_statistics(&head, frozen)
    }

    /// What gradients change.
    pub fn parameters(&self, prefix: &str) -> Tensors {
        let mut named = self.body.parameters(&format!("{prefix}.body"));
        named.extend(self.head.parameters(&format!("{prefix}.head")));
        if let Some(embedding) = &self.embedding {
            named.insert(
                format!("{prefix}.classes.weight"),
                embedding.table.shallow_clone(),
            );
        }
        named
    }

    pub fn tensors(&self, prefix: &str) -> Tensors {
        let mut named = self.parameters(prefix);
        named.extend(self.body.tensors(&format!("{prefix}.body")));
        named.extend(self.head.tensors(&format!("{prefix}.head")));
        let spectral = self.embedding.as_ref().and_then(|e| e.spectral.as_ref());
        if let Some(spectral) = spectral {
            spectral.name_buffers(&format!("{prefix}.classes.spectral"), &mut named);
        }
        named
    }

    pub fn load(&self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(source, self.tensors(prefix))
    }
}

/// The slope's penalty at random points between the data's rows and generated ones
/// (Gulrajani et al., 2017).
pub fn gradient_penalty(
    critic: &Discriminator,
    real: &Tensor,
    fake: &Tensor,
    labels: Option<&Tensor>,
    rng: &mut Rng,
) -> Tensor {
    let share = rng.uniform(&[real.size()[0], 1], real.device());
    slope_penalty(critic, &(fake + share * (real - fake)), labels)
}

/// `mean (‖∇D(x)‖ - 1)²` over the rows of `x`. Differentiable in the critic's weights.
pub fn slope_penalty(critic: &Discriminator, x: &Tensor, labels: Option<&Tensor>) -> Tensor {
    let x = x.detach().set_requires_grad(true);
    let height = critic.logits(&x, labels, None).sum(Kind::Float);
    let slope = Tensor::run_backward(&[height], &[&x], true, true).remove(0);
    let squares = slope.square().sum_dim_intlist(1, false, Kind::Float);
    // The root has no slope at zero.
    ((squares + 1e-12).sqrt() - 1.0).square().mean(Kind::Float)
}
