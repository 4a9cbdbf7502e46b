//! One run from its cursor to its end. Each step's randomness comes from (seed, phase, epoch, step),
//! so a run that is taken up from any cursor takes the very steps it would have taken.

use tch::Device;

use super::adopt::{Adopted, Start, adopt};
use super::cursor::Cursor;
use super::directive::Directive;
use super::forecast::PlannedPhase;
use super::hold_out::divide;
use super::learner::{Learner, Phase, StepContext};
use super::losses::Losses;
use super::means::Means;
use super::observer::{Halt, Observer, Progress, Snapshot};
use super::settings::Training;
use crate::data::split::Split;
use crate::nn::rng::Rng;

/// First coordinates of the random streams of a run; `INIT` is the families' own.
pub mod stream {
    pub const INIT: u64 = 0;
    pub const ORDER: u64 = 1;
    pub const STEP: u64 = 2;
    pub const EVALUATE: u64 = 3;
    pub const HOLD_OUT: u64 = 4;
    pub const SAMPLES: u64 = 5;
}

/// Rows a batch when only evaluating: large, since nothing is learnt from the batch's noise.
const EVALUATION_BATCH: usize = 1000;

/// Previews of the model in its last phase, at most, beside those of its first epochs, when most changes.
const PREVIEWS: u32 = 100;
const FIRST_PREVIEWS: u32 = 10;

/// How a run ended.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The weights are trained.
    Finished {
        /// Of the test split, if there is one.
        metrics: Vec<(String, f64)>,
        /// Whether a `Directive::Stop` ended it before its last epoch.
        stopped: bool,
        /// What it started with of another model.
        adopted: Adopted,
        /// The share by which the training loss fell in each of the last epochs, unless it had settled.
        still_falls: Option<f64>,
    },
    Canceled,
    Released,
}

/// All that a run works on.
pub struct Run<'a> {
    pub learner: &'a mut dyn Learner,
    pub train: &'a Split,
    pub test: Option<&'a Split>,
    pub training: &'a Training,
    pub device: Device,
    pub cursor: Cursor,
    /// Seconds of a step in each phase, from a trial; empty where nobody tried.
    pub step_costs: &'a [f64],
    /// Another model, for a run that starts: tensors that agree are copied.
    pub start_from: Option<Start<'a>>,
}

/// Trains from `run.cursor` to the end. The learner's state must be that of the cursor.
pub fn fit(run: Run<'_>, observer: &mut dyn Observer) -> Result<Outcome, Halt> {
    let (rows, held_out) = divide(run.train, run.training);
    let steps_per_epoch = rows.len().div_ceil(run.training.batch_size as usize) as u64;
    let mut fit = Fit {
        run,
        rows,
        held_out,
        phases: Vec::new(),
        steps_per_epoch,
        latest: Vec::new(),
        losses: Losses::default(),
    };
    if fit.run.cursor == Cursor::default() {
        fit.prepare()?;
        if let Some(start) = fit.run.start_from {
            let adopted = adopt(fit.run.learner, start)?;
            observer.adopted(&adopted);
            fit.run.cursor.adopted = adopted;
        }
    }
    // Layers that were copied may need no phase of their own.
    fit.phases = fit.run.learner.phases();
    observer.plan(fit.plan());
    fit.run_phases(observer)
}

struct Fit<'a> {
    run: Run<'a>,
    rows: Vec<u32>,
    held_out: Vec<u32>,
    phases: Vec<Phase>,
    steps_per_epoch: u64,
    latest: Vec<(String, f64)>,
    losses: Losses,
}

/// How an epoch or a phase ended.
enum Flow {
    On,
    /// The phase is over before its last epoch.
    Stopped,
    /// The run is over before its last phase.
    Ended,
    Leave(Outcome),
}

