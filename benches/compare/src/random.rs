//! Chance for the loads: small, fast, repeatable, good enough to spread work.

use std::time::Duration;

/// A generator (xorshift). Two with different numbers give different sequences.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// For the client of this number.
    pub fn new(number: usize) -> Self {
        Self((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `max`, which is not 0.
    pub fn below(&mut self, max: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % max
    }

    /// A time whose mean is this, as of clients that come independently; ten times the mean at most.
    pub fn around(&mut self, mean: Duration) -> Duration {
        let share = (self.below(1 << 24) as f64 + 1.0) / f64::from(1 << 24);
        mean.mul_f64((-share.ln()).min(10.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_mean() {
        let mut random = Random::new(6);
        let mean = Duration::from_millis(200);
        let sum: Duration = (0..20_000).map(|_| random.around(mean)).sum();
        let found = sum.as_secs_f64() / 20_000.0;
        assert!((found - 0.2).abs() < 0.01, "{found}");
    }

    #[test]
    fn numbers_are_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(0);
        let mut seen = [false; 7];
        (0..1_000).for_each(|_| seen[random.below(7) as usize] = true);
        assert_eq!(seen, [true; 7]);
    }
}
