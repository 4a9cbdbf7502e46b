//! A decoder without weights of its own: it runs back through an encoder's layers by the transposes of
//! their weights, with biases of its own (Vincent et al., 2010, section 2.2).

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::activation::Activation;
use super::block::{Block, Map};
use super::net::{Net, NetConfig};
use super::{TensorMismatch, Tensors, copy_all};
use crate::onnx::{Attribute, Graph, Value};

/// The way back through one layer, onto rows of shape `output`.
struct Layer {
    bias: Tensor,
    output: Vec<i64>,
    activation: Activation,
}

pub struct Tied {
    /// From the code to the data.
    layers: Vec<Layer>,
    compute: Kind,
}

/// Rows as each layer of `encoder` takes them, from the code to the data.
fn outputs(encoder: &NetConfig) -> Vec<Vec<i64>> {
    let mut shapes = vec![encoder.input.clone()];
    shapes.extend(encoder.shapes().unwrap_or_default());
    shapes.pop();
    shapes.reverse();
    shapes
}

/// One bias a channel where rows are images, else one a unit.
fn biases(encoder: &NetConfig) -> Vec<i64> {
    outputs(encoder)
        .iter()
        .zip(encoder.blocks.iter().rev())
        .map(|(output, block)| match block.map {
            Map::Linear { .. } => output.iter().product(),
            Map::Conv { .. } | Map::ConvTranspose { .. } => output[0],
        })
        .collect()
}

/// Numbers in the biases, without making them.
pub fn parameters(encoder: &NetConfig) -> u128 {
    biases(encoder)
        .iter()
        .map(|&n| u128::from(n.unsigned_abs()))
        .sum()
}

impl Layer {
    /// The affine map back, `x` and what comes out of it flat.
    fn write(
        &self,
        graph: &mut Graph,
        block: &Block,
        x: &Value,
        weight: &Value,
        bias: &Value,
    ) -> Value {
        let Map::Conv {
            kernel,
            stride,
            padding,
            ..
        } = block.config().map
        else {
            return graph.affine(x, weight, bias);
        };
        let from = block.output_shape();
        let left_over =
            |side: usize| self.output[side] - ((from[side] - 1) * stride - 2 * padding + kernel);
        let attributes = vec![
            ("strides", Attribute::Ints(vec![stride; 2])),
            ("pads", Attribute::Ints(vec![padding; 4])),
            (
                "output_padding",
                Attribute::Ints(vec![left_over(1), left_over(2)]),
            ),
        ];
        let image = graph.reshape(x, from);
        let back = graph.node("ConvTranspose", &[&image, weight, bias], attributes);
        graph.flatten(&back)
    }
}

impl Tied {
    /// Biases of zero for an encoder of matrices and convolutions. The last layer is linear.
    pub fn init(encoder: &NetConfig, activation: Activation, device: Device) -> Self {
        let last = encoder.blocks.len().saturating_sub(1);
        let layers = outputs(encoder)
            .into_iter()
            .zip(biases(encoder))
            .enumerate()
            .map(|(i, (output, units))| Layer {
                bias: Tensor::zeros([units], (Kind::Float, device)),
                output,
                activation: if i == last {
                    Activation::Linear
                } else {
                    activation
                },
            })
            .collect();
        Self {
            layers,
            compute: Kind::Float,
        }
    }

    /// Computes products in this kind; all else stays f32.
    #[must_use]
    pub fn computing_in(self, compute: Kind) -> Self {
        Self { compute, ..self }
    }

    /// `[batch, in] -> [batch, out]` through the layers in `range`, counted from the code. `encoder` is
    /// the net whose weights these are.
    pub fn pass_through(&self, encoder: &Net, x: &Tensor, range: Range<usize>) -> Tensor {
        let mut h = x.shallow_clone();
        let blocks = encoder.blocks().iter().rev();
        let layers = self.layers.iter().zip(blocks);
        for (layer, block) in layers.skip(range.start).take(range.len()) {
            h = self.back(layer, block, &h);
        }
        if h.dim() > 2 { h.flatten(1, -1) } else { h }
    }

