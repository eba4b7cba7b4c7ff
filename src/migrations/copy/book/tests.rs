//! Random interleavings of writers, feed, applier, copiers and crashes: the shadow ends equal to the source.
//!
//! The source is a log of transactions: a SELECT sees those up to `visible`, the feed reads those up to the
//! end, as with semi-synchronous replication, where a transaction is in the binary log before anybody sees
//! it. What survives a crash is the shadow, its position, and the ranges recorded in the transactions of
//! their rows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::migrations::copy::{Copied, Next, Piece, Ranges};
use crate::migrations::plan::push_literal;

/// Keys of the simulated table.
const KEYS: u32 = 24;
/// Rows of a chunk.
const CHUNK: usize = 5;
/// Copiers at once.
const COPIERS: usize = 3;

/// A unique value (none is NULL) and another one.
type Image = (Option<u32>, u32);
type Rows = BTreeMap<u32, Image>;

#[derive(Clone, Debug)]
enum Logged {
    Transaction(Vec<(u32, Option<Image>)>),
    Marker(u64),
}

/// What a test demands of the shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Uniqueness {
    /// No unique index but the key.
    None,
    /// A unique index that both have.
    Both,
    /// A unique index that only the shadow has: duplicates must be found.
    ShadowOnly,
}

/// A step that is left out, to see that the simulation would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Everything is done right.
    No,
    /// A chunk is read before its marker is visible.
    Unmarked,
    /// Rows with newer changes are written.
    Unclaimed,
    /// The position is that of all that came, not of what is applied.
    Ahead,
    /// Changes of rows in flight are let go before the rows are written.
    Early,
    /// The greatest key is asked for before the first marker has come.
    EarlyMax,
    /// Rows that the server copied by itself are committed, whatever came meanwhile.
    Unasked,
    /// Changes of its range that are being applied count as if they waited.
    Overtaken,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Equal,
    Duplicate,
}

#[derive(Clone, Debug)]
enum Copier {
    Idle,
    /// Registered; waits for its marker to be visible.
    Marking(ChunkId, Piece, u64),
    Read(ChunkId, Piece, Rows),
    /// The server is to copy by itself; the shadow has these keys of the range.
    Present(ChunkId, Piece, BTreeSet<u32>),
    /// Its statement has begun, and sees these rows, of which it leaves out those that were present.
    Filling(ChunkId, Piece, Rows),
    /// They are in the shadow, not committed.
    Filled(ChunkId, Piece, Rows),
    /// Claimed whole.
    Whole(ChunkId, Piece, Rows),
    /// Alone: waits for everything to be held.
    Holding(ChunkId, Piece, Rows),
    Claimed(ChunkId, Piece, Rows),
    /// Knows which keys the shadow has already.
    Looked(ChunkId, Piece, Rows),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    No,
    /// Waits for chunks to end.
    Chunks,
    /// Waits for this marker.
    Marker(u64),
}

struct World {
    uniqueness: Uniqueness,
    sabotage: Sabotage,
    log: Vec<Logged>,
    visible: usize,
    markers: u64,
    // What survives.
    shadow: Rows,
    position: usize,
    recorded: Vec<Copied>,
    max: Option<Key>,
    // What a crash loses.
    read: usize,
    book: Book<Image, usize>,
    ranges: Option<Ranges>,
    copiers: Vec<Copier>,
    alone: VecDeque<Piece>,
    is_alone: bool,
    /// What is being applied, and the keys whose DELETE was there already and found no row.
    batch: Option<(Batch<Image, usize>, BTreeSet<u32>)>,
    settling: Settling,
    start_marker: Option<u64>,
    failed: bool,
    /// The feed is not left behind, as it is where little is written: what it brings may not be visible yet.
    is_prompt: bool,
    random: u64,
}

fn key(n: u32) -> Key {
    let mut bytes = Vec::new();
    push_literal(&mut bytes, |out| out.extend_from_slice(n.to_string().as_bytes()));
    Key::from_bytes(&bytes)
}

fn number(key: &Key) -> u32 {
    let literal = key.literals().next().unwrap();
    std::str::from_utf8(literal).unwrap().parse().unwrap()
}

