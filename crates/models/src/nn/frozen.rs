//! Names of the tensors that no step may change.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Tensors of a model that stay as they are, whatever is learnt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Frozen(BTreeSet<String>);

/// Why tensors cannot stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CannotFreeze(pub String);

impl FromIterator<String> for Frozen {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl Frozen {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn holds(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }

    /// Those whose names start with `prefix`, by the rest of their names.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        let rest = |name: &String| name.strip_prefix(prefix).map(str::to_owned);
        self.0.iter().filter_map(rest).collect()
    }

    /// Whether these are frozen; `reason` says why some of them alone cannot be.
    pub fn all_or_none(&self, names: &[&str], reason: &str) -> Result<bool, CannotFreeze> {
        let held: Vec<&str> = names.iter().copied().filter(|n| self.holds(n)).collect();
        if held.is_empty() || held.len() == names.len() {
            return Ok(!held.is_empty());
        }
        Err(CannotFreeze(format!(
            "'{}' can only be frozen together: {reason}",
            names.join("', '")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_a_group_alone_are_refused() {
        let frozen: Frozen = ["a.mean", "a.variance", "b.mean"]
            .map(str::to_owned)
            .into_iter()
            .collect();
        let of = |prefix: &str| {
            let frozen = frozen.under(prefix);
            frozen.all_or_none(&["mean", "variance"], "they are one")
        };
        assert_eq!(of("a."), Ok(true));
        assert_eq!(of("c."), Ok(false));
        let error = of("b.").expect_err("one of two").to_string();
        assert!(error.contains("'mean', 'variance'") && error.contains("they are one"));
    }
}
