//! Reads the numbers that `tests/golden/make_golden.py` made with PyTorch, and compares with them.
//! For tests alone.

use serde_json::Value;
use tch::Tensor;

use super::Tensors;

/// The f32 sums of small nets are this close to those in f64: relative to the number, to the greatest
/// of its tensor, and, for slopes that are zero by calculation, as such.
const RELATIVE: f64 = 1e-5;
const OF_GREATEST: f64 = 2e-6;
const ABSOLUTE: f64 = 2e-7;

/// A file of numbers.
pub fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Nested lists as an f32 tensor.
pub fn tensor(value: &Value) -> Tensor {
    let mut shape = Vec::new();
    let mut inner = value;
    while let Value::Array(list) = inner {
        shape.push(list.len() as i64);
        inner = &list[0];
    }
    Tensor::from_slice(&flat(value))
        .to_kind(tch::Kind::Float)
        .view(shape.as_slice())
}

/// Whole numbers, as labels are.
pub fn labels(value: &Value) -> Tensor {
    tensor(value).to_kind(tch::Kind::Int64)
}

/// Tensors by name.
pub fn tensors(value: &Value) -> Tensors {
    let named = value.as_object().expect("an object").iter();
    named
        .map(|(name, value)| (name.clone(), tensor(value)))
        .collect()
}

pub fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// The cases of a section.
pub fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(flat).collect(),
        other => vec![number(other)],
    }
}

/// Panics where `found` is not `expected`, of the same shape and nearly the same numbers.
#[track_caller]
pub fn assert_close(found: &Tensor, expected: &Value, what: &str) {
    assert_eq!(found.size(), tensor(expected).size(), "{what}: shape");
    let found = found.detach().to_kind(tch::Kind::Double).reshape([-1]);
    let found = Vec::<f64>::try_from(&found).expect("numbers");
    let expected = flat(expected);
    let greatest = expected.iter().fold(0.0_f64, |most, e| most.max(e.abs()));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let allowed = RELATIVE * expected.abs() + OF_GREATEST * greatest + ABSOLUTE;
        assert!(
            (found - expected).abs() <= allowed,
            "{what}: {found} in place of {expected} at {i}"
        );
    }
}

/// Marks copies of tensors for gradients.
pub fn leaf(value: &Value) -> Tensor {
    tensor(value).set_requires_grad(true)
}

/// `⅓ Σ y³`, a loss with another slope for every output. Squares would not do: a normalised batch
/// keeps theirs.
pub fn cubes(y: &Tensor) -> Tensor {
    y.pow_tensor_scalar(3).sum(tch::Kind::Float) / 3.0
}

#[test]
fn what_differs_is_noticed() {
    let expected = read("[[1.0, -2.0], [0.5, 0.001]]");
    assert_close(&tensor(&expected), &expected, "the same");
    for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let other = tensor(&expected);
        let cell = other.get(row).get(column);
        let _ = cell.shallow_clone().g_add_scalar_(5e-5);
        let compared = std::panic::catch_unwind(|| assert_close(&other, &expected, "other"));
        assert!(compared.is_err(), "at {row}, {column}");
    }
    let flat = tensor(&expected).view([4]);
    let compared = std::panic::catch_unwind(|| assert_close(&flat, &expected, "other shape"));
    assert!(compared.is_err());
}
