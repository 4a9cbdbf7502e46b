//! What a regressor learns: one number for each row, its target, or where the data set has none its label
//! read as a number. Standardised on the way in and scaled back on the way out, so that any unit trains
//! alike. Here too is how far its answers are off; what the net looks like is not known.

use tch::{Device, Kind, Reduction, Tensor};

use super::{Means, Report};
use crate::data::Batch;
use crate::nn::figures::mean;
use crate::nn::model::DataFacts;
use crate::nn::standardize::{Columns, Standardizer};
use crate::nn::{TensorMismatch, Tensors};
use crate::onnx::{Graph, Value};

/// The first two moments of the standardised numbers: what `r2` needs of the whole split.
const MOMENTS: [&str; 2] = ["number", "number_squared"];

pub struct Regression {
    scale: Standardizer,
    of_targets: bool,
}

impl Regression {
    pub fn new(data: &DataFacts, device: Device) -> Self {
        Self {
            scale: Standardizer::identity(1, device),
            of_targets: data.has_targets(),
        }
    }

    /// The numbers of a batch, `[batch, 1]` f64; none if its split has none of the kind that is learnt.
    pub fn numbers(&self, batch: &Batch) -> Option<Tensor> {
        let numbers = if self.of_targets {
            batch.targets()
        } else {
            batch.labels()
        };
        Some(numbers?.to_kind(Kind::Double).unsqueeze(1))
    }

    /// Takes on the mean and the deviation of the training numbers.
    pub fn fit(&mut self, numbers: &Columns) {
        self.scale.fit(numbers);
    }

    /// Squared error of the standardised numbers, averaged over the batch.
    pub fn loss(&self, outputs: &Tensor, numbers: &Tensor) -> Tensor {
        let standardised = self.scale.apply(numbers).to_kind(Kind::Float);
        outputs.mse_loss(&standardised, Reduction::Mean)
    }

    /// The net's outputs in the numbers' own unit, `[batch, 1]`.
    pub fn answers(&self, outputs: &Tensor) -> Tensor {
        self.scale.undo(outputs)
    }

    /// The same as a graph.
    pub fn write_answers(&self, graph: &mut Graph, outputs: &Value) -> Value {
        self.scale.write_undo(graph, "target", outputs)
    }

    /// What a step tells: `rmse` is for [`Self::summary`] to make of it.
    pub fn step_report(&self, outputs: &Tensor, numbers: &Tensor, loss: &Tensor) -> Report {
        let off = self.residuals(outputs, numbers);
        Report(vec![
            ("loss", loss.double_value(&[])),
            ("mse", mean(&off.square())),
        ])
    }

    /// Means over a batch that is not learnt from.
    pub fn report(&self, outputs: &Tensor, numbers: &Tensor) -> Report {
        let off = self.residuals(outputs, numbers);
        let mse = mean(&off.square());
        let deviation = self.scale.deviation().double_value(&[0]);
        let standardised = self.scale.apply(numbers);
        let [first, second] = MOMENTS;
        Report(vec![
            ("loss", mse / deviation.powi(2)),
            ("mse", mse),
            ("mae", mean(&off.abs())),
            (first, mean(&standardised)),
            (second, mean(&standardised.square())),
        ])
    }

    /// The metrics of many batches: `rmse` is the root of their mean, not the mean of their roots, and
    /// `r2 = 1 - Σ (y - ŷ)² / Σ (y - ȳ)²` over all of them, left out where the numbers do not differ.
    pub fn summary(means: &Means) -> Vec<(String, f64)> {
        let mut told = means.told();
        told.retain(|(name, _)| !MOMENTS.contains(&name.as_str()));
        if let Some(mse) = means.get("mse") {
            told.push(("rmse".to_owned(), mse.sqrt()));
        }
        if let (Some(loss), [Some(first), Some(second)]) =
            (means.get("loss"), MOMENTS.map(|name| means.get(name)))
        {
            let variance = second - first.powi(2);
            // Below this it is what rounding leaves of equal numbers.
            if variance > 1e-12 * second {
                told.push(("r2".to_owned(), 1.0 - loss / variance));
            }
        }
        told
    }

    pub fn name_tensors(&self, into: &mut Tensors) {
        self.scale.name_tensors("target", into);
    }

    pub fn load(&mut self, source: &Tensors) -> Result<(), TensorMismatch> {
        self.scale.load("target", source)
    }

