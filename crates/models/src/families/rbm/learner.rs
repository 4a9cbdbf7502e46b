//! How an RBM learns: `ΔW ∝ <v h>_data - <v h>_model`, and the same for the biases.

use tch::{Device, Kind, Tensor};

use super::model::Rbm;
use super::spec::{Algorithm, Sparsity, Spec};
use crate::data::Batch;
use crate::nn::average::WeightAverage;
use crate::nn::binarize::Binarize;
use crate::nn::boltzmann::centring::Offsets;
use crate::nn::boltzmann::chains::{Chains, Reconstruction};
use crate::nn::boltzmann::gradient::{Gradient, Statistics, column_means};
use crate::nn::figures::{mean, psnr};
use crate::nn::frozen::CannotFreeze;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_named};
use crate::train::adopt::copy_agreeing;
use crate::train::epoch_loop::stream;
use crate::train::learner::BatchSource;
use crate::train::settings::Training;
use crate::train::{Adopted, Learner, Phase, Report, StepContext};
use crate::verbs::Model;

pub struct RbmLearner {
    spec: Spec,
    epochs: u32,
    last_step_cost: f64,
    /// The kind that products are computed in.
    compute: Kind,
    rbm: Rbm,
    optimizer: Optimizer,
    chains: Chains,
    offsets: Option<Offsets>,
    /// Running mean activity of each hidden unit, `[hidden]`, where it is steered.
    activity: Option<Tensor>,
    average: Option<Averaged>,
}

/// The machine that is published where weights are averaged.
struct Averaged {
    rbm: Rbm,
    average: WeightAverage,
}

/// Steps between two looks at the free energy and its kin: they cost as much as a step.
const LOOK_EVERY: u64 = 20;

/// Share of the old estimate that each step keeps of a unit's mean activity (Hinton, 2010, section 11).
const ACTIVITY_DECAY: f64 = 0.95;

impl RbmLearner {
    pub fn new(spec: &Spec, training: &Training, data: &DataFacts, device: Device) -> Self {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let rbm = Rbm::init(data.features(), spec.hidden, &mut rng, device);
        let halves = |size: i64| Tensor::full([size], 0.5, (Kind::Float, device));
        Self {
            optimizer: Optimizer::new(training.optimizer_config(), rbm.machine().tensors()),
            chains: chains(spec, training, &rbm, &mut rng),
            offsets: spec.centring.then(|| Offsets {
                visible: halves(data.features()),
                hidden: halves(spec.hidden),
            }),
            activity: spec.sparsity.map(|_| halves(spec.hidden)),
            average: spec.averaging.map(|averaging| {
                let rbm = rbm.copy();
                let average = WeightAverage::new(averaging.decay, rbm.machine().tensors());
                Averaged { rbm, average }
            }),
            rbm,
            spec: spec.clone(),
            epochs: training.epochs,
            last_step_cost: spec.last_step_cost(training),
            compute: training.compute_kind(),
        }
    }

    /// The machine that is published: the average, once there is one.
    fn published(&self) -> &Rbm {
        match &self.average {
            Some(averaged) if !averaged.average.is_empty() => &averaged.rbm,
            _ => &self.rbm,
        }
    }

    fn gradient(&mut self, model: &Statistics, data: &Statistics) -> Gradient {
        let plain = Gradient::between(model, data, self.compute);
        let mut gradient = match &mut self.offsets {
            Some(offsets) => {
                offsets.follow(data);
                offsets.centre(plain)
            }
            None => plain,
        };
        // The slope of the cross-entropy between target and activity, taken by the hidden biases
        // alone (Lee, Ekanadham and Ng, 2008).
        if let (Some(Sparsity { target, cost }), Some(activity)) =
            (self.spec.sparsity, &mut self.activity)
        {
            let _ = activity.lerp_(&column_means(&data.h), 1.0 - ACTIVITY_DECAY);
            gradient.hidden_bias += (&*activity - target) * cost;
        }
        gradient
    }

    fn update_average(&mut self, time: f64) {
        if let (Some(averaged), Some(averaging)) = (&mut self.average, self.spec.averaging)
            && time >= averaging.from * f64::from(self.epochs)
        {
            averaged.average.add(&self.rbm.machine().tensors());
        }
    }

    fn look(&self, rbm: &Rbm, x: &Tensor, rng: &mut Rng) -> Report {
        let v = self.spec.binarize.apply(x, rng);
        let h = rbm.machine().hidden_mean(&v);
        let error = (&v - rbm.machine().visible_mean(&h)).square();
        // The pseudo-likelihood flips bits, so it needs bits.
        let bits = match self.spec.binarize {
            Binarize::None => rng.bernoulli(x),
            Binarize::Threshold | Binarize::Dynamic => v.shallow_clone(),
        };
        let per_row = error.mean_dim(1, false, Kind::Double);
        Report(vec![
            ("reconstruction_mse", mean(&error)),
            ("psnr", mean(&psnr(&per_row))),
            ("free_energy", mean(&rbm.machine().free_energy(&v))),
            (
                "pseudo_likelihood",
                mean(&rbm.machine().pseudo_likelihood(&bits, rng)),
            ),
            ("hidden_activity", mean(&h)),
        ])
    }
}

