//! Two ways in which the game is lost for good: a generator that makes one row whatever the noise, and
//! a discriminator that is never wrong.

use tch::{Kind, Tensor};

use super::loss::AdversarialLoss;
use crate::nn::{TensorMismatch, Tensors, copy_named};

/// Share of a new value in the running mean.
const RATE: f32 = 0.05;
/// Diversity below which the generator counts as collapsed: its rows differ from one another by a
/// twentieth of what the data's do.
const LEAST_DIVERSITY: f32 = 0.05;
/// Share of the loss at chance below which the discriminator counts as faultless. With it the logistic
/// losses leave a mean probability of error near 1e-4.
const LEAST_LOSS: f64 = 1e-4;

/// A running mean, and the steps in a row that it has been below its floor.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Gauge {
    floor: f32,
    mean: Option<f32>,
    low: i64,
}

impl Gauge {
    fn new(floor: f32) -> Self {
        Self {
            floor,
            mean: None,
            low: 0,
        }
    }

    fn note(&mut self, value: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "kept as f32")]
        let value = value as f32;
        let mean = self.mean.map_or(value, |mean| mean + RATE * (value - mean));
        self.mean = Some(mean);
        self.low = if mean < self.floor { self.low + 1 } else { 0 };
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watch {
    patience: i64,
    diversity: Gauge,
    loss: Gauge,
}

impl Watch {
    /// A patience of 0 never complains. The Wasserstein loss has no floor.
    pub fn new(patience: u32, loss: AdversarialLoss) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "kept as f32")]
        let least = loss
            .at_chance()
            .map_or(f32::NEG_INFINITY, |chance| (chance * LEAST_LOSS) as f32);
        Self {
            patience: i64::from(patience),
            diversity: Gauge::new(LEAST_DIVERSITY),
            loss: Gauge::new(least),
        }
    }

    /// Notes a step. Rows whose diversity cannot be told say nothing of it.
    pub fn note(&mut self, discriminator_loss: f64, diversity: Option<f64>) {
        self.loss.note(discriminator_loss);
        if let Some(diversity) = diversity {
            self.diversity.note(diversity);
        }
    }

    pub fn trouble(&self) -> Option<String> {
        let lost = |gauge: &Gauge| self.patience > 0 && gauge.low >= self.patience;
        let mean = |gauge: &Gauge| gauge.mean.unwrap_or(f32::NAN);
        if lost(&self.diversity) {
            return Some(format!(
                "the generator has collapsed: its rows differ from one another by {:.4} of what the data's do, and for \
                    {} steps by less than {LEAST_DIVERSITY}; another loss, \
                    spectral_norm or a lower learning_rate may help",
                mean(&self.diversity),
                self.diversity.low,
            ));
        }
        lost(&self.loss).then(|| {
            format!(
                "the discriminator is never wrong, so the generator has nothing to learn from: its loss is {:.2e}, and \
                    has been below {:.2e} for {} steps; a lower discriminator_learning_rate, \
                    label_smoothing or another loss may help",
                mean(&self.loss),
                self.loss.floor,
                self.loss.low,
            )
        })
    }

    pub fn state(&self, prefix: &str) -> Tensors {
        let gauges = [self.diversity, self.loss];
        let means = gauges.map(|gauge| gauge.mean.unwrap_or(f32::NAN));
        let low = gauges.map(|gauge| gauge.low);
        Tensors::from([
            (format!("{prefix}.means"), Tensor::from_slice(&means)),
            (format!("{prefix}.low"), Tensor::from_slice(&low)),
        ])
    }

    pub fn restore(&mut self, prefix: &str, state: &Tensors) -> Result<(), TensorMismatch> {
        let options = |kind| (kind, tch::Device::Cpu);
        let mut means = Tensor::zeros([2], options(Kind::Float));
        let mut low = Tensor::zeros([2], options(Kind::Int64));
        copy_named(state, &format!("{prefix}.means"), &mut means)?;
        copy_named(state, &format!("{prefix}.low"), &mut low)?;
        for (i, gauge) in [&mut self.diversity, &mut self.loss]
            .into_iter()
            .enumerate()
        {
            let at = [i as i64];
            #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
            let mean = means.double_value(&at) as f32;
            gauge.mean = (!mean.is_nan()).then_some(mean);
            gauge.low = low.int64_value(&at);
        }
        Ok(())
    }
}

/// Root of the mean squared distance between two generated rows over that between two of the data's:
/// 1 where they vary alike, 0 where all generated rows are the same. With labels only rows of one class
/// are compared. `None` where the data's do not differ.
pub fn diversity(fake: &Tensor, real: &Tensor, labels: Option<&Tensor>) -> Option<f64> {
    let [fake, real] = [fake, real].map(|rows| squares_within(rows, labels));
    (real > 1e-12).then(|| (fake / real).sqrt())
}

