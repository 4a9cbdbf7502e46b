//! One layer of an autoencoder trained alone, on the outputs of the layers below it: as a restricted
//! Boltzmann machine (Hinton and Salakhutdinov, 2006) or as a denoising autoencoder (Vincent et al.,
//! 2010).

use tch::{Kind, Tensor};

use super::model::Autoencoder;
use super::objective::Objective;
use super::spec::{Corruption, Pretraining, PretrainingKind, Spec};
use crate::nn::activation::Activation;
use crate::nn::boltzmann::chains::{Chains, Reconstruction};
use crate::nn::boltzmann::machine::{Machine, MachineConfig};
use crate::nn::boltzmann::pretraining::Pretraining as MachineTraining;
use crate::nn::boltzmann::units::{Layer, Units};
use crate::nn::corruption::CorruptionKind;
use crate::nn::frozen::Frozen;
use crate::nn::loss;
use crate::nn::net::Pass;
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::unroll::Origin;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::epoch_loop::stream;
use crate::train::settings::Training;
use crate::train::{Adopted, Phase, Report, StepContext};
use crate::verbs::Model;

/// Learning rate of the machines (Hinton and Salakhutdinov, 2006, supporting material).
const RBM_RATE: f64 = 0.1;

/// The machines' momentum and penalty on the weights, as in the paper's own program.
const RBM_MOMENTUM: f64 = 0.9;
const RBM_WEIGHT_DECAY: f64 = 2e-4;

/// Before the names of a machine's part of a checkpoint.
const MACHINE: &str = "machine.";

/// The layer of the encoder that is trained, from 0, and what trains it.
pub struct LayerTraining {
    layer: usize,
    trainer: Trainer,
}

enum Trainer {
    Machine(Machine, MachineTraining),
    Denoising(Corruption, Optimizer),
}

/// One phase for each of these layers.
pub fn phases(spec: &Spec, pretraining: &Pretraining, layers: &[usize]) -> Vec<Phase> {
    let depth = spec.depth();
    let rate = |layer| match pretraining.kind {
        PretrainingKind::Rbm => {
            let rate = pretraining.learning_rate.unwrap_or(RBM_RATE);
            Some(rate * units(spec, layer).rate_factor())
        }
        PretrainingKind::Denoising => pretraining.learning_rate,
    };
    layers
        .iter()
        .map(|&layer| Phase {
            learning_rate: rate(layer),
            ..Phase::new(
                format!("pretraining layer {}/{depth}", layer + 1),
                pretraining.epochs,
            )
        })
        .collect()
}

/// Hidden units of the machine below a layer's outputs.
fn units(spec: &Spec, layer: usize) -> Units {
    if layer + 1 == spec.depth() && spec.code_activation == Activation::Linear {
        Units::Gaussian
    } else {
        Units::Bernoulli
    }
}

/// The parameters of a layer of the encoder and of its mirror image, by their names in the net.
fn parameters(net: &Autoencoder, layer: usize) -> Tensors {
    let mirror = net.depth() - 1 - layer;
    let (down, up) = (format!("encoder.{layer}."), format!("decoder.{mirror}."));
    let mut tensors = net.tensors();
    tensors.retain(|name, _| name.starts_with(&down) || name.starts_with(&up));
    tensors
}

impl LayerTraining {
    pub fn new(
        net: &Autoencoder,
        spec: &Spec,
        pretraining: &Pretraining,
        training: &Training,
        layer: usize,
    ) -> Self {
        let trainer = match pretraining.kind {
            PretrainingKind::Rbm => {
                let weight = net.encoder_net().blocks()[layer].weight();
                let (hidden, visible) = (weight.size()[0], weight.size()[1]);
                let mut rng = Rng::at(training.seed, &[stream::INIT, 1 + layer as u64]);
                let config = MachineConfig {
                    visible: Layer::bernoulli(visible),
                    classes: 0,
                    hidden: Layer {
                        units: units(spec, layer),
                        width: hidden,
                    },
                    compute: training.compute_kind(),
                };
                let machine = config.init(&mut rng, weight.device());
                let learning = MachineTraining::new(
                    &machine,
                    Chains::FromData(Reconstruction::Means),
                    pretraining.gibbs_steps(),
                    RBM_MOMENTUM,
                    RBM_WEIGHT_DECAY,
                );
                Trainer::Machine(machine, learning)
            }
            PretrainingKind::Denoising => Trainer::Denoising(
                pretraining.corruption(),
                Optimizer::new(training.optimizer_config(), parameters(net, layer)),
            ),
        };
        Self { layer, trainer }
    }

