//! What the tasks of all migrations share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use super::clusters::Clusters;
use super::sessions::Sessions;
use super::step::{FailPoints, Step};
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::changes::Feeds;
use crate::migrations::engine::{ChunkCost, Known};
use crate::migrations::ledger::{Ledger, Owned, Record};
use crate::migrations::service::TableGate;
use crate::migrations::throttle::Throttles;
use crate::migrations::view::Progress;

/// Ends that one cluster is to be told of, at most.
const UNTOLD_MAX: usize = 1_000;
/// How much of a rate a new chunk replaces.
const LEARNS: f64 = 0.2;

/// What the tasks of all migrations share.
pub(in crate::migrations) struct Shared {
    pub(in crate::migrations) clusters: Arc<Clusters>,
    pub(in crate::migrations) ledger: Arc<Ledger>,
    pub(in crate::migrations) feeds: Arc<Feeds>,
    pub(in crate::migrations) throttles: Arc<Throttles>,
    pub(in crate::migrations) gate: Arc<dyn TableGate>,
    pub(in crate::migrations) fail_points: FailPoints,
    /// Whether this proxy carries migrations out.
    owned: Owned,
    live: Mutex<HashMap<MigrationId, Live>>,
    turns: Mutex<HashMap<ClusterName, Turns>>,
    pub(in crate::migrations) sessions: Sessions,
    /// What servers said of definitions.
    pub(in crate::migrations) known: Known,
    /// Ends that the clusters' own ledgers are still to be told of.
    untold: Mutex<HashMap<ClusterName, Vec<MigrationId>>>,
    /// Exchanges under way.
    exchanges: watch::Sender<usize>,
}

/// An exchange that is under way, until dropped.
pub(super) struct Exchanging(watch::Sender<usize>);

impl Drop for Exchanging {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Who may copy on a cluster: as many as the config says when nobody did.
struct Turns {
    at_once: usize,
    semaphore: Arc<Semaphore>,
}

/// What is known of a migration that is being carried out, and is not written down.
#[derive(Clone, Debug, Default)]
pub(in crate::migrations) struct Live {
    /// Why the copy waits.
    pub(in crate::migrations) throttled: Option<String>,
    pub(in crate::migrations) progress: Progress,
    /// Where one is of which no step is written down.
    pub(in crate::migrations) step: Option<Step>,
    last_chunk: Option<Instant>,
}

/// What [`Shared`] is made of.
pub(in crate::migrations) struct Parts {
    pub(in crate::migrations) clusters: Arc<Clusters>,
    pub(in crate::migrations) ledger: Arc<Ledger>,
    pub(in crate::migrations) feeds: Arc<Feeds>,
    pub(in crate::migrations) throttles: Arc<Throttles>,
    pub(in crate::migrations) gate: Arc<dyn TableGate>,
    pub(in crate::migrations) owned: Owned,
}

impl Shared {
    pub(in crate::migrations) fn new(parts: Parts) -> Self {
        let Parts { clusters, ledger, feeds, throttles, gate, owned } = parts;
        Self {
            clusters,
            ledger,
            feeds,
            throttles,
            gate,
            fail_points: FailPoints::of_environment(),
            owned,
            live: Mutex::default(),
            turns: Mutex::default(),
            sessions: Sessions::default(),
            known: Known::default(),
            untold: Mutex::default(),
            exchanges: watch::Sender::new(0),
        }
    }

    /// Leaves it to [`crate::migrations::tell`] to tell the cluster of an end, with others.
    pub(super) fn tell_later(&self, record: &Record) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = untold.entry(record.request.cluster.clone()).or_default();
        // Whoever cannot be told for long is told when the old table is dropped.
        if waiting.len() < UNTOLD_MAX {
            waiting.push(record.id.clone());
        }
    }

    /// Takes the ends that clusters are to be told of.
    pub(in crate::migrations) fn take_untold(&self) -> HashMap<ClusterName, Vec<MigrationId>> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts an exchange.
    pub(super) fn exchanging(&self) -> Exchanging {
        self.exchanges.send_modify(|count| *count += 1);
        Exchanging(self.exchanges.clone())
    }

    /// Returns when no exchange is under way.
    pub(in crate::migrations) async fn no_exchange(&self) {
        // The sender is this one's own, so it is there.
        let _ = self.exchanges.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Whether this proxy carries migrations out.
    pub(in crate::migrations) fn owned(&self) -> Owned {
        self.owned.clone()
    }

    /// What is known of a migration beside its record.
    pub(in crate::migrations) fn live(&self, id: &MigrationId) -> Option<Live> {
        self.all_live().get(id).cloned()
    }

    /// Notes why the copy waits, or that it does not.
    pub(super) fn note_throttled(&self, id: &MigrationId, why: Option<String>) {
        self.with_live(id, |live| live.throttled = why);
    }

    /// Notes where one is of which that is not written down.
    pub(super) fn note_step(&self, id: &MigrationId, step: Step) {
        self.with_live(id, |live| live.step = Some(step));
    }

    /// Notes how far it is.
    pub(super) fn note_progress(&self, id: &MigrationId, change: impl FnOnce(&mut Progress)) {
        self.with_live(id, |live| change(&mut live.progress));
    }

    /// Notes a chunk.
    pub(super) fn note_chunk(&self, id: &MigrationId, cost: ChunkCost, now: Instant) {
        self.with_live(id, |live| {
            live.progress.rows_copied += cost.rows;
            let since = live.last_chunk.map_or(cost.took, |last| now.saturating_duration_since(last));
            live.last_chunk = Some(now);
            let rate = cost.rows as f64 / since.max(Duration::from_millis(1)).as_secs_f64();
            let usual = live.progress.rows_per_second;
            live.progress.rows_per_second =
                if usual == 0.0 { rate } else { usual * (1.0 - LEARNS) + rate * LEARNS };
        });
    }

    /// Forgets what is not written down.
    pub(super) fn forget_live(&self, id: &MigrationId) {
        self.all_live().remove(id);
    }

    fn with_live(&self, id: &MigrationId, change: impl FnOnce(&mut Live)) {
        change(self.all_live().entry(id.clone()).or_default());
    }

    /// The turns of a cluster.
    pub(super) fn turns(&self, cluster: &ClusterName) -> Arc<Semaphore> {
        let at_once = self.clusters.settings().at_once;
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Turns { at_once, semaphore: Arc::new(Semaphore::new(at_once)) };
        let kept = turns.entry(cluster.clone()).or_insert_with(new);
        // Another number is followed once all turns are back; until then the old one holds.
        if kept.at_once != at_once && kept.semaphore.available_permits() == kept.at_once {
            *kept = new();
        }
        kept.semaphore.clone()
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn all_live(&self) -> MutexGuard<'_, HashMap<MigrationId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
