//! The phases of a run: each RBM in turn, then fine-tuning.

use tch::{Device, Kind, Tensor};

use super::head;
use super::labeled::{Choice, Labeled};
use super::spec::{Algorithm, Head, Spec};
use super::start::StackStart;
use super::tuning::Tuner;
use crate::data::Batch;
use crate::nn::boltzmann::chains::{Chains, Reconstruction};
use crate::nn::boltzmann::pretraining::Pretraining;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::figures::mean;
use crate::nn::frozen::CannotFreeze;
use crate::nn::model::{DataFacts, error_per_row};
use crate::nn::rng::Rng;
use crate::nn::standardize::Columns;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::adopt::copy_agreeing;
use crate::train::epoch_loop::stream;
use crate::train::learner::BatchSource;
use crate::train::settings::Training;
use crate::train::{Adopted, Learner, Means, Phase, Regression, Report, StepContext};
use crate::verbs::Model;

/// Steps between two looks at the reconstruction while an RBM is trained: a look costs as much as a step.
const LOOK_EVERY: u64 = 20;

pub struct DbnLearner {
    spec: Spec,
    training: Training,
    device: Device,
    stack: Stack,
    tuner: Option<Tuner>,
    /// The RBM that is being trained, and how; none while fine-tuning.
    pretraining: Option<(usize, Pretraining)>,
    /// The only rows whose labels or targets are learnt from, if they are few.
    labeled: Option<Labeled>,
    /// Of the data's labels.
    classes: Option<i64>,
    start: StackStart,
    adopted: Adopted,
}

impl DbnLearner {
    pub fn new(spec: &Spec, training: &Training, data: &DataFacts, device: Device) -> Self {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let compute = training.compute_kind();
        let stack = Stack::init(&spec.machines(data, compute), &mut rng, device);
        let tuner = head::tuned(spec, data, compute, &mut rng, device).map(|net| {
            let config = training.optimizer_config();
            let layer_rate = spec.layer_rate.unwrap_or(1.0);
            Tuner::new(net, config, layer_rate, training.gradient_clip)
        });
        let mut learner = Self {
            spec: spec.clone(),
            training: training.clone(),
            device,
            stack,
            tuner,
            pretraining: None,
            labeled: None,
            classes: data.classes(),
            start: StackStart::default(),
            adopted: Adopted::default(),
        };
        learner.enter(0);
        learner
    }

    /// The RBMs that are trained, in order. Under a net that is tuned afterwards, none whose weights were
    /// copied: pretraining is for layers that know nothing yet.
    fn pretrained(&self) -> Vec<usize> {
        if self.spec.head != Head::Generative && self.spec.pretraining.epochs == Some(0) {
            return Vec::new();
        }
        (0..self.stack.depth())
            .filter(|layer| !self.start.done.contains(layer))
            .collect()
    }

    fn pretraining(&self, layer: usize) -> Pretraining {
        let p = &self.spec.pretraining;
        let machine = &self.stack.machines[layer];
        let mut rng = Rng::at(self.training.seed, &[stream::INIT, 1 + layer as u64]);
        let chains = match self.spec.algorithm(layer) {
            Algorithm::Cd => Chains::FromData(Reconstruction::SamplesThenMeans),
            Algorithm::Pcd => {
                Chains::persistent(machine, i64::from(self.training.batch_size), &mut rng)
            }
        };
        let mut pretraining =
            Pretraining::new(machine, chains, p.gibbs_steps, p.momentum, p.weight_decay);
        pretraining.freeze(&self.start.frozen.under(&format!("layers.{layer}.")));
        pretraining
    }

    /// Puts the stack's weights into the net, so that a checkpoint is a whole model in any phase. What the
    /// net has of another model stays, unless its layer is pretrained and free to move.
    fn unroll(&self) {
        if self.spec.pretraining.epochs == Some(0) {
            return;
        }
        if let Some(tuner) = &self.tuner {
            let Adopted { copied, frozen } = &self.adopted;
            tuner.unroll(&self.stack, |name, origin| {
                let done = self.start.done.contains(&origin.layer);
                frozen.holds(name) || done && copied.iter().any(|c| c == name)
            });
        }
    }

