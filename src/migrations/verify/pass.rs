//! Passes over both tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout, timeout_at};

use super::checksum::{Side, Sum};
use crate::backend::direct::Direct;
use crate::migrations::copy::{Fate, Piece, Replace, SliceRows, Slices, copy_alone, meant, worked};
use crate::migrations::engine::{
    ChunkCost, Counters, EngineError, Laps, Pace, Shared, Slice, State, Verified, rows, run,
};
use crate::migrations::plan::{CopyPlan, Key, KeyRange};

/// Passes at most.
const PASSES_MAX: u32 = 3;
/// Rows of a range that is compared at once, at most; and of the first one beside clients.
const RANGE_ROWS: u64 = 50_000;
const RANGE_ROWS_BESIDE_CLIENTS: u64 = 400;
/// And at least.
const RANGE_ROWS_MIN: u64 = 50;
/// Longest that snapshots are kept while the pace does not let the comparison go on.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(5);
/// Rounds of applying before the lock; if clients write faster than that, the lock is tried all the same.
const CATCH_UPS_MAX: u32 = 20;
/// Rows of neighbouring ranges that are repaired at once.
const REPAIR_ROWS: u64 = 1_000;
/// Attempts to repair one range that has to give way to something.
const REPAIR_ATTEMPTS: u32 = 20;
/// Pause between them.
const REPAIR_PAUSE: Duration = Duration::from_millis(100);
const LOCKING: &str = "locking the table for a moment";

/// Two connections that see both tables as of one moment, one for each table.
struct Snapshots {
    source: Direct,
    target: Direct,
    /// One that looks where ranges end, for which any moment will do.
    scout: Direct,
    /// What a round trip takes.
    round_trip: Duration,
}

/// A range that differs.
struct Difference {
    range: KeyRange,
    source: Sum,
    target: Sum,
}

/// A pass, as far as it has come.
#[derive(Default)]
pub(crate) struct Pass {
    /// Everything up to this key is compared.
    after: Option<Key>,
    /// Rows of the source so far.
    rows: u64,
    differences: Vec<Difference>,
}

/// Compares until nothing differs. The first pass goes on from `left`, where an earlier try left it that did
/// not get its lock; anything else that ends a try may have changed what is compared already.
///
/// # Errors
/// See [`crate::migrations::engine::Engine::verify`].
pub(crate) async fn verify(
    shared: &Arc<Shared>,
    left: &mut Option<Pass>,
    pace: &dyn Pace,
    lock_within: Duration,
) -> Result<Verified, EngineError> {
    let mut repaired = 0;
    for pass in 1..=PASSES_MAX {
        let mut at = left.take().unwrap_or_default();
        shared.counters.rows_compared.store(at.rows, std::sync::atomic::Ordering::Relaxed);
        let compared = compare(shared, &mut at, pace, lock_within).await;
        if let Err(error) = compared {
            *left = Some(at).filter(|_| matches!(error, EngineError::Late { .. }));
            return Err(error);
        }
        let Pass { rows, differences, .. } = at;
        let Some(first) = differences.first() else {
            let held = shared.counters.longest_hold();
            return Ok(Verified { rows, passes: pass, repaired, held });
        };
        if pass == PASSES_MAX {
            let (source, target) = (first.source, first.target);
            let what = if source.rows == target.rows { "with other values" } else { "in number" };
            let example = format!("{} rows in the table, {} in the copy, {what}", source.rows, target.rows);
            return Err(EngineError::Differs { ranges: differences.len(), passes: pass, example });
        }
        repaired += differences.len();
        for difference in differences {
            repair(shared, difference.range).await?;
        }
    }
    unreachable!("the last pass returns")
}

