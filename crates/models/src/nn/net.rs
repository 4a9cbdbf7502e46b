//! A feed-forward net as a list of blocks, from its configuration to its forward pass. Every family but
//! the Boltzmann machines is made of such nets.
//!
//! Rows go in and come out flat, `[batch, features]`; between two convolutions they are
//! `[batch, channels, height, width]`.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::block::{Block, BlockConfig};
use super::frozen::{CannotFreeze, Frozen};
use super::packed::{self, Layer};
pub use super::pass::Pass;
use super::rng::Rng;
use super::{TensorMismatch, Tensors, copy_all};
use crate::onnx::{Graph, Value};

/// How the weights start. Biases start at zero, the scales of normalisations at one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal, of standard deviation gain / sqrt(inputs of a unit), the gain being that of the
    /// activation (He et al., 2015; Glorot and Bengio, 2010).
    FanIn,
    /// Normal of this standard deviation, whatever the layer.
    Normal(f64),
}

/// What to build: the shape of one input row, and the blocks it passes through.
#[derive(Debug, Clone)]
pub struct NetConfig {
    pub input: Vec<i64>,
    pub blocks: Vec<BlockConfig>,
    pub init: Init,
}

pub struct Net {
    input: Vec<i64>,
    blocks: Vec<Block>,
}

impl NetConfig {
    /// A stack of blocks on flat or image-shaped rows, with weights scaled by [`Init::FanIn`].
    pub fn new(input: &[i64], blocks: Vec<BlockConfig>) -> Self {
        Self {
            input: input.to_vec(),
            blocks,
            init: Init::FanIn,
        }
    }

    /// Shape of a row after each block; what cannot be built is said in words.
    pub fn shapes(&self) -> Result<Vec<Vec<i64>>, String> {
        let mut shape = self.input.clone();
        self.blocks
            .iter()
            .map(|block| {
                shape = block.output_shape(&shape)?;
                Ok(shape.clone())
            })
            .collect()
    }

    /// Numbers in the weights and biases, without making them. Zero where the net cannot be built.
    pub fn parameters(&self) -> u128 {
        let mut shape = self.input.clone();
        let mut sum = 0_u128;
        for block in &self.blocks {
            let Ok(next) = block.output_shape(&shape) else {
                return 0;
            };
            sum = sum.saturating_add(block.parameters(&shape));
            shape = next;
        }
        sum
    }

    /// Numbers that one row leaves in a training step: what each block puts out, before and after its
    /// activation, and the gradient.
    pub fn working(&self) -> u128 {
        let shapes = self.shapes().unwrap_or_default();
        let sizes = shapes.iter().map(|shape| {
            let size = shape.iter().map(|&d| u128::from(d.unsigned_abs()));
            size.fold(1, u128::saturating_mul)
        });
        sizes.fold(0, u128::saturating_add).saturating_mul(3)
    }

    /// Fresh weights on `device`. The shapes must fit; `shapes` tells beforehand.
    pub fn init(&self, rng: &mut Rng, device: Device) -> Net {
        let mut shape = self.input.clone();
        let blocks = self
            .blocks
            .iter()
            .map(|config| {
                let block = Block::init(config, &shape, self.init, rng, device);
                shape = block.output_shape().to_vec();
                block
            })
            .collect();
        Net {
            input: self.input.clone(),
            blocks,
        }
    }
}

