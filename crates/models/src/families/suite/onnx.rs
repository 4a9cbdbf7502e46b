//! What a graph computes is what the verb answers: with onnxruntime, where there is one
//! (`LATENTD_ONNX_PYTHON` names a Python that has it). That graphs are sound is seen without it.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use prost::Message;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::Tried;
use super::trial::{Trial, bytes_of, trials};
use crate::artifacts::weights;
use crate::families::Family;
use crate::nn::Tensors;
use crate::nn::graph::GraphVerb;
use crate::nn::model::{DataFacts, Rows};
use crate::nn::rng::Rng;
use crate::onnx::Label;
use crate::onnx::proto::{GraphProto, ModelProto, ValueInfoProto};
use crate::train::Cursor;
use crate::train::settings::Training;
use crate::verbs::{
    DecodeOptions, EncodeOptions, Input, Model, Operation, PredictOptions, ReconstructOptions,
    capabilities,
};

const ROWS: usize = 7;

/// A model, and rows it can be asked of.
struct Case {
    name: String,
    model: Box<dyn Model>,
    facts: DataFacts,
    /// `[ROWS, features]`.
    x: Tensor,
}

/// Every net of the suite, trained a little, so that no weight or statistic is what it started as.
fn trained() -> Result<Vec<Case>, Box<dyn Error>> {
    let indices: Vec<u32> = (0..u32::try_from(ROWS)?).collect();
    let mut cases = Vec::new();
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = 1;
        let mut learner = trial.learner()?;
        trial.fit(learner.as_mut(), Cursor::default(), None)?;
        cases.push(Case {
            name: small.name.to_owned(),
            model: loaded(trial.family, &trial.spec, &digits.facts, learner.model())?,
            facts: digits.facts.clone(),
            x: (digits.test.batch(&indices, Device::Cpu)?.rows()).shallow_clone(),
        });
    }
    Ok(cases)
}

/// Nets on data of other shapes and ranges than the digits', with their first weights.
fn untrained() -> Result<Vec<Case>, Box<dyn Error>> {
    let unit = (0.0, 1.0);
    let odd = [2, 7, 9].as_slice();
    let specs = [
        (
            odd,
            unit,
            json!({"kind": "autoencoder", "channels": [3, 4], "hidden": [6], "code": 5, "activation": "gelu"}),
        ),
        (
            odd,
            (-3.0, 5.0),
            json!({"kind": "autoencoder", "channels": [3, 4], "hidden": [], "code": 5, "activation": "silu",
                "tied": true}),
        ),
        (
            odd,
            (-3.0, 5.0),
            json!({"kind": "vae", "channels": [3, 4, 2], "hidden": [6], "latent": 5, "conditional": true}),
        ),
        (
            odd,
            (-3.0, 5.0),
            json!({"kind": "gan", "latent": 6, "architecture": "dcgan", "channels": [4, 3], "conditional": true,
                "conditioning": "concat"}),
        ),
        (
            odd,
            unit,
            json!({"kind": "mlp", "channels": [3, 4], "hidden": [], "batch_norm": true, "activation": "elu"}),
        ),
        (
            &[6],
            (-40.0, 90.0),
            json!({"kind": "vae", "hidden": [7], "latent": 3, "activation": "tanh"}),
        ),
        (
            &[6],
            unit,
            json!({"kind": "gan", "latent": 6, "hidden": [5], "conditional": true}),
        ),
        (
            &[6],
            (-40.0, 90.0),
            json!({"kind": "autoencoder", "hidden": [7], "code": 3, "activation": "leaky_relu", "tied": true}),
        ),
        (
            &[6],
            unit,
            json!({"kind": "mlp", "hidden": [], "task": "classification"}),
        ),
        (&[6], unit, json!({"kind": "dbn", "hidden": [5]})),
    ];
    let mut cases = Vec::new();
    for (shape, range, model) in specs {
        let facts = DataFacts::new(shape, range).with_classes(Some(4));
        let kind = model["kind"].as_str().unwrap_or_default();
        let family = Family::find(kind).ok_or("no such family")?;
        let spec = (family.normalise)(&model).map_err(|e| format!("{e:?}"))?;
        let training = Training::of(&family.training_defaults, 1);
        let broken = (family.check)(&spec, &training, &facts);
        assert!(broken.is_empty(), "{model}: {broken:?}");
        let learner = (family.learner)(&spec, &training, &facts, Device::Cpu)?;
        let uniform = Rng::at(5, &[]).uniform(&[ROWS as i64, facts.features()], Device::Cpu);
        cases.push(Case {
            name: format!("{shape:?} {model}"),
            model: loaded(family, &spec, &facts, learner.model())?,
            x: uniform * (range.1 - range.0) + range.0,
            facts,
        });
    }
    Ok(cases)
}

