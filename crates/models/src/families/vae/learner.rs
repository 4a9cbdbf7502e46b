//! How a variational autoencoder learns: one optimiser on both nets, and beside it the variance of the
//! noise and the mixture of the codes, which have steps in closed form.

use tch::{Device, Kind as TensorKind, Tensor};

use super::bound::Drawn;
use super::net::Vae;
use super::spec::{KlScheduleKind, Spec};
use super::visible::Visible;
use crate::data::Batch;
use crate::nn::figures::{mean, psnr};
use crate::nn::frozen::CannotFreeze;
use crate::nn::mixture::{self, RecentCodes};
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::learner::BatchSource;
use crate::train::settings::Training;
use crate::train::{Adopted, Learner, Phase, Report, StepContext};
use crate::verbs::Model;

/// Steps between two looks at the reconstructions.
const LOOK_EVERY: u64 = 20;
/// Codes that the mixture is fitted to: the last ones drawn.
const CODES: i64 = 10_000;
/// Rounds of EM after each epoch, which go on from those before: the mixture follows the codes. After
/// the last epoch, when they stand still, it settles.
const ROUNDS: u32 = 3;
const LAST_ROUNDS: u32 = 50;
/// Posterior means vary over the data by more than this in a unit that is in use (Burda et al., 2016).
const ACTIVE: f64 = 0.01;

pub struct VaeLearner {
    net: Vae,
    spec: Spec,
    optimizer: Optimizer,
    /// Codes of the epoch under way, where there is a mixture.
    recent: Option<RecentCodes>,
    closed_form: ClosedForm,
    epochs: u32,
    gradient_clip: Option<f64>,
    image: bool,
    unit_interval: bool,
}

/// Which of the steps in closed form are taken.
struct ClosedForm {
    noise: bool,
    mixture: bool,
    /// Whether the mixture starts over from the codes of the first epoch.
    fresh_mixture: bool,
}

impl VaeLearner {
    pub fn new(
        net: Vae,
        spec: &Spec,
        training: &Training,
        data: &crate::nn::model::DataFacts,
        device: Device,
    ) -> Self {
        let net = net.trainable(training.compute_kind());
        let room = || RecentCodes::new(CODES, spec.latent, device);
        Self {
            optimizer: Optimizer::new(training.optimizer_config(), net.parameters()),
            recent: spec.mixture.map(|_| room()),
            closed_form: ClosedForm {
                noise: true,
                mixture: true,
                fresh_mixture: true,
            },
            net,
            spec: spec.clone(),
            epochs: training.epochs,
            gradient_clip: training.gradient_clip,
            image: data.shape().len() == 3,
            unit_interval: data.is_unit_interval(),
        }
    }

    /// Weight of the divergence at this time of the run.
    fn kl_weight(&self, time: f64) -> f64 {
        let schedule = self.spec.kl_schedule;
        self.spec.beta * schedule.factor(time, f64::from(self.epochs))
    }

    /// What stands beside the gradient's own step.
    fn follow(&mut self, drawn: &Drawn, first: bool) {
        let _guard = tch::no_grad_guard();
        if let (Visible::Gaussian(noise), Some(squares)) = (&mut self.net.visible, drawn.squares())
            && self.closed_form.noise
        {
            noise.follow(&squares);
        }
        if let Some(recent) = self.recent.as_mut().filter(|_| self.closed_form.mixture) {
            if first {
                recent.clear();
            }
            recent.push(&drawn.z.detach());
        }
    }

    /// Errors of the reconstructions from the mean of the code, and units of the code that are in use.
    fn look(&self, x: &Tensor, labels: Option<&Tensor>) -> Vec<(&'static str, f64)> {
        let _guard = tch::no_grad_guard();
        let code = self.net.posterior(&self.net.seen(x), labels).mean;
        let errors = (self.net.decoded(&code, labels) - x).square();
        let active = code
            .var_dim(Some(&[0_i64][..]), false, false)
            .greater(ACTIVE);
        let active = active.sum(TensorKind::Double).double_value(&[]);
        let mut found = vec![
            ("reconstruction_mse", mean(&errors)),
            ("active_units", active),
        ];
        if self.unit_interval {
            let per_row = errors.mean_dim(1, false, TensorKind::Double);
            found.push(("psnr", mean(&psnr(&per_row))));
        }
        found
    }
}

/// `loss`, and its parts at full weight: `nelbo = distortion + kl`.
fn parts(loss: &Tensor, drawn: &Drawn) -> Vec<(&'static str, f64)> {
    let kl = drawn.kl();
    let nelbo = drawn.distortion() + &kl;
    let found = Tensor::stack(&[loss, &nelbo, &kl], 0).detach();
    // One answer of the device for all three.
    let found = found.to_device(Device::Cpu);
    ["loss", "nelbo", "kl"]
        .into_iter()
        .zip(0..)
        .map(|(name, i)| (name, found.double_value(&[i])))
        .collect()
}

