//! One chunk: registered, read, claimed, written.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::ranges::{Copied, Piece};
use super::slices::Slices;
use crate::backend::direct::{Direct, DirectError};
use crate::migrations::apply::{Unwritten, begin, write_rows};
use crate::migrations::engine::{EngineError, OpenChunk, Settling, Shared, meaning, rows};
use crate::migrations::plan::{KEYS_MAX, Key, KeyRange};

/// Bytes of the statements of one chunk at most, if one row is not longer.
pub(super) const CHUNK_BYTES_MAX: usize = 8 << 20;
/// So many rows are read in the time of one that is written, at the least.
const READ_TIMES: u64 = 8;
const READING: &str = "reading rows";
/// How long a chunk that is copied alone waits for the feed.
const HOLD_WITHIN: Duration = Duration::from_secs(60);

/// Rows of a chunk as statements' text, and their keys.
#[derive(Debug, Default)]
struct Read {
    /// `(…),(…),`
    text: Vec<u8>,
    /// Where each row ends in `text`.
    row_ends: Vec<usize>,
    /// The keys, one behind the other.
    keys: Vec<u8>,
    /// Where each key ends in `keys`.
    key_ends: Vec<usize>,
}

impl Read {
    fn len(&self) -> usize {
        self.row_ends.len()
    }

    fn row(&self, at: usize) -> &[u8] {
        slice(&self.text, &self.row_ends, at)
    }

    fn key(&self, at: usize) -> &[u8] {
        slice(&self.keys, &self.key_ends, at)
    }

    fn keys(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.key(at))
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], at: usize) -> &'a [u8] {
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[at]]
}

/// What became of a chunk.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Committed.
    Copied {
        /// The piece that was copied; shorter than asked for when its rows were too many bytes.
        piece: Piece,
        /// The last key of it, if it was cut short.
        cut: Option<Key>,
        /// Rows written.
        rows: u64,
        /// Bytes of them.
        bytes: u64,
        /// From registering to COMMIT, without rests, and the rests.
        spent: (Duration, Duration),
    },
    /// It conflicts with other rows of the shadow, or had to give way; nothing of it was written.
    Conflict(Piece),
}

/// What a chunk's transaction came to.
#[derive(Debug)]
pub(super) enum Written {
    /// It is committed.
    Now {
        /// Rows written.
        rows: u64,
        /// Bytes of them.
        bytes: u64,
    },
    /// An earlier one of the piece was, though that was not answered; this one is to be rolled back.
    Before {
        /// What that has copied of the piece.
        piece: Piece,
        /// See [`Fate::Copied`].
        cut: Option<Key>,
        /// Rows that it has written.
        rows: u64,
    },
}

impl Written {
    /// What became of the chunk; `piece` and `cut` are what it meant to copy.
    pub(super) fn into_fate(
        self,
        shared: &Shared,
        (piece, cut): (Piece, Option<Key>),
        spent: (Duration, Duration),
    ) -> Fate {
        match self {
            Self::Now { rows, bytes } => Fate::Copied { piece, cut, rows, bytes, spent },
            Self::Before { piece, cut, rows } => {
                let bytes = rows * shared.counters.row_bytes();
                Fate::Copied { piece, cut, rows, bytes, spent }
            }
        }
    }
}

/// What is done with rows that the shadow has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    /// They came by the feed and stay.
    No,
    /// They differ from the source: all rows of the range are written anew. Nothing is recorded.
    Yes,
}

/// Copies one piece beside others.
pub(super) async fn copy_piece(
    shared: &Shared,
    direct: &mut Direct,
    (piece, compact): (Piece, Option<Copied>),
    slices: &mut Slices<'_>,
) -> Result<Fate, EngineError> {
    let chunk = OpenChunk::open(shared).await?;
    shared.mark().await?;
    let (read, cut) = read_rows(shared, direct, &piece.range, slices).await?;
    let mut kept = Vec::with_capacity(read.len());
    shared.update(|state| state.book.claim(chunk.id, read.keys(), |keep| kept.push(keep)));
    let part = shortened(&piece, cut.as_ref());
    drop_present(shared, direct, (&read, &part.range), &mut kept).await?;
    let copied = copied(&part);
    let asked = &piece;
    let work = Work { asked, read: &read, kept: &kept, copied: copied.as_ref(), compact, delete: Vec::new() };
    let written = write(shared, direct, work, slices).await;
    chunk.close();
    match written {
        Ok(written) => Ok(written.into_fate(shared, (part, cut), slices.spent())),
        Err(error) if error.errno() == Some(1062) => Ok(Fate::Conflict(piece)),
        Err(error) => Err(error.into_error("copying rows")),
    }
}