impl World {
    fn new(uniqueness: Uniqueness, seed: u64) -> Self {
        Self {
            uniqueness,
            sabotage: Sabotage::No,
            log: Vec::new(),
            visible: 0,
            markers: 0,
            shadow: Rows::new(),
            position: 0,
            recorded: Vec::new(),
            max: None,
            read: 0,
            book: Book::new(0, |_| 1),
            ranges: None,
            copiers: vec![Copier::Idle; COPIERS],
            alone: VecDeque::new(),
            is_alone: false,
            batch: None,
            settling: Settling::No,
            start_marker: None,
            failed: false,
            is_prompt: seed.is_multiple_of(3),
            random: seed | 1,
        }
    }

    /// Rows that were there before; the feed begins behind them, before all of them are visible.
    fn begin_with_rows(&mut self) {
        for _ in 0..12 {
            self.write();
        }
        self.visible = self.log.len() - self.dice(4) as usize % (self.log.len() + 1);
        self.position = self.log.len();
        self.read = self.position;
        self.book = Book::new(self.position, |_| 1);
    }

    fn dice(&mut self, sides: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as u32 % sides
    }

    fn rows_at(&self, end: usize) -> Rows {
        let mut rows = Rows::new();
        for entry in &self.log[..end] {
            if let Logged::Transaction(changes) = entry {
                for (key, image) in changes {
                    match image {
                        Some(image) => rows.insert(*key, *image),
                        None => rows.remove(key),
                    };
                }
            }
        }
        rows
    }

    /// One transaction of one or several statements, each valid by itself in the source.
    fn write(&mut self) {
        let mut rows = self.rows_at(self.log.len());
        let mut changes = Vec::new();
        for _ in 0..=self.dice(3) {
            self.write_row(&mut rows, &mut changes);
        }
        if !changes.is_empty() {
            self.log.push(Logged::Transaction(changes));
        }
    }

    fn write_row(&mut self, rows: &mut Rows, changes: &mut Vec<(u32, Option<Image>)>) {
        let at = self.dice(KEYS);
        let mut set = |rows: &mut Rows, key: u32, image: Option<Image>| {
            match image {
                Some(image) => rows.insert(key, image),
                None => rows.remove(&key),
            };
            changes.push((key, image));
        };
        let value = self.dice(1000);
        let unique = Some(self.dice(KEYS));
        let is_free = |rows: &Rows, key: u32| {
            self.uniqueness != Uniqueness::Both
                || !rows.iter().any(|(other, image)| *other != key && image.0 == unique)
        };
        match (self.random >> 20) % 6 {
            0 | 1 => {
                let unique = unique.filter(|_| is_free(rows, at));
                set(rows, at, Some((unique, value)));
            }
            2 => {
                if rows.contains_key(&at) {
                    set(rows, at, None);
                }
            }
            3 => {
                // The key changes.
                let to = value % KEYS;
                if let Some(image) = rows.get(&at).copied().filter(|_| !rows.contains_key(&to)) {
                    set(rows, at, None);
                    set(rows, to, Some(image));
                }
            }
            _ => {
                // Two rows swap their unique values, by way of NULL.
                let other = value % KEYS;
                if let (Some(one), Some(two)) = (rows.get(&at).copied(), rows.get(&other).copied())
                    && at != other
                {
                    set(rows, at, Some((None, one.1)));
                    set(rows, other, Some((one.0, two.1)));
                    set(rows, at, Some((two.0, one.1)));
                }
            }
        }
    }

    fn mark(&mut self) -> u64 {
        self.markers += 1;
        self.log.push(Logged::Marker(self.markers));
        self.markers
    }

    fn is_visible(&self, marker: u64) -> bool {
        self.log[..self.visible].iter().any(|entry| matches!(entry, Logged::Marker(n) if *n == marker))
    }

    fn feed(&mut self) {
        let Some(entry) = self.log.get(self.read).cloned() else { return };
        match entry {
            Logged::Marker(n) => self.book.note_marker(n),
            Logged::Transaction(changes) => {
                for (at, image) in changes {
                    self.book.note(key(at), image.map_or(Op::Delete, Op::Put));
                }
            }
        }
        self.read += 1;
        self.book.complete(self.read);
    }