/// The rest of a pass.
async fn compare(
    shared: &Arc<Shared>,
    pass: &mut Pass,
    pace: &dyn Pace,
    lock_within: Duration,
) -> Result<(), EngineError> {
    let mut snapshots = None;
    let mut planned = None;
    let mut is_beside = pace.slice().is_some();
    let mut range_rows = if is_beside { RANGE_ROWS_BESIDE_CLIENTS } else { RANGE_ROWS };
    loop {
        let admitted = match timeout(SNAPSHOT_WAIT, shared.admit(pace)).await {
            Ok(admitted) => admitted,
            Err(_) => {
                // Old row versions are kept for a snapshot: it is given up, not waited with.
                snapshots = None;
                shared.admit(pace).await
            }
        };
        admitted?;
        let pair = match &mut snapshots {
            Some(pair) => pair,
            None => snapshots.insert(Snapshots::open(shared, lock_within).await?),
        };
        let started = Instant::now();
        let plan = &shared.plan;
        let slice = pace.slice();
        if slice.is_some() && !is_beside {
            // Clients have come.
            (planned, range_rows) = (None, RANGE_ROWS_BESIDE_CLIENTS);
        }
        is_beside = slice.is_some();
        let range = match planned.take() {
            Some(range) => range,
            None => next_range(&mut pair.scout, plan, pass.after.clone(), range_rows).await?,
        };
        let mut rested = Duration::ZERO;
        let (source, target);
        match slice {
            Some(slice) => (source, target, rested) = pair.sums_apart(plan, &range, slice).await?,
            None => (source, target, planned) = pair.sums_at_once(plan, &range, range_rows).await?,
        }
        pass.rows += source.rows;
        Counters::add(&shared.counters.rows_compared, source.rows);
        let elapsed = started.elapsed().saturating_sub(rested);
        let (took, trips) = pair.worked(elapsed, slice.is_some());
        pace.done(ChunkCost { rows: source.rows, bytes: 0, took, rested });
        let time = slice.map_or(pace.chunk_time(), |slice| meant(slice.time * 2, trips));
        range_rows = next_rows(range_rows, took, time);
        let next = range.through.clone();
        if source != target {
            note_difference(&mut pass.differences, Difference { range, source, target });
        }
        if next.is_none() {
            return Ok(());
        }
        pass.after = next;
    }
}

/// Neighbours are repaired together, as far as they are not too many rows.
fn note_difference(all: &mut Vec<Difference>, new: Difference) {
    let last = all.last_mut().filter(|last| {
        let rows = |sum: fn(&Difference) -> u64| sum(last) + sum(&new);
        let most = rows(|of| of.source.rows).max(rows(|of| of.target.rows));
        last.range.through == new.range.after && most <= REPAIR_ROWS
    });
    match last {
        Some(last) => {
            last.range.through = new.range.through;
            last.source = last.source.with(new.source);
            last.target = last.target.with(new.target);
        }
        None => all.push(new),
    }
}

/// Applies what has come, again and again until it takes so little time that the rest will not take long
/// under the lock.
async fn catch_up(shared: &Arc<Shared>, within: Duration) -> Result<(), EngineError> {
    for _ in 0..CATCH_UPS_MAX {
        let began = Instant::now();
        let marker = shared.mark().await?;
        let is_applied = |state: &mut State| state.book.is_passed(marker).then_some(());
        let Ok(applied) = timeout(within, shared.wait(is_applied)).await else { break };
        applied?;
        if began.elapsed() < within / 8 {
            break;
        }
    }
    Ok(())
}

impl Snapshots {
    /// Locks the source, waits until the shadow is equal to it, opens the snapshots, unlocks. Writers wait
    /// from the moment that the lock is asked for: what can be prepared is, before that.
    async fn open(shared: &Arc<Shared>, within: Duration) -> Result<Self, EngineError> {
        let mut lock = shared.session().await?;
        let mut pair = Self {
            source: shared.session().await?,
            target: shared.session().await?,
            scout: shared.session().await?,
            round_trip: Duration::ZERO,
        };
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        for direct in [&mut pair.source, &mut pair.target] {
            run(direct, isolation, "opening a snapshot").await?;
        }
        pair.round_trip = round_trip(&mut pair.scout).await?;
        catch_up(shared, within).await?;
        let seconds = within.as_secs().clamp(1, 3600);
        // A lock whose holder is not heard of any more ends soon.
        let bounds = format!("SET SESSION lock_wait_timeout = {seconds}, wait_timeout = {}", seconds * 3);
        run(&mut lock, bounds, LOCKING).await?;
        let mut laps = Laps::begin();
        let opened = pair.open_locked(shared, (&mut lock, within), &mut laps).await;
        shared.counters.note_hold(laps.total());
        tracing::debug!(table = shared.plan.names.source(), %laps, "locked the table for snapshots");
        lock.close().await;
        opened.map(|()| pair)
    }

