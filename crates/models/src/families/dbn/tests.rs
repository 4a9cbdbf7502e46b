//! What is particular to deep belief networks: four units that show one of two patterns, labelled 0 and 1.

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::Spec;
use super::labeled::Choice;
use super::learner::DbnLearner;
use super::spec::Algorithm;
use crate::data::{Batch, Role};
use crate::families::{Define, suite};
use crate::nn::boltzmann::machine::MachineConfig;
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;
use crate::train::{Learner, StepContext, Training};
use crate::verbs::generate::Drawing;
use crate::verbs::predict::Prediction;

fn facts() -> DataFacts {
    DataFacts::new(&[4], (0.0, 1.0)).with_classes(Some(2))
}

fn spec(model: Value) -> Spec {
    serde_json::from_value(model).expect("a spec")
}

fn training() -> Training {
    Training {
        epochs: 3,
        batch_size: 20,
        ..Training::of(&Spec::TRAINING, 1)
    }
}

fn patterns() -> Batch {
    let x = Tensor::from_slice2(&[[1.0_f32, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]);
    Batch::new(x.repeat([10, 1])).with(Role::Labels, Tensor::from_slice(&[0_i64, 1]).repeat([10]))
}

fn learner(model: Value) -> DbnLearner {
    tch::set_num_threads(1);
    DbnLearner::new(&spec(model), &training(), &facts(), Device::Cpu)
}

/// Steps of one phase on the patterns, relabelled by `relabel`.
fn steps(learner: &mut DbnLearner, count: u64, learning_rate: f64, relabel: fn(&Tensor) -> Tensor) {
    for step in 0..count {
        let mut batch = patterns();
        let labels = batch.labels().map(relabel).expect("labels");
        batch = batch.with(Role::Labels, labels);
        let mut context = StepContext {
            rng: Rng::at(1, &[step]),
            learning_rate,
            epoch: 0,
            step,
            time: 0.0,
        };
        learner.step(&batch, &mut context);
    }
}

#[test]
fn labels_decide_what_is_generated_and_what_is_seen_decides_the_label() {
    let mut dbn =
        learner(json!({"hidden": [6, 8], "pretraining": {"weight_decay": 0.0, "algorithm": "cd"}}));
    dbn.prepare(&mut [Ok(patterns())].into_iter())
        .expect("rows");
    steps(&mut dbn, 300, 0.1, Tensor::shallow_clone);
    dbn.enter(1);
    steps(&mut dbn, 600, 0.05, Tensor::shallow_clone);
    let model = dbn.model();
    let sampler = model.sampler().expect("it generates");
    assert_eq!(sampler.classes(), Some(2));
    let labels = Tensor::from_slice(&[0_i64, 1]).repeat([100]);
    let how = Drawing {
        temperature: 1.0,
        steps: 50,
    };
    let made = sampler.generate(200, Some(&labels), how, &mut Rng::at(2, &[]));
    let asked = patterns().rows().repeat([10, 1]);
    let off = (made - asked).abs().mean(Kind::Double).double_value(&[]);
    assert!(off < 0.1, "{off} off what was asked for");
    let predictor = model.predictor().expect("it predicts");
    let Prediction::Classes(p) = predictor.predict(patterns().rows()) else {
        panic!("classes are predicted as classes");
    };
    let least = p.max_dim(1, false).0.min().double_value(&[]);
    assert!(least > 0.8, "{least}");
    assert!(
        p.argmax(1, false)
            .equal(patterns().labels().expect("labels"))
    );
}

#[test]
fn one_layer_without_labels_scores_as_the_rbm_it_is() {
    let mut dbn = learner(json!({"hidden": [5], "joint_labels": false}));
    steps(&mut dbn, 30, 0.1, Tensor::shallow_clone);
    let tensors = dbn.model().tensors();
    let mut machine = MachineConfig::bernoulli(4, 5).init(&mut Rng::at(0, &[]), Device::Cpu);
    machine.load("layers.0.", &tensors).expect("its tensors");
    let x = Rng::at(4, &[]).uniform(&[7, 4], Device::Cpu);
    let scorer = dbn.model().scorer().expect("it scores");
    let score = scorer.score(
        &crate::nn::model::Rows {
            x: x.shallow_clone(),
            labels: None,
        },
        &mut Rng::at(0, &[]),
    );
    assert!(score.allclose(&machine.free_energy(&x), 1e-5, 1e-5, false));
}

#[test]
fn unrolled_it_reconstructs_as_the_stack_does() {
    let mut dbn = learner(json!({"hidden": [6, 3], "head": "autoencoder"}));
    steps(&mut dbn, 20, 0.1, Tensor::shallow_clone);
    dbn.enter(1);
    steps(&mut dbn, 20, 0.01, Tensor::shallow_clone);
    let mut rng = Rng::at(0, &[]);
    let by_stack = dbn.evaluate(&patterns(), &mut rng).0;
    dbn.enter(2);
    let by_net = tch::no_grad(|| dbn.evaluate(&patterns(), &mut rng).0);
    let mse = |report: &[(&str, f64)]| {
        let found = report.iter().find(|(n, _)| *n == "reconstruction_mse");
        found.expect("it is reported").1
    };
    assert!((mse(&by_stack) - mse(&by_net)).abs() < 1e-6);
}

#[test]
fn labels_of_other_rows_are_not_looked_at() {
    let train = |relabel: fn(&Tensor) -> Tensor| {
        let mut dbn = learner(json!({"hidden": [6], "head": "classifier", "labeled_rows": 4}));
        dbn.prepare(&mut [Ok(patterns())].into_iter())
            .expect("rows");
        steps(&mut dbn, 5, 0.1, relabel);
        dbn.enter(1);
        steps(&mut dbn, 60, 0.05, relabel);
        tch::no_grad(|| dbn.model().tensors()["net.1.weight"].copy())
    };
    let honest = train(Tensor::shallow_clone);
    assert!(honest.equal(&train(Tensor::zeros_like)));
    assert!(honest.abs().max().double_value(&[]) > 0.0);
}

#[test]
fn few_labels_are_as_many_of_each_class() {
    let batch = |labels: &[i64]| {
        let rows = Tensor::arange(labels.len() as i64, (Kind::Float, Device::Cpu)).unsqueeze(1);
        Batch::new(rows).with(Role::Labels, Tensor::from_slice(labels))
    };
    let mut choice = Choice::of(5, Some(3));
    let mut rows = |labels: &[i64]| -> Vec<f32> {
        let chosen = choice.choose(&batch(labels));
        chosen.map_or_else(Vec::new, |b| {
            Vec::try_from(b.rows().view(-1)).expect("numbers")
        })
    };
    assert_eq!(rows(&[0, 0, 0, 1]), [0.0, 1.0, 3.0]);
    assert_eq!(rows(&[0, 0]), [0.0; 0]);
    assert_eq!(rows(&[2, 1, 2, 1]), [0.0, 1.0]);
    let made = choice.made().expect("some rows");
    let drawn = made.draw(10, &mut Rng::at(1, &[]));
    let mut classes: Vec<i64> = Vec::try_from(drawn.labels().expect("labels")).expect("classes");
    classes.sort_unstable();
    assert_eq!(classes, [0, 0, 1, 1, 2]);
}

#[test]
fn targets_of_other_rows_are_not_looked_at_and_answers_are_in_their_unit() {
    let facts = facts().with_classes(None).with_targets(true);
    let model = json!({"hidden": [6], "head": "regressor", "labeled_rows": 4});
    // The first pattern is worth 3000, the second 7000; from the fifth row on `others`.
    let rows = |others: f64| {
        let truth = [[3000.0, 7000.0].repeat(2), vec![others; 16]].concat();
        Batch::new(patterns().rows().shallow_clone())
            .with(Role::Targets, Tensor::from_slice(&truth))
    };
    let train = |others: f64| {
        let mut dbn = DbnLearner::new(&spec(model.clone()), &training(), &facts, Device::Cpu);
        dbn.prepare(&mut [Ok(rows(others))].into_iter())
            .expect("rows");
        dbn.enter(1);
        for step in 0..300 {
            let mut context = StepContext {
                rng: Rng::at(1, &[step]),
                learning_rate: 0.02,
                epoch: 0,
                step,
                time: 0.0,
            };
            dbn.step(&rows(others), &mut context);
        }
        dbn
    };
    let (honest, other) = (train(5.0), train(-1e9));
    for (name, tensor) in honest.model().tensors() {
        assert!(tensor.equal(&other.model().tensors()[&name]), "{name}");
    }
    let Some(Prediction::Values(values)) = honest
        .model()
        .predictor()
        .map(|p| p.predict(&patterns().rows().narrow(0, 0, 2)))
    else {
        panic!("a regressor predicts values");
    };
    for (at, truth) in [(0, 3000.0), (1, 7000.0)] {
        let found = values.double_value(&[at, 0]);
        assert!((found - truth).abs() < 100.0, "{found}, not {truth}");
    }
}

#[test]
fn weights_without_a_scale_answer_as_they_are() {
    let model = json!({"hidden": [6], "head": "regressor"});
    let dbn = learner(model.clone());
    let mut tensors = dbn.model().tensors();
    tensors.retain(|name, _| !name.starts_with("target."));
    let loaded = spec(model)
        .load(&facts(), &tensors, Device::Cpu)
        .expect("loads");
    let predict = |model: &dyn crate::verbs::Model| match model
        .predictor()
        .map(|p| p.predict(patterns().rows()))
    {
        Some(Prediction::Values(values)) => values,
        _ => panic!("a regressor predicts values"),
    };
    assert!(predict(loaded.as_ref()).equal(&predict(dbn.model())));
}

#[test]
fn layers_at_rate_zero_stay_and_the_head_learns() {
    let mut dbn = learner(json!({"hidden": [6], "head": "classifier", "layer_rate": 0.0}));
    dbn.enter(1);
    let before = dbn.model().tensors()["net.0.weight"].detach().copy();
    let head = dbn.model().tensors()["net.1.weight"].detach().copy();
    steps(&mut dbn, 5, 0.1, Tensor::shallow_clone);
    let after = dbn.model().tensors();
    assert!(before.equal(&after["net.0.weight"]));
    assert!(!head.equal(&after["net.1.weight"]));
}

#[test]
fn phases_go_up_layer_by_layer_at_their_own_rates() {
    let phases = |model| {
        let learner = learner(model);
        let phases = learner.phases().into_iter();
        phases
            .map(|p| (p.name, p.epochs, p.learning_rate))
            .collect::<Vec<_>>()
    };
    let name = |i: u32, n: u32| format!("pretraining layer {i}/{n}");
    assert_eq!(
        phases(json!({"hidden": [6, 3], "head": "autoencoder"})),
        [
            (name(1, 2), 10, Some(0.05)),
            (name(2, 2), 10, Some(0.001)),
            ("fine-tuning".to_owned(), 3, None)
        ]
    );
    assert_eq!(
        phases(json!({"hidden": [6, 3], "pretraining": {"epochs": 7}})),
        [(name(1, 2), 7, Some(0.05)), (name(2, 2), 3, Some(0.05))]
    );
    assert_eq!(
        phases(json!({"hidden": [6], "head": "classifier", "pretraining": {"epochs": 0}})),
        [("fine-tuning".to_owned(), 3, None)]
    );
}

#[test]
fn only_what_is_sampled_from_keeps_chains_unless_asked() {
    let of = |model, layer| spec(model).algorithm(layer);
    let generative = json!({"hidden": [6, 3]});
    assert_eq!(of(generative.clone(), 0), Algorithm::Cd);
    assert_eq!(of(generative, 1), Algorithm::Pcd);
    assert_eq!(
        of(json!({"hidden": [6], "head": "classifier"}), 0),
        Algorithm::Cd
    );
    let asked = json!({"hidden": [6, 3], "pretraining": {"algorithm": "pcd"}});
    assert_eq!(of(asked, 0), Algorithm::Pcd);
}

#[test]
fn what_it_cannot_honour_is_refused_by_name() {
    let broken = |model: Value, training: Training, facts: DataFacts| {
        suite::broken("dbn", &spec(model), &training, &facts)
    };
    for (model, pointer) in [
        (json!({"hidden": []}), "/model/hidden"),
        (json!({"hidden": [5, 0]}), "/model/hidden/1"),
        (json!({"dropout": 0.5}), "/model/dropout"),
        (json!({"layer_rate": 0.5}), "/model/layer_rate"),
        (json!({"labeled_rows": 5}), "/model/labeled_rows"),
        (
            json!({"code_activation": "linear"}),
            "/model/code_activation",
        ),
        (
            json!({"head": "classifier", "joint_labels": true}),
            "/model/joint_labels",
        ),
        (
            json!({"head": "classifier", "layer_rate": 1.5}),
            "/model/layer_rate",
        ),
        (
            json!({"pretraining": {"epochs": 0}}),
            "/model/pretraining/epochs",
        ),
        (
            json!({"pretraining": {"gibbs_steps": 0}}),
            "/model/pretraining/gibbs_steps",
        ),
    ] {
        assert_eq!(
            broken(model.clone(), training(), facts()),
            [pointer],
            "{model}"
        );
    }
    let without = |targets| facts().with_classes(None).with_targets(targets > 0);
    for (head, targets, expected) in [
        ("regressor", 0, &["/model/head"][..]),
        ("classifier", 0, &["/model/head"]),
        ("classifier", 1, &["/model/head"]),
        ("regressor", 1, &[]),
    ] {
        let found = broken(json!({"head": head}), training(), without(targets));
        assert_eq!(found, expected, "{head}, {targets}");
    }
    let wide = DataFacts::new(&[4], (-1.0, 1.0)).with_classes(Some(2));
    assert_eq!(broken(json!({}), training(), wide), ["/dataset"]);
    let clipped = Training {
        gradient_clip: Some(1.0),
        learning_rate: 0.5,
        ..training()
    };
    assert_eq!(
        broken(json!({}), clipped, facts()),
        ["/training/learning_rate", "/training/gradient_clip"]
    );
}
