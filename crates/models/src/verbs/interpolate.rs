//! `interpolate`: rows on the way between two latent points.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

#[cfg(test)]
use super::Model;
#[cfg(test)]
use super::call::{Call, Example, Input};
use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Options, RowKind};
use super::tensors::{self, Shapes};
use super::{Decoder, Encoder};
use crate::nn::latent::lerp;
use crate::nn::model::{BadOption, Rows};
use crate::nn::rng::Rng;

/// One end of an interpolation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a seed (a whole number) or a flat row of numbers"
)]
pub enum Endpoint {
    /// A latent point drawn from the prior with this seed.
    Seed(u64),
    /// A flat row: an input for models that encode, else a latent point.
    Row(Vec<f32>),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InterpolateOptions {
    /// Where to start: a seed or a row. Left out, the first of two rows in `inputs` or `rows`.
    pub from: Option<Endpoint>,
    /// Where to end.
    pub to: Option<Endpoint>,
    /// Points on the way, both ends included. Default 8.
    #[schema(minimum = 2, maximum = 1024)]
    pub steps: Option<i64>,
    /// The class of all points, for models conditioned on labels.
    pub labels: Option<Vec<i64>>,
}

/// The way between two points of the latent space: that of the codes.
pub trait Interpolator: Decoder {
    /// A latent point drawn from the prior, `[1, latent]`; `None` for models without one.
    fn draw(&self, _rng: &mut Rng) -> Option<Tensor> {
        None
    }
    /// What lies at each share of the way from one latent point to the other: `[shares, latent]`.
    fn way(&self, from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
        lerp(from, to, shares)
    }
}

impl InterpolateOptions {
    fn points(&self) -> i64 {
        self.steps.unwrap_or(8)
    }

    /// Both ends, as the options or two rows of input name them.
    fn ends(&self, call: &Context<'_>) -> Result<(Endpoint, Endpoint), BadOption> {
        let input = &call.call.input;
        match (&self.from, &self.to) {
            (None, None) if input.rows == 2 => {
                let (first, second) = input.values.split_at(input.values.len() / 2);
                let row = |v: &[f32]| Endpoint::Row(v.to_vec());
                Ok((row(first), row(second)))
            }
            (Some(from), Some(to)) if input.rows == 0 => Ok((from.clone(), to.clone())),
            _ => {
                let rule = "give from and to, or two rows in inputs";
                Err(BadOption::new("from", rule))
            }
        }
    }
}

impl Options for InterpolateOptions {
    fn run(&self, call: &Context<'_>, _rng: &mut Rng) -> Result<Reply, CallError> {
        let part = call.part(call.model.interpolator())?;
        let label = call.labels(1)?;
        let (from, to) = self.ends(call)?;
        let from = latent(call, "from", &from, part, label.as_ref())?;
        let to = latent(call, "to", &to, part, label.as_ref())?;
        let last = (self.points() - 1) as f64;
        let shares: Vec<f64> = (0..self.points()).map(|i| i as f64 / last).collect();
        let codes = Rows {
            x: part.way(&from, &to, &shares),
            labels: label.map(|label| label.expand([self.points()], false)),
        };
        Ok(Reply::of(part.decode(&codes), call.shape()))
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    fn may_batch(&self) -> bool {
        false
    }

    fn answers_row_by_row(&self) -> bool {
        false
    }

    fn rows(&self, _given: usize, _labels: Option<&[i64]>) -> usize {
        usize::try_from(self.points()).unwrap_or(0)
    }

    fn overflow(&self) -> (&'static str, &'static str) {
        ("from", "it or 'to' is too far out for this model")
    }
}

impl Define for InterpolateOptions {
    const NAME: &'static str = "interpolate";
    const SUMMARY: &'static str = "The way from one latent point to another";
    const ABOUT: &'static str =
        "Rows decoded from points on the way between two latent points, both ends included.";
    const ROWS: RowKind = RowKind::Ends;
    const PREFERENCE: u8 = 8;
    const WARMS_UP: bool = false;

    /// Where there is no encoder, the way goes from one latent point to another.
    fn inputs(shapes: &Shapes<'_>) -> Vec<tensors::Tensor> {
        let row = if shapes.encodes { shapes.row } else { shapes.code };
        let ends = tensors::Tensor {
            rows: 2,
            optional: true,
            ..tensors::Tensor::floats("inputs", row)
        };
        let label = shapes.signature.conditioned_on.map(|_| tensors::Tensor {
            rows: 1,
            ..tensors::Tensor::labels()
        });
        std::iter::once(ends).chain(label).collect()
    }

    #[cfg(test)]
    fn example(model: &dyn Model, rows: &Example) -> Call {
        let mut rng = Rng::at(0, &[]);
        let has_prior = model.interpolator().is_some_and(|p| p.draw(&mut rng).is_some());
        let end = |seed| has_prior.then_some(Endpoint::Seed(seed));
        let options = Self {
            from: end(1),
            to: end(2),
            steps: None,
            labels: model.conditioned_on().map(|_| vec![3]),
        };
        let two = Input {
            labels: None,
            ..rows.two.clone()
        };
        Call::of(options, if has_prior { Input::default() } else { two })
    }
}

/// The latent point that one end stands for, `[1, latent]`.
fn latent(
    call: &Context<'_>,
    name: &'static str,
    end: &Endpoint,
    part: &dyn Interpolator,
    label: Option<&Tensor>,
) -> Result<Tensor, CallError> {
    let row = match end {
        Endpoint::Seed(seed) => {
            return part.draw(&mut Rng::at(*seed, &[])).ok_or_else(|| {
                let rule = "this model has no prior to draw from; give a row of numbers";
                BadOption::new(name, rule).into()
            });
        }
        Endpoint::Row(row) => row,
    };
    let encoder = call.model.encoder();
    let needed: i64 = match encoder {
        Some(_) => call.facts.features(),
        None => call.part(call.model.code_shape())?.iter().product(),
    };
    let found = row.len() as i64;
    if found != needed {
        let rule = format!("must be a row of {needed} numbers, got {found}");
        return Err(BadOption::new(name, rule).into());
    }
    let rows = Rows {
        x: Tensor::from_slice(row).view([1, -1]).to_device(call.device),
        labels: label.map(Tensor::shallow_clone),
    };
    let code = |encoder: &dyn Encoder| encoder.encode(&rows, encoder.last_layer().0, None).output;
    Ok(encoder.map_or_else(|| rows.x.shallow_clone(), code))
}
