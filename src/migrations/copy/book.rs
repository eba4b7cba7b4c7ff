//! Which changes may be applied now, and which rows of a chunk may be written: a pure state machine.
//!
//! A chunk of rows is read from the source while changes of the same rows come by the feed. Neither waits for
//! the other, so the book says what is newer:
//!
//! 1. [`Book::open`]: from now on the keys of all changes that come are *touched* for this chunk.
//! 2. The caller writes a marker on the source and waits for its COMMIT: what came before is visible to reads
//!    now. Then it reads the chunk.
//! 3. [`Book::claim`]: rows whose key is touched, or whose change is not applied yet, are dropped: the feed
//!    brings something at least as new. The keys of the others are *in flight*.
//! 4. Changes of keys in flight are *deferred*; all others are applied at once, whether or not their rows
//!    were copied.
//! 5. The caller writes the chunk, and [`Book::close`] lets its deferred changes go.
//!
//! Where little is written the server copies a chunk by itself, which is quicker, and its keys are not known.
//! Such a chunk is claimed whole ([`Book::claim_whole`]) behind the copy and before its COMMIT, if no change
//! of its rows was applied in the meantime.
//!
//! A chunk that meets another row's unique value is read again *alone* ([`Book::hold_at`]): once the feed has
//! passed a marker written behind the read, everything that comes is held back. Shadow and source agree then
//! about every row that both have, so a conflict is a true duplicate.
//!
//! Keys are compared by their bytes only. What is kept per key is the newest change alone, as each carries
//! the whole row.

use std::collections::{BTreeMap, HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use crate::migrations::plan::Key;

/// What becomes of the row of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<T> {
    /// It is this one.
    Put(T),
    /// There is none.
    Delete,
}

/// A chunk that is being copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(u64);

/// Changes to be applied in one transaction: first every key is deleted, then the rows are inserted. Their
/// order does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T, P> {
    /// The newest change of each key.
    pub ops: BTreeMap<Key, Op<T>>,
    /// Where a reader has to begin once these are applied; recorded in the same transaction.
    pub position: P,
}

#[derive(Debug)]
struct Chunk {
    id: ChunkId,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Registered, perhaps read.
    Open { touched: HashSet<Key> },
    /// Claimed: hashes of the keys in flight. Two keys of one hash delay a change for no reason, which does
    /// no harm.
    InFlight { hashes: HashSet<u64> },
    /// Claimed without its keys being known: any key may be in flight.
    Whole,
}

#[derive(Debug)]
struct Deferred<T, P> {
    op: Op<T>,
    chunk: ChunkId,
    /// Where a reader had to begin to meet the first change that was deferred.
    base: P,
    base_at: u64,
}

/// Holding back: everything that comes waits for one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    No,
    /// Begins with this marker.
    At(ChunkId, u64),
    Now(ChunkId),
}

/// The book of one migration. `T` is a row's image, `P` a position of the feed.
#[derive(Debug)]
pub struct Book<T, P> {
    pending: BTreeMap<Key, Op<T>>,
    applying: HashSet<Key>,
    deferred: HashMap<Key, Deferred<T, P>>,
    chunks: Vec<Chunk>,
    hold: Hold,
    last_id: u64,
    /// Everything before it has come.
    complete: P,
    /// Counts changes of `complete`.
    complete_at: u64,
    marker: u64,
    /// The newest marker when everything that had come was taken, and when that was applied.
    taken_marker: u64,
    applied_marker: u64,
    pending_bytes: usize,
    deferred_bytes: usize,
    /// What a change weighs in memory, bytes.
    weigh: fn(&Op<T>) -> usize,
}

impl<T: Clone, P: Clone> Book<T, P> {
    /// Nothing is known; the feed begins at `position`. `weigh` says what a change weighs in memory, bytes.
    pub fn new(position: P, weigh: fn(&Op<T>) -> usize) -> Self {
        Self {
            pending: BTreeMap::new(),
            applying: HashSet::new(),
            deferred: HashMap::new(),
            chunks: Vec::new(),
            hold: Hold::No,
            last_id: 0,
            complete: position,
            complete_at: 0,
            marker: 0,
            taken_marker: 0,
            applied_marker: 0,
            pending_bytes: 0,
            deferred_bytes: 0,
            weigh,
        }
    }

