//! Which routing columns are bound in the end.

use std::collections::HashSet;

use super::{ColumnId, Source, Walk};

/// What ties a statement to its workspace.
#[derive(Debug)]
pub(in crate::plan) struct Tie {
    bound: HashSet<ColumnId>,
}

impl Tie {
    /// Says whether every row that matters has the tied value in this column.
    pub(in crate::plan) fn is_bound(&self, column: ColumnId) -> bool {
        self.bound.contains(&column)
    }
}

/// Follows the rules from the constants until nothing is added.
///
/// Assumptions about recursive references that turn out wrong are taken back, and everything is followed
/// again.
pub(in crate::plan) fn solve(walk: &mut Walk<'_>) -> Tie {
    loop {
        let bound = follow(walk);
        let wrong: HashSet<ColumnId> = walk
            .obligations
            .iter()
            .filter(|(assumed, whole)| bound.contains(assumed) && !bound.contains(whole))
            .map(|(assumed, _)| *assumed)
            .collect();
        if wrong.is_empty() {
            return Tie { bound };
        }
        walk.rules.retain(|(_, then)| !wrong.contains(then));
        walk.constants.retain(|(column, _)| !wrong.contains(column));
    }
}

fn follow(walk: &Walk<'_>) -> HashSet<ColumnId> {
    let mut bound: HashSet<ColumnId> = walk.constants.iter().map(|(column, _)| *column).collect();
    let mut grows = true;
    while grows {
        grows = false;
        for (all, then) in &walk.rules {
            if !bound.contains(then) && all.iter().all(|column| bound.contains(column)) {
                bound.insert(*then);
                grows = true;
            }
        }
    }
    bound
}

impl Walk<'_> {
    /// Every value that some column of a slot is equal to; they must all be the same.
    pub(in crate::plan) fn sources(&self, of: impl Fn(&super::Slot) -> bool) -> Vec<Source> {
        let mut sources: Vec<Source> = self
            .constants
            .iter()
            .filter(|(column, _)| of(self.slot(*column)))
            .flat_map(|(_, sources)| sources.iter().cloned())
            .collect();
        sources.sort();
        sources.dedup();
        sources
    }

    /// Where a column was compared with something that is no plain value.
    pub(in crate::plan) fn near_miss(&self, columns: &[ColumnId]) -> Option<usize> {
        self.near_misses.iter().find(|(column, _)| columns.contains(column)).map(|(_, at)| *at)
    }
}
