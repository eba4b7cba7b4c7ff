//! Latencies, counted in buckets whose width grows with the value.
//!
//! Quantiles are the upper edge of their bucket: at most 1/64 above the true value, never below it.

/// Buckets per power of two, as a power of two.
const PRECISION_BITS: u32 = 6;
const PER_POWER: u64 = 1 << PRECISION_BITS;
/// Values up to 2^40 ns (18 minutes) have a bucket of their own; what is above goes to the last.
const BUCKETS: usize = (40 - PRECISION_BITS as usize + 1) * PER_POWER as usize;

/// A histogram of nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Empty until something is counted: a load has many that stay empty.
    counts: Vec<u64>,
    total: u64,
}

fn bucket_of(nanos: u64) -> usize {
    if nanos < PER_POWER {
        return nanos as usize;
    }
    let shift = u64::BITS - 1 - nanos.leading_zeros() - PRECISION_BITS;
    let at = u64::from(shift) * PER_POWER + (nanos >> shift);
    (at as usize).min(BUCKETS - 1)
}

/// The largest value that falls into the bucket.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PER_POWER {
        return bucket;
    }
    let shift = bucket / PER_POWER - 1;
    let start = (bucket - shift * PER_POWER) << shift;
    start + (1 << shift) - 1
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, nanos: u64) {
        self.record_many(nanos, 1);
    }

    /// Counts a value that was seen several times.
    pub fn record_many(&mut self, nanos: u64, count: u64) {
        self.counts.resize(BUCKETS, 0);
        self.counts[bucket_of(nanos)] += count;
        self.total += count;
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.resize(BUCKETS, 0);
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own += others;
        }
        self.total += other.total;
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The value below which this share (0 to 1) of the values lies, in microseconds; 0 if there are none.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(bucket) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_is_little_wider() {
        for power in 0..39 {
            for offset in [0_u64, 1, 3] {
                let value = (1_u64 << power) + offset;
                let edge = upper_edge(bucket_of(value));
                assert!(edge >= value, "{value} lies above its bucket's edge {edge}");
                assert!(edge - value <= value / PER_POWER, "{value}: the edge {edge} is too far");
                assert_eq!(bucket_of(edge), bucket_of(value), "{value}: the edge is in another bucket");
                assert_eq!(bucket_of(edge + 1), bucket_of(value) + 1, "{value}: buckets have a gap");
            }
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|value| histogram.record(value * 1_000));
        for (share, expected) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let got = histogram.quantile_us(share);
            assert!(got >= expected && got <= expected * (1.0 + 1.0 / 64.0), "{share}: {got}");
        }
    }

    #[test]
    fn empty_and_huge_values_do_not_panic() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.99), 0.0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.count(), 1);
        assert!(histogram.quantile_us(0.5) > 1e9);
    }

    #[test]
    fn merging_adds() {
        let (mut one, mut two) = (Histogram::default(), Histogram::default());
        one.record(10_000);
        two.record_many(30_000, 3);
        one.merge(&two);
        assert_eq!(one.count(), 4);
        assert!(one.quantile_us(0.25) < 11.0 && one.quantile_us(0.26) > 29.0);
    }
}
