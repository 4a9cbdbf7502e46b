//! Whether a run ended while its loss still fell.

/// The training loss of each epoch of the last phase, since the run was last taken up.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<f64>);

/// Of a shorter run nothing can be said.
const FEWEST: usize = 3;
/// Below this share of itself in an epoch the loss counts as settled.
const SETTLED: f64 = 0.01;

impl Losses {
    /// Notes an epoch, of the phase that decides or of an earlier one.
    pub fn push(&mut self, decides: bool, metrics: &[(String, f64)]) {
        let loss = metrics.iter().find(|(name, _)| name == "train/loss");
        match loss {
            Some((_, loss)) if decides => self.0.push(*loss),
            _ => self.0.clear(),
        }
    }

    /// The share of itself by which it fell in each of the last epochs, a tenth of all, unless it had settled.
    pub fn fall(&self) -> Option<f64> {
        let epochs = self.0.len();
        if epochs < FEWEST {
            return None;
        }
        let span = (epochs / 10).max(1);
        let (before, last) = (self.0[epochs - 1 - span], self.0[epochs - 1]);
        let share = (before - last) / (before.abs().max(f64::MIN_POSITIVE) * span as f64);
        (share.is_finite() && share > SETTLED).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(losses: &[f64]) -> Losses {
        let mut all = Losses::default();
        for loss in losses {
            all.push(true, &[("train/loss".to_owned(), *loss)]);
        }
        all
    }

    #[test]
    fn a_loss_that_falls_at_the_end_is_told_of() {
        assert!(
            of(&[3.0, 2.0, 1.0])
                .fall()
                .is_some_and(|share| (share - 0.5).abs() < 1e-12)
        );
        assert_eq!(of(&[3.0, 2.0, 1.99]).fall(), None);
        assert_eq!(of(&[3.0, 1.0]).fall(), None);
        assert_eq!(of(&[1.0, 1.0, 2.0]).fall(), None);
        assert_eq!(of(&[0.0, 0.0, 0.0]).fall(), None);
        assert_eq!(of(&[1.0, 1.0, f64::NAN]).fall(), None);
        // Over the last tenth: one lucky epoch is not a trend.
        let mut long: Vec<f64> = vec![1.0; 40];
        long.push(0.97);
        assert_eq!(of(&long).fall(), None);
        let steady: Vec<f64> = (0..40).map(|epoch| 0.95_f64.powi(epoch)).collect();
        assert!(of(&steady).fall().is_some_and(|share| share > 0.04));
    }

    #[test]
    fn epochs_of_an_earlier_phase_do_not_count() {
        let mut losses = of(&[3.0, 2.0, 1.0]);
        losses.push(false, &[("train/loss".to_owned(), 0.5)]);
        assert_eq!(losses.fall(), None);
    }
}
