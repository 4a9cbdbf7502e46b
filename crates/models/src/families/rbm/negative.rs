//! The negative phase: the chains whose states stand for the model.

use tch::{Device, Kind, Tensor};

use super::gradient::Phase;
use super::model::Rbm;
use super::spec::{Algorithm, Spec};
use crate::nn::rng::Rng;
use crate::nn::tempered::Tempered;
use crate::nn::tempering::Replicas;
use crate::nn::{TensorMismatch, Tensors, copy_named};
use crate::train::settings::Training;

pub enum Chains {
    /// CD: a fresh chain from every row of the batch.
    FromData,
    /// PCD: hidden states that go on from step to step, `[chains, hidden]`.
    Persistent(Tensor),
    Tempered(Replicas),
}

impl Chains {
    pub fn init(spec: &Spec, training: &Training, rng: &mut Rng, device: Device) -> Self {
        let chains = spec.chains(training);
        match spec.algorithm {
            Algorithm::Cd => Self::FromData,
            Algorithm::Pcd => {
                let coins = Tensor::full([chains, spec.hidden], 0.5, (Kind::Float, device));
                Self::Persistent(rng.bernoulli(&coins))
            }
            Algorithm::Tempering => Self::Tempered(Replicas::init(
                spec.temperatures(),
                chains,
                spec.hidden,
                rng,
                device,
            )),
        }
    }

    /// `steps` Gibbs steps; `h0` are the hidden probabilities of the data.
    pub fn advance(&mut self, rbm: &Rbm, h0: &Tensor, steps: u32, rng: &mut Rng) -> Phase {
        let start = match self {
            Self::FromData => rng.bernoulli(h0),
            Self::Persistent(hidden) => hidden.shallow_clone(),
            Self::Tempered(replicas) => return tempered(replicas, rbm, steps, rng),
        };
        let (_, mut v, mut h) = rbm.pair.gibbs_step(&start, rng);
        for _ in 1..steps {
            (_, v, h) = rbm.pair.gibbs_step(&rng.bernoulli(&h), rng);
        }
        if let Self::Persistent(hidden) = self {
            *hidden = rng.bernoulli(&h);
        }
        Phase { v, h }
    }

    /// Share of the proposed swaps between temperatures that were accepted in the last step.
    pub fn swap_rate(&self) -> Option<f64> {
        match self {
            Self::Tempered(replicas) => Some(replicas.accepted()),
            Self::FromData | Self::Persistent(_) => None,
        }
    }

    pub fn state(&self) -> Tensors {
        match self {
            Self::FromData => Tensors::new(),
            Self::Persistent(hidden) => {
                Tensors::from([("chains".to_owned(), hidden.shallow_clone())])
            }
            Self::Tempered(replicas) => replicas.state("chains"),
        }
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        match self {
            Self::FromData => Ok(()),
            Self::Persistent(hidden) => copy_named(state, "chains", hidden),
            Self::Tempered(replicas) => replicas.restore("chains", state),
        }
    }
}

fn tempered(replicas: &mut Replicas, rbm: &Rbm, steps: u32, rng: &mut Rng) -> Phase {
    let path = Tempered {
        pair: &rbm.pair,
        base_bias: &rbm.base_bias,
        classes: 0,
    };
    let (mut v, mut h) = replicas.step(&path, rng);
    for _ in 1..steps {
        (v, h) = replicas.step(&path, rng);
    }
    Phase { v, h }
}
