//! What each fingerprint usually takes: median and 97.7th percentile (the normal distribution's two sigma),
//! learnt slowly, so that an illness that creeps up is seen against what was usual before it.
//!
//! A table of fixed size. Sessions count into buckets of half a power of two; every
//! [`super::super::detect::LEARN_EVERY`] the detector reads the quantiles off and lets old counts fade.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Fingerprints with a usual time, per cluster and class; a power of two. A Rails application of hundreds of
/// models has some hundred kinds of writes.
const SLOTS: usize = 512;
/// Slots a fingerprint may be in.
const TRIES: usize = 4;
/// Learning rounds without a statement after which a slot may be given to another fingerprint: an hour.
const IDLE_ROUNDS: u32 = 360;

/// Buckets of half a power of two, from 64 µs to 67 s.
const BUCKETS: usize = 40;
const FIRST_POWER: u32 = 6;

/// What a statement counts for, so that fading by a 64th is possible in whole numbers.
const UNIT: u32 = 64;
/// A learning round takes a 64th of the counts away: half are gone after 7.4 minutes.
const FADE: u32 = 64;

/// Statements before a fingerprint has a usual time: the 97.7th percentile of fewer is hardly one value.
const KNOWN_AFTER: u32 = 50;
/// Statements until which a usual time is still rough and may move faster.
const FIRM_AFTER: u32 = 1000;
/// Largest rise in a round: doubling takes an hour. Slower than any outage that is to be seen (the slow rise
/// of October 2024 took four minutes), faster than a day's rhythm.
const RISE_MAX: f64 = 1.00193;
/// Largest fall in a round.
const FALL_MAX: f64 = 0.99;
/// Largest change in a round while it is rough.
const ROUGH_MAX: f64 = 1.03;

/// In flight for so many times the 97.7th percentile: overdue.
const OVERDUE_TIMES: u64 = 4;
/// Nothing is overdue before: shorter waits are everyday lock waits and flushes.
const OVERDUE_MIN: Duration = Duration::from_millis(500);
/// A statement without a usual time is overdue only then: it may be a job that takes long.
const OVERDUE_UNKNOWN: Duration = Duration::from_secs(60);

/// A fingerprint's usual time, microseconds; zeros: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::health) struct Usual {
    pub(in crate::health) median_us: u32,
    pub(in crate::health) high_us: u32,
}

impl Usual {
    pub(in crate::health) fn is_known(self) -> bool {
        self.high_us > 0
    }

    pub(in crate::health) fn is_slow(self, took: Duration) -> bool {
        self.is_known() && took.as_micros() > u128::from(self.high_us)
    }

    /// How many times the median `took` is.
    pub(in crate::health) fn times(self, took: Duration) -> Option<f64> {
        self.is_known().then(|| took.as_micros() as f64 / f64::from(self.median_us.max(1)))
    }

    pub(in crate::health) fn overdue_after(self) -> Duration {
        match self.is_known() {
            true => Duration::from_micros(u64::from(self.high_us) * OVERDUE_TIMES).max(OVERDUE_MIN),
            false => OVERDUE_UNKNOWN,
        }
    }

    fn packed(self) -> u64 {
        u64::from(self.median_us) << 32 | u64::from(self.high_us)
    }

    fn unpacked(packed: u64) -> Self {
        Self { median_us: (packed >> 32) as u32, high_us: packed as u32 }
    }
}

pub(in crate::health) struct Baseline {
    slots: Box<[Slot]>,
    is_frozen: AtomicBool,
}

struct Slot {
    /// The fingerprint; 0: free.
    digest: AtomicU64,
    usual: AtomicU64,
    counts: [AtomicU32; BUCKETS],
    /// Sum of the counts after the last round; written by `learn` only.
    known_sum: AtomicU64,
    /// Rounds without a statement; written by `learn` only.
    idle: AtomicU32,
}

impl Baseline {
    pub(in crate::health) fn new() -> Self {
        Self::with_slots(SLOTS)
    }

    /// For `slots` fingerprints, a power of two.
    pub(in crate::health) fn with_slots(slots: usize) -> Self {
        Self { slots: (0..slots).map(|_| Slot::new()).collect(), is_frozen: AtomicBool::new(false) }
    }

    pub(in crate::health) fn usual(&self, digest: u64) -> Usual {
        let slot = self.places(digest).find(|slot| slot.digest.load(Ordering::Relaxed) == digest);
        slot.map(|slot| Usual::unpacked(slot.usual.load(Ordering::Relaxed))).unwrap_or_default()
    }

    pub(in crate::health) fn record(&self, digest: u64, took: Duration) {
        if digest == 0 || self.is_frozen.load(Ordering::Relaxed) {
            return;
        }
        if let Some(slot) = self.slot(digest) {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            slot.counts[bucket_of(us)].fetch_add(UNIT, Ordering::Relaxed);
        }
    }

