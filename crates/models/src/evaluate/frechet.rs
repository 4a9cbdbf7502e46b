//! How near generated rows come to real ones, as sets, in the features of a classifier.
//!
//! The distance is that of Dowson and Landau (1982) between the Gaussians fitted to the two sets,
//! `|m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)`, as in Heusel et al. (2017). The features are those of the
//! classifier that the evaluation names, never Inception's: only figures of one classifier compare.

use tch::{Device, Kind, Tensor};

use super::metric::Frechet;
use super::subject::{BATCH, Figures, Pace, Result, Subject, figure, stream, unsuited};
use crate::data::split::Split;
use crate::verbs::Predictor;

/// Rows of each set that precision and recall look at: their cost is quadratic.
const NEIGHBOURHOODS: i64 = 3000;
/// The neighbour that bounds a row's neighbourhood (Kynkäänniemi et al., 2019, section 3).
const NEAREST: i64 = 3;

pub fn measure(metric: &Frechet, subject: &Subject<'_>, pace: &mut Pace<'_>) -> Result<Figures> {
    const NAME: &str = "frechet";
    let judge = subject
        .classifier
        .and_then(|c| c.predictor())
        .ok_or_else(|| unsuited(NAME, "no classifier is named"))?;
    let n = metric.n as usize;
    let generate = &mut |share: f64| pace(0.6 * share);
    let (rows, _) = subject.generated(n, metric.gibbs_steps, NAME, generate)?;
    let made = features(judge, &rows);
    let real = features_of(subject, judge, subject.rows, n, 0)?;
    pace(0.7)?;
    let train = features_of(subject, judge, subject.train, n, 1)?;
    pace(0.8)?;
    let real_moments = moments(&real);
    let distance = frechet(&moments(&made), &real_moments);
    let floor = frechet(&moments(&train), &real_moments);
    pace(0.9)?;
    let (precision, recall) = (covered(&made, &real), covered(&real, &made));
    pace(1.0)?;
    Ok(vec![
        figure("frechet", distance),
        figure("frechet_floor", floor),
        figure("frechet_ratio", distance / floor.max(f64::MIN_POSITIVE)),
        figure("precision", precision),
        figure("recall", recall),
    ])
}

/// Features of up to `n` rows of a split, drawn by the seed: `[rows, features]`, f64 on the CPU.
fn features_of(
    subject: &Subject<'_>,
    judge: &dyn Predictor,
    split: &Split,
    n: usize,
    which: usize,
) -> Result<Tensor> {
    let mut order = subject.rng(stream::PICK, which).permutation(split.len());
    order.truncate(n);
    let mut parts = Vec::new();
    for indices in order.chunks(BATCH) {
        parts.push(features(
            judge,
            split.batch(indices, subject.device)?.rows(),
        ));
    }
    Ok(Tensor::cat(&parts, 0))
}

fn features(judge: &dyn Predictor, rows: &Tensor) -> Tensor {
    let parts: Vec<Tensor> = rows
        .split(BATCH as i64, 0)
        .iter()
        .map(|x| {
            judge
                .features(x)
                .to_device(Device::Cpu)
                .to_kind(Kind::Double)
        })
        .collect();
    Tensor::cat(&parts, 0)
}

/// Mean `[d]` and covariance `[d, d]`.
fn moments(x: &Tensor) -> (Tensor, Tensor) {
    let mean = x.mean_dim(0, false, Kind::Double);
    let centred = x - &mean;
    let rows = (x.size()[0] - 1).max(1) as f64;
    let covariance = centred.transpose(0, 1).matmul(&centred) / rows;
    (mean, covariance)
}

fn frechet(a: &(Tensor, Tensor), b: &(Tensor, Tensor)) -> f64 {
    let root = square_root(&a.1);
    // `(C₁ C₂)^½` has the trace of `(C₁^½ C₂ C₁^½)^½`, which is symmetric.
    let inner = root.matmul(&b.1).matmul(&root);
    let (eigenvalues, _) = symmetric(&inner).linalg_eigh("L");
    let cross = eigenvalues.clamp_min(0.0).sqrt().sum(Kind::Double);
    let trace = a.1.trace() + b.1.trace() - cross * 2.0;
    let distance = (&a.0 - &b.0).square().sum(Kind::Double) + trace;
    distance.double_value(&[]).max(0.0)
}

/// The symmetric square root of a positive semi-definite matrix.
fn square_root(c: &Tensor) -> Tensor {
    let (eigenvalues, vectors) = symmetric(c).linalg_eigh("L");
    let scaled = &vectors * eigenvalues.clamp_min(0.0).sqrt();
    scaled.matmul(&vectors.transpose(0, 1))
}

fn symmetric(c: &Tensor) -> Tensor {
    (c + c.transpose(0, 1)) / 2.0
}

/// The share of `points` that lie in the neighbourhood of some row of `set`: within the distance of
/// that row to its third nearest neighbour in the set.
fn covered(points: &Tensor, set: &Tensor) -> f64 {
    let few = |x: &Tensor| x.narrow(0, 0, x.size()[0].min(NEIGHBOURHOODS));
    let (points, set) = (few(points), few(set));
    let within = distances(&set, &set);
    // The nearest of all is the row itself.
    let nearest = (NEAREST + 1).min(set.size()[0]);
    let (radius, _) = within.kthvalue(nearest, 1, false);
    let inside = distances(&points, &set).le_tensor(&radius.unsqueeze(0));
    inside
        .any_dim(1, false)
        .to_kind(Kind::Double)
        .mean(Kind::Double)
        .double_value(&[])
}

/// Euclidean distances of each row of `a` from each of `b`.
fn distances(a: &Tensor, b: &Tensor) -> Tensor {
    Tensor::cdist(a, b, 2.0, None::<i64>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::rng::Rng;

    fn normal(rows: i64, seed: u64) -> Tensor {
        Rng::at(seed, &[])
            .normal(&[rows, 3], Device::Cpu)
            .to_kind(Kind::Double)
    }

    #[test]
    fn the_distance_of_two_gaussians_is_the_closed_form() {
        // N(0, I) against N(shift, 4 I) in three dimensions: 3 (2 - 1)² + |shift|².
        let eye = Tensor::eye(3, (Kind::Double, Device::Cpu));
        let zero = Tensor::zeros([3], (Kind::Double, Device::Cpu));
        let a = (zero.shallow_clone(), eye.shallow_clone());
        let b = (zero + 2.0, eye * 4.0);
        assert!((frechet(&a, &b) - 15.0).abs() < 1e-9);
        assert!(frechet(&a, &a) < 1e-9);
    }

    #[test]
    fn sets_of_one_kind_are_near_and_cover_each_other() {
        let (a, b, far) = (normal(2000, 1), normal(2000, 2), normal(2000, 3) + 20.0);
        assert!(frechet(&moments(&a), &moments(&b)) < 0.05);
        assert!(covered(&a, &b) > 0.9);
        assert_eq!(covered(&far, &b), 0.0);
        assert!(frechet(&moments(&a), &moments(&far)) > 1000.0);
    }
}
