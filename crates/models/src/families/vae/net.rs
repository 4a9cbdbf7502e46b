//! The nets of a variational autoencoder, and the distributions they stand for: `q(z | x)` and `p(x | z)`.

use tch::{Device, Kind as TensorKind, Tensor};

use super::spec::Spec;
use super::visible::Visible;
use crate::nn::activation::Activation;
use crate::nn::binarize::Binarize;
use crate::nn::block::{Block, BlockConfig, Map, Norm};
use crate::nn::conv;
use crate::nn::latent::DiagonalGaussian;
use crate::nn::mixture::Mixture;
use crate::nn::model::DataFacts;
use crate::nn::net::{Net, NetConfig};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};

/// Log-variances of a code beyond these say no more: the prior's is 0.
pub(super) const LOG_VARIANCES: (f64, f64) = (-12.0, 6.0);

/// Where the log-variances start: a code that is mostly noise is one that the decoder learns to ignore
/// before anything is in it.
const FIRST_LOG_VARIANCE: f64 = -2.0;
/// Factor on the first weights of the log-variances and of the decoder's output, which starts near
/// its bias, the mean of the data.
const SMALL: f64 = 0.1;

/// What nets to build.
pub struct Plan {
    /// Convolutions on the image, before labels come in.
    front: NetConfig,
    /// From there to `[mean, log_variance]`.
    encoder: NetConfig,
    decoder: NetConfig,
}

impl Plan {
    pub fn new(spec: &Spec, data: &DataFacts) -> Self {
        // Refused by the rules, but they are computed with first.
        let sane = |width: i64| width.clamp(1, 1 << 30);
        let channels: Vec<i64> = spec.channels.iter().copied().map(sane).collect();
        let hidden: Vec<i64> = spec.hidden.iter().copied().map(sane).collect();
        let (latent, classes) = (sane(spec.latent), spec.classes(data).unwrap_or(0));
        let dense = |widths: &[i64]| {
            let gate = |block| BlockConfig {
                gated: spec.gated,
                ..block
            };
            let blocks = BlockConfig::dense(widths, spec.activation());
            blocks.into_iter().map(gate).collect::<Vec<_>>()
        };
        let linear =
            |shape: Vec<i64>, activation| BlockConfig::new(Map::Linear { shape }, activation);

        let blocks = conv::encoder(&channels, conv::KERNEL, spec.activation(), Norm::None);
        let front = NetConfig::new(data.shape(), blocks);
        let map = conv::feature_map(data.shape(), &channels)
            .map_or_else(|| data.shape().to_vec(), |map| map.to_vec());
        let flat: i64 = map.iter().product();

        let mut down = dense(&hidden);
        down.push(linear(vec![2 * latent], Activation::Linear));
        let mut up = dense(&hidden.iter().rev().copied().collect::<Vec<_>>());
        if channels.is_empty() {
            up.push(linear(vec![flat], Activation::Linear));
        } else {
            up.push(linear(map, spec.activation()));
            let blocks = conv::decoder(data.shape(), &channels, spec.activation(), Norm::None);
            up.extend(blocks.unwrap_or_default());
        }
        Self {
            front,
            encoder: NetConfig::new(&[flat + classes], down),
            decoder: NetConfig::new(&[latent + classes], up),
        }
    }

    /// Why the rows do not fit the convolutions, if they do not.
    pub fn misfit(&self) -> Option<String> {
        self.front.shapes().err()
    }

    /// Numbers that one row leaves in a training step, with so many codes drawn for it.
    pub fn working(&self, codes: u128) -> u128 {
        let down = self.front.working().saturating_add(self.encoder.working());
        down.saturating_add(self.decoder.working().saturating_mul(codes))
    }

    pub fn parameters(&self) -> u128 {
        let nets = [&self.front, &self.encoder, &self.decoder];
        nets.iter()
            .fold(0, |sum, net| net.parameters().saturating_add(sum))
    }
}

/// The trained model.
pub struct Vae {
    pub(super) front: Net,
    pub(super) encoder: Net,
    pub(super) decoder: Net,
    pub(super) visible: Visible,
    pub(super) mixture: Option<Mixture>,
    pub(super) binarize: Binarize,
    pub(super) classes: Option<i64>,
    pub(super) latent: i64,
    pub(super) gated: bool,
}

/// With weights of the usual size, nets of `relu` units lose all of their code in the first epoch.
fn start_small(encoder: &Net, decoder: &Net, latent: i64) {
    let (Some(head), Some(output)) = (encoder.blocks().last(), decoder.blocks().last()) else {
        return;
    };
    let variances = |x: &Tensor| x.narrow(0, latent, latent);
    let _ = variances(head.weight()).g_mul_scalar_(SMALL);
    let _ = variances(head.bias()).fill_(FIRST_LOG_VARIANCE);
    let _ = output.weight().shallow_clone().g_mul_scalar_(SMALL);
}