    async fn open_locked(
        &mut self,
        shared: &Arc<Shared>,
        (lock, within): (&mut Direct, Duration),
        laps: &mut Laps,
    ) -> Result<(), EngineError> {
        let locked = run(lock, format!("LOCK TABLES {} READ", shared.plan.names.source()), LOCKING).await;
        laps.end("lock");
        match locked {
            Err(EngineError::Server { source, .. }) if source.errno() == Some(1205) => {
                return Err(EngineError::Late { what: LOCKING, within });
            }
            other => other?,
        };
        let opened = self.open_under_lock(shared, within, laps).await;
        let unlocked = run(lock, "UNLOCK TABLES", LOCKING).await;
        laps.end("unlock");
        opened?;
        unlocked.map(drop)
    }

    async fn open_under_lock(
        &mut self,
        shared: &Arc<Shared>,
        within: Duration,
        laps: &mut Laps,
    ) -> Result<(), EngineError> {
        let what = "applying the last changes under the lock";
        let late = || EngineError::Late { what, within };
        let deadline = tokio::time::Instant::now() + within;
        let marked = timeout_at(deadline, shared.mark()).await;
        laps.end("marker");
        let marker = marked.map_err(|_| late())??;
        let is_equal = |state: &mut State| state.book.marker() >= marker && state.book.is_drained();
        let drained = timeout_at(deadline, shared.wait(|state| is_equal(state).then_some(()))).await;
        laps.end("changes");
        drained.map_err(|_| late())??;
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        let (source, target) =
            tokio::join!(run(&mut self.source, begin, what), run(&mut self.target, begin, what));
        laps.end("snapshots");
        source.and(target).map(drop)
    }

    /// What of a range's time was work, and what its round trips took: its end was looked for, and both sides
    /// were asked, one behind the other or at once.
    fn worked(&mut self, elapsed: Duration, is_apart: bool) -> (Duration, Duration) {
        let count = if is_apart { 3 } else { 1 };
        self.round_trip = self.round_trip.min(elapsed / count);
        let trips = self.round_trip * count;
        (worked(elapsed, trips), trips)
    }

    /// What both tables hold of a range, one behind the other, and how long was rested between.
    async fn sums_apart(
        &mut self,
        plan: &CopyPlan,
        range: &KeyRange,
        slice: Slice,
    ) -> Result<(Sum, Sum, Duration), EngineError> {
        let began = Instant::now();
        let source = read_sum(&mut self.source, plan, Side::Source, range).await?;
        let worked = Instant::now();
        sleep(slice.rest(worked - began).min(Slice::PAUSE_MAX)).await;
        let rested = worked.elapsed();
        let target = read_sum(&mut self.target, plan, Side::Target, range).await?;
        Ok((source, target, rested))
    }

    /// What both tables hold of a range, both at once, as nobody else needs the server; and the range behind
    /// it, of so many rows.
    async fn sums_at_once(
        &mut self,
        plan: &CopyPlan,
        range: &KeyRange,
        rows: u64,
    ) -> Result<(Sum, Sum, Option<KeyRange>), EngineError> {
        let source = read_sum(&mut self.source, plan, Side::Source, range);
        let target = read_sum(&mut self.target, plan, Side::Target, range);
        let scout = async {
            let Some(key) = range.through.clone() else { return Ok(None) };
            next_range(&mut self.scout, plan, Some(key), rows).await.map(Some)
        };
        let (source, target, next) = tokio::join!(source, target, scout);
        Ok((source?, target?, next?))
    }
}

