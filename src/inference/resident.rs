//! A model in memory, and what is known of how long its verbs take there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::call::Call;
use crate::nn::model::Model;

pub(super) struct Resident {
    pub model: Box<dyn Model>,
    /// Of its weights, and of what was made of them to be quicker.
    pub bytes: usize,
    /// By verb, and whether the call says how many steps.
    seen: Mutex<HashMap<(&'static str, bool), Seen>>,
}

// SAFETY: nobody changes a model once it is here, its verbs take it by `&self` and have no cells in them, and
// libtorch reads one tensor from several threads at once. A `Tensor` is not `Sync` only because it could be
// written to through a shared reference, which models do in training alone.
unsafe impl Sync for Resident {}

/// What a batch took.
#[derive(Clone, Copy)]
struct Seen {
    work: f64,
    took: Duration,
}

/// A batch that takes longer keeps others waiting.
const LONG: Duration = Duration::from_millis(20);
/// Of one thread, about: for what was not seen yet.
const MULTIPLICATIONS_A_SECOND: f64 = 1e10;

impl Resident {
    pub fn new(model: Box<dyn Model>, bytes: usize) -> Self {
        Self {
            model,
            bytes,
            seen: Mutex::default(),
        }
    }

    /// Numbers that a row meets on its way through the model, about.
    pub fn parameters(&self) -> usize {
        self.bytes / size_of::<f32>()
    }

    /// Whether such calls would keep others waiting, as one batch. Judged by the last one like it that was as large,
    /// or larger; a wrong guess is set right by what it took. Where none was seen, calls that go alone are taken to
    /// be long: they are those that run chains.
    pub fn is_long(&self, calls: &[&Call]) -> bool {
        let work = work(calls);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = match key(calls).and_then(|key| seen.get(&key)) {
            Some(seen) => seen.took.as_secs_f64() * work / seen.work,
            None if calls.iter().any(|call| call.verb.merges().is_none()) => return true,
            None => work * self.parameters() as f64 / MULTIPLICATIONS_A_SECOND,
        };
        expected > LONG.as_secs_f64()
    }

    pub fn note(&self, calls: &[&Call], took: Duration) {
        let Some(key) = key(calls) else { return };
        let work = work(calls);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.entry(key).or_insert(Seen { work, took });
        // Of a small batch most is the way there and back, which does not grow with its rows.
        if work >= last.work / 2.0 {
            *last = Seen { work, took };
        }
    }
}

fn key(calls: &[&Call]) -> Option<(&'static str, bool)> {
    let verb = &calls.first()?.verb;
    Some((verb.name(), verb.steps().is_some()))
}

/// Rows that go through the model, as often as they do.
fn work(calls: &[&Call]) -> f64 {
    let of = |call: &&Call| call.rows() as f64 * (f64::from(call.verb.steps().unwrap_or(0)) + 1.0);
    calls.iter().map(of).sum::<f64>().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::call::{Input, Verb};
    use super::*;
    use crate::nn::Tensors;
    use crate::nn::options::{EncodeOptions, GenerateOptions};

    /// A model that is never asked.
    struct Silent;
    impl Model for Silent {
        fn tensors(&self) -> Tensors {
            Tensors::new()
        }
        fn code_shape(&self) -> Option<Vec<i64>> {
            None
        }
    }

    fn resident(parameters: usize) -> Resident {
        Resident::new(Box::new(Silent), parameters * size_of::<f32>())
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

    fn generate(n: Option<i64>, gibbs_steps: Option<u32>) -> Call {
        Call {
            verb: Verb::Generate(GenerateOptions {
                n,
                gibbs_steps,
                ..GenerateOptions::default()
            }),
            input: Input::default(),
        }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_was_not_seen_is_judged_by_the_weights() {
        let model = resident(500_000);
        assert!(!model.is_long(&[&encode(256)]));
        assert!(model.is_long(&[&encode(4096)]));
        assert!(model.is_long(&[&encode(300), &encode(300)]));
    }

    #[test]
    fn chains_are_long_until_seen_and_then_as_long_as_they_were() {
        let model = resident(500_000);
        let short = generate(Some(1), Some(9));
        assert!(model.is_long(&[&short]));
        model.note(&[&short], MS);
        assert!(!model.is_long(&[&short]));
        assert!(!model.is_long(&[&generate(Some(1), Some(190))]));
        assert!(model.is_long(&[&generate(Some(1), Some(999))]));
        assert!(model.is_long(&[&generate(None, Some(999))]));
        // Of the model's own number of steps nothing is known.
        assert!(model.is_long(&[&generate(Some(1), None)]));
        assert!(model.is_long(&[&generate(Some(i64::MAX), Some(9))]));
        assert!(!model.is_long(&[&generate(Some(-1), Some(9))]));
    }

    #[test]
    fn a_wrong_guess_is_set_right_and_a_small_batch_says_little_of_a_large_one() {
        let model = resident(500_000);
        model.note(&[&encode(1)], MS);
        assert!(model.is_long(&[&encode(256)]));
        model.note(&[&encode(256)], 2 * MS);
        assert!(!model.is_long(&[&encode(256)]));
        model.note(&[&encode(1)], MS);
        assert!(!model.is_long(&[&encode(512)]));
        // Held up once.
        model.note(&[&encode(512)], 300 * MS);
        assert!(model.is_long(&[&encode(512)]));
        assert!(!model.is_long(&[&encode(1)]));
        model.note(&[&encode(512)], 4 * MS);
        assert!(!model.is_long(&[&encode(512)]));
    }
}
