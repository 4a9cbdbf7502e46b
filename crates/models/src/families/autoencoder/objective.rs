//! What an autoencoder's training makes small: the error of the reconstruction, and the penalties on the
//! code.

use tch::{Kind, Tensor};

use super::model::Autoencoder;
use super::spec::{Corruption, Sparsity, SparsityKind, Spec};
use crate::nn::activation::Activation;
use crate::nn::figures::{mean, psnr};
use crate::nn::loss::{self, ReconstructionLoss};
use crate::nn::model::DataFacts;
use crate::nn::penalty;
use crate::nn::rng::Rng;
use crate::train::Report;

pub struct Objective {
    cross_entropy: bool,
    corruption: Option<Corruption>,
    sparsity: Option<Sparsity>,
    contractive: Option<f64>,
    /// One dense layer down to the code: the norm of its Jacobian has a closed form.
    single_layer: bool,
    code_activation: Activation,
    /// The range that noisy inputs are clamped to.
    range: (f64, f64),
}

impl Objective {
    pub fn new(spec: &Spec, data: &DataFacts) -> Self {
        Self {
            cross_entropy: match spec.loss {
                ReconstructionLoss::Auto => data.is_unit_interval(),
                ReconstructionLoss::BinaryCrossEntropy => true,
                ReconstructionLoss::MeanSquaredError => false,
            },
            corruption: spec.corruption,
            sparsity: spec.sparsity,
            contractive: spec.contractive,
            single_layer: spec.depth() == 1,
            code_activation: spec.code_activation,
            range: data.clamp_range(),
        }
    }

    /// The range that noisy inputs are clamped to.
    pub fn range(&self) -> (f64, f64) {
        self.range
    }

    /// The loss of a batch, with gradients, and what it is made of.
    pub fn loss(&self, net: &Autoencoder, x: &Tensor, rng: &mut Rng) -> (Tensor, Report) {
        let mut noisy = self.corrupted(x, rng);
        if self.contractive.is_some() {
            noisy = noisy.detach().set_requires_grad(true);
        }
        let code = net.code_of(&noisy);
        let mut loss = self.reconstruction(net, &net.logits_of(&code), x);
        let mut parts = Vec::new();
        if let Some(sparsity) = &self.sparsity {
            let penalty = match sparsity.kind {
                SparsityKind::Kl => penalty::sparsity(&code, sparsity.target()),
                SparsityKind::L1 => penalty::absolute(&code),
            };
            parts.push(("sparsity", penalty.double_value(&[])));
            loss = &loss + penalty * sparsity.weight;
        }
        if let Some(weight) = self.contractive {
            let norm = self.contraction(net, &noisy, &code, rng);
            parts.push(("contraction", norm.double_value(&[])));
            loss = &loss + norm * weight;
        }
        parts.push(("loss", loss.double_value(&[])));
        (loss, Report(parts))
    }

    /// Summed over the values of a row, averaged over the batch.
    pub fn reconstruction(&self, net: &Autoencoder, logits: &Tensor, target: &Tensor) -> Tensor {
        if self.cross_entropy {
            loss::cross_entropy(logits, target)
        } else {
            loss::squared_error(&net.squash(logits.shallow_clone()), target)
        }
    }

    /// `‖∂code/∂x‖²_F`, averaged over the batch.
    fn contraction(&self, net: &Autoencoder, x: &Tensor, code: &Tensor, rng: &mut Rng) -> Tensor {
        let weight = net.encoder_net().first_weights();
        weight
            .filter(|_| self.single_layer)
            .and_then(|w| penalty::contraction_of_layer(code, w, self.code_activation))
            .unwrap_or_else(|| penalty::contraction(x, code, rng))
    }

    fn corrupted(&self, x: &Tensor, rng: &mut Rng) -> Tensor {
        self.corruption.map_or_else(
            || x.shallow_clone(),
            |corruption| corruption.kind.apply(x, corruption.level, self.range, rng),
        )
    }

    /// The figures of rows that are not learnt from: of the repaired rows against the clean ones.
    pub fn evaluate(&self, net: &Autoencoder, x: &Tensor, rng: &mut Rng) -> Report {
        let code = net.code_of(&self.corrupted(x, rng));
        let logits = net.logits_of(&code);
        let error = (net.squash(logits.shallow_clone()) - x).square();
        let mut figures = vec![
            (
                "loss",
                self.reconstruction(net, &logits, x).double_value(&[]),
            ),
            ("reconstruction_mse", mean(&error)),
            (
                "squared_error",
                mean(&error.sum_dim_intlist(1, false, Kind::Double)),
            ),
        ];
        if self.range == (0.0, 1.0) {
            let per_row = error.mean_dim(1, false, Kind::Double);
            figures.push(("psnr", mean(&psnr(&per_row))));
        }
        if self.sparsity.is_some() {
            figures.push(("code_activity", mean(&code.abs())));
        }
        Report(figures)
    }
}