impl Net {
    /// `[batch, in] -> [batch, out]`, as in use: no dropout, running statistics.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.pass(x, &mut Pass::default())
    }

    /// `[batch, in] -> [batch, out]`.
    pub fn pass(&self, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        self.pass_to(x, self.blocks.len(), pass)
    }

    /// The output of the first `depth` blocks, flat.
    pub fn forward_to(&self, x: &Tensor, depth: usize) -> Tensor {
        self.pass_to(x, depth, &mut Pass::default())
    }

    fn pass_to(&self, x: &Tensor, depth: usize, pass: &mut Pass<'_>) -> Tensor {
        self.pass_through(x, 0..depth, pass)
    }

    /// Through the blocks in `range` alone: flat rows as the first of them takes, to the flat output of
    /// the last.
    pub fn pass_through(&self, x: &Tensor, range: Range<usize>, pass: &mut Pass<'_>) -> Tensor {
        let before = range.start.checked_sub(1);
        let input = before.map_or(self.input.as_slice(), |i| self.blocks[i].output_shape());
        let mut h = shaped(x, input);
        let mut rest = &self.blocks[range];
        while let Some((block, after)) = rest.split_first() {
            // Only what does not learn any more is packed.
            let run: Vec<Layer<'_>> = rest.iter().map_while(Block::layer).collect();
            (h, rest) = match packed::through(&run, &h) {
                Some(h) => (h, &rest[run.len()..]),
                None => (block.forward(&h, pass), after),
            };
        }
        if h.dim() > 2 { h.flatten(1, -1) } else { h }
    }

    /// The output of the first `depth` blocks as in use, flat, for flat rows `x`; the tensors have the
    /// names of [`Self::tensors`].
    pub fn write_to(
        &self,
        graph: &mut Graph,
        prefix: &str,
        x: &Value,
        depth: usize,
        labels: Option<&Value>,
    ) -> Value {
        let (mut h, mut row) = (x.clone(), self.input.as_slice());
        if depth > 0 && row.len() > 1 {
            h = graph.reshape(x, row);
        }
        for (i, block) in self.blocks.iter().take(depth).enumerate() {
            h = block.write(graph, &format!("{prefix}.{i}"), &h, row, labels);
            row = block.output_shape();
        }
        if depth > 0 && row.len() > 1 {
            h = graph.flatten(&h);
        }
        h
    }

    /// The same through all blocks, of a net that is conditioned on nothing.
    pub fn write(&self, graph: &mut Graph, prefix: &str, x: &Value) -> Value {
        self.write_to(graph, prefix, x, self.depth(), None)
    }

    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// Shape of one output row.
    pub fn output_shape(&self) -> &[i64] {
        self.blocks
            .last()
            .map_or(self.input.as_slice(), Block::output_shape)
    }

    /// Values in one input row.
    pub fn input_features(&self) -> i64 {
        self.input.iter().product()
    }

    /// Values in one output row.
    pub fn output_features(&self) -> i64 {
        self.output_shape().iter().product()
    }

    /// The first block's weights, `[units, …]`: what it looks for in its input.
    pub fn first_weights(&self) -> Option<&Tensor> {
        self.blocks.first().map(Block::weight)
    }

    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Computes products in this kind (`Float` or `BFloat16`); sums, weights and all else stay f32.
    #[must_use]
    pub fn computing_in(mut self, kind: Kind) -> Self {
        for block in &mut self.blocks {
            block.compute_in(kind);
        }
        self
    }

    /// Readies the net for small batches, once its weights do not change any more. Bytes that it takes.
    pub fn pack(&mut self) -> usize {
        self.blocks.iter_mut().map(Block::pack).sum()
    }

    /// Marks every parameter for gradients.
    #[must_use]
    pub fn trainable(self) -> Self {
        for parameter in self.parameters("").values() {
            let _ = parameter.set_requires_grad(true);
        }
        self
    }

    /// Running statistics and spectral vectors of these names stay as they are; parameters are the
    /// optimiser's to leave alone.
    pub fn freeze_statistics(&mut self, prefix: &str, frozen: &Frozen) -> Result<(), CannotFreeze> {
        for (i, block) in self.blocks.iter_mut().enumerate() {
            block.freeze(&format!("{prefix}.{i}"), frozen)?;
        }
        Ok(())
    }

    /// What gradients change: `<prefix>.<block>.weight`, `.bias`, `.norm.weight`, `.norm.bias`. The
    /// tensors share storage with the net.
    pub fn parameters(&self, prefix: &str) -> Tensors {
        let mut named = Tensors::new();
        for (i, block) in self.blocks.iter().enumerate() {
            block.name_parameters(&format!("{prefix}.{i}"), &mut named);
        }
        named
    }

    /// All that the net is made of: the parameters, the running statistics of its normalisations and
    /// the vectors of its spectral norms.
    pub fn tensors(&self, prefix: &str) -> Tensors {
        let mut named = self.parameters(prefix);
        for (i, block) in self.blocks.iter().enumerate() {
            block.name_buffers(&format!("{prefix}.{i}"), &mut named);
        }
        named
    }

    /// Copies the tensors named as above from `source`.
    pub fn load(&self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(source, self.tensors(prefix))
    }
}

