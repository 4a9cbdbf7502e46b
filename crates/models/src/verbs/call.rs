//! A call: a verb's options asked of rows, as plain numbers, and its answer as plain numbers.

use std::time::{Duration, Instant};

use tch::{Device, Tensor};

use super::Model;
use super::context::Context;
use super::define::{Define, Options, RowKind};
use crate::nn::model::{Answer, BadOption, DataFacts};
use crate::nn::rng::{Rng, values};

/// A verb with its options, before the rows are known.
#[derive(Debug, Clone)]
pub struct Operation {
    pub options: Box<dyn Options>,
    /// Class of each row, as a client gave it, for models conditioned on labels.
    pub labels: Option<Vec<i64>>,
    /// Of the numbers that it draws, if it draws some.
    pub seed: Option<u64>,
    /// Its number among those of one request.
    pub chunk: u64,
}

impl Operation {
    pub fn of<D: Define>(mut options: D) -> Self {
        let labels = options.labels_mut().and_then(Option::take);
        let seed = options.seed();
        Self {
            options: Box::new(options),
            labels,
            seed: seed.map(|given| given.unwrap_or_else(fresh_seed)),
            chunk: 0,
        }
    }

    /// The operation of one chunk among many: each chunk draws numbers of its own, the first those of a single call.
    #[must_use]
    pub fn of_chunk(&self, chunk: u64) -> Self {
        Self {
            seed: self.seed.map(|seed| seed.wrapping_add(chunk)),
            chunk,
            ..self.clone()
        }
    }

    pub fn on(self, input: Input) -> Call {
        Call {
            operation: self,
            input,
        }
    }
}

/// Rows of f32 values, `[rows, width]`, in one flat buffer.
#[derive(Debug, Clone, Default)]
pub struct Input {
    pub rows: usize,
    pub values: Vec<f32>,
    /// The rows' own labels, where they come from a labelled data set.
    pub labels: Option<Vec<i64>>,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub operation: Operation,
    pub input: Input,
}

/// What examples of calls are made of: some rows, and two.
#[cfg(test)]
#[derive(Debug)]
pub struct Example {
    pub input: Input,
    pub two: Input,
}

/// A named tensor of an answer: `[rows, …shape]`.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: &'static str,
    pub shape: Vec<i64>,
    pub values: Vec<f32>,
}

#[derive(Debug, Clone)]
pub struct Reply {
    pub rows: usize,
    /// The main answer; its name is `outputs`.
    pub output: Field,
    pub extras: Vec<Field>,
    /// The seed that was used, where randomness was: giving it again gives the same bytes.
    pub seed: Option<u64>,
    /// `predict`: the most probable class of each row.
    pub labels: Option<Vec<i64>>,
    /// What a score is.
    pub metric: Option<&'static str>,
    pub timing: Timing,
}

/// Where a call's time went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// When the call joined the queue.
    pub since: Option<Instant>,
    pub queue: Duration,
    /// From the batch's first call to the last answer cut out of it.
    pub batch: Duration,
    /// In the model.
    pub compute: Duration,
    pub batch_rows: usize,
}

impl Field {
    /// Copied out of the tensor. `shape` is that of one row; left out, that of the tensor.
    pub(super) fn of(name: &'static str, tensor: &Tensor, shape: Option<&[i64]>) -> Self {
        let flat = tensor.to_device(Device::Cpu).contiguous();
        let shape = shape.map_or_else(|| tensor.size()[1..].to_vec(), <[i64]>::to_vec);
        Self {
            name,
            shape,
            values: values(&flat).to_vec(),
        }
    }
}

impl Reply {
    /// `shape` is that of one row; left out, rows stay flat.
    pub(super) fn of(answer: impl Into<Answer>, shape: Option<&[i64]>) -> Self {
        let answer: Answer = answer.into();
        let extras = answer.extras.iter();
        Self {
            rows: usize::try_from(answer.output.size()[0]).unwrap_or(0),
            output: Field::of("outputs", &answer.output, shape),
            extras: extras
                .map(|(name, tensor)| Field::of(name, tensor, None))
                .collect(),
            seed: None,
            labels: None,
            metric: None,
            timing: Timing::default(),
        }
    }

