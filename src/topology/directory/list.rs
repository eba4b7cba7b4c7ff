//! Listing workspaces in order, a part at a time.

use std::collections::BinaryHeap;

use super::{Directory, Entry, Slot};
use crate::ids::{ShardName, WorkspaceId};
use crate::topology::WorkspaceState;

/// Most rows of one list.
pub const LIST_ROWS_MAX: usize = 10_000;

/// Which workspaces to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only those on this shard.
    pub shard: Option<ShardName>,
    /// Only those in this state.
    pub state: Option<WorkspaceState>,
    /// Only those that come after this one.
    pub after: Option<WorkspaceId>,
    /// At most so many, and never more than [`LIST_ROWS_MAX`].
    pub limit: usize,
}

impl Directory {
    /// The first workspaces that match, numbers before texts, in order.
    ///
    /// Walks the whole directory (some milliseconds at a million) and keeps `limit` rows.
    pub fn list(&self, filter: &ListFilter) -> Vec<(WorkspaceId, Entry)> {
        let limit = filter.limit.min(LIST_ROWS_MAX);
        let mut first: BinaryHeap<Row> = BinaryHeap::with_capacity(limit + 1);
        for page in self.pages() {
            for (workspace, slot) in page.entries() {
                let is_wanted = filter.state.is_none_or(|state| state == slot.state)
                    && filter.after.as_ref().is_none_or(|after| workspace > *after)
                    && filter.shard.as_ref().is_none_or(|shard| self.shards().name(slot.shard) == *shard);
                if is_wanted {
                    first.push(Row { workspace, entry: self.entry(slot) });
                }
                if first.len() > limit {
                    first.pop();
                }
            }
        }
        first.into_sorted_vec().into_iter().map(|row| (row.workspace, row.entry)).collect()
    }
}

impl Directory {
    /// Some active workspace of a shard: the same one as long as nothing about it changes and none comes that
    /// is before it in the pages.
    ///
    /// Ends at the first page that has one.
    pub fn some_active(&self, shard: &ShardName) -> Option<WorkspaceId> {
        self.pages().find_map(|page| {
            let mut entries = page.entries();
            let is_it = |slot: &Slot| {
                slot.state == WorkspaceState::Active && self.shards().name(slot.shard) == *shard
            };
            entries.find(|(_, slot)| is_it(slot)).map(|(workspace, _)| workspace)
        })
    }
}

/// Ordered by workspace alone.
struct Row {
    workspace: WorkspaceId,
    entry: Entry,
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.workspace.cmp(&other.workspace)
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.workspace == other.workspace
    }
}

impl Eq for Row {}
