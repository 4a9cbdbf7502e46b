//! An evaluation from its row to its figures: the model, the rows, one metric after the other.

use serde_json::{Map, Value};
use tch::Device;

use super::checkpoint::CheckpointError;
use super::observer::JobObserver;
use super::training::{Ended, TrainingError, begin, open_split};
use crate::artifacts::Artifacts;
use crate::evaluate::{EvaluationError, Pace, Subject, measure};
use crate::inference::ModelSource;
use crate::inference::loader::load;
use crate::jobs::{Job, parse_ref};
use crate::layout::Layout;
use crate::nn::model::DataFacts;
use crate::spec::Evaluation;
use crate::store;
use crate::train::forecast::PlannedPhase;
use crate::train::{Directive, Observer, Progress};
use crate::verbs::Model;

/// Parts of a metric's work that progress is told in.
const PARTS: u32 = 1000;
const ONE_METRIC: PlannedPhase = PlannedPhase {
    epochs: 1,
    steps: PARTS as u64,
    step_cost: 1.0,
    last_step_cost: 1.0,
};

/// What the job measures.
pub fn of(job: &Job) -> Result<Evaluation, serde_json::Error> {
    serde_json::from_value(job.plan.evaluation.clone().unwrap_or_default())
}

/// Runs the job in this thread. It keeps nothing in between: one that is released starts over.
pub fn run(
    job: &Job,
    dataset: &store::Dataset,
    layout: &Layout,
    observer: &mut JobObserver,
) -> Result<Ended, TrainingError> {
    let evaluation = of(job)?;
    let device = begin(evaluation.threads, &evaluation.device, observer);
    let measured = format!("{}:{}", evaluation.model, evaluation.version);
    let (model, learnt) = find(&measured, observer, device)?;
    let train = open_split(layout, dataset, "train")?;
    let rows = match (evaluation.split.as_str(), &dataset.splits.test) {
        ("test", Some(_)) => open_split(layout, dataset, "test")?,
        _ => open_split(layout, dataset, "train")?,
    };
    observer.plan(vec![ONE_METRIC; evaluation.metrics.len()]);
    let facts = dataset.facts();
    let mut figures = Map::new();
    for (i, metric) in evaluation.metrics.iter().enumerate() {
        observer.phase(&format!("measuring {}", metric.kind()));
        let classifier = metric.classifier();
        let classifier = classifier.map(|reference| find(reference, observer, device));
        let classifier = classifier.transpose()?;
        let subject = Subject {
            model: model.as_ref(),
            learnt: &learnt,
            facts: &facts,
            rows: &rows,
            train: &train,
            classifier: classifier.as_ref().map(|(model, _)| model.as_ref()),
            device,
            seed: evaluation.seed,
        };
        let found = measure(
            metric,
            &subject,
            &mut *pacer(observer, i, evaluation.metrics.len()),
        );
        if let Err(EvaluationError::Stopped) = found {
            return Ok(match observer.directive() {
                Directive::Cancel | Directive::Lost => Ended::Canceled,
                Directive::Release | Directive::Continue | Directive::Stop => Ended::Released,
            });
        }
        let split = &evaluation.split;
        let named = |(name, value): (String, f64)| (format!("{split}/{name}"), value.into());
        let found: Map<String, Value> = found?.into_iter().map(named).collect();
        observer.report(&store::JobReport {
            latest: found.clone(),
            ..store::JobReport::default()
        });
        figures.extend(found);
    }
    Ok(Ended::Evaluated(figures))
}

/// Tells how far the job is, and hears whether it is to stop.
fn pacer<'a>(observer: &'a mut JobObserver, metric: usize, metrics: usize) -> Box<Pace<'a>> {
    Box::new(move |share| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a thousand"
        )]
        let step = ((metric as f64 + share.clamp(0.0, 1.0)) * f64::from(PARTS)) as u64;
        let progress = Progress {
            epoch: 0,
            epochs: 0,
            step,
            total_steps: metrics as u64 * u64::from(PARTS),
        };
        observer.step(progress, 0, &crate::train::Report::default());
        if observer.directive() <= Directive::Stop {
            Ok(())
        } else {
            Err(EvaluationError::Stopped)
        }
    })
}

/// A published model, loaded on `device`, and what it was trained on.
fn find(
    reference: &str,
    observer: &JobObserver,
    device: Device,
) -> Result<(Box<dyn Model>, DataFacts), TrainingError> {
    let gone = |e: &dyn std::fmt::Display| TrainingError::Model(format!("{reference}: {e}"));
    let checkpoints = &observer.checkpoints;
    let parsed = parse_ref(reference).map_err(|e| gone(&e))?;
    let version = checkpoints
        .runtime
        .block_on(checkpoints.store.model_version(&parsed));
    let version = match version {
        Ok(version) => version,
        Err(error @ store::StoreError::NotFound(_)) => return Err(gone(&error)),
        Err(error) => return Err(CheckpointError::from(error).into()),
    };
    let source = ModelSource {
        facts: serde_json::from_value(version.data)?,
        name: version.name,
        version: version.version,
        kind: version.kind,
        spec: version.spec,
        sha256: version.sha256,
    };
    let artifacts: &Artifacts = &checkpoints.artifacts;
    let (model, _) = load(&source, artifacts, device).map_err(|e| gone(&e))?;
    Ok((model, source.facts))
}
