//! What a step of each phase costs, by trying: for runs whose phases are to be reckoned with before they
//! begin.

use std::io;
use std::time::Instant;

use tch::Device;

use super::epoch_loop::stream;
use super::learner::{Learner, StepContext};
use super::settings::Training;
use crate::data::split::Split;
use crate::nn::rng::Rng;

/// Steps that are not timed: the first touch memory for the first time.
const WARM_UP: u64 = 3;
/// Steps that are timed: so many, or as many as fit in the time, but some.
const MOST_TIMED: usize = 25;
const LEAST_TIMED: usize = 3;
const ENOUGH_SECONDS: f64 = 0.2;
/// Batches that a learner may look at beforehand.
const LOOKED_AT: usize = 2;

/// Seconds of a step in each phase, the median of a few. The learner is of no use afterwards.
pub fn step_costs(
    learner: &mut dyn Learner,
    train: &Split,
    training: &Training,
    device: Device,
) -> io::Result<Vec<f64>> {
    let size = training.batch_size.min(train.len());
    let rows: Vec<u32> = (0..size).collect();
    let batch = train.batch(&rows, device)?;
    let mut beforehand = std::iter::repeat_with(|| train.batch(&rows, device)).take(LOOKED_AT);
    tch::no_grad(|| learner.prepare(&mut beforehand))?;
    let mut costs = Vec::new();
    for (i, phase) in learner.phases().iter().enumerate() {
        learner.enter(i);
        let mut step = |number: u64| {
            let place = [stream::STEP, i as u64, 0, number];
            let mut context = StepContext {
                rng: Rng::at(training.seed, &place),
                learning_rate: phase.learning_rate.unwrap_or(training.learning_rate),
                epoch: 0,
                step: number,
                time: 0.0,
            };
            let began = Instant::now();
            learner.step(&batch, &mut context);
            began.elapsed().as_secs_f64()
        };
        (0..WARM_UP).for_each(|number| {
            step(number);
        });
        let mut times = Vec::new();
        while times.len() < LEAST_TIMED
            || times.len() < MOST_TIMED && times.iter().sum::<f64>() < ENOUGH_SECONDS
        {
            times.push(step(WARM_UP + times.len() as u64));
        }
        times.sort_by(f64::total_cmp);
        costs.push(times[times.len() / 2]);
    }
    Ok(costs)
}
