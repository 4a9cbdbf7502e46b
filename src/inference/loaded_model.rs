//! A model in memory, with an estimate of how long its calls take.

#![expect(
    unsafe_code,
    reason = "models are shared between two threads; see SAFETY"
)]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::verbs::Model;
use crate::verbs::call::{Call, CallError, Reply};

pub(super) struct LoadedModel {
    pub model: Box<dyn Model>,
    /// Of its weights, packed copies included.
    pub bytes: usize,
    parameters: usize,
    /// Seconds per row and step, as last measured.
    costs: Mutex<HashMap<Kind, f64>>,
}

// SAFETY: nobody writes to a loaded model. Its verbs take it by `&self`, which `Model` allows to read
// alone: no family has cells in its model, and normalisations write their moments in training only. libtorch reads
// one tensor from several threads at once; a `Tensor` is not `Sync` because it can be written to through a shared
// reference.
unsafe impl Sync for LoadedModel {}

/// Calls with the same cost per row and step: one verb, about as many rows. Many rows at once cost less each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    verb: &'static str,
    /// Logarithm of the rows, to base 2.
    magnitude: u32,
}

/// A call that takes longer belongs in the slow lane.
const SLOW: Duration = Duration::from_millis(20);
/// Of one thread, about: the estimate before the first measurement.
const MULTIPLICATIONS_A_SECOND: f64 = 1e10;

impl LoadedModel {
    /// `bytes` of weights, `packed` of their packed copies.
    pub fn new(model: Box<dyn Model>, bytes: usize, packed: usize) -> Self {
        Self {
            model,
            bytes: bytes + packed,
            parameters: bytes / size_of::<f32>(),
            costs: Mutex::default(),
        }
    }

    /// Multiplications per row, about.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Whether the call alone would keep others waiting, judged by the last one of its kind. A wrong estimate is
    /// corrected by what the call took.
    pub fn is_slow(&self, call: &Call) -> bool {
        let each = self.costs().get(&kind(call)).copied();
        each.unwrap_or_else(|| self.guess()) * self.work(call) > SLOW.as_secs_f64()
    }

    fn costs(&self) -> MutexGuard<'_, HashMap<Kind, f64>> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds per row and step before the first measurement.
    fn guess(&self) -> f64 {
        self.parameters as f64 / MULTIPLICATIONS_A_SECOND
    }

    /// Learns from a batch and what it took.
    pub fn learn(&self, calls: &[&Call], replies: &[Result<Reply, CallError>], took: Duration) {
        match (calls, replies) {
            ([call], [Ok(_)]) => self.learn_one(call, took),
            ([call], [Err(CallError::Late)]) => self.learn_at_least(call, took),
            ([_, _, ..], replies) if replies.iter().all(Result::is_ok) => {
                self.learn_together(calls, took);
            }
            // A refusal says nothing about what the call would have taken.
            _ => {}
        }
    }

    fn learn_one(&self, call: &Call, took: Duration) {
        let each = took.as_secs_f64() / self.work(call);
        self.costs().insert(kind(call), each);
    }

    /// A call that was cancelled after this time would have taken longer.
    fn learn_at_least(&self, call: &Call, took: Duration) {
        let each = took.as_secs_f64() / self.work(call);
        let mut costs = self.costs();
        let known = costs.entry(kind(call)).or_insert_with(|| self.guess());
        *known = known.max(each);
    }

    /// Calls computed as one say little about each, but none is slow if all together were not.
    fn learn_together(&self, calls: &[&Call], took: Duration) {
        if took < SLOW {
            let mut costs = self.costs();
            for call in calls {
                let most = took.as_secs_f64() / self.work(call);
                costs
                    .entry(kind(call))
                    .and_modify(|each| *each = each.min(most));
            }
        }
    }

    /// Rows times passes through the model.
    fn work(&self, call: &Call) -> f64 {
        let steps = call.options().steps(self.model.as_ref());
        call.rows().max(1) as f64 * (f64::from(steps) + 1.0)
    }
}

