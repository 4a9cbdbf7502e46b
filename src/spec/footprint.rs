//! What a job will need of memory and disk, reckoned from its spec: never more than it takes, so that
//! what is refused could not have run.

use crate::document::FieldError;
use crate::machine::Capacity;
use crate::nn::optimizer::Rule;
use crate::train::settings::Training;

/// libtorch and the program itself, before any model.
const BASE_BYTES: u128 = 100 << 20;
/// Weights are f32.
const NUMBER: u128 = 4;
/// Of the machine's memory, what one job may plan with: the service and the system want the rest.
const SHARE: f64 = 0.95;

/// Bytes that training a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    pub memory: u128,
    pub disk: u128,
}

impl Footprint {
    /// `parameters` weights, and `working` numbers beside them while a step is taken.
    pub fn of(parameters: u128, working: u128, training: &Training) -> Self {
        let moments = match training.optimizer {
            Rule::Sgd => 0,
            Rule::Momentum | Rule::Nesterov | Rule::Rmsprop => 1,
            Rule::Adam | Rule::Adamw => 2,
        };
        let state = parameters.saturating_mul(NUMBER * (1 + moments));
        // Weights, moments and gradients, and a checkpoint as it is written.
        let held = state
            .saturating_mul(2)
            .saturating_add(parameters.saturating_mul(NUMBER));
        // One checkpoint more than is kept, until the oldest goes; and the model.
        let kept = u128::from(training.keep_checkpoints.max(1)) + 1;
        Self {
            memory: BASE_BYTES
                .saturating_add(held)
                .saturating_add(working.saturating_mul(NUMBER)),
            disk: state
                .saturating_mul(kept)
                .saturating_add(parameters.saturating_mul(NUMBER)),
        }
    }

    /// What does not fit, with figures.
    pub fn check(&self, capacity: Capacity, on_cpu: bool) -> Vec<FieldError> {
        let mut errors = Vec::new();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bytes of a machine"
        )]
        let usable = capacity.memory.map(|bytes| (bytes as f64 * SHARE) as u64);
        if let Some(memory) = usable.filter(|&have| on_cpu && self.memory > u128::from(have)) {
            let detail = format!(
                "would take at least {} of memory to train with this batch_size and optimizer; {} can be used here",
                show(self.memory),
                show(memory.into())
            );
            errors.push(FieldError::new("/model", detail));
        }
        if let Some(disk) = capacity.disk.filter(|&have| self.disk > u128::from(have)) {
            let detail = format!(
                "would take at least {} of disk for checkpoints and the model; {} are free in the data directory",
                show(self.disk),
                show(disk.into())
            );
            errors.push(FieldError::new("/training/keep_checkpoints", detail));
        }
        errors
    }
}

/// A number of bytes for people.
fn show(bytes: u128) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 {
        format!("{mib:.0} MiB")
    } else {
        format!("{:.1} GiB", mib / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Family;

    fn training(optimizer: Rule) -> Training {
        let defaults = Family::find("mlp").expect("a family").training_defaults;
        let mut rules = crate::document::Rules::default();
        let machine = crate::machine::MachineInfo {
            threads: 1,
            cuda_devices: 0,
        };
        let request = crate::spec::training::TrainingRequest::default();
        let mut training = request.resolve(&defaults, &machine, &mut rules);
        training.optimizer = optimizer;
        training.keep_checkpoints = 2;
        training
    }

    #[test]
    fn adam_keeps_two_moments_and_sgd_none() {
        let (million, mib) = (1_u128 << 20, 1_u128 << 20);
        let sgd = Footprint::of(million, 0, &training(Rule::Sgd));
        assert_eq!(sgd.memory - BASE_BYTES, 12 * mib);
        assert_eq!(sgd.disk, 16 * mib);
        let adam = Footprint::of(million, million, &training(Rule::Adam));
        assert_eq!(adam.memory - BASE_BYTES, 32 * mib);
        assert_eq!(adam.disk, 40 * mib);
    }

    #[test]
    fn what_does_not_fit_is_said_with_figures_and_what_fits_passes() {
        let footprint = Footprint {
            memory: 3 << 30,
            disk: 200 << 20,
        };
        let capacity = |memory, disk| Capacity {
            memory: Some(memory),
            disk: Some(disk),
        };
        assert!(footprint.check(capacity(4 << 30, 1 << 30), true).is_empty());
        let errors = footprint.check(capacity(2 << 30, 100 << 20), true);
        let said: Vec<&str> = errors.iter().map(|e| e.detail.as_str()).collect();
        assert!(
            said[0].contains("3.0 GiB") && said[0].contains("1.9 GiB"),
            "{said:?}"
        );
        assert!(
            said[1].contains("200 MiB") && said[1].contains("100 MiB"),
            "{said:?}"
        );
        // A GPU's memory is its own.
        assert_eq!(footprint.check(capacity(2 << 30, 1 << 30), false), []);
        let unknown = Capacity {
            memory: None,
            disk: None,
        };
        assert_eq!(footprint.check(unknown, true), []);
        assert_eq!(
            Footprint::of(u128::MAX, u128::MAX, &training(Rule::Adam)).memory,
            u128::MAX
        );
    }
}
