//! The tests that every family passes, on the built-in digits and without HTTP. A new family is covered
//! by its line in [`table`].

use std::error::Error;
use std::rc::Rc;

use serde_json::{Value, json};
use tch::Device;

use super::{FAMILIES, Family, capabilities};
use crate::artifacts::weights;
use crate::data::SplitFiles;
use crate::data::digits::write_digits;
use crate::data::import::sink::{ColumnSink, TargetSink};
use crate::data::rows::RowFile;
use crate::data::split::Split;
use crate::inference::{Call, Input, Reply, Verb};
use crate::nn::Tensors;
use crate::nn::model::{DataFacts, Model};
use crate::nn::optimizer::Rule;
use crate::nn::options::{
    DecodeOptions, DenoiseOptions, EncodeOptions, Endpoint, GenerateOptions, InpaintOptions,
    InterpolateOptions, PredictOptions, ReconstructOptions, ScoreOptions,
};
use crate::train::epoch_loop::Progress;
use crate::train::settings::Precision;
use crate::train::{
    Cursor, Halt, Learner, Observer, Outcome, Report, Request, Run, Snapshot, Training, fit,
};

type Tried = Result<(), Box<dyn Error>>;

/// A net small enough to be trained in a moment.
struct Small {
    /// What a failing test calls it.
    name: &'static str,
    model: Value,
    /// Changes of the family's own training settings.
    settings: fn(&mut Training),
    /// A metric of the test split that must end below this bound.
    learns: (&'static str, f64),
}

fn table() -> Vec<Small> {
    vec![
        Small {
            name: "pca",
            model: json!({"kind": "pca", "code": 8}),
            settings: |t| t.batch_size = 50,
            learns: ("reconstruction_mse", 0.03),
        },
        Small {
            name: "pca, whitened",
            model: json!({"kind": "pca", "code": 8, "whiten": true}),
            settings: |t| t.batch_size = 50,
            learns: ("reconstruction_mse", 0.03),
        },
        Small {
            name: "rbm, pcd",
            model: json!({"kind": "rbm", "hidden": 64, "algorithm": "pcd", "chains": 20, "binarize": "dynamic"}),
            settings: |t| t.epochs = 12,
            learns: ("reconstruction_mse", 0.13),
        },
        Small {
            name: "rbm, cd",
            model: json!({"kind": "rbm", "hidden": 64}),
            settings: |t| t.epochs = 12,
            learns: ("reconstruction_mse", 0.05),
        },
        Small {
            name: "rbm, tempering in bf16",
            model: json!({"kind": "rbm", "hidden": 48, "algorithm": "tempering", "temperatures": 3, "chains": 20, "gibbs_steps": 2}),
            settings: |t| (t.epochs, t.precision) = (8, Precision::Bf16),
            learns: ("reconstruction_mse", 0.08),
        },
        Small {
            name: "rbm, centred, sparse and averaged, with growing k",
            model: json!({"kind": "rbm", "hidden": 64, "algorithm": "cd", "final_gibbs_steps": 3, "binarize": "threshold", "centring": true,
                "sparsity": {"target": 0.1, "cost": 1.0}, "averaging": {"decay": 0.99, "from": 0.4}}),
            settings: |t| t.epochs = 12,
            // A random code is on half of the time.
            learns: ("hidden_activity", 0.2),
        },
        Small {
            name: "autoencoder, denoising",
            model: json!({"kind": "autoencoder", "hidden": [64], "code": 8, "corruption": {"kind": "mask", "level": 0.2}}),
            settings: |t| t.epochs = 25,
            learns: ("reconstruction_mse", 0.06),
        },
        Small {
            name: "autoencoder, convolutions, tied",
            model: json!({"kind": "autoencoder", "channels": [4, 8], "hidden": [32], "code": 8, "activation": "gelu", "tied": true}),
            settings: |t| (t.epochs, t.learning_rate) = (15, 0.01),
            learns: ("reconstruction_mse", 0.06),
        },
        Small {
            name: "autoencoder, contractive",
            model: json!({"kind": "autoencoder", "hidden": [], "code": 16, "code_activation": "sigmoid", "contractive": 0.1, "sparsity": {"target": 0.2, "weight": 0.1}}),
            settings: |t| (t.epochs, t.learning_rate) = (25, 0.01),
            learns: ("reconstruction_mse", 0.06),
        },
        Small {
            name: "autoencoder, contractive by projection",
            model: json!({"kind": "autoencoder", "channels": [4], "hidden": [16], "code": 8, "contractive": 0.001, "sparsity": {"kind": "l1", "weight": 0.01}}),
            settings: |t| (t.epochs, t.learning_rate) = (12, 0.01),
            learns: ("squared_error", 4.0),
        },
        Small {
            name: "autoencoder, pretrained by rbms",
            model: json!({"kind": "autoencoder", "hidden": [32], "code": 8, "activation": "sigmoid", "pretraining": {"kind": "rbm", "epochs": 1, "learning_rate": 0.2}}),
            settings: |t| (t.epochs, t.learning_rate) = (25, 0.02),
            learns: ("reconstruction_mse", 0.06),
        },
        Small {
            name: "autoencoder, pretrained by denoising",
            model: json!({"kind": "autoencoder", "channels": [4], "hidden": [32], "code": 8, "activation": "tanh", "pretraining": {"kind": "denoising", "epochs": 1}}),
            settings: |t| (t.epochs, t.learning_rate) = (12, 0.01),
            learns: ("reconstruction_mse", 0.06),
        },
        Small {
            name: "vae, dynamic",
            model: json!({"kind": "vae", "hidden": [64], "latent": 8, "binarize": "dynamic", "mixture": 3, "kl_schedule": {"kind": "warmup", "epochs": 2}}),
            settings: |t| t.epochs = 15,
            learns: ("nelbo", 30.0),
        },
        Small {
            name: "vae, importance-weighted, conditional, gated",
            model: json!({"kind": "vae", "hidden": [32], "latent": 6, "gated": true, "samples": 5, "conditional": true, "binarize": "threshold"}),
            settings: |t| t.epochs = 8,
            learns: ("loss", 30.0),
        },
        Small {
            name: "vae, convolutional, gaussian",
            model: json!({"kind": "vae", "channels": [8, 16], "hidden": [32], "latent": 8, "likelihood": "gaussian", "kl_schedule": {"kind": "cyclic", "cycles": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (20, 5e-3),
            learns: ("reconstruction_mse", 0.05),
        },
        Small {
            name: "dbn, generative with labels",
            model: json!({"kind": "dbn", "hidden": [64, 64], "pretraining": {"epochs": 15, "learning_rate": 0.2, "algorithm": "cd"}}),
            settings: |t| t.epochs = 30,
            learns: ("error", 0.25),
        },
        Small {
            name: "dbn, generative without labels, pcd",
            model: json!({"kind": "dbn", "hidden": [64, 48], "joint_labels": false, "binarize": "dynamic",
                "pretraining": {"algorithm": "pcd", "gibbs_steps": 2}}),
            settings: |t| t.epochs = 20,
            learns: ("reconstruction_mse", 0.145),
        },
        Small {
            name: "dbn, classifier",
            model: json!({"kind": "dbn", "hidden": [64, 64], "head": "classifier", "layer_rate": 0.5, "dropout": 0.1,
                "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (30, 0.02),
            learns: ("error", 0.2),
        },
        Small {
            name: "dbn, classifier from few labels",
            model: json!({"kind": "dbn", "hidden": [64], "head": "classifier", "labeled_rows": 200,
                "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (20, 0.02),
            learns: ("error", 0.25),
        },
        Small {
            name: "dbn, regressor from random weights",
            model: json!({"kind": "dbn", "hidden": [64], "head": "regressor", "pretraining": {"epochs": 0}}),
            settings: |t| (t.epochs, t.learning_rate) = (40, 0.02),
            learns: ("loss", 5.0),
        },
        Small {
            name: "dbn, autoencoder",
            model: json!({"kind": "dbn", "hidden": [64, 16], "head": "autoencoder", "pretraining": {"epochs": 5, "learning_rate": 0.2}}),
            settings: |t| (t.epochs, t.learning_rate) = (40, 0.02),
            learns: ("reconstruction_mse", 0.06),
        },
        Small {
            name: "gan, dense",
            model: json!({
                "kind": "gan", "latent": 16, "hidden": [64, 64], "loss": "non_saturating",
                "spectral_norm": false, "ema_decay": 0.9
            }),
            settings: |t| (t.epochs, t.learning_rate) = (20, 2e-3),
            learns: ("moment_error", 0.03),
        },
        Small {
            name: "gan, conditional dcgan",
            model: json!({
                "kind": "gan", "latent": 16, "architecture": "dcgan", "channels": [8, 16], "loss": "hinge",
                "spectral_norm": true, "conditional": true, "ema_decay": 0.9
            }),
            settings: |t| (t.epochs, t.learning_rate) = (12, 2e-3),
            learns: ("moment_error", 0.03),
        },
        Small {
            name: "gan, critic",
            model: json!({
                "kind": "gan", "latent": 16, "hidden": [64], "loss": "wasserstein_gp", "discriminator_steps": 2,
                "conditional": true, "conditioning": "concat", "ema_decay": 0.0
            }),
            settings: |t| (t.epochs, t.learning_rate) = (20, 2e-3),
            learns: ("moment_error", 0.03),
        },
        Small {
            name: "mlp",
            model: json!({"kind": "mlp", "hidden": [64], "input_dropout": 0.1, "label_smoothing": 0.1}),
            settings: |t| {
                t.epochs = 8;
                t.optimizer = Rule::Nesterov;
                t.learning_rate = 0.1;
                t.gradient_clip = Some(5.0);
                t.weight_decay = 1e-4;
            },
            learns: ("error", 0.15),
        },
        Small {
            name: "mlp, convolutional",
            model: json!({"kind": "mlp", "channels": [8, 16], "hidden": [32], "batch_norm": true, "dropout": 0.2, "augment": {"shift": 1}}),
            settings: |t| (t.epochs, t.learning_rate) = (8, 1e-2),
            learns: ("error", 0.25),
        },
        Small {
            name: "mlp, regression",
            model: json!({"kind": "mlp", "task": "regression", "hidden": [64], "standardize": true}),
            settings: |t| t.epochs = 25,
            learns: ("rmse", 1.8),
        },
    ]
}

/// The same for regressors that learn targets: how much ink an image has in its upper half, in a unit far
/// from the net's own.
fn table_of_targets() -> Vec<Small> {
    vec![
        Small {
            name: "mlp, regression on targets",
            model: json!({"kind": "mlp", "task": "regression", "hidden": [32]}),
            settings: |t| (t.epochs, t.learning_rate) = (30, 5e-3),
            // The targets' own standard deviation is 10,600.
            learns: ("rmse", 3000.0),
        },
        Small {
            name: "mlp, convolutional regression on targets",
            model: json!({"kind": "mlp", "task": "regression", "channels": [8], "hidden": [16], "batch_norm": true}),
            settings: |t| (t.epochs, t.learning_rate) = (10, 1e-2),
            learns: ("mae", 4000.0),
        },
        Small {
            name: "dbn, regressor on targets",
            model: json!({"kind": "dbn", "hidden": [64], "head": "regressor", "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (30, 0.02),
            learns: ("rmse", 4000.0),
        },
        Small {
            name: "dbn, regressor on few targets",
            model: json!({"kind": "dbn", "hidden": [64], "head": "regressor", "labeled_rows": 200,
                "pretraining": {"epochs": 2}}),
            settings: |t| (t.epochs, t.learning_rate) = (20, 0.02),
            learns: ("loss", 0.2),
        },
    ]
}

/// Nets, each with the digits it is tried on.
type Trials = Vec<(Small, Rc<Digits>)>;

/// Those of both tables.
fn trials() -> Result<Trials, Box<dyn Error>> {
    let (labelled, of_targets) = (Rc::new(Digits::new()?), Rc::new(Digits::with_targets()?));
    let with = |digits: &Rc<Digits>| {
        let digits = Rc::clone(digits);
        move |small| (small, Rc::clone(&digits))
    };
    let first = table().into_iter().map(with(&labelled));
    let second = table_of_targets().into_iter().map(with(&of_targets));
    Ok(first.chain(second).collect())
}

/// The digits on disk, and what nets know of them.
struct Digits {
    train: Split,
    test: Split,
    facts: DataFacts,
    _folder: tempfile::TempDir,
}

impl Digits {
    fn new() -> Result<Self, Box<dyn Error>> {
        Self::open(10, 0)
    }

    /// Their labels are there too, and are not to be taken for the targets.
    fn with_targets() -> Result<Self, Box<dyn Error>> {
        Self::open(10, 1)
    }

    fn open(classes: i64, targets: i64) -> Result<Self, Box<dyn Error>> {
        // Sums split over other threads have other last bits.
        tch::set_num_threads(1);
        let folder = tempfile::tempdir()?;
        write_digits(folder.path())?;
        let open = |name: &str| -> Result<Split, Box<dyn Error>> {
            let files = SplitFiles::of(folder.path(), name);
            if targets > 0 {
                write_targets(&files)?;
            }
            Ok(Split::open(&files, true, targets > 0)?)
        };
        Ok(Self {
            train: open("train")?,
            test: open("test")?,
            facts: DataFacts {
                shape: vec![1, 8, 8],
                range: (0.0, 1.0),
                classes: Some(classes),
                targets,
            },
            _folder: folder,
        })
    }
}

fn write_targets(files: &SplitFiles) -> Tried {
    let rows = RowFile::open(&files.rows)?;
    let values = rows.as_f32().ok_or("digits are floats")?;
    let mut sink = TargetSink::create(&files.targets, 1 << 20)?;
    for row in values.chunks_exact(64) {
        sink.push(250_000.0 - 5000.0 * f64::from(row[..32].iter().sum::<f32>()))?;
    }
    sink.finish()?;
    Ok(())
}

/// One small net in training.
struct Trial<'a> {
    family: &'static Family,
    spec: Value,
    training: Training,
    digits: &'a Digits,
}

impl<'a> Trial<'a> {
    fn new(small: &Small, seed: u64, digits: &'a Digits) -> Result<Self, Box<dyn Error>> {
        let kind = small.model["kind"].as_str().unwrap_or_default();
        let family = Family::find(kind).ok_or("no such family")?;
        let spec = (family.normalise)(&small.model).map_err(|e| format!("{e:?}"))?;
        let mut training = Training::of(&(family.training_defaults)(), 1);
        training.batch_size = 100;
        training.seed = seed;
        (small.settings)(&mut training);
        let broken = (family.check)(&spec, &training, &digits.facts);
        assert!(broken.is_empty(), "{}: {broken:?}", small.name);
        Ok(Self {
            family,
            spec,
            training,
            digits,
        })
    }

    fn learner(&self) -> Result<Box<dyn Learner>, Box<dyn Error>> {
        let facts = &self.digits.facts;
        Ok((self.family.learner)(
            &self.spec,
            &self.training,
            facts,
            Device::Cpu,
        )?)
    }

    /// Trains from a cursor until the end, or until `leave` steps are done in all.
    fn fit(
        &self,
        learner: &mut dyn Learner,
        cursor: Cursor,
        leave: Option<u64>,
    ) -> Result<(Outcome, Watcher), Halt> {
        let mut watcher = Watcher {
            leave,
            ..Watcher::default()
        };
        let run = Run {
            learner,
            train: &self.digits.train,
            test: Some(&self.digits.test),
            training: &self.training,
            device: Device::Cpu,
            cursor,
            step_costs: &[],
            start_from: None,
        };
        let outcome = fit(run, &mut watcher)?;
        Ok((outcome, watcher))
    }
}

/// Leaves after so many steps, and keeps the last checkpoint as bytes.
#[derive(Default)]
struct Watcher {
    leave: Option<u64>,
    step: u64,
    left: Option<(Cursor, Vec<u8>)>,
}

impl Observer for Watcher {
    fn request(&mut self) -> Request {
        if self.leave.is_some_and(|leave| self.step >= leave) {
            Request::Release
        } else {
            Request::Continue
        }
    }
    fn phase(&mut self, _name: &str) {}
    fn step(&mut self, progress: Progress, _rows: u64, _report: &Report) {
        self.step = progress.step;
    }
    fn epoch(&mut self, _progress: Progress, _metrics: &[(String, f64)]) {}
    fn checkpoint(&mut self, snapshot: Snapshot<'_>) -> Result<(), Halt> {
        let bytes =
            weights::encode(&snapshot.state, &"").map_err(|e| Halt::Observer(e.to_string()))?;
        self.left = Some((snapshot.cursor.clone(), bytes));
        Ok(())
    }
    fn recall_best(&mut self) -> Result<Option<Tensors>, Halt> {
        Ok(None)
    }
}

fn bytes_of(model: &dyn Model) -> Result<Vec<u8>, weights::WeightsError> {
    weights::encode(&model.tensors(), &"")
}

#[test]
fn every_family_is_tried() {
    for family in FAMILIES {
        let tried = table()
            .iter()
            .any(|small| small.model["kind"] == family.kind);
        assert!(tried, "'{}' has no line in the suite's table", family.kind);
    }
}

#[test]
fn it_learns_and_the_seed_alone_decides_the_weights() -> Tried {
    let mut slow = Vec::new();
    for (small, digits) in trials()? {
        let train = |seed: u64| -> Result<_, Box<dyn Error>> {
            let trial = Trial::new(&small, seed, &digits)?;
            let mut learner = trial.learner()?;
            let (outcome, _) = trial.fit(learner.as_mut(), Cursor::default(), None)?;
            Ok((outcome, bytes_of(learner.model())?))
        };
        let (outcome, first) = train(5)?;
        let Outcome::Finished { metrics, .. } = outcome else {
            return Err(format!("{}: {outcome:?}", small.name).into());
        };
        let (metric, bound) = small.learns;
        let found = metrics
            .iter()
            .find(|(name, _)| *name == format!("test/{metric}"));
        let (_, value) = found.ok_or(format!("{}: no {metric} in {metrics:?}", small.name))?;
        if value >= &bound {
            slow.push(format!("{}: {metric} is {value}", small.name));
        }
        assert!(
            first == train(5)?.1,
            "{}: same seed, other weights",
            small.name
        );
        // Nothing is drawn for an exact solution.
        if small.model["kind"] != "pca" {
            assert!(
                first != train(6)?.1,
                "{}: other seed, same weights",
                small.name
            );
        }
    }
    assert!(slow.is_empty(), "learnt too little: {slow:#?}");
    Ok(())
}

#[test]
fn taken_up_anywhere_it_ends_with_the_same_weights() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = trial.training.epochs.min(3);
        let mut alone = trial.learner()?;
        let (_, watcher) = trial.fit(alone.as_mut(), Cursor::default(), None)?;
        let expected = bytes_of(alone.model())?;
        let steps = watcher.step;
        // Within an epoch, at the end of the first, past the middle, and just before the end.
        for leave in [1, 15, steps / 2 + 2, steps.saturating_sub(1)] {
            let mut first = trial.learner()?;
            let (outcome, watcher) = trial.fit(first.as_mut(), Cursor::default(), Some(leave))?;
            assert_eq!(
                outcome,
                Outcome::Released,
                "{}: left at {leave}",
                small.name
            );
            let (cursor, bytes) = watcher.left.ok_or("no checkpoint")?;
            let (state, _): (Tensors, String) = weights::decode(&bytes)?;
            let mut second = trial.learner()?;
            second.enter(cursor.phase);
            second.restore(&state)?;
            trial.fit(second.as_mut(), cursor, None)?;
            assert!(
                bytes_of(second.model())? == expected,
                "{}: left at step {leave} of {steps}, other weights",
                small.name
            );
        }
    }
    Ok(())
}

/// A call of each verb that needs no more than rows: on `count` test digits from the first.
fn calls(model: &dyn Model, count: usize, digits: &Digits) -> Result<Vec<Call>, Box<dyn Error>> {
    let indices: Vec<u32> = (0..u32::try_from(count)?).collect();
    let batch = digits.test.batch(&indices, Device::Cpu)?;
    let input = |x: &tch::Tensor| -> Result<Input, Box<dyn Error>> {
        Ok(Input {
            rows: count,
            values: Vec::try_from(&x.reshape([-1]))?,
            labels: batch.labels.as_ref().map(Vec::try_from).transpose()?,
        })
    };
    let ends = |seed| Some(Endpoint::Seed(seed));
    let mut calls = Vec::new();
    for verb in capabilities(model) {
        let mut given = input(&batch.x)?;
        let verb = match verb {
            "encode" => Verb::Encode(EncodeOptions::default()),
            "decode" => {
                let code: i64 = model.code_shape().ok_or("no code")?.iter().product();
                let codes = batch.x.narrow(1, 0, 1).expand([count as i64, code], false);
                given = input(&codes.contiguous())?;
                Verb::Decode(DecodeOptions::default())
            }
            "reconstruct" => Verb::Reconstruct(ReconstructOptions::default()),
            "denoise" => Verb::Denoise(DenoiseOptions::default()),
            "score" => Verb::Score(ScoreOptions::default()),
            "predict" => Verb::Predict(PredictOptions::default()),
            "generate" => {
                given = Input::default();
                Verb::Generate(GenerateOptions {
                    n: Some(count as i64),
                    seed: Some(1),
                    gibbs_steps: None,
                    ..GenerateOptions::default()
                })
            }
            "inpaint" => Verb::Inpaint(InpaintOptions {
                mask: [[0.0; 32], [1.0; 32]].concat(),
                seed: Some(2),
                ..InpaintOptions::default()
            }),
            "interpolate" => {
                let part = model.interpolator().ok_or("no interpolator")?;
                let drawn = part.draw(&mut crate::nn::rng::Rng::at(0, &[])).is_some();
                let mut options = InterpolateOptions {
                    labels: model.conditioned_on().map(|_| vec![3]),
                    ..InterpolateOptions::default()
                };
                if drawn {
                    given = Input::default();
                    (options.from, options.to) = (ends(1), ends(2));
                } else {
                    let two = digits.test.batch(&[0, 1], Device::Cpu)?.x;
                    given = Input {
                        rows: 2,
                        values: Vec::try_from(&two.reshape([-1]))?,
                        labels: None,
                    };
                }
                Verb::Interpolate(options)
            }
            other => return Err(format!("the suite does not know '{other}'").into()),
        };
        calls.push(Call { verb, input: given });
    }
    Ok(calls)
}

fn apply(call: &Call, model: &dyn Model, digits: &Digits) -> Result<Reply, Box<dyn Error>> {
    let name = call.verb.name();
    Ok(call
        .apply(model, &digits.facts, Device::Cpu)
        .map_err(|e| format!("{name}: {e}"))?)
}

#[test]
fn what_it_advertises_it_answers_and_what_is_saved_answers_the_same() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = trial.training.epochs.min(2);
        let mut learner = trial.learner()?;
        trial.fit(learner.as_mut(), Cursor::default(), None)?;
        let bytes = bytes_of(learner.model())?;
        let (tensors, _): (Tensors, String) = weights::decode(&bytes)?;
        let loaded = (trial.family.load)(&trial.spec, &digits.facts, &tensors, Device::Cpu)?;
        assert!(!capabilities(loaded.as_ref()).is_empty(), "{}", small.name);
        for call in calls(loaded.as_ref(), 3, &digits)? {
            let at = format!("{}, {}", small.name, call.verb.name());
            let reply = apply(&call, loaded.as_ref(), &digits)?;
            let width: i64 = reply.output.shape.iter().product();
            assert_eq!(
                reply.output.values.len(),
                reply.rows * width as usize,
                "{at}"
            );
            assert!(reply.output.values.iter().all(|v| v.is_finite()), "{at}");
            let trained = tch::no_grad(|| apply(&call, learner.model(), &digits))?;
            assert!(
                trained.output.values == reply.output.values,
                "{at}: trained and loaded"
            );
            let again = apply(&call, loaded.as_ref(), &digits)?;
            assert!(
                again.output.values == reply.output.values,
                "{at}: the same call again"
            );
        }
    }
    Ok(())
}

#[test]
fn a_batch_is_its_rows_one_by_one() -> Tried {
    for (small, digits) in trials()? {
        let mut trial = Trial::new(&small, 3, &digits)?;
        trial.training.epochs = 1;
        let mut learner = trial.learner()?;
        trial.fit(learner.as_mut(), Cursor::default(), None)?;
        let model = learner.model();
        let (one, five) = (calls(model, 1, &digits)?, calls(model, 5, &digits)?);
        for (one, five) in one.iter().zip(&five) {
            let deterministic = !matches!(
                one.verb,
                Verb::Generate(_) | Verb::Inpaint(_) | Verb::Interpolate(_)
            );
            // What draws numbers draws others for other rows.
            if !deterministic || one.verb.name() == "score" && model.likelihood().is_some() {
                continue;
            }
            let (one, five) = (apply(one, model, &digits)?, apply(five, model, &digits)?);
            for (a, b) in one.output.values.iter().zip(&five.output.values) {
                assert!(
                    (a - b).abs() <= 1e-4 * (1.0 + a.abs()),
                    "{}: {a} alone, {b} in a batch",
                    small.name
                );
            }
        }
    }
    Ok(())
}
