//! The first faults of a file, so that it can be mended in one go.

use std::collections::BTreeMap;

use super::super::{ImportError, MOST_FAULTS};

/// Faults of one column that are told of: the more columns are seen.
const OF_A_COLUMN: u32 = 3;

#[derive(Default)]
pub(super) struct Faults {
    found: Vec<String>,
    by_column: BTreeMap<Option<usize>, u32>,
}

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Notes what is wrong with a line or with the cell of a column, and goes on; what is no fault of the content,
    /// and the last fault that there is room for, end the import.
    pub(super) fn note(
        &mut self,
        column: Option<usize>,
        error: ImportError,
    ) -> Result<(), ImportError> {
        let ImportError::Invalid(what) = error else {
            return Err(error);
        };
        let of_column = self.by_column.entry(column).or_default();
        if *of_column >= OF_A_COLUMN {
            return Ok(());
        }
        *of_column += 1;
        self.found.push(what);
        if self.found.len() < MOST_FAULTS {
            return Ok(());
        }
        Err(ImportError::Faults(std::mem::take(&mut self.found)))
    }

    /// The value of a cell; none if it is faulty, which is noted.
    pub(super) fn pass<T>(
        &mut self,
        column: Option<usize>,
        outcome: Result<T, ImportError>,
    ) -> Result<Option<T>, ImportError> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.note(column, error).map(|()| None),
        }
    }

    /// The outcome of a step without which there is no going on, with the faults so far.
    pub(super) fn last<T>(&mut self, outcome: Result<T, ImportError>) -> Result<T, ImportError> {
        outcome.map_err(|error| match error {
            ImportError::Invalid(what) if !self.found.is_empty() => {
                let mut found = std::mem::take(&mut self.found);
                found.push(what);
                ImportError::Faults(found)
            }
            other => other,
        })
    }

    /// Refused if there were faults.
    pub(super) fn outcome(self) -> Result<(), ImportError> {
        let mut found = self.found;
        match (found.pop(), found.is_empty()) {
            (None, _) => Ok(()),
            (Some(one), true) => Err(ImportError::Invalid(one)),
            (Some(last), false) => {
                found.push(last);
                Err(ImportError::Faults(found))
            }
        }
    }
}
