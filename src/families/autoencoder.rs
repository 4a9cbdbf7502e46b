//! Autoencoder: an encoder down to a code and its mirror image back (Hinton and Salakhutdinov, 2006).
//! With `corruption` it learns to undo noise (denoising autoencoder; Vincent et al., 2010).
//!
//! `x -> h_1 … h_n -> code -> h_n … h_1 -> y`; `y = σ(logits)` for data in [0, 1], else linear.
//! The loss is summed over the values of a row and averaged over the batch.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind as TensorKind, Tensor};
use utoipa::ToSchema;

use super::{Define, require_width};
use crate::data::split::Batch;
use crate::document::Rules;
use crate::nn::activation::Activation;
use crate::nn::corruption::CorruptionKind;
use crate::nn::dense::{Dense, DenseConfig};
use crate::nn::loss::{self, ReconstructionLoss};
use crate::nn::model::{
    Answer, BadOption, DataFacts, Decoder, Denoiser, Encoder, Filters, Model, Reconstructor, Rows,
    Scorer,
};
use crate::nn::optimizer::{Optimizer, Rule};
use crate::nn::options::{EncodeOptions, GibbsOptions, ScoreOptions};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::epoch_loop::stream;
use crate::train::settings::{Schedule, ScheduleKind, Training, TrainingDefaults};
use crate::train::{Learner, Phase, Report, StepContext};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AutoencoderKind)]
pub enum Kind {
    #[default]
    Autoencoder,
}

/// Noise put on every training input; the target stays clean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Corruption {
    #[schema(inline)]
    pub kind: CorruptionKind,
    /// Standard deviation (`gaussian`) or share of the values (`mask`, `salt_and_pepper`).
    #[schema(exclusive_minimum = 0.0)]
    pub level: f64,
}

/// Autoencoder with dense layers, the decoder mirroring the encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AutoencoderModel)]
pub struct Spec {
    #[schema(required, inline)]
    pub kind: Kind,
    /// Widths of the encoder's hidden layers, from the input to the code; may be empty.
    pub hidden: Vec<i64>,
    /// Units of the code.
    #[schema(minimum = 1)]
    pub code: i64,
    /// Nonlinearity of the hidden layers.
    #[schema(inline)]
    pub activation: Activation,
    /// Nonlinearity of the code.
    #[schema(inline)]
    pub code_activation: Activation,
    #[schema(inline)]
    pub loss: ReconstructionLoss,
    pub corruption: Option<Corruption>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            kind: Kind::Autoencoder,
            hidden: vec![512, 256],
            code: 32,
            activation: Activation::Relu,
            code_activation: Activation::Linear,
            loss: ReconstructionLoss::Auto,
            corruption: None,
        }
    }
}

/// The trained net.
pub struct Autoencoder {
    encoder: Dense,
    decoder: Dense,
    /// Whether the output is squashed into [0, 1].
    bounded: bool,
    code: i64,
}

