//! A latency histogram of fixed size: eight buckets per power of two of microseconds.
//!
//! A bucket's width is at most an eighth of its lower end, so a quantile read at the bucket's middle is off
//! by at most a sixteenth. Below eight microseconds buckets are exact.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SUB_BITS: u32 = 3;
const SUBS: u64 = 1 << SUB_BITS;

/// Latencies from 2^36 microseconds (19 hours) on are counted there.
const TOP_BITS: u32 = 36;
const BUCKETS: usize = ((TOP_BITS - SUB_BITS + 1) << SUB_BITS) as usize;

/// Counts latencies; written by any thread without locks.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[AtomicU64; BUCKETS]>,
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        let counts = Box::new([const { AtomicU64::new(0) }; BUCKETS]);
        Self { counts, sum_us: AtomicU64::new(0), max_us: AtomicU64::new(0) }
    }

    /// Counts one latency.
    pub fn record(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket_of(us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        if us > self.max_us.load(Ordering::Relaxed) {
            self.max_us.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// The counts as of now; a latency recorded meanwhile may or may not be in.
    pub fn report(&self) -> HistogramReport {
        HistogramReport {
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum_us: self.sum_us.load(Ordering::Relaxed),
            max_us: self.max_us.load(Ordering::Relaxed),
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts of a [`Histogram`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramReport {
    counts: Vec<u64>,
    /// Sum of all latencies, microseconds.
    pub sum_us: u64,
    /// The largest latency, microseconds.
    pub max_us: u64,
}

impl HistogramReport {
    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The latency, in microseconds, that a `share` (0 to 1) of all latencies does not exceed; 0 when none
    /// was counted. Off by at most a sixteenth, never above [`Self::max_us`].
    pub fn quantile_us(&self, share: f64) -> u64 {
        let count = self.count();
        // The rank is exact enough: a count above 2^53 would take millennia.
        let rank = ((count as f64) * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, in_bucket) in self.counts.iter().enumerate() {
            seen += in_bucket;
            if seen >= rank {
                let (low, high) = bounds_of(bucket);
                return (low + (high - low) / 2).min(self.max_us);
            }
        }
        0
    }

    /// Latencies below `2^power` microseconds.
    pub fn below_power(&self, power: u32) -> u64 {
        let end = bucket_of(1_u64.checked_shl(power).unwrap_or(u64::MAX));
        self.counts[..end].iter().sum()
    }

    /// The latencies counted since an earlier report of the same histogram. The largest one is not known of
    /// them alone: it is that since the start.
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then));
        let sum_us = self.sum_us.saturating_sub(earlier.sum_us);
        Self { counts: counts.collect(), sum_us, max_us: self.max_us }
    }

    /// Adds the counts of another histogram.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
    }
}

fn bucket_of(us: u64) -> usize {
    if us < SUBS {
        return usize::try_from(us).unwrap_or_default();
    }
    let us = us.min((1 << TOP_BITS) - 1);
    let octave = us.ilog2() - SUB_BITS;
    let sub = (us >> octave) & (SUBS - 1);
    usize::try_from(u64::from(octave + 1) * SUBS + sub).unwrap_or(BUCKETS - 1)
}

/// First microsecond inside and last one inside.
fn bounds_of(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < SUBS {
        return (bucket, bucket);
    }
    let octave = bucket / SUBS - 1;
    let low = (SUBS + bucket % SUBS) << octave;
    (low, low + (1 << octave) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_tile_the_range() {
        let mut next = 0;
        for bucket in 0..BUCKETS {
            let (low, high) = bounds_of(bucket);
            assert_eq!(low, next);
            assert_eq!((bucket_of(low), bucket_of(high)), (bucket, bucket));
            next = high + 1;
        }
        assert_eq!(next, 1 << TOP_BITS);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(Histogram::new().report().quantile_us(0.5), 0);
    }

    proptest! {
        #[test]
        fn quantiles_are_off_by_a_sixteenth_at_most(
            mut latencies in prop::collection::vec(0_u64..10_000_000_000, 1..200),
            share in 0.0_f64..=1.0,
        ) {
            let histogram = Histogram::new();
            latencies.iter().for_each(|us| histogram.record(Duration::from_micros(*us)));
            latencies.sort_unstable();
            let report = histogram.report();
            let rank = ((latencies.len() as f64 * share).ceil() as usize).max(1);
            let exact = latencies[rank - 1];
            let read = report.quantile_us(share);
            prop_assert!(read.abs_diff(exact) <= exact / 16 + 1, "read {}, exact {}", read, exact);
            prop_assert!(report.quantile_us(1.0) <= report.max_us);
        }

        #[test]
        fn powers_of_two_are_exact(
            latencies in prop::collection::vec(0_u64..1_000_000, 0..100),
            power in 0_u32..30,
        ) {
            let histogram = Histogram::new();
            latencies.iter().for_each(|us| histogram.record(Duration::from_micros(*us)));
            let below = latencies.iter().filter(|us| **us < 1 << power).count() as u64;
            prop_assert_eq!(histogram.report().below_power(power), below);
        }
    }
}