    /// A change came.
    pub fn note(&mut self, key: Key, op: Op<T>) {
        let held = match self.hold {
            Hold::Now(id) => Some(id),
            Hold::No | Hold::At(..) => None,
        };
        for chunk in &mut self.chunks {
            if let Phase::Open { touched } = &mut chunk.phase
                && held.is_none()
            {
                touched.insert(key.clone());
            }
        }
        if let Some(known) = self.deferred.get_mut(&key) {
            self.deferred_bytes += (self.weigh)(&op);
            let before = std::mem::replace(&mut known.op, op);
            self.deferred_bytes -= (self.weigh)(&before);
            return;
        }
        let chunk = held.or_else(|| self.in_flight(&key));
        match chunk {
            Some(chunk) => {
                let (base, base_at) = (self.complete.clone(), self.complete_at);
                self.deferred_bytes += (self.weigh)(&op);
                self.deferred.insert(key, Deferred { op, chunk, base, base_at });
            }
            None => self.pend(key, op),
        }
    }

    /// A change may be applied; one that waited under its key is older, and weighs nothing any more.
    fn pend(&mut self, key: Key, op: Op<T>) {
        self.pending_bytes += (self.weigh)(&op);
        if let Some(before) = self.pending.insert(key, op) {
            self.pending_bytes -= (self.weigh)(&before);
        }
    }

    fn in_flight(&self, key: &Key) -> Option<ChunkId> {
        let mut hash = None;
        self.chunks.iter().find_map(|chunk| match &chunk.phase {
            Phase::InFlight { hashes } => {
                let hash = *hash.get_or_insert_with(|| xxh3_64(key.as_bytes()));
                hashes.contains(&hash).then_some(chunk.id)
            }
            Phase::Whole => Some(chunk.id),
            Phase::Open { .. } => None,
        })
    }

    /// Everything in front of this position has been noted.
    pub fn complete(&mut self, position: P) {
        self.complete = position;
        self.complete_at += 1;
    }

    /// A marker came.
    pub fn note_marker(&mut self, number: u64) {
        self.marker = self.marker.max(number);
        self.begin_hold();
    }

    fn begin_hold(&mut self) {
        if let Hold::At(id, marker) = self.hold
            && self.marker >= marker
        {
            self.hold = Hold::Now(id);
        }
    }

    /// The newest marker that came.
    pub fn marker(&self) -> u64 {
        self.marker
    }

    /// Registers a chunk.
    pub fn open(&mut self) -> ChunkId {
        self.last_id += 1;
        let id = ChunkId(self.last_id);
        self.chunks.push(Chunk { id, phase: Phase::Open { touched: HashSet::new() } });
        id
    }

    /// From this marker on (at once if it has come) everything waits for this chunk, which must be the only
    /// one.
    pub fn hold_at(&mut self, id: ChunkId, marker: u64) {
        debug_assert!(self.chunks.len() == 1 && self.chunks[0].id == id, "a chunk is held for alone");
        self.hold = Hold::At(id, marker);
        self.begin_hold();
    }

    /// True once everything waits for this chunk and all that came before is applied.
    pub fn is_held(&self, id: ChunkId) -> bool {
        self.hold == Hold::Now(id) && self.pending.is_empty() && self.applying.is_empty()
    }

    /// Says whether a key of an open chunk is touched: its change is applied or will be.
    pub fn is_touched(&self, id: ChunkId, key: &[u8]) -> bool {
        self.chunks.iter().any(|chunk| match &chunk.phase {
            Phase::Open { touched } => chunk.id == id && touched.contains(key),
            Phase::InFlight { .. } | Phase::Whole => false,
        })
    }