    pub fn step(
        &mut self,
        net: &Autoencoder,
        objective: &Objective,
        x: &Tensor,
        context: &mut StepContext,
        gradient_clip: Option<f64>,
    ) -> Report {
        let below = self.below(net, x);
        let rate = context.learning_rate;
        match &mut self.trainer {
            Trainer::Machine(machine, learning) => {
                let rng = &mut context.rng;
                let error = learning.step_with_error(machine, &below, rate, rng);
                Report(vec![("layer_mse", error)])
            }
            Trainer::Denoising(corruption, optimizer) => {
                let range = objective.range();
                let noisy = corrupted(&below, self.layer, *corruption, range, &mut context.rng);
                let output = through(net, &noisy, self.layer);
                // The first layer has the loss of the whole; those above compare codes.
                let loss = if self.layer == 0 {
                    objective.reconstruction(net, &output, &below)
                } else {
                    loss::squared_error(&output, &below)
                };
                optimizer.descend(&loss, rate, gradient_clip);
                Report(vec![("layer_loss", loss.double_value(&[]))])
            }
        }
    }

    /// What the layer sees of rows: `[batch, features] -> [batch, inputs of the layer]`.
    fn below(&self, net: &Autoencoder, x: &Tensor) -> Tensor {
        tch::no_grad(|| net.encoder_net().forward_to(x, self.layer))
    }

    /// Mean squared error, per value, of what the layer sees, after its way up and down alone.
    pub fn error(&self, net: &Autoencoder, x: &Tensor) -> f64 {
        let below = self.below(net, x);
        let output = match &self.trainer {
            Trainer::Machine(machine, _) => machine.reconstruction(&below),
            Trainer::Denoising(..) if self.layer == 0 => net.squash(through(net, &below, 0)),
            Trainer::Denoising(..) => through(net, &below, self.layer),
        };
        let error = (output - below).square().mean(Kind::Double);
        error.double_value(&[])
    }

    /// What the layer has of another model stays, as far as it is frozen, and is where a machine starts.
    pub fn start_from(&mut self, net: &Autoencoder, adopted: &Adopted) {
        let Adopted { copied, frozen } = adopted;
        let layer = self.layer;
        let (machine, learning) = match &mut self.trainer {
            Trainer::Machine(machine, learning) => (machine, learning),
            Trainer::Denoising(_, optimizer) => return optimizer.freeze(frozen),
        };
        let parts = machine.tensors();
        let mut parts_frozen = Vec::new();
        for (name, tensor) in parameters(net, layer) {
            let Some(origin) = Origin::of(&name, "encoder", net.depth()) else {
                continue;
            };
            if copied.contains(&name) {
                let mut part = parts[origin.part].shallow_clone();
                tch::no_grad(|| part.copy_(&origin.turned(&tensor)));
            }
            if frozen.holds(&name) {
                parts_frozen.push(origin.part.to_owned());
            }
        }
        learning.freeze(&parts_frozen.into_iter().collect());
    }

    /// Writes what a machine has learnt into the two layers that it is unrolled to, but for what is
    /// frozen: its weights, and the hidden biases on the way down, the visible ones on the way up.
    /// Denoising trains the net's own tensors.
    pub fn unroll(&self, net: &Autoencoder, frozen: &Frozen) {
        let Trainer::Machine(machine, _) = &self.trainer else {
            return;
        };
        let parts = machine.tensors();
        for (name, mut tensor) in parameters(net, self.layer) {
            let origin = Origin::of(&name, "encoder", net.depth());
            if let Some(origin) = origin.filter(|_| !frozen.holds(&name)) {
                let learnt = origin.turned(&parts[origin.part]);
                tch::no_grad(|| tensor.copy_(&learnt));
            }
        }
    }

    pub fn state(&self) -> Tensors {
        match &self.trainer {
            Trainer::Machine(machine, learning) => {
                let mut state = machine.tensors();
                state.extend(learning.state());
                let named = state.into_iter();
                named
                    .map(|(name, tensor)| (format!("{MACHINE}{name}"), tensor))
                    .collect()
            }
            Trainer::Denoising(_, optimizer) => optimizer.state("optimizer"),
        }
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        match &mut self.trainer {
            Trainer::Machine(machine, learning) => {
                machine.load(MACHINE, state)?;
                let own = state.iter().filter_map(|(name, tensor)| {
                    let name = name.strip_prefix(MACHINE)?.to_owned();
                    Some((name, tensor.shallow_clone()))
                });
                learning.restore(&own.collect())
            }
            Trainer::Denoising(_, optimizer) => optimizer.restore("optimizer", state),
        }
    }
}

/// Through one layer of the encoder and its mirror image.
fn through(net: &Autoencoder, x: &Tensor, layer: usize) -> Tensor {
    let mirror = net.depth() - 1 - layer;
    let down = net.encoder_net();
    let code = down.pass_through(x, layer..layer + 1, &mut Pass::default());
    net.up(&code, mirror..mirror + 1)
}

/// `range` is that of the rows; codes of lower layers have their own.
fn corrupted(
    x: &Tensor,
    layer: usize,
    corruption: Corruption,
    range: (f64, f64),
    rng: &mut Rng,
) -> Tensor {
    let range = match (layer, corruption.kind) {
        (0, _) => range,
        // Silent units, whatever their nonlinearity.
        (_, CorruptionKind::Mask) => (0.0, 0.0),
        _ => (x.min().double_value(&[]), x.max().double_value(&[])),
    };
    corruption.kind.apply(x, corruption.level, range, rng)
}
