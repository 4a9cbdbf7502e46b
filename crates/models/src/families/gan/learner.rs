//! How the pair learns: steps of the discriminator and of the generator by turns.

use tch::{Device, Kind, Tensor};

use super::discriminator::gradient_penalty;
use super::generator::Generator;
use super::loss::AdversarialLoss;
use super::model::Gan;
use super::spec::Spec;
use super::watch::{Watch, diversity};
use crate::data::Batch;
use crate::nn::average;
use crate::nn::frozen::CannotFreeze;
use crate::nn::model::DataFacts;
use crate::nn::optimizer::Optimizer;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_named};
use crate::train::adopt::copy_agreeing;
use crate::train::epoch_loop::stream;
use crate::train::settings::Training;
use crate::train::{Adopted, Learner, Phase, Report, StepContext};
use crate::verbs::Model;

pub struct GanLearner {
    /// What is published: the averaged generator where there is one.
    gan: Gan,
    /// The generator that learns, where the published one is its average.
    trained: Option<Generator>,
    generator_side: Side,
    discriminator_side: Side,
    loss: AdversarialLoss,
    smoothing: f64,
    /// Weight of the penalty on the critic's slope.
    penalty: Option<f64>,
    discriminator_steps: i64,
    ema_decay: f64,
    conditional: bool,
    watch: Watch,
    steps: i64,
    epochs: u32,
}

/// One player's weights and the way they are changed.
struct Side {
    optimizer: Optimizer,
    /// Its learning rate as a multiple of the step's.
    rate: f64,
    gradient_clip: Option<f64>,
}

impl Side {
    fn new(parameters: Tensors, training: &Training, rate: f64) -> Self {
        Self {
            optimizer: Optimizer::new(training.optimizer_config(), parameters),
            rate,
            gradient_clip: training.gradient_clip,
        }
    }

    /// Only this player's gradients are computed, though the loss depends on the other too.
    fn descend(&mut self, loss: &Tensor, learning_rate: f64) {
        let rate = learning_rate * self.rate;
        self.optimizer.descend_alone(loss, rate, self.gradient_clip);
    }
}

/// The averaged generator's moments are refreshed at every step at first, then at every eighth: they
/// change as slowly as its weights do.
const REFRESH_ALWAYS_BELOW: i64 = 256;
const REFRESH_EVERY: i64 = 8;

impl GanLearner {
    pub fn new(spec: &Spec, training: &Training, data: &DataFacts, device: Device) -> Self {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let kind = training.compute_kind();
        let mut gan = Gan::init(spec, data, &mut rng, device);
        gan.discriminator = gan.discriminator.trainable();
        gan.discriminator = gan.discriminator.with_nets(|net| net.computing_in(kind));
        gan.generator.net = gan.generator.net.computing_in(kind);
        let trained = (spec.ema_decay > 0.0).then(|| {
            let mut twin = Generator::init(spec, data, &mut rng, device);
            twin.net = twin.net.computing_in(kind).trainable();
            twin
        });
        let generator = trained.as_ref().unwrap_or(&gan.generator);
        let parameters = generator.net.parameters("generator");
        for parameter in parameters.values() {
            let _ = parameter.set_requires_grad(true);
        }
        let rate = spec
            .discriminator_learning_rate
            .map_or(1.0, |rate| rate / training.learning_rate);
        Self {
            generator_side: Side::new(parameters, training, 1.0),
            discriminator_side: Side::new(
                gan.discriminator.parameters("discriminator"),
                training,
                rate,
            ),
            gan,
            trained,
            loss: spec.loss(),
            smoothing: spec.label_smoothing,
            penalty: spec.penalty(),
            discriminator_steps: spec.discriminator_steps(),
            ema_decay: spec.ema_decay,
            conditional: spec.conditional,
            watch: Watch::new(spec.collapse_patience, spec.loss()),
            steps: 0,
            epochs: training.epochs,
        }
    }

    fn generator(&self) -> &Generator {
        self.trained.as_ref().unwrap_or(&self.gan.generator)
    }