    /// Changes the shadow in one transaction, or not at all.
    fn transact(&mut self, change: impl FnOnce(&mut Rows) -> bool) -> bool {
        let mut rows = self.shadow.clone();
        let is_done = change(&mut rows);
        let unique = self.uniqueness;
        let mut seen = HashSet::new();
        let is_unique = unique == Uniqueness::None
            || rows.values().filter_map(|image| image.0).all(|value| seen.insert(value));
        if is_done && is_unique {
            self.shadow = rows;
        }
        is_done && is_unique
    }

    fn apply(&mut self) {
        let Some((batch, gone)) = self.batch.take() else {
            match self.settling {
                Settling::No => {}
                Settling::Chunks if self.book.chunks() == 0 => {
                    let marker = self.mark();
                    self.settling = Settling::Marker(marker);
                    return;
                }
                Settling::Marker(marker) if self.book.marker() >= marker => {}
                _ => return,
            }
            let batch = self.book.take();
            let gone = self.delete_early(&batch);
            self.batch = Some((batch, gone));
            return;
        };
        let ops = batch.ops.clone();
        if ops.iter().any(|(key, op)| self.waits_for_rows(number(key), op, &gone)) {
            // It waits for the rows' locks.
            self.batch = Some((batch, gone));
            return;
        }
        let is_done = self.transact(|rows| {
            for key in ops.keys().map(number).filter(|key| !gone.contains(key)) {
                rows.remove(&key);
            }
            ops.iter().all(|(key, op)| match op {
                Op::Put(image) => rows.insert(number(key), *image).is_none(),
                Op::Delete => true,
            })
        });
        if is_done {
            self.position = match self.sabotage {
                Sabotage::Ahead => self.read,
                _ => batch.position,
            };
            self.book.applied();
            self.settling = Settling::No;
            return;
        }
        self.book.put_back(batch);
        self.failed |= self.settling != Settling::No;
        self.settling = Settling::Chunks;
    }

    /// The DELETEs of a batch are executed now, or with its rows. Gives the keys of which they found no row.
    fn delete_early(&mut self, batch: &Batch<Image, usize>) -> BTreeSet<u32> {
        let waits = batch.ops.iter().any(|(key, op)| self.waits_for_rows(number(key), op, &BTreeSet::new()));
        if waits || self.dice(2) == 0 {
            return BTreeSet::new();
        }
        batch.ops.keys().map(number).filter(|key| !self.shadow.contains_key(key)).collect()
    }

    fn waits_for_rows(&self, key: u32, op: &Op<Image>, gone: &BTreeSet<u32>) -> bool {
        match op {
            Op::Put(image) => self.meets_uncommitted(key, image.0),
            Op::Delete => !gone.contains(&key) && self.meets_uncommitted(key, None),
        }
    }

    fn copy(&mut self, at: usize) {
        let copier = std::mem::replace(&mut self.copiers[at], Copier::Idle);
        self.copiers[at] = match copier {
            Copier::Idle => self.begin(),
            Copier::Marking(id, piece, marker)
                if !self.is_visible(marker) && self.sabotage != Sabotage::Unmarked =>
            {
                Copier::Marking(id, piece, marker)
            }
            Copier::Marking(id, piece, _) => match !self.is_alone && self.dice(2) == 0 {
                true => {
                    let present = self.shadow.keys().copied().collect();
                    Copier::Present(id, piece, present)
                }
                false => {
                    let rows = self.visible_rows(&piece);
                    Copier::Read(id, piece, rows)
                }
            },
            Copier::Present(id, piece, present) => {
                let mut rows = self.visible_rows(&piece);
                rows.retain(|key, _| !present.contains(key));
                Copier::Filling(id, piece, rows)
            }
            Copier::Filling(id, piece, rows) => self.fill(id, piece, rows),
            Copier::Filled(id, piece, rows) => {
                if self.claim_whole(id, &piece) {
                    Copier::Whole(id, piece, rows)
                } else {
                    self.give_way(id, piece)
                }
            }
            Copier::Whole(id, piece, rows) => {
                self.commit(id, piece, rows);
                Copier::Idle
            }
            Copier::Read(id, piece, rows) if self.is_alone => {
                let marker = self.mark();
                self.book.hold_at(id, marker);
                Copier::Holding(id, piece, rows)
            }
            Copier::Holding(id, piece, rows) if self.settling != Settling::No => {
                let _ = rows;
                self.book.close(id);
                self.alone.push_back(piece);
                self.is_alone = false;
                Copier::Idle
            }
            Copier::Holding(id, piece, rows) if !self.book.is_held(id) => Copier::Holding(id, piece, rows),
            Copier::Read(id, piece, mut rows) | Copier::Holding(id, piece, mut rows) => {
                let keys: Vec<Key> = rows.keys().map(|n| key(*n)).collect();
                let mut kept = Vec::new();
                self.book.claim(id, keys.iter().map(Key::as_bytes), |keep| kept.push(keep));
                let mut kept = kept.into_iter();
                let keeps_all = self.sabotage == Sabotage::Unclaimed;
                rows.retain(|_, _| kept.next().unwrap() || keeps_all);
                if self.sabotage == Sabotage::Early {
                    self.book.close(id);
                }
                Copier::Claimed(id, piece, rows)
            }
            Copier::Claimed(id, piece, mut rows) => {
                rows.retain(|key, _| !self.shadow.contains_key(key));
                Copier::Looked(id, piece, rows)
            }
            Copier::Looked(id, piece, rows)
                if rows.iter().any(|(key, image)| self.meets_uncommitted(*key, image.0)) =>
            {
                Copier::Looked(id, piece, rows)
            }
            Copier::Looked(id, piece, rows) => {
                self.commit(id, piece, rows);
                Copier::Idle
            }
        };
    }

