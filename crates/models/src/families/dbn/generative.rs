//! What a generative deep belief network answers: Gibbs sampling in the top RBM, directed passes below.

use tch::Tensor;

use crate::nn::Tensors;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::chain;
use crate::nn::graph::{self, GraphVerb, Widths, there_and_back};
use crate::nn::model::{Answer, Likelihood, Rows};
use crate::nn::rng::Rng;
use crate::onnx::Graph;
use crate::verbs::generate::Drawing;
use crate::verbs::inpaint::fill_in;
use crate::verbs::predict::Prediction;
use crate::verbs::{
    Decoder, Denoiser, Encoder, Filters, Inpainter, Interpolator, Model, Predictor, Reconstructor,
    Sampler, Scorer,
};

impl Model for Stack {
    fn tensors(&self) -> Tensors {
        self.named_tensors()
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.top().hidden()])
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser,
        sampler: Sampler, scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator);
    fn predictor(&self) -> Option<&dyn Predictor> {
        (self.top().classes() > 0).then_some(self as &dyn Predictor)
    }
    crate::offers!(filters: Filters);
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.features(),
            code: self.top().hidden(),
        };
        if verb != GraphVerb::Predict {
            return there_and_back(
                verb,
                widths,
                |graph, x| self.write_up(graph, x, self.depth()),
                |graph, code| self.write_down(graph, code),
            );
        }
        let classes = self.top().classes();
        if classes == 0 {
            return None;
        }
        let mut graph = Graph::default();
        let x = graph::rows_in(&mut graph, widths.row);
        let p = self.write_classes(&mut graph, &x);
        graph::classes_out(&mut graph, &p, classes);
        Some(graph)
    }
    fn likelihood(&self) -> Option<&dyn Likelihood> {
        Some(self)
    }
}

impl Encoder for Stack {
    fn last_layer(&self) -> (usize, &'static str) {
        (self.depth() - 1, "the last hidden layer")
    }
    fn encode(&self, rows: &Rows, layer: usize, draw: Option<&mut Rng>) -> Answer {
        let mean = self.up(&rows.x, layer + 1);
        let drawn = draw.map(|rng| self.machines[layer].sample_hidden(&mean, rng));
        drawn.unwrap_or(mean).into()
    }
}

impl Decoder for Stack {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.down(&codes.x, self.depth())
    }
}

impl Reconstructor for Stack {
    /// Up to the top RBM, `steps` of Gibbs sampling in it, one mean-field step in it, and down.
    fn reconstruct(&self, rows: &Rows, steps: u32, rng: &mut Rng) -> Tensor {
        let (top, below) = (self.top(), self.depth() - 1);
        let mut h = top.hidden_mean(&top.with_likely_labels(&self.up(&rows.x, below)));
        for _ in chain::steps(steps) {
            let p = top.visible_mean(&top.sample_hidden(&h, rng));
            h = top.hidden_mean(&top.sample_visible(&p, rng));
        }
        self.down(&h, self.depth())
    }
}

impl Denoiser for Stack {}

impl Sampler for Stack {
    fn classes(&self) -> Option<i64> {
        Some(self.top().classes()).filter(|&classes| classes > 0)
    }

    fn usual_steps(&self) -> u32 {
        chain::USUAL_STEPS
    }

    /// Chains in the top RBM that start at independent units with its visible biases, labels clamped; then, as
    /// for reconstructions, one mean-field step in it and the means down: an RBM learns the means of the
    /// layer below, and a draw of them would be noise to the layers it passes. `temperature` is that of the
    /// top RBM.
    fn generate(&self, n: i64, labels: Option<&Tensor>, how: Drawing, rng: &mut Rng) -> Tensor {
        let top = self.top().at_temperature(how.temperature);
        let bias = &top.visible_bias;
        let marginal = top.unit_part(&bias.sigmoid().expand([n, bias.size()[0]], false));
        let mut v = top.with_labels(&rng.bernoulli(&marginal.contiguous()), labels);
        for _ in chain::steps(how.steps) {
            let h = top.sample_hidden(&top.hidden_mean(&v), rng);
            let p = top.visible_mean(&h);
            v = if labels.is_some() {
                top.with_labels(&rng.bernoulli(&top.unit_part(&p)), labels)
            } else {
                top.sample_visible(&p, rng)
            };
        }
        let mean = top.unit_part(&top.visible_mean(&top.hidden_mean(&v)));
        self.down(&mean.contiguous(), self.depth() - 1)
    }
}

impl Scorer for Stack {
    fn metric(&self) -> &'static str {
        "free_energy"
    }
    fn score(&self, rows: &Rows, _rng: &mut Rng) -> Tensor {
        self.free_energy(&rows.x)
    }
}

impl Inpainter for Stack {
    /// Rounds of sampling up, one Gibbs step in the top RBM and sampling down, with the known values
    /// put back each time; the answer is the probabilities of the last round.
    fn inpaint(&self, rows: &Rows, missing: &Tensor, rounds: u32, rng: &mut Rng) -> Tensor {
        let (top, below) = (self.top(), self.depth() - 1);
        let noise = rng.uniform(&rows.x.size(), rows.x.device()).round();
        let mut x = fill_in(&rows.x, missing, &noise);
        let mut p = x.shallow_clone();
        for _ in chain::steps(rounds) {
            let v = top.with_drawn_labels(&self.sample_up(&x, below, rng), rng);
            let h = top.sample_hidden(&top.hidden_mean(&v), rng);
            p = top.unit_part(&top.visible_mean(&h));
            if below > 0 {
                p = self.sample_down(&rng.bernoulli(&p), below, rng);
            }
            x = fill_in(&rows.x, missing, &rng.bernoulli(&p));
        }
        fill_in(&rows.x, missing, &p)
    }
}

impl Interpolator for Stack {}

impl Predictor for Stack {
    /// By the free energy of the top RBM under each label (Hinton, Osindero and Teh, 2006).
    fn predict(&self, x: &Tensor) -> Prediction {
        let v = self.up(x, self.depth() - 1);
        Prediction::Classes(self.top().class_probabilities(&v))
    }
    fn features(&self, x: &Tensor) -> Tensor {
        self.up(x, self.depth())
    }
}

impl Filters for Stack {
    fn filters(&self) -> Tensor {
        let machine = &self.machines[0];
        let weights = machine.weights.narrow(0, 0, machine.units());
        weights.transpose(0, 1).contiguous()
    }
}
