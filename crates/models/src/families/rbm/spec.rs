//! What a client writes of an RBM, and the rules it must keep.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Rules, tagged};
use crate::nn::binarize::Binarize;
use crate::nn::model::DataFacts;
use crate::train::settings::Training;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RbmAlgorithm)]
pub enum Algorithm {
    /// Contrastive divergence: the chain starts at the data.
    Cd,
    /// Persistent contrastive divergence: the chains go on from step to step.
    Pcd,
    /// Persistent chains at several temperatures that swap states.
    Tempering,
}

/// Keeps the mean activity of every hidden unit near a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RbmSparsity)]
pub struct Sparsity {
    /// Share of the rows that a hidden unit should be on for.
    #[schema(exclusive_minimum = 0.0, exclusive_maximum = 1.0)]
    pub target: f64,
    /// Factor of the pull towards it, on the same scale as the gradient of the hidden biases.
    #[schema(exclusive_minimum = 0.0)]
    pub cost: f64,
}

/// Publishes a running average of the weights in place of the last ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RbmAveraging)]
pub struct Averaging {
    /// Share of the old average that each step keeps, once the average is that long.
    #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
    pub decay: f64,
    /// Share of the epochs after which averaging begins; before that the last weights are published.
    #[schema(minimum = 0.0, exclusive_maximum = 1.0)]
    pub from: f64,
}

impl Default for Averaging {
    fn default() -> Self {
        Self {
            decay: 0.9995,
            from: 0.5,
        }
    }
}

tagged! {
    /// Restricted Boltzmann machine with Bernoulli units.
    pub struct Spec as RbmModel, Kind::Rbm as RbmKind {
        /// Hidden units.
        #[schema(minimum = 1, maximum = 16_777_216, extensions(("x-unit" = json!("units"))))]
        pub hidden: i64 = 500,
        #[schema(inline)]
        pub algorithm: Algorithm = Algorithm::Cd,
        /// Gibbs steps for each update.
        #[schema(minimum = 1, maximum = 1000)]
        pub gibbs_steps: u32 = 1,
        /// Gibbs steps for each update at the end of the run; they change from `gibbs_steps` in a
        /// straight line. Left out, they stay.
        #[schema(minimum = 1, maximum = 1000)]
        pub final_gibbs_steps: Option<u32> = None,
        /// Persistent chains (`pcd`), or chains at each temperature (`tempering`); as many as rows in a
        /// batch when left out.
        #[schema(minimum = 1, maximum = 65_536)]
        pub chains: Option<i64> = None,
        /// Temperatures (`tempering`), evenly spaced in their inverse from 1 to 0; 10 when left out.
        #[schema(minimum = 2, maximum = 1000)]
        pub temperatures: Option<i64> = None,
        #[schema(inline)]
        pub binarize: Binarize = Binarize::None,
        /// Learn by the centred gradient, with offsets that follow the units' means over the data.
        pub centring: bool = false,
        #[schema(inline)]
        pub sparsity: Option<Sparsity> = None,
        #[schema(inline)]
        pub averaging: Option<Averaging> = None,
    }
}

/// Numbers that the states of all chains may have: 1 GiB as f32.
const MAX_CHAIN_UNITS: i64 = 1 << 28;

impl Spec {
    pub fn chains(&self, training: &Training) -> i64 {
        self.chains
            .unwrap_or_else(|| i64::from(training.batch_size))
    }

    pub fn temperatures(&self) -> i64 {
        self.temperatures.unwrap_or(10)
    }

