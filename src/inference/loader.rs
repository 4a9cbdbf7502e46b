//! The loader thread reads models from disk while those in memory go on answering.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use tch::Device;

use super::loaded_model::LoadedModel;
use super::scheduler::{Command, Scheduler};
use super::source::ModelSource;
use crate::artifacts::{Artifacts, weights};
use crate::families::Family;
use crate::nn::Tensors;
use crate::panics::panic_text;
use crate::verbs::{self, CallError, Model};

/// Reads the model of a version from disk. Returns it with the bytes of its weights.
pub fn load(
    source: &ModelSource,
    artifacts: &Artifacts,
    device: Device,
) -> Result<(Box<dyn Model>, usize), CallError> {
    let fail = |e: &dyn std::fmt::Display| CallError::Load(e.to_string());
    let family = Family::find(&source.kind).ok_or_else(|| fail(&"its family is not known"))?;
    let bytes = artifacts
        .get(&source.sha256)
        .map_err(|error| match error.is_damage() {
            true => CallError::Damaged(error.to_string()),
            false => fail(&error),
        })?;
    let (tensors, _): (Tensors, serde_json::Value) =
        weights::decode(&bytes).map_err(|e| fail(&e))?;
    let model =
        (family.load)(&source.spec, &source.facts, &tensors, device).map_err(|e| fail(&e))?;
    Ok((model, bytes.len()))
}

/// A handle; the thread ends when it is dropped.
pub(super) struct Loader(mpsc::Sender<Arc<ModelSource>>);

impl Loader {
    pub fn start(
        artifacts: Artifacts,
        device: Device,
        scheduler: Arc<Scheduler>,
    ) -> std::io::Result<Self> {
        let (tx, rx) = mpsc::channel::<Arc<ModelSource>>();
        std::thread::Builder::new()
            .name("model loader".to_owned())
            .spawn(move || {
                for source in rx {
                    let found = ready(&source, &artifacts, device);
                    scheduler.command(Command::Loaded(source, found));
                }
            })?;
        Ok(Self(tx))
    }

    pub fn load(&self, source: Arc<ModelSource>) {
        // The thread lives as long as this handle: it catches panics.
        let _ = self.0.send(source);
    }
}

/// Loaded and warm: libtorch chooses and caches its kernels on the first calls.
fn ready(
    source: &ModelSource,
    artifacts: &Artifacts,
    device: Device,
) -> Result<LoadedModel, CallError> {
    let start = Instant::now();
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let (mut model, bytes) = load(source, artifacts, device)?;
        let packed = model.pack();
        verbs::warm_up(model.as_ref(), &source.facts, device);
        Ok(LoadedModel::new(model, bytes, packed))
    }))
    .unwrap_or_else(|panic| Err(CallError::Load(panic_text(panic.as_ref()))));
    metrics::histogram!("latentd_model_load_duration_seconds").record(start.elapsed());
    loaded
}
