//! A small pair of nets with given weights: what they put out, and every slope, as PyTorch has them.

use serde_json::{Value, json};
use tch::{Device, Tensor};

use super::Spec;
use super::discriminator::{self, Discriminator};
use super::generator::Generator;
use super::loss::AdversarialLoss;
use crate::document;
use crate::nn::Tensors;
use crate::nn::golden::{assert_close, cubes, labels, read, tensor, tensors};
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;

fn golden(section: &str) -> Value {
    read(include_str!("../../../tests/golden/gan.json"))[section].clone()
}

fn facts(shape: &[i64]) -> DataFacts {
    DataFacts::new(shape, (0.0, 1.0)).with_classes(Some(3))
}

fn discriminator(model: Value, data: &DataFacts, weights: &Tensors) -> Discriminator {
    let spec: Spec = document::read(&model, "/model").expect("a spec");
    let config = discriminator::config(&spec, data);
    let net = config.init(&mut Rng::at(0, &[]), Device::Cpu).trainable();
    net.load("discriminator", weights).expect("every tensor");
    net
}

/// The slopes of `loss` are those of the golden case, and there is one for each tensor it names.
fn check_slopes(loss: &Tensor, parameters: &Tensors, expected: &Value) {
    let expected = expected.as_object().expect("slopes by name");
    let named = |name: &String| parameters.get(name).expect("the net has it");
    let inputs: Vec<&Tensor> = expected.keys().map(named).collect();
    let found = Tensor::run_backward(&[loss], &inputs, true, false);
    for (slope, (name, expected)) in found.iter().zip(expected) {
        assert_close(slope, expected, &format!("slope of {name}"));
    }
}

fn check_tensors(found: &Tensors, expected: &Value) {
    for (name, expected) in expected.as_object().expect("tensors by name") {
        if let Some(found) = found.get(name) {
            assert_close(found, expected, name);
        }
    }
}

#[test]
fn a_step_of_a_dcgan_has_the_slopes_of_pytorch() {
    let golden = golden("step");
    let data = facts(&[1, 8, 8]);
    let model = json!({
        "kind": "gan", "latent": 3, "architecture": "dcgan", "channels": [2, 3],
        "kernel": 3, "loss": "non_saturating", "spectral_norm": false,
    });
    let weights = tensors(&golden["weights"]);
    let judge = discriminator(model.clone(), &data, &weights);
    let spec: Spec = document::read(&model, "/model").expect("a spec");
    let mut rng = Rng::at(0, &[]);
    let mut maker = Generator::init(&spec, &data, &mut rng, Device::Cpu);
    maker.net.load("generator", &weights).expect("every tensor");
    maker.net = maker.net.trainable();
    let (noise, real) = (tensor(&golden["noise"]), tensor(&golden["real"]));

    let fake = maker.centred(&noise, None, Some(&mut rng));
    assert_close(&fake, &golden["generator"]["fake"], "generated rows");
    let expected = &golden["discriminator"];
    let on_real = judge.logits(&real, None, Some(&mut rng));
    let on_fake = judge.logits(&fake.detach(), None, Some(&mut rng));
    assert_close(&on_real, &expected["on_real"], "logits of the data");
    assert_close(&on_fake, &expected["on_fake"], "logits of what is made");
    let game = AdversarialLoss::NonSaturating;
    let loss = game.of_discriminator(&on_real, &on_fake, 0.0);
    assert_close(&loss, &expected["loss"], "the discriminator's loss");
    let parameters = judge.parameters("discriminator");
    assert_eq!(
        parameters.len(),
        expected["slopes"].as_object().map_or(0, |s| s.len())
    );
    check_slopes(&loss, &parameters, &expected["slopes"]);

    let expected = &golden["generator"];
    let loss = game.of_generator(&judge.logits(&fake, None, Some(&mut rng)));
    assert_close(&loss, &expected["loss"], "the generator's loss");
    let parameters = maker.net.parameters("generator");
    assert_eq!(
        parameters.len(),
        expected["slopes"].as_object().map_or(0, |s| s.len())
    );
    check_slopes(&loss, &parameters, &expected["slopes"]);

    let mut all = maker.net.tensors("generator");
    all.extend(judge.tensors("discriminator"));
    check_tensors(&all, &golden["moments"]);
    let in_use = &golden["in_use"];
    let made = maker.centred(&noise, None, None);
    assert_close(&made, &in_use["fake"], "generated rows in use");
    let judged = judge.logits(&real, None, None);
    assert_close(&judged, &in_use["on_real"], "logits in use");
}

#[test]
fn the_penalty_on_the_slope_is_that_of_pytorch() {
    let golden = golden("penalty");
    let model = json!({
        "kind": "gan", "architecture": "dense", "hidden": [3],
        "loss": "wasserstein_gp", "spectral_norm": false,
    });
    let critic = discriminator(model, &facts(&[4]), &tensors(&golden["weights"]));
    let penalty = discriminator::slope_penalty(&critic, &tensor(&golden["points"]), None);
    assert_close(&penalty, &golden["penalty"], "penalty");
    let parameters = critic.parameters("discriminator");
    check_slopes(&penalty, &parameters, &golden["slopes"]);
}

#[test]
fn classes_are_projected_as_published() {
    let golden = golden("projection");
    let model = json!({
        "kind": "gan", "architecture": "dense", "hidden": [3], "conditional": true,
        "conditioning": "projection", "loss": "hinge", "spectral_norm": false,
    });
    let net = discriminator(model, &facts(&[4]), &tensors(&golden["weights"]));
    let labels = labels(&golden["labels"]);
    let logits = net.logits(&tensor(&golden["rows"]), Some(&labels), None);
    assert_close(&logits, &golden["logits"], "logits");
    let parameters = net.parameters("discriminator");
    check_slopes(&cubes(&logits), &parameters, &golden["slopes"]);
}
