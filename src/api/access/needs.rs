//! What an operation needs of who asks for it.

use std::collections::HashMap;

use axum::http::Method;

use crate::keys::Scope;

/// Ways to show a key, as the OpenAPI document names them.
pub const SCHEMES: [&str; 2] = ["bearer", "api_key"];

/// What a request needs to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A key of any scope.
    Key,
    Scope(Scope),
}

impl From<Scope> for Needs {
    fn from(scope: Scope) -> Self {
        Self::Scope(scope)
    }
}

/// What an operation's path names, and so which names its key must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// No one thing: lists show what the key reaches, and what a body names is held against it there.
    Nothing,
    /// All that there is, whatever its name: only for keys that reach every name.
    Everything,
    /// `{dataset}`.
    Dataset,
    /// `{model}`.
    Model,
    /// `{job}`: its model's name and its data set's.
    Job,
}

/// What is known of an operation before it is asked.
#[derive(Debug, Clone)]
pub struct Row {
    /// As the OpenAPI document names it.
    pub id: String,
    pub needs: Needs,
    pub about: About,
}

/// The rows by path, as it is routed, and method.
pub type Rows = HashMap<String, HashMap<Method, Row>>;
