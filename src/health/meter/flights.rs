//! Places for statements in flight, so that the age of each can be seen before it ends.
//!
//! A stalled server gives no answers and so no latencies; only the ages of what waits for it tell.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::sample::Sample;

/// Statements in flight whose age is watched, per cluster and class; more are only counted. Far beyond it the
/// server has been given more than it can run at once.
const PLACES: usize = 1024;
/// Places looked at for a free one.
const TRIES: usize = 8;
/// How far apart threads begin to look.
const THREADS_APART: usize = 128;

const FREE: u64 = 0;
const CLAIMED: u64 = u64::MAX;

thread_local! {
    /// Where this thread looks next: its own line of places, so threads seldom meet.
    static NEXT: Cell<usize> = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        Cell::new(THREADS.fetch_add(1, Ordering::Relaxed).wrapping_mul(THREADS_APART))
    };
}

pub(super) struct Flights {
    places: Box<[Place]>,
    in_flight: AtomicU32,
}

#[derive(Default)]
struct Place {
    /// [`FREE`], [`CLAIMED`], or one more than the start in microseconds.
    started: AtomicU64,
    /// Overdue after so many milliseconds (high half); bucket of the owner (low half).
    facts: AtomicU64,
}

impl Flights {
    pub(super) fn new() -> Self {
        let places = (0..PLACES).map(|_| Place::default()).collect();
        Self { places, in_flight: AtomicU32::new(0) }
    }

    pub(super) fn begin(&self, started_us: u64, overdue_after: Duration, bucket: usize) -> Option<usize> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let first = NEXT.with(|next| next.replace(next.get().wrapping_add(1)));
        let index = (0..TRIES).map(|step| first.wrapping_add(step) % PLACES).find(|index| {
            let started = &self.places[*index].started;
            started.load(Ordering::Relaxed) == FREE
                && started.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })?;
        let after_ms = u32::try_from(overdue_after.as_millis()).unwrap_or(u32::MAX).max(1);
        let place = &self.places[index];
        place.facts.store(u64::from(after_ms) << 32 | bucket as u64, Ordering::Relaxed);
        // Whoever sees the start sees the facts.
        place.started.store(started_us.saturating_add(1).min(CLAIMED - 1), Ordering::Release);
        Some(index)
    }

    pub(super) fn end(&self, place: Option<usize>) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(index) = place {
            self.places[index].started.store(FREE, Ordering::Release);
        }
    }

    /// Looks at every place. A statement that begins or ends meanwhile is seen or not.
    pub(super) fn scan(&self, now_us: u64) -> Sample {
        let mut sample = Sample::EMPTY;
        sample.in_flight = self.in_flight.load(Ordering::Relaxed);
        if sample.in_flight == 0 {
            return sample;
        }
        for place in &self.places {
            let started = place.started.load(Ordering::Acquire);
            if started == FREE || started == CLAIMED {
                continue;
            }
            let facts = place.facts.load(Ordering::Relaxed);
            let age = Duration::from_micros(now_us.saturating_sub(started - 1));
            let ratio = age.as_secs_f64() * 1e3 / (facts >> 32) as f64;
            sample.oldest = sample.oldest.max(age);
            sample.worst = sample.worst.max(ratio);
            if ratio > 1.0 {
                sample.owners[facts as u32 as usize].overdue += 1;
            }
        }
        sample
    }
}