    fn back(&self, layer: &Layer, block: &Block, h: &Tensor) -> Tensor {
        let mut size = vec![-1];
        size.extend(block.output_shape());
        let h = h.reshape(size.as_slice()).to_kind(self.compute);
        let weight = block.weight().to_kind(self.compute);
        let bias = Some(layer.bias.to_kind(self.compute));
        let h = match block.config().map {
            Map::Conv {
                kernel,
                stride,
                padding,
                ..
            } => {
                // A stride forgets how many lines were left over at the end.
                let left_over = |side: usize| {
                    let least = (h.size()[side + 1] - 1) * stride - 2 * padding + kernel;
                    layer.output[side] - least
                };
                h.conv_transpose2d(
                    &weight,
                    bias.as_ref(),
                    [stride, stride],
                    [padding, padding],
                    [left_over(1), left_over(2)],
                    1,
                    [1, 1],
                )
            }
            Map::Linear { .. } | Map::ConvTranspose { .. } => {
                let h = h.linear(&weight.transpose(0, 1), bias.as_ref());
                let mut size = vec![-1];
                size.extend(&layer.output);
                h.view(size.as_slice())
            }
        };
        layer.activation.apply(&h.to_kind(Kind::Float))
    }

    /// All layers, for flat rows; the tensors have the names of [`Self::tensors`], and those of the
    /// encoder under `up`.
    pub fn write(
        &self,
        graph: &mut Graph,
        (up, down): (&str, &str),
        encoder: &Net,
        x: &Value,
    ) -> Value {
        let mut h = x.clone();
        let blocks = encoder.blocks().iter().enumerate().rev();
        for (i, (layer, (level, block))) in self.layers.iter().zip(blocks).enumerate() {
            let weight = graph.weight(&format!("{up}.{level}.weight"), block.weight());
            let bias = graph.weight(&format!("{down}.{i}.bias"), &layer.bias);
            let back = layer.write(graph, block, &h, &weight, &bias);
            h = layer.activation.write(graph, &back);
        }
        h
    }

    /// Marks every bias for gradients.
    #[must_use]
    pub fn trainable(self) -> Self {
        for layer in &self.layers {
            let _ = layer.bias.set_requires_grad(true);
        }
        self
    }

    /// `<prefix>.<i>.bias`, counted from the code; the tensors share storage with the decoder.
    pub fn tensors(&self, prefix: &str) -> Tensors {
        let biases = self.layers.iter().enumerate();
        biases
            .map(|(i, layer)| (format!("{prefix}.{i}.bias"), layer.bias.shallow_clone()))
            .collect()
    }

    pub fn load(&self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(source, self.tensors(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{BlockConfig, Norm};
    use super::super::conv;
    use super::super::rng::Rng;
    use super::*;

    fn linear_encoder(image: &[i64]) -> NetConfig {
        let mut blocks = conv::encoder(&[3, 4], conv::KERNEL, Activation::Linear, Norm::None);
        blocks.extend(BlockConfig::dense(&[7, 5], Activation::Linear));
        NetConfig::new(image, blocks)
    }

    /// `<A x, y> = <x, Aᵀ y>` for every x and y makes Aᵀ the transpose of A.
    #[test]
    fn a_linear_decoder_is_the_adjoint_of_its_encoder() {
        for image in [[1, 28, 28], [3, 9, 14]] {
            let config = linear_encoder(&image);
            let mut rng = Rng::at(1, &[]);
            let encoder = config.init(&mut rng, Device::Cpu);
            let decoder = Tied::init(&config, Activation::Linear, Device::Cpu);
            let x = rng.normal(&[6, image.iter().product()], Device::Cpu);
            let y = rng.normal(&[6, 5], Device::Cpu);
            let back = decoder.pass_through(&encoder, &y, 0..4);
            assert_eq!(back.size(), x.size(), "{image:?}");
            let dot = |a: &Tensor, b: &Tensor| (a * b).sum(Kind::Double).double_value(&[]);
            let (there, here) = (dot(&encoder.forward(&x), &y), dot(&x, &back));
            assert!(
                (there - here).abs() < 1e-3 * (1.0 + there.abs()),
                "{image:?}: {there} and {here}"
            );
            let counted: usize = decoder.tensors("").values().map(Tensor::numel).sum();
            assert_eq!(parameters(&config), counted as u128, "{image:?}");
        }
    }
}