    /// Answers less truth, `[batch, 1]` f64.
    fn residuals(&self, outputs: &Tensor, numbers: &Tensor) -> Tensor {
        self.answers(&outputs.to_kind(Kind::Double)) - numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Role;

    fn batch(targets: &[f64], labels: &[i64]) -> Batch {
        of_labels(labels).with(Role::Targets, Tensor::from_slice(targets))
    }

    fn of_labels(labels: &[i64]) -> Batch {
        let rows = Tensor::zeros([labels.len() as i64, 1], (Kind::Float, Device::Cpu));
        Batch::new(rows).with(Role::Labels, Tensor::from_slice(labels))
    }

    fn regression(targets: i64) -> Regression {
        let facts = DataFacts::new(&[1], (0.0, 1.0))
            .with_classes(Some(5))
            .with_targets(targets > 0);
        Regression::new(&facts, Device::Cpu)
    }

    #[test]
    fn targets_go_before_labels_and_do_not_stand_in_for_them() {
        let both = batch(&[0.5, 2.5], &[1, 4]);
        let numbers = |of: &Regression, batch: &Batch| -> Option<Vec<f64>> {
            let numbers = of.numbers(batch)?;
            assert_eq!(numbers.size(), [2, 1]);
            Vec::try_from(numbers.view([-1])).ok()
        };
        assert_eq!(numbers(&regression(1), &both), Some(vec![0.5, 2.5]));
        assert_eq!(numbers(&regression(0), &both), Some(vec![1.0, 4.0]));
        let labels_only = of_labels(&[1, 4]);
        assert_eq!(numbers(&regression(1), &labels_only), None);
    }

    #[test]
    fn answers_come_back_in_any_unit() {
        for (origin, unit) in [(0.0, 1.0), (1.7e9, 4e5), (-3e-30, 2e-33), (2e37, 1e37)] {
            let truth: Vec<f64> = (0..20).map(|i| origin + unit * f64::from(i)).collect();
            let numbers = Tensor::from_slice(&truth).unsqueeze(1);
            let mut columns = Columns::default();
            columns.add(&numbers);
            let mut regression = regression(1);
            regression.fit(&columns);
            let perfect = regression.scale.apply(&numbers).to_kind(Kind::Float);
            let loss = regression.loss(&perfect, &numbers).double_value(&[]);
            assert!(loss < 1e-9, "{unit}: loss {loss}");
            let answers = regression.answers(&perfect);
            assert_eq!(answers.kind(), Kind::Float);
            let off = (answers - &numbers).abs().max().double_value(&[]);
            assert!(off <= unit * 1e-3, "{unit}: {off} off");
        }
    }

    #[test]
    fn rmse_and_r2_are_those_of_the_whole_split() {
        let truth = [1.0, 2.0, 4.0, 7.0, 9.0];
        let given = [1.5_f32, 2.0, 3.0, 9.0, 9.0];
        let regression = regression(1);
        let mut means = Means::default();
        // Batches of unequal size and very unequal error.
        for range in [0..2, 2..5] {
            let numbers = Tensor::from_slice(&truth[range.clone()]).unsqueeze(1);
            let outputs = Tensor::from_slice(&given[range.clone()]).unsqueeze(1);
            means.add(&regression.report(&outputs, &numbers), range.len() as u64);
        }
        let told = Regression::summary(&means);
        let get = |name: &str| told.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        let (mse, variance) = (5.25 / 5.0, 9.04);
        for (name, value) in [
            ("mse", mse),
            ("rmse", f64::sqrt(mse)),
            ("mae", 3.5 / 5.0),
            ("r2", 1.0 - mse / variance),
        ] {
            let found = get(name).expect(name);
            assert!(
                (found - value).abs() < 1e-12,
                "{name}: {found}, not {value}"
            );
        }
        assert_eq!(get("number"), None);
    }

    #[test]
    fn of_equal_numbers_nothing_is_explained() {
        let mut means = Means::default();
        let numbers = Tensor::from_slice(&[0.1; 7]).unsqueeze(1);
        let outputs = Tensor::from_slice(&[0.2_f32; 7]).unsqueeze(1);
        means.add(&regression(1).report(&outputs, &numbers), 7);
        let told = Regression::summary(&means);
        assert!(told.iter().all(|(name, _)| name != "r2"), "{told:?}");
        assert!(told.iter().any(|(name, _)| name == "rmse"), "{told:?}");
    }
}
