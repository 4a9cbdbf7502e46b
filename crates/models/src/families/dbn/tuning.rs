//! Fine-tuning: the stack as a feed-forward net, trained end to end by back-propagation, the pretrained
//! layers at their own share of the learning rate.

use std::collections::BTreeSet;

use tch::Tensor;

use crate::data::Batch;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::frozen::Frozen;
use crate::nn::optimizer::{Optimizer, OptimizerConfig};
use crate::nn::rng::Rng;
use crate::nn::unroll::Origin;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::{Regression, Report, StepContext};
use crate::verbs::Model;

/// A net that a stack of RBMs is unrolled to.
pub trait Tuned: Model {
    /// What gradients change, by name: all of it, for most.
    fn net_tensors(&self) -> Tensors {
        self.tensors()
    }
    /// What the tensor of this name starts as of the stack; none where the layer is new.
    fn origin(&self, name: &str) -> Option<Origin>;
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

/// In the stack's tensors.
fn part_name(origin: Origin) -> String {
    format!("layers.{}.{}", origin.layer, origin.part)
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
            .partition(|(name, _)| net.origin(name).is_none());
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

    /// Leaves the tensors of these names as they are.
    pub fn freeze(&mut self, frozen: &Frozen) {
        for group in &mut self.groups {
            group.optimizer.freeze(frozen);
        }
    }

    /// Takes over the stack's weights, but for the tensors that are kept.
    pub fn unroll(&self, stack: &Stack, kept: impl Fn(&str, Origin) -> bool) {
        let parts = stack.named_tensors();
        for (name, mut tensor) in self.net.net_tensors() {
            let origin = self.net.origin(&name);
            if let Some(origin) = origin.filter(|&origin| !kept(&name, origin)) {
                let part = origin.turned(&parts[&part_name(origin)]);
                tch::no_grad(|| tensor.copy_(&part));
            }
        }
    }

    /// Gives the stack what these tensors of the net hold. Of two that share weights, the one on the way
    /// up counts: its name comes last.
    pub fn roll_up(&self, stack: &Stack, names: &[String]) {
        let (parts, tensors) = (stack.named_tensors(), self.net.net_tensors());
        for name in names {
            if let Some(origin) = self.net.origin(name) {
                let mut part = origin.turned(&parts[&part_name(origin)]);
                tch::no_grad(|| part.copy_(&tensors[name]));
            }
        }
    }

    /// Layers whose weights on the way up are among `names`.
    pub fn layers_among(&self, names: &[String]) -> BTreeSet<usize> {
        let origins = names.iter().filter_map(|name| self.net.origin(name));
        origins
            .filter(|origin| origin.is_way_up())
            .map(|origin| origin.layer)
            .collect()
    }

    /// What the stack calls a tensor of the net.
    pub fn name_in_stack(&self, name: &str) -> Option<String> {
        self.net.origin(name).map(part_name)
    }

    pub fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let Some(loss) = self.net.loss(batch, &mut context.rng) else {
            return Report::default();
        };
        let parameters = self.groups.iter_mut().flat_map(|g| &mut g.parameters);
        parameters.for_each(Tensor::zero_grad);
        // Where all of the net is frozen there is nothing to go back through.
        if loss.requires_grad() {
            loss.backward();
        }
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
