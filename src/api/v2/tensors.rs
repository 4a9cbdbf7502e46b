//! The tensors that a verb of a model takes and answers, told from the registry alone: nothing is loaded.

use super::datatype::Datatype;
use crate::api::models::resolve::Resolved;
use crate::families::Signature;

/// One tensor by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: &'static str,
    pub datatype: Datatype,
    /// Its first dimension; -1 for any.
    pub rows: i64,
    /// Shape of one row.
    pub row: Vec<i64>,
    pub optional: bool,
}

impl Tensor {
    fn floats(name: &'static str, row: &[i64]) -> Self {
        Self {
            name,
            datatype: Datatype::Fp32,
            rows: -1,
            row: row.to_vec(),
            optional: false,
        }
    }

    /// One class for each row.
    fn labels() -> Self {
        Self {
            datatype: Datatype::Int64,
            ..Self::floats("labels", &[])
        }
    }

    pub fn shape(&self) -> Vec<i64> {
        std::iter::once(self.rows)
            .chain(self.row.iter().copied())
            .collect()
    }
}

/// What goes in and what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensors {
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    /// Whether each row of the output is that of a row of the input, whatever the others are.
    pub batched: bool,
}

impl Tensors {
    pub fn of(found: &Resolved, verb: &str) -> Self {
        let (source, signature) = (&found.source, found.signature);
        let row = &found.version.input_shape;
        let code = found.version.code_shape.as_deref().unwrap_or_default();
        let facts = (
            source.facts.classes(),
            i64::from(source.facts.has_targets()),
        );
        // Where there is no encoder, the way goes from one latent point to another.
        let encodes = found.version.capabilities.iter().any(|c| c == "encode");
        let given = match verb {
            "decode" => code,
            "interpolate" if !encodes => code,
            _ => row,
        };
        Self {
            inputs: inputs(verb, given, signature),
            outputs: outputs(verb, row, code, signature, facts),
            batched: !matches!(verb, "generate" | "interpolate"),
        }
    }
}

fn inputs(verb: &str, row: &[i64], signature: Signature) -> Vec<Tensor> {
    let (mut tensors, mut labels) = (Vec::new(), Tensor::labels());
    match verb {
        "generate" => labels.optional = true,
        "inpaint" => {
            tensors.push(Tensor::floats("inputs", row));
            tensors.push(Tensor::floats("mask", row));
        }
        "interpolate" => {
            tensors.push(Tensor {
                rows: 2,
                optional: true,
                ..Tensor::floats("inputs", row)
            });
            labels.rows = 1;
        }
        _ => tensors.push(Tensor::floats("inputs", row)),
    }
    let told = match verb {
        "predict" => None,
        "generate" => signature.conditioned_on.or(signature.sampled_by),
        _ => signature.conditioned_on,
    };
    tensors.extend(told.map(|_| labels));
    tensors
}

fn outputs(
    verb: &str,
    row: &[i64],
    code: &[i64],
    signature: Signature,
    (classes, targets): (Option<i64>, i64),
) -> Vec<Tensor> {
    let main = |row: &[i64]| Tensor::floats("outputs", row);
    match verb {
        "encode" => {
            let beside = signature.beside_the_code.iter();
            let beside = beside.map(|name| Tensor::floats(name, code));
            std::iter::once(main(code)).chain(beside).collect()
        }
        "reconstruct" => vec![main(row), Tensor::floats("errors", &[])],
        "score" => vec![main(&[])],
        "predict" if signature.regresses => vec![main(&[targets.max(1)])],
        "predict" => {
            let classes = [classes.unwrap_or(-1)];
            let probabilities = Tensor::floats("probabilities", &classes);
            vec![main(&classes), probabilities, Tensor::labels()]
        }
        _ => vec![main(row)],
    }
}
