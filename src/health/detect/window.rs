//! Shares over the last seconds, as sums that fade: no ring of samples, and a late look is weighed by the
//! time that has really passed.

use std::time::Duration;

use crate::health::meter::{BUCKETS, Counts, Sample};

/// Longer gaps between two looks empty the window anyway.
const GAP_MAX: Duration = Duration::from_secs(600);

/// Answered and slow statements by owner over about the last `lasts`.
#[derive(Clone, Debug)]
pub(super) struct Window {
    lasts: Duration,
    answered: [f32; BUCKETS],
    slow: [f32; BUCKETS],
    is_empty: bool,
}

/// Slow statements among all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    pub(super) slow: f64,
    pub(super) of: f64,
}

impl Share {
    pub(super) fn value(self) -> f64 {
        if self.of > 0.0 { self.slow / self.of } else { 0.0 }
    }
}

/// Shares with and without the owner that has the most slow statements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shares {
    pub(super) all: Share,
    pub(super) rest: Share,
    /// The bucket of that owner.
    pub(super) worst: usize,
}

impl Window {
    pub(super) fn new(lasts: Duration) -> Self {
        Self { lasts, answered: [0.0; BUCKETS], slow: [0.0; BUCKETS], is_empty: true }
    }

    pub(super) fn fold(&mut self, sample: &Sample, passed: Duration) {
        let is_idle = sample.owners.iter().all(|counts| counts.answered == 0);
        if self.is_empty && is_idle {
            return;
        }
        let keep = fade(passed, self.lasts) as f32;
        let mut sum = 0.0;
        for (at, counts) in sample.owners.iter().enumerate() {
            self.answered[at] = self.answered[at] * keep + counts.answered as f32;
            self.slow[at] = self.slow[at] * keep + counts.slow as f32;
            sum += self.answered[at];
        }
        self.is_empty = sum < EMPTY_BELOW;
    }

    /// The shares now; what is overdue counts as slow, as it will be when it ends.
    pub(super) fn shares(&self, owners: &[Counts; BUCKETS]) -> Shares {
        let slow = |at: usize| f64::from(self.slow[at]) + f64::from(owners[at].overdue);
        let of = |at: usize| f64::from(self.answered[at]) + f64::from(owners[at].overdue);
        let (mut all, mut worst) = (Share::default(), 0);
        for at in 0..BUCKETS {
            all = Share { slow: all.slow + slow(at), of: all.of + of(at) };
            if slow(at) > slow(worst) {
                worst = at;
            }
        }
        let rest = Share { slow: all.slow - slow(worst), of: all.of - of(worst) };
        Shares { all, rest, worst }
    }

    pub(super) fn empty(&mut self) {
        *self = Self::new(self.lasts);
    }
}

/// What is left of less than that many statements counts as nothing.
const EMPTY_BELOW: f32 = 0.01;

/// A number that fades.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fading(pub(super) f64);

impl Fading {
    pub(super) fn fold(&mut self, add: f64, passed: Duration, lasts: Duration) {
        if add == 0.0 && self.0 == 0.0 {
            return;
        }
        self.0 = self.0 * fade(passed, lasts) + add;
        if self.0 < f64::from(EMPTY_BELOW) {
            self.0 = 0.0;
        }
    }
}

/// What is left after `passed` of what `lasts`.
pub(super) fn fade(passed: Duration, lasts: Duration) -> f64 {
    (-passed.min(GAP_MAX).as_secs_f64() / lasts.as_secs_f64()).exp()
}