/// As it is served: from its weights, in f32.
fn loaded(
    family: &Family,
    spec: &Value,
    facts: &DataFacts,
    model: &dyn Model,
) -> Result<Box<dyn Model>, Box<dyn Error>> {
    let (tensors, _): (Tensors, String) = weights::decode(&bytes_of(model)?)?;
    Ok((family.load)(spec, facts, &tensors, Device::Cpu)?)
}

/// A tensor that goes in or comes out, by name: `[ROWS, …]`.
type Named = Vec<(String, Tensor)>;

impl Case {
    /// What the verb is asked, and what it answers.
    fn asked(&self, verb: GraphVerb) -> Result<(Named, Named), Box<dyn Error>> {
        let classes = self.model.conditioned_on();
        let labels: Option<Vec<i64>> =
            classes.map(|classes| (0..ROWS as i64).map(|i| (i * 3 + 1) % classes).collect());
        let code: i64 = self
            .model
            .code_shape()
            .map_or(0, |shape| shape.iter().product());
        let z = Rng::at(6, &[]).uniform(&[ROWS as i64, code], Device::Cpu);
        let (name, x) = match verb {
            GraphVerb::Decode => ("code", z),
            GraphVerb::Generate => ("latent", z * 4.0 - 2.0),
            _ => ("inputs", self.x.shallow_clone()),
        };
        let mut given = vec![(name.to_owned(), x.shallow_clone())];
        if let Some(labels) = &labels {
            given.push(("labels".to_owned(), Tensor::from_slice(labels)));
        }
        let answer = match verb {
            GraphVerb::Encode => self.call(Operation::of(EncodeOptions::default()), &x, labels)?,
            GraphVerb::Decode => self.call(Operation::of(DecodeOptions::default()), &x, labels)?,
            GraphVerb::Reconstruct => {
                let operation = Operation::of(ReconstructOptions::default());
                let mut answer = self.call(operation, &x, labels)?;
                answer.retain(|(name, _)| name != "errors");
                answer
            }
            GraphVerb::Predict => {
                self.call(Operation::of(PredictOptions::default()), &x, labels)?
            }
            GraphVerb::Generate => {
                let labels = labels.map(|labels| Tensor::from_slice(&labels));
                let decoder = self.model.decoder().ok_or("no decoder")?;
                let rows = tch::no_grad(|| decoder.decode(&Rows { x, labels }));
                vec![("outputs".to_owned(), rows)]
            }
        };
        Ok((given, answer))
    }

    /// The answer of a verb as it is over HTTP, each part under its name in the graph.
    fn call(
        &self,
        operation: Operation,
        x: &Tensor,
        labels: Option<Vec<i64>>,
    ) -> Result<Named, Box<dyn Error>> {
        let input = Input {
            rows: ROWS,
            values: Vec::try_from(&x.reshape([-1]))?,
            labels,
        };
        let call = operation.on(input);
        let main = match call.verb() {
            "encode" => "code",
            "predict" => "values",
            _ => "outputs",
        };
        let reply = call.apply(self.model.as_ref(), &self.facts, Device::Cpu)?;
        let rows = |values: &[f32]| Tensor::from_slice(values).view([ROWS as i64, -1]);
        let extras = reply
            .extras
            .iter()
            .map(|extra| (extra.name.to_owned(), rows(&extra.values)));
        let mut parts: Named = extras.collect();
        match reply.labels {
            // Probabilities are among the extras.
            Some(labels) => parts.push(("labels".to_owned(), Tensor::from_slice(&labels))),
            None => parts.push((main.to_owned(), rows(&reply.output.values))),
        }
        Ok(parts)
    }
}

