//! A model in memory, and what is known of how long its verbs take there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::nn::chain;
use crate::nn::model::Model;
use crate::verbs::call::{Call, Verb};

pub(super) struct Resident {
    pub model: Box<dyn Model>,
    /// Of its weights, and of what was made of them to be quicker.
    pub bytes: usize,
    parameters: usize,
    /// Seconds for a row and step, by what was asked.
    seen: Mutex<HashMap<Kind, f64>>,
}

// SAFETY: nobody writes to a model once it is here. Its verbs take it by `&self`, which `Model` allows to read
// alone: no family has cells in its model, and normalisations write their moments in training only. libtorch reads
// one tensor from several threads at once; a `Tensor` is not `Sync` because it can be written to through a shared
// reference.
unsafe impl Sync for Resident {}

/// Calls that take as long for each row and step: a verb's, of about as many rows. Many rows at once cost less each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    verb: &'static str,
    /// Logarithm of the rows, to base 2.
    magnitude: u32,
}

/// A call that takes longer keeps others waiting.
const LONG: Duration = Duration::from_millis(20);
/// Of one thread, about: for what was not seen yet.
const MULTIPLICATIONS_A_SECOND: f64 = 1e10;

impl Resident {
    /// `bytes` of weights, and `packed` of what was made of them.
    pub fn new(model: Box<dyn Model>, bytes: usize, packed: usize) -> Self {
        Self {
            model,
            bytes: bytes + packed,
            parameters: bytes / size_of::<f32>(),
            seen: Mutex::default(),
        }
    }

    /// Numbers that a row meets on its way through the model, about.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Whether the call alone would keep others waiting. Judged by the last one like it; a wrong guess is set right
    /// by what it took.
    pub fn is_long(&self, call: &Call) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let each = seen.get(&kind(call)).copied();
        each.unwrap_or_else(|| self.guess()) * self.work(call) > LONG.as_secs_f64()
    }

    /// Seconds for a row and step of what was not seen yet.
    fn guess(&self) -> f64 {
        self.parameters as f64 / MULTIPLICATIONS_A_SECOND
    }

    pub fn note(&self, call: &Call, took: Duration) {
        let each = took.as_secs_f64() / self.work(call);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(kind(call), each);
    }

    /// A call that was given up after so long.
    pub fn note_at_least(&self, call: &Call, took: Duration) {
        let each = took.as_secs_f64() / self.work(call);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(kind(call)).or_insert_with(|| self.guess());
        *known = known.max(each);
    }

    /// Calls that were computed in one. Together they tell little of each, but that none is long if all were not.
    pub fn note_together(&self, calls: &[&Call], took: Duration) {
        if took < LONG {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for call in calls {
                let most = took.as_secs_f64() / self.work(call);
                seen.entry(kind(call))
                    .and_modify(|each| *each = each.min(most));
            }
        }
    }

    /// Rows that go through the model, as often as they do.
    fn work(&self, call: &Call) -> f64 {
        let steps = match &call.verb {
            Verb::Reconstruct(o) => o.gibbs_steps.unwrap_or(0),
            Verb::Denoise(o) => o.gibbs_steps.unwrap_or(0),
            Verb::Generate(o) => o
                .gibbs_steps
                .or_else(|| self.model.sampler().map(|sampler| sampler.usual_steps()))
                .unwrap_or(0),
            Verb::Inpaint(o) => o.gibbs_steps.unwrap_or(chain::USUAL_ROUNDS),
            _ => 0,
        };
        call.rows().max(1) as f64 * (f64::from(steps) + 1.0)
    }
}

fn kind(call: &Call) -> Kind {
    Kind {
        verb: call.verb.name(),
        magnitude: call.rows().max(1).ilog2(),
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;
    use crate::nn::Tensors;
    use crate::nn::model::{BadOption, Sampler};
    use crate::nn::options::{EncodeOptions, GenerateOptions, InterpolateOptions};
    use crate::nn::rng::Rng;
    use crate::verbs::call::Input;

    /// A model of long chains that is never asked.
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
            _options: &GenerateOptions,
            _rng: &mut Rng,
        ) -> Result<Tensor, BadOption> {
            Err(BadOption::meaningless("n", "silent"))
        }
    }

    fn resident() -> Resident {
        Resident::new(Box::new(Silent), 500_000 * size_of::<f32>(), 0)
    }

    fn encode(rows: usize) -> Call {
        Call {
            verb: Verb::Encode(EncodeOptions::default()),
            input: Input {
                rows,
                ..Input::default()
            },
        }
    }

    fn generate(n: i64, gibbs_steps: Option<u32>) -> Call {
        Call {
            verb: Verb::Generate(GenerateOptions {
                n: Some(n),
                gibbs_steps,
                ..GenerateOptions::default()
            }),
            input: Input::default(),
        }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_was_not_seen_is_judged_by_the_weights_and_the_steps() {
        let model = resident();
        assert!(!model.is_long(&encode(256)));
        assert!(model.is_long(&encode(4096)));
        assert!(!model.is_long(&generate(1, Some(99))));
        assert!(model.is_long(&generate(1, None)), "its own thousand steps");
        assert!(model.is_long(&generate(i64::MAX, Some(0))));
        assert!(!model.is_long(&generate(-1, Some(0))));
        let along = Call {
            verb: Verb::Interpolate(InterpolateOptions::default()),
            input: Input::default(),
        };
        assert!(!model.is_long(&along));
    }

    #[test]
    fn a_wrong_guess_is_set_right_for_calls_of_that_size() {
        let model = resident();
        // A conv net: each row costs far more than its weights tell.
        model.note(&encode(256), 500 * MS);
        assert!(model.is_long(&encode(300)));
        assert!(!model.is_long(&encode(1)));
        model.note(&encode(300), 4 * MS);
        assert!(!model.is_long(&encode(256)));
        // One scheduled badly among many that are not, and one that nobody waited for to the end.
        model.note(&encode(1), 30 * MS);
        assert!(model.is_long(&encode(1)));
        model.note_together(&[&encode(1), &encode(1)], 3 * MS);
        assert!(!model.is_long(&encode(1)));
        assert!(!model.is_long(&generate(1, Some(9))));
        model.note_at_least(&generate(1, Some(9)), 25 * MS);
        assert!(model.is_long(&generate(1, Some(9))));
        model.note_at_least(&generate(1, Some(9)), MS);
        assert!(model.is_long(&generate(1, Some(9))));
        // One that was given up at once is no shorter than it looked.
        assert!(model.is_long(&generate(1024, Some(99))));
        model.note_at_least(&generate(1024, Some(99)), MS);
        assert!(model.is_long(&generate(1024, Some(99))));
        // A row alone costs nearly as much a step as many do.
        model.note(&generate(256, Some(99_999)), 600_000 * MS);
        model.note(&generate(1, Some(99_999)), 15_000 * MS);
        assert!(model.is_long(&generate(1, Some(800))));
        assert!(!model.is_long(&generate(1, Some(80))));
    }
}