    fn pretraining_step(
        &mut self,
        layer: usize,
        batch: &Batch,
        context: &mut StepContext,
    ) -> Report {
        let _guard = tch::no_grad_guard();
        let x = self.spec.binarize.apply(batch.rows(), &mut context.rng);
        let units = self.stack.up(&x, layer);
        if layer > 0 && context.epoch == 0 && context.step == 0 {
            let sum = units.sum_dim_intlist(0, false, Kind::Float);
            self.start_from(layer, &sum, units.size()[0]);
        }
        let machine = &self.stack.machines[layer];
        let v = machine.with_labels(&units, batch.labels());
        if let Some((_, pretraining)) = &mut self.pretraining {
            pretraining.step(machine, &v, context.learning_rate, &mut context.rng);
        }
        if context.step.is_multiple_of(LOOK_EVERY) {
            self.look(layer, &x)
        } else {
            Report::default()
        }
    }

    /// Visible biases from how active the layer below was, summed over `rows`: `[units]`. Those that were
    /// copied have a start already.
    fn start_from(&self, layer: usize, sum: &Tensor, rows: i64) {
        let bias = log_odds(sum, rows);
        let units = bias.size()[0];
        let set = |name: &str, target: &Tensor| {
            if !self.start.copied.contains(name) {
                target.narrow(0, 0, units).copy_(&bias);
            }
        };
        let visible_bias = &self.stack.machines[layer].visible_bias;
        set(&format!("layers.{layer}.visible_bias"), visible_bias);
        if layer + 1 == self.stack.depth() {
            set("base_bias", &self.stack.base_bias);
        }
    }

    /// How well the RBMs up to `layer` reconstruct.
    fn look(&self, layer: usize, x: &Tensor) -> Report {
        let depth = layer + 1;
        let reconstruction = self.stack.down(&self.stack.up(x, depth), depth);
        let mse = mean(&error_per_row(x, &reconstruction));
        Report(vec![("reconstruction_mse", mse)])
    }
}

/// `ln(p / (1 - p))` with `p` the share of `rows` in which a unit is on (Hinton, 2010, section 8.1);
/// half a row of each value keeps units that never change finite.
fn log_odds(sum: &Tensor, rows: i64) -> Tensor {
    let p = (sum + 0.5) / (rows as f64 + 1.0);
    p.logit(None::<f64>)
}

impl Learner for DbnLearner {
    fn phases(&self) -> Vec<Phase> {
        let depth = self.stack.depth();
        let rates = &self.spec.pretraining;
        let epochs = self.spec.pretraining_epochs(&self.training);
        let mut phases: Vec<Phase> = self
            .pretrained()
            .into_iter()
            .map(|i| {
                let linear = i + 1 == depth && self.spec.linear_code();
                Phase {
                    learning_rate: Some(if linear {
                        rates.linear_learning_rate
                    } else {
                        rates.learning_rate
                    }),
                    ..Phase::new(format!("pretraining layer {}/{depth}", i + 1), epochs[i])
                }
            })
            .collect();
        if self.tuner.is_some() {
            phases.push(Phase::new("fine-tuning", self.training.epochs));
        }
        phases
    }

    fn prepare(&mut self, batches: &mut BatchSource<'_>) -> std::io::Result<()> {
        let mut sum: Option<Tensor> = None;
        let mut rows = 0;
        let classes = (self.spec.head == Head::Classifier)
            .then_some(self.classes)
            .flatten();
        let mut choice = self.spec.labeled_rows.map(|rows| Choice::of(rows, classes));
        let regression = self.tuner.as_ref().and_then(|t| t.net.regression());
        let mut numbers = Columns::default();
        for batch in batches {
            let batch = batch?;
            let size = batch.rows().size()[0];
            // Of the other rows nothing but the values is looked at.
            let learnt = match &mut choice {
                Some(choice) => choice.choose(&batch),
                None => Some(batch.map(Tensor::shallow_clone)),
            };
            if let Some(more) = regression
                .zip(learnt)
                .and_then(|(r, rows)| r.numbers(&rows))
            {
                numbers.add(&more);
            }
            rows += size;
            let v = self.spec.binarize.mean(batch.rows());
            let more = v.sum_dim_intlist(0, false, Kind::Float);
            sum = Some(sum.map_or_else(|| more.shallow_clone(), |sum| sum + &more));
        }
        if let Some(sum) = sum {
            self.start_from(0, &sum, rows);
        }
        self.labeled = choice.and_then(Choice::made);
        if let Some(regression) = self.tuner.as_mut().and_then(|t| t.net.regression_mut()) {
            regression.fit(&numbers);
        }
        self.unroll();
        Ok(())
    }