    /// Rows of a piece that a SELECT sees now.
    fn visible_rows(&self, piece: &Piece) -> Rows {
        let mut rows = self.rows_at(self.visible);
        rows.retain(|row, _| piece.range.may_hold(&key(*row)));
        rows
    }

    fn claim_whole(&mut self, id: ChunkId, piece: &Piece) -> bool {
        match self.sabotage {
            Sabotage::Unasked => {
                self.book.claim_whole(id, |_| false);
                true
            }
            Sabotage::Overtaken => {
                let applying: Vec<Key> =
                    self.batch.iter().flat_map(|(batch, _)| batch.ops.keys().cloned()).collect();
                self.book.claim_whole(id, |key| piece.range.may_hold(key) && !applying.contains(key))
            }
            _ => self.book.claim_whole(id, |key| piece.range.may_hold(key)),
        }
    }

    /// The server's own copy writes its rows, unless it meets others.
    fn fill(&mut self, id: ChunkId, piece: Piece, rows: Rows) -> Copier {
        let mut all = self.shadow.clone();
        let is_new = rows
            .iter()
            .all(|(key, image)| !self.meets_uncommitted(*key, image.0) && all.insert(*key, *image).is_none());
        let mut seen = HashSet::new();
        let is_unique = self.uniqueness == Uniqueness::None
            || all.values().filter_map(|image| image.0).all(|value| seen.insert(value));
        if is_new && is_unique { Copier::Filled(id, piece, rows) } else { self.give_way(id, piece) }
    }

    /// The server's own copy is rolled back, and begun anew.
    fn give_way(&mut self, id: ChunkId, piece: Piece) -> Copier {
        self.book.close(id);
        if self.settling != Settling::No {
            self.ranges.as_mut().unwrap().returned(piece);
            return Copier::Idle;
        }
        let id = self.book.open();
        let marker = self.mark();
        Copier::Marking(id, piece, marker)
    }

    /// Says whether a row has the key or the unique value of one that is written and not committed.
    fn meets_uncommitted(&self, key: u32, unique: Option<u32>) -> bool {
        let has_unique = |rows: &Rows| {
            let is_it = |image: &Image| image.0.is_some() && image.0 == unique;
            self.uniqueness != Uniqueness::None && rows.values().any(is_it)
        };
        self.copiers.iter().any(|copier| match copier {
            Copier::Filled(_, _, rows) | Copier::Whole(_, _, rows) => {
                rows.contains_key(&key) || has_unique(rows)
            }
            _ => false,
        })
    }

