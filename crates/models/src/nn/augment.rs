//! Images changed in ways that leave their class as it is, so that a classifier learns to look past
//! them (Simard et al., 2003).

use tch::{Kind, Tensor};

use super::rng::Rng;

/// Moves each image by a whole number of pixels up to `limit`, drawn for each axis; what comes into
/// view repeats the edge. `images: [batch, channels · height · width]`, and so is the answer.
pub fn shifted(images: &Tensor, shape: [i64; 3], limit: i64, rng: &mut Rng) -> Tensor {
    let [channels, height, width] = shape;
    let (rows, device) = (images.size()[0], images.device());
    let choices = (2 * limit + 1) as f64;
    let moves = (rng.uniform(&[2, rows, 1], device) * choices)
        .floor()
        .clamp_max(choices - 1.0)
        - limit as f64;
    // Where each line and each column of the answer is taken from: [rows, height], [rows, width].
    let source = |axis: i64, side: i64| {
        let places = Tensor::arange(side, (Kind::Float, device)) + moves.get(axis);
        places.clamp(0.0, (side - 1) as f64).to_kind(Kind::Int64)
    };
    let (line, column) = (source(0, height), source(1, width));
    let index = (line.unsqueeze(2) * width + column.unsqueeze(1))
        .view([rows, 1, height * width])
        .expand([rows, channels, height * width], false);
    images
        .view([rows, channels, height * width])
        .gather(2, &index, false)
        .view([rows, -1])
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn every_image_is_moved_whole_and_every_move_is_drawn() {
        let (height, width, rows) = (3, 4, 400);
        // The value of a pixel says where it is.
        let image = Tensor::arange(2 * height * width, (Kind::Float, Device::Cpu));
        let images = image.expand([rows, -1], false).contiguous();
        let moved = shifted(&images, [2, height, width], 1, &mut Rng::at(1, &[]));
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..rows {
            let at = |channel: i64, y: i64, x: i64| {
                moved.int64_value(&[row, (channel * height + y) * width + x])
            };
            // The middle pixel was at (1, 1), whose value is 5.
            let (dy, dx) = (at(0, 1, 1) / width - 1, at(0, 1, 1) % width - 1);
            seen.insert((dy, dx));
            for (channel, y, x) in [(0, 0, 0), (0, 2, 3), (1, 0, 3), (1, 1, 2), (1, 2, 0)] {
                let (sy, sx) = ((y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1));
                let expected = (channel * height + sy) * width + sx;
                assert_eq!(at(channel, y, x), expected, "by ({dy}, {dx})");
            }
        }
        assert_eq!(seen.len(), 9, "{seen:?}");
    }
}
