//! How an autoencoder learns: one layer after the other where that is asked for, then the whole.

use tch::Device;

use super::model::Autoencoder;
use super::objective::Objective;
use super::pretraining::{self, LayerTraining};
use super::spec::Spec;
use crate::data::split::Batch;
use crate::nn::model::{DataFacts, Model};
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::epoch_loop::stream;
use crate::train::settings::Training;
use crate::train::{Learner, Phase, Report, StepContext};

pub struct AutoencoderLearner {
    net: Autoencoder,
    objective: Objective,
    spec: Spec,
    training: Training,
    stage: Stage,
}

/// What is trained now.
enum Stage {
    Layer(LayerTraining),
    Whole(Optimizer),
}

impl Stage {
    fn at(phase: usize, net: &Autoencoder, spec: &Spec, training: &Training) -> Self {
        match &spec.pretraining {
            Some(pretraining) if phase < net.depth() => {
                Self::Layer(LayerTraining::new(net, spec, pretraining, training, phase))
            }
            _ => Self::Whole(Optimizer::new(training.optimizer_config(), net.tensors())),
        }
    }
}

impl AutoencoderLearner {
    pub fn new(spec: &Spec, training: &Training, data: &DataFacts, device: Device) -> Self {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let compute = training.compute_kind();
        let net = Autoencoder::init(spec, data, &mut rng, device, compute).trainable();
        Self {
            stage: Stage::at(0, &net, spec, training),
            net,
            objective: Objective::new(spec, data),
            spec: spec.clone(),
            training: training.clone(),
        }
    }
}

impl Learner for AutoencoderLearner {
    fn phases(&self) -> Vec<Phase> {
        let epochs = self.training.epochs;
        let Some(pretraining) = &self.spec.pretraining else {
            return vec![Phase::training(epochs)];
        };
        let mut phases = pretraining::phases(&self.spec, pretraining);
        phases.push(Phase::new("fine-tuning", epochs));
        phases
    }

    fn enter(&mut self, phase: usize) {
        self.stage = Stage::at(phase, &self.net, &self.spec, &self.training);
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let (net, clip) = (&self.net, self.training.gradient_clip);
        match &mut self.stage {
            Stage::Layer(layer) => layer.step(net, &self.objective, &batch.x, context, clip),
            Stage::Whole(optimizer) => {
                let (loss, report) = self.objective.loss(net, &batch.x, &mut context.rng);
                optimizer.descend(&loss, context.learning_rate, clip);
                report
            }
        }
    }

    /// What the layers have learnt so far is in the net that a checkpoint holds.
    fn close_epoch(&mut self, _phase: usize, _epoch: u32) {
        if let Stage::Layer(layer) = &self.stage {
            layer.unroll(&self.net);
        }
    }

    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        let mut report = self.objective.evaluate(&self.net, &batch.x, rng);
        if let Stage::Layer(layer) = &self.stage {
            let error = layer.error(&self.net, &batch.x);
            report.0.push(("layer_mse", error));
        }
        report
    }

    fn state(&self) -> Tensors {
        let mut state = self.net.tensors();
        state.extend(match &self.stage {
            Stage::Layer(layer) => layer.state(),
            Stage::Whole(optimizer) => optimizer.state("optimizer"),
        });
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.net.restore(state)?;
        match &mut self.stage {
            Stage::Layer(layer) => layer.restore(state),
            Stage::Whole(optimizer) => optimizer.restore("optimizer", state),
        }
    }

    fn model(&self) -> &dyn Model {
        &self.net
    }
}
