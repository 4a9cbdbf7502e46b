//! Who asks, and which names it reaches.

use std::sync::Arc;

use crate::api::problem::{Problem, Result};
use crate::keys::{Grant, Key, Scope};

/// Whoever sent a request: the key that it showed, or anybody, where no keys are asked for.
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<Key>>);

impl Caller {
    pub fn with(key: Arc<Key>) -> Self {
        Self(Some(key))
    }

    pub fn key(&self) -> Option<&Key> {
        self.0.as_deref()
    }

    pub fn id(&self) -> Option<&str> {
        self.key().map(|key| key.id.as_str())
    }

    fn grant(&self) -> Option<&Grant> {
        self.key().map(|key| &key.grant)
    }

    pub fn require_scope(&self, needed: Scope) -> Result<()> {
        match self.grant() {
            Some(grant) if !grant.allows(needed) => {
                let needed = needed.as_str();
                Err(Problem::forbidden(format!(
                    "this key has not the scope `{needed}`"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether lists show it a model, and the jobs of this name.
    pub fn reaches_model(&self, name: &str) -> bool {
        self.grant().is_none_or(|grant| grant.models.matches(name))
    }

    pub fn reaches_dataset(&self, name: &str) -> bool {
        self.grant()
            .is_none_or(|grant| grant.datasets.matches(name))
    }

    pub fn reaches_everything(&self) -> bool {
        self.grant().is_none_or(Grant::reaches_everything)
    }

    pub fn require_model(&self, name: &str) -> Result<()> {
        if self.reaches_model(name) {
            return Ok(());
        }
        let text = format!("this key does not reach the model \"{name}\"");
        Err(Problem::forbidden(text))
    }

    /// A job is reached with its model's name and its data set's, which a refusal does not tell.
    pub fn require_job(&self, model: &str, dataset: &str) -> Result<()> {
        if self.reaches_model(model) && self.reaches_dataset(dataset) {
            return Ok(());
        }
        Err(Problem::forbidden("this key does not reach this job"))
    }

    pub fn require_dataset(&self, name: &str) -> Result<()> {
        if self.reaches_dataset(name) {
            return Ok(());
        }
        Err(Self::cannot_reach_dataset(name))
    }

    pub fn cannot_reach_dataset(reference: &str) -> Problem {
        Problem::forbidden(format!(
            "this key does not reach the data set \"{reference}\""
        ))
    }
}
