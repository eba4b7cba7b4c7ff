//! The table of digests: what each kind of statement costs.
//!
//! Split into segments by digest; a full segment gives up the digest used least of late.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::histogram::{Histogram, HistogramReport};
use crate::ids::Keyspace;

/// Most digests that are kept; each takes about 2.5 KiB.
pub const DIGESTS_MAX: usize = SEGMENTS * SEGMENT_DIGESTS_MAX;

const SEGMENTS: usize = 64;
const SEGMENT_DIGESTS_MAX: usize = 160;

/// Longest normalised text that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// What is added to a digest by one statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) latency: Duration,
    pub(super) is_error: bool,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

pub(super) struct Digests {
    segments: Box<[RwLock<Segment>]>,
    evicted: AtomicU64,
}

#[derive(Default)]
struct Segment {
    /// Keys are digests mixed with the keyspace, so they are hashes already.
    digests: HashMap<u64, Digest, BuildHasherDefault<AsItIs>>,
    evictions: usize,
}

struct Digest {
    keyspace: Option<Keyspace>,
    digest: u64,
    text: Box<str>,
    errors: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// Statements, halved whenever the segment has given up as many digests as it holds.
    recent: AtomicU64,
    latency: Histogram,
}

/// What one digest cost until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestReport {
    /// The keyspace; absent for statements that reached none.
    pub keyspace: Option<Keyspace>,
    /// The fingerprint.
    pub digest: u64,
    /// Normalised text: values replaced by `?`.
    pub text: Box<str>,
    /// Statements.
    pub calls: u64,
    /// Statements that ended with an error.
    pub errors: u64,
    /// Rows returned or affected.
    pub rows: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Latencies.
    pub latency: HistogramReport,
}

impl Digests {
    pub(super) fn new() -> Self {
        let segments = (0..SEGMENTS).map(|_| RwLock::new(Segment::default())).collect();
        Self { segments, evicted: AtomicU64::new(0) }
    }

    /// Adds one statement; `text` is asked for only when the digest is new.
    pub(super) fn record(
        &self,
        keyspace: Option<&Keyspace>,
        digest: u64,
        cost: Cost,
        text: impl FnOnce() -> String,
    ) {
        let key = key_of(keyspace, digest);
        let segment = &self.segments[usize::try_from(key >> 58).unwrap_or_default()];
        if let Some(found) = segment.read().unwrap_or_else(PoisonError::into_inner).digests.get(&key) {
            found.add(cost);
            return;
        }
        // The text is made outside the lock; when another thread was faster, its entry stays.
        let new = Digest::new(keyspace.cloned(), digest, text());
        let mut segment = segment.write().unwrap_or_else(PoisonError::into_inner);
        if segment.digests.len() >= SEGMENT_DIGESTS_MAX && !segment.digests.contains_key(&key) {
            self.evict(&mut segment);
        }
        segment.digests.entry(key).or_insert(new).add(cost);
    }

    fn evict(&self, segment: &mut Segment) {
        let recent_of = |digest: &Digest| digest.recent.load(Ordering::Relaxed);
        let least = segment.digests.iter().min_by_key(|(_, digest)| recent_of(digest)).map(|(key, _)| *key);
        if let Some(key) = least {
            segment.digests.remove(&key);
            segment.evictions += 1;
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        // Old fame fades, but slower than a flood of new digests passes through.
        if segment.evictions.is_multiple_of(SEGMENT_DIGESTS_MAX) {
            let digests = segment.digests.values();
            digests.for_each(|digest| digest.recent.store(recent_of(digest) / 2, Ordering::Relaxed));
        }
    }

    /// Every digest, in no order.
    pub(super) fn report(&self) -> Vec<DigestReport> {
        let mut rows = Vec::new();
        for segment in &self.segments {
            let segment = segment.read().unwrap_or_else(PoisonError::into_inner);
            rows.extend(segment.digests.values().map(Digest::report));
        }
        rows
    }

    /// Digests given up because the table was full.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Digests in the table.
    pub(super) fn len(&self) -> usize {
        self.segments
            .iter()
            .map(|segment| segment.read().unwrap_or_else(PoisonError::into_inner).digests.len())
            .sum()
    }
}

impl Digest {
    fn new(keyspace: Option<Keyspace>, digest: u64, mut text: String) -> Self {
        if text.len() > TEXT_BYTES_MAX {
            let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or_default());
            text.push('…');
        }
        Self {
            keyspace,
            digest,
            text: text.into(),
            errors: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            recent: AtomicU64::new(0),
            latency: Histogram::new(),
        }
    }

    fn add(&self, cost: Cost) {
        self.latency.record(cost.latency);
        self.errors.fetch_add(u64::from(cost.is_error), Ordering::Relaxed);
        self.rows.fetch_add(cost.rows, Ordering::Relaxed);
        self.bytes.fetch_add(cost.bytes, Ordering::Relaxed);
        self.recent.fetch_add(1, Ordering::Relaxed);
    }

    fn report(&self) -> DigestReport {
        let latency = self.latency.report();
        DigestReport {
            keyspace: self.keyspace.clone(),
            digest: self.digest,
            text: self.text.clone(),
            calls: latency.count(),
            errors: self.errors.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            latency,
        }
    }
}

fn key_of(keyspace: Option<&Keyspace>, digest: u64) -> u64 {
    let keyspace = keyspace.map_or(0, |name| xxhash_rust::xxh3::xxh3_64(name.as_str().as_bytes()));
    // An odd factor spreads digests whose high bits agree.
    (digest ^ keyspace).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Takes a `u64` key as its own hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(us: u64) -> Cost {
        Cost { latency: Duration::from_micros(us), is_error: false, rows: 1, bytes: 10 }
    }

    #[test]
    fn digests_add_up_by_keyspace() {
        let digests = Digests::new();
        let shop = Keyspace::new("shop");
        digests.record(Some(&shop), 1, cost(100), || "select ?".into());
        digests.record(Some(&shop), 1, Cost { is_error: true, ..cost(300) }, || unreachable!());
        digests.record(None, 1, cost(5), || "select ?".into());
        let mut rows = digests.report();
        rows.sort_by_key(|row| row.calls);
        assert_eq!(rows.iter().map(|row| (row.calls, row.errors)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
        assert_eq!((rows[1].rows, rows[1].bytes, rows[1].latency.max_us), (2, 20, 300));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_is_used() {
        let digests = Digests::new();
        for _ in 0..1000 {
            digests.record(None, 0, cost(1), || "hot".into());
        }
        let many = (DIGESTS_MAX * 3) as u64;
        for digest in 1..many {
            digests.record(None, digest, cost(1), || "cold".repeat(1000));
        }
        assert!(digests.len() <= DIGESTS_MAX);
        assert_eq!(digests.len() as u64 + digests.evicted(), many);
        let rows = digests.report();
        assert!(rows.iter().any(|row| &*row.text == "hot" && row.calls == 1000));
        assert!(rows.iter().all(|row| row.text.len() <= TEXT_BYTES_MAX + '…'.len_utf8()));
    }
}
