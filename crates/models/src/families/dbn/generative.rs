//! What a generative deep belief network answers: Gibbs sampling in the top RBM, directed passes below.

use tch::Tensor;

use crate::nn::Tensors;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::chain;
use crate::nn::graph::{self, GraphVerb, Widths, there_and_back};
use crate::nn::latent::lerp;
use crate::nn::model::{Answer, BadOption, Likelihood, Rows};
use crate::nn::rng::Rng;
use crate::onnx::Graph;
use crate::verbs::generate::PREVIEW_STEPS;
use crate::verbs::inpaint::fill_in;
use crate::verbs::predict::Prediction;
use crate::verbs::reconstruct::GibbsOptions;
use crate::verbs::{
    Decoder, Denoiser, EncodeOptions, Encoder, Filters, GenerateOptions, InpaintOptions, Inpainter,
    Interpolator, Model, Predictor, Reconstructor, Sampler, ScoreOptions, Scorer,
};

/// The hidden layer that `layer` names, from 1; the last where it names none.
pub(super) fn checked_depth(layer: Option<usize>, depth: usize) -> Result<usize, BadOption> {
    let layer = layer.unwrap_or(depth - 1);
    if layer >= depth {
        let rule = format!("must be at most {}, the last hidden layer", depth - 1);
        return Err(BadOption::new("layer", rule));
    }
    Ok(layer + 1)
}

impl Model for Stack {
    fn tensors(&self) -> Tensors {
        self.named_tensors()
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.top().hidden()])
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser, sampler: Sampler, scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator);
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

impl Stack {
    /// Up to the top RBM, `steps` of Gibbs sampling in it, one mean-field step in it, and down.
    fn settle(&self, x: &Tensor, steps: Option<u32>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let steps = chain::checked_steps(steps, 0)?;
        let (top, below) = (self.top(), self.depth() - 1);
        let mut h = top.hidden_mean(&top.with_likely_labels(&self.up(x, below)));
        for _ in chain::steps(steps) {
            let p = top.visible_mean(&top.sample_hidden(&h, rng));
            h = top.hidden_mean(&top.sample_visible(&p, rng));
        }
        Ok(self.down(&h, self.depth()))
    }
}

impl Encoder for Stack {
    fn encode(
        &self,
        rows: &Rows,
        options: &EncodeOptions,
        rng: &mut Rng,
    ) -> Result<Answer, BadOption> {
        let depth = checked_depth(options.layer, self.depth())?;
        let mean = self.up(&rows.x, depth);
        Ok(if options.sample {
            self.machines[depth - 1].sample_hidden(&mean, rng)
        } else {
            mean
        }
        .into())
    }
}

impl Decoder for Stack {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.down(&codes.x, self.depth())
    }
}

impl Reconstructor for Stack {
    fn reconstruct(
        &self,
        rows: &Rows,
        options: &GibbsOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        self.settle(&rows.x, options.gibbs_steps, rng)
    }
}

impl Denoiser for Stack {
    fn denoise(
        &self,
        noisy: &Rows,
        options: &GibbsOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        self.settle(&noisy.x, options.gibbs_steps, rng)
    }
}

impl Sampler for Stack {
    fn classes(&self) -> Option<i64> {
        Some(self.top().classes()).filter(|&classes| classes > 0)
    }

    fn usual_steps(&self) -> u32 {
        chain::USUAL_STEPS
    }

    /// Chains in the top RBM that start at independent units with its visible biases, labels clamped; then, as
    /// in [`Stack::settle`], one mean-field step in it and the means down: an RBM learns the means of the
    /// layer below, and a draw of them would be noise to the layers it passes. `temperature` is that of the
    /// top RBM.
    fn generate(
        &self,
        n: i64,
        labels: Option<&Tensor>,
        options: &GenerateOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        let steps = chain::checked_steps(options.gibbs_steps, self.usual_steps())?;
        let top = self
            .top()
            .at_temperature(options.temperature.unwrap_or(1.0));
        let bias = &top.visible_bias;
        let marginal = top.unit_part(&bias.sigmoid().expand([n, bias.size()[0]], false));
        let mut v = top.with_labels(&rng.bernoulli(&marginal.contiguous()), labels);
        for _ in chain::steps(steps) {
            let h = top.sample_hidden(&top.hidden_mean(&v), rng);
            let p = top.visible_mean(&h);
            v = if labels.is_some() {
                top.with_labels(&rng.bernoulli(&top.unit_part(&p)), labels)
            } else {
                top.sample_visible(&p, rng)
            };
        }
        let mean = top.unit_part(&top.visible_mean(&top.hidden_mean(&v)));
        Ok(self.down(&mean.contiguous(), self.depth() - 1))
    }

    fn preview(&self, n: i64, labels: Option<&Tensor>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let options = GenerateOptions {
            gibbs_steps: Some(PREVIEW_STEPS),
            ..GenerateOptions::default()
        };
        self.generate(n, labels, &options, rng)
    }
}

impl Scorer for Stack {
    fn metric(&self) -> &'static str {
        "free_energy"
    }
    fn score(&self, rows: &Rows, _options: &ScoreOptions, _rng: &mut Rng) -> Tensor {
        self.free_energy(&rows.x)
    }
}

impl Inpainter for Stack {
    /// Rounds of sampling up, one Gibbs step in the top RBM and sampling down, with the known values
    /// put back each time; the answer is the probabilities of the last round.
    fn inpaint(
        &self,
        rows: &Rows,
        missing: &Tensor,
        options: &InpaintOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        let steps = chain::checked_rounds(options.gibbs_steps)?;
        let (top, below) = (self.top(), self.depth() - 1);
        let noise = rng.uniform(&rows.x.size(), rows.x.device()).round();
        let mut x = fill_in(&rows.x, missing, &noise);
        let mut p = x.shallow_clone();
        for _ in chain::steps(steps) {
            let v = top.with_drawn_labels(&self.sample_up(&x, below, rng), rng);
            let h = top.sample_hidden(&top.hidden_mean(&v), rng);
            p = top.unit_part(&top.visible_mean(&h));
            if below > 0 {
                p = self.sample_down(&rng.bernoulli(&p), below, rng);
            }
            x = fill_in(&rows.x, missing, &rng.bernoulli(&p));
        }
        Ok(fill_in(&rows.x, missing, &p))
    }
}

impl Interpolator for Stack {
    fn locate(&self, rows: &Rows) -> Option<Tensor> {
        Some(self.up(&rows.x, self.depth()))
    }
    fn draw(&self, _rng: &mut Rng) -> Option<Tensor> {
        None
    }
    fn between(
        &self,
        from: &Tensor,
        to: &Tensor,
        shares: &[f64],
        _label: Option<&Tensor>,
    ) -> Tensor {
        self.down(&lerp(from, to, shares), self.depth())
    }
}

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
