//! What is true of the pair by calculation.

mod rules;

use std::f64::consts::LN_2;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::generator::{Generator, Interval};
use super::*;
use crate::data::{Batch, Role};
use crate::document;
use crate::families::suite;
use crate::nn::model::Rows;
use crate::train::StepContext;
use crate::train::settings::Precision;
use crate::verbs::Sampler;
use crate::verbs::generate::Drawing;

fn facts(shape: &[i64]) -> DataFacts {
    DataFacts::new(shape, (0.0, 1.0)).with_classes(Some(3))
}

fn spec(model: Value) -> Spec {
    document::read(&model, "/model").expect("a valid spec")
}

fn training() -> Training {
    Training::of(&Spec::TRAINING, 1)
}

fn broken(model: Value, training: &Training, data: &DataFacts) -> Vec<String> {
    suite::broken("gan", &spec(model), training, data)
}

fn rows(n: i64, data: &DataFacts, seed: u64) -> Tensor {
    let (low, high) = data.range();
    Rng::at(seed, &[]).uniform(&[n, data.features()], Device::Cpu) * (high - low) + low
}

fn labels(n: i64) -> Tensor {
    Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(3)
}

fn batch(n: i64, data: &DataFacts, seed: u64) -> Batch {
    Batch::new(rows(n, data, seed)).with(Role::Labels, labels(n))
}

fn context(step: u64, learning_rate: f64) -> StepContext {
    StepContext {
        rng: Rng::at(7, &[step]),
        learning_rate,
        epoch: 0,
        step,
        time: 0.0,
    }
}

/// Every way of building the nets.
fn variants() -> Vec<Value> {
    let mut all = Vec::new();
    for architecture in ["dense", "dcgan"] {
        for conditioning in [None, Some("concat"), Some("projection")] {
            for spectral_norm in [false, true] {
                let mut model = json!({
                    "kind": "gan", "latent": 5, "architecture": architecture,
                    "spectral_norm": spectral_norm, "conditional": conditioning.is_some(),
                    "conditioning": conditioning,
                });
                let (name, widths) = match architecture {
                    "dense" => ("hidden", json!([7, 9])),
                    _ => ("channels", json!([4, 6])),
                };
                model[name] = widths;
                all.push(model);
            }
        }
    }
    all
}

#[test]
fn images_of_any_size_and_colour_are_made_and_judged() {
    for shape in [[1, 8, 8], [3, 7, 13], [1, 28, 28], [2, 1, 1], [3, 32, 32]] {
        let data = facts(&shape);
        for model in variants() {
            let spec = spec(model.clone());
            assert_eq!(
                broken(model.clone(), &training(), &data),
                [""; 0],
                "{model}"
            );
            let learner = spec.learner(&training(), &data, Device::Cpu);
            let tensors = learner.model().tensors();
            let sampler = learner.model().sampler().expect("it generates");
            let given = spec.conditional.then(|| labels(4));
            let how = Drawing {
                temperature: 1.0,
                steps: 0,
            };
            let made =
                tch::no_grad(|| sampler.generate(4, given.as_ref(), how, &mut Rng::at(1, &[])));
            assert_eq!(made.size(), [4, data.features()], "{shape:?} {model}");
            let gan = spec
                .load(&data, &tensors, Device::Cpu)
                .expect("the same names");
            let judged = gan.scorer().expect("it scores").score(
                &Rows {
                    x: made,
                    labels: given,
                },
                &mut Rng::at(0, &[]),
            );
            assert_eq!(judged.size(), [4], "{shape:?} {model}");
        }
    }
}

#[test]
fn rows_lie_in_the_interval_of_the_data() {
    let data = DataFacts::new(&[6], (-3.0, 5.0)).with_classes(Some(3));
    let interval = Interval::of(&data);
    let ends = Tensor::from_slice(&[-3.0_f32, 1.0, 5.0]);
    assert_eq!(
        interval.centred(&ends),
        Tensor::from_slice(&[-1.0_f32, 0.0, 1.0])
    );
    assert_eq!(interval.spread(&interval.centred(&ends)), ends);
    let gan = Gan::init(&Spec::default(), &data, &mut Rng::at(1, &[]), Device::Cpu);
    let hot = Drawing {
        temperature: 50.0,
        steps: 0,
    };
    let made = gan.generate(100, None, hot, &mut Rng::at(2, &[]));
    assert!(made.min().double_value(&[]) >= -3.0 && made.max().double_value(&[]) <= 5.0);
    assert!(made.std(true).double_value(&[]) > 1.0, "the noise is hot");
    // Data that never varies.
    let still = Interval::of(&DataFacts::new(&[6], (4.0, 4.0)));
    assert_eq!(
        still
            .centred(&Tensor::from_slice(&[4.0_f32]))
            .double_value(&[0]),
        0.0
    );
}

