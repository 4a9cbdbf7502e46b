//! The classifier and the regressor: the stack as a feed-forward net of sigmoid layers with a new layer on
//! top.

use tch::{Kind, Reduction, Tensor};

use super::spec::{Head, Spec};
use super::tuning::Tuned;
use crate::data::Batch;
use crate::nn::activation::Activation;
use crate::nn::block::{BlockConfig, Map};
use crate::nn::graph::{self, GraphVerb};
use crate::nn::model::{Answer, DataFacts, Rows};
use crate::nn::net::{Net, NetConfig, Pass};
use crate::nn::rng::Rng;
use crate::nn::unroll::Origin;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::Graph;
use crate::train::{Regression, Report};
use crate::verbs::predict::Prediction;
use crate::verbs::{Encoder, Filters, Model, Predictor, Scorer};

pub struct Classifier {
    /// Hidden layers, then the new one, which gives logits or one value.
    net: Net,
    /// Of a regressor; a classifier has none.
    regression: Option<Regression>,
}

pub fn config(spec: &Spec, data: &DataFacts) -> NetConfig {
    let mut blocks = BlockConfig::dense(&spec.hidden, Activation::Sigmoid);
    for block in &mut blocks {
        block.dropout = spec.dropout.unwrap_or(0.0);
    }
    let outputs = if spec.head == Head::Regressor {
        1
    } else {
        data.classes().unwrap_or(1)
    };
    blocks.push(BlockConfig::new(Map::linear(outputs), Activation::Linear));
    NetConfig::new(&[data.features()], blocks)
}

impl Classifier {
    pub fn new(net: Net, regression: Option<Regression>) -> Self {
        Self { net, regression }
    }

    fn hidden_layers(&self) -> usize {
        self.net.depth() - 1
    }
}

/// Cross-entropy in nats, averaged over the batch.
fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, 0.0)
}

impl Tuned for Classifier {
    fn net_tensors(&self) -> Tensors {
        self.net.tensors("net")
    }

    fn origin(&self, name: &str) -> Option<Origin> {
        Origin::of(name, "net", self.hidden_layers())
    }

    fn loss(&self, batch: &Batch, rng: &mut Rng) -> Option<Tensor> {
        let output = self.net.pass(batch.rows(), &mut Pass::train(rng));
        match &self.regression {
            None => Some(cross_entropy(&output, batch.labels()?)),
            Some(regression) => Some(regression.loss(&output, &regression.numbers(batch)?)),
        }
    }

    fn report(&self, batch: &Batch) -> Report {
        let output = || self.net.forward(batch.rows());
        match (&self.regression, batch.labels()) {
            (Some(regression), _) => match regression.numbers(batch) {
                Some(numbers) => regression.report(&output(), &numbers),
                None => Report::default(),
            },
            (None, Some(labels)) => {
                let output = output();
                let wrong = output.argmax(1, false).not_equal_tensor(labels);
                let error = wrong.to_kind(Kind::Double).mean(Kind::Double);
                Report(vec![
                    ("loss", cross_entropy(&output, labels).double_value(&[])),
                    ("error", error.double_value(&[])),
                ])
            }
            (None, None) => Report::default(),
        }
    }

    fn regression(&self) -> Option<&Regression> {
        self.regression.as_ref()
    }

    fn regression_mut(&mut self) -> Option<&mut Regression> {
        self.regression.as_mut()
    }

    fn load(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        // Weights without a scale are of a net that gives the numbers as they are.
        let regression = self.regression.as_mut();
        if let Some(regression) = regression.filter(|_| tensors.contains_key("target.mean")) {
            regression.load(tensors)?;
        }
        self.net.load("net", tensors)
    }
}

impl Model for Classifier {
    fn pack(&mut self) -> usize {
        self.net.pack()
    }
    fn tensors(&self) -> Tensors {
        let mut tensors = self.net_tensors();
        if let Some(regression) = &self.regression {
            regression.name_tensors(&mut tensors);
        }
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        let last = &self.net.blocks()[self.hidden_layers() - 1];
        Some(last.output_shape().to_vec())
    }
    crate::offers!(encoder: Encoder);
    crate::refuses!(sample: "after fine-tuning the hidden units have values, not distributions");
    fn scorer(&self) -> Option<&dyn Scorer> {
        self.regression.is_none().then_some(self as &dyn Scorer)
    }
    crate::offers!(predictor: Predictor, filters: Filters);
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let mut graph = Graph::default();
        let x = graph::rows_in(&mut graph, self.net.input_features());
        match verb {
            GraphVerb::Encode => {
                let depth = self.hidden_layers();
                let code = self.net.write_to(&mut graph, "net", &x, depth, None);
                let width = self.net.blocks()[depth - 1].output_shape().iter().product();
                graph::code_out(&mut graph, &code, width);
            }
            GraphVerb::Predict => {
                let output = self.net.write(&mut graph, "net", &x);
                if let Some(regression) = &self.regression {
                    let values = regression.write_answers(&mut graph, &output);
                    graph::values_out(&mut graph, &values);
                } else {
                    let p = graph.softmax(&output);
                    graph::classes_out(&mut graph, &p, self.net.output_features());
                }
            }
            GraphVerb::Decode | GraphVerb::Reconstruct | GraphVerb::Generate => return None,
        }
        Some(graph)
    }
}

impl Encoder for Classifier {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.hidden_layers() - 1, "the last hidden layer")
    }
    fn encode(&self, rows: &Rows, layer: usize, _draw: Option<&mut Rng>) -> Answer {
        self.net.forward_to(&rows.x, layer + 1).into()
    }
}

impl Scorer for Classifier {
    /// Of the predicted classes, in nats: high where the net cannot tell what it sees.
    fn metric(&self) -> &'static str {
        "entropy"
    }
    fn score(&self, rows: &Rows, _rng: &mut Rng) -> Tensor {
        let log_p = self.net.forward(&rows.x).log_softmax(1, Kind::Float);
        -(log_p.exp() * log_p).sum_dim_intlist(1, false, Kind::Float)
    }
}

impl Predictor for Classifier {
    fn predict(&self, x: &Tensor) -> Prediction {
        let output = self.net.forward(x);
        match &self.regression {
            None => Prediction::Classes(output.softmax(1, Kind::Float)),
            Some(regression) => Prediction::Values(regression.answers(&output)),
        }
    }
    fn features(&self, x: &Tensor) -> Tensor {
        self.net.forward_to(x, self.hidden_layers())
    }
}

impl Filters for Classifier {
    fn filters(&self) -> Tensor {
        self.net.blocks()[0].weight().detach()
    }
}