/// Copies one piece with no other at work: a conflict is a true duplicate.
pub(crate) async fn copy_alone(
    shared: &Shared,
    direct: &mut Direct,
    (piece, replace): (Piece, Replace),
    slices: &mut Slices<'_>,
) -> Result<Fate, EngineError> {
    let chunk = OpenChunk::open(shared).await?;
    shared.mark().await?;
    let (read, cut) = read_rows(shared, direct, &piece.range, slices).await?;
    let marker = shared.mark().await?;
    shared.update(|state| state.book.hold_at(chunk.id, marker));
    let held = shared.wait_within("waiting for the feed", HOLD_WITHIN, |state| {
        let is_settling = state.settling != Settling::No;
        (is_settling || state.book.is_held(chunk.id)).then_some(!is_settling)
    });
    if !held.await? {
        chunk.close();
        return Ok(Fate::Conflict(piece));
    }
    let part = shortened(&piece, cut.as_ref());
    let mut delete = Vec::new();
    if replace == Replace::Yes {
        let present = present_keys(shared, direct, (&read, &part.range)).await?;
        let state = shared.lock();
        delete.extend(present.into_iter().filter(|key| !state.book.is_touched(chunk.id, key.as_bytes())));
    }
    let mut kept = Vec::with_capacity(read.len());
    shared.update(|state| state.book.claim(chunk.id, read.keys(), |keep| kept.push(keep)));
    if replace == Replace::No {
        drop_present(shared, direct, (&read, &part.range), &mut kept).await?;
    }
    let copied = copied(&part).filter(|_| replace == Replace::No);
    let (asked, copied) = (&piece, copied.as_ref());
    let work = Work { asked, read: &read, kept: &kept, copied, compact: None, delete };
    let written = write(shared, direct, work, slices).await;
    chunk.close();
    let written = written.map_err(|error| error.into_error("copying rows"))?;
    Ok(written.into_fate(shared, (part, cut), slices.spent()))
}

/// What is recorded of a piece.
pub(super) fn copied(piece: &Piece) -> Option<Copied> {
    let high = piece.range.through.clone()?;
    Some(Copied { number: piece.number, low: piece.range.after.clone(), high })
}

fn shortened(piece: &Piece, cut: Option<&Key>) -> Piece {
    let mut part = piece.clone();
    if let Some(key) = cut {
        part.range.through = Some(key.clone());
    }
    part
}

/// Reads the rows of a range, until they are too many bytes; then the last key read is given too.
async fn read_rows(
    shared: &Shared,
    direct: &mut Direct,
    range: &KeyRange,
    slices: &mut Slices<'_>,
) -> Result<(Read, Option<Key>), EngineError> {
    let (mut left, mut read) = (range.clone(), Read::default());
    loop {
        let began = Instant::now();
        let part = slices.next(&shared.plan, direct, (&left, READ_TIMES)).await;
        let part = part.map_err(|error| meaning(READING, error))?;
        let is_cut = read_part(shared, direct, &part, &mut read).await?;
        let is_last = part.through == left.through;
        // Between two parts the rows of one may have come to be too many already.
        if is_cut || (!is_last && read.text.len() >= CHUNK_BYTES_MAX) {
            let cut = Key::from_bytes(read.key(read.len() - 1));
            return Ok((read, Some(cut)));
        }
        if is_last {
            return Ok((read, None));
        }
        left.after = part.through;
        slices.rest_behind_reading(began.elapsed(), 2).await;
    }
}

/// Reads the rows of one part; true if some were left out, as they are too many bytes.
async fn read_part(
    shared: &Shared,
    direct: &mut Direct,
    part: &KeyRange,
    read: &mut Read,
) -> Result<bool, EngineError> {
    let mut is_cut = false;
    let mut stream =
        direct.select(shared.plan.select_rows(part)).await.map_err(|error| meaning(READING, error))?;
    while let Some(row) = stream.next().await.map_err(|error| meaning(READING, error))? {
        if read.text.len() >= CHUNK_BYTES_MAX {
            // What follows is read in another chunk; here it only has to be got over with.
            is_cut = true;
            continue;
        }
        let wrote = shared.plan.write_text_row(row, &mut read.text, &mut read.keys);
        wrote.map_err(|error| EngineError::TableChanged(error.to_string()))?;
        read.row_ends.push(read.text.len());
        read.key_ends.push(read.keys.len());
    }
    Ok(is_cut)
}

/// Drops rows that the shadow has: they came by the feed before the chunk was registered, and what is newer
/// of them comes by the feed too.
async fn drop_present(
    shared: &Shared,
    direct: &mut Direct,
    read: (&Read, &KeyRange),
    kept: &mut [bool],
) -> Result<(), EngineError> {
    let present: HashSet<Key> = present_keys(shared, direct, read).await?.into_iter().collect();
    if present.is_empty() {
        return Ok(());
    }
    for (keep, key) in kept.iter_mut().zip(read.0.keys()) {
        *keep &= !present.contains(key);
    }
    Ok(())
}

