//! How the net learns: cross-entropy of the labels, or squared error of a number for each row.

use tch::{Kind, Reduction, Tensor};

use super::net::Mlp;
use super::spec::Spec;
use crate::data::Batch;
use crate::nn::augment::shifted;
use crate::nn::figures::mean;
use crate::nn::frozen::CannotFreeze;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::standardize::Columns;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::learner::BatchSource;
use crate::train::settings::Training;
use crate::train::{Adopted, Learner, Means, Phase, Regression, Report, StepContext};
use crate::verbs::Model;

pub(super) struct MlpLearner {
    mlp: Mlp,
    optimizer: Optimizer,
    /// Shape of an image and how far to move it.
    shift: Option<([i64; 3], i64)>,
    input_dropout: f64,
    label_smoothing: f64,
    epochs: u32,
    gradient_clip: Option<f64>,
}

impl MlpLearner {
    pub fn new(mlp: Mlp, spec: &Spec, training: &Training, data: &DataFacts) -> Self {
        let shift = match (spec.augment, data.shape()) {
            (Some(augment), &[channels, height, width]) => {
                Some(([channels, height, width], augment.shift))
            }
            _ => None,
        };
        Self {
            optimizer: Optimizer::new(training.optimizer_config(), mlp.net.parameters("net")),
            mlp,
            shift,
            input_dropout: spec.input_dropout,
            label_smoothing: spec.label_smoothing,
            epochs: training.epochs,
            gradient_clip: training.gradient_clip,
        }
    }

    /// The rows as a training step sees them: moved, standardised, some values left out.
    fn seen(&self, x: &Tensor, rng: &mut Rng) -> Tensor {
        let moved = match self.shift {
            Some((shape, limit)) => shifted(x, shape, limit, rng),
            None => x.shallow_clone(),
        };
        let x = self.mlp.prepared(&moved);
        if self.input_dropout <= 0.0 {
            return x;
        }
        let kept = 1.0 - self.input_dropout;
        let mask = rng.uniform(&x.size(), x.device()).less(kept);
        x * mask.to_kind(Kind::Float) / kept
    }
}

/// What a batch is to come out as.
enum Truth<'a> {
    Classes(&'a Tensor),
    Numbers(&'a Regression, Tensor),
}

impl<'a> Truth<'a> {
    /// None for rows that lack what the net learns.
    fn of(mlp: &'a Mlp, batch: &'a Batch) -> Option<Self> {
        match &mlp.regression {
            None => batch.labels().map(Self::Classes),
            Some(regression) => {
                let numbers = regression.numbers(batch)?;
                Some(Self::Numbers(regression, numbers))
            }
        }
    }
}

/// Cross-entropy in nats of `[batch, classes]` logits, averaged over the batch.
fn cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Tensor {
    logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, smoothing)
}

/// Share of the rows whose greatest logit is not their label's.
fn error(logits: &Tensor, labels: &Tensor) -> f64 {
    let wrong = logits.argmax(1, false).not_equal_tensor(labels);
    mean(&wrong.to_kind(Kind::Float))
}

impl Learner for MlpLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::training(self.epochs)]
    }

    /// Mean and deviation of what is standardised.
    fn prepare(&mut self, batches: &mut BatchSource<'_>) -> std::io::Result<()> {
        let (mut inputs, mut numbers) = (Columns::default(), Columns::default());
        let mlp = &mut self.mlp;
        if mlp.input.is_none() && mlp.regression.is_none() {
            return Ok(());
        }
        for batch in batches {
            let batch = batch?;
            if mlp.input.is_some() {
                inputs.add(batch.rows());
            }
            if let Some(more) = mlp.regression.as_ref().and_then(|r| r.numbers(&batch)) {
                numbers.add(&more);
            }
        }
        if let Some(input) = &mut mlp.input {
            input.fit(&inputs);
        }
        if let Some(regression) = &mut mlp.regression {
            regression.fit(&numbers);
        }
        Ok(())
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let Some(truth) = Truth::of(&self.mlp, batch) else {
            return Report::default();
        };
        let x = self.seen(batch.rows(), &mut context.rng);
        let outputs = self.mlp.train_pass(&x, &mut context.rng);
        let loss = match &truth {
            Truth::Classes(labels) => cross_entropy(&outputs, labels, self.label_smoothing),
            Truth::Numbers(regression, numbers) => regression.loss(&outputs, numbers),
        };
        self.optimizer
            .descend(&loss, context.learning_rate, self.gradient_clip);
        tch::no_grad(|| match &truth {
            Truth::Classes(labels) => Report(vec![
                ("loss", loss.double_value(&[])),
                ("error", error(&outputs, labels)),
            ]),
            Truth::Numbers(regression, numbers) => regression.step_report(&outputs, numbers, &loss),
        })
    }

    /// `loss` is the cross-entropy without smoothing, or the squared error of the standardised number.
    /// The test split may lack what is learnt: then there is nothing to compare with.
    fn evaluate(&self, batch: &Batch, _rng: &mut Rng) -> Report {
        let Some(truth) = Truth::of(&self.mlp, batch) else {
            return Report::default();
        };
        let outputs = self.mlp.outputs(batch.rows());
        match truth {
            Truth::Classes(labels) => {
                let error = error(&outputs, labels);
                Report(vec![
                    (
                        "loss",
                        cross_entropy(&outputs, labels, 0.0).double_value(&[]),
                    ),
                    ("error", error),
                    ("accuracy", 1.0 - error),
                ])
            }
            Truth::Numbers(regression, numbers) => regression.report(&outputs, &numbers),
        }
    }

    fn summary(&self, means: &Means) -> Vec<(String, f64)> {
        match self.mlp.regression {
            None => means.told(),
            Some(_) => Regression::summary(means),
        }
    }

    fn state(&self) -> Tensors {
        let mut state = self.mlp.tensors();
        state.extend(self.optimizer.state("optimizer"));
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.mlp.restore(state)?;
        self.optimizer.restore("optimizer", state)
    }

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        self.optimizer.freeze(&adopted.frozen);
        self.mlp.net.freeze_statistics("net", &adopted.frozen)
    }

    fn model(&self) -> &dyn Model {
        &self.mlp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::golden::{assert_close, labels, leaf, list, number, read};

    #[test]
    fn the_cross_entropy_and_its_slope_are_those_of_pytorch() {
        let golden = &read(include_str!("../../../tests/golden/losses.json"))["classes"];
        let labels = labels(&golden["labels"]);
        for case in list(&golden["cases"]) {
            let logits = leaf(&golden["logits"]);
            let smoothing = number(&case["smoothing"]);
            let loss = cross_entropy(&logits, &labels, smoothing);
            let what = format!("smoothing {smoothing}");
            assert_close(&loss, &case["mean"], &what);
            loss.backward();
            assert_close(&logits.grad(), &case["slope"], &what);
        }
    }
}
