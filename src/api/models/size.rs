//! How large an answer may be, told before it is computed. Rows are a number in a request and their width one in a
//! model; their product has no bound of its own.

use super::resolve::Resolved;
use crate::api::body::no_allowance;
use crate::api::extract::Form;
use crate::api::held::{Allowance, Held, SMALL};
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::api::v2::tensors::Tensors;
use crate::inference::Reply;
use crate::verbs::{Operation, RowKind, Verb};

/// Bytes of a number as floats have it.
pub const FLOAT: u64 = 4;
/// Bytes of a number in JSON, its comma included, as most are.
pub const IN_JSON: u64 = 13;
/// A model may hold so many times what an answer has while it is computed: the activities of its layers.
const WHILE_COMPUTED: u64 = 8;
/// Rows of a stream that are computed at once, and their values.
const CHUNK_ROWS: u64 = 256;
const CHUNK_VALUES: u64 = 1 << 22;

/// Bytes of a number in an answer of this form.
pub fn number(form: Form) -> u64 {
    match form {
        Form::Json | Form::JsonLines | Form::EventStream => IN_JSON,
        Form::Npy | Form::Safetensors | Form::Png => FLOAT,
    }
}

/// Refuses more rows than go into an answer of `most` bytes, by the field that says how many. `rows` of them are
/// there to be answered.
pub fn require_rows(most: u64, rows: u64, bytes_a_row: u64, pointer: &str) -> Result<()> {
    let fitting = most / bytes_a_row.max(1);
    if rows <= fitting {
        return Ok(());
    }
    let rule = if pointer == "/inputs" {
        format!("must have at most {fitting} rows, got {rows}")
    } else {
        format!("must be at most {fitting}, for there are {rows} rows to answer")
    };
    let mib = most >> 20;
    let why = format!(
        "an answer has at most {mib} MiB (--max-answer-mib), and a row of it {bytes_a_row} bytes"
    );
    Err(Problem::field(pointer, format!("{rule}: {why}")))
}

/// What is asked of a model.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    found: &'a Resolved,
    verb: &'a Verb,
    /// Bytes of a number as it is answered.
    number: u64,
    /// Bytes that an answer may have, and that all may.
    most: u64,
    answers: &'a Allowance,
    /// The field that says how many rows.
    pointer: &'static str,
}

impl<'a> Wanted<'a> {
    pub fn of(app: &'a AppState, found: &'a Resolved, verb: &'a Verb, number: u64) -> Self {
        Self {
            found,
            verb,
            number,
            most: app.limits.answer_bytes,
            answers: &app.answers,
            pointer: match verb.rows {
                RowKind::None => "/n",
                RowKind::Ends => "/steps",
                RowKind::Data | RowKind::Code => "/inputs",
            },
        }
    }

    /// Where the rows are said, if they are those of a data set.
    pub fn from(self, dataset: bool) -> Self {
        let pointer = match self.pointer {
            "/inputs" if dataset => "/rows/limit",
            other => other,
        };
        Self { pointer, ..self }
    }

    /// Refuses what would answer too much. `given` rows come with the request, or are read for it. What the answer
    /// takes counts as held from here on.
    pub fn require_fit(&self, operation: &Operation, given: u64) -> Result<Held> {
        let labels = operation.labels.as_deref();
        let given_rows = usize::try_from(given).unwrap_or(usize::MAX);
        let rows = operation.options.rows(given_rows, labels) as u64;
        let meanwhile = FLOAT.saturating_mul(self.found.working) / WHILE_COMPUTED;
        // Of most requests the answer is small whatever the verb.
        let rough = self.number.saturating_mul(3 * self.found.widest());
        let small = rows.saturating_mul(rough) <= SMALL as u64
            && rows.saturating_mul(meanwhile) <= self.most;
        if small && !operation.options.answers_a_layer() {
            return Ok(Held::default());
        }
        let answer = self.number.saturating_mul(self.values(operation));
        require_rows(self.most, rows, answer.max(meanwhile), self.pointer)?;
        let input = FLOAT.saturating_mul(self.found.input_values());
        require_rows(self.most, given, input, self.pointer)?;
        let bytes = usize::try_from(rows.saturating_mul(answer)).unwrap_or(usize::MAX);
        self.answers.hold(bytes).ok_or_else(no_allowance)
    }

    /// Bytes of a chunk of a stream.
    pub fn bytes_of_chunk(&self, operation: &Operation) -> usize {
        let row = self.number.saturating_mul(self.values(operation));
        let bytes = row.saturating_mul(self.rows_of_chunk(operation));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Refuses what has turned out to be larger than was to be seen before.
    pub fn require_written(&self, reply: &Reply) -> Result<()> {
        let fields = std::iter::once(&reply.output).chain(&reply.extras);
        let values: usize = fields.map(|field| field.values.len()).sum();
        let bytes = self.number.saturating_mul(values as u64);
        if bytes <= self.most {
            return Ok(());
        }
        let rows = reply.rows.max(1) as u64;
        require_rows(self.most, rows, bytes.div_ceil(rows), self.pointer)
    }

    /// Rows of a stream to compute at once. The form has no say in it: the numbers that a chunk draws depend on it.
    pub fn rows_of_chunk(&self, operation: &Operation) -> u64 {
        let widest = self.values(operation).max(self.found.input_values());
        (CHUNK_VALUES / widest.max(1)).clamp(1, CHUNK_ROWS)
    }

    /// Values that a row of the answer has, as far as can be told of a model that is not in memory.
    fn values(&self, operation: &Operation) -> u64 {
        let outputs = Tensors::of(self.found, self.verb).outputs;
        let known: u64 = outputs.iter().map(|tensor| size(&tensor.row)).sum();
        if operation.options.answers_a_layer() {
            // A training step keeps each layer's activity before and after its activation, and its gradient.
            known.max(self.found.working / 3)
        } else {
            known
        }
    }
}

impl Resolved {
    /// Values of an input row.
    fn input_values(&self) -> u64 {
        size(&self.version.input_shape)
    }

    /// Values of the widest that a row becomes in an answer, a layer's activity aside.
    fn widest(&self) -> u64 {
        let code = self.version.code_shape.as_deref().map_or(1, size);
        let classes = self.source.facts.classes().map_or(1, i64::unsigned_abs);
        self.input_values().max(code).max(classes)
    }
}

/// Values of a shape.
pub fn size(shape: &[i64]) -> u64 {
    let sides = shape.iter().map(|side| side.unsigned_abs());
    sides.fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_number_of_rows_is_named_and_passes() {
        let said = |rows, bytes, pointer| {
            let refused = require_rows(10 << 20, rows, bytes, pointer).expect_err("too much");
            format!("{refused:?}")
        };
        let text = said(4096, 4_000_000, "/n");
        assert!(
            text.contains("must be at most 2,") && text.contains("\"/n\""),
            "{text}"
        );
        assert!(require_rows(10 << 20, 2, 4_000_000, "/n").is_ok());
        let text = said(3, 4_000_000, "/inputs");
        assert!(text.contains("at most 2 rows, got 3"), "{text}");
        assert!(require_rows(10 << 20, u64::MAX, 0, "/n").is_err());
        assert_eq!(size(&[]), 1);
        assert_eq!(size(&[i64::MAX, i64::MAX, 3]), u64::MAX);
    }
}