impl Learner for VaeLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::training(self.epochs)]
    }

    /// The output biases start at the mean of the data, so that the weights need not learn it first; the
    /// noise starts as wide as the data.
    fn prepare(&mut self, batches: &mut BatchSource<'_>) -> std::io::Result<()> {
        let (mut rows, mut sum, mut squares) = (0, None, None);
        let add = |to: &mut Option<Tensor>, x: Tensor| {
            *to = Some(match to.take() {
                Some(sum) => sum + x,
                None => x,
            });
        };
        for batch in batches {
            let x = self.net.seen(batch?.rows()).to_kind(TensorKind::Double);
            rows += x.size()[0];
            add(&mut sum, x.sum_dim_intlist(0, false, TensorKind::Double));
            let square = x.square().sum_dim_intlist(0, false, TensorKind::Double);
            add(&mut squares, square);
        }
        let (Some(sum), Some(squares)) = (sum, squares) else {
            return Ok(());
        };
        let n = f64::from(i32::try_from(rows).unwrap_or(i32::MAX));
        let mean = &sum / n;
        let variance = (squares / n - mean.square()).clamp_min(0.0);
        self.net.visible.start_from(&mean, &variance, self.image);
        if self.net.visible.is_squashed()
            && let Some(bias) = self.net.output_bias()
        {
            // Half a row of each value keeps the logits of values that never change finite.
            let mean = ((sum + 0.5) / (n + 1.0)).view([bias.size()[0], -1]);
            let mean = mean.mean_dim(1, false, TensorKind::Double);
            bias.shallow_clone().copy_(&mean.logit(None::<f64>));
        }
        Ok(())
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let labels = batch.labels();
        let weight = self.kl_weight(context.time);
        let x = self.net.binarize.apply(batch.rows(), &mut context.rng);
        let (net, samples) = (&self.net, self.spec.samples);
        let drawn = net.draw(&x, labels, samples, &mut context.rng);
        let loss = if samples == 1 {
            -drawn.elbo(weight)
        } else {
            -drawn.importance_weighted(weight)
        };
        self.optimizer
            .descend(&loss, context.learning_rate, self.gradient_clip);
        self.follow(&drawn, context.step == 0);
        let mut report = parts(&loss, &drawn);
        if self.spec.kl_schedule.kind != KlScheduleKind::Constant {
            report.push(("kl_weight", weight));
        }
        if context.step.is_multiple_of(LOOK_EVERY) {
            report.extend(self.look(batch.rows(), labels));
        }
        Report(report)
    }

    fn close_epoch(&mut self, _phase: usize, epoch: u32) {
        let _guard = tch::no_grad_guard();
        let (Some(mixture), Some(recent)) = (&mut self.net.mixture, &self.recent) else {
            return;
        };
        if !self.closed_form.mixture {
            return;
        }
        let codes = recent.all();
        if epoch == 0 && self.closed_form.fresh_mixture {
            mixture.start_at(&codes);
        }
        let last = epoch + 1 == self.epochs;
        mixture.fit(&codes, if last { LAST_ROUNDS } else { ROUNDS });
    }

    /// `loss` has the full weight on the divergence, whatever the time of the run.
    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        let _guard = tch::no_grad_guard();
        let labels = batch.labels();
        if self.net.classes.is_some() && labels.is_none() {
            // A split without labels says nothing of a model that goes by them.
            return Report::default();
        }
        let x = self.net.binarize.apply(batch.rows(), rng);
        let (beta, samples) = (self.spec.beta, self.spec.samples);
        let drawn = self.net.draw(&x, labels, 1, rng);
        let loss = if samples == 1 {
            -drawn.elbo(beta)
        } else {
            let bound = self.net.log_bound(&x, labels, samples, beta, rng);
            -bound.mean(TensorKind::Float)
        };
        let mut report = parts(&loss, &drawn);
        report.extend(self.look(batch.rows(), labels));
        Report(report)
    }

    fn state(&self) -> Tensors {
        let mut state = self.net.tensors();
        state.extend(self.optimizer.state("optimizer"));
        if let Some(recent) = &self.recent {
            recent.name_tensors("recent", &mut state);
        }
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.net.restore(state)?;
        self.optimizer.restore("optimizer", state)?;
        if let Some(recent) = &mut self.recent {
            recent.load("recent", state)?;
        }
        Ok(())
    }

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        let Adopted { copied, frozen } = adopted;
        let names = mixture::NAMES.map(|name| format!("mixture.{name}"));
        let names = names.each_ref().map(String::as_str);
        let reason = "the parts of a mixture are fitted to each other";
        self.closed_form = ClosedForm {
            noise: !frozen.holds("visible.variance"),
            mixture: !frozen.all_or_none(&names, reason)?,
            fresh_mixture: !names.iter().all(|name| copied.iter().any(|c| c == name)),
        };
        self.optimizer.freeze(frozen);
        Ok(())
    }

    fn model(&self) -> &dyn Model {
        &self.net
    }
}
