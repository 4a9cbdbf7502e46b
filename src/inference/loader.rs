//! The thread that reads models from disk, so that those in memory go on answering meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::door::{Command, Door};
use super::engine::{ModelSource, panic_text};
use super::resident::Resident;
use crate::artifacts::{Artifacts, weights};
use crate::families::Family;
use crate::nn::Tensors;
use crate::nn::model::Model;
use crate::nn::options::{
    DecodeOptions, EncodeOptions, PredictOptions, ReconstructOptions, ScoreOptions,
};
use crate::nn::rng::Rng;
use crate::verbs::call::{Call, CallError, Input, Verb};
use crate::verbs::capabilities;

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

/// A handle; the thread ends when it is dropped.
pub(super) struct Loader(mpsc::Sender<Arc<ModelSource>>);

impl Loader {
    pub fn start(artifacts: Artifacts, device: Device, door: Arc<Door>) -> std::io::Result<Self> {
        let (wanted, inbox) = mpsc::channel::<Arc<ModelSource>>();
        std::thread::Builder::new()
            .name("model loader".to_owned())
            .spawn(move || {
                for source in inbox {
                    let found = ready(&source, &artifacts, device);
                    door.command(Command::Arrived(source, found));
                }
            })?;
        Ok(Self(wanted))
    }

    pub fn load(&self, source: Arc<ModelSource>) {
        // The thread lives as long as this handle: it catches what loading may throw.
        let _ = self.0.send(source);
    }
}

/// Loaded and warm: libtorch chooses and caches its kernels on the first calls.
fn ready(
    source: &ModelSource,
    artifacts: &Artifacts,
    device: Device,
) -> Result<Resident, CallError> {
    let start = Instant::now();
    let resident = catch_unwind(AssertUnwindSafe(|| {
        let (mut model, bytes) = load(source, artifacts, device)?;
        let packed = model.pack();
        warm_up(model.as_ref(), source, device);
        Ok(Resident::new(model, bytes, packed))
    }))
    .unwrap_or_else(|panic| Err(CallError::Load(panic_text(panic.as_ref()))));
    metrics::histogram!("latentd_model_load_duration_seconds").record(start.elapsed());
    resident
}

/// One row of zeros by every verb that needs no more, and one sample; what one of them fails at, a client's call
/// will tell. Samples are drawn as for a look in passing: whole Gibbs chains would take longer than the load.
fn warm_up(model: &dyn Model, source: &ModelSource, device: Device) {
    let _guard = tch::no_grad_guard();
    let labels = model.conditioned_on().map(|_| vec![0]);
    for capability in capabilities(model) {
        let verb = match capability {
            "encode" => Verb::Encode(EncodeOptions::default()),
            "reconstruct" => Verb::Reconstruct(ReconstructOptions::default()),
            "score" => Verb::Score(ScoreOptions::default()),
            "predict" => Verb::Predict(PredictOptions::default()),
            "decode" => Verb::Decode(DecodeOptions::default()),
            _ => continue,
        };
        let shape = match (&verb, model.code_shape()) {
            (Verb::Decode(_), Some(code)) => code,
            _ => source.facts.shape().to_vec(),
        };
        let width = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
        let input = Input {
            rows: 1,
            values: vec![0.0; width],
            labels: labels.clone(),
        };
        let _ = Call { verb, input }.apply(model, &source.facts, device);
    }
    if let Some(sampler) = model.sampler() {
        let classes = model.conditioned_on().or_else(|| sampler.classes());
        let label = classes.map(|_| Tensor::zeros([1], (Kind::Int64, device)));
        let _ = sampler.preview(1, label.as_ref(), &mut Rng::at(0, &[]));
    }
}
