//! `nn/packed.rs` with `nn/thread_pool.rs` beside libtorch's linear layer: `x Wᵀ + b`, 784 inputs, 500 units.

use latentd::nn::packed::Packed;
use latentd::nn::rng::Rng;
use tch::Device;

use crate::{Side, compare};

pub fn measure() {
    let mut rng = Rng::at(2, &[]);
    let weight = rng.normal(&[500, 784], Device::Cpu);
    let bias = rng.normal(&[500], Device::Cpu);
    let Some(packed) = Packed::of(&weight, &bias) else {
        return println!("linear: this processor has no AVX2");
    };
    for rows in [1, 4, 32, 256] {
        let x = rng.normal(&[rows, 784], Device::Cpu);
        compare(
            &format!("linear: {rows} rows, 784 to 500"),
            vec![
                Side::new("packed.rs", || packed.forward(&x)),
                Side::new("libtorch linear", || x.linear(&weight, Some(&bias))),
            ],
        );
    }
}
