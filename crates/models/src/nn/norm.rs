//! Normalisations: of a batch's activities, and of a weight matrix.

use tch::{Device, Kind, Tensor};

use super::Tensors;
use super::frozen::{CannotFreeze, Frozen};
use super::pass::Pass;
use super::rng::Rng;
use crate::onnx::{Attribute, Graph, Value};

const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// `y = γ (x - mean) / √(var + ε) + β` a channel (Ioffe and Szegedy, 2015). In training the moments are
/// the batch's; in use they are running averages. With classes, γ and β are looked up by the label
/// (Dumoulin et al., 2017).
pub struct BatchNorm {
    /// `[channels]`, or `[classes, channels]`.
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    conditional: bool,
    /// The running averages are used in training too, and follow no batch.
    fixed: bool,
}

impl BatchNorm {
    pub fn init(channels: i64, classes: Option<i64>, device: Device) -> Self {
        let options = (Kind::Float, device);
        let size = classes.map_or(vec![channels], |classes| vec![classes, channels]);
        Self {
            scale: Tensor::ones(size.as_slice(), options),
            shift: Tensor::zeros(size.as_slice(), options),
            mean: Tensor::zeros([channels], options),
            variance: Tensor::ones([channels], options),
            conditional: classes.is_some(),
            fixed: false,
        }
    }

    /// Frozen moments are what the layer goes by in training as in use: what is learnt above it then
    /// sees what it will see later.
    pub fn freeze(&mut self, prefix: &str, frozen: &Frozen) -> Result<(), CannotFreeze> {
        let (mean, variance) = (format!("{prefix}.mean"), format!("{prefix}.variance"));
        let reason = "they are the moments of the same batches";
        self.fixed = frozen.all_or_none(&[&mean, &variance], reason)?;
        Ok(())
    }

    /// `[batch, channels, …]` to the same.
    pub fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> Tensor {
        let size = x.size();
        // The variance of a single value is unknown; the running moments stand in.
        let values = x.numel() as i64 / size[1].max(1);
        let training = pass.training.is_some() && values > 1 && !self.fixed;
        let affine = (!self.conditional).then_some((&self.scale, &self.shift));
        let normal = x.batch_norm(
            affine.map(|(scale, _)| scale),
            affine.map(|(_, shift)| shift),
            Some(&self.mean),
            Some(&self.variance),
            training,
            MOMENTUM,
            EPSILON,
            false,
        );
        let Some(labels) = pass.labels.filter(|_| self.conditional) else {
            return normal;
        };
        let mut broadcast = vec![size[0], size[1]];
        broadcast.resize(size.len(), 1);
        let of_class = |table: &Tensor| table.index_select(0, labels).view(broadcast.as_slice());
        normal * of_class(&self.scale) + of_class(&self.shift)
    }

    /// As in use, for `x: [batch, …row]`.
    pub fn write(
        &self,
        graph: &mut Graph,
        prefix: &str,
        x: &Value,
        row: &[i64],
        labels: Option<&Value>,
    ) -> Value {
        let mut named = |name: &str, tensor| graph.weight(&format!("{prefix}.{name}"), tensor);
        let [scale, shift] =
            [("weight", &self.scale), ("bias", &self.shift)].map(|(n, t)| named(n, t));
        let [mean, variance] =
            [("mean", &self.mean), ("variance", &self.variance)].map(|(n, t)| named(n, t));
        #[expect(clippy::cast_possible_truncation, reason = "attributes are f32")]
        let epsilon = vec![("epsilon", Attribute::Float(EPSILON as f32))];
        if !self.conditional {
            let inputs = [x, &scale, &shift, &mean, &variance];
            return graph.node("BatchNormalization", &inputs, epsilon);
        }
        let one = graph.constant(self.mean.ones_like());
        let none = graph.constant(self.mean.zeros_like());
        let normal = graph.node(
            "BatchNormalization",
            &[x, &one, &none, &mean, &variance],
            epsilon,
        );
        let Some(labels) = labels else {
            return normal;
        };
        let mut broadcast = row.to_vec();
        broadcast.iter_mut().skip(1).for_each(|d| *d = 1);
        let [scale, shift] = [scale, shift].map(|table| {
            let of_class = graph.look_up(&table, labels);
            graph.reshape(&of_class, &broadcast)
        });
        let scaled = graph.multiply(&normal, &scale);
        graph.add(&scaled, &shift)
    }

    pub fn name_parameters(&self, prefix: &str, into: &mut Tensors) {
        into.insert(format!("{prefix}.weight"), self.scale.shallow_clone());
        into.insert(format!("{prefix}.bias"), self.shift.shallow_clone());
    }

    pub fn name_buffers(&self, prefix: &str, into: &mut Tensors) {
        into.insert(format!("{prefix}.mean"), self.mean.shallow_clone());
        into.insert(format!("{prefix}.variance"), self.variance.shallow_clone());
    }
}

/// `W / σ(W)` with σ the greatest singular value, estimated by one step of power iteration each time the
/// weights are used in training: `v ← Wᵀ u`, `u ← W v`, both of length 1, and `σ = uᵀ W v` (Miyato et
/// al., 2018, algorithm 1). PyTorch renews `v` once more before it takes σ; the `u` are the same, and so
/// are the weights in use.
pub struct SpectralNorm {
    /// The left singular vector so far, `[rows]`.
    left: Tensor,
    /// The vector stays as it is.
    fixed: bool,
}

