//! What a trained variational autoencoder answers.

use tch::{Kind as TensorKind, Tensor};

use super::bound::ImportanceSampling;
use super::net::Vae;
use super::visible::Visible;
use crate::nn::Tensors;
use crate::nn::chain;
use crate::nn::graph::GraphVerb;
use crate::nn::latent::slerp;
use crate::nn::model::{Answer, Likelihood, LikelihoodEffort, LikelihoodEstimator, Rows};
use crate::nn::rng::Rng;
use crate::onnx::Graph;
use crate::verbs::generate::Drawing;
use crate::verbs::inpaint::fill_in;
use crate::verbs::{
    Decoder, Denoiser, Encoder, Filters, Inpainter, Interpolator, Model, Reconstructor, Sampler,
    Scorer,
};

impl Model for Vae {
    fn pack(&mut self) -> usize {
        self.front.pack() + self.encoder.pack() + self.decoder.pack()
    }
    fn tensors(&self) -> Tensors {
        let mut named = self.parameters();
        self.visible.name_tensors(&mut named);
        if let Some(mixture) = &self.mixture {
            mixture.name_tensors("mixture", &mut named);
        }
        named
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.latent])
    }
    fn conditioned_on(&self) -> Option<i64> {
        self.classes
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser,
        sampler: Sampler, scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator);
    crate::refuses!(gibbs_steps: "a model of kind 'vae' has no use for it");
    fn filters(&self) -> Option<&dyn Filters> {
        self.first_weights().map(|_| self as &dyn Filters)
    }
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        self.write_verb(verb)
    }
    fn likelihood(&self) -> Option<&dyn Likelihood> {
        Some(self)
    }
}

impl Encoder for Vae {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.depth() - 1, "which is the code")
    }
    fn can_draw(&self, layer: usize) -> bool {
        layer + 1 == self.depth()
    }
    fn encode(&self, rows: &Rows, layer: usize, draw: Option<&mut Rng>) -> Answer {
        if layer + 1 < self.depth() {
            return self.hidden(&rows.x, rows.labels(), layer + 1).into();
        }
        let code = self.posterior(&self.seen(&rows.x), rows.labels());
        let drawn = draw.map(|rng| code.sample(rng));
        let output = drawn.unwrap_or_else(|| code.mean.shallow_clone());
        let extras = vec![("mean", code.mean), ("log_variance", code.log_variance)];
        Answer { output, extras }
    }
}

impl Decoder for Vae {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.decoded(&codes.x, codes.labels())
    }
}

impl Reconstructor for Vae {
    fn reconstruct(&self, rows: &Rows, _steps: u32, _rng: &mut Rng) -> Tensor {
        self.round_trip(&rows.x, rows.labels())
    }
}

impl Denoiser for Vae {}

impl Sampler for Vae {
    /// The expected values for codes drawn from the prior or the mixture; `temperature` is a factor on
    /// the deviation that they are drawn with.
    fn generate(&self, n: i64, labels: Option<&Tensor>, how: Drawing, rng: &mut Rng) -> Tensor {
        let z = match &self.mixture {
            Some(mixture) => mixture.sample(n, how.temperature, rng),
            None => rng.normal(&[n, self.latent], self.device()) * how.temperature,
        };
        self.decoded(&z, labels)
    }
}

impl Scorer for Vae {
    /// Nats, of the values as the model sees them.
    fn metric(&self) -> &'static str {
        "negative_elbo"
    }
    fn score(&self, rows: &Rows, rng: &mut Rng) -> Tensor {
        -self.steady_bound(&rows.x, rows.labels(), rng)
    }
}

impl Inpainter for Vae {
    /// Codes and missing values draw on each other in turn (Rezende et al., 2014, appendix F): `z` is drawn from
    /// `q(z | x)`, and the missing values are those expected for it. The last code is the mean.
    fn inpaint(&self, rows: &Rows, missing: &Tensor, rounds: u32, rng: &mut Rng) -> Tensor {
        let mut z = rng.normal(&[rows.count(), self.latent], self.device());
        let mut x = fill_in(&rows.x, missing, &self.decoded(&z, rows.labels()));
        for round in chain::steps(rounds) {
            let code = self.posterior(&self.seen(&x), rows.labels());
            z = if round + 1 < rounds {
                code.sample(rng)
            } else {
                code.mean
            };
            x = fill_in(&rows.x, missing, &self.decoded(&z, rows.labels()));
        }
        x
    }
}

impl Interpolator for Vae {
    fn draw(&self, rng: &mut Rng) -> Option<Tensor> {
        Some(rng.normal(&[1, self.latent], self.device()))
    }

    /// Along the great arc, where codes are likely.
    fn way(&self, from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
        slerp(from, to, shares)
    }
}

impl Filters for Vae {
    fn filters(&self) -> Tensor {
        let Some(weights) = self.first_weights() else {
            return Tensor::zeros([0, self.features()], (TensorKind::Float, self.device()));
        };
        // Of a gated layer, or of the mean and the log-variance, the first half; of the inputs, the pixels.
        let rows = weights.size()[0];
        let halved = self.gated || self.depth() == 1;
        let units = if halved { rows / 2 } else { rows };
        let filters = weights.narrow(0, 0, units).narrow(1, 0, self.features());
        filters.detach().contiguous()
    }
}

impl Likelihood for Vae {
    fn is_of_bits(&self) -> bool {
        matches!(self.visible, Visible::Bernoulli)
    }

    fn estimator<'a>(
        &'a self,
        effort: LikelihoodEffort,
        _rng: &mut Rng,
    ) -> Box<dyn LikelihoodEstimator + 'a> {
        Box::new(ImportanceSampling { net: self, effort })
    }
}