    fn begin(&mut self) -> Copier {
        if self.settling != Settling::No || self.is_alone || self.ranges.is_none() {
            return Copier::Idle;
        }
        if !self.alone.is_empty() {
            if self.book.chunks() > 0 {
                return Copier::Idle;
            }
            self.is_alone = true;
            let piece = self.alone.pop_front().unwrap();
            let id = self.book.open();
            let marker = self.mark();
            return Copier::Marking(id, piece, marker);
        }
        let visible = self.rows_at(self.visible);
        let max = self.max.clone();
        let ranges = self.ranges.as_mut().unwrap();
        let piece = match ranges.next_step() {
            Next::Piece(piece) => Some(piece),
            Next::Scout(after) => {
                let after = after.as_ref().map(number);
                let high = max.as_ref().map(number);
                let ahead = visible.keys().filter(|key| {
                    after.is_none_or(|after| **key > after) && high.is_none_or(|high| **key <= high)
                });
                ranges.scouted(ahead.copied().nth(CHUNK - 1).map(key))
            }
            Next::Wait | Next::Done => None,
        };
        let Some(piece) = piece else { return Copier::Idle };
        let id = self.book.open();
        let marker = self.mark();
        Copier::Marking(id, piece, marker)
    }

    fn commit(&mut self, id: ChunkId, piece: Piece, rows: Rows) {
        let is_done =
            self.transact(|shadow| rows.iter().all(|(key, image)| shadow.insert(*key, *image).is_none()));
        let was_alone = std::mem::take(&mut self.is_alone);
        self.book.close(id);
        let ranges = self.ranges.as_mut().unwrap();
        if is_done {
            let high = piece.range.through.clone().unwrap();
            self.recorded.push(Copied { number: piece.number, low: piece.range.after.clone(), high });
            ranges.committed(&piece);
            return;
        }
        self.failed |= was_alone;
        // It stays at work until it was copied alone.
        self.alone.push_back(piece);
    }

    /// Subscribes, marks, and asks for the greatest key, once; after a crash goes on.
    fn start(&mut self) {
        if self.ranges.is_some() {
            return;
        }
        let Some(marker) = self.start_marker else {
            self.start_marker = Some(self.mark());
            return;
        };
        let has_come = self.is_visible(marker) && self.book.marker() >= marker;
        if !has_come && self.sabotage != Sabotage::EarlyMax {
            return;
        }
        if self.max.is_none() {
            let last = self.rows_at(self.visible).keys().next_back().copied();
            self.max = Some(key(last.unwrap_or(0)));
        }
        self.ranges = Some(Ranges::new(self.max.clone().unwrap(), self.recorded.clone()));
    }

    fn crash(&mut self) {
        self.read = self.position;
        self.book = Book::new(self.position, |_| 1);
        self.ranges = None;
        self.copiers = vec![Copier::Idle; COPIERS];
        self.alone.clear();
        self.is_alone = false;
        self.batch = None;
        self.settling = Settling::No;
        self.start_marker = None;
    }

    fn step(&mut self, action: u8) {
        if self.is_prompt {
            self.feed();
            self.feed();
            self.apply();
        }
        match action % 16 {
            0..=2 => self.write(),
            3 | 4 => self.visible = (self.visible + 1).min(self.log.len()),
            5 | 6 => self.feed(),
            7 | 8 => self.apply(),
            9..=13 => self.copy(usize::from(action) % COPIERS),
            14 => self.start(),
            _ if action == 255 || action == 127 => self.crash(),
            _ => self.visible = self.log.len(),
        }
        let kept = (self.book.pending.len(), self.book.deferred.len());
        assert_eq!(self.book.bytes(), kept, "each weighs 1: what is counted is what is kept");
    }

    /// Writers stop; everything else goes on until it is done.
    fn finish(&mut self) -> Outcome {
        for round in 0..4000 {
            self.visible = self.log.len();
            self.start();
            self.feed();
            self.apply();
            for at in 0..COPIERS {
                self.copy(at);
            }
            if self.failed {
                return Outcome::Duplicate;
            }
            let is_copied = self.ranges.as_mut().is_some_and(|ranges| match ranges.next_step() {
                Next::Done => true,
                Next::Piece(piece) => {
                    ranges.returned(piece);
                    false
                }
                Next::Scout(_) => {
                    ranges.scouting_failed();
                    false
                }
                Next::Wait => false,
            });
            let is_idle = self.copiers.iter().all(|copier| matches!(copier, Copier::Idle));
            let is_read = self.read == self.log.len() && self.batch.is_none();
            if is_copied && is_idle && self.alone.is_empty() && is_read && self.book.is_drained() {
                return Outcome::Equal;
            }
            assert!(round < 3999, "it does not come to an end");
        }
        Outcome::Equal
    }
}

