//! Rules, shapes and verbs of autoencoders that the suite's digits do not show.

use std::error::Error;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::{Autoencoder, Spec};
use crate::data::Batch;
use crate::families::{Define, suite};
use crate::nn::model::{DataFacts, Rows};
use crate::nn::optimizer::Rule;
use crate::nn::rng::{Rng, values};
use crate::train::settings::{Precision, Training};
use crate::train::{Learner, StepContext};
use crate::verbs::{EncodeOptions, Input, Model, Operation};

type Tried = Result<(), Box<dyn Error>>;

fn spec(fields: &Value) -> Result<Spec, serde_json::Error> {
    let mut model = json!({"kind": "autoencoder", "hidden": [12], "code": 5});
    if let (Some(all), Some(fields)) = (model.as_object_mut(), fields.as_object()) {
        all.extend(fields.clone());
    }
    serde_json::from_value(model)
}

fn facts(shape: &[i64], range: (f64, f64)) -> DataFacts {
    DataFacts::new(shape, range)
}

fn training() -> Training {
    Training::of(&Spec::TRAINING, 1)
}

fn fresh(spec: &Spec, data: &DataFacts) -> Autoencoder {
    Autoencoder::init(spec, data, &mut Rng::at(1, &[]), Device::Cpu, Kind::Float)
}

fn rows(count: i64, data: &DataFacts) -> Rows {
    Rows {
        x: Rng::at(2, &[]).uniform(&[count, data.features()], Device::Cpu),
        labels: None,
    }
}

fn context(step: u64, learning_rate: f64) -> StepContext {
    StepContext {
        rng: Rng::at(3, &[step]),
        learning_rate,
        epoch: 0,
        step,
        time: 0.0,
    }
}

#[test]
fn what_cannot_be_honoured_is_refused_at_its_field() -> Tried {
    let rbm = |kind: &str| json!({"pretraining": {"kind": kind}, "activation": "sigmoid"});
    let image = facts(&[1, 8, 8], (0.0, 1.0));
    let flat = facts(&[64], (0.0, 1.0));
    let wide = facts(&[64], (-2.0, 3.0));
    let cases = [
        (json!({"channels": [4]}), &flat, "/model/channels"),
        (json!({"channels": [4, 0]}), &image, "/model/channels/1"),
        (json!({"channels": vec![4; 17]}), &image, "/model/channels"),
        (json!({"code": 0}), &flat, "/model/code"),
        (json!({"contractive": 0.0}), &flat, "/model/contractive"),
        (
            json!({"sparsity": {"weight": 1.0}}),
            &flat,
            "/model/sparsity/kind",
        ),
        (
            json!({"sparsity": {"kind": "l1", "weight": 1.0, "target": 0.1}}),
            &flat,
            "/model/sparsity/target",
        ),
        (
            json!({"sparsity": {"kind": "l1", "weight": -1.0}}),
            &flat,
            "/model/sparsity/weight",
        ),
        (
            json!({"pretraining": {"kind": "rbm"}}),
            &flat,
            "/model/pretraining/kind",
        ),
        (rbm("rbm"), &wide, "/model/pretraining/kind"),
        (
            json!({"pretraining": {"kind": "rbm", "corruption": {"kind": "mask", "level": 0.1}},
                "activation": "sigmoid"}),
            &flat,
            "/model/pretraining/corruption",
        ),
        (
            json!({"pretraining": {"kind": "denoising", "gibbs_steps": 2}}),
            &flat,
            "/model/pretraining/gibbs_steps",
        ),
        (
            json!({"pretraining": {"kind": "denoising", "corruption": {"kind": "mask", "level": 1.5}}}),
            &flat,
            "/model/pretraining/corruption/level",
        ),
        (
            json!({"loss": "binary_cross_entropy"}),
            &wide,
            "/model/loss",
        ),
    ];
    for (fields, data, pointer) in cases {
        let found = suite::broken("autoencoder", &spec(&fields)?, &training(), data);
        assert_eq!(found, [pointer], "{fields}");
    }
    for fields in [rbm("rbm"), rbm("denoising"), json!({"channels": [4, 8]})] {
        let found = suite::broken("autoencoder", &spec(&fields)?, &training(), &image);
        assert_eq!(found, [""; 0], "{fields}");
    }
    Ok(())
}

#[test]
fn parameters_are_counted_without_being_made() -> Tried {
    for data in [
        facts(&[3, 9, 14], (0.0, 1.0)),
        facts(&[1, 8, 8], (0.0, 1.0)),
    ] {
        for fields in [
            json!({}),
            json!({"hidden": []}),
            json!({"tied": true}),
            json!({"channels": [4, 6]}),
            json!({"channels": [4, 6], "hidden": [], "tied": true}),
        ] {
            let spec = spec(&fields)?;
            let tensors = fresh(&spec, &data).tensors();
            let made: usize = tensors.values().map(Tensor::numel).sum();
            assert_eq!(spec.parameters(&data), made as u128, "{fields} on {data:?}");
        }
    }
    let absurd =
        spec(&json!({"hidden": vec![1_i64 << 24; 64], "channels": vec![1_i64 << 24; 16]}))?;
    let many = absurd.parameters(&facts(&[3, 4096, 4096], (0.0, 1.0)));
    assert!(many > crate::families::MAX_PARAMETERS);
    Ok(())
}

