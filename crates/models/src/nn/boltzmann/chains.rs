//! The chains whose states stand for the model: contrastive divergence (CD-k; Hinton, 2002), persistent contrastive
//! divergence (PCD; Tieleman, 2008) and parallel tempering (Desjardins et al., 2010).

use tch::{Kind, Tensor};

use super::gradient::Statistics;
use super::machine::Machine;
use super::path::AnnealingPath;
use super::tempering::Replicas;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_named};

pub enum Chains {
    /// CD: a fresh chain from every row of the batch.
    FromData(Reconstruction),
    /// PCD: hidden states that go on from step to step, `[chains, hidden]`.
    Persistent(Tensor),
    /// Persistent chains at several temperatures. `base_bias`, where their path starts, shares storage with the
    /// model's own.
    Tempered {
        replicas: Replicas,
        base_bias: Tensor,
    },
}

/// What the visible units of a chain from the data hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconstruction {
    /// Samples.
    Samples,
    /// Samples, and in the last step means, which have less noise (Hinton, 2010, section 3.2).
    SamplesThenMeans,
    /// Means (Hinton and Salakhutdinov, 2006).
    Means,
}

impl Chains {
    /// Hidden units start as if their means were one half.
    pub fn persistent(machine: &Machine, chains: i64, rng: &mut Rng) -> Self {
        let halves = [chains, machine.hidden()];
        let halves = Tensor::full(halves, 0.5, (Kind::Float, machine.device()));
        Self::Persistent(machine.sample_hidden(&halves, rng))
    }

    /// So many chains at each temperature.
    pub fn tempered(
        machine: &Machine,
        base_bias: &Tensor,
        temperatures: i64,
        chains: i64,
        rng: &mut Rng,
    ) -> Self {
        Self::Tempered {
            replicas: Replicas::init(temperatures, chains, machine, rng),
            base_bias: base_bias.shallow_clone(),
        }
    }

    /// Where `steps` Gibbs steps end; `h0` are the hidden means of the data.
    pub fn advance(
        &mut self,
        machine: &Machine,
        h0: &Tensor,
        steps: u32,
        rng: &mut Rng,
    ) -> Statistics {
        match self {
            Self::FromData(reconstruction) => {
                let start = machine.sample_hidden(h0, rng);
                walk(machine, &start, steps, *reconstruction, rng)
            }
            Self::Persistent(hidden) => {
                let end = walk(machine, hidden, steps, Reconstruction::Samples, rng);
                *hidden = machine.sample_hidden(&end.h, rng);
                end
            }
            Self::Tempered {
                replicas,
                base_bias,
            } => {
                let path = AnnealingPath { machine, base_bias };
                let mut end = replicas.step(&path, rng);
                for _ in 1..steps {
                    end = replicas.step(&path, rng);
                }
                end
            }
        }
    }

    /// Share of the proposed swaps between temperatures that were accepted in the last step.
    pub fn swap_rate(&self) -> Option<f64> {
        match self {
            Self::Tempered { replicas, .. } => Some(replicas.accepted()),
            Self::FromData(_) | Self::Persistent(_) => None,
        }
    }

    pub fn state(&self) -> Tensors {
        match self {
            Self::FromData(_) => Tensors::new(),
            Self::Persistent(hidden) => {
                Tensors::from([("chains".to_owned(), hidden.shallow_clone())])
            }
            Self::Tempered { replicas, .. } => replicas.state("chains"),
        }
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        match self {
            Self::FromData(_) => Ok(()),
            Self::Persistent(hidden) => copy_named(state, "chains", hidden),
            Self::Tempered { replicas, .. } => replicas.restore("chains", state),
        }
    }
}

/// `v ~ p(v | h)`, then `h ~ p(h | v)`, again and again; the last hidden units stay at their means.
fn walk(
    machine: &Machine,
    start: &Tensor,
    steps: u32,
    reconstruction: Reconstruction,
    rng: &mut Rng,
) -> Statistics {
    let step = |h: &Tensor, last: bool, rng: &mut Rng| {
        let mean = machine.visible_mean(h);
        let v = match reconstruction {
            Reconstruction::Means => mean,
            Reconstruction::SamplesThenMeans if last => mean,
            Reconstruction::Samples | Reconstruction::SamplesThenMeans => {
                machine.sample_visible(&mean, rng)
            }
        };
        let h = machine.hidden_mean(&v);
        Statistics { v, h }
    };
    let mut end = step(start, steps == 1, rng);
    for done in 1..steps {
        let h = machine.sample_hidden(&end.h, rng);
        end = step(&h, done + 1 == steps, rng);
    }
    end
}
