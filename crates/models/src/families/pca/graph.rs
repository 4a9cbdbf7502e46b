//! The ways to the code and back as graphs.

use tch::Kind;

use super::model::Pca;
use crate::onnx::{Graph, Value};

impl Pca {
    /// [`Self::project`] as a graph.
    pub(super) fn write_code(&self, graph: &mut Graph, x: &Value) -> Value {
        let mean = graph.weight("mean", &self.mean);
        let components = graph.weight("components", &self.components);
        let centred = graph.subtract(x, &mean);
        let none = graph.constant(self.explained_variance.zeros_like());
        let code = graph.affine_transposed(&centred, &components, &none);
        if !self.whiten {
            return code;
        }
        let deviations = self.deviations();
        let real = deviations.greater(0.0).to_kind(Kind::Float);
        let factor = graph.constant(&real / (&deviations + (1.0 - &real)));
        graph.multiply(&code, &factor)
    }

    /// [`Self::back`] as a graph.
    pub(super) fn write_rows(&self, graph: &mut Graph, code: &Value) -> Value {
        let mean = graph.weight("mean", &self.mean);
        let components = graph.weight("components", &self.components);
        if !self.whiten {
            return graph.affine(code, &components, &mean);
        }
        let deviations = graph.constant(self.deviations());
        let code = graph.multiply(code, &deviations);
        graph.affine(&code, &components, &mean)
    }
}
