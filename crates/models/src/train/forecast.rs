//! How long a run will take yet, from the step times seen, where phases cost differently.
//!
//! A phase that has begun is reckoned by the pace of its own steps. One that has not is reckoned by what a
//! trial of a few of its steps took, times how much slower than their trials the steps seen so far were.
//! What comes between epochs (validation, checkpoints, pictures) is reckoned apart, by the epoch: where
//! steps are quick it outweighs them, and would make dear phases look dearer still.

use super::learner::Phase;

/// One phase as planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPhase {
    pub epochs: u64,
    pub steps: u64,
    /// Seconds of a step in a trial, or 1 where there is but one phase: only their ratios count.
    pub step_cost: f64,
    /// Cost of the last step as a multiple of the first, which is `step_cost`; even growth in between.
    pub last_step_cost: f64,
}

impl PlannedPhase {
    pub fn of(phase: &Phase, steps_per_epoch: u64, step_cost: f64) -> Self {
        let epochs = u64::from(phase.epochs);
        Self {
            epochs,
            steps: epochs * steps_per_epoch,
            step_cost,
            last_step_cost: phase.last_step_cost,
        }
    }

    /// What the first `steps` steps cost together, in units of the first one: `s + (l - 1) s² / 2n`.
    fn units(&self, steps: u64) -> f64 {
        let (steps, all) = (steps.min(self.steps) as f64, self.steps.max(1) as f64);
        steps + (self.last_step_cost - 1.0) * steps * steps / (2.0 * all)
    }

    /// The same of steps `from..to`.
    fn units_between(&self, from: u64, to: u64) -> f64 {
        self.units(to) - self.units(from)
    }

    fn cost(&self) -> f64 {
        self.units(self.steps) * self.step_cost
    }
}

/// So much of something in this process, and the seconds it took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    /// Units of a phase's first step, or epochs.
    count: f64,
    seconds: f64,
}

impl Seen {
    fn pace(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.seconds / self.count)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    phases: Vec<PlannedPhase>,
    seen: Vec<Seen>,
    /// Epochs that were closed, and the seconds between their last steps and the next.
    closed: Seen,
}

impl Forecast {
    pub fn new(phases: Vec<PlannedPhase>) -> Self {
        let seen = vec![Seen::default(); phases.len()];
        Self {
            phases,
            seen,
            closed: Seen::default(),
        }
    }

    /// The phase that step `step` of the run, from 0, is in, and its place there.
    fn place(&self, step: u64) -> (usize, u64) {
        let mut before = 0;
        for (i, phase) in self.phases.iter().enumerate() {
            if step < before + phase.steps {
                return (i, step - before);
            }
            before += phase.steps;
        }
        (self.phases.len().saturating_sub(1), u64::MAX)
    }

    /// The run came from step `from` to step `to` in `seconds`.
    pub fn record_steps(&mut self, from: u64, to: u64, seconds: f64) {
        let (phase, last) = self.place(to.saturating_sub(1));
        if let (Some(planned), Some(seen)) = (self.phases.get(phase), self.seen.get_mut(phase)) {
            let done = last.saturating_add(1);
            let first = done.saturating_sub(to.saturating_sub(from));
            seen.count += planned.units_between(first, done);
            seen.seconds += seconds;
        }
    }

    /// An epoch was closed, which took `seconds` so far.
    pub fn record_close(&mut self, seconds: f64) {
        self.closed.count += 1.0;
        self.closed.seconds += seconds;
    }

    /// `seconds` passed from the closing of an epoch to the end of step `step`, the first of the next.
    pub fn record_first_step(&mut self, step: u64, seconds: f64) {
        let (phase, last) = self.place(step.saturating_sub(1));
        let usual = self.phases.get(phase).zip(self.seen.get(phase));
        let usual = usual.and_then(|(planned, seen)| {
            let units = planned.units_between(last, last.saturating_add(1));
            Some(seen.pace()? * units)
        });
        self.closed.seconds += (seconds - usual.unwrap_or(0.0)).max(0.0);
    }

    /// Share of the work that is done after `step` steps, by what the phases cost.
    pub fn fraction(&self, step: u64) -> f64 {
        let total: f64 = self.phases.iter().map(PlannedPhase::cost).sum();
        if total <= 0.0 {
            return 0.0;
        }
        let (current, done) = self.place(step);
        let before: f64 = self.phases[..current].iter().map(PlannedPhase::cost).sum();
        let phase = &self.phases[current];
        let within = phase.units(done) * phase.step_cost;
        ((before + within) / total).min(1.0)
    }