/// Where the states that stand for the model come from.
fn chains(spec: &Spec, training: &Training, rbm: &Rbm, rng: &mut Rng) -> Chains {
    let machine = rbm.machine();
    let chains = spec.chains(training);
    match spec.algorithm {
        Algorithm::Cd => Chains::FromData(Reconstruction::Samples),
        Algorithm::Pcd => Chains::persistent(machine, chains, rng),
        Algorithm::Tempering => {
            let base_bias = &rbm.stack.base_bias;
            Chains::tempered(machine, base_bias, spec.temperatures(), chains, rng)
        }
    }
}

impl Learner for RbmLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase {
            last_step_cost: self.last_step_cost,
            ..Phase::training(self.epochs)
        }]
    }

    /// `b = ln(p / (1 - p))` with `p` the share of each visible unit that is on, so that the
    /// weights need not learn the mean image first (Hinton, 2010, section 8.1).
    fn prepare(&mut self, batches: &mut BatchSource<'_>) -> std::io::Result<()> {
        let mut sum = Tensor::zeros_like(&self.rbm.stack.base_bias);
        let mut rows = 0;
        for batch in batches {
            let x = batch?.rows().shallow_clone();
            rows += x.size()[0];
            sum += self
                .spec
                .binarize
                .mean(&x)
                .sum_dim_intlist(0, false, Kind::Float);
        }
        // Half a row of each value keeps units that never change finite.
        let p = (sum + 0.5) / (rows as f64 + 1.0);
        self.rbm.stack.base_bias.copy_(&p.logit(None::<f64>));
        let stack = &mut self.rbm.stack;
        stack.machines[0].visible_bias.copy_(&stack.base_bias);
        if let Some(offsets) = &mut self.offsets {
            offsets.visible.copy_(&p);
        }
        if let Some(averaged) = &mut self.average {
            averaged
                .rbm
                .stack
                .base_bias
                .copy_(&self.rbm.stack.base_bias);
        }
        Ok(())
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let _guard = tch::no_grad_guard();
        let rng = &mut context.rng;
        let v = self.spec.binarize.apply(batch.rows(), rng);
        let machine = self.rbm.machine().computing_in(self.compute);
        let data = Statistics::of_data(&machine, &v);
        let steps = self.spec.gibbs_steps_at(context.time, self.epochs);
        let model = self.chains.advance(&machine, &data.h, steps, rng);
        let gradient = self.gradient(&model, &data);
        self.optimizer
            .step(&gradient.in_name_order(), context.learning_rate, None);
        self.update_average(context.time);
        if !context.step.is_multiple_of(LOOK_EVERY) {
            return Report::default();
        }
        let mut report = self.look(&self.rbm, batch.rows(), rng);
        let swap_rate = self.chains.swap_rate();
        report.0.extend(swap_rate.map(|rate| ("swap_rate", rate)));
        report
    }

    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        self.look(self.published(), batch.rows(), rng)
    }

    /// Under their plain names stand the weights that are published; where these are an average, the
    /// ones that learn stand under `learning.`.
    fn state(&self) -> Tensors {
        let mut state = self.published().tensors();
        state.extend(self.optimizer.state("optimizer"));
        state.extend(self.chains.state());
        if let Some(offsets) = &self.offsets {
            state.extend(offsets.state());
        }
        if let Some(activity) = &self.activity {
            state.insert("activity".to_owned(), activity.shallow_clone());
        }
        if let Some(averaged) = &self.average {
            let learning = self.rbm.machine().tensors().into_iter();
            state.extend(learning.map(|(name, tensor)| (format!("learning.{name}"), tensor)));
            state.extend(averaged.average.state("average"));
        }
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.rbm.restore(state)?;
        self.optimizer.restore("optimizer", state)?;
        self.chains.restore(state)?;
        if let Some(offsets) = &mut self.offsets {
            offsets.restore(state)?;
        }
        if let Some(activity) = &mut self.activity {
            copy_named(state, "activity", activity)?;
        }
        if let Some(averaged) = &mut self.average {
            averaged.rbm.restore(state)?;
            averaged.average.restore("average", state)?;
            self.rbm.load("learning.", state)?;
        }
        Ok(())
    }

    /// The base rates are no part of what is averaged.
    fn adopt(&mut self, source: &Tensors) -> Vec<String> {
        let copied = copy_agreeing(source, &self.rbm.tensors());
        if let Some(averaged) = &mut self.average {
            averaged
                .rbm
                .stack
                .base_bias
                .copy_(&self.rbm.stack.base_bias);
        }
        copied
    }

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        let frozen = &adopted.frozen;
        if self.spec.centring {
            let reason =
                "with centring a step moves the weights and the biases by each other's gradients";
            frozen.all_or_none(&["weights", "visible_bias", "hidden_bias"], reason)?;
        }
        if self.spec.sparsity.is_some() && frozen.holds("hidden_bias") {
            let reason = "'hidden_bias' cannot be frozen: it is what sparsity moves";
            return Err(CannotFreeze(reason.to_owned()));
        }
        self.optimizer.freeze(frozen);
        Ok(())
    }

    fn model(&self) -> &dyn Model {
        self.published()
    }
}
