//! `nn/bernoulli.rs` beside the same log-likelihood by tensor operations, alone and with its gradient.

use latentd::nn::bernoulli::log_likelihood;
use latentd::nn::loss::cross_entropy_per_row;
use latentd::nn::rng::Rng;
use tch::{Device, Kind, Tensor};

use crate::{Side, compare};

pub fn measure() {
    let mut rng = Rng::at(3, &[]);
    let x = rng.uniform(&[100, 784], Device::Cpu);
    let logits = rng.normal(&[100, 784], Device::Cpu);
    let plain = |logits: &Tensor, x: &Tensor| -cross_entropy_per_row(logits, x);
    compare(
        "likelihood: 100 rows of 784",
        vec![
            Side::new("bernoulli.rs", || log_likelihood(&logits, &x)),
            Side::new("tensor operations", || plain(&logits, &x)),
        ],
    );
    let gradient = |of: fn(&Tensor, &Tensor) -> Tensor| {
        tch::with_grad(|| {
            let logits = logits.detach().set_requires_grad(true);
            of(&logits, &x).sum(Kind::Float).backward();
            logits.grad()
        })
    };
    compare(
        "likelihood: with its gradient",
        vec![
            Side::new("bernoulli.rs", || gradient(log_likelihood)),
            Side::new("tensor operations", || {
                gradient(|l, x| -cross_entropy_per_row(l, x))
            }),
        ],
    );
}