/// The penalty is itself a gradient, so this differentiates the nets twice.
#[test]
fn the_slopes_penalty_has_the_gradients_of_finite_differences() {
    for model in [
        json!({"kind": "gan", "loss": "wasserstein_gp", "architecture": "dense", "hidden": [6]}),
        json!({"kind": "gan", "loss": "wasserstein_gp", "architecture": "dcgan", "channels": [3, 4],
            "spectral_norm": true}),
        json!({"kind": "gan", "loss": "wasserstein_gp", "architecture": "dcgan", "channels": [3], "conditional": true}),
    ] {
        let spec = spec(model.clone());
        let data = facts(&[1, 6, 6]);
        let critic = discriminator::config(&spec, &data)
            .init(&mut Rng::at(3, &[]), Device::Cpu)
            .trainable();
        let labels = spec.conditional.then(|| labels(5));
        let (real, fake) = (rows(5, &data, 1), rows(5, &data, 2));
        let penalty = || {
            let mut rng = Rng::at(4, &[]);
            discriminator::gradient_penalty(&critic, &real, &fake, labels.as_ref(), &mut rng)
        };
        let parameters = critic.parameters("critic");
        let tensors: Vec<&Tensor> = parameters.values().collect();
        let gradients = Tensor::run_backward(&[penalty()], &tensors, false, false);
        let mut seen = 0;
        for ((name, parameter), gradient) in parameters.iter().zip(&gradients) {
            if !gradient.defined() {
                continue;
            }
            seen += 1;
            let flat = parameter.detach().view(-1);
            let (at, step) = (flat.double_value(&[0]), 1e-2);
            let shifted = |to: f64| {
                let _ = flat.get(0).fill_(to);
                penalty().double_value(&[])
            };
            let numeric = (shifted(at + step) - shifted(at - step)) / (2.0 * step);
            let _ = flat.get(0).fill_(at);
            let exact = gradient.reshape([-1]).double_value(&[0]);
            assert!(
                (exact - numeric).abs() < 2e-3 + 2e-2 * numeric.abs(),
                "{model} {name}: {exact} and {numeric}"
            );
        }
        assert!(seen >= 2, "{model}: gradients reach the weights");
    }
}

#[test]
fn before_it_has_learnt_a_smooth_pair_plays_at_chance() {
    let data = facts(&[1, 16, 16]);
    let model = json!({"kind": "gan", "channels": [4, 6], "loss": "non_saturating"});
    let mut learner = spec(model).learner(&training(), &data, Device::Cpu);
    let report = learner.step(&batch(32, &data, 1), &mut context(0, 1e-9));
    let of = |name| {
        report
            .0
            .iter()
            .find(|(n, _)| *n == name)
            .expect("reported")
            .1
    };
    assert!(
        (of("discriminator_loss") - 2.0 * LN_2).abs() < 0.5,
        "{report:?}"
    );
    assert!((of("generator_loss") - LN_2).abs() < 0.5, "{report:?}");
}

#[test]
fn each_step_moves_only_the_player_whose_turn_it_is() {
    let data = facts(&[6]);
    let model = json!({"kind": "gan", "hidden": [8], "loss": "non_saturating", "discriminator_steps": 3,
        "ema_decay": 0.0});
    let mut learner = spec(model).learner(&training(), &data, Device::Cpu);
    let weights = |learner: &dyn Learner, name: &str| learner.state()[name].copy();
    let (mut made, mut judged) = (Vec::new(), Vec::new());
    for step in 0..6 {
        let before = ["generator.0.weight", "discriminator.body.0.weight"]
            .map(|name| weights(learner.as_ref(), name));
        learner.step(&batch(16, &data, step), &mut context(step, 1e-2));
        made.push(before[0] != weights(learner.as_ref(), "generator.0.weight"));
        judged.push(before[1] != weights(learner.as_ref(), "discriminator.body.0.weight"));
    }
    assert_eq!(made, [false, false, true, false, false, true]);
    assert_eq!(judged, [true; 6]);
}

#[test]
fn the_average_follows_the_generator_and_has_moments_of_its_own() {
    let data = facts(&[6]);
    let model = json!({
        "kind": "gan", "hidden": [16], "ema_decay": 0.9,
        "loss": "non_saturating", "spectral_norm": false,
    });
    let spec = spec(model);
    let mut learner = spec.learner(&training(), &data, Device::Cpu);
    for step in 0..60 {
        learner.step(&batch(64, &data, step), &mut context(step, 2e-3));
    }
    let state = learner.state();
    let (slow, fast) = (
        &state["generator.0.weight"],
        &state["trained_generator.0.weight"],
    );
    let apart = (slow - fast).norm().double_value(&[]) / fast.norm().double_value(&[]);
    assert!(apart > 1e-4 && apart < 0.5, "{apart}");
    // In use it makes what it makes with the moments of a large batch.
    let average = Generator::init(&spec, &data, &mut Rng::at(1, &[]), Device::Cpu);
    average.net.load("generator", &state).expect("it was saved");
    let mut rng = Rng::at(5, &[]);
    let noise = average.noise(4000, &mut rng, Device::Cpu);
    let (used, ideal) = tch::no_grad(|| {
        let used = average.centred(&noise, None, None);
        (used, average.centred(&noise, None, Some(&mut rng)))
    });
    let error = (used - &ideal)
        .square()
        .mean(Kind::Double)
        .sqrt()
        .double_value(&[]);
    assert!(error < 0.1 * ideal.std(true).double_value(&[]), "{error}");
}

#[test]
fn a_discriminator_that_wins_outright_ends_the_run_with_a_reason() {
    let data = facts(&[6]);
    let model = json!({
        "kind": "gan", "hidden": [16], "loss": "minimax", "spectral_norm": false, "collapse_patience": 50,
        "discriminator_learning_rate": 0.02,
    });
    let mut settings = training();
    settings.learning_rate = 1e-7;
    let mut learner = spec(model).learner(&settings, &data, Device::Cpu);
    // Rows that no generator has made yet: each value at its end of the interval.
    let ends = Tensor::from_slice(&[0.0_f32, 1.0, 0.0, 1.0, 0.0, 1.0]).expand([32, 6], false);
    let batch = Batch::new(ends + rows(32, &data, 1) * 1e-2);
    let ended = (0..2000).find(|&step| {
        learner.step(&batch, &mut context(step, settings.learning_rate));
        learner.trouble().is_some()
    });
    let reason = learner.trouble().unwrap_or_default();
    assert!(ended.is_some_and(|step| step >= 50), "{ended:?}");
    assert!(reason.contains("never wrong"), "{reason}");
}