impl Fit<'_> {
    fn plan(&self) -> Vec<PlannedPhase> {
        let costs = self.run.step_costs.iter().copied();
        self.phases
            .iter()
            .zip(costs.chain(std::iter::repeat(1.0)))
            .map(|(phase, cost)| PlannedPhase::of(phase, self.steps_per_epoch, cost))
            .collect()
    }

    fn prepare(&mut self) -> Result<(), Halt> {
        let Run {
            learner,
            train,
            device,
            ..
        } = &mut self.run;
        let mut batches = self
            .rows
            .chunks(EVALUATION_BATCH)
            .map(|rows| train.batch(rows, *device));
        Ok(tch::no_grad(|| learner.prepare(&mut batches))?)
    }

    fn run_phases(mut self, observer: &mut dyn Observer) -> Result<Outcome, Halt> {
        let mut stopped = false;
        while let Some(phase) = self.phases.get(self.run.cursor.phase).cloned() {
            observer.phase(&phase.name);
            match self.run_phase(&phase, observer)? {
                Flow::Leave(outcome) => return Ok(outcome),
                Flow::Ended => {
                    stopped = true;
                    break;
                }
                Flow::On | Flow::Stopped => {}
            }
            self.run.cursor.phase += 1;
            self.run.cursor.epoch = 0;
            if self.run.cursor.phase < self.phases.len() {
                self.run.learner.enter(self.run.cursor.phase);
            }
        }
        // With early stopping the last epochs were worse by definition.
        if self.run.training.early_stopping.is_some()
            && let Some(best) = observer.recall_best()?
        {
            self.run.learner.restore(&best)?;
        }
        let metrics = self.finish(observer)?;
        Ok(Outcome::Finished {
            metrics,
            stopped,
            adopted: self.run.cursor.adopted,
            still_falls: self.losses.fall().filter(|_| !stopped),
        })
    }

    fn run_phase(&mut self, phase: &Phase, observer: &mut dyn Observer) -> Result<Flow, Halt> {
        while self.run.cursor.epoch < phase.epochs {
            match self.run_epoch(phase, observer)? {
                Flow::On | Flow::Stopped => {}
                ended @ (Flow::Ended | Flow::Leave(_)) => return Ok(ended),
            }
            if let Flow::Stopped = self.close_epoch(phase, observer)? {
                return Ok(Flow::Stopped);
            }
        }
        Ok(Flow::On)
    }

    fn run_epoch(&mut self, phase: &Phase, observer: &mut dyn Observer) -> Result<Flow, Halt> {
        let done = self.run.cursor.step;
        let order = self.shuffled();
        let batches = (0..).zip(order.chunks(self.run.training.batch_size as usize));
        for (step, rows) in batches.skip_while(|(step, _)| *step < done) {
            match observer.directive() {
                Directive::Continue => {}
                // A run that has learnt nothing yet takes one step first.
                Directive::Stop if self.run.cursor.total_step == 0 => {}
                Directive::Stop => {
                    self.break_off(observer)?;
                    return Ok(Flow::Ended);
                }
                Directive::Cancel | Directive::Lost => return Ok(Flow::Leave(Outcome::Canceled)),
                Directive::Release => {
                    self.checkpoint(false, observer)?;
                    return Ok(Flow::Leave(Outcome::Released));
                }
            }
            self.step(phase, step, rows, observer)?;
        }
        Ok(Flow::On)
    }

    /// Step `step` of the epoch, on the rows of these numbers.
    fn step(
        &mut self,
        phase: &Phase,
        step: u64,
        rows: &[u32],
        observer: &mut dyn Observer,
    ) -> Result<(), Halt> {
        let batch = self.run.train.batch(rows, self.run.device)?;
        let [at, epoch] = self.place();
        let (training, cursor) = (self.run.training, &mut self.run.cursor);
        let time = f64::from(cursor.epoch) + step as f64 / self.steps_per_epoch as f64;
        let rate = phase.learning_rate.unwrap_or(training.learning_rate);
        let mut context = StepContext {
            rng: Rng::at(training.seed, &[stream::STEP, at, epoch, step]),
            learning_rate: rate * training.schedule.factor(time, f64::from(phase.epochs)),
            epoch: cursor.epoch,
            step,
            time,
        };
        let report = self.run.learner.step(&batch, &mut context);
        cursor.step += 1;
        cursor.total_step += 1;
        cursor.sums.add(&report, rows.len() as u64);
        let step = cursor.total_step;
        if let Some(&(metric, value)) = report.0.iter().find(|(_, v)| !v.is_finite()) {
            return Err(Halt::Diverged {
                metric,
                value,
                step,
            });
        }
        if let Some(reason) = self.run.learner.trouble() {
            return Err(Halt::Collapsed { reason, step });
        }
        observer.step(self.progress(), rows.len() as u64, &report);
        Ok(())
    }

    /// Phase and epoch, as random streams are told apart.
    fn place(&self) -> [u64; 2] {
        let cursor = &self.run.cursor;
        [cursor.phase as u64, u64::from(cursor.epoch)]
    }

    /// Makes a whole model of what is trained. The checkpoint comes first: a run that is taken up from
    /// it breaks off at the same step.
    fn break_off(&mut self, observer: &mut dyn Observer) -> Result<(), Halt> {
        self.checkpoint(false, observer)?;
        let cursor = &self.run.cursor;
        if cursor.step > 0 {
            self.run.learner.close_epoch(cursor.phase, cursor.epoch);
        }
        Ok(())
    }

    fn shuffled(&self) -> Vec<u32> {
        let n = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let [phase, epoch] = self.place();
        Rng::at(self.run.training.seed, &[stream::ORDER, phase, epoch])
            .permutation(n)
            .into_iter()
            .map(|i| self.rows[i as usize])
            .collect()
    }

    /// Reports the epoch's means, validates, writes the checkpoint that is due.
    fn close_epoch(&mut self, phase: &Phase, observer: &mut dyn Observer) -> Result<Flow, Halt> {
        let sums = std::mem::take(&mut self.run.cursor.sums);
        let (at, epoch) = (self.run.cursor.phase, self.run.cursor.epoch);
        self.run.learner.close_epoch(at, epoch);
        self.run.cursor.step = 0;
        self.run.cursor.epoch += 1;
        let mut metrics = prefixed("train", self.run.learner.summary(&sums));
        if !self.held_out.is_empty() {
            let means = self.evaluate(self.run.train, &self.held_out, self.place())?;
            metrics.extend(prefixed("validation", self.run.learner.summary(&means)));
        }
        observer.epoch(self.progress(), &metrics);
        self.preview(phase, observer);
        // Early phases, such as pretraining, measure other things; the last one decides.
        let watched = self.run.cursor.phase + 1 == self.phases.len();
        let best = watched && self.judge(&metrics)?;
        self.losses.push(watched, &metrics);
        self.latest = metrics;
        let rule = &self.run.training.early_stopping;
        let rule = rule.as_ref().filter(|_| watched);
        let stop = rule.is_some_and(|rule| self.run.cursor.epochs_since_best >= rule.patience);
        let every = self.run.training.checkpoint_every_epochs.max(1);
        let last = stop || self.run.cursor.epoch == phase.epochs;
        if best || last || self.run.cursor.epoch.is_multiple_of(every) {
            self.checkpoint(best, observer)?;
        }
        Ok(if stop { Flow::Stopped } else { Flow::On })
    }

    /// Previews the model, so often that a phase has some hundred of them.
    fn preview(&self, phase: &Phase, observer: &mut dyn Observer) {
        let (at, epoch) = (self.run.cursor.phase, self.run.cursor.epoch);
        let every = phase.epochs.div_ceil(PREVIEWS).max(1);
        let due = epoch <= FIRST_PREVIEWS || epoch.is_multiple_of(every) || epoch == phase.epochs;
        if at + 1 == self.phases.len() && due {
            observer.preview(self.progress().epoch, self.run.learner.model());
        }
    }

    /// Whether this epoch's early-stopping metric is the best so far.
    fn judge(&mut self, metrics: &[(String, f64)]) -> Result<bool, Halt> {
        let Some(rule) = &self.run.training.early_stopping else {
            return Ok(false);
        };
        let wanted = format!("validation/{}", rule.metric);
        let Some(&(_, value)) = metrics.iter().find(|(name, _)| *name == wanted) else {
            let names: Vec<&str> = metrics
                .iter()
                .filter_map(|(n, _)| n.strip_prefix("validation/"))
                .collect();
            return Err(Halt::NoSuchMetric {
                metric: rule.metric.clone(),
                reported: names.join(", "),
            });
        };
        let cursor = &mut self.run.cursor;
        let better = cursor.best.is_none_or(|best| value < best - rule.min_delta);
        if better {
            cursor.best = Some(value);
            cursor.epochs_since_best = 0;
        } else {
            cursor.epochs_since_best += 1;
        }
        Ok(better)
    }

    fn checkpoint(&self, best: bool, observer: &mut dyn Observer) -> Result<(), Halt> {
        observer.checkpoint(Snapshot {
            cursor: &self.run.cursor,
            progress: self.progress(),
            state: self.run.learner.state(),
            metrics: &self.latest,
            best,
        })
    }

    fn finish(&self, observer: &mut dyn Observer) -> Result<Vec<(String, f64)>, Halt> {
        let Some(test) = self.run.test else {
            return Ok(Vec::new());
        };
        observer.phase("evaluating");
        let all: Vec<u32> = (0..test.len()).collect();
        let means = self.evaluate(test, &all, [u64::MAX, 0])?;
        let metrics = prefixed("test", self.run.learner.summary(&means));
        observer.epoch(self.progress(), &metrics);
        Ok(metrics)
    }

    fn evaluate(&self, split: &Split, rows: &[u32], place: [u64; 2]) -> Result<Means, Halt> {
        let mut means = Means::default();
        for (i, indices) in rows.chunks(EVALUATION_BATCH).enumerate() {
            let batch = split.batch(indices, self.run.device)?;
            let place = [stream::EVALUATE, place[0], place[1], i as u64];
            let mut rng = Rng::at(self.run.training.seed, &place);
            let report = tch::no_grad(|| self.run.learner.evaluate(&batch, &mut rng));
            means.add(&report, indices.len() as u64);
        }
        Ok(means)
    }

    fn progress(&self) -> Progress {
        let cursor = &self.run.cursor;
        let done: u32 = self.phases[..cursor.phase.min(self.phases.len())]
            .iter()
            .map(|p| p.epochs)
            .sum();
        let epochs = self.phases.iter().map(|p| p.epochs).sum();
        Progress {
            epoch: done + cursor.epoch,
            epochs,
            step: cursor.total_step,
            total_steps: u64::from(epochs) * self.steps_per_epoch,
        }
    }
}

fn prefixed(split: &str, metrics: Vec<(String, f64)>) -> Vec<(String, f64)> {
    metrics
        .into_iter()
        .map(|(name, value)| (format!("{split}/{name}"), value))
        .collect()
}
