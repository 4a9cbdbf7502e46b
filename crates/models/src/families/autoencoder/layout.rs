//! The layers of an autoencoder: convolutions, dense layers and the code on the way down, their mirror
//! image on the way up.

use super::spec::Spec;
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map, Norm};
use crate::nn::conv;
use crate::nn::model::DataFacts;
use crate::nn::net::NetConfig;
use crate::nn::tied;

/// `[features] -> [code]`.
pub fn encoder(spec: &Spec, data: &DataFacts) -> NetConfig {
    let mut blocks = conv::encoder(&spec.channels, conv::KERNEL, spec.activation, Norm::None);
    blocks.extend(BlockConfig::dense(&spec.hidden, spec.activation));
    blocks.extend(BlockConfig::dense(&[spec.code], spec.code_activation));
    let input = if spec.channels.is_empty() {
        vec![data.features()]
    } else {
        data.shape().to_vec()
    };
    NetConfig::new(&input, blocks)
}

/// `[code] -> [features]`, before the squashing; block i mirrors the encoder's block `depth - 1 - i`.
pub fn decoder(spec: &Spec, data: &DataFacts) -> NetConfig {
    let widths: Vec<i64> = spec.hidden.iter().rev().copied().collect();
    let mut blocks = BlockConfig::dense(&widths, spec.activation);
    if let Some(image) = conv::feature_map(data.shape(), &spec.channels) {
        let map = Map::Linear {
            shape: image.to_vec(),
        };
        blocks.push(BlockConfig::new(map, spec.activation));
        let up = conv::decoder(data.shape(), &spec.channels, spec.activation, Norm::None);
        blocks.extend(up.unwrap_or_default());
    } else {
        blocks.extend(BlockConfig::dense(&[data.features()], Activation::Linear));
    }
    NetConfig::new(&[spec.code], blocks)
}

/// Numbers in the weights and biases of both.
pub fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
    let down = encoder(spec, data);
    let up = if spec.tied {
        tied::parameters(&down)
    } else {
        decoder(spec, data).parameters()
    };
    down.parameters().saturating_add(up)
}
