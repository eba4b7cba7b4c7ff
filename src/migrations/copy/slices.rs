//! How a chunk's rows are cut into statements while others need the server.
//!
//! A statement of many rows keeps a processor for as long as it runs, and whoever shares that processor waits
//! for the kernel to take it away, some milliseconds each time. So a chunk beside clients is worked on in
//! statements that are shorter than that, with rests between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backend::direct::{Direct, DirectError};
use crate::migrations::engine::Slice;
use crate::migrations::plan::{CopyPlan, KeyRange};

/// Rows of the first statement, and of any at least and at most.
const FIRST_ROWS: u64 = 20;
const ROWS_MIN: u64 = 8;
const ROWS_MAX: u64 = 2_000;
/// The next one has so many times the rows at least and at most: what one takes is half chance.
const FACTORS: (f64, f64) = (0.7, 1.2);

/// Longest rest before a chunk is begun anew.
const RESTART_MAX: Duration = Duration::from_millis(500);
/// A server works on a statement for so long at least.
const WORKED_MIN: Duration = Duration::from_micros(50);
/// Round trips vary by this part of what they take at the least: a statement is meant to take so much longer,
/// or that would count as its rows' doing.
const TRIPS_VARY: f64 = 0.25;

/// The time that the server worked, of some that includes round trips.
pub(crate) fn worked(took: Duration, round_trips: Duration) -> Duration {
    took.saturating_sub(round_trips).max(WORKED_MIN)
}

/// How long something is meant to take that has so many round trips, which are left out.
pub(crate) fn meant(time: Duration, round_trips: Duration) -> Duration {
    time + round_trips.mul_f64(TRIPS_VARY)
}

/// How many rows a statement is to have, learnt from those before.
#[derive(Debug)]
pub(crate) struct SliceRows {
    rows: AtomicU64,
    /// A round trip, microseconds.
    round_trip: AtomicU64,
}

impl Default for SliceRows {
    fn default() -> Self {
        Self { rows: AtomicU64::new(FIRST_ROWS), round_trip: AtomicU64::new(0) }
    }
}

impl SliceRows {
    fn get(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// What so many round trips take.
    fn trips(&self, count: u32) -> Duration {
        Duration::from_micros(self.round_trip.load(Ordering::Relaxed)) * count
    }

    fn note(&self, took: Duration, meant: Duration) {
        let factor = meant.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let rows = self.get() as f64 * factor.clamp(FACTORS.0, FACTORS.1);
        self.rows.store((rows.round() as u64).clamp(ROWS_MIN, ROWS_MAX), Ordering::Relaxed);
    }
}

/// The statements of one chunk.
#[derive(Debug)]
pub(crate) struct Slices<'a> {
    slice: Option<Slice>,
    rows: &'a SliceRows,
    began: Instant,
    /// Rests so far, and how long they should have been: timers have whole milliseconds.
    rested: Duration,
    owed: Duration,
    /// Round trips of its statements.
    under_way: Duration,
}

impl<'a> Slices<'a> {
    /// Of a chunk that begins now; `slice`: how long its statements may be, `None`: as long as they are.
    pub(crate) fn begin(slice: Option<Slice>, rows: &'a SliceRows) -> Self {
        let (began, zero) = (Instant::now(), Duration::ZERO);
        Self { slice, rows, began, rested: zero, owed: zero, under_way: zero }
    }

    /// The chunk is begun anew, in another way, once what was in vain is rested for: it is none of what the
    /// chunk takes.
    pub(crate) async fn restart(&mut self) {
        let (worked, rested) = self.spent();
        if let Some(slice) = self.slice {
            sleep(slice.rest(worked).saturating_sub(rested).min(RESTART_MAX)).await;
        }
        *self = Self::begin(self.slice, self.rows);
    }

    /// A statement that is nothing but a round trip took so long. The shortest of late is believed: a longer
    /// one may have waited for a processor, or a lock.
    pub(crate) fn note_round_trip(&self, took: Duration) {
        let took = took.as_micros() as u64;
        let before = self.rows.round_trip.load(Ordering::Relaxed);
        let most = if before == 0 { u64::MAX } else { before + before / 16 + 1 };
        self.rows.round_trip.store(took.min(most), Ordering::Relaxed);
    }

