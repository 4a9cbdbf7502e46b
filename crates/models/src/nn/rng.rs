//! Seeded random numbers whose whole state is where they are drawn.
//!
//! A training step draws from `Rng::at(seed, &[stream, epoch, step])`: no generator state has to be
//! saved for a run to be resumed to the last bit. The generator is xoshiro128++ (Blackman and
//! Vigna, 2021) in 16 independent lanes, laid out so that the compiler turns each step into vector
//! instructions: a Bernoulli sample is drawn 10 times as fast as by libtorch's generator
//! (`make bench-parts ONLY=sampling`). Drawing a Bernoulli sample with it costs less than the matrix product beside it,
//! which is not so for libtorch's generator.

#![expect(
    clippy::disallowed_methods,
    reason = "on an accelerator libtorch's generator draws, seeded from the stream"
)]
#![expect(unsafe_code, reason = "views of a tensor's numbers, without a copy")]

use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

const LANES: usize = 16;

pub struct Rng {
    state: [[u32; LANES]; 4],
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): spreads a counter over 64 bits.
fn split_mix(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *counter;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream at `place`: the same seed and place always give the same numbers.
    pub fn at(seed: u64, place: &[u64]) -> Self {
        let mut counter = seed;
        for &coordinate in place {
            // Mixing between the coordinates keeps (1, 0) and (0, 1) apart.
            counter = split_mix(&mut counter) ^ coordinate;
        }
        let mut state = [[0; LANES]; 4];
        for word in &mut state {
            for lane in word {
                *lane = (split_mix(&mut counter) >> 32) as u32;
            }
        }
        // A lane of four zero words would stay at zero for ever.
        state[0].iter_mut().for_each(|lane| *lane |= 1);
        Self { state }
    }

    #[inline]
    fn next(&mut self) -> [u32; LANES] {
        let [a, b, c, d] = &mut self.state;
        let mut out = [0; LANES];
        for i in 0..LANES {
            out[i] = a[i].wrapping_add(d[i]).rotate_left(7).wrapping_add(a[i]);
            let t = b[i] << 9;
            c[i] ^= a[i];
            d[i] ^= b[i];
            b[i] ^= c[i];
            a[i] ^= d[i];
            c[i] ^= t;
            d[i] = d[i].rotate_left(11);
        }
        out
    }

    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        let words = self.next();
        (u64::from(words[0]) << 32) | u64::from(words[1])
    }

    /// A uniform whole number below `bound` (Lemire, 2019, without the rejection: the bias is below
    /// 2^-32 for the bounds used here).
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Fills with uniform numbers in [0, 1), 24 bits each.
    pub fn fill_uniform(&mut self, out: &mut [f32]) {
        for chunk in out.chunks_mut(LANES) {
            let words = self.next();
            for (value, word) in chunk.iter_mut().zip(words) {
                *value = unit(word);
            }
        }
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self, shape: &[i64], device: Device) -> Tensor {
        if device != Device::Cpu {
            return self.on_device(|| Tensor::rand(shape, (Kind::Float, device)));
        }
        let mut out = Tensor::empty(shape, (Kind::Float, Device::Cpu));
        self.fill_uniform(values_mut(&mut out));
        out
    }

    /// Standard normal, by Box and Muller (1958).
    pub fn normal(&mut self, shape: &[i64], device: Device) -> Tensor {
        if device != Device::Cpu {
            return self.on_device(|| Tensor::randn(shape, (Kind::Float, device)));
        }
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let u: Tensor = 1.0 - self.uniform(shape, device);
        let radius = (u.log() * -2.0).sqrt();
        let angle = self.uniform(shape, device) * std::f64::consts::TAU;
        radius * angle.cos()
    }

    /// A sample of 0s and 1s, each 1 with its own probability. `p` is f32 of any shape.
    pub fn bernoulli(&mut self, p: &Tensor) -> Tensor {
        if p.device() != Device::Cpu {
            return self.on_device(|| p.rand_like().less_tensor(p).to_kind(Kind::Float));
        }
        let p = p.contiguous();
        let mut out = Tensor::empty(p.size(), (Kind::Float, Device::Cpu));
        let (values, probabilities) = (values_mut(&mut out), values(&p));
        for (chunk, p) in values.chunks_mut(LANES).zip(probabilities.chunks(LANES)) {
            let words = self.next();
            for i in 0..chunk.len() {
                chunk[i] = f32::from(u8::from(unit(words[i]) < p[i]));
            }
        }
        out
    }

    /// A random order of `0..n` (Fisher and Yates).
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        for i in (1..order.len()).rev() {
            let j = self.below(i as u64 + 1);
            let j = usize::try_from(j).unwrap_or(i);
            order.swap(i, j);
        }
        order
    }

    /// On an accelerator libtorch's own generator draws, seeded from this stream. There is one for all threads.
    fn on_device(&mut self, draw: impl FnOnce() -> Tensor) -> Tensor {
        static GENERATOR: Mutex<()> = Mutex::new(());
        let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        tch::manual_seed((self.next_u64() >> 1).cast_signed());
        draw()
    }
}

