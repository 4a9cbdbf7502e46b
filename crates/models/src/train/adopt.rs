//! Starting from another model: which tensors are copied, and which of these stay as they are.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

use super::Learner;
use crate::nn::Tensors;
use crate::nn::frozen::{CannotFreeze, Frozen};

/// Which of the copied tensors stay as they are: none, all, or those whose names start with one of the
/// prefixes that are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected true, false or a list of prefixes of names"
)]
pub enum Freeze {
    /// Every one, or none.
    All(bool),
    /// 1 to 1000 prefixes of names, as the model that is trained has them and the job's result lists them.
    Prefixes(Vec<String>),
}

impl Default for Freeze {
    fn default() -> Self {
        Self::All(false)
    }
}

/// Where a run starts.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    pub tensors: &'a Tensors,
    pub freeze: &'a Freeze,
}

/// What a run took over from another model, by the names of its own tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adopted {
    pub copied: Vec<String>,
    /// Those of the copied that stay as they are.
    pub frozen: Frozen,
}

/// Why a run cannot start from another model.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    #[error(
        "/init_from: no tensor has the name and the shape of one of the source's, so nothing would be copied"
    )]
    Nothing,
    #[error("/init_from/freeze: {0}")]
    Freeze(#[from] CannotFreeze),
}

/// Names that an error lists of many.
const LISTED: usize = 12;

impl Freeze {
    pub fn is_none(&self) -> bool {
        *self == Self::All(false)
    }

    /// The names it means of those that were copied. Each prefix must mean one.
    fn among(&self, copied: &[String]) -> Result<Frozen, CannotFreeze> {
        if self.is_none() {
            return Ok(Frozen::default());
        }
        if copied.is_empty() {
            let reason = "no tensor has the name and the shape of one of the source's";
            return Err(CannotFreeze(format!("nothing was copied: {reason}")));
        }
        let prefixes = match self {
            Self::All(_) => return Ok(copied.iter().cloned().collect()),
            Self::Prefixes(prefixes) => prefixes,
        };
        let means = |prefix: &String, name: &String| name.starts_with(prefix.as_str());
        for prefix in prefixes {
            if !copied.iter().any(|name| means(prefix, name)) {
                let more = if copied.len() > LISTED { ", …" } else { "" };
                let listed = &copied[..copied.len().min(LISTED)];
                return Err(CannotFreeze(format!(
                    "'{prefix}' is the start of no copied tensor's name; copied were {}{more}",
                    listed.join(", ")
                )));
            }
        }
        let chosen = |name: &&String| prefixes.iter().any(|prefix| means(prefix, name));
        Ok(copied.iter().filter(chosen).cloned().collect())
    }
}

/// Copies what agrees into a fresh learner and tells it what must not change from now on.
pub fn adopt(learner: &mut dyn Learner, start: Start<'_>) -> Result<Adopted, CannotStart> {
    let copied = learner.adopt(start.tensors);
    if copied.is_empty() {
        return Err(CannotStart::Nothing);
    }
    let frozen = start.freeze.among(&copied)?;
    let own = learner.model().tensors();
    let learns = |name: &String| !frozen.holds(name) && !name.starts_with(UNIT);
    if !own.keys().any(learns) {
        let reason =
            "all tensors of the model would stay as they are, so there is nothing to learn";
        return Err(CannotFreeze(reason.to_owned()).into());
    }
    let adopted = Adopted { copied, frozen };
    learner.hold(&adopted)?;
    Ok(adopted)
}

/// Tensors that say in what unit a regressor answers: always those of its own training rows.
const UNIT: &str = "target.";

/// Nets that lead from an input to a code or a prediction; a layer may pass from one to the other.
const FORWARD: [&str; 2] = ["net", "encoder"];

/// The tensor of `source` that belongs at `name`, if one of that shape does.
fn counterpart<'a>(source: &'a Tensors, name: &str, tensor: &Tensor) -> Option<&'a Tensor> {
    let other = || {
        let (net, rest) = name.split_once('.')?;
        let mut names = FORWARD.iter().map(|other| format!("{other}.{rest}"));
        FORWARD
            .contains(&net)
            .then(|| names.find_map(|other| source.get(&other)))?
    };
    source
        .get(name)
        .or_else(other)
        .filter(|found| found.size() == tensor.size() && !name.starts_with(UNIT))
}

/// Copies each tensor of `target` that has a counterpart in `source`; answers the names of those.
pub fn copy_agreeing(source: &Tensors, target: &Tensors) -> Vec<String> {
    let mut copied = Vec::new();
    for (name, tensor) in target {
        if let Some(found) = counterpart(source, name, tensor) {
            tch::no_grad(|| tensor.shallow_clone().copy_(found));
            copied.push(name.clone());
        }
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn layers_pass_between_nets_that_lead_forward_and_units_never() {
        let ones = || Tensor::ones([2, 3], (tch::Kind::Float, tch::Device::Cpu));
        let set = |of: &[&str]| -> Tensors {
            let named = of.iter().map(|&name| (name.to_owned(), ones()));
            named.collect()
        };
        let source = set(&["encoder.0.weight", "decoder.0.weight", "target.mean"]);
        let target = set(&[
            "net.0.weight",
            "net.1.weight",
            "decoder.0.weight",
            "target.mean",
        ]);
        for tensor in target.values() {
            let _ = tensor.shallow_clone().zero_();
        }
        let copied = copy_agreeing(&source, &target);
        assert_eq!(copied, ["decoder.0.weight", "net.0.weight"]);
        assert_eq!(target["net.0.weight"], ones());
        assert_ne!(target["net.1.weight"], ones());
        assert_ne!(target["target.mean"], ones());
    }

    #[test]
    fn each_prefix_must_mean_something() {
        let copied = names(&["encoder.0.bias", "encoder.0.weight", "decoder.0.weight"]);
        let choose = |freeze: Freeze| freeze.among(&copied);
        let some = |prefixes: &[&str]| choose(Freeze::Prefixes(names(prefixes)));
        assert_eq!(choose(Freeze::All(false)), Ok(Frozen::default()));
        assert_eq!(
            choose(Freeze::All(true)),
            Ok(copied.iter().cloned().collect())
        );
        let chosen = some(&["encoder.0.w", "decoder."]).expect("both mean one");
        let chosen: Vec<&String> = chosen.names().collect();
        assert_eq!(chosen, ["decoder.0.weight", "encoder.0.weight"]);
        let error = some(&["encoder.", "net."]).expect_err("nothing is in 'net.'");
        assert!(
            error.0.contains("'net.'") && error.0.contains("encoder.0.bias"),
            "{error}"
        );
        assert!(Freeze::All(true).among(&[]).is_err());
    }
}
