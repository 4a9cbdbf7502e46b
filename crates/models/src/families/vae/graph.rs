//! What a trained variational autoencoder computes without drawing anything, as graphs.

use super::net::{LOG_VARIANCES, Vae};
use crate::nn::graph::{self, GraphVerb};
use crate::onnx::{Element, Graph, Value};

impl Vae {
    pub(super) fn write_verb(&self, verb: GraphVerb) -> Option<Graph> {
        let mut graph = Graph::default();
        match verb {
            GraphVerb::Encode => {
                let x = graph::rows_in(&mut graph, self.features());
                let labels = self.labels_in(&mut graph);
                let [mean, log_variance] = self.write_posterior(&mut graph, &x, labels.as_ref());
                graph::code_out(&mut graph, &mean, self.latent);
                for (name, value) in [("mean", &mean), ("log_variance", &log_variance)] {
                    graph.output(name, value, Element::Float, &[self.latent]);
                }
            }
            GraphVerb::Reconstruct => {
                let x = graph::rows_in(&mut graph, self.features());
                let labels = self.labels_in(&mut graph);
                let [mean, _] = self.write_posterior(&mut graph, &x, labels.as_ref());
                self.write_rows(&mut graph, &mean, labels.as_ref());
            }
            GraphVerb::Decode | GraphVerb::Generate => {
                let z = graph::latent_in(&mut graph, verb, self.latent)?;
                let labels = self.labels_in(&mut graph);
                self.write_rows(&mut graph, &z, labels.as_ref());
            }
            GraphVerb::Predict => return None,
        }
        Some(graph)
    }

    fn labels_in(&self, graph: &mut Graph) -> Option<Value> {
        self.classes.map(|_| graph::labels_in(graph))
    }

    /// The mean and the log-variance of `q(z | x)`, for rows as the model sees them.
    fn write_posterior(&self, graph: &mut Graph, x: &Value, labels: Option<&Value>) -> [Value; 2] {
        let seen = self.binarize.write_mean(graph, x);
        let x = self.visible.write_standardised(graph, &seen);
        let h = self.front.write(graph, "front", &x);
        let h = self.write_beside(graph, &h, labels);
        let heads = self.encoder.write(graph, "encoder", &h);
        let mean = graph.narrow(&heads, 1, 0, self.latent);
        let log_variance = graph.narrow(&heads, 1, self.latent, self.latent);
        let (low, high) = LOG_VARIANCES;
        [mean, graph.clamp(&log_variance, low, high)]
    }

    /// `E[x | z]`, given out.
    fn write_rows(&self, graph: &mut Graph, z: &Value, labels: Option<&Value>) {
        let z = self.write_beside(graph, z, labels);
        let output = self.decoder.write(graph, "decoder", &z);
        let rows = self.visible.write_mean(graph, &output);
        graph::rows_out(graph, &rows, self.features());
    }

    /// Rows of a net's input with their class, one unit for each, after them.
    fn write_beside(&self, graph: &mut Graph, x: &Value, labels: Option<&Value>) -> Value {
        match (self.classes, labels) {
            (Some(classes), Some(labels)) => {
                let classes = graph.one_hot(labels, classes);
                graph.beside(x, &classes)
            }
            _ => x.clone(),
        }
    }
}
