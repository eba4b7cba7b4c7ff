//! Shard names of a directory as small numbers, with the count of workspaces on each.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::super::WorkspaceState;
use super::page::{Page, Slot};
use crate::ids::ShardName;

const STATES: usize = WorkspaceState::ALL.len();

/// Names and counts; grows, never shrinks.
pub(in crate::topology) struct ShardTable {
    rows: ArcSwap<Vec<Arc<Row>>>,
    /// Held while a name is added.
    adding: Mutex<()>,
}

struct Row {
    name: ShardName,
    /// Workspaces by state; written when a page is installed, under the directory's install lock.
    counts: [AtomicU64; STATES],
}

impl ShardTable {
    pub(super) fn new() -> Self {
        Self { rows: ArcSwap::from_pointee(Vec::new()), adding: Mutex::new(()) }
    }

    /// The number of a name, which is added when it is new; `None` when 65,536 names are there.
    pub(in crate::topology) fn intern(&self, name: &ShardName) -> Option<u16> {
        let position = |rows: &[Arc<Row>]| rows.iter().position(|row| row.name == *name);
        if let Some(at) = position(&self.rows.load()) {
            return u16::try_from(at).ok();
        }
        let _adding = self.adding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut rows = Vec::clone(&self.rows.load());
        let at = position(&rows).unwrap_or(rows.len());
        let number = u16::try_from(at).ok()?;
        if at == rows.len() {
            rows.push(Arc::new(Row { name: name.clone(), counts: Default::default() }));
            self.rows.store(Arc::new(rows));
        }
        Some(number)
    }

    /// The name of a number that [`Self::intern`] gave.
    pub(in crate::topology) fn name(&self, number: u16) -> ShardName {
        self.rows.load()[usize::from(number)].name.clone()
    }

    /// Moves the counts from the old contents of a page to the new ones.
    pub(super) fn recount(&self, old: &Page, new: &Page) {
        let rows = self.rows.load();
        let cell = |slot: Slot| &rows[usize::from(slot.shard)].counts[usize::from(slot.state.number())];
        for slot in new.slots() {
            cell(slot).fetch_add(1, Ordering::Relaxed);
        }
        for slot in old.slots() {
            cell(slot).fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Workspaces on each shard by state, in the order of [`WorkspaceState::ALL`].
    pub(super) fn counts(&self) -> Vec<(ShardName, [u64; STATES])> {
        let rows = self.rows.load();
        let read =
            |row: &Arc<Row>| (row.name.clone(), row.counts.each_ref().map(|c| c.load(Ordering::Relaxed)));
        rows.iter().map(read).collect()
    }
}
