//! What else the thread that owns the tensors is asked for: a model's graph, and whether weights from
//! outside make a model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tch::Device;
use tokio::sync::oneshot;

use super::call::CallError;
use super::engine::{Engine, ModelSource, Work, fence};
use super::loaded::LoadedModels;
use crate::artifacts::weights;
use crate::families::{Family, capabilities};
use crate::nn::Tensors;
use crate::nn::graph::GraphVerb;
use crate::nn::model::Model;
use crate::onnx::Label;

/// What a model turned out to be that weights from outside have made.
#[derive(Debug)]
pub struct Tried {
    pub code_shape: Option<Vec<i64>>,
    pub parameters: i64,
    pub capabilities: Vec<String>,
    /// Shape of each tensor, by name.
    pub tensors: BTreeMap<String, Vec<i64>>,
}

impl Engine {
    /// What a verb of a model computes, as the bytes of an ONNX file.
    pub async fn graph(&self, source: ModelSource, verb: String) -> Result<Vec<u8>, CallError> {
        let draw = move |models: &mut LoadedModels, _| {
            let _guard = tch::no_grad_guard();
            let model = models.get(&source)?;
            let known = GraphVerb::ALL.into_iter().find(|v| v.name() == verb);
            let graph = known.and_then(|verb| model.graph(verb));
            let graph = graph.ok_or_else(|| CallError::NoGraph(refusal(model, &verb)))?;
            graph
                .to_file(&label(&source, &verb))
                .map_err(|e| CallError::NoGraph(e.to_string()))
        };
        self.errand(draw).await
    }

    /// Loads weights that lie in a file of their own, and drops the model again. Every tensor that the
    /// model has must be there, and no other.
    pub async fn try_out(&self, source: ModelSource, file: PathBuf) -> Result<Tried, CallError> {
        self.errand(move |_, device| tried(&source, &file, device))
            .await
    }

    /// As for a call, the queue may be full.
    async fn errand<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut LoadedModels, Device) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let (answer, done) = oneshot::channel();
        self.admit(Work::Errand(Box::new(move |models, device| {
            // Whoever left before the turn costs nothing.
            if !answer.is_closed() {
                let _ = answer.send(fence(|| work(models, device)));
            }
        })))?;
        done.await.unwrap_or(Err(CallError::Closed))
    }
}

fn refusal(model: &dyn Model, verb: &str) -> String {
    let exported: Vec<&str> = GraphVerb::ALL
        .into_iter()
        .filter(|&verb| model.graph(verb).is_some())
        .map(GraphVerb::name)
        .collect();
    format!(
        "'{verb}' of this model cannot be exported; those that can: {}",
        exported.join(", ")
    )
}

fn label(source: &ModelSource, verb: &str) -> Label {
    Label {
        name: format!("{}-{}-{verb}", source.name, source.version),
        facts: vec![
            ("model", source.name.clone()),
            ("version", source.version.to_string()),
            ("kind", source.kind.clone()),
            ("verb", verb.to_owned()),
            ("sha256", source.sha256.clone()),
        ],
    }
}

fn tried(source: &ModelSource, file: &PathBuf, device: Device) -> Result<Tried, CallError> {
    let family = Family::find(&source.kind)
        .ok_or_else(|| CallError::Load("its family is not known".to_owned()))?;
    let bytes = std::fs::read(file).map_err(|e| CallError::Load(e.to_string()))?;
    let unfit = |e: &dyn std::fmt::Display| CallError::Unfit(e.to_string());
    let (given, _): (Tensors, serde_json::Value) =
        weights::decode(&bytes).map_err(|e| unfit(&e))?;
    let model =
        (family.load)(&source.spec, &source.facts, &given, device).map_err(|e| unfit(&e))?;
    let own = model.tensors();
    if let Some(name) = given.keys().find(|&name| !own.contains_key(name)) {
        return Err(unfit(&format_args!(
            "tensor '{name}' is none of this model's"
        )));
    }
    Ok(Tried {
        code_shape: model.code_shape(),
        parameters: own
            .values()
            .map(|t| i64::try_from(t.numel()).unwrap_or(i64::MAX))
            .sum(),
        capabilities: capabilities(model.as_ref())
            .into_iter()
            .map(str::to_owned)
            .collect(),
        tensors: own
            .iter()
            .map(|(name, t)| (name.clone(), t.size()))
            .collect(),
    })
}
