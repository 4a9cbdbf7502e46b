//! Every rule against PyTorch, and parameters that are left alone.

use super::*;
use crate::nn::golden::{assert_close, list, number, read, tensors};
use serde_json::Value;

const GOLDEN: &str = include_str!("../../../tests/golden/optimizers.json");

fn of_case(case: &Value, start: &Value) -> Optimizer {
    let config = OptimizerConfig {
        rule: serde_json::from_value(case["rule"].clone()).expect("a rule"),
        momentum: number(&case["momentum"]),
        decay: number(&case["decay"]),
        weight_decay: number(&case["weight_decay"]),
    };
    Optimizer::new(config, tensors(start))
}

fn in_name_order(gradient: &Value) -> Vec<Tensor> {
    tensors(gradient).into_values().collect()
}

/// One step by the kernel for accelerators.
fn step_by_tensors(optimizer: &mut Optimizer, gradients: &[Tensor], rate: f64) {
    optimizer.steps += 1;
    for (slot, gradient) in optimizer.slots.iter_mut().zip(gradients) {
        let config = &optimizer.config;
        let factors = Factors::new(config, slot.decayed, rate, 1.0, optimizer.steps);
        update_tensors(slot, gradient, &factors);
    }
}

#[test]
fn every_rule_takes_the_steps_of_pytorch() {
    let golden = read(GOLDEN);
    let rates = list(&golden["rates"]);
    for case in list(&golden["cases"]) {
        for by_tensors in [false, true] {
            let mut optimizer = of_case(case, &golden["start"]);
            for (i, rate) in rates.iter().enumerate() {
                let gradients = in_name_order(&golden["gradients"][i]);
                if by_tensors {
                    step_by_tensors(&mut optimizer, &gradients, number(rate));
                } else {
                    optimizer.step(&gradients, number(rate), None);
                }
                for slot in &optimizer.slots {
                    let what = format!("{} {} after {i}", case["rule"], slot.name);
                    assert_close(&slot.parameter, &case[&slot.name][i], &what);
                }
            }
        }
    }
}

#[test]
fn gradients_are_clipped_as_by_pytorch() {
    let golden = read(GOLDEN);
    let gradients = in_name_order(&golden["gradients"][0]);
    for clipped in list(&golden["clipped"]) {
        let scale = clip_scale(gradients.iter(), number(&clipped["limit"]));
        for (gradient, name) in gradients.iter().zip(["b", "faint", "w"]) {
            let what = format!("{name} up to {}", clipped["limit"]);
            assert_close(&(gradient * scale), &clipped[name], &what);
        }
    }
}

fn named(pairs: &[(&str, &[f32])]) -> Tensors {
    let tensor = |(name, values): &(&str, &[f32])| {
        let tensor = Tensor::from_slice(values).view([1, -1]);
        ((*name).to_owned(), tensor)
    };
    pairs.iter().map(tensor).collect()
}

#[test]
fn what_is_frozen_stays_and_counts_in_no_norm() {
    for rule in [
        Rule::Sgd,
        Rule::Nesterov,
        Rule::Adam,
        Rule::Adamw,
        Rule::Rmsprop,
    ] {
        let config = OptimizerConfig {
            rule,
            momentum: 0.9,
            decay: 0.9,
            weight_decay: 0.5,
        };
        let start = || named(&[("a", &[1.0, 2.0]), ("b", &[3.0]), ("c", &[-1.0, 4.0])]);
        let (whole, part) = (start(), start());
        let mut frozen = Optimizer::new(config, whole);
        frozen.freeze(&["b".to_owned()].into_iter().collect());
        let without_b: Tensors = part.into_iter().filter(|(name, _)| name != "b").collect();
        let mut alone = Optimizer::new(config, without_b);
        for step in 1..5_u8 {
            let slope = |x: f32| Tensor::from_slice(&[x, -x]).view([1, 2]);
            let (a, c) = (slope(f32::from(step)), slope(2.0));
            let huge = Tensor::from_slice(&[1e6_f32]).view([1, 1]);
            let all = [a.shallow_clone(), huge, c.shallow_clone()];
            frozen.step(&all, 0.1, Some(0.5));
            alone.step(&[a, c], 0.1, Some(0.5));
        }
        assert_eq!(frozen.slots[1].parameter, start()["b"], "{rule:?}");
        for (slot, other) in [(0, 0), (2, 1)] {
            let (found, expected) = (&frozen.slots[slot], &alone.slots[other]);
            assert_eq!(found.parameter, expected.parameter, "{rule:?}");
        }
        let saved = frozen.state("o");
        assert!(saved.keys().all(|name| !name.ends_with(".b")), "{rule:?}");
    }
}

#[test]
fn no_gradient_of_what_is_frozen_is_computed() {
    let parameters = named(&[("a", &[1.0]), ("b", &[3.0])]);
    for tensor in parameters.values() {
        let _ = tensor.set_requires_grad(true);
    }
    let (a, b) = (
        parameters["a"].shallow_clone(),
        parameters["b"].shallow_clone(),
    );
    let config = OptimizerConfig {
        rule: Rule::Sgd,
        momentum: 0.0,
        decay: 0.0,
        weight_decay: 0.0,
    };
    let mut optimizer = Optimizer::new(config, parameters);
    optimizer.freeze(&["b".to_owned()].into_iter().collect());
    let loss = || (&a * &b).sum(Kind::Float);
    optimizer.descend(&loss(), 0.1, None);
    assert!(!b.grad().defined());
    assert!((a.double_value(&[0, 0]) - 0.7).abs() < 1e-6);
    optimizer.descend_alone(&loss(), 0.1, None);
    assert!((a.double_value(&[0, 0]) - 0.4).abs() < 1e-6);
    optimizer.freeze(&["a".to_owned()].into_iter().collect());
    optimizer.descend(&loss(), 0.1, None);
    optimizer.descend_alone(&loss(), 0.1, None);
    assert!((a.double_value(&[0, 0]) - 0.4).abs() < 1e-6);
    assert_eq!(b.double_value(&[0, 0]), 3.0);
}
