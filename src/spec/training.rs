//! The `training` object of a job as a client writes it: every field may be left out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::Rules;
use crate::machine::MachineInfo;
use crate::nn::optimizer::Rule;
use crate::train::settings::{
    EarlyStopping, Precision, Schedule, ScheduleKind, Training, TrainingDefaults,
};

/// A schedule by its name alone, or with its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected constant, linear, cosine, step, or an object {\"kind\", \"warmup\"}"
)]
pub enum ScheduleRequest {
    Named(ScheduleKind),
    Full(Schedule),
}

/// How to train. Fields left out take the family's defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingRequest {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub epochs: Option<u32>,
    #[schema(minimum = 1, maximum = 65_536)]
    pub batch_size: Option<u32>,
    pub optimizer: Option<Rule>,
    #[schema(exclusive_minimum = 0.0)]
    pub learning_rate: Option<f64>,
    /// Coefficient of the velocity, or of Adam's first moment.
    #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
    pub momentum: Option<f64>,
    pub schedule: Option<ScheduleRequest>,
    #[schema(minimum = 0.0)]
    pub weight_decay: Option<f64>,
    /// Greatest norm of the gradient.
    #[schema(exclusive_minimum = 0.0)]
    pub gradient_clip: Option<f64>,
    pub seed: Option<u64>,
    /// Share of the training rows held out for `validation/…` metrics. Default 0.
    #[schema(minimum = 0.0, maximum = 0.9)]
    pub validation_fraction: Option<f64>,
    pub early_stopping: Option<EarlyStopping>,
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub checkpoint_every_epochs: Option<u32>,
    /// Newest checkpoints kept, beside the best. Default 2.
    #[schema(minimum = 1, maximum = 1000)]
    pub keep_checkpoints: Option<u32>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: Option<String>,
    pub precision: Option<Precision>,
    /// CPU threads; all cores when left out.
    #[schema(minimum = 1, maximum = 256)]
    pub threads: Option<u32>,
    /// Learn from the first rows only.
    #[schema(minimum = 1, maximum = 4_294_967_295.0)]
    pub max_rows: Option<u64>,
}

impl TrainingRequest {
    /// Fills in the defaults and checks every rule that does not depend on the family, but for the ranges, which are
    /// the job's to check.
    pub fn resolve(
        &self,
        defaults: &TrainingDefaults,
        machine: &MachineInfo,
        rules: &mut Rules,
    ) -> Training {
        let training = self.filled(defaults, machine);
        rules.require(
            training.schedule.warmup <= f64::from(training.epochs),
            "/training/schedule/warmup",
            "must be between 0 and the number of epochs",
        );
        rules.require(
            training.early_stopping.is_none() || training.validation_fraction > 0.0,
            "/training/early_stopping",
            "needs a validation_fraction above 0 to watch",
        );
        check_device("/training/device", &training.device, machine, rules);
        rules.require(
            self.momentum.is_none() || !matches!(training.optimizer, Rule::Sgd | Rule::Rmsprop),
            "/training/momentum",
            "the optimizers sgd and rmsprop have no momentum; use momentum, nesterov, adam or adamw",
        );
        training
    }

    fn filled(&self, defaults: &TrainingDefaults, machine: &MachineInfo) -> Training {
        let usual = Training::of(defaults, machine.threads);
        Training {
            epochs: self.epochs.unwrap_or(usual.epochs),
            batch_size: self.batch_size.unwrap_or(usual.batch_size),
            optimizer: self.optimizer.unwrap_or(usual.optimizer),
            learning_rate: self.learning_rate.unwrap_or(usual.learning_rate),
            momentum: self.momentum.unwrap_or(usual.momentum),
            schedule: match self.schedule {
                None => usual.schedule,
                Some(ScheduleRequest::Named(kind)) => Schedule { kind, warmup: 0.0 },
                Some(ScheduleRequest::Full(schedule)) => schedule,
            },
            weight_decay: self.weight_decay.unwrap_or(usual.weight_decay),
            gradient_clip: self.gradient_clip,
            seed: self.seed.unwrap_or(usual.seed),
            validation_fraction: self
                .validation_fraction
                .unwrap_or(usual.validation_fraction),
            early_stopping: self.early_stopping.clone(),
            checkpoint_every_epochs: self
                .checkpoint_every_epochs
                .unwrap_or(usual.checkpoint_every_epochs),
            keep_checkpoints: self.keep_checkpoints.unwrap_or(usual.keep_checkpoints),
            device: self.device.clone().unwrap_or(usual.device),
            precision: self.precision.unwrap_or(usual.precision),
            threads: self.threads.unwrap_or(usual.threads),
            max_rows: self.max_rows,
        }
    }
}

pub(super) fn check_device(pointer: &str, device: &str, machine: &MachineInfo, rules: &mut Rules) {
    let index = match device {
        "auto" | "cpu" => return,
        "cuda" => Some(0),
        other => other
            .strip_prefix("cuda:")
            .and_then(|n| n.parse::<usize>().ok()),
    };
    match index {
        None => rules.require(
            false,
            pointer,
            format!("must be auto, cpu, cuda or cuda:N, got '{device}'"),
        ),
        Some(index) => rules.require(
            index < machine.cuda_devices,
            pointer,
            format!("this server has {} CUDA devices", machine.cuda_devices),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums split over other threads have other last bits: where a job runs must not decide.
    #[test]
    fn the_thread_count_is_fixed_when_the_job_is_posted() {
        let machine = MachineInfo {
            threads: 3,
            cuda_devices: 0,
        };
        let defaults = crate::families::FAMILIES[0].training_defaults;
        let threads = |threads: Option<u32>| {
            let request = TrainingRequest {
                threads,
                ..TrainingRequest::default()
            };
            request.filled(&defaults, &machine).threads
        };
        assert_eq!((threads(None), threads(Some(2))), (3, 2));
    }
}