/// What a round trip takes at the least: one alone may have waited for a processor.
async fn round_trip(direct: &mut Direct) -> Result<Duration, EngineError> {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        run(direct, "DO 0", "opening a snapshot").await?;
        least = least.min(began.elapsed());
    }
    Ok(least)
}

/// The range behind this key; all rows where the tables sort differently.
async fn next_range(
    direct: &mut Direct,
    plan: &CopyPlan,
    after: Option<Key>,
    count: u64,
) -> Result<KeyRange, EngineError> {
    if !plan.key.sorts_alike {
        return Ok(KeyRange::default());
    }
    let range = KeyRange { after, through: None };
    let sql = plan.select_bound(&range, count);
    let found = rows(direct, sql, "looking for the end of a range").await?;
    let through = found.first().map(|row| plan.key_of_text(row)).transpose();
    let through = through.map_err(|error| EngineError::TableChanged(error.to_string()))?;
    Ok(KeyRange { through, ..range })
}

/// Rows of the next range, so that it takes as long as it is meant to.
fn next_rows(rows: u64, took: Duration, meant: Duration) -> u64 {
    let factor = (meant.as_secs_f64() / took.as_secs_f64().max(1e-6)).clamp(0.25, 2.0);
    ((rows as f64 * factor) as u64).clamp(RANGE_ROWS_MIN, RANGE_ROWS)
}

/// What a range of one table holds, as this connection sees it.
///
/// # Errors
/// [`EngineError::Server`].
pub(crate) async fn read_sum(
    direct: &mut Direct,
    plan: &CopyPlan,
    side: Side,
    range: &KeyRange,
) -> Result<Sum, EngineError> {
    let what = "comparing rows";
    let found = rows(direct, plan.select_sum(side, range), what).await?;
    let row = found.first();
    let number = |at| row.and_then(|row| row.number::<u64>(at));
    match (number(0), number(1)) {
        (Some(rows), Some(hash)) => Ok(Sum { rows, hash }),
        _ => Err(EngineError::TableChanged("a checksum is no number".to_owned())),
    }
}

/// Copies a range anew.
async fn repair(shared: &Arc<Shared>, range: KeyRange) -> Result<(), EngineError> {
    let mut direct = shared.session().await?;
    let mut range = range;
    let mut attempts = 0;
    loop {
        let piece = Piece { number: 0, range: range.clone() };
        let slice_rows = SliceRows::default();
        let mut slices = Slices::begin(None, &slice_rows);
        match copy_alone(shared, &mut direct, (piece, Replace::Yes), &mut slices).await {
            Ok(Fate::Copied { cut: None, .. }) => return Ok(()),
            Ok(Fate::Copied { cut: Some(cut), .. }) => range.after = Some(cut),
            Ok(Fate::Conflict(_)) if attempts < REPAIR_ATTEMPTS => {}
            Ok(Fate::Conflict(_)) => {
                return Err(EngineError::Late { what: "repairing a range", within: REPAIR_PAUSE * attempts });
            }
            Err(error) if error.is_passing() && attempts < REPAIR_ATTEMPTS => {
                if direct.is_lost() {
                    direct = shared.session().await?;
                }
            }
            Err(error) => return Err(error),
        }
        attempts += 1;
        sleep(REPAIR_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_to_take_what_they_are_meant_to() {
        let meant = Duration::from_millis(100);
        assert_eq!(next_rows(2_000, meant, meant), 2_000);
        assert_eq!(next_rows(2_000, meant * 2, meant), 1_000);
        assert_eq!(next_rows(2_000, meant * 100, meant), 500, "not all at once");
        assert_eq!(next_rows(RANGE_ROWS_MIN * 2, meant * 100, meant), RANGE_ROWS_MIN);
        assert_eq!(next_rows(RANGE_ROWS, Duration::ZERO, meant), RANGE_ROWS);
    }
}
