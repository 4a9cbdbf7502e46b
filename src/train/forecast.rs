//! How long a run will take yet, from the step times seen, where phases cost differently.
//!
//! A phase that has begun is reckoned by the pace of its own steps. One that has not is reckoned by what a
//! trial of a few of its steps took, times how much slower than their trials the steps seen so far were.
//! What comes between epochs (validation, checkpoints, pictures) is reckoned apart, by the epoch: where
//! steps are quick it outweighs them, and would make dear phases look dearer still.

/// One phase as planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPhase {
    pub epochs: u64,
    pub steps: u64,
    /// Seconds of a step in a trial, or 1 where there is but one phase: only their ratios count.
    pub step_cost: f64,
}

/// So many of something in this process, and the seconds they took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    count: u64,
    seconds: f64,
}

impl Seen {
    fn pace(self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / self.count as f64)
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
        let (phase, _) = self.place(to.saturating_sub(1));
        if let Some(seen) = self.seen.get_mut(phase) {
            seen.count += to.saturating_sub(from);
            seen.seconds += seconds;
        }
    }

    /// An epoch was closed, which took `seconds` so far.
    pub fn record_close(&mut self, seconds: f64) {
        self.closed.count += 1;
        self.closed.seconds += seconds;
    }

    /// `seconds` passed from the closing of an epoch to the end of step `step`, the first of the next.
    pub fn record_first_step(&mut self, step: u64, seconds: f64) {
        let (phase, _) = self.place(step.saturating_sub(1));
        let usual = self.seen.get(phase).and_then(|seen| seen.pace());
        self.closed.seconds += (seconds - usual.unwrap_or(0.0)).max(0.0);
    }

    /// Share of the work that is done after `step` steps, by what the phases cost.
    pub fn fraction(&self, step: u64) -> f64 {
        let total: f64 = self.phases.iter().map(cost).sum();
        if total <= 0.0 {
            return 0.0;
        }
        let (current, done) = self.place(step);
        let before: f64 = self.phases[..current].iter().map(cost).sum();
        let phase = &self.phases[current];
        let within = done.min(phase.steps) as f64 * phase.step_cost;
        ((before + within) / total).min(1.0)
    }

    /// Seconds that the steps after `step` will take; `None` before any were seen.
    pub fn seconds_left(&self, step: u64) -> Option<f64> {
        let seen = || self.phases.iter().zip(&self.seen);
        let spent: f64 = seen().map(|(_, seen)| seen.seconds).sum();
        let reckoned: f64 = seen()
            .map(|(phase, seen)| seen.count as f64 * phase.step_cost)
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
            let per_epoch = phase.steps.checked_div(phase.epochs).unwrap_or(0).max(1);
            let pace = seen.pace().unwrap_or(phase.step_cost * slowness);
            steps as f64 * pace + steps.div_ceil(per_epoch) as f64 * close
        });
        Some(left.sum())
    }
}

fn cost(phase: &PlannedPhase) -> f64 {
    phase.steps as f64 * phase.step_cost
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
    fn nothing_planned_is_nothing_left() {
        let forecast = planned(&[]);
        assert_eq!(forecast.seconds_left(3), None);
        assert!(forecast.fraction(3).abs() < 1e-12);
    }
}
