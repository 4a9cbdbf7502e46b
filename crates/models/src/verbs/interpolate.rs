//! `interpolate`: rows on the way between two latent points.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[cfg(test)]
use super::Model;
#[cfg(test)]
use super::call::{Call, Example, Input};
use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, RowKind};
use super::tensors::{Shapes, Tensor};
use crate::nn::model::{BadOption, Rows};
use crate::nn::rng::Rng;

const MAX_STEPS: i64 = 1024;

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

/// The way between two points of the latent space.
pub trait Interpolator {
    /// The latent point of an input, `[1, latent]`; `None` for models without an encoder.
    fn locate(&self, rows: &Rows) -> Option<tch::Tensor>;
    /// A latent point drawn from the prior, `[1, latent]`; `None` for models without one.
    fn draw(&self, rng: &mut Rng) -> Option<tch::Tensor>;
    /// What lies at each share of the way from one latent point to the other: `[shares, features]`.
    fn between(
        &self,
        from: &tch::Tensor,
        to: &tch::Tensor,
        shares: &[f64],
        label: Option<&tch::Tensor>,
    ) -> tch::Tensor;
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

impl Define for InterpolateOptions {
    const NAME: &'static str = "interpolate";
    const SUMMARY: &'static str = "The way from one latent point to another";
    const ABOUT: &'static str =
        "Rows decoded from points on the way between two latent points, both ends included.";
    const ROWS: RowKind = RowKind::Ends;
    const PREFERENCE: u8 = 8;

    fn run(&self, call: &Context<'_>, _rng: &mut Rng) -> Result<Reply, CallError> {
        let part = call.part(call.model.interpolator())?;
        let steps = self.points();
        if !(2..=MAX_STEPS).contains(&steps) {
            let rule = format!("must be between 2 and {MAX_STEPS}, got {steps}");
            return Err(BadOption::new("steps", rule).into());
        }
        let label = call.labels(1)?;
        let (from, to) = self.ends(call)?;
        let from = latent(call, "from", &from, part, label.as_ref())?;
        let to = latent(call, "to", &to, part, label.as_ref())?;
        let last = (steps - 1) as f64;
        let shares: Vec<f64> = (0..steps).map(|i| i as f64 / last).collect();
        let output = part.between(&from, &to, &shares, label.as_ref());
        Ok(Reply::of(output, call.shape()))
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

    /// Where there is no encoder, the way goes from one latent point to another.
    fn inputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        let row = if shapes.encodes { shapes.row } else { shapes.code };
        let ends = Tensor {
            rows: 2,
            optional: true,
            ..Tensor::floats("inputs", row)
        };
        let label = shapes.signature.conditioned_on.map(|_| Tensor {
            rows: 1,
            ..Tensor::labels()
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
    label: Option<&tch::Tensor>,
) -> Result<tch::Tensor, CallError> {
    let row = match end {
        Endpoint::Seed(seed) => {
            return part.draw(&mut Rng::at(*seed, &[])).ok_or_else(|| {
                let rule = "this model has no prior to draw from; give a row of numbers";
                BadOption::new(name, rule).into()
            });
        }
        Endpoint::Row(row) => row,
    };
    let (found, features) = (row.len() as i64, call.facts.features());
    let rows = Rows {
        x: tch::Tensor::from_slice(row)
            .view([1, -1])
            .to_device(call.device),
        labels: label.map(tch::Tensor::shallow_clone),
    };
    if found == features
        && let Some(point) = part.locate(&rows)
    {
        return Ok(point);
    }
    let latent = call.part(call.model.code_shape())?.iter().product();
    let encodes = call.model.encoder().is_some();
    if !encodes && found == latent {
        return Ok(rows.x);
    }
    let needed = if encodes { features } else { latent };
    let rule = format!("must be a row of {needed} numbers, got {found}");
    Err(BadOption::new(name, rule).into())
}
