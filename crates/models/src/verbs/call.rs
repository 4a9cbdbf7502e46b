//! A verb applied to a model: the call as plain numbers, and its answer as plain numbers.

use std::time::{Duration, Instant};

use tch::Device;

use super::answer::Asked;
use crate::nn::model::{BadOption, DataFacts, Model};
use crate::nn::options::{
    DecodeOptions, DenoiseOptions, EncodeOptions, GenerateOptions, InpaintOptions,
    InterpolateOptions, PredictOptions, ReconstructOptions, ScoreOptions,
};
use crate::nn::rng::Rng;

/// What to do, with the verb's options.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    Encode(EncodeOptions),
    Decode(DecodeOptions),
    Reconstruct(ReconstructOptions),
    Denoise(DenoiseOptions),
    Generate(GenerateOptions),
    Score(ScoreOptions),
    Inpaint(InpaintOptions),
    Interpolate(InterpolateOptions),
    Predict(PredictOptions),
    /// The first layer's weights as pictures; not a verb of its own in the API.
    Filters,
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
    pub verb: Verb,
    pub input: Input,
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

impl Reply {
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

#[derive(Debug, thiserror::Error)]
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

impl Verb {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Encode(_) => "encode",
            Self::Decode(_) => "decode",
            Self::Reconstruct(_) => "reconstruct",
            Self::Denoise(_) => "denoise",
            Self::Generate(_) => "generate",
            Self::Score(_) => "score",
            Self::Inpaint(_) => "inpaint",
            Self::Interpolate(_) => "interpolate",
            Self::Predict(_) => "predict",
            Self::Filters => "filters",
        }
    }

    /// What to say where the numbers of a row overflowed.
    fn overflow(&self, row: usize) -> CallError {
        let (field, cause) = match self {
            Self::Generate(o) if o.temperature.is_some() => {
                ("temperature", "it is too far from 1 for this model")
            }
            Self::Generate(_) => (
                "temperature",
                "the model's samples overflow at temperature 1",
            ),
            Self::Interpolate(_) => ("from", "it or 'to' is too far out for this model"),
            _ => ("inputs", "its values are too large for this model"),
        };
        CallError::NotFinite { field, row, cause }
    }

    /// The classes that a client gave, for models conditioned on them.
    pub fn labels(&self) -> Option<&Vec<i64>> {
        match self {
            Self::Encode(o) => o.labels.as_ref(),
            Self::Decode(o) => o.labels.as_ref(),
            Self::Reconstruct(o) => o.labels.as_ref(),
            Self::Denoise(o) => o.labels.as_ref(),
            Self::Generate(o) => o.labels.as_ref(),
            Self::Score(o) => o.labels.as_ref(),
            Self::Inpaint(o) => o.labels.as_ref(),
            Self::Interpolate(o) => o.labels.as_ref(),
            Self::Predict(_) | Self::Filters => None,
        }
    }

    /// Whether each row of the answer is that of one input row.
    pub fn answers_row_by_row(&self) -> bool {
        match self {
            Self::Encode(_)
            | Self::Decode(_)
            | Self::Reconstruct(_)
            | Self::Denoise(_)
            | Self::Score(_)
            | Self::Predict(_) => true,
            // A mask may have a row for each input.
            Self::Inpaint(o) => o.mask.len() < 2,
            Self::Generate(_) | Self::Interpolate(_) | Self::Filters => false,
        }
    }

    /// With a seed, if it draws numbers and has none.
    #[must_use]
    pub fn seeded(&self) -> Self {
        let mut verb = self.clone();
        if let Some(None) = self.seed() {
            verb.set_seed(fresh_seed());
        }
        verb
    }

    /// The call of one chunk among many: each chunk draws numbers of its own, the first those of a single call.
    #[must_use]
    pub fn of_chunk(&self, chunk: u64) -> Self {
        let mut verb = self.clone();
        if let Some(Some(seed)) = self.seed() {
            verb.set_seed(seed.wrapping_add(chunk));
        }
        verb
    }

    fn set_seed(&mut self, seed: u64) {
        let seed = Some(seed);
        match self {
            Self::Encode(o) => o.seed = seed,
            Self::Reconstruct(o) => o.seed = seed,
            Self::Denoise(o) => match &mut o.corrupt {
                Some(corrupt) if corrupt.seed.is_some() => corrupt.seed = seed,
                _ => o.seed = seed,
            },
            Self::Generate(o) => o.seed = seed,
            Self::Inpaint(o) => o.seed = seed,
            Self::Decode(_)
            | Self::Score(_)
            | Self::Interpolate(_)
            | Self::Predict(_)
            | Self::Filters => {}
        }
    }

    /// For calls that may be computed together with others: what must be equal in all of them. Calls that draw
    /// numbers go alone, since what they draw would depend on their company.
    pub fn merges(&self) -> Option<Self> {
        let quiet = match self {
            Self::Encode(o) => !o.sample,
            Self::Reconstruct(o) => o.gibbs_steps.is_none_or(|n| n == 0),
            Self::Denoise(o) => o.gibbs_steps.is_none_or(|n| n == 0) && o.corrupt.is_none(),
            // Scores that draw numbers draw the same for every row.
            Self::Decode(_) | Self::Score(_) | Self::Predict(_) => true,
            Self::Generate(_) | Self::Inpaint(_) | Self::Interpolate(_) | Self::Filters => false,
        };
        quiet.then(|| self.without_labels())
    }

    #[must_use]
    pub fn without_labels(&self) -> Self {
        let mut verb = self.clone();
        match &mut verb {
            Self::Encode(o) => o.labels = None,
            Self::Decode(o) => o.labels = None,
            Self::Reconstruct(o) => o.labels = None,
            Self::Denoise(o) => o.labels = None,
            Self::Generate(o) => o.labels = None,
            Self::Score(o) => o.labels = None,
            Self::Inpaint(o) => o.labels = None,
            Self::Interpolate(o) => o.labels = None,
            Self::Predict(_) | Self::Filters => {}
        }
        verb
    }

    /// The seed given, for verbs that draw random numbers; `None` for those that never do.
    fn seed(&self) -> Option<Option<u64>> {
        match self {
            Self::Encode(o) if o.sample => Some(o.seed),
            Self::Reconstruct(o) if o.gibbs_steps.is_some_and(|n| n > 0) => Some(o.seed),
            Self::Denoise(o) if o.gibbs_steps.is_some_and(|n| n > 0) => Some(o.seed),
            // The noise has a seed of its own; without one it is drawn from the call's.
            Self::Denoise(o) => o.corrupt.as_ref().map(|c| c.seed.or(o.seed)),
            Self::Generate(o) => Some(o.seed),
            Self::Inpaint(o) => Some(o.seed),
            // An estimate that draws numbers says the same of the same rows, unless asked otherwise.
            Self::Score(o) => o.seed.map(Some),
            _ => None,
        }
    }
}

