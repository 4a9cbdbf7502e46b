//! How a model is trained, whatever its family: the `training` object of a job, defaults filled in.

use serde::{Deserialize, Serialize};
use tch::Kind;
use utoipa::ToSchema;

use crate::nn::optimizer::{OptimizerConfig, Rule};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    Constant,
    /// Falls in a straight line to zero.
    Linear,
    /// Falls to zero along half a cosine (Loshchilov and Hutter, 2017).
    Cosine,
    /// Times 0.1 after each third of the run.
    Step,
}

/// The course of the learning rate over the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub kind: ScheduleKind,
    /// Epochs over which the rate first climbs from zero.
    #[serde(default)]
    #[schema(minimum = 0.0)]
    pub warmup: f64,
}

impl Schedule {
    pub const CONSTANT: Self = Self {
        kind: ScheduleKind::Constant,
        warmup: 0.0,
    };

    /// Factor on the learning rate at a time given in epochs, of `epochs` in all.
    pub fn factor(&self, at: f64, epochs: f64) -> f64 {
        if at < self.warmup {
            return at / self.warmup;
        }
        let gone = ((at - self.warmup) / (epochs - self.warmup).max(1e-9)).clamp(0.0, 1.0);
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => 1.0 - gone,
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * gone).cos()),
            ScheduleKind::Step => 0.1_f64.powf((gone * 3.0).floor().min(2.0)),
        }
    }
}

/// Ends a run when a validation metric has stopped falling; the best weights seen are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// A metric of the validation split, for example `reconstruction_mse`; lower is better.
    pub metric: String,
    /// Epochs without a better value that are waited for.
    #[schema(minimum = 1)]
    pub patience: u32,
    /// A value must be lower by more than this to count as better.
    #[serde(default)]
    #[schema(minimum = 0.0)]
    pub min_delta: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    Auto,
    Fp32,
    Bf16,
}

/// Complete training settings: every default has been filled in from the family's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Training {
    pub epochs: u32,
    pub batch_size: u32,
    pub optimizer: Rule,
    pub learning_rate: f64,
    pub momentum: f64,
    pub schedule: Schedule,
    pub weight_decay: f64,
    pub gradient_clip: Option<f64>,
    pub seed: u64,
    pub validation_fraction: f64,
    pub early_stopping: Option<EarlyStopping>,
    pub checkpoint_every_epochs: u32,
    pub keep_checkpoints: u32,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    pub precision: Precision,
    /// CPU threads; part of the job, since sums in another order would give other last bits.
    pub threads: u32,
    pub max_rows: Option<u64>,
}

/// What a family trains with when a job does not say.
#[derive(Debug, Clone, Copy)]
pub struct TrainingDefaults {
    pub epochs: u32,
    pub batch_size: u32,
    pub optimizer: Rule,
    pub learning_rate: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub schedule: Schedule,
}

impl TrainingDefaults {
    /// Adam, its rate falling to zero along half a cosine.
    pub const ADAM: Self = Self {
        epochs: 20,
        batch_size: 128,
        optimizer: Rule::Adam,
        learning_rate: 1e-3,
        momentum: 0.9,
        weight_decay: 0.0,
        schedule: Schedule {
            kind: ScheduleKind::Cosine,
            warmup: 0.0,
        },
    };
}

impl Training {
    /// What a job trains with when it says nothing but how many threads.
    pub fn of(defaults: &TrainingDefaults, threads: u32) -> Self {
        Self {
            epochs: defaults.epochs,
            batch_size: defaults.batch_size,
            optimizer: defaults.optimizer,
            learning_rate: defaults.learning_rate,
            momentum: defaults.momentum,
            schedule: defaults.schedule,
            weight_decay: defaults.weight_decay,
            gradient_clip: None,
            seed: 0,
            validation_fraction: 0.0,
            early_stopping: None,
            checkpoint_every_epochs: 1,
            keep_checkpoints: 2,
            device: "auto".to_owned(),
            precision: Precision::Auto,
            threads,
            max_rows: None,
        }
    }

    /// The kind that products are computed in; sums and weights stay in f32.
    pub fn compute_kind(&self) -> Kind {
        match self.precision {
            Precision::Bf16 => Kind::BFloat16,
            Precision::Auto | Precision::Fp32 => Kind::Float,
        }
    }

    pub fn optimizer_config(&self) -> OptimizerConfig {
        OptimizerConfig {
            rule: self.optimizer,
            momentum: self.momentum,
            decay: if self.optimizer == Rule::Rmsprop {
                0.9
            } else {
                0.999
            },
            weight_decay: self.weight_decay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_at_one_and_end_where_they_say() {
        for (kind, end) in [
            (ScheduleKind::Constant, 1.0),
            (ScheduleKind::Linear, 0.0),
            (ScheduleKind::Cosine, 0.0),
            (ScheduleKind::Step, 0.01),
        ] {
            let schedule = Schedule { kind, warmup: 0.0 };
            assert!((schedule.factor(0.0, 10.0) - 1.0).abs() < 1e-12);
            assert!(
                (schedule.factor(10.0, 10.0) - end).abs() < 1e-12,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn schedules_are_those_of_pytorch() {
        use crate::nn::golden::{list, number, read};
        let golden = &read(include_str!("../../tests/golden/optimizers.json"))["schedules"];
        for kind in ["constant", "linear", "cosine", "step"] {
            let schedule = Schedule {
                kind: serde_json::from_value(kind.into()).expect("a kind"),
                warmup: 0.0,
            };
            for (epoch, expected) in list(&golden[kind]).iter().enumerate() {
                let found = schedule.factor(epoch as f64, number(&golden["epochs"]));
                let expected = number(expected);
                assert!(
                    (found - expected).abs() < 1e-7,
                    "{kind} at {epoch}: {found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn warmup_climbs_in_a_straight_line_to_the_full_rate() {
        let schedule = Schedule {
            kind: ScheduleKind::Linear,
            warmup: 2.0,
        };
        assert!((schedule.factor(1.0, 10.0) - 0.5).abs() < 1e-12);
        assert!((schedule.factor(2.0, 10.0) - 1.0).abs() < 1e-12);
        assert!((schedule.factor(6.0, 10.0) - 0.5).abs() < 1e-12);
    }
}