#[test]
fn every_layer_can_be_encoded() -> Tried {
    let data = facts(&[3, 9, 14], (0.0, 1.0));
    let net = fresh(&spec(&json!({"channels": [4, 6]}))?, &data);
    let rows = rows(2, &data);
    let width = |layer: Option<usize>| {
        let operation = Operation::of(EncodeOptions {
            layer,
            ..EncodeOptions::default()
        });
        let input = Input {
            rows: 2,
            values: values(&rows.x.flatten(0, -1)).to_vec(),
            labels: None,
        };
        let reply = operation.on(input).apply(&net, &data, Device::Cpu);
        reply.map(|reply| reply.output.shape)
    };
    for (layer, expected) in [(0, 4 * 5 * 7), (1, 6 * 3 * 4), (2, 12), (3, 5)] {
        assert_eq!(width(Some(layer))?, [expected], "layer {layer}");
    }
    assert_eq!(width(None)?, [5]);
    assert!(width(Some(4)).is_err());
    assert!(net.filters().is_none(), "kernels are no rows");
    Ok(())
}

#[test]
fn colour_images_of_any_range_are_learnt_in_either_precision() -> Tried {
    let data = facts(&[3, 7, 10], (-1.0, 4.0));
    for precision in [Precision::Fp32, Precision::Bf16] {
        let mut training = training();
        training.precision = precision;
        let spec = spec(&json!({"channels": [6], "activation": "gelu", "tied": true}))?;
        let mut learner = spec.learner(&training, &data, Device::Cpu);
        // Multiples of one image: a code of five can hold them.
        let one = rows(1, &data).x * 3.0;
        let shares = Rng::at(4, &[]).uniform(&[16, 1], Device::Cpu);
        let batch = Batch::new(shares * one);
        let loss = |learner: &dyn Learner| {
            let report = tch::no_grad(|| learner.evaluate(&batch, &mut Rng::at(0, &[])));
            assert!(report.0.iter().all(|&(name, _)| name != "psnr"));
            report
                .0
                .iter()
                .find(|(name, _)| *name == "loss")
                .map(|l| l.1)
        };
        let before = loss(learner.as_ref()).ok_or("no loss")?;
        for step in 0..60 {
            learner.step(&batch, &mut context(step, 0.005));
        }
        let after = loss(learner.as_ref()).ok_or("no loss")?;
        assert!(
            after < 0.2 * before,
            "{precision:?}: {before}, then {after}"
        );
    }
    Ok(())
}

#[test]
fn a_machine_and_the_net_it_is_unrolled_to_rebuild_the_same() -> Tried {
    let data = facts(&[20], (0.0, 1.0));
    for tied in [false, true] {
        let fields = json!({"hidden": [], "code_activation": "sigmoid", "tied": tied, "pretraining": {"kind": "rbm"}});
        let mut learner = spec(&fields)?.learner(&training(), &data, Device::Cpu);
        let batch = Batch::new(rows(30, &data).x);
        for step in 0..20 {
            learner.step(&batch, &mut context(step, 0.1));
        }
        learner.close_epoch(0, 0);
        let report = tch::no_grad(|| learner.evaluate(&batch, &mut Rng::at(0, &[])));
        let find = |wanted: &str| report.0.iter().find(|(name, _)| *name == wanted);
        let machine = find("layer_mse").ok_or("no layer_mse")?.1;
        let net = find("reconstruction_mse").ok_or("no reconstruction_mse")?.1;
        assert!((machine - net).abs() < 1e-6, "{machine} and {net}");
    }
    Ok(())
}

#[test]
fn inpainting_fills_in_what_is_missing_and_keeps_the_rest() -> Tried {
    let data = facts(&[6], (0.0, 1.0));
    let mut training = training();
    training.optimizer = Rule::Adam;
    let spec = spec(&json!({"hidden": [], "code": 1, "loss": "mean_squared_error"}))?;
    let mut learner = spec.learner(&training, &data, Device::Cpu);
    // All values of a row are alike: the known ones tell the missing.
    let levels = Tensor::from_slice(&[0.1_f32, 0.3, 0.7, 0.9]).view([4, 1]);
    let x = levels.expand([4, 6], false).contiguous();
    let batch = Batch::new(x.shallow_clone());
    for step in 0..800 {
        learner.step(&batch, &mut context(step, 0.03));
    }
    let missing = Tensor::from_slice(&[0.0_f32, 0.0, 0.0, 0.0, 1.0, 1.0]).expand([4, 6], false);
    let hidden = Rows {
        x: x.masked_fill(&missing.greater(0.5), 5.0),
        labels: None,
    };
    let part = learner.model().inpainter().ok_or("no inpainter")?;
    let filled = tch::no_grad(|| part.inpaint(&hidden, &missing, 100, &mut Rng::at(0, &[])));
    assert_eq!(filled.narrow(1, 0, 4), x.narrow(1, 0, 4));
    let worst = (filled - x).abs().max().double_value(&[]);
    assert!(worst < 0.05, "{worst}");
    Ok(())
}
