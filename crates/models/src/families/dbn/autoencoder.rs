//! The deep autoencoder: the stack unrolled into an encoder and its mirror image, which then have weights
//! of their own (Hinton and Salakhutdinov, 2006). The loss is the cross-entropy in nats, or the squared
//! error, summed over the values of a row.

use tch::Tensor;

use super::spec::Spec;
use super::tuning::Tuned;
use crate::data::Batch;
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map};
use crate::nn::figures::{mean, psnr};
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::loss::{self, ReconstructionLoss};
use crate::nn::model::{Answer, DataFacts, Rows, error_per_row};
use crate::nn::net::{Net, NetConfig, Pass};
use crate::nn::rng::Rng;
use crate::nn::unroll::Origin;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::Graph;
use crate::train::Report;
use crate::verbs::round_trip::RoundTrip;
use crate::verbs::{Encoder, Filters, Model};

pub struct DeepAutoencoder {
    encoder: Net,
    /// Gives the logits of the values.
    decoder: Net,
    squared_error: bool,
}

/// The encoder and the decoder.
pub fn configs(spec: &Spec, data: &DataFacts) -> [NetConfig; 2] {
    let widths = spec.widths(data);
    let code = widths.last().copied().unwrap_or_default();
    let mut down = BlockConfig::dense(&spec.hidden, Activation::Sigmoid);
    if let Some(block) = down.last_mut().filter(|_| spec.linear_code()) {
        block.activation = Activation::Linear;
    }
    let up: Vec<i64> = spec.hidden.iter().rev().skip(1).copied().collect();
    let mut up = BlockConfig::dense(&up, Activation::Sigmoid);
    up.push(BlockConfig::new(
        Map::linear(data.features()),
        Activation::Linear,
    ));
    [
        NetConfig::new(&[data.features()], down),
        NetConfig::new(&[code], up),
    ]
}

impl DeepAutoencoder {
    pub fn new(spec: &Spec, [encoder, decoder]: [Net; 2]) -> Self {
        Self {
            encoder,
            decoder,
            squared_error: spec.loss == Some(ReconstructionLoss::MeanSquaredError),
        }
    }

    fn logits(&self, x: &Tensor) -> Tensor {
        self.decoder.forward(&self.encoder.forward(x))
    }

    fn loss_of(&self, logits: &Tensor, target: &Tensor) -> Tensor {
        if self.squared_error {
            loss::squared_error(&logits.sigmoid(), target)
        } else {
            loss::cross_entropy(logits, target)
        }
    }
}

impl Tuned for DeepAutoencoder {
    fn net_tensors(&self) -> Tensors {
        let mut tensors = self.encoder.tensors("encoder");
        tensors.extend(self.decoder.tensors("decoder"));
        tensors
    }

    fn origin(&self, name: &str) -> Option<Origin> {
        Origin::of(name, "encoder", self.encoder.depth())
    }

    fn loss(&self, batch: &Batch, rng: &mut Rng) -> Option<Tensor> {
        let code = self.encoder.pass(batch.rows(), &mut Pass::train(rng));
        let logits = self.decoder.pass(&code, &mut Pass::train(rng));
        Some(self.loss_of(&logits, batch.rows()))
    }

    fn report(&self, batch: &Batch) -> Report {
        let logits = self.logits(batch.rows());
        let errors = error_per_row(batch.rows(), &logits.sigmoid());
        let loss = self.loss_of(&logits, batch.rows()).double_value(&[]);
        Report(vec![
            ("loss", loss),
            ("reconstruction_mse", mean(&errors)),
            ("psnr", mean(&psnr(&errors))),
        ])
    }

    fn load(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.encoder.load("encoder", tensors)?;
        self.decoder.load("decoder", tensors)
    }
}

impl Model for DeepAutoencoder {
    fn pack(&mut self) -> usize {
        self.encoder.pack() + self.decoder.pack()
    }
    fn tensors(&self) -> Tensors {
        self.net_tensors()
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(self.encoder.output_shape().to_vec())
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser,
        scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator, filters: Filters);
    crate::refuses!(
        sample: "after fine-tuning the code has no distribution to draw from",
        gibbs_steps: "a dbn with the head 'autoencoder' has no use for it",
    );
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.encoder.input_features(),
            code: self.encoder.output_features(),
        };
        there_and_back(
            verb,
            widths,
            |graph, x| self.encoder.write(graph, "encoder", x),
            |graph, code| {
                let logits = self.decoder.write(graph, "decoder", code);
                graph.map("Sigmoid", &logits)
            },
        )
    }
}

impl Encoder for DeepAutoencoder {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.encoder.depth() - 1, "the last hidden layer")
    }
    fn encode(&self, rows: &Rows, layer: usize, _draw: Option<&mut Rng>) -> Answer {
        self.encoder.forward_to(&rows.x, layer + 1).into()
    }
}

impl RoundTrip for DeepAutoencoder {
    fn to_code(&self, x: &Tensor) -> Tensor {
        self.encoder.forward(x)
    }
    fn to_rows(&self, code: &Tensor) -> Tensor {
        self.decoder.forward(code).sigmoid()
    }
    fn first_guess(&self, x: &Tensor, _missing: &Tensor) -> Tensor {
        Tensor::full_like(x, 0.5)
    }
}

impl Filters for DeepAutoencoder {
    fn filters(&self) -> Tensor {
        self.encoder.blocks()[0].weight().detach()
    }
}