impl Define for Autoencoder {
    const KIND: &'static str = "autoencoder";
    const SUMMARY: &'static str = "Autoencoder with dense layers; denoising with `corruption`";
    type Spec = Spec;

    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 30,
            batch_size: 128,
            optimizer: Rule::Adam,
            learning_rate: 1e-3,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule {
                kind: ScheduleKind::Cosine,
                warmup: 0.0,
            },
        }
    }

    fn check(spec: &Spec, _training: &Training, data: &DataFacts, rules: &mut Rules) {
        require_width(rules, "/model/code", spec.code);
        rules.require(
            spec.hidden.len() <= 64,
            "/model/hidden",
            "must have at most 64 layers",
        );
        for (i, &width) in spec.hidden.iter().enumerate() {
            require_width(rules, &format!("/model/hidden/{i}"), width);
        }
        if let Some(corruption) = spec.corruption {
            let limit = corruption.kind.level_limit();
            rules.require(
                corruption.level > 0.0 && corruption.level <= limit,
                "/model/corruption/level",
                format!(
                    "must be above 0 and at most {limit}, got {}",
                    corruption.level
                ),
            );
        }
        rules.require(
            spec.loss != ReconstructionLoss::BinaryCrossEntropy || data.is_unit_interval(),
            "/model/loss",
            format!(
                "binary_cross_entropy needs data in [0, 1]; this data set's is in [{}, {}]",
                data.range.0, data.range.1
            ),
        );
    }

    fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
        let [encoder, decoder] = nets(spec, data.features());
        encoder.parameters() + decoder.parameters()
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let net = Autoencoder::init(spec, data, &mut rng, device, true);
        let cross_entropy = match spec.loss {
            ReconstructionLoss::Auto => data.is_unit_interval(),
            ReconstructionLoss::BinaryCrossEntropy => true,
            ReconstructionLoss::MeanSquaredError => false,
        };
        Box::new(AutoencoderLearner {
            optimizer: Optimizer::new(training.optimizer_config(), net.tensors()),
            net,
            cross_entropy,
            corruption: spec.corruption,
            clamp: data.clamp_range(),
            epochs: training.epochs,
            gradient_clip: training.gradient_clip,
        })
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let mut net = Self::init(spec, data, &mut Rng::at(0, &[]), device, false);
        net.restore(tensors)?;
        Ok(Box::new(net))
    }
}

/// The encoder's and the decoder's layers.
fn nets(spec: &Spec, features: i64) -> [DenseConfig; 2] {
    let mut down = vec![features];
    down.extend(&spec.hidden);
    down.push(spec.code);
    let up: Vec<i64> = down.iter().rev().copied().collect();
    let activations = |last: Activation| {
        let mut all = vec![spec.activation; spec.hidden.len()];
        all.push(last);
        all
    };
    [
        DenseConfig {
            widths: down,
            activations: activations(spec.code_activation),
        },
        DenseConfig {
            widths: up,
            activations: activations(Activation::Linear),
        },
    ]
}

impl Autoencoder {
    fn init(spec: &Spec, data: &DataFacts, rng: &mut Rng, device: Device, trainable: bool) -> Self {
        let [encoder, decoder] = nets(spec, data.features()).map(|config| {
            let net = config.init(rng, device);
            if trainable { net.trainable() } else { net }
        });
        Self {
            encoder,
            decoder,
            bounded: data.is_unit_interval(),
            code: spec.code,
        }
    }

    fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.encoder.load("encoder", tensors)?;
        self.decoder.load("decoder", tensors)
    }

    /// `[batch, features] -> [batch, features]`, before the squashing.
    fn logits(&self, x: &Tensor) -> Tensor {
        self.decoder.forward(&self.encoder.forward(x))
    }

    fn squash(&self, logits: Tensor) -> Tensor {
        if self.bounded {
            logits.sigmoid()
        } else {
            logits
        }
    }

    fn round_trip(&self, x: &Tensor) -> Tensor {
        self.squash(self.logits(x))
    }
}

impl Model for Autoencoder {
    fn tensors(&self) -> Tensors {
        let mut tensors = Tensors::new();
        self.encoder.name_tensors("encoder", &mut tensors);
        self.decoder.name_tensors("decoder", &mut tensors);
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.code])
    }
    fn encoder(&self) -> Option<&dyn Encoder> {
        Some(self)
    }
    fn decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }
    fn reconstructor(&self) -> Option<&dyn Reconstructor> {
        Some(self)
    }
    fn denoiser(&self) -> Option<&dyn Denoiser> {
        Some(self)
    }
    fn scorer(&self) -> Option<&dyn Scorer> {
        Some(self)
    }
    fn filters(&self) -> Option<&dyn Filters> {
        Some(self)
    }
}

