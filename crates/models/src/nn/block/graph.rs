//! A block as it is in use, written into a graph.

use super::{Block, Map};
use crate::onnx::{Attribute, Graph, Value};

impl Block {
    /// `x: [batch, …row] -> [batch, …output]`; the tensors have the block's own names behind `prefix`.
    pub(in crate::nn) fn write(
        &self,
        graph: &mut Graph,
        prefix: &str,
        x: &Value,
        row: &[i64],
        labels: Option<&Value>,
    ) -> Value {
        let mut h = self.write_map(graph, prefix, x, row);
        if let Some(norm) = &self.norm {
            h = norm.write(graph, &format!("{prefix}.norm"), &h, &self.output, labels);
        }
        if !self.config.gated {
            return self.config.activation.write(graph, &h);
        }
        let channels = self.output.first().copied().unwrap_or_default();
        let through = graph.narrow(&h, 1, 0, channels);
        let gate = graph.narrow(&h, 1, channels, channels);
        let gate = graph.map("Sigmoid", &gate);
        graph.multiply(&through, &gate)
    }

    fn write_map(&self, graph: &mut Graph, prefix: &str, x: &Value, row: &[i64]) -> Value {
        let weight = match &self.spectral {
            Some(spectral) => graph.weight(
                &format!("{prefix}.weight.normalised"),
                &spectral.normalised(&self.weight, false),
            ),
            None => graph.weight(&format!("{prefix}.weight"), &self.weight),
        };
        let bias = graph.weight(&format!("{prefix}.bias"), &self.bias);
        match self.config.map {
            Map::Linear { .. } => {
                let flat = if row.len() > 1 {
                    graph.flatten(x)
                } else {
                    x.clone()
                };
                let h = graph.affine_transposed(&flat, &weight, &bias);
                if self.output.len() < 2 {
                    return h;
                }
                // With a gate the channels come in two halves.
                let mut whole = self.output.clone();
                whole[0] *= if self.config.gated { 2 } else { 1 };
                graph.reshape(&h, &whole)
            }
            Map::Conv {
                stride, padding, ..
            } => {
                let attributes = strides_and_pads(stride, [padding; 4]);
                graph.node("Conv", &[x, &weight, &bias], attributes)
            }
            // What is padded at the end is taken off it.
            Map::ConvTranspose {
                stride,
                padding,
                crop: [lines, columns],
                ..
            } => {
                let pads = [padding, padding, padding + lines, padding + columns];
                let attributes = strides_and_pads(stride, pads);
                graph.node("ConvTranspose", &[x, &weight, &bias], attributes)
            }
        }
    }
}

/// Pads above, to the left, below, to the right.
fn strides_and_pads(stride: i64, pads: [i64; 4]) -> Vec<(&'static str, Attribute)> {
    vec![
        ("strides", Attribute::Ints(vec![stride; 2])),
        ("pads", Attribute::Ints(pads.to_vec())),
    ]
}
