//! Linear autoencoder with tied weights: `code = (x - b) W`, `y = code Wᵀ + b`. At its optimum W spans
//! the first principal components (Baldi and Hornik, 1989).
//!
//! `W: [features, code]`, `b: [features]`. The loss is the squared error, summed over the values of a
//! row and averaged over the batch.
//!
//! This is the example of CONTRIBUTING, "How to add a model family": every part of a family in one file.
//! Only tests compile it; the generic suite tries it like the others.

use tch::{Device, Kind as TensorKind, Tensor};

use super::define::{Define, Loaded};
use crate::data::Batch;
use crate::document::{Rules, tagged};
use crate::nn::frozen::CannotFreeze;
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::model::{Answer, DataFacts, Rows};
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_all, loss};
use crate::onnx::{Graph, Value};
use crate::train::epoch_loop::stream;
use crate::train::settings::{Precision, Schedule, Training, TrainingDefaults};
use crate::train::{Adopted, Learner, Phase, Report, StepContext};
use crate::verbs::{Decoder, Encoder, Model, Reconstructor};

// --- what a client writes ---

tagged! {
    /// Linear autoencoder with tied weights.
    pub struct Spec as LinearModel, Kind::Linear as LinearKind {
        /// Units of the code.
        #[schema(minimum = 1, maximum = 16_777_216)]
        pub code: i64 = 32,
    }
}

// --- the trained model ---

pub struct Linear {
    weights: Tensor,
    bias: Tensor,
}

impl Linear {
    fn init(spec: &Spec, data: &DataFacts, rng: &mut Rng, device: Device) -> Self {
        let features = data.features();
        Self {
            weights: rng.normal(&[features, spec.code], device) * (1.0 / (features as f64).sqrt()),
            bias: Tensor::zeros([features], (TensorKind::Float, device)),
        }
    }

    fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(tensors, self.tensors())
    }

    /// `[batch, features] -> [batch, code]`.
    fn code_of(&self, x: &Tensor) -> Tensor {
        (x - &self.bias).matmul(&self.weights)
    }

    /// `[batch, code] -> [batch, features]`.
    fn output_of(&self, code: &Tensor) -> Tensor {
        self.bias.addmm(code, &self.weights.transpose(0, 1))
    }

    fn write_tensors(&self, graph: &mut Graph) -> [Value; 2] {
        let weights = graph.weight("weights", &self.weights);
        [weights, graph.weight("bias", &self.bias)]
    }
}

/// Each part that is returned is a verb that the model answers; what is not returned is refused.
impl Model for Linear {
    fn tensors(&self) -> Tensors {
        Tensors::from([
            ("weights".to_owned(), self.weights.shallow_clone()),
            ("bias".to_owned(), self.bias.shallow_clone()),
        ])
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.weights.size()[1]])
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor);
    crate::refuses!(
        sample: "a model of kind 'linear' has no use for it",
        gibbs_steps: "a model of kind 'linear' has no use for it",
    );
    /// The same for other runtimes, of the verbs that draw no numbers.
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let size = self.weights.size();
        there_and_back(
            verb,
            Widths {
                row: size[0],
                code: size[1],
            },
            |graph, x| {
                let [weights, bias] = self.write_tensors(graph);
                let centred = graph.subtract(x, &bias);
                graph.node("MatMul", &[&centred, &weights], Vec::new())
            },
            |graph, code| {
                let [weights, bias] = self.write_tensors(graph);
                graph.affine_transposed(code, &weights, &bias)
            },
        )
    }
}

impl Encoder for Linear {
    fn last_layer(&self) -> (usize, &'static str) {
        (0, "the one layer of a linear model")
    }
    fn encode(&self, rows: &Rows, _layer: usize, _draw: Option<&mut Rng>) -> Answer {
        self.code_of(&rows.x).into()
    }
}

impl Decoder for Linear {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.output_of(&codes.x)
    }
}

impl Reconstructor for Linear {
    fn reconstruct(&self, rows: &Rows, _steps: u32, _rng: &mut Rng) -> Tensor {
        self.output_of(&self.code_of(&rows.x))
    }
}

// --- how it learns ---

struct LinearLearner {
    net: Linear,
    optimizer: Optimizer,
    epochs: u32,
    gradient_clip: Option<f64>,
}

impl Learner for LinearLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::training(self.epochs)]
    }

    /// All randomness of a step comes from `context.rng`, and the rate from `context.learning_rate`.
    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let output = self.net.output_of(&self.net.code_of(batch.rows()));
        let loss = loss::squared_error(&output, batch.rows());
        self.optimizer
            .descend(&loss, context.learning_rate, self.gradient_clip);
        Report(vec![("loss", loss.double_value(&[]))])
    }

    fn evaluate(&self, batch: &Batch, _rng: &mut Rng) -> Report {
        let output = self.net.output_of(&self.net.code_of(batch.rows()));
        let mse = (&output - batch.rows())
            .square()
            .mean(TensorKind::Double)
            .double_value(&[]);
        Report(vec![
            (
                "loss",
                loss::squared_error(&output, batch.rows()).double_value(&[]),
            ),
            ("reconstruction_mse", mse),
        ])
    }

    /// Everything the next step depends on: the weights and the optimiser's moments.
    fn state(&self) -> Tensors {
        let mut state = self.net.tensors();
        state.extend(self.optimizer.state("optimizer"));
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.net.restore(state)?;
        self.optimizer.restore("optimizer", state)
    }

    /// What `init_from` asks to freeze: all of it is the optimiser's to move.
    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        self.optimizer.freeze(&adopted.frozen);
        Ok(())
    }

    fn model(&self) -> &dyn Model {
        &self.net
    }
}

// --- the row of the table ---

impl Define for Spec {
    const KIND: &'static str = "linear";
    const SUMMARY: &'static str = "Linear autoencoder with tied weights";
    /// What a job trains with that does not say otherwise.
    const TRAINING: TrainingDefaults = TrainingDefaults {
        schedule: Schedule::CONSTANT,
        ..TrainingDefaults::ADAM
    };

    /// Every rule beyond the types; what the family cannot honour is refused here.
    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        rules.require(
            training.precision != Precision::Bf16,
            "/training/precision",
            "this family computes in fp32",
        );
        rules.require(
            self.code <= data.features(),
            "/model/code",
            format!(
                "must be at most {}, the values in a row, got {}",
                data.features(),
                self.code
            ),
        );
    }

    /// Computed, not built: a job that is too large is refused before anything is made.
    fn parameters(&self, data: &DataFacts) -> u128 {
        let features = u128::from(data.features().unsigned_abs());
        features * u128::from(self.code.unsigned_abs()) + features
    }

    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner> {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let net = Linear::init(self, data, &mut rng, device);
        let _ = net.weights.set_requires_grad(true);
        let _ = net.bias.set_requires_grad(true);
        Box::new(LinearLearner {
            optimizer: Optimizer::new(training.optimizer_config(), net.tensors()),
            net,
            epochs: training.epochs,
            gradient_clip: training.gradient_clip,
        })
    }

    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded {
        let mut net = Linear::init(self, data, &mut Rng::at(0, &[]), device);
        net.restore(tensors)?;
        Ok(Box::new(net))
    }
}
