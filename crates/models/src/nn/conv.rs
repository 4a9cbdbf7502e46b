//! Stacks of strided convolutions down from an image, and their mirror images back up. Strides halve
//! the sides; there is no pooling (Springenberg et al., 2015; Radford et al., 2016).

use super::activation::Activation;
use super::block::{BlockConfig, Map, Norm};

/// A stack's usual kernel on the way down. With half of it as padding, every odd one halves a side of any length
/// `n ≥ 1` to `⌈n / 2⌉`.
pub const KERNEL: i64 = 3;
const STRIDE: i64 = 2;
/// On the way up an even kernel covers every output equally often, so no chequered pattern appears
/// (Odena et al., 2016).
const KERNEL_UP: i64 = 4;

/// One halving for each entry of `channels`, by an odd `kernel`.
pub fn encoder(
    channels: &[i64],
    kernel: i64,
    activation: Activation,
    norm: Norm,
) -> Vec<BlockConfig> {
    channels
        .iter()
        .map(|&channels| BlockConfig {
            norm,
            ..BlockConfig::new(
                Map::Conv {
                    channels,
                    kernel,
                    stride: STRIDE,
                    padding: kernel / 2,
                },
                activation,
            )
        })
        .collect()
}

/// Sides of the image after each halving, from `side` itself.
pub fn halvings(side: i64, times: usize) -> Vec<i64> {
    let mut sides = vec![side];
    for _ in 0..times {
        let last = sides[sides.len() - 1];
        sides.push((last + STRIDE - 1) / STRIDE);
    }
    sides
}

/// From the last feature map of [`encoder`] with the same `channels` back to `image`
/// (`[channels, height, width]`). The last block is linear and has no normalisation.
pub fn decoder(
    image: &[i64],
    channels: &[i64],
    activation: Activation,
    norm: Norm,
) -> Result<Vec<BlockConfig>, String> {
    let &[colours, height, width] = image else {
        return Err(format!(
            "convolutions need rows of shape [channels, height, width], these have {image:?}"
        ));
    };
    let (heights, widths) = (
        halvings(height, channels.len()),
        halvings(width, channels.len()),
    );
    Ok((0..channels.len())
        .rev()
        .map(|level| {
            let last = level == 0;
            // `⌈n/2⌉` doubled is n or n + 1: for an odd side the padding takes the last line away.
            let odd = |sides: &[i64]| 2 * sides[level + 1] - sides[level];
            let map = Map::ConvTranspose {
                channels: if last { colours } else { channels[level - 1] },
                kernel: KERNEL_UP,
                stride: STRIDE,
                padding: 1,
                crop: [odd(&heights), odd(&widths)],
            };
            BlockConfig {
                norm: if last { Norm::None } else { norm },
                ..BlockConfig::new(map, if last { Activation::Linear } else { activation })
            }
        })
        .collect())
}

/// Shape of the last feature map of [`encoder`] on `image`.
pub fn feature_map(image: &[i64], channels: &[i64]) -> Option<[i64; 3]> {
    let (&[_, height, width], Some(&last)) = (image, channels.last()) else {
        return None;
    };
    let end = |side| halvings(side, channels.len())[channels.len()];
    Some([last, end(height), end(width)])
}