    /// One round: quantiles are read off, counts fade.
    pub(in crate::health) fn learn(&self) {
        self.slots.iter().filter(|slot| slot.digest.load(Ordering::Relaxed) != 0).for_each(Slot::learn);
    }

    pub(in crate::health) fn freeze(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::Relaxed);
    }

    fn places(&self, digest: u64) -> impl Iterator<Item = &Slot> {
        let first = (digest.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        let mask = self.slots.len() - 1;
        (0..TRIES).map(move |step| &self.slots[(first + step) & mask])
    }

    /// The fingerprint's slot, made if there is room.
    fn slot(&self, digest: u64) -> Option<&Slot> {
        for slot in self.places(digest) {
            let held = slot.digest.load(Ordering::Relaxed);
            if held == digest {
                return Some(slot);
            }
            // Between the two steps of taking over, a statement may be counted for the wrong fingerprint:
            // one count among at least fifty.
            let is_free = held == 0
                || slot.idle.load(Ordering::Relaxed) >= IDLE_ROUNDS && {
                    self.places(digest).all(|other| other.digest.load(Ordering::Relaxed) != digest)
                };
            let taken = |slot: &Slot| {
                slot.digest.compare_exchange(held, digest, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            };
            if is_free && taken(slot) {
                slot.clear();
                return Some(slot);
            }
        }
        None
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            digest: AtomicU64::new(0),
            usual: AtomicU64::new(0),
            counts: [const { AtomicU32::new(0) }; BUCKETS],
            known_sum: AtomicU64::new(0),
            idle: AtomicU32::new(0),
        }
    }

    fn clear(&self) {
        self.usual.store(0, Ordering::Relaxed);
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.known_sum.store(0, Ordering::Relaxed);
        self.idle.store(0, Ordering::Relaxed);
    }

    fn learn(&self) {
        let counts: [u32; BUCKETS] = std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed));
        let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        // What nobody runs keeps its usual time: a nightly job is known the next night.
        if sum == self.known_sum.load(Ordering::Relaxed) {
            self.idle.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.idle.store(0, Ordering::Relaxed);
        let statements = sum / u64::from(UNIT);
        if statements >= u64::from(KNOWN_AFTER) {
            let old = Usual::unpacked(self.usual.load(Ordering::Relaxed));
            let is_rough = statements < u64::from(FIRM_AFTER);
            let seen = Usual {
                median_us: quantile_us(&counts, sum, 0.5),
                high_us: quantile_us(&counts, sum, HIGH_SHARE),
            };
            self.usual.store(old.follow(seen, is_rough).packed(), Ordering::Relaxed);
        }
        let mut left = 0;
        for (count, seen) in self.counts.iter().zip(counts) {
            count.fetch_sub(seen / FADE, Ordering::Relaxed);
            left += u64::from(seen - seen / FADE);
        }
        self.known_sum.store(left, Ordering::Relaxed);
    }
}

/// The share of statements that are not slow: two standard deviations of a normal distribution, as
/// PlanetScale's Insights use it.
const HIGH_SHARE: f64 = 0.977;

impl Usual {
    fn follow(self, seen: Self, is_rough: bool) -> Self {
        if !self.is_known() {
            return seen;
        }
        let (rise, fall) = if is_rough { (ROUGH_MAX, 1.0 / ROUGH_MAX) } else { (RISE_MAX, FALL_MAX) };
        let step = |old: u32, seen: u32| {
            let old = f64::from(old);
            // One more than the bound rounds down to, or small times could never rise.
            f64::from(seen).clamp((old * fall).floor(), (old * rise).ceil()) as u32
        };
        Self { median_us: step(self.median_us, seen.median_us), high_us: step(self.high_us, seen.high_us) }
    }
}

fn bucket_of(us: u64) -> usize {
    let power = us.max(1).ilog2();
    if power < FIRST_POWER {
        return 0;
    }
    let half = (us >> (power - 1)) & 1;
    let bucket = u64::from(power - FIRST_POWER) * 2 + half;
    usize::try_from(bucket).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// First microsecond inside, and first one beyond.
fn bounds_of(bucket: usize) -> (f64, f64) {
    let low = |bucket: usize| {
        let base = (1_u64 << (FIRST_POWER as usize + bucket / 2)) as f64;
        if bucket % 2 == 1 { base * 1.5 } else { base }
    };
    (if bucket == 0 { 0.0 } else { low(bucket) }, low(bucket + 1))
}

fn quantile_us(counts: &[u32; BUCKETS], sum: u64, share: f64) -> u32 {
    let rank = sum as f64 * share;
    let mut seen = 0.0;
    for (bucket, count) in counts.iter().enumerate() {
        let here = f64::from(*count);
        if seen + here >= rank && here > 0.0 {
            let (low, high) = bounds_of(bucket);
            return (low + (high - low) * ((rank - seen) / here)).max(1.0) as u32;
        }
        seen += here;
    }
    bounds_of(BUCKETS - 1).1 as u32
}
