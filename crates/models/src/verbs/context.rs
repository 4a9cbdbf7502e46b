//! A call on the model that is to answer it: its rows as a tensor, its labels and widths checked.

#![expect(unsafe_code, reason = "a view of the caller's numbers, without a copy")]

use tch::{Device, Kind, Tensor};

use super::call::{Call, CallError};
use super::{Model, capabilities};
use crate::nn::model::{BadOption, DataFacts, Rows};

/// What a verb runs on.
pub struct Context<'a> {
    pub call: &'a Call,
    pub model: &'a dyn Model,
    pub facts: &'a DataFacts,
    pub device: Device,
}

type Result<T> = std::result::Result<T, CallError>;

impl Context<'_> {
    /// The part, or the list of verbs that the model does offer.
    pub fn part<T>(&self, part: Option<T>) -> Result<T> {
        part.ok_or_else(|| CallError::Unsupported {
            verb: self.call.verb(),
            offered: capabilities(self.model),
        })
    }

    /// Shape of a row of data.
    pub fn shape(&self) -> Option<&[i64]> {
        Some(self.facts.shape())
    }

    /// The input as rows of data.
    pub fn inputs(&self) -> Result<Rows> {
        self.rows(self.facts.shape())
    }

    /// The input as `[rows, width]`, its width checked against the shape of one row; its labels, where the model
    /// needs them.
    pub fn rows(&self, shape: &[i64]) -> Result<Rows> {
        let needed = self.check_width(shape)?;
        let input = &self.call.input;
        let rows = i64::try_from(input.rows).unwrap_or(i64::MAX);
        // SAFETY: what is computed from the tensor does not outlive the call it belongs to: an answer is copied
        // out by `Field::of`, and models neither keep their inputs nor write to them.
        let x = unsafe { lent(&input.values, rows, needed) }.to_device(self.device);
        let labels = self.labels(rows)?;
        Ok(Rows { x, labels })
    }

    /// Values that a row of this shape has, which are as many as each row of the call has.
    pub fn check_width(&self, shape: &[i64]) -> Result<i64> {
        let needed: i64 = shape.iter().product();
        let (rows, count) = (self.call.input.rows, self.call.input.values.len());
        let width = count.checked_div(rows).unwrap_or(0);
        if rows == 0 || width * rows != count || i64::try_from(width) != Ok(needed) {
            return Err(CallError::Width {
                needed,
                shape: shape.to_vec(),
                found: width,
            });
        }
        Ok(needed)
    }

    /// The class of each of `rows`: as given, else the rows' own. None for an unconditional model.
    pub fn labels(&self, rows: i64) -> Result<Option<Tensor>> {
        self.labels_of(self.model.conditioned_on(), rows)
    }

    /// The same for a verb that is conditioned on so many classes.
    pub fn labels_of(&self, classes: Option<i64>, rows: i64) -> Result<Option<Tensor>> {
        let bad = |rule: String| CallError::from(BadOption::new("labels", rule));
        let Some(classes) = classes else {
            return match self.call.operation.labels {
                Some(_) => Err(bad("this model is not conditioned on labels".to_owned())),
                None => Ok(None),
            };
        };
        let Some(labels) = self.call.labels() else {
            return Err(bad(
                "is missing: this model is conditioned on labels; give one for each row, or rows of a labelled data set"
                    .to_owned(),
            ));
        };
        let count = labels.len() as i64;
        if count != rows && count != 1 {
            return Err(bad(format!(
                "must name a class for each of {rows} rows, got {count}"
            )));
        }
        if let Some(wrong) = labels.iter().find(|&&l| !(0..classes).contains(&l)) {
            return Err(bad(format!(
                "must be between 0 and {}, got {wrong}",
                classes - 1
            )));
        }
        let tensor = Tensor::from_slice(labels).expand([rows], false);
        Ok(Some(tensor.to_device(self.device)))
    }
}

/// The values as `[rows, width]`, where they lie: a copy of a large batch would take a tenth of the time that
/// its first layer does.
///
/// # Safety
/// The tensor, and every view of it, must be gone before the values are, and must not be written to.
unsafe fn lent(values: &[f32], rows: i64, width: i64) -> Tensor {
    let (shape, strides) = ([rows, width], [width, 1]);
    assert_eq!(
        values.len(),
        usize::try_from(rows * width).unwrap_or(usize::MAX)
    );
    // SAFETY: `values` has as many numbers as the shape, which was just asked; the rest is the caller's.
    unsafe {
        let at = values.as_ptr().cast::<u8>();
        Tensor::from_blob(at, &shape, &strides, Kind::Float, Device::Cpu)
    }
}