/// Keys that the shadow has of a range.
async fn present_keys(
    shared: &Shared,
    direct: &mut Direct,
    (read, range): (&Read, &KeyRange),
) -> Result<Vec<Key>, EngineError> {
    let plan = &shared.plan;
    let mut present = Vec::new();
    let mut statements = Vec::new();
    if plan.key.sorts_alike {
        statements.push(plan.select_target_keys(range));
    } else {
        let keys: Vec<&[u8]> = read.keys().collect();
        statements.extend(keys.chunks(KEYS_MAX).map(|some| plan.select_target_keys_of(some.iter().copied())));
    }
    for sql in statements {
        for row in rows(direct, sql, "looking for rows of the shadow").await?.iter() {
            let key = plan.key_of_text(row).map_err(|error| EngineError::TableChanged(error.to_string()))?;
            present.push(key);
        }
    }
    Ok(present)
}

/// What the transaction of a chunk does.
struct Work<'a> {
    /// What was asked for; `read` may be a part of it.
    asked: &'a Piece,
    read: &'a Read,
    kept: &'a [bool],
    copied: Option<&'a Copied>,
    compact: Option<Copied>,
    delete: Vec<Key>,
}

/// Writes a chunk in one transaction; rolled back when it fails, or was done before.
async fn write(
    shared: &Shared,
    direct: &mut Direct,
    work: Work<'_>,
    slices: &mut Slices<'_>,
) -> Result<Written, Unwritten> {
    let written = try_write(shared, direct, work, slices).await;
    if !matches!(written, Ok(Written::Now { .. })) && !direct.is_lost() {
        // If even that fails the connection is lost, which the next statement tells.
        let _ = direct.execute("ROLLBACK").await;
    }
    written
}

async fn try_write(
    shared: &Shared,
    direct: &mut Direct,
    work: Work<'_>,
    slices: &mut Slices<'_>,
) -> Result<Written, Unwritten> {
    let Work { asked, read, kept, copied, compact, delete } = work;
    let kept_rows = || kept.iter().enumerate().filter(|(_, keep)| **keep).map(|(at, _)| read.row(at));
    let (rows, bytes) = kept_rows().fold((0, 0), |(count, bytes), row| (count + 1, bytes + row.len() as u64));
    slices.note_round_trip(begin(direct, &shared.records.check()).await?);
    if let Some(copied) = copied
        && let Some(before) = record(shared, direct, asked, (copied, rows)).await?
    {
        return Ok(before);
    }
    let keys: Vec<&[u8]> = delete.iter().map(Key::as_bytes).collect();
    for some in keys.chunks(KEYS_MAX) {
        direct.execute(shared.plan.delete_keys(some.iter().copied())).await?;
    }
    let (head, left): (_, Vec<&[u8]>) = (shared.plan.insert_head(), kept_rows().collect());
    let mut left = left.as_slice();
    while !left.is_empty() {
        let began = Instant::now();
        let some = slices.rows().map_or(left.len(), |rows| left.len().min(rows as usize));
        write_rows(direct, &head, left[..some].iter().copied()).await?;
        left = &left[some..];
        if !left.is_empty() {
            slices.rest(began.elapsed(), 1).await;
        }
    }
    for sql in compact.iter().flat_map(|all| shared.records.compact(all)) {
        direct.execute(sql).await?;
    }
    direct.execute("COMMIT").await?;
    Ok(Written::Now { rows, bytes })
}

/// Records what the transaction copies of a piece. If an earlier one of the piece was committed, though that
/// was not answered, it gives that: whichever way it copied, and wherever it was cut short.
pub(super) async fn record(
    shared: &Shared,
    direct: &mut Direct,
    asked: &Piece,
    (copied, rows): (&Copied, u64),
) -> Result<Option<Written>, DirectError> {
    let error = match direct.execute(shared.records.add_range(copied, rows)).await {
        Ok(_) => return Ok(None),
        Err(error) if error.errno() == Some(1062) => error,
        Err(error) => return Err(error),
    };
    let found = direct.query(shared.records.select_range(asked.number)).await?;
    let before = found.first().and_then(|row| {
        let (low, high) = (row.value(0).map(Key::from_bytes), row.value(1).map(Key::from_bytes)?);
        let (piece, cut) = asked.copied_before(&Copied { number: asked.number, low, high })?;
        Some(Written::Before { piece, cut, rows: row.number(2).unwrap_or(0) })
    });
    before.map(Some).ok_or(error)
}