    /// Gibbs steps of an update at `time`, of `epochs` in all.
    pub fn gibbs_steps_at(&self, time: f64, epochs: u32) -> u32 {
        let first = f64::from(self.gibbs_steps);
        let last = f64::from(self.final_gibbs_steps.unwrap_or(self.gibbs_steps));
        let gone = (time / f64::from(epochs.max(1))).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both ends are at least 1 and fit"
        )]
        let steps = (first + (last - first) * gone).round() as u32;
        steps
    }

    /// What the last update costs, as a multiple of the first, in products of a layer's states with the
    /// weights: three for the rows (one up, two in the gradient), two for each Gibbs step of the chains.
    pub fn last_step_cost(&self, training: &Training) -> f64 {
        let rows = f64::from(training.batch_size);
        let states = match self.algorithm {
            Algorithm::Cd => rows,
            Algorithm::Pcd => self.chains(training) as f64,
            Algorithm::Tempering => (self.chains(training) * self.temperatures()) as f64,
        };
        let cost = |steps: u32| 3.0 * rows + 2.0 * f64::from(steps) * states;
        cost(self.final_gibbs_steps.unwrap_or(self.gibbs_steps)) / cost(self.gibbs_steps)
    }

    pub(super) fn check_chains(&self, training: &Training, data: &DataFacts, rules: &mut Rules) {
        let persistent = self.algorithm != Algorithm::Cd;
        let tempered = self.algorithm == Algorithm::Tempering;
        rules.require(
            persistent || self.chains.is_none(),
            "/model/chains",
            "only the algorithms 'pcd' and 'tempering' keep chains",
        );
        rules.require(
            tempered || self.temperatures.is_none(),
            "/model/temperatures",
            "only the algorithm 'tempering' has temperatures",
        );
        let levels = if tempered { self.temperatures() } else { 1 };
        let units = self
            .chains(training)
            .saturating_mul(levels)
            .saturating_mul(self.hidden.max(data.features()));
        rules.require(
            !persistent || units <= MAX_CHAIN_UNITS,
            "/model/chains",
            format!(
                "all chains together may have {MAX_CHAIN_UNITS} units in a layer, got {units}; fewer chains, or a \
                    smaller batch_size, would do"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{Define, suite};

    type Change = fn(&mut Spec);

    #[test]
    fn gibbs_steps_go_from_the_first_to_the_last_number_in_a_straight_line() {
        let growing = Spec {
            final_gibbs_steps: Some(9),
            ..Spec::default()
        };
        let steps = [0.0, 5.0, 10.0].map(|time| growing.gibbs_steps_at(time, 10));
        assert_eq!(steps, [1, 5, 9]);
        assert_eq!(Spec::default().gibbs_steps_at(10.0, 10), 1);
        let training = Training::of(&Spec::TRAINING, 1);
        assert!((growing.last_step_cost(&training) - 21.0 / 5.0).abs() < 1e-12);
        assert!((Spec::default().last_step_cost(&training) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_an_algorithm_has_no_use_for_and_what_is_out_of_bounds_is_refused() {
        let facts = DataFacts::new(&[1, 8, 8], (0.0, 1.0));
        let broken = |change: Change| -> Vec<String> {
            let mut spec = Spec::default();
            change(&mut spec);
            let training = Training::of(&Spec::TRAINING, 1);
            suite::broken("rbm", &spec, &training, &facts)
        };
        assert!(broken(|_| ()).is_empty());
        let cases: [(&str, Change); 8] = [
            ("chains", |s| s.chains = Some(5)),
            ("chains", |s| {
                (s.algorithm, s.chains) = (Algorithm::Tempering, Some(65_536));
                s.hidden = 1 << 20;
            }),
            ("temperatures", |s| s.temperatures = Some(5)),
            ("temperatures", |s| {
                (s.algorithm, s.temperatures) = (Algorithm::Tempering, Some(1));
            }),
            ("final_gibbs_steps", |s| s.final_gibbs_steps = Some(0)),
            ("sparsity/target", |s| {
                s.sparsity = Some(Sparsity {
                    target: 1.0,
                    cost: 1.0,
                });
            }),
            ("sparsity/cost", |s| {
                s.sparsity = Some(Sparsity {
                    target: 0.1,
                    cost: f64::NAN,
                });
            }),
            ("averaging/decay", |s| {
                s.averaging = Some(Averaging {
                    decay: 1.0,
                    from: 0.0,
                });
            }),
        ];
        for (field, change) in cases {
            assert_eq!(broken(change), [format!("/model/{field}")]);
        }
    }
}
