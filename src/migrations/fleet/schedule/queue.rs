//! The databases of one migration on one cluster.

use std::collections::{BTreeSet, VecDeque};

use super::bucket::Bucket;
use crate::migrations::fleet::ledger::{Counts, Kind, Moment};

/// What is to come, and how many there are of each kind.
#[derive(Debug)]
pub(super) struct Queue {
    /// By wave: what may be begun, in order.
    pub(super) waiting: Vec<VecDeque<u32>>,
    /// What waits for a time: tried before, or left for later.
    pub(super) delayed: BTreeSet<(Moment, u32)>,
    /// By wave.
    pub(super) counts: Vec<Counts>,
    /// Of the migration's own pace.
    pub(super) bucket: Bucket,
    /// Something was begun or ended here then.
    pub(super) touched: Option<Moment>,
}

impl Queue {
    pub(super) fn new(waves: usize) -> Self {
        Self {
            waiting: vec![VecDeque::new(); waves],
            delayed: BTreeSet::new(),
            counts: vec![Counts::default(); waves],
            bucket: Bucket::new(),
            touched: None,
        }
    }

    /// Being changed, or not known.
    pub(super) fn occupied(&self) -> u32 {
        self.counts.iter().map(|counts| counts.of(Kind::Running) + counts.of(Kind::Unsure)).sum()
    }

    /// What is begun next of the waves up to this one.
    pub(super) fn next(&mut self, wave: u16) -> Option<u32> {
        self.waiting.iter_mut().take(usize::from(wave) + 1).find_map(VecDeque::pop_front)
    }

    /// The first of those that wait for a time which has come.
    pub(super) fn due(&mut self, now: Moment) -> Option<u32> {
        let (at, row) = *self.delayed.first()?;
        if at > now {
            return None;
        }
        self.delayed.pop_first();
        Some(row)
    }
}
