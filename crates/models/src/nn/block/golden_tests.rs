//! The maps of a block with given weights: what they put out, and every slope, as PyTorch has them.

use super::*;
use crate::nn::golden::{assert_close, cubes, leaf, read};

/// The value and every slope of a block of no nonlinearity of its own.
fn check(name: &str, config: &BlockConfig, input: &[i64]) {
    let golden = &read(include_str!("../../../tests/golden/layers.json"))[name];
    let mut rng = Rng::at(0, &[]);
    let fresh = Block::init(config, input, Init::FanIn, &mut rng, Device::Cpu);
    let block = Block {
        weight: leaf(&golden["weight"]),
        bias: leaf(&golden["bias"]),
        ..fresh
    };
    let x = leaf(&golden["x"]);
    let y = block.forward(&x, &mut Pass::default());
    assert_eq!(y.size()[1..], block.output, "{name}");
    assert_close(&y, &golden["y"], name);
    cubes(&y).backward();
    for (tensor, part) in [(&x, "x"), (&block.weight, "weight"), (&block.bias, "bias")] {
        let slope = &golden["slopes"][part];
        assert_close(&tensor.grad(), slope, &format!("{name}: slope of {part}"));
    }
}

#[test]
fn maps_and_their_slopes_are_those_of_pytorch() {
    let (channels, stride, padding) = (3, 2, 1);
    let down = Map::Conv {
        channels,
        kernel: 3,
        stride,
        padding,
    };
    let up = Map::ConvTranspose {
        channels,
        kernel: 4,
        stride,
        padding,
        crop: [1, 0],
    };
    let linear = |map| BlockConfig::new(map, Activation::Linear);
    check("conv", &linear(down), &[2, 5, 6]);
    check("conv_transpose", &linear(up), &[2, 3, 2]);
    let gated = BlockConfig {
        gated: true,
        ..linear(Map::linear(3))
    };
    check("gated", &gated, &[4]);
}
