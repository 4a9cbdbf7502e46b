//! Parallel tempering: copies of a machine at several inverse temperatures, each in its own Gibbs
//! chain, that swap states (Desjardins et al., 2010; Cho, Raiko and Ilin, 2010). The hot ones cross
//! between modes freely, and hand what they find down to the one at β = 1.

use tch::{Device, Kind, Tensor};

use super::gradient::Statistics;
use super::machine::Machine;
use super::path::AnnealingPath;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_named};

pub struct Replicas {
    /// Hidden states, `[temperatures * chains, hidden]`; the chains at β = 1 come first.
    hidden: Tensor,
    /// From 1 down to 0, evenly spaced.
    betas: Vec<f64>,
    /// The inverse temperature of each row, `[temperatures * chains, 1]`.
    column: Tensor,
    chains: i64,
    /// Share of the proposed swaps of the last step that were accepted.
    accepted: f64,
}

impl Replicas {
    /// At least two temperatures; every chain starts at fair coins.
    pub fn init(temperatures: i64, chains: i64, machine: &Machine, rng: &mut Rng) -> Self {
        let device = machine.device();
        let last = (temperatures - 1).max(1) as f64;
        let betas: Vec<f64> = (0..temperatures).map(|i| 1.0 - i as f64 / last).collect();
        let column = Tensor::from_slice(&betas)
            .to_kind(Kind::Float)
            .to_device(device)
            .view([-1, 1, 1])
            .expand([temperatures, chains, 1], false)
            .reshape([-1, 1]);
        let states = [temperatures * chains, machine.hidden()];
        let coins = Tensor::full(states, 0.5, (Kind::Float, device));
        Self {
            hidden: rng.bernoulli(&coins),
            betas,
            column,
            chains,
            accepted: 0.0,
        }
    }

    /// One Gibbs step of every chain, then swaps between neighbouring temperatures from the hottest
    /// pair to the coldest, so that a state can travel all the way in one step. Returns what stands
    /// for the model: visible samples and hidden probabilities at β = 1, `[chains, …]`.
    pub fn step(&mut self, path: &AnnealingPath<'_>, rng: &mut Rng) -> Statistics {
        let v = path.sample_visible(&self.hidden, &self.column, rng);
        let input = path.machine.hidden_input(&v);
        let h = rng.bernoulli(&(&input * &self.column).sigmoid_());
        let order = self.swaps(&path.slope(&v, &h, &input), rng);
        self.hidden = h.index_select(0, &order);
        let cold = order.narrow(0, 0, self.chains);
        Statistics {
            v: v.index_select(0, &cold),
            h: input.index_select(0, &cold).sigmoid_(),
        }
    }

    /// Which row's state each row goes on with. Two neighbours swap with probability
    /// `min(1, exp((β - β') (s' - s)))`, `s` being the slope of `ln p*_β` in β.
    fn swaps(&mut self, slopes: &Tensor, rng: &mut Rng) -> Tensor {
        let device = slopes.device();
        let mut slopes = Vec::<f64>::try_from(&slopes.to_device(Device::Cpu)).unwrap_or_default();
        let mut order: Vec<i64> = (0..slopes.len() as i64).collect();
        let chains = usize::try_from(self.chains).unwrap_or(0);
        let mut uniform = vec![0.0; chains * (self.betas.len() - 1)];
        rng.fill_uniform(&mut uniform);
        let mut accepted = 0_usize;
        for hot in (1..self.betas.len()).rev() {
            let step = self.betas[hot - 1] - self.betas[hot];
            for chain in 0..chains {
                let (below, above) = ((hot - 1) * chains + chain, hot * chains + chain);
                let log_odds = step * (slopes[above] - slopes[below]);
                if f64::from(uniform[below]).ln() < log_odds {
                    slopes.swap(below, above);
                    order.swap(below, above);
                    accepted += 1;
                }
            }
        }
        self.accepted = accepted as f64 / uniform.len().max(1) as f64;
        Tensor::from_slice(&order).to_device(device)
    }

    /// Share of the proposed swaps of the last step that were accepted.
    pub fn accepted(&self) -> f64 {
        self.accepted
    }

    pub fn state(&self, name: &str) -> Tensors {
        Tensors::from([(name.to_owned(), self.hidden.shallow_clone())])
    }

    pub fn restore(&mut self, name: &str, state: &Tensors) -> Result<(), TensorMismatch> {
        copy_named(state, name, &mut self.hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::machine::MachineConfig;

    #[test]
    fn tempered_chains_at_beta_one_visit_states_as_often_as_the_model_says() {
        // Deep wells: plain Gibbs sampling from coins would stay where it starts.
        let mut machine = MachineConfig::bernoulli(4, 3).random(&mut Rng::at(5, &[]));
        machine.weights *= 4.0;
        machine.hidden_bias = -0.5 * machine.weights.sum_dim_intlist(0, false, Kind::Float);
        machine.visible_bias = -0.5 * machine.weights.sum_dim_intlist(1, false, Kind::Float);
        let base_bias = Tensor::from_slice(&[0.5_f32, -0.5, 0.0, 1.0]);
        let path = AnnealingPath {
            machine: &machine,
            base_bias: &base_bias,
        };
        let mut rng = Rng::at(4, &[]);
        let mut replicas = Replicas::init(6, 5000, &machine, &mut rng);
        let mut v = Tensor::new();
        for _ in 0..60 {
            v = replicas.step(&path, &mut rng).v;
        }
        let worst = machine.worst_rate(&v);
        assert!(worst < 0.025, "worst difference in probability {worst}");
        let accepted = replicas.accepted();
        assert!((0.2..1.0).contains(&accepted), "{accepted} accepted");
    }
}