/// Every value is there before it is used, no name stands for two things, and what goes in and comes out
/// has the shapes that the verb has.
fn check_sound(at: &str, graph: &GraphProto, given: &Named, answer: &Named) {
    let mut known = BTreeSet::new();
    let inputs = graph.input.iter().map(|port| &port.name);
    let weights = graph.initializer.iter().map(|weight| &weight.name);
    for name in inputs.chain(weights) {
        assert!(known.insert(name.clone()), "{at}: '{name}' twice");
    }
    let mut used = BTreeSet::new();
    for node in &graph.node {
        for name in &node.input {
            assert!(known.contains(name), "{at}: {} before '{name}'", node.name);
            used.insert(name.clone());
        }
        for name in &node.output {
            assert!(known.insert(name.clone()), "{at}: '{name}' twice");
        }
    }
    let unused: Vec<&String> = graph
        .initializer
        .iter()
        .map(|weight| &weight.name)
        .filter(|&name| !used.contains(name))
        .collect();
    assert!(unused.is_empty(), "{at}: {unused:?} are used by nothing");
    for weight in &graph.initializer {
        let numbers: i64 = weight.dims.iter().product();
        let size = if weight.data_type == 1 { 4 } else { 8 };
        assert_eq!(
            weight.raw_data.len() as i64,
            numbers * size,
            "{at}: {}",
            weight.name
        );
    }
    for (ports, named) in [(&graph.input, given), (&graph.output, answer)] {
        let mut named: Vec<_> = named
            .iter()
            .map(|(name, tensor)| described(name, tensor))
            .collect();
        let mut found: Vec<_> = ports.iter().map(declared).collect();
        named.sort();
        found.sort();
        assert_eq!(found, named, "{at}");
        assert!(ports.iter().all(|port| known.contains(&port.name)), "{at}");
    }
}

/// Name, element and dimensions.
type Port = (String, i32, Vec<String>);

fn described(name: &str, tensor: &Tensor) -> Port {
    let element = if tensor.kind() == Kind::Int64 { 7 } else { 1 };
    let batch = std::iter::once("batch".to_owned());
    let row = tensor.size().into_iter().skip(1).map(|d| d.to_string());
    (name.to_owned(), element, batch.chain(row).collect())
}

fn declared(port: &ValueInfoProto) -> Port {
    let tensor = port
        .r#type
        .clone()
        .and_then(|t| t.tensor_type)
        .unwrap_or_default();
    let dims = tensor.shape.unwrap_or_default().dim.into_iter();
    let shown = dims.map(|dim| match (dim.dim_param, dim.dim_value) {
        (Some(name), None) => name,
        (None, Some(length)) => length.to_string(),
        other => format!("{other:?}"),
    });
    (port.name.clone(), tensor.elem_type, shown.collect())
}

/// Files for `tests/onnx/check.py`: `<case>/model.onnx`, `in.<name>.npy`, `out.<name>.npy`.
fn write(folder: &Path, title: &str, file: &[u8], given: &Named, answer: &Named) -> Tried {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("title"), title)?;
    std::fs::write(folder.join("model.onnx"), file)?;
    for (way, named) in [("in", given), ("out", answer)] {
        for (name, tensor) in named {
            tensor.write_npy(folder.join(format!("{way}.{name}.npy")))?;
        }
    }
    Ok(())
}

#[test]
fn graphs_compute_what_the_verbs_answer() -> Tried {
    let folder = tempfile::tempdir()?;
    let mut cases = trained()?;
    cases.extend(untrained()?);
    for (i, case) in cases.iter().enumerate() {
        let offered = capabilities(case.model.as_ref());
        for verb in GraphVerb::ALL {
            let at = format!("{}, {}", case.name, verb.name());
            let Some(graph) = case.model.graph(verb) else {
                // Only Gibbs sampling has to draw numbers on the way.
                let may_lack = verb == GraphVerb::Generate || !offered.contains(&verb.name());
                assert!(may_lack, "{at}: no graph");
                continue;
            };
            assert!(offered.contains(&verb.name()), "{at}: not offered");
            let file = graph.to_file(&Label {
                name: verb.name().to_owned(),
                facts: vec![("case", at.clone())],
            })?;
            let read = ModelProto::decode(file.as_slice())?
                .graph
                .ok_or("no graph")?;
            let (given, answer) = case.asked(verb)?;
            check_sound(&at, &read, &given, &answer);
            let own = case.model.tensors();
            let named = |name: &str| own.contains_key(name) || name.starts_with("constant.");
            assert!(
                read.initializer.iter().all(|weight| named(&weight.name)),
                "{at}"
            );
            let place = folder.path().join(format!("{i:03}-{}", verb.name()));
            write(&place, &at, &file, &given, &answer)?;
        }
    }
    match std::env::var_os("LATENTD_ONNX_PYTHON") {
        Some(python) => run_them(&python, folder.path()),
        None => {
            println!(
                "skipped: the graphs are sound, but LATENTD_ONNX_PYTHON names no Python to run them with"
            );
            Ok(())
        }
    }
}

fn run_them(python: &OsString, folder: &Path) -> Tried {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/check.py");
    let ran = Command::new(python).arg(script).arg(folder).output()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    let complained = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{complained}");
    Ok(())
}
