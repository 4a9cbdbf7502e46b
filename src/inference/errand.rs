//! What is asked of a version on disk, not of the model in memory: its graph, and whether weights from outside
//! make a model. A thread of its own does it, so that neither calls nor loads wait for it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tch::Device;
use tokio::sync::{Semaphore, oneshot};

use super::door::full;
use super::engine::{Engine, ModelSource, hold_back, panic_text};
use super::loader::load;
use crate::artifacts::{Artifacts, weights};
use crate::families::Family;
use crate::nn::Tensors;
use crate::nn::graph::GraphVerb;
use crate::nn::model::Model;
use crate::onnx::Label;
use crate::verbs::call::CallError;
use crate::verbs::capabilities;

/// It answers by itself, and throws nothing.
type Errand = Box<dyn FnOnce(&Artifacts) + Send>;

/// A handle; the thread ends when it is dropped.
pub(super) struct Errands {
    inbox: mpsc::Sender<Errand>,
    /// Milliseconds that the last one took.
    last: Arc<AtomicU64>,
}

impl Errands {
    pub fn start(artifacts: Artifacts) -> std::io::Result<Self> {
        let (wanted, inbox) = mpsc::channel::<Errand>();
        let last = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&last);
        std::thread::Builder::new()
            .name("errands".to_owned())
            .spawn(move || {
                for errand in inbox {
                    let start = Instant::now();
                    errand(&artifacts);
                    let took = u64::try_from(start.elapsed().as_millis());
                    told.store(took.unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            })?;
        Ok(Self {
            inbox: wanted,
            last,
        })
    }
}

/// Errands that may wait, over all models: each holds a whole model while it runs.
const MOST_WAITING: usize = 16;
static PLACES: Semaphore = Semaphore::const_new(MOST_WAITING);

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
    pub async fn graph(
        &self,
        source: Arc<ModelSource>,
        verb: String,
    ) -> Result<Vec<u8>, CallError> {
        self.errand(move |artifacts| drawn(&source, &verb, artifacts))
            .await
    }

    /// Loads weights that lie in a file of their own, and drops the model again. Every tensor that the
    /// model has must be there, and no other.
    pub async fn try_out(&self, source: ModelSource, file: PathBuf) -> Result<Tried, CallError> {
        self.errand(move |_| tried(&source, &file)).await
    }

    /// Any other work that makes tensors of what is stored. Refused at once where too many wait.
    pub async fn errand<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Artifacts) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let Ok(place) = PLACES.try_acquire() else {
            let last = Duration::from_millis(self.errands().last.load(Ordering::Relaxed));
            hold_back().await;
            return Err(full(MOST_WAITING, last));
        };
        let (answer, done) = oneshot::channel();
        let errand: Errand = Box::new(move |artifacts| {
            let _place = place;
            // Whoever left before the turn costs nothing.
            if !answer.is_closed() {
                let _ = answer.send(fenced(|| work(artifacts)));
            }
        });
        // The thread lives as long as this handle.
        let _ = self.errands().inbox.send(errand);
        done.await.unwrap_or(Err(CallError::Closed))
    }
}

/// libtorch reports errors by panicking; one errand must not take the thread with it.
fn fenced<T>(work: impl FnOnce() -> Result<T, CallError>) -> Result<T, CallError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(CallError::Failed(panic_text(panic.as_ref()))))
}

fn drawn(source: &ModelSource, verb: &str, artifacts: &Artifacts) -> Result<Vec<u8>, CallError> {
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

fn tried(source: &ModelSource, file: &Path) -> Result<Tried, CallError> {
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
    Ok(Tried {
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
