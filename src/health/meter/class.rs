//! Writes or reads of one cluster: places, baseline, counts.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::super::histogram::Histogram;
use super::baseline::{Baseline, Usual};
use super::flights::Flights;
use super::sample::{BUCKETS, Counts, Sample};

/// What is measured apart, and limited apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Changes data, or ends a transaction that may have. Not DDL, whose time depends on the table.
    Write,
    /// Only reads.
    Read,
}

impl Class {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// What the meter has to know of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Write or read.
    pub class: Class,
    /// Fingerprint; 0: none, then it has no usual time.
    pub digest: u64,
    /// Whose it is: the workspace, as a number or a hash; where there is none, the fingerprint. Only to tell
    /// whether slow statements are one workspace's: two that fall together do no harm.
    pub owner: u64,
}

impl Statement {
    pub(super) fn bucket(&self) -> usize {
        // An odd factor spreads owners whose high bits agree; the top bits are the best mixed.
        let mixed = self.owner.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BUCKETS.ilog2());
        usize::try_from(mixed).unwrap_or_default()
    }
}

pub(super) struct ClassMeter {
    pub(super) baseline: Baseline,
    pub(super) flights: Flights,
    /// Answered statements by owner: all in the low half, slow ones in the high half. Taken by every look, a
    /// few times a second, so no half can overflow.
    answered: [AtomicU64; BUCKETS],
    /// Answered statements whose fingerprint has no usual time yet.
    unjudged: AtomicU32,
    failed: AtomicU32,
    /// What answered statements took, since the start.
    pub(super) latency: Histogram,
}

const SLOW: u64 = 1 << 32;

impl ClassMeter {
    pub(super) fn new() -> Self {
        Self {
            baseline: Baseline::new(),
            flights: Flights::new(),
            answered: [const { AtomicU64::new(0) }; BUCKETS],
            unjudged: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            latency: Histogram::new(),
        }
    }

    pub(super) fn count_answered(&self, statement: &super::Statement, took: Duration, usual: Usual) {
        self.latency.record(took);
        if !usual.is_known() {
            self.unjudged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let one = if usual.is_slow(took) { SLOW + 1 } else { 1 };
        self.answered[statement.bucket()].fetch_add(one, Ordering::Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take(&self, now_us: u64) -> Sample {
        let mut sample = self.flights.scan(now_us);
        for (counts, answered) in sample.owners.iter_mut().zip(&self.answered) {
            // A plain load first: most are zero, and an exchange takes the cache line away from sessions.
            if answered.load(Ordering::Relaxed) != 0 {
                let both = answered.swap(0, Ordering::Relaxed);
                counts.answered = (both & (SLOW - 1)) as u32;
                counts.slow = (both >> 32) as u32;
            }
        }
        sample.unjudged = self.unjudged.swap(0, Ordering::Relaxed);
        sample.failed = self.failed.swap(0, Ordering::Relaxed);
        sample
    }
}

impl Counts {
    pub(super) const NONE: Self = Self { answered: 0, slow: 0, overdue: 0 };
}