impl Vae {
    /// Fresh weights. The spec has been checked against the data.
    pub fn init(spec: &Spec, data: &DataFacts, rng: &mut Rng, device: Device) -> Self {
        let plan = Plan::new(spec, data);
        let encoder = plan.encoder.init(rng, device);
        let decoder = plan.decoder.init(rng, device);
        start_small(&encoder, &decoder, spec.latent);
        Self {
            front: plan.front.init(rng, device),
            encoder,
            decoder,
            visible: if spec.is_bernoulli(data) {
                Visible::Bernoulli
            } else {
                Visible::gaussian(data, device)
            },
            mixture: spec
                .mixture
                .map(|components| Mixture::standard(i64::from(components), spec.latent, device)),
            binarize: spec.binarize,
            classes: spec.classes(data),
            latent: spec.latent,
            gated: spec.gated,
        }
    }

    /// Ready to learn, with products in this kind.
    #[must_use]
    pub fn trainable(self, kind: TensorKind) -> Self {
        let ready = |net: Net| net.computing_in(kind).trainable();
        Self {
            front: ready(self.front),
            encoder: ready(self.encoder),
            decoder: ready(self.decoder),
            ..self
        }
    }

    fn nets(&self) -> [(&'static str, &Net); 3] {
        [
            ("front", &self.front),
            ("encoder", &self.encoder),
            ("decoder", &self.decoder),
        ]
    }

    /// What gradients change.
    pub fn parameters(&self) -> Tensors {
        let named = self.nets().map(|(name, net)| net.parameters(name));
        named.into_iter().flatten().collect()
    }

    pub fn restore(&mut self, source: &Tensors) -> Result<(), TensorMismatch> {
        for (name, net) in self.nets() {
            net.load(name, source)?;
        }
        if let Some(mixture) = &mut self.mixture {
            mixture.load("mixture", source)?;
        }
        self.visible.load(source)
    }

    /// `q(z | x)`, for `x: [batch, features]`.
    pub fn posterior(&self, x: &Tensor, labels: Option<&Tensor>) -> DiagonalGaussian {
        let h = self.front.forward(&self.visible.standardised(x));
        let heads = self.encoder.forward(&self.with_labels(&h, labels));
        let (low, high) = LOG_VARIANCES;
        DiagonalGaussian {
            mean: heads.narrow(1, 0, self.latent),
            log_variance: heads.narrow(1, self.latent, self.latent).clamp(low, high),
        }
    }

    /// `[batch, latent] -> [batch, features]`: what `p(x | z)` is made of.
    pub fn output(&self, z: &Tensor, labels: Option<&Tensor>) -> Tensor {
        self.decoder.forward(&self.with_labels(z, labels))
    }

    /// `E[x | z]`.
    pub fn decoded(&self, z: &Tensor, labels: Option<&Tensor>) -> Tensor {
        self.visible.mean(&self.output(z, labels))
    }

    /// Rows as the model sees them where nothing is to be drawn: probabilities for samples.
    pub fn seen(&self, x: &Tensor) -> Tensor {
        self.binarize.mean(x)
    }

    /// The expected values at the mean of the code.
    pub fn round_trip(&self, x: &Tensor, labels: Option<&Tensor>) -> Tensor {
        self.decoded(&self.posterior(&self.seen(x), labels).mean, labels)
    }

    /// Rows of a net's input with their class, one unit for each, after them.
    fn with_labels(&self, x: &Tensor, labels: Option<&Tensor>) -> Tensor {
        match (self.classes, labels) {
            (Some(classes), Some(labels)) => {
                let classes = labels.one_hot(classes).to_kind(TensorKind::Float);
                Tensor::cat(&[x, &classes], 1)
            }
            _ => x.shallow_clone(),
        }
    }

    /// Values of one row.
    pub fn features(&self) -> i64 {
        self.decoder.output_features()
    }

    pub fn device(&self) -> Device {
        self.encoder
            .first_weights()
            .map_or(Device::Cpu, Tensor::device)
    }

    /// Hidden layers and the code.
    pub fn depth(&self) -> usize {
        self.front.depth() + self.encoder.depth()
    }

    /// What the first `depth` layers make of the rows, with `depth` below [`Self::depth`].
    pub fn hidden(&self, x: &Tensor, labels: Option<&Tensor>, depth: usize) -> Tensor {
        let x = self.visible.standardised(&self.seen(x));
        let before = self.front.depth();
        let h = self.front.forward_to(&x, depth.min(before));
        if depth <= before {
            return h;
        }
        let h = self.with_labels(&h, labels);
        self.encoder.forward_to(&h, depth - before)
    }

    /// The first layer's weights, `[units, …]`, and whether they lie on the pixels themselves.
    pub fn first_weights(&self) -> Option<&Tensor> {
        (self.front.depth() == 0)
            .then(|| self.encoder.first_weights())
            .flatten()
    }

    /// The decoder's last bias: one for each value, or for each colour of convolutions.
    pub fn output_bias(&self) -> Option<&Tensor> {
        self.decoder.blocks().last().map(Block::bias)
    }
}