    /// The first row with a number that is none, or infinite.
    fn first_not_finite(&self) -> Option<usize> {
        let fields = std::iter::once(&self.output).chain(&self.extras);
        let first = |field: &Field| {
            // Without an early end, so that it is done many at a time; hardly ever is there more to do.
            let sound = field.values.iter().fold(true, |all, v| all & v.is_finite());
            let at = || field.values.iter().position(|v| !v.is_finite());
            let width = (field.values.len() / self.rows.max(1)).max(1);
            if sound { None } else { at().map(|i| i / width) }
        };
        fields.filter_map(first).min()
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    #[error("this model does not offer '{verb}'; it offers: {}", .offered.join(", "))]
    Unsupported {
        verb: &'static str,
        offered: Vec<&'static str>,
    },
    #[error("{0}")]
    Option(#[from] BadOption),
    #[error("each row needs {needed} values (shape {shape:?}), got {found}")]
    Width {
        needed: i64,
        shape: Vec<i64>,
        found: usize,
    },
    /// Numbers overflowed on the way.
    #[error("the answer to row {row} (from 0) is not finite: {cause}")]
    NotFinite {
        /// What the caller gave that led there.
        field: &'static str,
        row: usize,
        cause: &'static str,
    },
    /// What of the model cannot leave as a graph, and what can.
    #[error("{0}")]
    NoGraph(String),
    /// Weights from outside that are not those of the model they are said to be.
    #[error("{0}")]
    Unfit(String),
    #[error("the model's weights are damaged: {0}")]
    Damaged(String),
    #[error("the model could not be loaded: {0}")]
    Load(String),
    #[error("the model failed on this input: {0}")]
    Failed(String),
    #[error("{queued} requests are waiting already")]
    Full {
        queued: usize,
        retry_after_seconds: u64,
    },
    #[error("the deadline passed before there was an answer")]
    Late,
    #[error("the service is shutting down")]
    Closed,
}

/// 53 bits, so that the seed survives JSON readers that hold numbers as doubles.
fn fresh_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0 >> 11
}

impl Call {
    pub fn of<D: Define>(options: D, input: Input) -> Self {
        Operation::of(options).on(input)
    }

    pub fn options(&self) -> &dyn Options {
        self.operation.options.as_ref()
    }

    pub fn verb(&self) -> &'static str {
        self.options().verb()
    }

    /// Rows that go through the model: those given, or those asked for.
    pub fn rows(&self) -> usize {
        let labels = self.operation.labels.as_deref();
        self.options().rows(self.input.rows, labels)
    }

    /// Whether both may be computed as one.
    pub fn may_batch_with(&self, other: &Self) -> bool {
        let alike = self.operation.seed == other.operation.seed;
        alike && self.options().may_batch() && self.options().equals(other.options())
    }

    /// The class of each row, or one for all: as given, else the rows' own.
    pub fn labels(&self) -> Option<&Vec<i64>> {
        let given = self.operation.labels.as_ref();
        given.or(self.input.labels.as_ref())
    }

    /// Whether its rows and labels are what the model takes, without computing anything: of a call that may be
    /// computed together with others.
    pub fn check(
        &self,
        model: &dyn Model,
        facts: &DataFacts,
        device: Device,
    ) -> Result<(), CallError> {
        let context = Context {
            call: self,
            model,
            facts,
            device,
        };
        if self.options().row_kind() == RowKind::Code {
            context.check_width(&context.part(model.code_shape())?)?;
        } else {
            context.check_width(facts.shape())?;
        }
        let rows = i64::try_from(self.input.rows).unwrap_or(i64::MAX);
        context.labels(rows).map(drop)
    }

    /// Computes the answer.
    pub fn apply(
        &self,
        model: &dyn Model,
        facts: &DataFacts,
        device: Device,
    ) -> Result<Reply, CallError> {
        let _guard = tch::no_grad_guard();
        let seed = self.operation.seed;
        let mut rng = Rng::at(seed.unwrap_or(0), &[]);
        let context = Context {
            call: self,
            model,
            facts,
            device,
        };
        let mut reply = self.options().run(&context, &mut rng)?;
        if let Some(row) = reply.first_not_finite() {
            let (field, cause) = self.options().overflow();
            return Err(CallError::NotFinite { field, row, cause });
        }
        reply.seed = seed;
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::verbs::find;

    #[test]
    fn a_chunk_goes_on_from_the_seed_and_leaves_the_options_alone() {
        let verb = find("denoise").expect("a verb");
        let read = |options| verb.read(&options).expect("good options");
        let noise = json!({"kind": "gaussian", "level": 0.1, "seed": 5});
        let both = read(json!({"corrupt": noise, "gibbs_steps": 2, "seed": 7}));
        let third = both.of_chunk(3);
        assert_eq!((both.seed, third.seed, third.chunk), (Some(7), Some(10), 3));
        assert!(third.options.equals(both.options.as_ref()));
        let noise_alone = read(json!({"corrupt": noise, "seed": 7}));
        assert_eq!(noise_alone.of_chunk(3).seed, Some(8));
        assert_eq!(read(json!({"seed": 7})).of_chunk(3).seed, None);
        let drawn = read(json!({"gibbs_steps": 1}));
        assert!(drawn.seed.is_some() && drawn.of_chunk(0).seed == drawn.seed);
    }
}
