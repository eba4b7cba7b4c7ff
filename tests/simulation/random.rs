//! Random numbers of a fixed seed, cheap enough for half a billion simulated writes.

/// A generator (xorshift64*).
pub(crate) struct Random {
    state: u64,
    /// Quantiles of a lognormal distribution with median 1 and sigma 0.5.
    spread: Vec<f32>,
}

const STEPS: usize = 4096;
/// Of the logarithm of latencies: the 97.7th percentile is then 2.7 times the median, as it is of short
/// writes on a quiet server.
const SIGMA: f64 = 0.5;

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let spread = (0..STEPS).map(|n| (SIGMA * normal((n as f64 + 0.5) / STEPS as f64)).exp() as f32);
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, spread: spread.collect() }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to below 1.
    pub(crate) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.part() * bound as f64) as u64
    }

    /// A factor around 1, as latencies spread.
    pub(crate) fn spread(&mut self) -> f64 {
        let step = (self.next() >> 52) as usize;
        f64::from(self.spread[step])
    }

    /// How many of something that happens `mean` times on average.
    pub(crate) fn count(&mut self, mean: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 30.0 {
            let normal = normal(self.part().clamp(1e-9, 1.0 - 1e-9));
            return (mean + normal * mean.sqrt()).round().max(0.0) as u32;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.part(), 0);
        while product > limit {
            product *= self.part();
            count += 1;
        }
        count
    }
}

/// The normal distribution's quantile (Hastings' approximation, off by less than 0.0005).
fn normal(part: f64) -> f64 {
    const A: [f64; 3] = [2.515_517, 0.802_853, 0.010_328];
    const B: [f64; 3] = [1.432_788, 0.189_269, 0.001_308];
    let tail = part.min(1.0 - part);
    let t = (-2.0 * tail.ln()).sqrt();
    let over = A[0] + A[1] * t + A[2] * t * t;
    let under = 1.0 + B[0] * t + B[1] * t * t + B[2] * t * t * t;
    let z = t - over / under;
    if part < 0.5 { -z } else { z }
}