impl Encoder for Autoencoder {
    fn encode(
        &self,
        rows: &Rows,
        options: &EncodeOptions,
        _rng: &mut Rng,
    ) -> Result<Answer, BadOption> {
        if options.sample {
            return Err(BadOption::new(
                "sample",
                "an autoencoder's code has no distribution to draw from",
            ));
        }
        let depth = self.encoder.depth();
        let layer = options.layer.unwrap_or(depth - 1);
        if layer >= depth {
            let rule = format!("must be at most {}, which is the code", depth - 1);
            return Err(BadOption::new("layer", rule));
        }
        Ok(self.encoder.forward_to(&rows.x, layer + 1).into())
    }
}

impl Decoder for Autoencoder {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.squash(self.decoder.forward(&codes.x))
    }
}

fn refuse_gibbs(steps: Option<u32>) -> Result<(), BadOption> {
    match steps {
        Some(_) => Err(BadOption::meaningless("gibbs_steps", "autoencoder")),
        None => Ok(()),
    }
}

impl Reconstructor for Autoencoder {
    fn reconstruct(
        &self,
        rows: &Rows,
        options: &GibbsOptions,
        _rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        refuse_gibbs(options.gibbs_steps)?;
        Ok(self.round_trip(&rows.x))
    }
}

impl Denoiser for Autoencoder {
    fn denoise(
        &self,
        noisy: &Rows,
        options: &GibbsOptions,
        _rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        refuse_gibbs(options.gibbs_steps)?;
        Ok(self.round_trip(&noisy.x))
    }
}

impl Scorer for Autoencoder {
    /// Mean squared error per value.
    fn metric(&self) -> &'static str {
        "reconstruction_error"
    }
    fn score(&self, rows: &Rows, _options: &ScoreOptions, _rng: &mut Rng) -> Tensor {
        (&rows.x - self.round_trip(&rows.x))
            .square()
            .mean_dim(1, false, TensorKind::Float)
    }
}

impl Filters for Autoencoder {
    fn filters(&self) -> Tensor {
        self.encoder.first_weights().detach()
    }
}

struct AutoencoderLearner {
    net: Autoencoder,
    optimizer: Optimizer,
    cross_entropy: bool,
    corruption: Option<Corruption>,
    clamp: (f64, f64),
    epochs: u32,
    gradient_clip: Option<f64>,
}

impl AutoencoderLearner {
    fn loss(&self, logits: &Tensor, target: &Tensor) -> Tensor {
        if self.cross_entropy {
            loss::cross_entropy(logits, target)
        } else {
            loss::squared_error(&self.net.squash(logits.shallow_clone()), target)
        }
    }

    fn corrupted(&self, x: &Tensor, rng: &mut Rng) -> Tensor {
        self.corruption.map_or_else(
            || x.shallow_clone(),
            |corruption| corruption.kind.apply(x, corruption.level, self.clamp, rng),
        )
    }
}

impl Learner for AutoencoderLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::training(self.epochs)]
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let noisy = self.corrupted(&batch.x, &mut context.rng);
        let loss = self.loss(&self.net.logits(&noisy), &batch.x);
        self.optimizer
            .descend(&loss, context.learning_rate, self.gradient_clip);
        Report(vec![("loss", loss.double_value(&[]))])
    }

    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        let logits = self.net.logits(&self.corrupted(&batch.x, rng));
        let error = (self.net.squash(logits.shallow_clone()) - &batch.x).square();
        let mse = error.mean(TensorKind::Double).double_value(&[]);
        let mut report = vec![
            ("loss", self.loss(&logits, &batch.x).double_value(&[])),
            ("reconstruction_mse", mse),
        ];
        if self.clamp == (0.0, 1.0) {
            let per_row = error
                .mean_dim(1, false, TensorKind::Double)
                .clamp_min(1e-12);
            let psnr = (per_row.log10() * -10.0)
                .mean(TensorKind::Double)
                .double_value(&[]);
            report.push(("psnr", psnr));
        }
        Report(report)
    }

    fn state(&self) -> Tensors {
        let mut state = self.net.tensors();
        state.extend(self.optimizer.state("optimizer"));
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.net.restore(state)?;
        self.optimizer.restore("optimizer", state)
    }

    fn model(&self) -> &dyn Model {
        &self.net
    }
}