    fn enter(&mut self, phase: usize) {
        let pretrained = self.pretrained();
        if phase == pretrained.len() {
            self.unroll();
        }
        let layer = pretrained.get(phase);
        self.pretraining = layer.map(|&layer| (layer, self.pretraining(layer)));
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        if let Some((layer, _)) = self.pretraining {
            return self.pretraining_step(layer, batch, context);
        }
        // An epoch has as many steps as with the labels of all rows.
        let labeled = self.labeled.as_ref();
        let few = labeled.map(|rows| rows.draw(batch.rows().size()[0], &mut context.rng));
        match &mut self.tuner {
            Some(tuner) => tuner.step(few.as_ref().unwrap_or(batch), context),
            None => Report::default(),
        }
    }

    fn close_epoch(&mut self, _phase: usize, _epoch: u32) {
        if self.pretraining.is_some() {
            self.unroll();
        }
    }

    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        let layer = match (&self.pretraining, &self.tuner) {
            (Some((layer, _)), _) => *layer,
            (None, Some(tuner)) => return tuner.net.report(batch),
            (None, None) => return Report::default(),
        };
        let x = self.spec.binarize.apply(batch.rows(), rng);
        let mut report = self.look(layer, &x);
        if layer + 1 == self.stack.depth() && self.tuner.is_none() {
            let energy = mean(&self.stack.free_energy(&x));
            report.0.push(("free_energy", energy));
            if let Some(labels) = batch.labels().filter(|_| self.stack.top().classes() > 0) {
                let v = self.stack.up(batch.rows(), layer);
                let found = self.stack.top().class_probabilities(&v).argmax(1, false);
                let wrong = found.not_equal_tensor(labels).to_kind(Kind::Double);
                report.0.push(("error", mean(&wrong)));
            }
        }
        report
    }

    fn summary(&self, means: &Means) -> Vec<(String, f64)> {
        match self.tuner.as_ref().and_then(|t| t.net.regression()) {
            None => means.told(),
            Some(_) => Regression::summary(means),
        }
    }

    fn state(&self) -> Tensors {
        let mut state = match &self.tuner {
            Some(tuner) if self.pretraining.is_none() => tuner.state(),
            Some(tuner) => tuner.net.tensors(),
            None => Tensors::new(),
        };
        if let Some((_, pretraining)) = &self.pretraining {
            state.extend(self.stack.named_tensors());
            state.extend(pretraining.state());
        }
        if let Some(labeled) = &self.labeled {
            labeled.name_tensors(&mut state);
        }
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        if let Some((_, pretraining)) = &mut self.pretraining {
            self.stack.load(state)?;
            pretraining.restore(state)?;
            if let Some(tuner) = &mut self.tuner {
                tuner.net.load(state)?;
            }
        } else if let Some(tuner) = &mut self.tuner {
            tuner.restore(state)?;
        }
        if self.spec.labeled_rows.is_some() {
            self.labeled = Some(Labeled::restored(state, self.device)?);
        }
        Ok(())
    }

    /// The RBMs start as the layers of the net that were copied.
    fn adopt(&mut self, source: &Tensors) -> Vec<String> {
        let copied = copy_agreeing(source, &self.model().tensors());
        if let Some(tuner) = &self.tuner {
            tuner.roll_up(&self.stack, &copied);
        }
        copied
    }

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        self.start = StackStart::of(adopted, self.tuner.as_ref(), self.stack.depth());
        self.adopted = adopted.clone();
        if let Some(tuner) = &mut self.tuner {
            tuner.freeze(&adopted.frozen);
        }
        self.enter(0);
        Ok(())
    }

    fn model(&self) -> &dyn Model {
        match &self.tuner {
            Some(tuner) => tuner.net.as_ref(),
            None => &self.stack,
        }
    }
}
