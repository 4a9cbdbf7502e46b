//! What the verbs of a model take and answer, and what can be measured of it, as far as its capabilities and shapes
//! do not tell. It is known from the spec alone, so that a model can be described without being loaded.

/// What is special about the verbs of a model; most models have nothing of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signature {
    /// Classes that verbs are told of, for a model that is conditioned on labels.
    pub conditioned_on: Option<i64>,
    /// Classes that samples alone can be asked for by.
    pub sampled_by: Option<i64>,
    /// What `encode` answers beside the code, each in its shape.
    pub beside_the_code: &'static [&'static str],
    /// Whether `predict` answers numbers rather than probabilities.
    pub regresses: bool,
    /// Whether its log-likelihood can be estimated.
    pub likelihood: bool,
    /// Whether its pseudo-likelihood can.
    pub pseudo_likelihood: bool,
}

impl Signature {
    /// Whether samples can be asked for by class.
    pub fn generates_by_class(self) -> bool {
        self.conditioned_on.or(self.sampled_by).is_some()
    }
}
