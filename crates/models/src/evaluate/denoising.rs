//! How clean a model makes rows that noise was put on.

use tch::{Device, Kind, Tensor};

use super::metric::Denoising;
use super::subject::{Figures, Mean, Pace, Result, Subject, figure, stream, unsuited};
use crate::nn::figures::psnr;
use crate::nn::model::error_per_row;

pub fn measure(metric: &Denoising, subject: &Subject<'_>, pace: &mut Pace<'_>) -> Result<Figures> {
    const NAME: &str = "denoising";
    let part = subject
        .model
        .denoiser()
        .ok_or_else(|| unsuited(NAME, "it does not denoise"))?;
    if !subject.facts.is_unit_interval() {
        return Err(unsuited(NAME, "PSNR and SSIM are for data in [0, 1]"));
    }
    let image = match *subject.facts.shape() {
        [channels, height, width] if height.min(width) >= WINDOW => Some([channels, height, width]),
        _ => None,
    };
    let mut means: [Mean; 4] = Default::default();
    let mut batches = 0;
    subject.for_each(pace, |batch, rng| {
        let mut rows = subject.rows_of(batch, NAME)?;
        let mut noise = subject.rng(stream::ROWS, batches);
        batches += 1;
        rows.x = metric
            .corruption
            .apply(&rows.x, metric.level, (0.0, 1.0), &mut noise);
        let clean = part.denoise(&rows, 0, rng).clamp(0.0, 1.0);
        for (at, made) in [&clean, &rows.x].into_iter().enumerate() {
            let errors = error_per_row(batch.rows(), made);
            means[2 * at].add(&psnr(&errors));
            if let Some(image) = image {
                means[2 * at + 1].add(&ssim(batch.rows(), made, image));
            }
        }
        Ok(())
    })?;
    let names = ["psnr", "ssim", "noisy_psnr", "noisy_ssim"];
    let known = names.iter().zip(&means).filter(|(_, m)| m.count > 0.0);
    Ok(known.map(|(name, m)| figure(name, m.mean())).collect())
}

/// Side of SSIM's Gaussian window, and its standard deviation (Wang et al., 2004).
const WINDOW: i64 = 11;
const SIGMA: f64 = 1.5;

/// Structural similarity of each pair of images with values in [0, 1], averaged over the places where
/// the window lies whole inside the image: `[rows]`.
fn ssim(a: &Tensor, b: &Tensor, image: [i64; 3]) -> Tensor {
    let [channels, height, width] = image;
    let side = |x: &Tensor| x.reshape([-1, channels, height, width]);
    let (a, b) = (side(a), side(b));
    let window = gaussian_window(channels, a.device());
    let blur = |x: &Tensor| x.conv2d(&window, None::<Tensor>, [1, 1], [0, 0], [1, 1], channels);
    let (mean_a, mean_b) = (blur(&a), blur(&b));
    let var_a = blur(&a.square()) - mean_a.square();
    let var_b = blur(&b.square()) - mean_b.square();
    let covariance = blur(&(&a * &b)) - &mean_a * &mean_b;
    let (c1, c2) = (0.01_f64.powi(2), 0.03_f64.powi(2));
    let numerator = (&mean_a * &mean_b * 2.0 + c1) * (covariance * 2.0 + c2);
    let denominator = (mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2);
    (numerator / denominator).mean_dim([1_i64, 2, 3].as_slice(), false, Kind::Float)
}

/// `[channels, 1, WINDOW, WINDOW]`, each channel summing to one.
fn gaussian_window(channels: i64, device: Device) -> Tensor {
    let half = WINDOW / 2;
    let weights: Vec<f32> = (-half..=half)
        .map(|d| {
            #[expect(clippy::cast_possible_truncation, reason = "a weight below one")]
            let weight = (-((d * d) as f64) / (2.0 * SIGMA * SIGMA)).exp() as f32;
            weight
        })
        .collect();
    let line = Tensor::from_slice(&weights);
    let line = &line / line.sum(Kind::Float);
    line.outer(&line)
        .view([1, 1, WINDOW, WINDOW])
        .repeat([channels, 1, 1, 1])
        .to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::rng::Rng;

    #[test]
    fn an_image_is_like_itself_and_less_like_its_noisy_self() {
        let mut rng = Rng::at(1, &[]);
        let x = rng.uniform(&[3, 2 * 16 * 16], Device::Cpu);
        let noisy = (&x + rng.normal(&[3, 2 * 16 * 16], Device::Cpu) * 0.3).clamp(0.0, 1.0);
        let same = ssim(&x, &x, [2, 16, 16]);
        assert_eq!(same.size(), [3]);
        assert!((same - 1.0).abs().max().double_value(&[]) < 1e-4);
        assert!(ssim(&x, &noisy, [2, 16, 16]).max().double_value(&[]) < 0.95);
    }

    #[test]
    fn psnr_of_a_tenth_is_twenty_decibels() {
        let errors = Tensor::from_slice(&[0.01_f32]);
        assert!((psnr(&errors).double_value(&[0]) - 20.0).abs() < 1e-4);
    }
}