/// 53 bits, so that the seed survives JSON readers that hold numbers as doubles.
fn fresh_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0 >> 11
}

impl Call {
    /// Rows that go through the model: those given, or those asked for.
    pub fn rows(&self) -> usize {
        let asked = match &self.verb {
            Verb::Generate(o) => o.rows(),
            Verb::Interpolate(o) => o.points(),
            _ => return self.input.rows,
        };
        usize::try_from(asked).unwrap_or(0)
    }

    /// Whether its rows and labels are what the model takes, without computing anything.
    pub fn check(
        &self,
        model: &dyn Model,
        facts: &DataFacts,
        device: Device,
    ) -> Result<(), CallError> {
        let asked = Asked {
            call: self,
            model,
            facts,
            device,
        };
        asked.check()
    }

    /// Computes the answer.
    pub fn apply(
        &self,
        model: &dyn Model,
        facts: &DataFacts,
        device: Device,
    ) -> Result<Reply, CallError> {
        let _guard = tch::no_grad_guard();
        let drawn = self.verb.seed();
        let seed = drawn.map(|given| given.unwrap_or_else(fresh_seed));
        let mut rng = Rng::at(seed.unwrap_or(0), &[]);
        let asked = Asked {
            call: self,
            model,
            facts,
            device,
        };
        let mut reply = asked.answer(&mut rng)?;
        if let Some(row) = reply.first_not_finite() {
            return Err(self.verb.overflow(row));
        }
        reply.seed = seed;
        Ok(reply)
    }
}
