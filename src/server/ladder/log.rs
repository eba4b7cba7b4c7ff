//! The log of events: ordered keys in the store, bounded in number and age, and the same in memory, so that
//! it can be read while the store is away.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::admin::LoggedEntry;
use crate::drain::Entry;

/// Under this prefix.
pub(super) const EVENTS_PREFIX: &str = "events/";
/// Events kept, at most: about 5 MiB, and weeks of everyday traffic.
pub(super) const EVENTS_MAX: usize = 5000;
/// Older ones are removed.
const EVENTS_AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// So many are kept whatever their age: it is told by the wall clock, which may jump.
const EVENTS_KEPT: usize = 500;
/// Events that wait for the store, at most; then the oldest of them are given up.
pub(super) const PENDING_MAX: usize = 1000;

/// The key of an event: keys are in the order of events.
pub(super) fn key_of(id: u64) -> String {
    format!("{EVENTS_PREFIX}{id:020}")
}

/// The number in a key.
pub(super) fn id_of(key: &str) -> Option<u64> {
    key.strip_prefix(EVENTS_PREFIX)?.parse().ok()
}

/// One event that is in the store.
#[derive(Clone, Debug)]
struct Stored {
    version: u64,
    /// Absent when it cannot be read: a later program's, or damaged.
    entry: Option<Arc<Entry>>,
}

#[derive(Debug, Default)]
struct Inner {
    stored: BTreeMap<u64, Stored>,
    pending: VecDeque<Arc<Entry>>,
    given_up: u64,
}

/// The log in memory. Written by the task at the store, read by the admin port.
#[derive(Debug, Default)]
pub(in crate::server) struct EventLog(Mutex<Inner>);

impl EventLog {
    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one that is to be stored.
    pub(super) fn add(&self, entry: Arc<Entry>) {
        let mut inner = self.lock();
        inner.pending.push_back(entry);
        if inner.pending.len() > PENDING_MAX {
            inner.pending.pop_front();
            inner.given_up += 1;
        }
    }

    /// The first ones that are to be stored, at most so many.
    pub(super) fn pending(&self, max: usize) -> Vec<Arc<Entry>> {
        self.lock().pending.iter().take(max).cloned().collect()
    }

    /// The first so many of those to be stored are, with numbers from `first`, unless they were given up in
    /// the meantime.
    pub(super) fn stored(&self, first: u64, entries: &[Arc<Entry>], version: u64) {
        let mut inner = self.lock();
        for (id, entry) in (first..).zip(entries) {
            if inner.pending.front().is_some_and(|pending| Arc::ptr_eq(pending, entry)) {
                inner.pending.pop_front();
            }
            inner.stored.insert(id, Stored { version, entry: Some(entry.clone()) });
        }
    }

    /// After a commit whose end was not known, and a listing: those that are there are stored.
    pub(super) fn settle(&self, first: u64, entries: &[Arc<Entry>]) {
        let mut inner = self.lock();
        for (id, entry) in (first..).zip(entries) {
            let is_there = inner.stored.get(&id).is_some_and(|stored| stored.entry.as_ref() == Some(entry));
            let is_first = inner.pending.front().is_some_and(|pending| Arc::ptr_eq(pending, entry));
            if is_there && is_first {
                inner.pending.pop_front();
            }
        }
    }

    /// One that the store showed.
    pub(super) fn saw(&self, id: u64, value: Option<(&[u8], u64)>) {
        let mut inner = self.lock();
        match value {
            None => {
                inner.stored.remove(&id);
            }
            Some((bytes, version)) => {
                if inner.stored.get(&id).is_some_and(|known| known.version >= version) {
                    return;
                }
                let entry = serde_json::from_slice(bytes).ok().map(Arc::new);
                inner.stored.insert(id, Stored { version, entry });
            }
        }
    }

    /// The store was listed: what is not in it is gone.
    pub(super) fn keep_only(&self, is_there: impl Fn(u64) -> bool) {
        self.lock().stored.retain(|id, _| is_there(*id));
    }

    /// The number that the next event gets.
    pub(super) fn next_id(&self) -> u64 {
        self.lock().stored.last_key_value().map_or(1, |(id, _)| id + 1)
    }

    /// Events too many or too old, with their versions, oldest first; at most so many.
    pub(super) fn outdated(&self, wall: SystemTime, max: usize) -> Vec<(u64, u64)> {
        let inner = self.lock();
        let surplus = inner.stored.len().saturating_sub(EVENTS_MAX);
        let aged = inner.stored.len().saturating_sub(EVENTS_KEPT);
        let is_old = |stored: &Stored| {
            let age = stored.entry.as_ref().and_then(|entry| wall.duration_since(entry.at()).ok());
            age.is_some_and(|age| age > EVENTS_AGE_MAX)
        };
        let rows = inner.stored.iter().take(aged.max(surplus)).enumerate();
        rows.filter(|(at, (_, stored))| *at < surplus || is_old(stored))
            .take(max)
            .map(|(_, (id, stored))| (*id, stored.version))
            .collect()
    }

    /// Every event in order; those not yet stored last and without a number.
    pub(super) fn entries(&self) -> Vec<LoggedEntry> {
        let inner = self.lock();
        let stored = inner
            .stored
            .iter()
            .filter_map(|(id, stored)| Some(LoggedEntry { id: Some(*id), entry: stored.entry.clone()? }));
        let pending = inner.pending.iter().map(|entry| LoggedEntry { id: None, entry: entry.clone() });
        stored.chain(pending).collect()
    }

    /// Events that were given up because the store was away for too long.
    pub(super) fn given_up(&self) -> u64 {
        self.lock().given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::Notice;

    fn notice(second: u64) -> Arc<Entry> {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let name = "hot_spot".to_owned();
        Arc::new(Entry::Notice(Notice { at, cluster: None, is_raised: true, name, said: "x".into() }))
    }

    #[test]
    fn too_many_and_too_old_ones_go_oldest_first() {
        let log = EventLog::default();
        let entries: Vec<_> = (0..EVENTS_MAX as u64 + 3).map(notice).collect();
        log.stored(1, &entries, 9);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(log.outdated(wall, 2), [(1, 9), (2, 9)]);
        assert_eq!(log.outdated(wall, 100).len(), 3);
        // Half a year later all are old, and the last ones stay.
        let wall = wall + 2 * EVENTS_AGE_MAX;
        assert_eq!(log.outdated(wall, usize::MAX).len(), EVENTS_MAX + 3 - EVENTS_KEPT);
        assert_eq!(log.next_id(), EVENTS_MAX as u64 + 4);
    }

    #[test]
    fn what_waits_for_the_store_is_bounded_and_shown() {
        let log = EventLog::default();
        for second in 0..PENDING_MAX as u64 + 2 {
            log.add(notice(second));
        }
        assert_eq!((log.entries().len(), log.given_up()), (PENDING_MAX, 2));
        let first = log.pending(10);
        log.add(notice(7));
        // One of the ten was given up while they were written.
        log.stored(1, &first, 3);
        let entries = log.entries();
        assert_eq!(entries.len(), 10 + PENDING_MAX - 9);
        assert_eq!(entries.iter().filter(|entry| entry.id.is_some()).count(), 10);
    }

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        assert!(key_of(9) < key_of(10) && key_of(99) < key_of(u64::MAX));
        assert_eq!(id_of(&key_of(17)), Some(17));
        assert_eq!((id_of("events/"), id_of("clusters/c1/decision")), (None, None));
    }
}