    /// Seconds that the steps after `step` will take; `None` before any were seen.
    pub fn seconds_left(&self, step: u64) -> Option<f64> {
        let seen = || self.phases.iter().zip(&self.seen);
        let spent: f64 = seen().map(|(_, seen)| seen.seconds).sum();
        let reckoned: f64 = seen()
            .map(|(phase, seen)| seen.count * phase.step_cost)
            .sum();
        if reckoned <= 0.0 {
            return None;
        }
        let slowness = spent / reckoned;
        let close = self.closed.pace().unwrap_or(0.0);
        let (current, done) = self.place(step);
        let left = seen().enumerate().skip(current).map(|(i, (phase, seen))| {
            let done = if i == current { done } else { 0 };
            let steps = phase.steps.saturating_sub(done);
            let units = phase.units_between(done, phase.steps);
            let per_epoch = phase.steps.checked_div(phase.epochs).unwrap_or(0).max(1);
            let pace = seen.pace().unwrap_or(phase.step_cost * slowness);
            units * pace + steps.div_ceil(per_epoch) as f64 * close
        });
        Some(left.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phases of ten steps an epoch.
    fn planned(phases: &[(u64, f64)]) -> Forecast {
        let planned = |&(epochs, step_cost)| PlannedPhase {
            epochs,
            steps: 10 * epochs,
            step_cost,
            last_step_cost: 1.0,
        };
        Forecast::new(phases.iter().map(planned).collect())
    }

    fn steps(forecast: &mut Forecast, range: std::ops::Range<u64>, seconds: f64) {
        for step in range {
            forecast.record_steps(step, step + 1, seconds);
        }
    }

    fn near(found: Option<f64>, expected: f64) {
        let found = found.expect("steps were seen");
        assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
    }

    #[test]
    fn one_phase_goes_on_at_the_pace_seen() {
        let mut forecast = planned(&[(10, 1.0)]);
        assert_eq!(forecast.seconds_left(0), None);
        steps(&mut forecast, 0..10, 0.5);
        near(forecast.seconds_left(10), 45.0);
        assert!((forecast.fraction(25) - 0.25).abs() < 1e-12);
        near(forecast.seconds_left(100), 0.0);
        assert!((forecast.fraction(100) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn phases_to_come_are_reckoned_by_their_trials_and_the_slowness_seen() {
        // Trials said 1, 3 and 10 ms; the machine turns out twice as slow.
        let mut forecast = planned(&[(10, 0.001), (10, 0.003), (5, 0.010)]);
        steps(&mut forecast, 0..50, 0.002);
        near(
            forecast.seconds_left(50),
            50.0 * 0.002 + 100.0 * 0.006 + 50.0 * 0.020,
        );
        assert!((forecast.fraction(100) - 0.1 / 0.9).abs() < 1e-9);
        // Once a phase has begun its own pace counts, whatever the trial said.
        steps(&mut forecast, 50..100, 0.002);
        steps(&mut forecast, 100..150, 0.010);
        let slowness = 0.7 / (100.0 * 0.001 + 50.0 * 0.003);
        near(
            forecast.seconds_left(150),
            50.0 * 0.01 + 50.0 * 0.010 * slowness,
        );
    }

    #[test]
    fn what_comes_between_epochs_is_the_same_in_cheap_and_in_dear_phases() {
        let mut forecast = planned(&[(10, 0.001), (10, 0.010)]);
        steps(&mut forecast, 0..10, 0.001);
        forecast.record_close(0.020);
        // A checkpoint of 30 ms, and a step that is of no other length than the rest.
        forecast.record_first_step(11, 0.031);
        near(
            forecast.seconds_left(10),
            90.0 * 0.001 + 9.0 * 0.050 + 100.0 * 0.010 + 10.0 * 0.050,
        );
    }

    #[test]
    fn a_run_taken_up_in_the_middle_is_reckoned_from_there() {
        let mut forecast = planned(&[(10, 0.001), (10, 0.003)]);
        steps(&mut forecast, 140..150, 0.003);
        near(forecast.seconds_left(150), 0.15);
        assert!((forecast.fraction(150) - 0.25 / 0.4).abs() < 1e-9);
    }

    #[test]
    fn steps_that_grow_dearer_are_reckoned_with() {
        let mut forecast = planned(&[(10, 1.0)]);
        forecast.phases[0].last_step_cost = 5.0;
        // Step s takes 1 + 4 s / 100 ms: 50 of the first half take 100 ms, those of the second 200.
        forecast.record_steps(0, 25, 0.0375);
        forecast.record_steps(25, 50, 0.0625);
        near(forecast.seconds_left(50), 0.200);
        assert!((forecast.fraction(50) - 1.0 / 3.0).abs() < 1e-12);
        near(forecast.seconds_left(100), 0.0);
    }

    #[test]
    fn nothing_planned_is_nothing_left() {
        let forecast = planned(&[]);
        assert_eq!(forecast.seconds_left(3), None);
        assert!(forecast.fraction(3).abs() < 1e-12);
    }
}