fn kind(call: &Call) -> Kind {
    Kind {
        verb: call.verb(),
        magnitude: call.rows().max(1).ilog2(),
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;
    use crate::nn::Tensors;
    use crate::nn::rng::Rng;
    use crate::verbs::generate::Drawing;
    use crate::verbs::{EncodeOptions, GenerateOptions, Input, InterpolateOptions, Sampler};

    /// A model of long chains that is never called.
    struct Silent;

    impl Model for Silent {
        fn tensors(&self) -> Tensors {
            Tensors::new()
        }
        fn code_shape(&self) -> Option<Vec<i64>> {
            None
        }
        fn sampler(&self) -> Option<&dyn Sampler> {
            Some(self)
        }
    }

    impl Sampler for Silent {
        fn usual_steps(&self) -> u32 {
            1000
        }
        fn generate(
            &self,
            _n: i64,
            _labels: Option<&Tensor>,
            _how: Drawing,
            _rng: &mut Rng,
        ) -> Tensor {
            Tensor::new()
        }
    }

    fn loaded() -> LoadedModel {
        LoadedModel::new(Box::new(Silent), 500_000 * size_of::<f32>(), 0)
    }

    fn encode(rows: usize) -> Call {
        Call::of(
            EncodeOptions::default(),
            Input {
                rows,
                ..Input::default()
            },
        )
    }

    fn generate(n: i64, gibbs_steps: Option<u32>) -> Call {
        Call::of(
            GenerateOptions {
                n: Some(n),
                gibbs_steps,
                ..GenerateOptions::default()
            },
            Input::default(),
        )
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_was_not_measured_is_judged_by_the_weights_and_the_steps() {
        let model = loaded();
        assert!(!model.is_slow(&encode(256)));
        assert!(model.is_slow(&encode(4096)));
        assert!(!model.is_slow(&generate(1, Some(99))));
        assert!(model.is_slow(&generate(1, None)), "its own thousand steps");
        assert!(model.is_slow(&generate(i64::MAX, Some(0))));
        assert!(!model.is_slow(&generate(-1, Some(0))));
        let along = Call::of(InterpolateOptions::default(), Input::default());
        assert!(!model.is_slow(&along));
    }

    #[test]
    fn a_wrong_guess_is_set_right_for_calls_of_that_size() {
        let model = loaded();
        // A conv net: each row costs far more than its weights tell.
        model.learn_one(&encode(256), 500 * MS);
        assert!(model.is_slow(&encode(300)));
        assert!(!model.is_slow(&encode(1)));
        model.learn_one(&encode(300), 4 * MS);
        assert!(!model.is_slow(&encode(256)));
        // One scheduled badly among many that are not, and one that nobody waited for to the end.
        model.learn_one(&encode(1), 30 * MS);
        assert!(model.is_slow(&encode(1)));
        model.learn_together(&[&encode(1), &encode(1)], 3 * MS);
        assert!(!model.is_slow(&encode(1)));
        assert!(!model.is_slow(&generate(1, Some(9))));
        model.learn_at_least(&generate(1, Some(9)), 25 * MS);
        assert!(model.is_slow(&generate(1, Some(9))));
        model.learn_at_least(&generate(1, Some(9)), MS);
        assert!(model.is_slow(&generate(1, Some(9))));
        // One that was cancelled at once is no faster than it looked.
        assert!(model.is_slow(&generate(1024, Some(99))));
        model.learn_at_least(&generate(1024, Some(99)), MS);
        assert!(model.is_slow(&generate(1024, Some(99))));
        // A row alone costs nearly as much a step as many do.
        model.learn_one(&generate(256, Some(99_999)), 600_000 * MS);
        model.learn_one(&generate(1, Some(99_999)), 15_000 * MS);
        assert!(model.is_slow(&generate(1, Some(800))));
        assert!(!model.is_slow(&generate(1, Some(80))));
    }
}
