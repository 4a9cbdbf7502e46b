//! How long a run will take yet, from the step times seen, where phases cost differently.
//!
//! A phase that has begun is reckoned by its own pace. One that has not is reckoned by what a trial of a
//! few of its steps took, times how much slower than their trials the phases seen so far have been: that
//! covers validation, checkpoints, and whatever else the machine does meanwhile.

/// One phase as planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPhase {
    pub steps: u64,
    /// Seconds of a step in a trial, or 1 where there is but one phase: only their ratios count.
    pub step_cost: f64,
}

/// Steps and seconds of one phase in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    steps: u64,
    seconds: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    phases: Vec<PlannedPhase>,
    seen: Vec<Seen>,
}

impl Forecast {
    pub fn new(phases: Vec<PlannedPhase>) -> Self {
        let seen = vec![Seen::default(); phases.len()];
        Self { phases, seen }
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

    /// `seconds` passed in which the run came from step `from` to step `to`, at least one further.
    pub fn record(&mut self, from: u64, to: u64, seconds: f64) {
        let (phase, _) = self.place(to.saturating_sub(1));
        if let Some(seen) = self.seen.get_mut(phase) {
            seen.steps += to - from;
            seen.seconds += seconds;
        }
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
            .map(|(phase, seen)| seen.steps as f64 * phase.step_cost)
            .sum();
        if reckoned <= 0.0 {
            return None;
        }
        let slowness = spent / reckoned;
        let (current, done) = self.place(step);
        let left = seen().enumerate().skip(current).map(|(i, (phase, seen))| {
            let steps = if i == current {
                phase.steps.saturating_sub(done)
            } else {
                phase.steps
            };
            let pace = if seen.steps > 0 {
                seen.seconds / seen.steps as f64
            } else {
                phase.step_cost * slowness
            };
            steps as f64 * pace
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

    fn planned(phases: &[(u64, f64)]) -> Forecast {
        let planned = |&(steps, step_cost)| PlannedPhase { steps, step_cost };
        Forecast::new(phases.iter().map(planned).collect())
    }

    #[test]
    fn one_phase_goes_on_at_the_pace_seen() {
        let mut forecast = planned(&[(100, 1.0)]);
        assert_eq!(forecast.seconds_left(0), None);
        forecast.record(0, 10, 5.0);
        assert_eq!(forecast.seconds_left(10), Some(45.0));
        assert!((forecast.fraction(25) - 0.25).abs() < 1e-12);
        assert_eq!(forecast.seconds_left(100), Some(0.0));
        assert!((forecast.fraction(100) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn phases_to_come_are_reckoned_by_their_trials_and_the_slowness_seen() {
        // Trials said 1, 3 and 10 ms; the machine turns out twice as slow.
        let mut forecast = planned(&[(100, 0.001), (100, 0.003), (50, 0.010)]);
        forecast.record(0, 50, 0.1);
        let expected = 50.0 * 0.002 + 100.0 * 0.006 + 50.0 * 0.020;
        let left = forecast.seconds_left(50).expect("steps were seen");
        assert!((left - expected).abs() < 1e-9, "{left}");
        assert!((forecast.fraction(100) - 0.1 / 0.9).abs() < 1e-9);
        // Once a phase has begun its own pace counts, whatever the trial said.
        forecast.record(50, 100, 0.1);
        forecast.record(100, 150, 0.5);
        let slowness = 0.7 / (100.0 * 0.001 + 50.0 * 0.003);
        let expected = 50.0 * 0.01 + 50.0 * 0.010 * slowness;
        let left = forecast.seconds_left(150).expect("steps were seen");
        assert!((left - expected).abs() < 1e-9, "{left} and {expected}");
    }

    #[test]
    fn a_run_taken_up_in_the_middle_is_reckoned_from_there() {
        let mut forecast = planned(&[(100, 0.001), (100, 0.003)]);
        forecast.record(140, 150, 0.03);
        let left = forecast.seconds_left(150).expect("steps were seen");
        assert!((left - 0.15).abs() < 1e-9, "{left}");
        assert!((forecast.fraction(150) - 0.25 / 0.4).abs() < 1e-9);
    }

    #[test]
    fn nothing_planned_is_nothing_left() {
        let forecast = planned(&[]);
        assert_eq!(forecast.seconds_left(3), None);
        assert!(forecast.fraction(3).abs() < 1e-12);
    }
}
