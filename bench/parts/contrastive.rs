//! `nn/boltzmann/gradient.rs` beside the same difference of two products, written plainly.

use latentd::nn::boltzmann::gradient::{Gradient, Statistics, column_means};
use latentd::nn::rng::Rng;
use tch::{Device, Kind, Tensor};

use crate::{Side, compare};

pub fn measure() {
    let mut rng = Rng::at(6, &[]);
    let mut phase = || Statistics {
        v: rng.uniform(&[128, 784], Device::Cpu),
        h: rng.uniform(&[128, 500], Device::Cpu),
    };
    let (model, data) = (phase(), phase());
    compare(
        "contrastive: 128 rows, 784 by 500",
        vec![
            Side::new("gradient.rs", || {
                Gradient::between(&model, &data, Kind::Float).in_name_order()
            }),
            Side::new("two products", || plain(&model, &data)),
            Side::new("one of both", || concatenated(&model, &data)),
        ],
    );
}

/// `(v_modelᵀ h_model - v_dataᵀ h_data) / rows`.
fn plain(model: &Statistics, data: &Statistics) -> [Tensor; 3] {
    let product = |phase: &Statistics| phase.v.tr().matmul(&phase.h);
    biases(model, data, (product(model) - product(data)) / 128.0)
}

/// The same as one product of twice as many rows.
fn concatenated(model: &Statistics, data: &Statistics) -> [Tensor; 3] {
    let v = Tensor::cat(&[&model.v, &data.v], 0);
    let h = Tensor::cat(&[&model.h / 128.0, &data.h / -128.0], 0);
    biases(model, data, v.tr().matmul(&h))
}

fn biases(model: &Statistics, data: &Statistics, weights: Tensor) -> [Tensor; 3] {
    [
        column_means(&model.h) - column_means(&data.h),
        column_means(&model.v) - column_means(&data.v),
        weights,
    ]
}