fn play(uniqueness: Uniqueness, seed: u64, actions: &[u8]) -> (Outcome, World) {
    let mut world = World::new(uniqueness, seed);
    world.begin_with_rows();
    for action in actions {
        world.step(*action);
    }
    let outcome = world.finish();
    (outcome, world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_shadow_ends_equal(seed: u64, actions in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (outcome, world) = play(Uniqueness::None, seed, &actions);
        prop_assert_eq!(outcome, Outcome::Equal);
        prop_assert_eq!(&world.shadow, &world.rows_at(world.log.len()));
    }

    #[test]
    fn unique_values_that_move_are_no_duplicates(
        seed: u64,
        actions in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (outcome, world) = play(Uniqueness::Both, seed, &actions);
        prop_assert_eq!(outcome, Outcome::Equal);
        prop_assert_eq!(&world.shadow, &world.rows_at(world.log.len()));
    }

    #[test]
    fn true_duplicates_are_found(seed: u64, actions in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (outcome, world) = play(Uniqueness::ShadowOnly, seed, &actions);
        let source = world.rows_at(world.log.len());
        let mut seen = HashSet::new();
        let has_duplicates = source.values().filter_map(|image| image.0).any(|value| !seen.insert(value));
        prop_assert!(outcome == Outcome::Duplicate || !has_duplicates);
        prop_assert!(outcome == Outcome::Duplicate || world.shadow == source);
    }
}

#[test]
fn a_row_that_changes_again_and_again_weighs_what_is_kept_of_it() {
    let mut book: Book<usize, u32> = Book::new(0, |op| match op {
        Op::Put(bytes) => *bytes,
        Op::Delete => 0,
    });
    for _ in 0..1_000 {
        book.note(key(1), Op::Put(700));
    }
    book.note(key(2), Op::Put(40));
    assert_eq!(book.bytes(), (740, 0));
    book.note(key(1), Op::Delete);
    assert_eq!(book.bytes(), (40, 0));
    // In a transaction that comes to nothing, and changed again meanwhile; then beside a chunk.
    let batch = book.take();
    book.note(key(2), Op::Put(60));
    book.put_back(batch);
    assert_eq!(book.bytes(), (60, 0));
    let chunk = book.open();
    book.claim(chunk, [key(3)].iter().map(Key::as_bytes), |_| {});
    for bytes in [10, 30, 20] {
        book.note(key(3), Op::Put(bytes));
    }
    assert_eq!(book.bytes(), (60, 20));
    book.close(chunk);
    assert_eq!(book.bytes(), (80, 0));
    book.take();
    assert_eq!(book.bytes(), (0, 0));
}

/// Plays random worlds with one step left out until the tables differ.
fn is_noticed(sabotage: Sabotage) -> bool {
    (1..20_000_u64).any(|seed| {
        let mut world = World::new(Uniqueness::None, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        world.sabotage = sabotage;
        world.begin_with_rows();
        for _ in 0..250 {
            let action = world.dice(256) as u8;
            world.step(action);
        }
        world.finish() != Outcome::Equal || world.shadow != world.rows_at(world.log.len())
    })
}

#[test]
fn each_step_is_needed() {
    use Sabotage::{Ahead, Early, EarlyMax, Overtaken, Unasked, Unclaimed, Unmarked};
    for sabotage in [Unmarked, Unclaimed, Ahead, Early, EarlyMax, Unasked, Overtaken] {
        assert!(is_noticed(sabotage), "{sabotage:?} is not noticed");
    }
}

#[test]
fn the_simulation_meets_what_it_is_for() {
    let mut settled = 0;
    let mut alone = 0;
    let mut crashes = 0;
    for seed in 0..400_u64 {
        let mut world = World::new(Uniqueness::Both, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        world.begin_with_rows();
        for _ in 0..400 {
            let action = world.dice(256) as u8;
            crashes += usize::from(action == 255 || action == 127);
            let was = (world.settling != Settling::No, world.is_alone);
            world.step(action);
            settled += usize::from(!was.0 && world.settling != Settling::No);
            alone += usize::from(!was.1 && world.is_alone);
        }
        assert_eq!(world.finish(), Outcome::Equal);
        assert_eq!(world.shadow, world.rows_at(world.log.len()));
    }
    assert!(
        settled > 20 && alone > 20 && crashes > 100,
        "{settled} settled, {alone} alone, {crashes} crashes"
    );
}
