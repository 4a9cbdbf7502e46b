//! What an evaluation may measure, as a client writes it: a list of objects told apart by `kind`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::schema::{Discriminator, OneOfBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::document::{self, FieldError, tagged};
use crate::nn::binarize::Binarize;
use crate::nn::corruption::CorruptionKind;

/// A metric's settings; the document has their struct and their kind under the names that they have here.
macro_rules! metric {
    ($(#[$doc:meta])* $name:ident, $kind:ident { $($fields:tt)* }) => {
        tagged! {
            $(#[$doc])*
            pub struct $name as $name, $kind::$name as $kind { $($fields)* }
        }
    };
}

metric! {
    /// Rows encoded and decoded again: `squared_error` (summed over a row's values), `mse` (per value)
    /// and `psnr` (dB, for data in [0, 1]).
    Reconstruction, ReconstructionKind {
        /// Full Gibbs steps before the last, mean-field pass down (RBM, DBN).
        #[schema(maximum = 100_000)]
        pub gibbs_steps: u32 = 0,
    }
}
metric! {
    /// `log_likelihood` in nats a row: of an RBM or a DBN by annealed importance sampling with its
    /// reverse, of a VAE by its importance-weighted bound.
    LogLikelihood, LogLikelihoodKind {
        /// Importance samples a row (VAE), or annealed chains (RBM, DBN); 1000 and 100 when left out.
        #[schema(minimum = 1, maximum = 100_000)]
        pub samples: Option<u32> = None,
        /// Intermediate distributions of annealed importance sampling.
        #[schema(minimum = 2, maximum = 1_000_000)]
        pub temperatures: u32 = 10_000,
        /// How rows in [0, 1] become 0s and 1s; `dynamic` when left out, once, by the seed.
        pub binarize: Option<Binarize> = None,
    }
}
metric! {
    /// `pseudo_likelihood` in nats a row, of an RBM: the stochastic estimate that flips one random unit of
    /// each row (Besag, 1975; Marlin et al., 2010).
    PseudoLikelihood, PseudoLikelihoodKind {
        /// How rows in [0, 1] become 0s and 1s; `dynamic` when left out, once, by the seed.
        pub binarize: Option<Binarize> = None,
    }
}
metric! {
    /// Labels against those predicted: `error`, `accuracy`, `loss` (cross-entropy in nats), and
    /// `error_of_class_…` for each class.
    Classification, ClassificationKind {}
}
metric! {
    /// Targets, or the labels as numbers for a model that learnt those, against what is predicted: `mae`,
    /// `rmse` and `r2`.
    Regression, RegressionKind {}
}
metric! {
    /// Rows made noisy and denoised: `psnr` and `ssim` of the result, `noisy_psnr` and `noisy_ssim` of
    /// what it was made from; each of an image, then averaged, on values clamped to [0, 1].
    Denoising, DenoisingKind {
        #[schema(inline)]
        pub corruption: CorruptionKind = CorruptionKind::Gaussian,
        /// Standard deviation (`gaussian`) or share of the values (`mask`, `salt_and_pepper`).
        #[schema(exclusive_minimum = 0.0)]
        pub level: f64 = 0.5,
    }
}
metric! {
    /// Fréchet distance between generated and real rows in the features of a classifier (the method of
    /// Heusel et al., 2017, in features of our own), beside that of train against test rows
    /// (`frechet_floor`), their quotient, and precision and recall (Kynkäänniemi et al., 2019).
    Frechet, FrechetKind {
        /// Model ref of a classifier trained on rows of the same shape.
        #[schema(required)]
        pub classifier: String = String::new(),
        /// Rows generated, and rows of the data taken, at most.
        #[schema(minimum = 2, maximum = 100_000)]
        pub n: u32 = 10_000,
        /// Gibbs steps of each chain (RBM, DBN); the model's own default when left out.
        #[schema(maximum = 100_000)]
        pub gibbs_steps: Option<u32> = None,
    }
}
metric! {
    /// Rows generated for given labels, read by a classifier: `conditional_accuracy`.
    ConditionalAccuracy, ConditionalAccuracyKind {
        /// Model ref of a classifier trained on rows of the same shape and classes.
        #[schema(required)]
        pub classifier: String = String::new(),
        /// Rows generated, every class in turn.
        #[schema(minimum = 1, maximum = 100_000)]
        pub n: u32 = 2000,
        /// Gibbs steps of each chain (DBN); the model's own default when left out.
        #[schema(maximum = 100_000)]
        pub gibbs_steps: Option<u32> = None,
    }
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    Reconstruction(Reconstruction),
    LogLikelihood(LogLikelihood),
    PseudoLikelihood(PseudoLikelihood),
    Classification(Classification),
    Regression(Regression),
    Denoising(Denoising),
    Frechet(Frechet),
    ConditionalAccuracy(ConditionalAccuracy),
}

/// Calls a macro with each kind: its name in JSON, its variant and its struct.
macro_rules! for_each_metric {
    ($call:ident) => {
        $call! {
            "reconstruction" Reconstruction,
            "log_likelihood" LogLikelihood,
            "pseudo_likelihood" PseudoLikelihood,
            "classification" Classification,
            "regression" Regression,
            "denoising" Denoising,
            "frechet" Frechet,
            "conditional_accuracy" ConditionalAccuracy,
        }
    };
}

macro_rules! reading {
    ($($kind:literal $variant:ident,)*) => {
        impl Metric {
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)* }
            }

            /// Reads one entry of the list; pointers in errors start with `base`.
            pub fn read(value: &Value, base: &str) -> Result<Self, FieldError> {
                let expected = || format!("must be one of: {}", Self::KINDS.join(", "));
                let pointer = format!("{base}/kind");
                let Some(kind) = value.get("kind") else {
                    return Err(FieldError::new(pointer, format!("is missing; {}", expected())));
                };
                match kind.as_str() {
                    $(Some($kind) => document::read(value, base).map(Self::$variant),)*
                    _ => Err(FieldError::new(pointer, format!("{}; got {kind}", expected()))),
                }
            }
        }

        impl Serialize for Metric {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(settings) => settings.serialize(serializer),)* }
            }
        }

        impl PartialSchema for Metric {
            fn schema() -> RefOr<Schema> {
                let path = |name: &str| format!("#/components/schemas/{name}");
                let mut union = OneOfBuilder::new().description(Some("One thing to measure."));
                let mut mapping = Vec::new();
                $(
                    let name = <$variant as ToSchema>::name();
                    union = union.item(Ref::new(path(&name)));
                    mapping.push(($kind, path(&name)));
                )*
                let discriminator = Discriminator::with_mapping("kind", mapping);
                RefOr::T(Schema::OneOf(union.discriminator(Some(discriminator)).build()))
            }
        }

        impl ToSchema for Metric {
            fn name() -> std::borrow::Cow<'static, str> {
                "Metric".into()
            }
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    schemas.push(($variant::name().into_owned(), $variant::schema()));
                    $variant::schemas(schemas);
                )*
            }
        }
    };
}
for_each_metric!(reading);

/// For documents of our own, whose place needs no telling.
impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value, "").map_err(|e| D::Error::custom(format!("{} {}", e.pointer, e.detail)))
    }
}

impl Metric {
    /// The classifier that reads generated rows, where one is needed.
    pub fn classifier(&self) -> Option<&str> {
        match self {
            Self::Frechet(f) => Some(&f.classifier),
            Self::ConditionalAccuracy(c) => Some(&c.classifier),
            _ => None,
        }
    }

    pub fn classifier_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Frechet(f) => Some(&mut f.classifier),
            Self::ConditionalAccuracy(c) => Some(&mut c.classifier),
            _ => None,
        }
    }
}