    /// Rows of the next statement; `None`: all.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.slice.map(|_| self.rows.get())
    }

    /// The next statement's part of what is left; `times`: how many rows are no more work for it than one
    /// that is written.
    pub(crate) async fn next(
        &self,
        plan: &CopyPlan,
        direct: &mut Direct,
        (left, times): (&KeyRange, u64),
    ) -> Result<KeyRange, DirectError> {
        let Some(rows) = self.rows() else { return Ok(left.clone()) };
        let found = direct.query(plan.select_bound(left, rows * times)).await?;
        let end = found.first().and_then(|row| plan.key_of_text(row).ok());
        // No key that can be told is so far ahead: the rest is one statement.
        Ok(end.map_or_else(|| left.clone(), |end| KeyRange { through: Some(end), ..left.clone() }))
    }

    /// Rests behind a statement that wrote rows and took so long, with what was asked before it: so many
    /// round trips. The next one has rows by what this one took.
    pub(crate) async fn rest(&mut self, took: Duration, trips: u32) {
        let Some(slice) = self.slice else { return };
        let trips = self.rows.trips(trips);
        self.rows.note(worked(took, trips), meant(slice.time, trips));
        self.pause(took, trips).await;
    }

    /// Rests behind one that only read.
    pub(crate) async fn rest_behind_reading(&mut self, took: Duration, trips: u32) {
        let trips = self.rows.trips(trips);
        self.pause(took, trips).await;
    }

    async fn pause(&mut self, took: Duration, trips: Duration) {
        let Some(slice) = self.slice else { return };
        let worked = worked(took, trips);
        self.under_way += took.saturating_sub(worked);
        let due = (self.owed + slice.rest(worked)).min(self.rested + Slice::PAUSE_MAX);
        let began = Instant::now();
        sleep(due.saturating_sub(self.rested)).await;
        (self.owed, self.rested) = (due, self.rested + began.elapsed());
    }

    /// How long the chunk was worked on, and how long it rested.
    pub(crate) fn spent(&self) -> (Duration, Duration) {
        (self.began.elapsed().saturating_sub(self.rested + self.under_way), self.rested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Slice = Slice { time: Duration::from_millis(1), share: 0.25 };

    #[test]
    fn statements_come_to_the_time_that_they_are_meant_to_take() {
        for (micros, expected) in [(40, 22..=28), (4, 230..=270), (1_000, ROWS_MIN..=ROWS_MIN)] {
            let rows = SliceRows::default();
            for _ in 0..40 {
                rows.note(Duration::from_micros(micros * rows.get()), SLICE.time);
            }
            assert!(expected.contains(&rows.get()), "{micros} µs a row: {}", rows.get());
        }
    }

    #[test]
    fn one_that_had_to_wait_does_not_make_all_others_small() {
        let rows = SliceRows::default();
        for number in 0..200 {
            let waited = if number % 10 == 0 { 20_000 } else { 0 };
            rows.note(Duration::from_micros(40 * rows.get() + waited), SLICE.time);
        }
        assert!((14..=28).contains(&rows.get()), "{}", rows.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_far_away_gets_no_smaller_statements() {
        let rows = SliceRows::default();
        let mut slices = Slices::begin(Some(SLICE), &rows);
        for round_trip in [1, 5, 20].map(Duration::from_millis) {
            slices.note_round_trip(round_trip);
            for number in 0..100 {
                // Now and then one takes a fifth longer.
                let more = if number % 3 == 0 { round_trip.mul_f64(0.4) } else { Duration::ZERO };
                slices.rest(round_trip * 2 + more + Duration::from_micros(40 * rows.get()), 2).await;
                slices.note_round_trip(round_trip * if number % 4 == 0 { 20 } else { 1 });
            }
            assert!(rows.get() >= 22, "{round_trip:?}: {}", rows.get());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rests_are_no_work() {
        let rows = SliceRows::default();
        let mut slices = Slices::begin(Some(SLICE), &rows);
        slices.rest(Duration::from_millis(2), 1).await;
        let (worked, rested) = slices.spent();
        assert_eq!(worked, Duration::ZERO);
        assert!((6..=7).contains(&rested.as_millis()), "{rested:?}");
        // One that hung does not keep the transaction open for long.
        slices.rest(Duration::from_secs(9), 1).await;
        let longer = slices.spent().1 - rested;
        assert!(longer <= Slice::PAUSE_MAX + Duration::from_millis(1), "{longer:?}");
        slices.rest(Duration::from_millis(2), 1).await;
        assert!(slices.spent().1 - rested - longer <= Duration::from_millis(7));
        let mut whole = Slices::begin(None, &rows);
        whole.rest(Duration::from_secs(1), 1).await;
        assert_eq!((whole.rows(), whole.spent().1), (None, Duration::ZERO));
    }
}