/// Squared distance of each row from the mean of all, or of its class, summed over the values and
/// averaged over the rows. Half the mean squared distance between two of them.
fn squares_within(rows: &Tensor, labels: Option<&Tensor>) -> f64 {
    let means = match labels {
        None => rows.mean_dim(0, true, Kind::Float),
        Some(labels) => {
            let classes = labels.max().int64_value(&[]) + 1;
            let sums = Tensor::zeros([classes, rows.size()[1]], (Kind::Float, rows.device()))
                .index_add(0, labels, rows);
            let counts = labels.bincount::<Tensor>(None, classes).clamp_min(1);
            (sums / counts.unsqueeze(1)).index_select(0, labels)
        }
    };
    let squares = (rows - means).square().sum(Kind::Double);
    squares.double_value(&[]) / rows.size()[0] as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::rng::Rng;
    use tch::Device;

    #[test]
    fn only_a_long_stretch_below_the_floor_is_trouble() {
        let mut watch = Watch::new(100, AdversarialLoss::NonSaturating);
        // A generator starts with rows that are nearly alike.
        for _ in 0..99 {
            watch.note(1.0, Some(0.01));
        }
        assert_eq!(watch.trouble(), None);
        for _ in 0..500 {
            watch.note(1e-3, Some(0.5));
        }
        assert_eq!(watch.trouble(), None);
        for _ in 0..200 {
            watch.note(1.0, Some(0.001));
        }
        let trouble = watch.trouble().expect("collapsed");
        assert!(trouble.contains("collapsed"), "{trouble}");
        // It has recovered.
        for _ in 0..5 {
            watch.note(1.0, Some(0.9));
        }
        assert_eq!(watch.trouble(), None);
    }

    #[test]
    fn a_faultless_discriminator_is_trouble_but_not_for_a_critic() {
        let after = |loss, patience| {
            let mut watch = Watch::new(patience, loss);
            (0..500).for_each(|_| watch.note(0.0, None));
            watch.trouble()
        };
        let trouble = after(AdversarialLoss::Minimax, 100).expect("never wrong");
        assert!(trouble.contains("never wrong"), "{trouble}");
        assert_eq!(after(AdversarialLoss::WassersteinGp, 100), None);
        assert_eq!(after(AdversarialLoss::Minimax, 0), None);
    }

    #[test]
    fn what_is_saved_goes_on_counting() -> Result<(), TensorMismatch> {
        let mut watch = Watch::new(10, AdversarialLoss::Hinge);
        let fresh = watch;
        (0..9).for_each(|i| watch.note(f64::from(i) * 0.3, Some(0.01)));
        for saved in [fresh, watch] {
            let mut other = Watch::new(10, AdversarialLoss::Hinge);
            other.note(3.0, Some(2.0));
            other.restore("watch", &saved.state("watch"))?;
            assert_eq!(other, saved);
        }
        Ok(())
    }

    #[test]
    fn diversity_is_a_ratio_of_mean_distances() {
        let rows = Rng::at(1, &[]).normal(&[40, 3], Device::Cpu);
        let mean_square_distance = |rows: &Tensor| {
            let difference = rows.unsqueeze(0) - rows.unsqueeze(1);
            difference.square().sum(Kind::Double).double_value(&[]) / (40.0 * 40.0)
        };
        let half = 2.0 * squares_within(&rows, None);
        assert!((half - mean_square_distance(&rows)).abs() < 1e-4);
        let found = diversity(&(&rows * 0.3 + 5.0), &rows, None).expect("rows differ");
        assert!((found - 0.3).abs() < 1e-4, "{found}");
        assert_eq!(diversity(&rows, &Tensor::ones_like(&rows), None), None);
    }

    #[test]
    fn with_labels_the_classes_alone_make_no_diversity() {
        let labels = Tensor::from_slice(&[0_i64, 2, 0, 2, 0, 2]);
        let rows = Rng::at(2, &[]).normal(&[6, 4], Device::Cpu);
        let by_class = labels.to_kind(Kind::Float).unsqueeze(1) * Tensor::ones_like(&rows);
        let found = diversity(&by_class, &rows, Some(&labels)).expect("rows differ");
        assert!(found < 1e-6, "{found}");
        assert!(diversity(&by_class, &rows, None).is_some_and(|d| d > 0.1));
        let shifted = diversity(&(by_class + &rows), &rows, Some(&labels)).expect("rows differ");
        assert!((shifted - 1.0).abs() < 1e-5, "{shifted}");
    }
}
