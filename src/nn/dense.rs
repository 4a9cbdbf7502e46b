//! A stack of fully connected layers: `h_{i+1} = f_i(h_i W_iᵀ + b_i)`.

use tch::{Device, Kind, Tensor};

use super::activation::Activation;
use super::rng::Rng;
use super::{TensorMismatch, Tensors, copy_named};

/// One affine map. `weight: [out, in]`, `bias: [out]`.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

/// What to build: the widths `[input, h1, …, output]` and one activation a layer.
pub struct DenseConfig {
    pub widths: Vec<i64>,
    pub activations: Vec<Activation>,
}

pub struct Dense {
    layers: Vec<Layer>,
}

impl DenseConfig {
    /// Normal weights of standard deviation gain / sqrt(in), zero biases.
    pub fn init(&self, rng: &mut Rng, device: Device) -> Dense {
        let layers = self
            .widths
            .windows(2)
            .zip(&self.activations)
            .map(|(width, &activation)| {
                let deviation = activation.gain() / (width[0] as f64).sqrt();
                Layer {
                    weight: rng.normal(&[width[1], width[0]], device) * deviation,
                    bias: Tensor::zeros([width[1]], (Kind::Float, device)),
                    activation,
                }
            })
            .collect();
        Dense { layers }
    }

    /// Numbers in the weights and biases, without making them.
    pub fn parameters(&self) -> u128 {
        self.widths
            .windows(2)
            .map(|w| (u128::from(w[0].unsigned_abs()) + 1) * u128::from(w[1].unsigned_abs()))
            .sum()
    }
}

impl Dense {
    /// `[batch, in] -> [batch, out]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_to(x, self.layers.len())
    }

    /// The output of the first `depth` layers.
    pub fn forward_to(&self, x: &Tensor, depth: usize) -> Tensor {
        self.layers[..depth]
            .iter()
            .fold(x.shallow_clone(), |h, layer| {
                layer
                    .activation
                    .apply(&h.linear(&layer.weight, Some(&layer.bias)))
            })
    }

    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The first layer's weights, `[units, in]`: what it looks for in its input.
    pub fn first_weights(&self) -> &Tensor {
        &self.layers[0].weight
    }

    /// Marks every parameter for gradients.
    pub fn trainable(self) -> Self {
        for layer in &self.layers {
            let _ = layer.weight.set_requires_grad(true);
            let _ = layer.bias.set_requires_grad(true);
        }
        self
    }

    /// Adds `<prefix>.<i>.weight` and `.bias` to `into`; the tensors share storage with the net.
    pub fn name_tensors(&self, prefix: &str, into: &mut Tensors) {
        for (i, layer) in self.layers.iter().enumerate() {
            into.insert(format!("{prefix}.{i}.weight"), layer.weight.shallow_clone());
            into.insert(format!("{prefix}.{i}.bias"), layer.bias.shallow_clone());
        }
    }

    /// Copies the tensors named as above from `source`.
    pub fn load(&mut self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            copy_named(source, &format!("{prefix}.{i}.weight"), &mut layer.weight)?;
            copy_named(source, &format!("{prefix}.{i}.bias"), &mut layer.bias)?;
        }
        Ok(())
    }
}