impl SpectralNorm {
    pub fn init(rows: i64, rng: &mut Rng, device: Device) -> Self {
        Self {
            left: unit(&rng.normal(&[rows], device)),
            fixed: false,
        }
    }

    /// `prefix` is that of the weights, `<prefix>.weight`.
    pub fn freeze(&mut self, prefix: &str, frozen: &Frozen) -> Result<(), CannotFreeze> {
        let (left, weight) = (
            format!("{prefix}.spectral.left"),
            format!("{prefix}.weight"),
        );
        self.fixed = frozen.holds(&left);
        if self.fixed && !frozen.holds(&weight) {
            return Err(CannotFreeze(format!(
                "'{left}' follows '{weight}', so it can only be frozen together with it"
            )));
        }
        Ok(())
    }

    pub fn normalised(&self, weight: &Tensor, training: bool) -> Tensor {
        let matrix = weight.view([weight.size()[0], -1]);
        let right = tch::no_grad(|| {
            let right = unit(&matrix.transpose(0, 1).mv(&self.left));
            if training && !self.fixed {
                self.left.shallow_clone().copy_(&unit(&matrix.mv(&right)));
            }
            right
        });
        // A copy: the next step overwrites the vector, and backward still needs this one.
        let sigma = self.left.copy().dot(&matrix.mv(&right));
        weight / sigma
    }

    pub fn name_buffers(&self, prefix: &str, into: &mut Tensors) {
        into.insert(format!("{prefix}.left"), self.left.shallow_clone());
    }
}

fn unit(x: &Tensor) -> Tensor {
    x / (x.norm() + 1e-12)
}

#[cfg(test)]
mod tests {
    use super::super::golden::{assert_close, cubes, labels, leaf, list, read, tensor};
    use super::*;
    use serde_json::Value;

    const GOLDEN: &str = include_str!("../../tests/golden/layers.json");

    /// With the scale and the shift of a golden case, ready for gradients.
    fn batch_norm(golden: &Value, channels: i64, classes: Option<i64>) -> BatchNorm {
        BatchNorm {
            scale: leaf(&golden["scale"]),
            shift: leaf(&golden["shift"]),
            ..BatchNorm::init(channels, classes, Device::Cpu)
        }
    }

    #[test]
    fn batches_are_normalised_as_by_pytorch_and_the_running_moments_follow() {
        for (name, channels) in [("batch_norm", 2), ("batch_norm_of_rows", 3)] {
            let golden = &read(GOLDEN)[name];
            let mut norm = batch_norm(golden, channels, None);
            let mut rng = Rng::at(0, &[]);
            for batch in list(&golden["batches"]) {
                norm.scale.zero_grad();
                norm.shift.zero_grad();
                let x = leaf(&batch["x"]);
                let y = norm.forward(&x, &Pass::train(&mut rng));
                cubes(&y).backward();
                for (found, key) in [
                    (&y, "y"),
                    (&x.grad(), "slope"),
                    (&norm.scale.grad(), "scale_slope"),
                    (&norm.shift.grad(), "shift_slope"),
                    (&norm.mean, "mean"),
                    (&norm.variance, "variance"),
                ] {
                    assert_close(found, &batch[key], &format!("{name}: {key}"));
                }
            }
            let x = tensor(&golden["batches"][0]["x"]);
            let y = norm.forward(&x, &Pass::default());
            assert_close(&y, &golden["in_use"], &format!("{name} in use"));
        }
    }

    #[test]
    fn scales_and_shifts_are_those_of_the_class() {
        let golden = &read(GOLDEN)["conditional_batch_norm"];
        let norm = batch_norm(golden, 2, Some(3));
        let (x, labels) = (leaf(&golden["x"]), labels(&golden["labels"]));
        let mut rng = Rng::at(0, &[]);
        let pass = Pass::train(&mut rng).with_labels(Some(&labels));
        let y = norm.forward(&x, &pass);
        assert_close(&y, &golden["y"], "y");
        cubes(&y).backward();
        for (tensor, name) in [(&x, "x"), (&norm.scale, "scale"), (&norm.shift, "shift")] {
            assert_close(&tensor.grad(), &golden["slopes"][name], name);
        }
    }

    #[test]
    fn weights_are_divided_by_their_greatest_singular_value() {
        let golden = &read(GOLDEN)["spectral_norm"];
        let weight = leaf(&golden["weight"]);
        let norm = SpectralNorm {
            left: unit(&tensor(&golden["left"])),
            fixed: false,
        };
        for pass in list(&golden["passes"]) {
            assert_close(&norm.normalised(&weight, true), &pass["weight"], "weight");
            assert_close(&norm.left, &pass["left"], "left singular vector");
        }
        let in_use = norm.normalised(&weight, false);
        assert_close(&in_use, &golden["in_use"], "weight in use");
        let by = Tensor::arange_start(1, 13, (Kind::Float, Device::Cpu)).view([3, 2, 2, 1]);
        (in_use * by).sum(Kind::Float).backward();
        assert_close(&weight.grad(), &golden["slope"], "slope");
    }
}
