//! Gradient descent rules whose whole state can be saved, so that a resumed run takes the same steps.
//!
//! `momentum` and `nesterov` follow Sutskever et al. (2013), `rmsprop` Hinton's lecture 6e (2012),
//! `adam` Kingma and Ba (2015), `adamw` Loshchilov and Hutter (2019), each in PyTorch's form: the rate
//! multiplies the velocity and is not part of it. On the CPU every rule is one pass over the numbers;
//! the tensor form would be one pass for each operation in the formula.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};
use utoipa::ToSchema;

use super::frozen::Frozen;
use super::rng::{values, values_mut};
use super::{TensorMismatch, Tensors, copy_named};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Sgd,
    Momentum,
    Nesterov,
    Adam,
    Adamw,
    Rmsprop,
}

/// The numbers a rule goes by; one step may change the learning rate of the next.
#[derive(Debug, Clone, Copy)]
pub struct OptimizerConfig {
    pub rule: Rule,
    /// Coefficient of the velocity (`momentum`, `nesterov`) or of the first moment (`adam`, `adamw`).
    pub momentum: f64,
    /// Decay of the second moment (`adam`, `adamw`, `rmsprop`).
    pub decay: f64,
    /// L2 penalty on weights (not on biases); decoupled from the gradient for `adamw`.
    pub weight_decay: f64,
}

const EPSILON: f32 = 1e-8;

struct Slot {
    name: String,
    parameter: Tensor,
    first: Tensor,
    second: Tensor,
    /// Biases are not decayed: they hold no capacity worth taking away (Hinton, 2010, section 10).
    decayed: bool,
    /// Never changed.
    frozen: bool,
}

pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    steps: i64,
}

impl Optimizer {
    /// `parameters` share storage with the net that is trained.
    pub fn new(config: OptimizerConfig, parameters: Tensors) -> Self {
        let uses_first = !matches!(config.rule, Rule::Sgd | Rule::Rmsprop);
        let uses_second = matches!(config.rule, Rule::Adam | Rule::Adamw | Rule::Rmsprop);
        let moment = |used: bool, like: &Tensor| {
            let size = if used { like.size() } else { vec![0] };
            Tensor::zeros(size, (Kind::Float, like.device()))
        };
        let slots = parameters
            .into_iter()
            .map(|(name, parameter)| Slot {
                first: moment(uses_first, &parameter),
                second: moment(uses_second, &parameter),
                decayed: parameter.dim() > 1,
                frozen: false,
                name,
                parameter,
            })
            .collect();
        Self {
            config,
            slots,
            steps: 0,
        }
    }

    /// Leaves the parameters of these names as they are from now on: they are neither moved nor
    /// decayed, count in no norm, keep no moments, and no gradient of theirs is computed.
    pub fn freeze(&mut self, frozen: &Frozen) {
        for slot in self.slots.iter_mut().filter(|s| frozen.holds(&s.name)) {
            let none = || Tensor::zeros([0], (Kind::Float, slot.parameter.device()));
            (slot.first, slot.second) = (none(), none());
            slot.frozen = true;
            let _ = slot.parameter.set_requires_grad(false);
        }
    }

