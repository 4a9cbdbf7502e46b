//! `Rng::bernoulli` and `Rng::uniform` of `nn/rng.rs` beside libtorch's generator.

use latentd::nn::rng::Rng;
use tch::{Device, Kind};

use crate::{Side, compare};

pub fn measure() {
    let mut rng = Rng::at(4, &[]);
    let p = rng.uniform(&[100, 500], Device::Cpu);
    let mut drawing = Rng::at(5, &[]);
    compare(
        "sampling: 100 rows of 500 from p",
        vec![
            Side::new("rng.rs", || drawing.bernoulli(&p)),
            Side::new("rand < p", || {
                p.rand_like().less_tensor(&p).to_kind(Kind::Float)
            }),
            Side::new("bernoulli", || p.bernoulli()),
            Side::new("rng.rs uniform < p", || {
                let u = rng.uniform(&[100, 500], Device::Cpu);
                u.less_tensor(&p).to_kind(Kind::Float)
            }),
        ],
    );
}
