//! From received files to a version: the manifest by its rules, the weights by their digest and their
//! numbers, both together by the model that they make. Then the file, then the row.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::upload::{Parts, ReceivedVersion};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::{AppState, blocking};
use crate::artifacts::Artifacts;
use crate::artifacts::bundle;
use crate::artifacts::inspect::{InspectError, Inspected, inspect};
use crate::clock::now_ms;
use crate::data::ImportError;
use crate::document;
use crate::inference::{ModelSource, Trial};
use crate::spec::Manifest;
use crate::spec::manifest::Incoming;
use crate::store::{ModelVersion, NewVersion};

/// What may be published, once its weights have made a model.
struct Checked {
    incoming: Incoming,
    weights: PathBuf,
    inspected: Inspected,
}

pub async fn publish(app: &AppState, received: ReceivedVersion) -> Result<ModelVersion> {
    let limit = app.limits.upload_bytes;
    let ReceivedVersion {
        folder,
        parts,
        name,
    } = received;
    let place = folder.path().join(bundle::WEIGHTS);
    let checked = blocking(move || check(parts, &place, name, limit)).await??;
    let Checked {
        incoming, weights, ..
    } = &checked;
    app.caller.require_model(&incoming.name)?;
    let source = ModelSource {
        name: incoming.name.clone(),
        version: 0,
        kind: incoming.family.kind.to_owned(),
        spec: incoming.spec.clone(),
        facts: incoming.facts.clone(),
        sha256: incoming.sha256.clone(),
    };
    let tried = app
        .engine
        .background()
        .trial_load(source, weights.clone())
        .await?;
    incoming
        .check_claims(tried.code_shape.as_ref(), tried.parameters)
        .map_err(Problem::fields)?;
    let new = new_version(&checked, &tried)?;
    let artifacts = app.artifacts.clone();
    let manifest = manifest_beside(&checked, &tried);
    let (weights, sha256) = (weights.clone(), incoming.sha256.clone());
    blocking(move || keep(&artifacts, &weights, &sha256, &manifest)).await??;
    let (name, kind) = (&incoming.name, incoming.family.kind);
    let number = app.store.import_version(name, kind, &new, now_ms()).await?;
    app.find(&format!("{name}:{number}")).await
}

/// All that can be checked without a tensor.
fn check(parts: Parts, place: &Path, name: Option<String>, limit: u64) -> Result<Checked> {
    let (manifest, weights) = match parts {
        Parts::Bundle(bundle) => {
            let manifest = bundle::unpack(&bundle, place, limit).map_err(unpacking)?;
            (manifest, place.to_owned())
        }
        Parts::Apart { weights, manifest } => {
            let manifest = fs::read(manifest).map_err(Problem::internal)?;
            (manifest, weights)
        }
    };
    let incoming = read_manifest(&manifest)?
        .validate(name)
        .map_err(Problem::fields)?;
    let inspected = inspect(&weights).map_err(|error| match error {
        InspectError::Unfit(detail) => Problem::field("/weights", detail),
        InspectError::Io(error) => Problem::internal(error),
    })?;
    if inspected.sha256 != incoming.sha256 {
        let found = &inspected.sha256;
        let rule = format!("is not that of the weights, which is {found}");
        return Err(Problem::field("/manifest/sha256", rule));
    }
    incoming
        .check_numbers(inspected.numbers)
        .map_err(|e| Problem::fields(vec![e]))?;
    Ok(Checked {
        incoming,
        weights,
        inspected,
    })
}

fn read_manifest(text: &[u8]) -> Result<Manifest> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|e| Problem::field("/manifest", format!("is not JSON: {e}")))?;
    document::read(&value, "/manifest").map_err(|e| Problem::fields(vec![e]))
}

fn unpacking(error: ImportError) -> Problem {
    let text = error.to_string();
    match error {
        ImportError::TooLarge { .. } => Problem::new(Code::TooLarge, format!("bundle: {text}")),
        ImportError::Io(error) => Problem::file(error),
        ImportError::Invalid(_)
        | ImportError::Faults(_)
        | ImportError::Unsupported(_)
        | ImportError::Option { .. } => Problem::field("/bundle", text),
    }
}

fn new_version(checked: &Checked, tried: &Trial) -> Result<NewVersion> {
    let Checked {
        incoming,
        inspected,
        ..
    } = checked;
    Ok(NewVersion {
        spec: incoming.spec.clone(),
        input_shape: incoming.facts.shape().to_vec(),
        code_shape: tried.code_shape.clone(),
        parameters: tried.parameters,
        capabilities: tried.capabilities.clone(),
        metrics: incoming.metrics.clone(),
        data: serde_json::to_value(&incoming.facts).map_err(Problem::internal)?,
        sha256: inspected.sha256.clone(),
        bytes: i64::try_from(inspected.bytes).unwrap_or(i64::MAX),
        provenance: incoming.provenance.clone(),
        warnings: Vec::new(),
    })
}

/// As beside the weights of a version that was trained here, but for what is not known of this one.
fn manifest_beside(checked: &Checked, tried: &Trial) -> Value {
    let Checked {
        incoming,
        inspected,
        ..
    } = checked;
    json!({
        "format": "latentd-manifest-1",
        "kind": incoming.family.kind,
        "spec": incoming.spec,
        "data": incoming.facts,
        "training": null,
        "weights": {
            "sha256": inspected.sha256,
            "bytes": inspected.bytes,
            "tensors": tried.tensors,
        },
        "metrics": incoming.metrics,
        "job": null,
        "created_at": now_ms(),
    })
}

/// The file gets its lasting name before the row that names it.
fn keep(artifacts: &Artifacts, weights: &Path, sha256: &str, manifest: &Value) -> Result<()> {
    artifacts.adopt(weights, sha256).map_err(Problem::file)?;
    // That of the run which made the same weights here says more.
    if !artifacts.has_manifest(sha256) {
        artifacts
            .put_manifest(sha256, manifest)
            .map_err(Problem::file)?;
    }
    Ok(())
}
