//! Background tasks on stored versions: ONNX export, and the trial load of an import. They have a thread of their own
//! and load models of their own, so they delay neither inference nor loading.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tch::Device;
use tokio::sync::{Semaphore, oneshot};

use super::admission::{delayed, rejection};
use super::loader::load;
use super::source::ModelSource;
use crate::artifacts::{Artifacts, weights};
use crate::families::Family;
use crate::nn::Tensors;
use crate::nn::graph::GraphVerb;
use crate::onnx::Label;
use crate::panics::panic_text;
use crate::verbs::Model;
use crate::verbs::call::CallError;
use crate::verbs::capabilities;

/// It sends its own answer, and does not panic.
type BackgroundTask = Box<dyn FnOnce(&Artifacts) + Send>;

/// A handle; the thread ends when it is dropped.
pub struct BackgroundTasks {
    tx: mpsc::Sender<BackgroundTask>,
    /// Milliseconds that the last task took.
    last_ms: Arc<AtomicU64>,
}

/// Tasks that may wait, over all models: each holds a whole model while it runs.
const MOST_WAITING: usize = 16;
static PERMITS: Semaphore = Semaphore::const_new(MOST_WAITING);

/// A model that imported weights make.
#[derive(Debug)]
pub struct Trial {
    pub code_shape: Option<Vec<i64>>,
    pub parameters: i64,
    pub capabilities: Vec<String>,
    /// Shape of each tensor, by name.
    pub tensors: BTreeMap<String, Vec<i64>>,
}

impl BackgroundTasks {
    pub(super) fn start(artifacts: Artifacts) -> std::io::Result<Self> {
        let (tx, rx) = mpsc::channel::<BackgroundTask>();
        let last_ms = Arc::new(AtomicU64::new(0));
        let last = Arc::clone(&last_ms);
        std::thread::Builder::new()
            .name("background".to_owned())
            .spawn(move || {
                for task in rx {
                    let start = Instant::now();
                    task(&artifacts);
                    let took = u64::try_from(start.elapsed().as_millis());
                    last.store(took.unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            })?;
        Ok(Self { tx, last_ms })
    }

    /// Runs `work` on the thread. Rejected, after a delay, where too many tasks wait.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Artifacts) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let Ok(permit) = PERMITS.try_acquire() else {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            return Err(delayed(rejection(MOST_WAITING, last)).await);
        };
        let (answer, result) = oneshot::channel();
        let task: BackgroundTask = Box::new(move |artifacts| {
            let _permit = permit;
            // A caller who left before the turn costs nothing.
            if answer.is_closed() {
                return;
            }
            // libtorch reports errors by panicking, which must not end the thread.
            let done = catch_unwind(AssertUnwindSafe(|| work(artifacts)));
            let done = done.map_err(|panic| CallError::Failed(panic_text(panic.as_ref())));
            let _ = answer.send(done);
        });
        // The thread lives as long as this handle.
        let _ = self.tx.send(task);
        result.await.unwrap_or(Err(CallError::Closed))
    }

    /// The ONNX file of what a verb of a model computes.
    pub async fn graph(
        &self,
        source: Arc<ModelSource>,
        verb: String,
    ) -> Result<Vec<u8>, CallError> {
        self.run(move |artifacts| graph(&source, &verb, artifacts))
            .await?
    }

    /// Loads weights from a file of their own, and drops the model again. The file must have every tensor of the
    /// model, and no other.
    pub async fn trial_load(&self, source: ModelSource, file: PathBuf) -> Result<Trial, CallError> {
        self.run(move |_| trial(&source, &file)).await?
    }
}

fn graph(source: &ModelSource, verb: &str, artifacts: &Artifacts) -> Result<Vec<u8>, CallError> {
    let _guard = tch::no_grad_guard();
    let (model, _) = load(source, artifacts, Device::Cpu)?;
    let known = GraphVerb::ALL.into_iter().find(|v| v.name() == verb);
    let graph = known.and_then(|verb| model.graph(verb));
    let graph = graph.ok_or_else(|| CallError::NoGraph(refusal(model.as_ref(), verb)))?;
    graph
        .to_file(&label(source, verb))
        .map_err(|e| CallError::NoGraph(e.to_string()))
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

fn trial(source: &ModelSource, file: &Path) -> Result<Trial, CallError> {
    let family = Family::find(&source.kind)
        .ok_or_else(|| CallError::Load("its family is not known".to_owned()))?;
    let bytes = std::fs::read(file).map_err(|e| CallError::Load(e.to_string()))?;
    let unfit = |e: &dyn std::fmt::Display| CallError::Unfit(e.to_string());
    let (given, _): (Tensors, serde_json::Value) =
        weights::decode(&bytes).map_err(|e| unfit(&e))?;
    drop(bytes);
    let model =
        (family.load)(&source.spec, &source.facts, &given, Device::Cpu).map_err(|e| unfit(&e))?;
    let own = model.tensors();
    if let Some(name) = given.keys().find(|&name| !own.contains_key(name)) {
        return Err(unfit(&format_args!(
            "tensor '{name}' is none of this model's"
        )));
    }
    let count = |t: &tch::Tensor| i64::try_from(t.numel()).unwrap_or(i64::MAX);
    Ok(Trial {
        code_shape: model.code_shape(),
        parameters: own.values().map(count).sum(),
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