    /// One step down the gradients that `backward` left on the parameters, which are then cleared.
    /// With `clip`, the gradient is first scaled to at most that norm (Pascanu et al., 2013).
    pub fn descend(&mut self, loss: &Tensor, learning_rate: f64, clip: Option<f64>) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
        // Where all that it depends on is frozen there is nothing to go back through.
        if loss.requires_grad() {
            loss.backward();
        }
        let gradients: Vec<Tensor> = self.slots.iter().map(|s| s.parameter.grad()).collect();
        self.step(&gradients, learning_rate, clip);
    }

    /// The same for a loss that depends on parameters of another optimiser too: no gradients but those
    /// of these parameters are computed.
    pub fn descend_alone(&mut self, loss: &Tensor, learning_rate: f64, clip: Option<f64>) {
        let learning = self.slots.iter().filter(|slot| !slot.frozen);
        let learning: Vec<&Tensor> = learning.map(|slot| &slot.parameter).collect();
        if learning.is_empty() {
            return;
        }
        let mut found = Tensor::run_backward(&[loss], &learning, false, false).into_iter();
        let slots = self.slots.iter();
        let gradients: Vec<Tensor> = slots
            .map(|slot| if slot.frozen { None } else { found.next() })
            .map(Option::unwrap_or_default)
            .collect();
        self.step(&gradients, learning_rate, clip);
    }

    /// One step down `gradients`, given in the name order of the parameters, the frozen ones among
    /// them.
    pub fn step(&mut self, gradients: &[Tensor], learning_rate: f64, clip: Option<f64>) {
        tch::no_grad(|| {
            self.steps += 1;
            let (config, steps) = (self.config, self.steps);
            let moves = self.slots.iter_mut().zip(gradients);
            let moves: Vec<_> = moves
                .filter(|(slot, gradient)| !slot.frozen && gradient.defined())
                .collect();
            let scale = clip.map_or(1.0, |limit| {
                clip_scale(moves.iter().map(|(_, gradient)| *gradient), limit)
            });
            for (slot, gradient) in moves {
                let factors = Factors::new(&config, slot.decayed, learning_rate, scale, steps);
                if slot.parameter.device() == Device::Cpu {
                    update_values(slot, gradient, &factors);
                } else {
                    update_tensors(slot, gradient, &factors);
                }
            }
        });
    }

    /// The moments and the step count, to be saved beside the parameters.
    pub fn state(&self, prefix: &str) -> Tensors {
        let mut state = Tensors::new();
        for slot in &self.slots {
            let moments = [("first", &slot.first), ("second", &slot.second)];
            for (part, moment) in moments.iter().filter(|(_, m)| m.numel() > 0) {
                let name = format!("{prefix}.{part}.{}", slot.name);
                state.insert(name, moment.shallow_clone());
            }
        }
        state.insert(format!("{prefix}.steps"), Tensor::from_slice(&[self.steps]));
        state
    }

    pub fn restore(&mut self, prefix: &str, state: &Tensors) -> Result<(), TensorMismatch> {
        for slot in &mut self.slots {
            for (part, moment) in [("first", &mut slot.first), ("second", &mut slot.second)] {
                if moment.numel() > 0 {
                    copy_named(state, &format!("{prefix}.{part}.{}", slot.name), moment)?;
                }
            }
        }
        let mut steps = Tensor::from_slice(&[0_i64]);
        copy_named(state, &format!("{prefix}.steps"), &mut steps)?;
        self.steps = steps.int64_value(&[0]);
        Ok(())
    }
}

/// PyTorch adds 1e-6 to the norm; the difference is lost in the rounding of the steps.
fn clip_scale<'a>(gradients: impl Iterator<Item = &'a Tensor>, limit: f64) -> f64 {
    let squares: f64 = gradients
        .map(|g| g.square().sum(Kind::Double).double_value(&[]))
        .sum();
    (limit / squares.sqrt().max(1e-12)).min(1.0)
}

/// One step's numbers, with Adam's bias corrections folded in.
struct Factors {
    rule: Rule,
    rate: f32,
    momentum: f32,
    decay: f32,
    scale: f32,
    /// Added to the gradient as `penalty * w`.
    penalty: f32,
    /// Multiplies the weight before the step (`adamw`).
    shrink: f32,
    correct_first: f32,
    correct_second: f32,
}

