//! One chunk that the server copies by itself: its rows do not pass through here, which halves the work.
//!
//! It is for ranges in which little is written: rows that came by the feed before are left out, and the chunk
//! is claimed whole behind the copy, before its COMMIT; it gives way to changes of its range that were
//! applied meanwhile. Where keys are not integers, whether a change is of the range cannot be told here, so
//! any change counts. Whatever else is in its way, a row that came in between, a lock, a value that the new
//! type does not take, is left to the other way of copying, which knows what to do about it, or how to tell
//! it.

use std::time::Instant;

use super::chunk::{Fate, Written, copied, record};
use super::ranges::{Copied, Piece};
use super::slices::Slices;
use crate::backend::direct::{Direct, DirectError};
use crate::migrations::apply::{Unwritten, begin};
use crate::migrations::engine::{EngineError, OpenChunk, Shared};
use crate::migrations::plan::{KEYS_MAX, Key};

/// Pieces that are copied the other way after one that gave way; twice as many after each further one.
const PAUSE_MIN: u32 = 1;
const PAUSE_MAX: u32 = 64;

/// Whether the next piece is tried in this way.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pause: u32,
    left: u32,
}

impl Turns {
    /// True if the next piece is to be tried.
    pub(super) fn is_on(&self) -> bool {
        self.left == 0
    }

    /// A piece begins: true if it is to be tried.
    pub(super) fn next(&mut self) -> bool {
        let is_on = self.is_on();
        self.left = self.left.saturating_sub(1);
        is_on
    }

    /// What became of one.
    pub(super) fn ended(&mut self, gave_way: bool) {
        if gave_way {
            self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.left = self.pause;
        } else {
            self.pause = 0;
        }
    }
}

/// Copies one piece; `None`: it gave way, and nothing of it was written.
///
/// # Errors
/// The connection is lost, the epoch is over, or the feed has ended.
pub(super) async fn copy_on_server(
    shared: &Shared,
    direct: &mut Direct,
    piece: &Piece,
    compact: Option<&Copied>,
    slices: &mut Slices<'_>,
) -> Result<Option<Fate>, EngineError> {
    let Some(range) = copied(piece) else { return Ok(None) };
    let chunk = OpenChunk::open(shared).await?;
    shared.mark().await?;
    let wrote = try_copy(shared, direct, (&chunk, piece), (&range, compact), slices).await;
    if !matches!(wrote, Ok(Some(Written::Now { .. }))) && !direct.is_lost() {
        // If even that fails the connection is lost, which the next statement tells.
        let _ = direct.execute("ROLLBACK").await;
    }
    chunk.close();
    match wrote {
        Ok(Some(written)) => Ok(Some(written.into_fate(shared, (piece.clone(), None), slices.spent()))),
        Ok(None) => Ok(None),
        Err(error) if direct.is_lost() || matches!(error, Unwritten::Superseded) => {
            Err(error.into_error("copying rows"))
        }
        Err(_) => Ok(None),
    }
}

async fn try_copy(
    shared: &Shared,
    direct: &mut Direct,
    (chunk, piece): (&OpenChunk<'_>, &Piece),
    (range, compact): (&Copied, Option<&Copied>),
    slices: &mut Slices<'_>,
) -> Result<Option<Written>, Unwritten> {
    slices.note_round_trip(begin(direct, &shared.records.check()).await?);
    let Some(present) = present_keys(shared, direct, piece).await? else { return Ok(None) };
    let Some(rows) = insert_slices(shared, direct, (chunk, piece, &present), slices).await? else {
        return Ok(None);
    };
    if !shared.update(|state| state.book.claim_whole(chunk.id, |key| piece.range.may_hold(key))) {
        return Ok(None);
    }
    if let Some(before) = record(shared, direct, piece, (range, rows)).await? {
        return Ok(Some(before));
    }
    for sql in compact.iter().flat_map(|all| shared.records.compact(all)) {
        direct.execute(sql).await?;
    }
    direct.execute("COMMIT").await?;
    Ok(Some(Written::Now { rows, bytes: rows * shared.counters.row_bytes() }))
}

/// Copies the rows of a range but for those of some keys; gives their number, or `None` as soon as it has to
/// give way. Each statement sees what is committed when it begins: what is changed between two of them comes
/// by the feed, as always, and a row that is seen twice or not at all by that is one of those changes.
async fn insert_slices(
    shared: &Shared,
    direct: &mut Direct,
    (chunk, piece, present): (&OpenChunk<'_>, &Piece, &[Key]),
    slices: &mut Slices<'_>,
) -> Result<Option<u64>, DirectError> {
    let range = &piece.range;
    let (mut left, mut rows) = (range.clone(), 0);
    loop {
        let began = Instant::now();
        let part = slices.next(&shared.plan, direct, (&left, 1)).await?;
        let without: Vec<Key> = present.iter().filter(|key| part.may_hold(key)).cloned().collect();
        rows += direct.execute(shared.plan.insert_select_range(&part, &without)).await?.affected_rows;
        if part.through == left.through {
            return Ok(Some(rows));
        }
        left.after = part.through;
        slices.rest(began.elapsed(), 2).await;
        let could_claim = shared.lock().book.could_claim_whole(chunk.id, |key| range.may_hold(key));
        if !could_claim {
            return Ok(None);
        }
    }
}

/// Keys that the shadow has of a range: they came by the feed, and what is newer of them comes by the feed
/// too. `None`: they are too many to be left out, or of a kind that cannot be.
async fn present_keys(
    shared: &Shared,
    direct: &mut Direct,
    piece: &Piece,
) -> Result<Option<Vec<Key>>, DirectError> {
    let plan = &shared.plan;
    if !plan.key.sorts_alike {
        return Ok(Some(Vec::new()));
    }
    let mut present = Vec::new();
    for row in direct.query(plan.select_target_keys(&piece.range)).await?.iter() {
        let key = plan.key_of_text(row).ok().filter(|key| key.integers().is_some());
        let Some(key) = key.filter(|_| present.len() < KEYS_MAX) else { return Ok(None) };
        present.push(key);
    }
    Ok(Some(present))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_way_waits_longer_each_time() {
        let mut turns = Turns::default();
        let mut tried = Vec::new();
        for piece in 0..20 {
            if turns.next() {
                tried.push(piece);
                turns.ended(true);
            }
        }
        assert_eq!(tried, [0, 2, 5, 10, 19]);
        while !turns.next() {}
        turns.ended(false);
        assert!(turns.next() && turns.next());
    }
}
