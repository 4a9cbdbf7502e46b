//! How an autoencoder learns: one layer after the other where that is asked for, then the whole.

use tch::Device;

use super::model::Autoencoder;
use super::objective::Objective;
use super::pretraining::{self, LayerTraining};
use super::spec::Spec;
use crate::data::Batch;
use crate::nn::frozen::CannotFreeze;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::unroll::Origin;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::epoch_loop::stream;
use crate::train::settings::Training;
use crate::train::{Adopted, Learner, Phase, Report, StepContext};
use crate::verbs::Model;

pub struct AutoencoderLearner {
    net: Autoencoder,
    objective: Objective,
    spec: Spec,
    training: Training,
    adopted: Adopted,
    stage: Stage,
}

/// What is trained now.
enum Stage {
    Layer(LayerTraining),
    Whole(Optimizer),
}

impl AutoencoderLearner {
    pub fn new(spec: &Spec, training: &Training, data: &DataFacts, device: Device) -> Self {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let compute = training.compute_kind();
        let net = Autoencoder::init(spec, data, &mut rng, device, compute).trainable();
        let whole = Optimizer::new(training.optimizer_config(), net.tensors());
        let mut learner = Self {
            stage: Stage::Whole(whole),
            net,
            objective: Objective::new(spec, data),
            spec: spec.clone(),
            training: training.clone(),
            adopted: Adopted::default(),
        };
        learner.enter(0);
        learner
    }

    /// The layers that are pretrained, in order: what was copied has been trained before.
    fn pretrained(&self) -> Vec<usize> {
        if self.spec.pretraining.is_none() {
            return Vec::new();
        }
        let depth = self.net.depth();
        let copied = self.adopted.copied.iter();
        let origins = copied.filter_map(|name| Origin::of(name, "encoder", depth));
        let known: Vec<usize> = origins
            .filter(|origin| origin.is_way_up())
            .map(|origin| origin.layer)
            .collect();
        (0..depth).filter(|layer| !known.contains(layer)).collect()
    }
}

impl Learner for AutoencoderLearner {
    fn phases(&self) -> Vec<Phase> {
        let epochs = self.training.epochs;
        let Some(pretraining) = &self.spec.pretraining else {
            return vec![Phase::training(epochs)];
        };
        let mut phases = pretraining::phases(&self.spec, pretraining, &self.pretrained());
        phases.push(Phase::new("fine-tuning", epochs));
        phases
    }

    fn enter(&mut self, phase: usize) {
        let (net, spec, training) = (&self.net, &self.spec, &self.training);
        let layer = self.pretrained().get(phase).copied();
        self.stage = match (&spec.pretraining, layer) {
            (Some(how), Some(layer)) => {
                let mut layer = LayerTraining::new(net, spec, how, training, layer);
                layer.start_from(net, &self.adopted);
                Stage::Layer(layer)
            }
            _ => {
                let config = training.optimizer_config();
                let mut optimizer = Optimizer::new(config, net.tensors());
                optimizer.freeze(&self.adopted.frozen);
                Stage::Whole(optimizer)
            }
        };
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let (net, clip) = (&self.net, self.training.gradient_clip);
        match &mut self.stage {
            Stage::Layer(layer) => layer.step(net, &self.objective, batch.rows(), context, clip),
            Stage::Whole(optimizer) => {
                let (loss, report) = self.objective.loss(net, batch.rows(), &mut context.rng);
                optimizer.descend(&loss, context.learning_rate, clip);
                report
            }
        }
    }

    /// What the layers have learnt so far is in the net that a checkpoint holds.
    fn close_epoch(&mut self, _phase: usize, _epoch: u32) {
        if let Stage::Layer(layer) = &self.stage {
            layer.unroll(&self.net, &self.adopted.frozen);
        }
    }

    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        let mut report = self.objective.evaluate(&self.net, batch.rows(), rng);
        if let Stage::Layer(layer) = &self.stage {
            let error = layer.error(&self.net, batch.rows());
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

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        self.adopted = adopted.clone();
        self.enter(0);
        Ok(())
    }

    fn model(&self) -> &dyn Model {
        &self.net
    }
}
