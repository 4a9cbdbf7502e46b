//! `POST /v1/evaluations`: a job that measures. It is listed, watched and canceled under `/v1/jobs`.

use axum::extract::Request;
use axum::response::Response;

use super::datasets::find_split;
use super::jobs::JobResponse;
use super::jobs::admit::{self, find_dataset};
use super::problem::{Problem, Result};
use super::state::AppState;
use crate::data::Role;
use crate::families::Family;
use crate::jobs::{JobPlan, Task};
use crate::nn::model::DataFacts;
use crate::spec::evaluation::{Candidate, Truth};
use crate::spec::{Evaluation, EvaluationRequest};
use crate::store::ModelVersion;

/// Measure a model
// Queues an evaluation. Its figures are its result, and are added to the model version's metrics.
#[utoipa::path(post, path = "/v1/evaluations", operation_id = "create_evaluation",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
        description = "Up to 255 visible ASCII characters of the client's choice")),
    request_body = EvaluationRequest,
    responses(
        (status = 202, description = "Queued (or, for a repeated key, as it stands)", body = JobResponse),
        (status = 422, description = "A field is invalid, or the key belongs to another request"),
    ))]
pub async fn create(app: AppState, request: Request) -> Result<Response> {
    let wanted = admit::read::<EvaluationRequest>(&app, request).await?;
    let version = app
        .find(&wanted.request.model)
        .await
        .map_err(|problem| problem.at("/model"))?;
    let named = wanted.request.dataset.as_deref();
    let named = named.or(version.dataset.as_deref()).ok_or_else(|| {
        let rule = "is missing: the model was imported, so what it was trained on is not known";
        Problem::field("/dataset", rule)
    })?;
    let dataset = find_dataset(&app, named).await?;
    let split = find_split(&dataset, wanted.request.split(), "/split")?;
    let truth = Truth {
        labels: split.has(Role::Labels),
        targets: split.has(Role::Targets),
    };
    let learnt: DataFacts =
        serde_json::from_value(version.data.clone()).map_err(Problem::internal)?;
    let facts = dataset.facts();
    let candidate = Candidate {
        name: &version.name,
        version: version.version,
        input_shape: &version.input_shape,
        capabilities: &version.capabilities,
        signature: Family::signature_of(&version.kind, &version.spec, &learnt),
        of_targets: learnt.has_targets(),
    };
    let signature = &candidate.signature;
    let classifies =
        version.capabilities.iter().any(|verb| verb == "predict") && !signature.regresses;
    let learnt_labels = classifies || signature.conditioned_on.is_some();
    if learnt_labels && truth.labels && learnt.label_names() != dataset.label_names() {
        let rule = "has labels that stand for other words (`label_names`) than those that the model learnt";
        return Err(Problem::field("/dataset", rule));
    }
    let mut evaluation = wanted
        .request
        .validate(&candidate, &facts, truth, &app.machine)
        .map_err(Problem::fields)?;
    pin_classifiers(&app, &mut evaluation, &version).await?;
    let plan = JobPlan {
        name: version.name,
        task: Task::Evaluate,
        kind: version.kind,
        priority: wanted.request.priority,
        device_slot: app.machine.device_slot(&evaluation.device),
        dataset_id: dataset.id,
        dataset_name: dataset.name,
        model: version.spec,
        evaluation: Some(serde_json::to_value(evaluation).map_err(Problem::internal)?),
        metadata: wanted.request.metadata.clone().into(),
        ..JobPlan::default()
    };
    wanted.admit(&app, plan).await
}

/// Names each classifier by its version, and sees that it can read the model's rows.
async fn pin_classifiers(
    app: &AppState,
    evaluation: &mut Evaluation,
    measured: &ModelVersion,
) -> Result<()> {
    for (i, metric) in evaluation.metrics.iter_mut().enumerate() {
        let Some(reference) = metric.classifier_mut() else {
            continue;
        };
        let pointer = format!("/metrics/{i}/classifier");
        let judge = app
            .find(reference)
            .await
            .map_err(|problem| problem.at(&pointer))?;
        if judge.input_shape != measured.input_shape {
            let (takes, makes) = (&judge.input_shape, &measured.input_shape);
            let rule = format!("takes rows of shape {takes:?}, the model makes {makes:?}");
            return Err(Problem::field(pointer, rule));
        }
        if !judge.capabilities.iter().any(|verb| verb == "predict") {
            return Err(Problem::field(pointer, "does not offer 'predict'"));
        }
        *reference = format!("{}:{}", judge.name, judge.version);
    }
    Ok(())
}
