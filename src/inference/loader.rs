//! The thread that reads models from disk, so that those in memory go on answering meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use tch::Device;

use super::call::{Call, CallError, Input, Verb};
use super::door::{Command, Door};
use super::engine::{ModelSource, panic_text};
use super::registry::Loaded;
use crate::artifacts::{Artifacts, weights};
use crate::families::{Family, capabilities};
use crate::nn::Tensors;
use crate::nn::model::Model;
use crate::nn::options::{
    DecodeOptions, EncodeOptions, GenerateOptions, PredictOptions, ReconstructOptions, ScoreOptions,
};

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

/// Something else with models that are not in memory; it answers by itself, and throws nothing.
pub(super) type Errand = Box<dyn FnOnce(&Artifacts) + Send>;

enum Task {
    Load(Arc<ModelSource>),
    Errand(Errand),
}

/// A handle; the thread ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Loader(mpsc::Sender<Task>);

impl Loader {
    pub fn start(artifacts: Artifacts, device: Device, door: Arc<Door>) -> std::io::Result<Self> {
        let (wanted, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("model loader".to_owned())
            .spawn(move || {
                for task in inbox {
                    match task {
                        Task::Load(source) => {
                            let found = ready(&source, &artifacts, device);
                            door.command(Command::Arrived(source, found));
                        }
                        Task::Errand(errand) => errand(&artifacts),
                    }
                }
            })?;
        Ok(Self(wanted))
    }

    pub fn load(&self, source: Arc<ModelSource>) {
        // The thread lives as long as this handle: it catches what loading may throw.
        let _ = self.0.send(Task::Load(source));
    }

    pub fn run(&self, errand: Errand) {
        let _ = self.0.send(Task::Errand(errand));
    }
}

/// Loaded and warm: libtorch chooses and caches its kernels on the first calls.
fn ready(source: &ModelSource, artifacts: &Artifacts, device: Device) -> Result<Loaded, CallError> {
    let start = Instant::now();
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let (mut model, bytes) = load(source, artifacts, device)?;
        let bytes = bytes + model.pack();
        warm_up(model.as_ref(), source, device);
        Ok(Loaded { model, bytes })
    }))
    .unwrap_or_else(|panic| Err(CallError::Load(panic_text(panic.as_ref()))));
    metrics::histogram!("latentd_model_load_duration_seconds").record(start.elapsed());
    loaded
}

/// One row of zeros by every verb that needs no more; what one of them fails at, a client's call will tell.
fn warm_up(model: &dyn Model, source: &ModelSource, device: Device) {
    let labels = model.conditioned_on().map(|_| vec![0]);
    let row = |shape: &[i64]| {
        let width = shape.iter().product::<i64>();
        Input {
            rows: 1,
            values: vec![0.0; usize::try_from(width).unwrap_or(0)],
            labels: labels.clone(),
        }
    };
    for capability in capabilities(model) {
        let (verb, input) = match capability {
            "encode" => (
                Verb::Encode(EncodeOptions::default()),
                row(&source.facts.shape),
            ),
            "reconstruct" => (
                Verb::Reconstruct(ReconstructOptions::default()),
                row(&source.facts.shape),
            ),
            "score" => (
                Verb::Score(ScoreOptions::default()),
                row(&source.facts.shape),
            ),
            "predict" => (
                Verb::Predict(PredictOptions::default()),
                row(&source.facts.shape),
            ),
            "decode" => {
                let shape = model.code_shape().unwrap_or_default();
                (Verb::Decode(DecodeOptions::default()), row(&shape))
            }
            "generate" => {
                let options = GenerateOptions {
                    n: Some(1),
                    seed: Some(0),
                    ..GenerateOptions::default()
                };
                (Verb::Generate(options), Input::default())
            }
            _ => continue,
        };
        let _ = Call { verb, input }.apply(model, &source.facts, device);
    }
}
