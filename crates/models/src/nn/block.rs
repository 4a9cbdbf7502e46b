//! One block of a net: an affine map (a matrix or a convolution), then what follows it in this order:
//! normalisation, gate or nonlinearity, dropout.

#[cfg(test)]
mod golden_tests;
mod graph;

use tch::{Device, Kind, Tensor};

use super::Tensors;
use super::activation::Activation;
use super::frozen::{CannotFreeze, Frozen};
use super::net::{Init, Pass};
use super::norm::{BatchNorm, SpectralNorm};
use super::packed::{Layer, Packed};
use super::rng::Rng;

#[derive(Debug, Clone, PartialEq)]
pub enum Map {
    /// A matrix onto a row of this shape; rows that come in as images are laid flat first.
    Linear { shape: Vec<i64> },
    /// `[in, h, w] -> [channels, (h + 2 padding - kernel) / stride + 1, …]`.
    Conv {
        channels: i64,
        kernel: i64,
        stride: i64,
        padding: i64,
    },
    /// The transpose of a convolution:
    /// `[in, h, w] -> [channels, (h - 1) stride - 2 padding + kernel, …]`, less the last `crop` lines
    /// and columns.
    ConvTranspose {
        channels: i64,
        kernel: i64,
        stride: i64,
        padding: i64,
        crop: [i64; 2],
    },
}

