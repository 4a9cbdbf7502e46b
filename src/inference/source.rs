//! A published version, with all that loading it takes.

use serde_json::Value;

use crate::nn::model::DataFacts;

#[derive(Debug, Clone, PartialEq)]
pub struct ModelSource {
    pub name: String,
    pub version: i64,
    pub kind: String,
    pub spec: Value,
    pub facts: DataFacts,
    pub sha256: String,
}

impl ModelSource {
    /// Whether both are the same weights under the same name.
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || self.version == other.version
                && self.name == other.name
                && self.sha256 == other.sha256
    }
}
