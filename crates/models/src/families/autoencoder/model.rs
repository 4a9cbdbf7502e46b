//! The trained autoencoder and its verbs.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::layout;
use super::spec::Spec;
use crate::nn::block::Map;
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::model::{Answer, DataFacts, Rows};
use crate::nn::net::{Net, Pass};
use crate::nn::rng::Rng;
use crate::nn::tied::Tied;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::{Graph, Value};
use crate::verbs::round_trip::RoundTrip;
use crate::verbs::{Encoder, Filters, Model};

/// The way from the code to the data.
enum Way {
    Own(Net),
    Tied(Tied),
}

pub struct Autoencoder {
    encoder: Net,
    decoder: Way,
    /// Whether the output is squashed into [0, 1].
    bounded: bool,
}

impl Autoencoder {
    /// A net with fresh weights, whose products are computed in `compute`.
    pub fn init(
        spec: &Spec,
        data: &DataFacts,
        rng: &mut Rng,
        device: Device,
        compute: Kind,
    ) -> Self {
        let down = layout::encoder(spec, data);
        let encoder = down.init(rng, device).computing_in(compute);
        let decoder = if spec.tied {
            Way::Tied(Tied::init(&down, spec.activation, device).computing_in(compute))
        } else {
            let up = layout::decoder(spec, data).init(rng, device);
            Way::Own(up.computing_in(compute))
        };
        Self {
            encoder,
            decoder,
            bounded: data.is_unit_interval(),
        }
    }

    /// Of two nets, the second of which gives logits.
    pub fn of_logits(encoder: Net, decoder: Net) -> Self {
        Self {
            encoder,
            decoder: Way::Own(decoder),
            bounded: true,
        }
    }

    /// Marks every parameter for gradients.
    #[must_use]
    pub fn trainable(self) -> Self {
        Self {
            encoder: self.encoder.trainable(),
            decoder: match self.decoder {
                Way::Own(net) => Way::Own(net.trainable()),
                Way::Tied(tied) => Way::Tied(tied.trainable()),
            },
            ..self
        }
    }

    pub fn restore(&self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.encoder.load("encoder", tensors)?;
        match &self.decoder {
            Way::Own(net) => net.load("decoder", tensors),
            Way::Tied(tied) => tied.load("decoder", tensors),
        }
    }

    pub fn encoder_net(&self) -> &Net {
        &self.encoder
    }

    /// Layers from the data to the code.
    pub fn depth(&self) -> usize {
        self.encoder.depth()
    }

    /// `[batch, features] -> [batch, code]`.
    pub fn code_of(&self, x: &Tensor) -> Tensor {
        self.encoder.forward(x)
    }

    /// The layers of the decoder in `range`, counted from the code; the last gives logits where the
    /// output is bounded.
    pub fn up(&self, h: &Tensor, range: Range<usize>) -> Tensor {
        match &self.decoder {
            Way::Own(net) => net.pass_through(h, range, &mut Pass::default()),
            Way::Tied(tied) => tied.pass_through(&self.encoder, h, range),
        }
    }

    /// `[batch, code] -> [batch, features]`, before the squashing.
    pub fn logits_of(&self, code: &Tensor) -> Tensor {
        self.up(code, 0..self.depth())
    }

    pub fn squash(&self, logits: Tensor) -> Tensor {
        if self.bounded {
            logits.sigmoid()
        } else {
            logits
        }
    }

    /// From a code to rows, as a graph.
    fn write_rows(&self, graph: &mut Graph, code: &Value) -> Value {
        let logits = match &self.decoder {
            Way::Own(net) => net.write(graph, "decoder", code),
            Way::Tied(tied) => tied.write(graph, ("encoder", "decoder"), &self.encoder, code),
        };
        if self.bounded {
            graph.map("Sigmoid", &logits)
        } else {
            logits
        }
    }
}

impl Model for Autoencoder {
    fn pack(&mut self) -> usize {
        let decoder = match &mut self.decoder {
            Way::Own(net) => net.pack(),
            Way::Tied(_) => 0,
        };
        self.encoder.pack() + decoder
    }
    /// `encoder.<i>.weight`, `.bias` from the data to the code, `decoder.<i>.…` from the code back; a
    /// tied decoder has biases only.
    fn tensors(&self) -> Tensors {
        let mut tensors = self.encoder.tensors("encoder");
        tensors.extend(match &self.decoder {
            Way::Own(net) => net.tensors("decoder"),
            Way::Tied(tied) => tied.tensors("decoder"),
        });
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(self.encoder.output_shape().to_vec())
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser,
        scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator);
    crate::refuses!(
        sample: "an autoencoder's code has no distribution to draw from",
        gibbs_steps: "a model of kind 'autoencoder' has no use for it",
    );
    /// A convolution's kernels do not have the shape of a row.
    fn filters(&self) -> Option<&dyn Filters> {
        let first = self.encoder.blocks().first()?;
        matches!(first.config().map, Map::Linear { .. }).then_some(self)
    }
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.encoder.input_features(),
            code: self.encoder.output_features(),
        };
        there_and_back(
            verb,
            widths,
            |graph, x| self.encoder.write(graph, "encoder", x),
            |graph, code| self.write_rows(graph, code),
        )
    }
}

impl Encoder for Autoencoder {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.depth() - 1, "which is the code")
    }
    fn encode(&self, rows: &Rows, layer: usize, _draw: Option<&mut Rng>) -> Answer {
        self.encoder.forward_to(&rows.x, layer + 1).into()
    }
}

impl RoundTrip for Autoencoder {
    fn to_code(&self, x: &Tensor) -> Tensor {
        self.code_of(x)
    }
    fn to_rows(&self, code: &Tensor) -> Tensor {
        self.squash(self.logits_of(code))
    }
    /// The mean of the row's known values.
    fn first_guess(&self, x: &Tensor, missing: &Tensor) -> Tensor {
        let known: Tensor = 1.0 - missing;
        let sum = |x: &Tensor| x.sum_dim_intlist(1, true, Kind::Float);
        sum(&(x * &known)) / sum(&known).clamp_min(1.0)
    }
}

impl Filters for Autoencoder {
    fn filters(&self) -> Tensor {
        let none = || Tensor::zeros([0, 0], (Kind::Float, Device::Cpu));
        self.encoder
            .first_weights()
            .map_or_else(none, Tensor::detach)
    }
}