impl Factors {
    #[expect(clippy::cast_possible_truncation, reason = "the kernels work in f32")]
    fn new(c: &OptimizerConfig, decayed: bool, rate: f64, scale: f64, steps: i64) -> Self {
        let weight_decay = if decayed { c.weight_decay } else { 0.0 };
        let decoupled = c.rule == Rule::Adamw;
        let t = i32::try_from(steps).unwrap_or(i32::MAX);
        Self {
            rule: c.rule,
            rate: rate as f32,
            momentum: c.momentum as f32,
            decay: c.decay as f32,
            scale: scale as f32,
            penalty: if decoupled { 0.0 } else { weight_decay as f32 },
            shrink: if decoupled {
                (1.0 - rate * weight_decay) as f32
            } else {
                1.0
            },
            correct_first: (1.0 / (1.0 - c.momentum.powi(t))) as f32,
            correct_second: (1.0 / (1.0 - c.decay.powi(t))) as f32,
        }
    }
}

/// The CPU kernels: `w`, `m` and `v` are read and written once each.
fn update_values(slot: &mut Slot, gradient: &Tensor, f: &Factors) {
    let gradient = gradient.contiguous();
    let g = values(&gradient);
    let w = values_mut(&mut slot.parameter);
    let m = values_mut(&mut slot.first);
    let v = values_mut(&mut slot.second);
    let slope = |g: f32, w: f32| f.scale * g + f.penalty * w;
    match f.rule {
        Rule::Sgd => {
            for (w, &g) in w.iter_mut().zip(g) {
                *w -= f.rate * slope(g, *w);
            }
        }
        Rule::Momentum => {
            for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                *m = f.momentum * *m + slope(g, *w);
                *w -= f.rate * *m;
            }
        }
        Rule::Nesterov => {
            for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                let g = slope(g, *w);
                *m = f.momentum * *m + g;
                *w -= f.rate * (g + f.momentum * *m);
            }
        }
        Rule::Rmsprop => {
            for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                let g = slope(g, *w);
                *v = f.decay * *v + (1.0 - f.decay) * g * g;
                *w -= f.rate * g / (v.sqrt() + EPSILON);
            }
        }
        Rule::Adam | Rule::Adamw => {
            for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                let g = slope(g, *w);
                *m = f.momentum * *m + (1.0 - f.momentum) * g;
                *v = f.decay * *v + (1.0 - f.decay) * g * g;
                let denominator = (*v * f.correct_second).sqrt() + EPSILON;
                *w = f.shrink * *w - f.rate * f.correct_first * *m / denominator;
            }
        }
    }
}

/// The same rules as tensor operations, for an accelerator.
fn update_tensors(slot: &mut Slot, gradient: &Tensor, f: &Factors) {
    let (w, m, v) = (&mut slot.parameter, &mut slot.first, &mut slot.second);
    let g = gradient * f64::from(f.scale) + &*w * f64::from(f.penalty);
    let (momentum, decay) = (f64::from(f.momentum), f64::from(f.decay));
    let direction = match f.rule {
        Rule::Sgd => g,
        Rule::Momentum | Rule::Nesterov => {
            let _ = m.g_mul_scalar_(momentum).g_add_(&g);
            if f.rule == Rule::Nesterov {
                g + &*m * momentum
            } else {
                m.shallow_clone()
            }
        }
        Rule::Rmsprop => {
            let _ = v.g_mul_scalar_(decay).g_add_(&(g.square() * (1.0 - decay)));
            g / (v.sqrt() + f64::from(EPSILON))
        }
        Rule::Adam | Rule::Adamw => {
            let _ = m.g_mul_scalar_(momentum).g_add_(&(&g * (1.0 - momentum)));
            let _ = v.g_mul_scalar_(decay).g_add_(&(g.square() * (1.0 - decay)));
            let _ = w.g_mul_scalar_(f64::from(f.shrink));
            let denominator = (&*v * f64::from(f.correct_second)).sqrt() + f64::from(EPSILON);
            &*m * f64::from(f.correct_first) / denominator
        }
    };
    let _ = w.g_sub_(&(direction * f64::from(f.rate)));
}
