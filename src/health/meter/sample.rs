//! What one look at a meter sees.

use std::time::Duration;

/// Owners are told apart by this many buckets; a power of two. More would cost every look, fewer would leave
/// out too much innocent traffic along with the worst owner (a 32nd here).
pub const BUCKETS: usize = 32;

/// Statements of the owners in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Answered, with a usual time to compare with.
    pub answered: u32,
    /// Of these, slower than the 97.7th percentile of their own fingerprint.
    pub slow: u32,
    /// In flight now, and for far longer than usual.
    pub overdue: u32,
}

/// One look at writes or reads of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// By owner.
    pub owners: [Counts; BUCKETS],
    /// Answered, without a usual time to compare with.
    pub unjudged: u32,
    /// Failed through the server's fault since the last look.
    pub failed: u32,
    /// In flight now.
    pub in_flight: u32,
    /// Age of the oldest in flight whose age is watched.
    pub oldest: Duration,
    /// The largest ratio of an age to what counts as overdue for that statement; above 1: overdue.
    pub worst: f64,
}

impl Sample {
    /// Nothing seen.
    pub const EMPTY: Self = Self {
        owners: [Counts::NONE; BUCKETS],
        unjudged: 0,
        failed: 0,
        in_flight: 0,
        oldest: Duration::ZERO,
        worst: 0.0,
    };

    /// Statements answered since the last look.
    pub fn answered(&self) -> u32 {
        self.owners.iter().map(|counts| counts.answered).sum::<u32>() + self.unjudged
    }

    /// Overdue statements: all, and without those of the worst bucket.
    pub fn overdue(&self) -> (u32, u32) {
        let all = self.owners.iter().map(|counts| counts.overdue).sum();
        let worst = self.owners.iter().map(|counts| counts.overdue).max().unwrap_or_default();
        (all, all - worst)
    }
}
