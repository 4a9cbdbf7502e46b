//! The operators by what they do to rows: the first axis is always the batch.

use super::graph::{Attribute, Graph, Value};

impl Graph {
    /// An operator of one input and no attributes, such as `Sigmoid`.
    pub fn map(&mut self, op: &'static str, x: &Value) -> Value {
        self.node(op, &[x], Vec::new())
    }

    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Add", &[a, b], Vec::new())
    }

    pub fn subtract(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Sub", &[a, b], Vec::new())
    }

    pub fn multiply(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Mul", &[a, b], Vec::new())
    }

    pub fn divide(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Div", &[a, b], Vec::new())
    }

    pub fn multiply_by(&mut self, x: &Value, factor: f64) -> Value {
        let factor = self.number(factor);
        self.multiply(x, &factor)
    }

    /// `x W + b`, for `W: [in, out]`.
    pub fn affine(&mut self, x: &Value, weight: &Value, bias: &Value) -> Value {
        self.node("Gemm", &[x, weight, bias], Vec::new())
    }

    /// `x Wᵀ + b`, for `W: [out, in]`.
    pub fn affine_transposed(&mut self, x: &Value, weight: &Value, bias: &Value) -> Value {
        let transposed = vec![("transB", Attribute::Int(1))];
        self.node("Gemm", &[x, weight, bias], transposed)
    }

    /// `[batch, …] -> [batch, all the rest]`.
    pub fn flatten(&mut self, x: &Value) -> Value {
        self.node("Flatten", &[x], vec![("axis", Attribute::Int(1))])
    }

    /// `[batch, …] -> [batch, …row]`.
    pub fn reshape(&mut self, x: &Value, row: &[i64]) -> Value {
        // 0 stands for the length that the axis has.
        let shape = [&[0], row].concat();
        let shape = self.integers(&shape);
        self.node("Reshape", &[x, &shape], Vec::new())
    }

    /// A stretch of one axis.
    pub fn narrow(&mut self, x: &Value, axis: i64, start: i64, length: i64) -> Value {
        let start_at = self.integers(&[start]);
        let end_at = self.integers(&[start + length]);
        let axis = self.integers(&[axis]);
        self.node("Slice", &[x, &start_at, &end_at, &axis], Vec::new())
    }

    /// Side by side: `[batch, a]` and `[batch, b] -> [batch, a + b]`.
    pub fn beside(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Concat", &[a, b], vec![("axis", Attribute::Int(1))])
    }

    /// `[batch, classes] -> [batch, classes]`.
    pub fn softmax(&mut self, x: &Value) -> Value {
        self.node("Softmax", &[x], vec![("axis", Attribute::Int(1))])
    }

    /// `[batch, classes] -> [batch]`, whole numbers.
    pub fn greatest(&mut self, x: &Value) -> Value {
        let attributes = vec![("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))];
        self.node("ArgMax", &[x], attributes)
    }

    /// `[batch] -> [batch, classes]`.
    pub fn one_hot(&mut self, labels: &Value, classes: i64) -> Value {
        let depth = self.integers(&[classes]);
        let off_on = self.constant(tch::Tensor::from_slice(&[0.0_f32, 1.0]));
        let last = vec![("axis", Attribute::Int(-1))];
        self.node("OneHot", &[labels, &depth, &off_on], last)
    }

    /// The rows of a table that whole numbers name: `[n, width]` and `[batch] -> [batch, width]`.
    pub fn look_up(&mut self, table: &Value, labels: &Value) -> Value {
        self.node(
            "Gather",
            &[table, labels],
            vec![("axis", Attribute::Int(0))],
        )
    }

    pub fn clamp(&mut self, x: &Value, low: f64, high: f64) -> Value {
        let (low, high) = (self.number(low), self.number(high));
        self.node("Clip", &[x, &low, &high], Vec::new())
    }

    /// 1 where a value is above `threshold`, else 0.
    pub fn above(&mut self, x: &Value, threshold: f64) -> Value {
        const FLOAT: i64 = 1;
        let threshold = self.number(threshold);
        let above = self.node("Greater", &[x, &threshold], Vec::new());
        self.node("Cast", &[&above], vec![("to", Attribute::Int(FLOAT))])
    }

    /// The sum over one axis, which goes.
    pub fn sum_over(&mut self, x: &Value, axis: i64) -> Value {
        let axis = self.integers(&[axis]);
        let dropped = vec![("keepdims", Attribute::Int(0))];
        self.node("ReduceSum", &[x, &axis], dropped)
    }

    /// A new axis of length 1.
    pub fn unsqueeze(&mut self, x: &Value, axis: i64) -> Value {
        let axis = self.integers(&[axis]);
        self.node("Unsqueeze", &[x, &axis], Vec::new())
    }
}