    /// Decides about the rows of a chunk: `keep` gets, for each key in order, whether its row is to be
    /// written. Those are in flight from now on.
    pub fn claim<'k>(
        &mut self,
        id: ChunkId,
        keys: impl Iterator<Item = &'k [u8]>,
        mut keep: impl FnMut(bool),
    ) {
        let Some(at) = self.chunks.iter().position(|chunk| chunk.id == id) else { return };
        let is_held = matches!(self.hold, Hold::Now(_));
        let mut hashes = HashSet::with_capacity(keys.size_hint().0);
        let Phase::Open { touched } = &self.chunks[at].phase else { return };
        for key in keys {
            // What is deferred while everything is held came behind the read: the row is written first.
            let is_deferred = !is_held && self.deferred.contains_key(key);
            let is_newer = touched.contains(key)
                || self.pending.contains_key(key)
                || self.applying.contains(key)
                || is_deferred;
            if !is_newer {
                hashes.insert(xxh3_64(key));
            }
            keep(!is_newer);
        }
        self.chunks[at].phase = Phase::InFlight { hashes };
    }

    /// Decides about a chunk whose rows the server has copied by itself, so that their keys are not known;
    /// `is_in` says whether a key may be of its range. The copy is written, and not committed yet. True if it
    /// may be: whatever comes from now on waits for it. Else it is to be rolled back.
    ///
    /// What came before the chunk was registered is in the copy. What came since may be newer than the copy,
    /// or not. As long as it is only pending no harm is done: its DELETE meets the copied row, waits for the
    /// COMMIT, and deletes it. Once it is being applied its DELETE may have been there before the row was,
    /// and of a row that was deleted nothing is left for the copy to meet.
    pub fn claim_whole(&mut self, id: ChunkId, is_in: impl Fn(&Key) -> bool) -> bool {
        let is_free = self.could_claim_whole(id, is_in);
        if is_free && let Some(chunk) = self.chunks.iter_mut().find(|chunk| chunk.id == id) {
            chunk.phase = Phase::Whole;
        }
        is_free
    }

    /// Says whether [`Self::claim_whole`] would be true now. If not it may be later, but only when what
    /// stands in the way changes once more.
    pub fn could_claim_whole(&self, id: ChunkId, is_in: impl Fn(&Key) -> bool) -> bool {
        let Some(chunk) = self.chunks.iter().find(|chunk| chunk.id == id) else { return false };
        let Phase::Open { touched } = &chunk.phase else { return false };
        let is_pending = |key: &Key| self.pending.contains_key(key) && !self.applying.contains(key);
        self.hold == Hold::No && touched.iter().filter(|key| is_in(key)).all(is_pending)
    }

    /// The chunk is committed, or given up and rolled back: what was deferred for it can be applied.
    pub fn close(&mut self, id: ChunkId) {
        self.chunks.retain(|chunk| chunk.id != id);
        if matches!(self.hold, Hold::At(held, _) | Hold::Now(held) if held == id) {
            self.hold = Hold::No;
        }
        let mut freed: Vec<_> = self.deferred.extract_if(|_, deferred| deferred.chunk == id).collect();
        for (key, mut deferred) in freed.drain(..) {
            if let Some(other) = self.in_flight(&key) {
                // Keys of one hash in two chunks.
                deferred.chunk = other;
                self.deferred.insert(key, deferred);
                continue;
            }
            self.deferred_bytes -= (self.weigh)(&deferred.op);
            // Newer than what may be pending under that key: while it was deferred nothing else went there.
            self.pend(key, deferred.op);
        }
    }

    /// Chunks that are open or in flight.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Takes everything that may be applied. One batch at a time: [`Self::applied`] or [`Self::put_back`] is
    /// called before the next.
    pub fn take(&mut self) -> Batch<T, P> {
        assert!(self.applying.is_empty(), "one batch at a time");
        self.pending_bytes = 0;
        let position = self.position().clone();
        let ops = std::mem::take(&mut self.pending);
        self.applying = ops.keys().cloned().collect();
        if self.deferred.is_empty() {
            self.taken_marker = self.marker;
        }
        Batch { ops, position }
    }

    /// Where a reader has to begin once everything that may be applied is: in front of the oldest change that
    /// waits.
    pub fn position(&self) -> &P {
        let oldest = self.deferred.values().min_by_key(|deferred| deferred.base_at);
        oldest.map_or(&self.complete, |deferred| &deferred.base)
    }

    /// The batch is committed.
    pub fn applied(&mut self) {
        self.applying.clear();
        self.applied_marker = self.taken_marker;
    }

    /// The batch was rolled back: what it held is pending again, where nothing newer came.
    pub fn put_back(&mut self, batch: Batch<T, P>) {
        self.applying.clear();
        self.taken_marker = self.applied_marker;
        for (key, op) in batch.ops {
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.pending.entry(key) {
                self.pending_bytes += (self.weigh)(&op);
                vacant.insert(op);
            }
        }
    }

    /// Nothing is to be applied, nothing is being applied, nothing waits.
    pub fn is_drained(&self) -> bool {
        self.pending.is_empty() && self.applying.is_empty() && self.deferred.is_empty()
    }

    /// True between [`Self::take`] and [`Self::applied`] of a batch that held something.
    pub fn is_applying(&self) -> bool {
        !self.applying.is_empty()
    }

    /// Says whether everything in front of a marker is applied; what came behind it need not be, for while
    /// clients write there is always something.
    pub fn is_passed(&self, marker: u64) -> bool {
        self.applied_marker >= marker || (self.marker >= marker && self.is_drained())
    }

    /// True if a batch would hold something.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Keys that may be applied.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of what may be applied, and of what waits.
    pub fn bytes(&self) -> (usize, usize) {
        (self.pending_bytes, self.deferred_bytes)
    }
}

#[cfg(test)]
mod tests;
