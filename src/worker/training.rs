//! A training job from its row to trained weights: data, learner, the newest checkpoint, the loop.

use std::io;

use serde_json::{Map, Value, json};
use tch::Device;

use super::checkpoint::{CheckpointError, read_weights};
use super::observer::JobObserver;
use super::preview::Preview;
use crate::artifacts::{Artifacts, WantOfRoom, weights};
use crate::clock::now_ms;
use crate::data::SplitFiles;
use crate::data::split::Split;
use crate::document::Warning;
use crate::families::{Family, FamilyError};
use crate::jobs::Job;
use crate::layout::Layout;
use crate::machine::LIBTORCH;
use crate::nn::Tensors;
use crate::nn::model::DataFacts;
use crate::spec::source::PinnedSource;
use crate::store::{self, NewVersion};
use crate::train::adopt::{CannotStart, adopt};
use crate::train::trial::step_costs;
use crate::train::{
    Adopted, Cursor, Freeze, Halt, Learner, Outcome, Run, Start, Training, fit, resume,
};

#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error("the data set's files cannot be read: {0}")]
    Data(#[from] io::Error),
    #[error("the job's settings cannot be read: {0}")]
    Settings(#[from] serde_json::Error),
    #[error("the family '{0}' is not known to this version")]
    Family(String),
    #[error(transparent)]
    Build(#[from] FamilyError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("a model that is needed cannot be read: {0}")]
    Model(String),
    #[error(transparent)]
    Evaluation(#[from] crate::evaluate::EvaluationError),
    #[error("the weights to start from cannot be read: {0}")]
    Source(String),
    #[error(transparent)]
    Halted(#[from] Halt),
    #[error("the weights cannot be stored: {0}")]
    Weights(#[from] weights::WeightsError),
    #[error("the weights cannot be stored: {0}")]
    Storage(#[source] io::Error),
}

impl TrainingError {
    /// The stable code that the job's `error` carries.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Halted(Halt::Diverged { .. } | Halt::Collapsed { .. }) => "diverged",
            Self::Halted(Halt::NoSuchMetric { .. } | Halt::Start(_)) => "invalid_setting",
            Self::Data(_) | Self::Halted(Halt::Data(_)) => "data_unreadable",
            Self::Evaluation(crate::evaluate::EvaluationError::Data(_)) => "data_unreadable",
            Self::Evaluation(_) => "unsuited",
            Self::Model(_) => "model_unreadable",
            Self::Source(_) => "source_unreadable",
            Self::Checkpoint(_)
            | Self::Weights(_)
            | Self::Storage(_)
            | Self::Halted(Halt::Observer(_)) => "storage_failed",
            _ => "internal",
        }
    }

    /// The step at which training broke off.
    pub fn step(&self) -> Option<i64> {
        match self {
            Self::Halted(Halt::Diverged { step, .. } | Halt::Collapsed { step, .. }) => {
                i64::try_from(*step).ok()
            }
            _ => None,
        }
    }
}

impl WantOfRoom for TrainingError {
    fn is_full(&self) -> bool {
        match self {
            Self::Checkpoint(error) => error.is_full(),
            Self::Storage(error) => error.is_full(),
            _ => false,
        }
    }
}

/// How a job's run ended.
pub enum Ended {
    /// The version to publish, and what else the job's result says.
    Trained(Box<NewVersion>, Map<String, Value>),
    /// The figures of an evaluation.
    Evaluated(Map<String, Value>),
    Canceled,
    Released,
}

/// Readies this thread and the device that a job's `device` names, before any tensor: sums split over other
/// threads have other last bits.
pub(super) fn begin(threads: u32, device: &str, observer: &JobObserver) -> Device {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
    let device = resolve_device(device);
    observer.report(&store::JobReport {
        phase: Some("loading".to_owned()),
        device: Some(match device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".to_owned(),
        }),
        ..store::JobReport::default()
    });
    device
}

fn resolve_device(name: &str) -> Device {
    let index = match name {
        "cpu" => return Device::Cpu,
        "auto" if !tch::Cuda::is_available() => return Device::Cpu,
        other => other
            .strip_prefix("cuda:")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
    };
    Device::Cuda(index)
}

/// Runs the job in this thread.
pub fn run(
    job: &Job,
    dataset: &store::Dataset,
    layout: &Layout,
    observer: &mut JobObserver,
) -> Result<Ended, TrainingError> {
    let training: Training = serde_json::from_value(job.plan.training.clone())?;
    let device = begin(training.threads, &training.device, observer);
    let family =
        Family::find(&job.plan.kind).ok_or_else(|| TrainingError::Family(job.plan.kind.clone()))?;
    let facts = dataset.facts();
    let train = open_split(layout, dataset, "train")?;
    let test = match dataset.splits.test {
        Some(_) => Some(open_split(layout, dataset, "test")?),
        None => None,
    };
    let build = || (family.learner)(&job.plan.model, &training, &facts, device);
    let mut learner = build()?;
    let Some(cursor) = observer.once_there_is_room(|| go_on(learner.as_mut(), observer))? else {
        return Ok(Ended::Released);
    };
    let source = match &job.plan.init_from {
        Some(value) if cursor == Cursor::default() => Some(source(value, observer)?),
        _ => None,
    };
    let start_from = source
        .as_ref()
        .map(|(tensors, freeze)| Start { tensors, freeze });
    // On a learner of its own, so that nothing of the trial is left in the run.
    let step_costs = if learner.phases().len() > 1 {
        let mut tried = build()?;
        // A start that is refused is refused again, and said, by the run itself.
        let _ = match start_from {
            Some(start) => adopt(tried.as_mut(), start).map(drop),
            None => tried.hold(&cursor.adopted).map_err(CannotStart::from),
        };
        step_costs(tried.as_mut(), &train, &training, device)?
    } else {
        Vec::new()
    };
    let shown = test.as_ref().unwrap_or(&train);
    observer.preview = Preview::open(&facts, training.seed, device, shown)?;
    let run = Run {
        learner: learner.as_mut(),
        train: &train,
        test: test.as_ref(),
        training: &training,
        device,
        cursor,
        step_costs: &step_costs,
        start_from,
    };
    let outcome = fit(run, observer)?;
    ended(job, &facts, learner.as_ref(), outcome, observer)
}

/// Publishes the weights of a run that came to its end.
fn ended(
    job: &Job,
    facts: &DataFacts,
    learner: &dyn Learner,
    outcome: Outcome,
    observer: &JobObserver,
) -> Result<Ended, TrainingError> {
    match outcome {
        Outcome::Canceled => Ok(Ended::Canceled),
        Outcome::Released => Ok(Ended::Released),
        Outcome::Finished {
            metrics,
            stopped,
            adopted,
            still_falls,
        } => {
            let artifacts = &observer.checkpoints.artifacts;
            let warnings: Vec<Warning> = still_falls.map(of_the_loss).into_iter().collect();
            let publish = || {
                let mut version = publish(job, facts, learner, metrics.clone(), artifacts)?;
                version.warnings.clone_from(&warnings);
                Ok::<_, TrainingError>(version)
            };
            // The last checkpoint is there: whoever takes the job up ends where this run did.
            let Some(version) = observer.once_there_is_room(publish)? else {
                return Ok(Ended::Released);
            };
            let mut notes = notes(job, &adopted, learner);
            if stopped {
                notes.insert("stopped".to_owned(), true.into());
            }
            Ok(Ended::Trained(Box::new(version), notes))
        }
    }
}

/// A run that ended while its loss still fell.
fn of_the_loss(share: f64) -> Warning {
    let percent = 100.0 * share;
    let detail = format!(
        "the training loss still fell, by {percent:.1} % an epoch at the end: more epochs, or a higher learning_rate, \
        would fit the rows better"
    );
    Warning::new("loss_still_falling", "/training/epochs", detail)
}

/// The weights to start from, and what stays of them. They are read only where the job starts: later it does
/// not matter if they were deleted meanwhile.
fn source(value: &Value, observer: &JobObserver) -> Result<(Tensors, Freeze), TrainingError> {
    let source: PinnedSource = serde_json::from_value(value.clone())?;
    let read = read_weights(&observer.checkpoints.artifacts, &source.sha256);
    let (tensors, _): (_, Value) = read.map_err(TrainingError::Source)?;
    Ok((tensors, source.from.freeze()))
}

/// Which of the model's tensors the run started with were another's, and which of these are so still.
fn notes(job: &Job, adopted: &Adopted, learner: &dyn Learner) -> Map<String, Value> {
    let mut notes = Map::new();
    if job.plan.init_from.is_some() {
        let Adopted { copied, frozen } = adopted;
        let own = learner.model().tensors();
        let fresh: Vec<&String> = own.keys().filter(|name| !copied.contains(name)).collect();
        notes.insert(
            "init_from".to_owned(),
            json!({"copied": copied, "fresh": fresh, "frozen": frozen}),
        );
    }
    notes
}

pub(super) fn open_split(
    layout: &Layout,
    dataset: &store::Dataset,
    name: &str,
) -> io::Result<Split> {
    let split = dataset.splits.get(name);
    let columns = split.into_iter().flat_map(|s| dataset.columns_of(s));
    Split::open(&SplitFiles::of(&layout.dataset(&dataset.id), name), columns)
}

/// Puts the learner where the newest readable checkpoint left it; at the start if there is none.
fn go_on(learner: &mut dyn Learner, observer: &JobObserver) -> Result<Cursor, TrainingError> {
    let checkpoints = &observer.checkpoints;
    let Some((cursor, state)) = checkpoints.newest()? else {
        checkpoints.truncate_metrics(0)?;
        return Ok(Cursor::default());
    };
    resume(learner, &cursor, &state)?;
    checkpoints.truncate_metrics(cursor.total_step)?;
    tracing::info!(
        epoch = cursor.epoch,
        step = cursor.total_step,
        "going on from a checkpoint"
    );
    Ok(cursor)
}

/// Writes the weights and their manifest; the row comes after.
pub(super) fn publish(
    job: &Job,
    facts: &DataFacts,
    learner: &dyn Learner,
    metrics: Vec<(String, f64)>,
    artifacts: &Artifacts,
) -> Result<NewVersion, TrainingError> {
    let model = learner.model();
    let tensors = model.tensors();
    // Nothing here of job or time: the same training gives the same file.
    let note = json!({"kind": job.plan.kind, "spec": job.plan.model, "data": facts});
    let stored = artifacts
        .put(&weights::encode(&tensors, &note)?)
        .map_err(TrainingError::Storage)?;
    let metrics: serde_json::Map<String, Value> =
        metrics.into_iter().map(|(k, v)| (k, v.into())).collect();
    let manifest = json!({
        "format": "latentd-manifest-1",
        "kind": job.plan.kind,
        "spec": job.plan.model,
        "data": facts,
        "training": job.plan.training,
        "weights": {"sha256": stored.sha256, "bytes": stored.bytes, "tensors": shapes(&tensors)},
        "metrics": metrics,
        "job": job.id,
        "created_at": now_ms(),
    });
    artifacts
        .put_manifest(&stored.sha256, &manifest)
        .map_err(TrainingError::Storage)?;
    Ok(NewVersion {
        spec: job.plan.model.clone(),
        input_shape: facts.shape().to_vec(),
        code_shape: model.code_shape(),
        parameters: tensors
            .values()
            .map(|t| i64::try_from(t.numel()).unwrap_or(i64::MAX))
            .sum(),
        capabilities: crate::verbs::capabilities(model)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        metrics,
        data: serde_json::to_value(facts)?,
        sha256: stored.sha256,
        bytes: i64::try_from(stored.bytes).unwrap_or(i64::MAX),
        provenance: Map::from_iter([
            (
                "latentd_version".to_owned(),
                env!("CARGO_PKG_VERSION").into(),
            ),
            ("libtorch_version".to_owned(), LIBTORCH.into()),
        ]),
        warnings: Vec::new(),
    })
}

fn shapes(tensors: &Tensors) -> Value {
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), json!(tensor.size())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
