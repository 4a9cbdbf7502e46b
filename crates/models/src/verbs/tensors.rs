//! The tensors that a verb takes and answers, as the inference protocol describes them: told from the registry
//! alone, nothing is loaded.

use super::signature::Signature;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floats.
    Float,
    /// 64-bit whole numbers.
    Whole,
}

/// One tensor by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: &'static str,
    pub element: Element,
    /// Its first dimension; -1 for any.
    pub rows: i64,
    /// Shape of one row.
    pub row: Vec<i64>,
    pub optional: bool,
}

impl Tensor {
    pub fn floats(name: &'static str, row: &[i64]) -> Self {
        Self {
            name,
            element: Element::Float,
            rows: -1,
            row: row.to_vec(),
            optional: false,
        }
    }

    /// One class for each row.
    pub fn labels() -> Self {
        Self {
            element: Element::Whole,
            ..Self::floats("labels", &[])
        }
    }

    pub fn shape(&self) -> Vec<i64> {
        std::iter::once(self.rows)
            .chain(self.row.iter().copied())
            .collect()
    }
}

/// What is known of a model that is not loaded.
#[derive(Debug, Clone, Copy)]
pub struct Shapes<'a> {
    /// Of a row of data.
    pub row: &'a [i64],
    /// Of a code; empty for models without one.
    pub code: &'a [i64],
    pub signature: Signature,
    pub classes: Option<i64>,
    pub targets: i64,
    /// Whether the model has an encoder.
    pub encodes: bool,
}
