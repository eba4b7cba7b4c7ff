//! Tables that were emptied by way of this proxy: they look as if they never held a row, and code knows them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::ClusterName;

/// How long that is remembered.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Tables that are remembered. With more, every table that looks as if it was never used counts as emptied.
const TABLES_MAX: usize = 10_000;

/// The tables whose counter was set back. One per proxy; gone when it ends.
#[derive(Debug, Default)]
pub struct EmptiedTables(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When, by cluster and `database.table` in lower case.
    tables: BTreeMap<(ClusterName, String), Instant>,
    /// When one was not remembered for want of room.
    overflowed: Option<Instant>,
}

impl EmptiedTables {
    /// The table was emptied, or its counter set back.
    pub(super) fn note(&self, cluster: &ClusterName, name: &str, now: Instant) {
        self.with(|known| {
            if known.tables.len() >= TABLES_MAX {
                known.tables.retain(|_, at| is_recent(*at, now));
            }
            if known.tables.len() >= TABLES_MAX {
                known.overflowed = Some(now);
                return;
            }
            known.tables.insert((cluster.clone(), name.to_lowercase()), now);
        });
    }

    /// The table is a new one, or gone.
    pub(super) fn forget(&self, cluster: &ClusterName, name: &str) {
        self.with(|known| known.tables.remove(&(cluster.clone(), name.to_lowercase())));
    }

    /// Says whether the table may have been emptied.
    pub(super) fn has(&self, cluster: &ClusterName, name: &str, now: Instant) -> bool {
        self.with(|known| {
            let at = known.tables.get(&(cluster.clone(), name.to_lowercase())).copied();
            [at, known.overflowed].into_iter().flatten().any(|at| is_recent(at, now))
        })
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < KEPT_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_emptied_is_remembered_for_a_while() {
        let (cluster, other, now) = (ClusterName::new("c1"), ClusterName::new("c2"), Instant::now());
        let emptied = EmptiedTables::default();
        emptied.note(&cluster, "ws_1.Jobs", now);
        assert!(emptied.has(&cluster, "ws_1.jobs", now) && !emptied.has(&other, "ws_1.jobs", now));
        assert!(!emptied.has(&cluster, "ws_1.jobs", now + KEPT_FOR));
        emptied.forget(&cluster, "WS_1.jobs");
        assert!(!emptied.has(&cluster, "ws_1.jobs", now));
    }

    #[test]
    fn beyond_its_room_it_is_careful_with_all() {
        let (cluster, now) = (ClusterName::new("c1"), Instant::now());
        let emptied = EmptiedTables::default();
        (0..TABLES_MAX).for_each(|n| emptied.note(&cluster, &format!("d.t{n}"), now));
        assert!(!emptied.has(&cluster, "d.other", now));
        emptied.note(&cluster, "d.one_more", now);
        assert!(emptied.has(&cluster, "d.one_more", now) && emptied.has(&cluster, "d.other", now));
        // Old ones make room.
        emptied.note(&cluster, "d.late", now + KEPT_FOR);
        assert!(emptied.has(&cluster, "d.late", now + KEPT_FOR));
        assert!(!emptied.has(&cluster, "d.other", now + KEPT_FOR));
    }
}
