//! The trained net and the verbs it answers.

use tch::{Device, Kind, Tensor};

use super::spec::{Spec, Task};
use crate::nn::graph::{self, GraphVerb};
use crate::nn::model::{Answer, DataFacts, Rows};
use crate::nn::net::{Net, Pass};
use crate::nn::rng::Rng;
use crate::nn::standardize::Standardizer;
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::{Graph, Value};
use crate::train::Regression;
use crate::verbs::predict::Prediction;
use crate::verbs::{Encoder, Filters, Model, Predictor, Scorer};

pub struct Mlp {
    pub net: Net,
    /// Of the input values.
    pub input: Option<Standardizer>,
    /// Of a regressor; a classifier has none.
    pub regression: Option<Regression>,
    /// Values in the output of the last hidden layer.
    code: i64,
}

impl Mlp {
    pub fn new(spec: &Spec, net: Net, data: &DataFacts, device: Device) -> Self {
        let last = net.depth().checked_sub(2);
        let code = last.map_or(data.features(), |last| {
            net.blocks()[last].output_shape().iter().product()
        });
        Self {
            net,
            input: spec
                .standardizes(data)
                .then(|| Standardizer::identity(data.features(), device)),
            regression: match spec.task {
                Task::Classification => None,
                Task::Regression => Some(Regression::new(data, device)),
            },
            code,
        }
    }

    pub fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.net.load("net", tensors)?;
        if let Some(input) = &mut self.input {
            input.load("input", tensors)?;
        }
        if let Some(regression) = &mut self.regression {
            regression.load(tensors)?;
        }
        Ok(())
    }

    /// The rows as the first layer wants them, `[batch, features]`.
    pub fn prepared(&self, x: &Tensor) -> Tensor {
        match &self.input {
            Some(input) => input.apply(x),
            None => x.shallow_clone(),
        }
    }

    /// The last layer's output for prepared rows in training: logits, or the standardised value.
    pub fn train_pass(&self, prepared: &Tensor, rng: &mut Rng) -> Tensor {
        self.net.pass(prepared, &mut Pass::train(rng))
    }

    /// The same in use, `[batch, features] -> [batch, outputs]`.
    pub fn outputs(&self, x: &Tensor) -> Tensor {
        self.net.forward(&self.prepared(x))
    }

    /// The output of layer `layer`, counted from 0 at the first convolution or dense layer.
    fn hidden(&self, x: &Tensor, depth: usize) -> Tensor {
        self.net.forward_to(&self.prepared(x), depth)
    }

    /// From the rows to the output of the first `depth` layers, as a graph.
    fn write_to(&self, graph: &mut Graph, depth: usize) -> Value {
        let mut x = graph::rows_in(graph, self.net.input_features());
        if let Some(input) = &self.input {
            x = input.write(graph, "input", &x);
        }
        self.net.write_to(graph, "net", &x, depth, None)
    }

    fn hidden_layers(&self) -> usize {
        self.net.depth() - 1
    }
}

impl Model for Mlp {
    fn pack(&mut self) -> usize {
        self.net.pack()
    }
    fn tensors(&self) -> Tensors {
        let mut tensors = self.net.tensors("net");
        if let Some(input) = &self.input {
            input.name_tensors("input", &mut tensors);
        }
        if let Some(regression) = &self.regression {
            regression.name_tensors(&mut tensors);
        }
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        (self.hidden_layers() > 0).then(|| vec![self.code])
    }
    fn encoder(&self) -> Option<&dyn Encoder> {
        (self.hidden_layers() > 0).then_some(self)
    }
    fn scorer(&self) -> Option<&dyn Scorer> {
        self.regression.is_none().then_some(self)
    }
    crate::offers!(predictor: Predictor);
    crate::refuses!(sample: "a model of kind 'mlp' has no use for it");
    fn filters(&self) -> Option<&dyn Filters> {
        let dense = self.net.first_weights().is_some_and(|w| w.dim() == 2);
        dense.then_some(self)
    }
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let mut graph = Graph::default();
        match verb {
            GraphVerb::Encode if self.hidden_layers() > 0 => {
                let code = self.write_to(&mut graph, self.hidden_layers());
                graph::code_out(&mut graph, &code, self.code);
            }
            GraphVerb::Predict => {
                let outputs = self.write_to(&mut graph, self.net.depth());
                if let Some(regression) = &self.regression {
                    let values = regression.write_answers(&mut graph, &outputs);
                    graph::values_out(&mut graph, &values);
                } else {
                    let p = graph.softmax(&outputs);
                    graph::classes_out(&mut graph, &p, self.net.output_features());
                }
            }
            _ => return None,
        }
        Some(graph)
    }
}

impl Encoder for Mlp {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.hidden_layers() - 1, "the last hidden layer")
    }
    fn encode(&self, rows: &Rows, layer: usize, _draw: Option<&mut Rng>) -> Answer {
        self.hidden(&rows.x, layer + 1).into()
    }
}

impl Scorer for Mlp {
    /// `E(x) = -ln Σ_k e^{logit_k}`: low where some class is certain (Liu et al., 2020).
    fn metric(&self) -> &'static str {
        "energy"
    }
    fn score(&self, rows: &Rows, _rng: &mut Rng) -> Tensor {
        -self.outputs(&rows.x).logsumexp(1, false)
    }
}

impl Predictor for Mlp {
    fn predict(&self, x: &Tensor) -> Prediction {
        let outputs = self.outputs(x);
        match &self.regression {
            None => Prediction::Classes(outputs.softmax(1, Kind::Float)),
            Some(regression) => Prediction::Values(regression.answers(&outputs)),
        }
    }

    /// The output of the last hidden layer; the input itself for a net without one.
    fn features(&self, x: &Tensor) -> Tensor {
        self.hidden(x, self.hidden_layers())
    }
}

impl Filters for Mlp {
    fn filters(&self) -> Tensor {
        self.net
            .first_weights()
            .map(Tensor::detach)
            .unwrap_or_default()
    }
}
