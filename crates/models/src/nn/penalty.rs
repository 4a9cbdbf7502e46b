//! What is added to a loss to shape a code: sparsity and contraction. Summed over the units, averaged
//! over the batch, like the losses.

use tch::{Kind, Tensor};

use super::activation::Activation;
use super::rng::Rng;

/// `Σ_j KL(ρ ‖ ρ̂_j)` in nats, between Bernoulli variables with the target activity ρ and with the mean
/// activity ρ̂_j of unit j over the batch (Ng, 2011, section 3). `code: [batch, units]` in (0, 1).
pub fn sparsity(code: &Tensor, target: f64) -> Tensor {
    let activity = code.mean_dim(0, false, Kind::Float).clamp(1e-6, 1.0 - 1e-6);
    let on = target * (target.ln() - activity.log());
    let rest: Tensor = 1.0 - activity;
    let off = (1.0 - target) * ((1.0 - target).ln() - rest.log());
    (on + off).sum(Kind::Float)
}

/// `Σ_j |h_j|`, averaged over the batch.
pub fn absolute(code: &Tensor) -> Tensor {
    code.abs().sum(Kind::Float) / code.size()[0] as f64
}

/// `‖∂h/∂x‖²_F` of one layer `h = f(W x + c)`, averaged over the batch, in closed form for f = σ or
/// tanh: `Σ_j f'(a_j)² Σ_i W_ji²` (Rifai et al., 2011, section 3). None for another f.
pub fn contraction_of_layer(
    code: &Tensor,
    weight: &Tensor,
    activation: Activation,
) -> Option<Tensor> {
    let slope: Tensor = match activation {
        Activation::Sigmoid => code * (1.0 - code),
        Activation::Tanh => 1.0 - code.square(),
        _ => return None,
    };
    let norms = weight
        .square()
        .sum_dim_intlist(1, false, Kind::Float)
        .unsqueeze(1);
    Some(slope.square().matmul(&norms).sum(Kind::Float) / code.size()[0] as f64)
}

/// An unbiased estimate of `‖∂h/∂x‖²_F`, averaged over the batch, for any differentiable `h(x)`:
/// `E ‖vᵀ ∂h/∂x‖²` over random signs v is the squared norm (Hutchinson, 1990). One v is drawn a row. The
/// result can itself be differentiated. `x: [batch, features]` needs gradients.
pub fn contraction(x: &Tensor, code: &Tensor, rng: &mut Rng) -> Tensor {
    let signs = rng.uniform(&code.size(), code.device()).round() * 2.0 - 1.0;
    let projected = (code * signs).sum(Kind::Float);
    let slopes = Tensor::run_backward(&[projected], &[x], true, true);
    slopes[0].square().sum(Kind::Float) / x.size()[0] as f64
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockConfig;
    use super::super::net::NetConfig;
    use super::*;
    use tch::Device;

    fn normal(shape: &[i64]) -> Tensor {
        Rng::at(8, &[]).normal(shape, Device::Cpu)
    }

    #[test]
    fn sparsity_is_zero_at_its_target_and_the_divergence_elsewhere() {
        let code = Tensor::from_slice(&[0.1_f32, 0.4, 0.3, 0.6]).view([2, 2]);
        let at = |activity: f64| {
            let (p, q) = (0.2_f64, activity);
            p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln()
        };
        let found = sparsity(&code, 0.2).double_value(&[]);
        assert!((found - at(0.2) - at(0.5)).abs() < 1e-5, "{found}");
        let ones = Tensor::ones([3, 2], (Kind::Float, Device::Cpu));
        assert!(sparsity(&ones, 0.2).double_value(&[]).is_finite());
    }

    #[test]
    fn closed_form_and_estimate_are_the_norm_of_the_jacobian() {
        for activation in [Activation::Sigmoid, Activation::Tanh] {
            let net = NetConfig::new(&[5], BlockConfig::dense(&[4], activation))
                .init(&mut Rng::at(3, &[]), Device::Cpu);
            let row = normal(&[1, 5]);
            let step = 1e-2;
            let mut exact = 0.0;
            for i in 0..5 {
                let shift = Tensor::zeros([1, 5], (Kind::Float, Device::Cpu));
                let _ = shift.get(0).get(i).fill_(step);
                let slope =
                    (net.forward(&(&row + &shift)) - net.forward(&(&row - &shift))) / (2.0 * step);
                exact += slope.square().sum(Kind::Double).double_value(&[]);
            }
            let weight = net.first_weights().expect("it has a layer");
            let closed = contraction_of_layer(&net.forward(&row), weight, activation)
                .expect("it has a closed form");
            assert!((closed.double_value(&[]) - exact).abs() < 1e-3 * exact);
            let rows = row.repeat([20_000, 1]).set_requires_grad(true);
            let estimate = contraction(&rows, &net.forward(&rows), &mut Rng::at(5, &[]));
            assert!((estimate.double_value(&[]) - exact).abs() < 0.02 * exact);
        }
        let code = normal(&[2, 3]);
        assert!(contraction_of_layer(&code, &code, Activation::Gelu).is_none());
    }

    #[test]
    fn the_estimate_can_be_descended() {
        let net = NetConfig::new(&[6], BlockConfig::dense(&[5, 3], Activation::Gelu))
            .init(&mut Rng::at(3, &[]), Device::Cpu)
            .trainable();
        let x = normal(&[4, 6]).set_requires_grad(true);
        let loss = || contraction(&x, &net.forward(&x), &mut Rng::at(1, &[]));
        loss().backward();
        let weight = net.first_weights().expect("it has layers");
        let gradient = weight.grad().double_value(&[1, 2]);
        let cell = weight.detach().get(1).get(2);
        let (at, step) = (cell.double_value(&[]), 1e-2);
        let shifted = |to: f64| {
            let _ = cell.shallow_clone().fill_(to);
            loss().double_value(&[])
        };
        let numeric = (shifted(at + step) - shifted(at - step)) / (2.0 * step);
        assert!(
            (gradient - numeric).abs() < 1e-2 * (1.0 + numeric.abs()),
            "{gradient} and {numeric}"
        );
    }
}
