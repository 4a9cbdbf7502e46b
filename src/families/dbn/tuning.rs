//! Fine-tuning: the stack as a feed-forward net, trained end to end by back-propagation, the pretrained
//! layers at their own share of the learning rate.

use tch::Tensor;

use super::stack::Stack;
use crate::data::split::Batch;
use crate::nn::model::Model;
use crate::nn::optimizer::{Optimizer, OptimizerConfig};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::{Regression, Report, StepContext};

/// A net that a stack of RBMs is unrolled to.
pub trait Tuned: Model {
    /// What gradients change, by name.
    fn net_tensors(&self) -> Tensors;
    /// Whether the tensor of this name has no counterpart in the stack.
    fn is_new(&self, name: &str) -> bool;
    /// Takes over the stack's weights.
    fn unroll(&self, stack: &Stack);
    /// What fine-tuning descends, averaged over the batch; none for rows that lack what is learnt.
    fn loss(&self, batch: &Batch, rng: &mut Rng) -> Option<Tensor>;
    fn report(&self, batch: &Batch) -> Report;
    /// The numbers it learns, of a regressor.
    fn regression(&self) -> Option<&Regression> {
        None
    }
    fn regression_mut(&mut self) -> Option<&mut Regression> {
        None
    }
    fn load(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch>;
}

pub fn copy_into(target: &Tensor, source: &Tensor) {
    tch::no_grad(|| target.shallow_clone().copy_(source));
}

/// Parameters that share a learning rate.
struct Group {
    name: &'static str,
    parameters: Vec<Tensor>,
    optimizer: Optimizer,
    /// Share of the learning rate.
    rate: f64,
}

impl Group {
    fn new(name: &'static str, config: OptimizerConfig, parameters: Tensors, rate: f64) -> Self {
        Self {
            name,
            parameters: parameters.values().map(Tensor::shallow_clone).collect(),
            optimizer: Optimizer::new(config, parameters),
            rate,
        }
    }
}

pub struct Tuner {
    pub net: Box<dyn Tuned>,
    groups: Vec<Group>,
    gradient_clip: Option<f64>,
}

impl Tuner {
    /// `layer_rate` is the pretrained layers' share of the learning rate.
    pub fn new(
        net: Box<dyn Tuned>,
        config: OptimizerConfig,
        layer_rate: f64,
        gradient_clip: Option<f64>,
    ) -> Self {
        let parameters = net.net_tensors();
        for parameter in parameters.values() {
            let _ = parameter.set_requires_grad(true);
        }
        // Layers that do not move need no gradients either.
        let (new, pretrained): (Tensors, Tensors) = parameters
            .into_iter()
            .partition(|(name, _)| net.is_new(name));
        let groups = [("pretrained", pretrained, layer_rate), ("new", new, 1.0)]
            .into_iter()
            .filter(|(_, parameters, _)| !parameters.is_empty())
            .map(|(name, parameters, rate)| Group::new(name, config, parameters, rate))
            .collect();
        Self {
            net,
            groups,
            gradient_clip,
        }
    }

    pub fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let Some(loss) = self.net.loss(batch, &mut context.rng) else {
            return Report::default();
        };
        let parameters = self.groups.iter_mut().flat_map(|g| &mut g.parameters);
        parameters.for_each(Tensor::zero_grad);
        loss.backward();
        for group in &mut self.groups {
            let gradients: Vec<Tensor> = group.parameters.iter().map(Tensor::grad).collect();
            let rate = context.learning_rate * group.rate;
            group.optimizer.step(&gradients, rate, self.gradient_clip);
        }
        Report(vec![("loss", loss.double_value(&[]))])
    }

    /// The net and the moments of its optimisers.
    pub fn state(&self) -> Tensors {
        let mut state = self.net.tensors();
        for group in &self.groups {
            state.extend(group.optimizer.state(&format!("optimizer.{}", group.name)));
        }
        state
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.net.load(state)?;
        for group in &mut self.groups {
            group
                .optimizer
                .restore(&format!("optimizer.{}", group.name), state)?;
        }
        Ok(())
    }
}
