//! The deep autoencoder: the stack unrolled into an encoder and its mirror image, which then have weights
//! of their own (Hinton and Salakhutdinov, 2006). The loss is the cross-entropy in nats, or the squared
//! error, summed over the values of a row.

use tch::Tensor;

use super::spec::Spec;
use super::tuning::Tuned;
use crate::data::Batch;
use crate::families::autoencoder::Autoencoder;
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map};
use crate::nn::figures::{mean, psnr};
use crate::nn::graph::GraphVerb;
use crate::nn::loss::{self, ReconstructionLoss};
use crate::nn::model::{Answer, DataFacts, Rows, error_per_row};
use crate::nn::net::{Net, NetConfig};
use crate::nn::rng::Rng;
use crate::nn::unroll::Origin;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::Graph;
use crate::train::Report;
use crate::verbs::round_trip::RoundTrip;
use crate::verbs::{Encoder, Model};

pub struct DeepAutoencoder {
    nets: Autoencoder,
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
            nets: Autoencoder::of_logits(encoder, decoder),
            squared_error: spec.loss == Some(ReconstructionLoss::MeanSquaredError),
        }
    }

    fn logits(&self, x: &Tensor) -> Tensor {
        self.nets.logits_of(&self.nets.code_of(x))
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
    fn origin(&self, name: &str) -> Option<Origin> {
        Origin::of(name, "encoder", self.nets.depth())
    }

    fn loss(&self, batch: &Batch, _rng: &mut Rng) -> Option<Tensor> {
        Some(self.loss_of(&self.logits(batch.rows()), batch.rows()))
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
        self.nets.restore(tensors)
    }
}

impl Model for DeepAutoencoder {
    fn pack(&mut self) -> usize {
        self.nets.pack()
    }
    fn tensors(&self) -> Tensors {
        self.nets.tensors()
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        self.nets.code_shape()
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser,
        scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator);
    crate::offers!(by nets, filters: Filters);
    crate::refuses!(
        sample: "after fine-tuning the code has no distribution to draw from",
        gibbs_steps: "a dbn with the head 'autoencoder' has no use for it",
    );
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        self.nets.graph(verb)
    }
}

impl Encoder for DeepAutoencoder {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.nets.depth() - 1, "the last hidden layer")
    }
    fn encode(&self, rows: &Rows, layer: usize, draw: Option<&mut Rng>) -> Answer {
        self.nets.encode(rows, layer, draw)
    }
}

impl RoundTrip for DeepAutoencoder {
    fn to_code(&self, x: &Tensor) -> Tensor {
        self.nets.to_code(x)
    }
    fn to_rows(&self, code: &Tensor) -> Tensor {
        self.nets.to_rows(code)
    }
    fn first_guess(&self, x: &Tensor, _missing: &Tensor) -> Tensor {
        Tensor::full_like(x, 0.5)
    }
}
