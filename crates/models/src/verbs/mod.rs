//! Verbs: what may be asked of a model. One file a verb, and one row in the list below; routes, the OpenAPI
//! document, the tensors of the inference protocol, capabilities, warm-up and the generic tests follow from it.
//!
//! A verb's file holds its options as a client writes them, the part that a model offers for it, and its
//! [`Define`]: what its rows are, what it answers, which calls may be computed together, and how it runs.

pub mod call;
mod context;
mod define;
pub mod filters;
pub mod round_trip;
mod signature;
pub mod tensors;

use std::sync::LazyLock;

use tch::Device;

use crate::document::Ranges;
use crate::nn::Tensors;
use crate::nn::graph::GraphVerb;
use crate::nn::model::{BadOption, Likelihood};
use crate::onnx::Graph;

pub use call::{Call, CallError, Input, Operation, Reply};
pub use context::Context;
pub use define::{Define, Extra, ExtraShape, Options, RowKind, Verb};
pub use filters::Filters;
pub use signature::Signature;

/// Declares the list of verbs: `file: Options, method of Model: Part`.
macro_rules! verbs {
    ($($file:ident: $options:ident, $part:ident: $trait:ident;)*) => {
        $(pub mod $file;)*
        $(pub use $file::{$options, $trait};)*

        /// Every verb that models answer, in the order that capabilities are listed.
        pub static VERBS: &[Verb] = &[$({
            static RANGES: LazyLock<Ranges> = LazyLock::new(Ranges::of::<$options>);
            Verb::of::<$options>(|model| model.$part().is_some(), &RANGES)
        }),*];

        /// A trained model. It offers a verb by returning the verb's part; the capabilities that the service
        /// advertises are computed from that, so they cannot lie.
        ///
        /// Every input is `[rows, features]`, f32, on the model's device; every output has the same rows. Two
        /// threads may ask the same model at once: what takes `&self` only reads, without cells, and writes to
        /// no tensor of the model in place.
        pub trait Model: Send {
            /// Readies the model for answering small batches: its weights do not change from here on. Bytes of
            /// memory that it takes beside the weights.
            fn pack(&mut self) -> usize {
                0
            }
            /// Every tensor of the model, by name: what is published.
            fn tensors(&self) -> Tensors;
            /// Shape of one code, for models that have one.
            fn code_shape(&self) -> Option<Vec<i64>>;
            /// Options that it has no use for, and why; see [`refuses!`](crate::refuses). Of `gibbs_steps` that does
            /// not mean the rounds of `inpaint`.
            fn refuses(&self) -> &'static [(&'static str, &'static str)] {
                &[]
            }
            /// How many classes the model is conditioned on, if it is.
            fn conditioned_on(&self) -> Option<i64> {
                None
            }
            /// What a verb computes, for other runtimes; none for a verb that the model lacks or that draws
            /// numbers.
            fn graph(&self, _verb: GraphVerb) -> Option<Graph> {
                None
            }
            /// Estimates of the log-likelihood, for evaluations.
            fn likelihood(&self) -> Option<&dyn Likelihood> {
                None
            }
            /// What the first layer's units look for.
            fn filters(&self) -> Option<&dyn Filters> {
                None
            }
            $(
                #[doc = concat!("The part that answers `", stringify!($file), "`.")]
                fn $part(&self) -> Option<&dyn $trait> {
                    None
                }
            )*
        }
    };
}

verbs! {
    encode: EncodeOptions, encoder: Encoder;
    decode: DecodeOptions, decoder: Decoder;
    reconstruct: ReconstructOptions, reconstructor: Reconstructor;
    denoise: DenoiseOptions, denoiser: Denoiser;
    generate: GenerateOptions, sampler: Sampler;
    score: ScoreOptions, scorer: Scorer;
    inpaint: InpaintOptions, inpainter: Inpainter;
    interpolate: InterpolateOptions, interpolator: Interpolator;
    predict: PredictOptions, predictor: Predictor;
}

/// Names kept free for verbs that no family answers yet.
pub const RESERVED: [&str; 3] = ["transform", "recommend", "topics"];

/// The parts that a type offers by being them: `offers!(encoder: Encoder, decoder: Decoder)` within its
/// `impl Model`; `offers!(by field, encoder: Encoder)` where one of its fields is them.
#[macro_export]
macro_rules! offers {
    ($($part:ident: $trait:ident),* $(,)?) => {
        $(fn $part(&self) -> Option<&dyn $crate::verbs::$trait> {
            Some(self)
        })*
    };
    (by $field:ident, $($part:ident: $trait:ident),* $(,)?) => {
        $(fn $part(&self) -> Option<&dyn $crate::verbs::$trait> {
            Some(&self.$field)
        })*
    };
}

impl dyn Model + '_ {
    /// What was given of an option, unless the model refuses it.
    pub fn honoured<T>(
        &self,
        option: &'static str,
        given: Option<T>,
    ) -> Result<Option<T>, BadOption> {
        let refused = self.refuses().iter().find(|(name, _)| *name == option);
        match refused {
            Some((_, reason)) if given.is_some() => Err(BadOption::new(option, *reason)),
            _ => Ok(given),
        }
    }
}

/// Options that a model has no use for, each with the reason in a client's words: within its `impl Model`.
#[macro_export]
macro_rules! refuses {
    ($($option:ident: $reason:literal),* $(,)?) => {
        fn refuses(&self) -> &'static [(&'static str, &'static str)] {
            &[$((stringify!($option), $reason)),*]
        }
    };
}

/// The verb of this name.
pub fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// The verbs a model answers: computed from the parts it has.
pub fn capabilities(model: &dyn Model) -> Vec<&'static str> {
    let offered = VERBS.iter().filter(|verb| (verb.offered)(model));
    offered.map(|verb| verb.name).collect()
}

/// Makes libtorch choose and cache its kernels: by every verb that is quick, on zeros. What one of them fails
/// at, a client's call will tell.
pub fn warm_up(model: &dyn Model, facts: &crate::nn::model::DataFacts, device: Device) {
    let _guard = tch::no_grad_guard();
    for verb in VERBS.iter().filter(|verb| (verb.offered)(model)) {
        (verb.warm_up)(model, facts, device);
    }
}
