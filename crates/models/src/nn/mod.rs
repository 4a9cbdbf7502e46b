//! Tensor parts that every family shares: layers, losses, optimisers, Gibbs sampling, random numbers.
//!
//! Nothing here knows a data set, a job, SQL or HTTP.

pub mod activation;
pub mod augment;
pub mod average;
pub mod bernoulli;
pub mod binarize;
pub mod block;
pub mod boltzmann;
pub mod cancellation;
pub mod categorical;
pub mod chain;
pub mod conv;
pub mod corruption;
pub mod figures;
pub mod frozen;
#[cfg(test)]
pub mod golden;
pub mod graph;
pub mod latent;
pub mod loss;
pub mod mixture;
pub mod model;
pub mod moments;
pub mod net;
pub mod norm;
pub mod optimizer;
pub mod packed;
pub mod pass;
pub mod penalty;
pub mod rng;
pub mod standardize;
mod thread_pool;
pub mod tied;
pub mod unroll;

use std::collections::BTreeMap;

use tch::Tensor;

/// Tensors by name, in name order, so that the same set always serialises to the same bytes.
pub type Tensors = BTreeMap<String, Tensor>;

/// Why tensors from a file do not fit the net that should take them.
#[derive(Debug, thiserror::Error)]
pub enum TensorMismatch {
    #[error("tensor '{0}' is missing")]
    Missing(String),
    #[error("tensor '{name}' has shape {found:?}, the model needs {needed:?}")]
    Shape {
        name: String,
        found: Vec<i64>,
        needed: Vec<i64>,
    },
}

/// Copies what `source` has under the names of `own` into the storage of these.
pub fn copy_all(
    source: &Tensors,
    own: impl IntoIterator<Item = (String, Tensor)>,
) -> Result<(), TensorMismatch> {
    for (name, mut tensor) in own {
        copy_named(source, &name, &mut tensor)?;
    }
    Ok(())
}

/// Copies `source[name]` into `target`, shape checked.
pub fn copy_named(source: &Tensors, name: &str, target: &mut Tensor) -> Result<(), TensorMismatch> {
    let tensor = source
        .get(name)
        .ok_or_else(|| TensorMismatch::Missing(name.to_owned()))?;
    if tensor.size() != target.size() {
        return Err(TensorMismatch::Shape {
            name: name.to_owned(),
            found: tensor.size(),
            needed: target.size(),
        });
    }
    tch::no_grad(|| target.copy_(tensor));
    Ok(())
}