#[inline]
fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The numbers of a contiguous f32 tensor on the CPU.
pub fn values(tensor: &Tensor) -> &[f32] {
    assert_flat(tensor);
    if tensor.numel() == 0 {
        return &[];
    }
    // SAFETY: the storage of a contiguous f32 CPU tensor is `numel` floats, alive as long as the
    // tensor, and `&Tensor` keeps this crate from writing to it meanwhile.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
}

/// The numbers of a contiguous f32 tensor on the CPU, to be written.
pub fn values_mut(tensor: &mut Tensor) -> &mut [f32] {
    assert_flat(tensor);
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: as above; the callers own the storage alone, so no other view sees the writes. What libtorch has not
    // filled yet is some number or other: any four bytes are a float, and the callers write before they read.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
}

fn assert_flat(tensor: &Tensor) {
    assert!(
        tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous(),
        "needs a contiguous f32 tensor on the CPU"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_place_same_numbers_other_place_other_numbers() {
        let draw = |seed, place: &[u64]| Rng::at(seed, place).uniform(&[100], Device::Cpu);
        assert_eq!(draw(7, &[1, 0]), draw(7, &[1, 0]));
        assert_ne!(draw(7, &[1, 0]), draw(7, &[0, 1]));
        assert_ne!(draw(7, &[1, 0]), draw(8, &[1, 0]));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Rng::at(3, &[]);
        let n = 1_000_000;
        let uniform = rng.uniform(&[n], Device::Cpu);
        assert!((uniform.mean(Kind::Double).double_value(&[]) - 0.5).abs() < 2e-3);
        assert!((uniform.var(true).double_value(&[]) - 1.0 / 12.0).abs() < 1e-3);
        assert!(uniform.max().double_value(&[]) < 1.0);
        let normal = rng.normal(&[n], Device::Cpu);
        assert!(normal.mean(Kind::Double).double_value(&[]).abs() < 5e-3);
        assert!((normal.var(true).double_value(&[]) - 1.0).abs() < 1e-2);
        let fourth = normal.pow_tensor_scalar(4).mean(Kind::Double);
        assert!((fourth.double_value(&[]) - 3.0).abs() < 0.1);
        let p = Tensor::from_slice(&[0.0_f32, 0.25, 1.0]).expand([n / 10, 3], false);
        let rate = rng.bernoulli(&p).mean_dim(0, false, Kind::Double);
        assert_eq!(rate.double_value(&[0]), 0.0);
        assert!((rate.double_value(&[1]) - 0.25).abs() < 5e-3);
        assert_eq!(rate.double_value(&[2]), 1.0);
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = Rng::at(1, &[2]).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