/// Flat rows in the shape that a block wants; rows of that shape already are left alone.
fn shaped(x: &Tensor, shape: &[i64]) -> Tensor {
    if shape.len() < 2 {
        return x.shallow_clone();
    }
    let mut size = vec![-1];
    size.extend(shape);
    x.reshape(size)
}

#[cfg(test)]
mod tests {
    use super::super::activation::Activation;
    use super::super::block::{Map, Norm};
    use super::super::conv;
    use super::*;

    fn rows(shape: &[i64]) -> Tensor {
        Rng::at(3, &[]).normal(shape, Device::Cpu)
    }

    #[test]
    fn a_decoder_mirrors_its_encoder_whatever_the_size_of_the_image() {
        for image in [[1, 28, 28], [3, 32, 32], [1, 8, 8], [2, 13, 21]] {
            let down = NetConfig::new(
                &image,
                conv::encoder(&[4, 6], conv::KERNEL, Activation::Relu, Norm::None),
            );
            let shapes = down.shapes().expect("it can be built");
            let inner = [shapes[1][0], shapes[1][1], shapes[1][2]];
            let up = conv::decoder(&image, &[4, 6], Activation::Relu, Norm::None).expect("it fits");
            let up = NetConfig::new(&inner, up);
            let mut rng = Rng::at(1, &[]);
            let (down_net, up_net) = (
                down.init(&mut rng, Device::Cpu),
                up.init(&mut rng, Device::Cpu),
            );
            let x = rows(&[5, image.iter().product()]);
            let y = up_net.forward(&down_net.forward(&x));
            assert_eq!(y.size(), x.size(), "{image:?}");
            assert_eq!(up_net.output_shape(), image, "{image:?}");
            let counted: usize = down_net.parameters("").values().map(Tensor::numel).sum();
            assert_eq!(down.parameters(), counted as u128, "{image:?}");
        }
    }

    #[test]
    fn what_a_net_saves_makes_the_same_net() {
        let config = || {
            let mut blocks = conv::encoder(&[3], conv::KERNEL, Activation::LeakyRelu, Norm::Batch);
            blocks.push(BlockConfig {
                spectral: true,
                ..BlockConfig::new(Map::linear(4), Activation::Tanh)
            });
            NetConfig::new(&[1, 8, 8], blocks)
        };
        let first = config().init(&mut Rng::at(1, &[]), Device::Cpu);
        let x = rows(&[16, 64]);
        let mut rng = Rng::at(2, &[]);
        let trained = tch::no_grad(|| first.pass(&x, &mut Pass::train(&mut rng)));
        let other = config().init(&mut Rng::at(9, &[]), Device::Cpu);
        assert_ne!(first.forward(&x), other.forward(&x));
        other
            .load("net", &first.tensors("net"))
            .expect("the same shapes");
        assert_eq!(first.forward(&x), other.forward(&x));
        assert_ne!(
            trained,
            first.forward(&x),
            "batch and running statistics differ"
        );
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut blocks = conv::encoder(&[2], conv::KERNEL, Activation::Tanh, Norm::None);
        blocks.push(BlockConfig {
            gated: true,
            ..BlockConfig::new(Map::linear(3), Activation::Sigmoid)
        });
        let net = NetConfig::new(&[1, 4, 4], blocks)
            .init(&mut Rng::at(4, &[]), Device::Cpu)
            .trainable();
        let x = rows(&[6, 16]);
        let loss = || net.forward(&x).square().sum(Kind::Double);
        loss().backward();
        for (name, parameter) in net.parameters("net") {
            let gradient = parameter.grad().view(-1).double_value(&[0]);
            let flat = parameter.detach().view(-1);
            let (at, step) = (flat.double_value(&[0]), 1e-2);
            let shifted = |to: f64| {
                let _ = flat.get(0).fill_(to);
                tch::no_grad(|| loss().double_value(&[]))
            };
            let numeric = (shifted(at + step) - shifted(at - step)) / (2.0 * step);
            let _ = flat.get(0).fill_(at);
            assert!(
                (gradient - numeric).abs() < 1e-2 * (1.0 + numeric.abs()),
                "{name}: {gradient} and {numeric}"
            );
        }
    }
}
