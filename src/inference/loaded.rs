//! The models in memory: loaded once, the least recently used dropped when they outgrow their budget.

use tch::Device;

use super::call::CallError;
use super::engine::ModelSource;
use crate::artifacts::{Artifacts, weights};
use crate::families::Family;
use crate::nn::Tensors;
use crate::nn::model::Model;

struct Entry {
    name: String,
    version: i64,
    sha256: String,
    bytes: usize,
    model: Box<dyn Model>,
}

/// The model of a version, read from disk, and the bytes of its weights.
pub fn load(
    source: &ModelSource,
    artifacts: &Artifacts,
    device: Device,
) -> Result<(Box<dyn Model>, usize), CallError> {
    let fail = |e: &dyn std::fmt::Display| CallError::Load(e.to_string());
    let family = Family::find(&source.kind).ok_or_else(|| fail(&"its family is not known"))?;
    let bytes = artifacts.get(&source.sha256).map_err(|e| fail(&e))?;
    let (tensors, _): (Tensors, serde_json::Value) =
        weights::decode(&bytes).map_err(|e| fail(&e))?;
    let model =
        (family.load)(&source.spec, &source.facts, &tensors, device).map_err(|e| fail(&e))?;
    Ok((model, bytes.len()))
}

/// Most recently used last.
pub struct LoadedModels {
    entries: Vec<Entry>,
    artifacts: Artifacts,
    budget: usize,
    device: Device,
}

impl LoadedModels {
    pub fn new(artifacts: Artifacts, budget: usize, device: Device) -> Self {
        Self {
            entries: Vec::new(),
            artifacts,
            budget,
            device,
        }
    }

    /// The model of a version, from memory or from disk.
    pub fn get(&mut self, source: &ModelSource) -> Result<&dyn Model, CallError> {
        let same = |e: &Entry| {
            e.name == source.name && e.version == source.version && e.sha256 == source.sha256
        };
        let entry = match self.entries.iter().position(same) {
            Some(at) => self.entries.remove(at),
            None => self.load(source)?,
        };
        self.make_room(entry.bytes);
        self.entries.push(entry);
        match self.entries.last() {
            Some(entry) => Ok(entry.model.as_ref()),
            None => Err(CallError::Load("it was dropped at once".to_owned())),
        }
    }

    fn make_room(&mut self, bytes: usize) {
        let mut used: usize = self.entries.iter().map(|e| e.bytes).sum();
        while !self.entries.is_empty() && used + bytes > self.budget {
            used -= self.entries.remove(0).bytes;
        }
    }

    fn load(&self, source: &ModelSource) -> Result<Entry, CallError> {
        let (model, bytes) = load(source, &self.artifacts, self.device)?;
        tracing::info!(
            model = source.name,
            version = source.version,
            bytes,
            "model loaded"
        );
        Ok(Entry {
            name: source.name.clone(),
            version: source.version,
            sha256: source.sha256.clone(),
            bytes,
            model,
        })
    }
}