    fn labels<'a>(&self, batch: &'a Batch) -> Option<&'a Tensor> {
        batch.labels().filter(|_| self.conditional)
    }

    /// `real` and `fake` are `[batch, features]` in [-1, 1].
    fn discriminator_step(
        &mut self,
        real: &Tensor,
        fake: &Tensor,
        labels: Option<&Tensor>,
        context: &mut StepContext,
    ) -> Report {
        let (net, rng) = (&self.gan.discriminator, &mut context.rng);
        // Each with the moments of its own batch, where there are any (Radford et al., 2016).
        let on_real = net.logits(real, labels, Some(rng));
        let on_fake = net.logits(fake, labels, Some(rng));
        let mut loss = self
            .loss
            .of_discriminator(&on_real, &on_fake, self.smoothing);
        let mut report = vec![("discriminator_loss", loss.double_value(&[]))];
        if let Some(weight) = self.penalty {
            let penalty = gradient_penalty(net, real, fake, labels, rng);
            report.push(("gradient_penalty", penalty.double_value(&[])));
            loss = &loss + penalty * weight;
        }
        self.discriminator_side
            .descend(&loss, context.learning_rate);
        Report(report)
    }

    /// `fake` still hangs on the generator's weights.
    fn generator_step(
        &mut self,
        fake: &Tensor,
        noise: &Tensor,
        labels: Option<&Tensor>,
        context: &mut StepContext,
    ) -> f64 {
        let rng = &mut context.rng;
        let logits = self.gan.discriminator.logits(fake, labels, Some(rng));
        let loss = self.loss.of_generator(&logits);
        self.generator_side.descend(&loss, context.learning_rate);
        let taken = self.steps / self.discriminator_steps;
        if let Some(trained) = &self.trained {
            let average = &self.gan.generator;
            let (slow, fast) = (average.net.parameters(""), trained.net.parameters(""));
            average::follow(&slow, &fast, self.ema_decay, taken);
            // Averaged weights have moments of their own, which no average of moments gives.
            if taken < REFRESH_ALWAYS_BELOW || taken % REFRESH_EVERY == 0 {
                let _ = tch::no_grad(|| average.centred(noise, labels, Some(&mut context.rng)));
            }
        }
        loss.double_value(&[])
    }
}

impl Learner for GanLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::training(self.epochs)]
    }

    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let labels = self.labels(batch);
        let real = self.gan.interval.centred(batch.rows());
        let (generator, rng) = (self.generator(), &mut context.rng);
        let noise = generator.noise(real.size()[0], rng, real.device());
        let fake = generator.centred(&noise, labels, Some(rng));
        let mut report = self.discriminator_step(&real, &fake.detach(), labels, context);
        if (self.steps + 1) % self.discriminator_steps == 0 {
            let loss = self.generator_step(&fake, &noise, labels, context);
            report.0.push(("generator_loss", loss));
        }
        self.steps += 1;
        let diversity = diversity(&fake.detach(), &real, labels);
        self.watch.note(report.0[0].1, diversity);
        report.0.extend(diversity.map(|d| ("diversity", d)));
        report
    }

    fn trouble(&self) -> Option<String> {
        self.watch.trouble()
    }

    /// With the generator that is published. `moment_error`: squared distance between the mean
    /// generated row and the mean row of the data, per value.
    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        let labels = self.labels(batch);
        let (generator, net) = (&self.gan.generator, &self.gan.discriminator);
        let real = self.gan.interval.centred(batch.rows());
        let noise = generator.noise(real.size()[0], rng, real.device());
        let fake = generator.centred(&noise, labels, None);
        let (on_real, on_fake) = (
            net.logits(&real, labels, None),
            net.logits(&fake, labels, None),
        );
        let loss = self.loss.of_discriminator(&on_real, &on_fake, 0.0);
        let mean = |rows: &Tensor| {
            let rows = self.gan.interval.spread(rows);
            rows.mean_dim(0, false, Kind::Double)
        };
        let moment_error = (mean(&fake) - mean(&real)).square().mean(Kind::Double);
        let mut report = vec![
            ("discriminator_loss", loss.double_value(&[])),
            (
                "discriminator_accuracy",
                self.loss.accuracy(&on_real, &on_fake),
            ),
            ("moment_error", moment_error.double_value(&[])),
        ];
        report.extend(diversity(&fake, &real, labels).map(|d| ("diversity", d)));
        Report(report)
    }

    fn state(&self) -> Tensors {
        let mut state = self.gan.tensors();
        if let Some(trained) = &self.trained {
            state.extend(trained.net.tensors("trained_generator"));
        }
        state.extend(self.generator_side.optimizer.state("generator_optimizer"));
        let discriminator = &self.discriminator_side.optimizer;
        state.extend(discriminator.state("discriminator_optimizer"));
        state.extend(self.watch.state("watch"));
        state.insert("steps".to_owned(), Tensor::from_slice(&[self.steps]));
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.gan.restore(state)?;
        if let Some(trained) = &self.trained {
            trained.net.load("trained_generator", state)?;
        }
        let optimizer = &mut self.generator_side.optimizer;
        optimizer.restore("generator_optimizer", state)?;
        let optimizer = &mut self.discriminator_side.optimizer;
        optimizer.restore("discriminator_optimizer", state)?;
        self.watch.restore("watch", state)?;
        let mut steps = Tensor::from_slice(&[0_i64]);
        copy_named(state, "steps", &mut steps)?;
        self.steps = steps.int64_value(&[0]);
        Ok(())
    }

    /// An average starts where the weights do that it follows.
    fn adopt(&mut self, source: &Tensors) -> Vec<String> {
        if let Some(trained) = &self.trained {
            copy_agreeing(source, &trained.net.tensors("generator"));
        }
        copy_agreeing(source, &self.gan.tensors())
    }

    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        let frozen = &adopted.frozen;
        self.generator_side.optimizer.freeze(frozen);
        self.discriminator_side.optimizer.freeze(frozen);
        if let Some(trained) = &mut self.trained {
            trained.net.freeze_statistics("generator", frozen)?;
        }
        self.gan.freeze_statistics(frozen)
    }

    fn model(&self) -> &dyn Model {
        &self.gan
    }
}