impl Map {
    /// A matrix onto this many units.
    pub fn linear(units: i64) -> Self {
        Self::Linear { shape: vec![units] }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    None,
    /// Batch normalisation (Ioffe and Szegedy, 2015).
    Batch,
    /// Batch normalisation with a scale and a shift for each class (Dumoulin et al., 2017).
    ConditionalBatch {
        classes: i64,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct BlockConfig {
    pub map: Map,
    pub norm: Norm,
    pub activation: Activation,
    /// `a ⊙ σ(b)` of two maps of the same size takes the place of the activation of one
    /// (Dauphin et al., 2017); needs `norm` to be `None`.
    pub gated: bool,
    /// Share of the outputs that are set to zero in training, the rest scaled up
    /// (Srivastava et al., 2014).
    pub dropout: f64,
    /// Divides the weights by their greatest singular value (Miyato et al., 2018).
    pub spectral: bool,
}

impl BlockConfig {
    pub fn new(map: Map, activation: Activation) -> Self {
        Self {
            map,
            norm: Norm::None,
            activation,
            gated: false,
            dropout: 0.0,
            spectral: false,
        }
    }

    /// Fully connected layers of these widths.
    pub fn dense(widths: &[i64], activation: Activation) -> Vec<Self> {
        widths
            .iter()
            .map(|&units| Self::new(Map::linear(units), activation))
            .collect()
    }

    /// Shape of an output row; what cannot be is said in words.
    pub fn output_shape(&self, input: &[i64]) -> Result<Vec<i64>, String> {
        let image = || match *input {
            [channels, height, width] => Ok([channels, height, width]),
            _ => Err(format!(
                "a convolution needs rows of shape [channels, height, width], these have {input:?}"
            )),
        };
        let shape = match &self.map {
            Map::Linear { shape } => shape.clone(),
            Map::Conv {
                channels,
                kernel,
                stride,
                padding,
            } => {
                let [_, height, width] = image()?;
                let side = |n: i64| (n + 2 * padding - kernel).div_euclid(*stride) + 1;
                vec![*channels, side(height), side(width)]
            }
            Map::ConvTranspose {
                channels,
                kernel,
                stride,
                padding,
                crop,
            } => {
                let [_, height, width] = image()?;
                let side = |n: i64, crop: i64| (n - 1) * stride - 2 * padding + kernel - crop;
                vec![*channels, side(height, crop[0]), side(width, crop[1])]
            }
        };
        if shape.iter().all(|&d| d >= 1) {
            Ok(shape)
        } else {
            Err(format!(
                "rows of shape {input:?} are too small for so many convolutions"
            ))
        }
    }

    /// Shape of the weight tensor.
    fn weight_shape(&self, input: &[i64]) -> Vec<i64> {
        let twice = if self.gated { 2 } else { 1 };
        match &self.map {
            Map::Linear { shape } => {
                let units: i64 = shape.iter().product();
                vec![twice * units, input.iter().product()]
            }
            Map::Conv {
                channels, kernel, ..
            } => vec![twice * channels, input[0], *kernel, *kernel],
            Map::ConvTranspose {
                channels, kernel, ..
            } => vec![input[0], twice * channels, *kernel, *kernel],
        }
    }

    /// Units or channels that come out of the map, the gate's among them.
    fn biases(&self, weight: &[i64]) -> i64 {
        match self.map {
            Map::ConvTranspose { .. } => weight[1],
            _ => weight[0],
        }
    }

    /// Numbers in the block, for rows of this shape.
    pub fn parameters(&self, input: &[i64]) -> u128 {
        let weight = self.weight_shape(input);
        let weights: u128 = weight
            .iter()
            .map(|&d| u128::from(d.unsigned_abs()))
            .product();
        let biases = u128::from(self.biases(&weight).unsigned_abs());
        let scaled = match (self.norm, self.output_shape(input)) {
            (Norm::None, _) | (_, Err(_)) => 0,
            (Norm::Batch, Ok(shape)) => 2 * u128::from(shape[0].unsigned_abs()),
            (Norm::ConditionalBatch { classes }, Ok(shape)) => {
                2 * u128::from((classes * shape[0]).unsigned_abs())
            }
        };
        weights + biases + scaled
    }

    /// Inputs that one output sees.
    fn fan_in(&self, weight: &[i64]) -> i64 {
        match self.map {
            Map::Linear { .. } => weight[1],
            Map::Conv { .. } => weight[1..].iter().product(),
            Map::ConvTranspose { stride, .. } => {
                (weight[0] * weight[2] * weight[3] / (stride * stride)).max(1)
            }
        }
    }
}

pub struct Block {
    config: BlockConfig,
    output: Vec<i64>,
    weight: Tensor,
    bias: Tensor,
    norm: Option<BatchNorm>,
    spectral: Option<SpectralNorm>,
    compute: Kind,
    /// Of a matrix whose weights do not change any more.
    packed: Option<Packed>,
}

impl Block {
    pub(super) fn init(
        config: &BlockConfig,
        input: &[i64],
        init: Init,
        rng: &mut Rng,
        device: Device,
    ) -> Self {
        let output = config.output_shape(input).unwrap_or_default();
        let shape = config.weight_shape(input);
        let deviation = match init {
            Init::FanIn => config.activation.gain() / (config.fan_in(&shape) as f64).sqrt(),
            Init::Normal(deviation) => deviation,
        };
        let channels = output.first().copied().unwrap_or(0);
        Self {
            weight: rng.normal(&shape, device) * deviation,
            bias: Tensor::zeros([config.biases(&shape)], (Kind::Float, device)),
            norm: match config.norm {
                Norm::None => None,
                Norm::Batch => Some(BatchNorm::init(channels, None, device)),
                Norm::ConditionalBatch { classes } => {
                    Some(BatchNorm::init(channels, Some(classes), device))
                }
            },
            spectral: config
                .spectral
                .then(|| SpectralNorm::init(shape[0], rng, device)),
            config: config.clone(),
            output,
            compute: Kind::Float,
            packed: None,
        }
    }

    pub fn config(&self) -> &BlockConfig {
        &self.config
    }

    /// Shape of an output row.
    pub fn output_shape(&self) -> &[i64] {
        &self.output
    }

    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    pub(super) fn compute_in(&mut self, kind: Kind) {
        self.compute = kind;
    }

    /// Readies the block for small batches; its weights must not change after. Bytes that it takes.
    pub(super) fn pack(&mut self) -> usize {
        let plain = self.spectral.is_none() && self.compute == Kind::Float;
        if plain && matches!(self.config.map, Map::Linear { .. }) {
            self.packed = Packed::of(&self.weight, &self.bias);
        }
        self.packed.as_ref().map_or(0, Packed::bytes)
    }

    /// A packed block from flat rows to flat rows, as in use, where its kernel can do all of it.
    pub(super) fn layer(&self) -> Option<Layer<'_>> {
        let relu = match self.config.activation {
            Activation::Linear => false,
            Activation::Relu => true,
            _ => return None,
        };
        let plain = self.norm.is_none() && !self.config.gated && self.output.len() == 1;
        let packed = self.packed.as_ref().filter(|_| plain)?;
        Some(Layer { packed, relu })
    }

    pub(super) fn forward(&self, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let mut h = self.map(x, pass.training.is_some());
        if let Some(norm) = &self.norm {
            h = norm.forward(&h, pass);
        }
        h = if self.config.gated {
            h.glu(1)
        } else {
            self.config.activation.apply(&h)
        };
        match &mut pass.training {
            Some(rng) if self.config.dropout > 0.0 => {
                let kept = 1.0 - self.config.dropout;
                let mask = rng.uniform(&h.size(), h.device()).less(kept);
                h * mask.to_kind(Kind::Float) / kept
            }
            _ => h,
        }
    }

    /// The affine map alone, with its result in f32.
    fn map(&self, x: &Tensor, training: bool) -> Tensor {
        if let (Some(packed), Map::Linear { shape }) = (&self.packed, &self.config.map)
            && let Some(h) = packed.forward(&laid_flat(x))
        {
            return shaped_as(h, shape);
        }
        let weight = match &self.spectral {
            Some(spectral) => spectral.normalised(&self.weight, training),
            None => self.weight.shallow_clone(),
        };
        let (x, weight) = (x.to_kind(self.compute), weight.to_kind(self.compute));
        let bias = Some(self.bias.to_kind(self.compute));
        let h = match &self.config.map {
            Map::Linear { shape } => shaped_as(laid_flat(&x).linear(&weight, bias.as_ref()), shape),
            Map::Conv {
                stride, padding, ..
            } => channels_last(&x).conv2d(
                &weight,
                bias.as_ref(),
                [*stride, *stride],
                [*padding, *padding],
                [1, 1],
                1,
            ),
            Map::ConvTranspose {
                stride,
                padding,
                crop,
                ..
            } => {
                let h = channels_last(&x).conv_transpose2d(
                    &weight,
                    bias.as_ref(),
                    [*stride, *stride],
                    [*padding, *padding],
                    [0, 0],
                    1,
                    [1, 1],
                );
                let size = h.size();
                h.narrow(2, 0, size[2] - crop[0])
                    .narrow(3, 0, size[3] - crop[1])
            }
        };
        h.to_kind(Kind::Float)
    }

    /// Statistics of these names stay as they are.
    pub(super) fn freeze(&mut self, prefix: &str, frozen: &Frozen) -> Result<(), CannotFreeze> {
        if let Some(norm) = &mut self.norm {
            norm.freeze(&format!("{prefix}.norm"), frozen)?;
        }
        if let Some(spectral) = &mut self.spectral {
            spectral.freeze(prefix, frozen)?;
        }
        Ok(())
    }

    pub(super) fn name_parameters(&self, prefix: &str, into: &mut Tensors) {
        into.insert(format!("{prefix}.weight"), self.weight.shallow_clone());
        into.insert(format!("{prefix}.bias"), self.bias.shallow_clone());
        if let Some(norm) = &self.norm {
            norm.name_parameters(&format!("{prefix}.norm"), into);
        }
    }

    pub(super) fn name_buffers(&self, prefix: &str, into: &mut Tensors) {
        if let Some(norm) = &self.norm {
            norm.name_buffers(&format!("{prefix}.norm"), into);
        }
        if let Some(spectral) = &self.spectral {
            spectral.name_buffers(&format!("{prefix}.spectral"), into);
        }
    }
}

fn laid_flat(x: &Tensor) -> Tensor {
    if x.dim() > 2 {
        x.flatten(1, -1)
    } else {
        x.shallow_clone()
    }
}

/// Rows of units as rows of this shape. With a gate the channels come in two halves.
fn shaped_as(h: Tensor, shape: &[i64]) -> Tensor {
    match shape {
        [_, rest @ ..] if !rest.is_empty() => {
            let mut size = vec![h.size()[0], -1];
            size.extend(rest);
            h.view(size.as_slice())
        }
        _ => h,
    }
}

/// The same image with its channels side by side in memory: on the CPU convolutions are then up to
/// twice as fast. What comes out of one lies so already.
fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
