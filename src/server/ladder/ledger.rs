//! What was decided, by whom, and what happened: the state store as the ladder sees it.
//!
//! The watching task notes decisions and events here and never waits. One task ([`Keeper`]) brings them to
//! the store, keeps the lease, and tells what other proxies decided.
//!
//! Decisions are written by compare-and-swap, together with the lease: an owner that has lost it writes
//! nothing. What cannot be written stays noted (bounded) and is written when the store is back, unless
//! another proxy decides by then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::log::{self, EVENTS_PREFIX, EventLog};
use crate::drain::{Decision, Entry, Holder, Lease, LeaseDue, Ownership, SharedLease, proxy_name};
use crate::ids::ClusterName;
use crate::topology::{Change, Expect, Store, StoreError, Versioned, Write};

/// Where the lease is.
pub(super) const LEASE_KEY: &str = "leases/ladder";
const CLUSTERS_PREFIX: &str = "clusters/";
const DECISION_SUFFIX: &str = "/decision";
/// Between two looks at the lease, and after a failure of the store.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A store that has not answered by then is away; what became of a write is found out when it is back.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Events in one commit, at most.
const EVENTS_AT_ONCE: usize = 64;
/// Old events removed in one commit, at most.
const REMOVED_AT_ONCE: usize = 32;
/// Commits refused because somebody else wrote first, before the task looks up again.
const CONFLICTS_MAX: usize = 32;

/// What the store tells the watching task.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::server) enum StoreNews {
    /// Another proxy has decided this.
    Decided(ClusterName, Decision),
    /// The store does not answer, for this reason.
    Away(String),
    /// It answers again.
    Back,
}

/// Why the ledger was not kept.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredDecision {
    decision: Decision,
    /// Which proxy.
    proxy: String,
    at: SystemTime,
}

#[derive(Debug, Default)]
struct Decisions {
    /// As they are in the store, with their versions.
    known: BTreeMap<ClusterName, (Decision, u64)>,
    /// Made here and not yet written.
    unwritten: BTreeMap<ClusterName, Decision>,
}

/// Shared by the watching task, the task at the store, and the admin port.
#[derive(Debug)]
pub(in crate::server) struct Ledger {
    pub(super) events: EventLog,
    pub(super) lease: SharedLease,
    proxy: String,
    decisions: Mutex<Decisions>,
    wake: Notify,
}

impl Ledger {
    pub(super) fn new(store: &dyn Store) -> Self {
        let proxy = proxy_name();
        let lease = Lease::new(&proxy, store.is_exclusive(), Instant::now());
        Self {
            events: EventLog::default(),
            lease: SharedLease::new(lease),
            proxy,
            decisions: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// This proxy's name.
    pub(super) fn proxy(&self) -> &str {
        &self.proxy
    }

    /// Notes what is to be written; does not wait.
    pub(super) fn note(&self, entry: Entry, decision: Option<(ClusterName, Decision)>) {
        self.events.add(Arc::new(entry));
        if let Some((cluster, decision)) = decision {
            self.decisions().unwritten.insert(cluster, decision);
        }
        self.wake.notify_one();
    }

    /// What was decided last about a cluster, here or elsewhere.
    pub(super) fn decision(&self, cluster: &ClusterName) -> Option<Decision> {
        let decisions = self.decisions();
        let unwritten = decisions.unwritten.get(cluster).copied();
        unwritten.or_else(|| decisions.known.get(cluster).map(|(decision, _)| *decision))
    }

    /// Says whether decisions wait for the store.
    #[cfg(test)]
    pub(super) fn has_unwritten(&self) -> bool {
        !self.decisions().unwritten.is_empty()
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn decisions(&self) -> MutexGuard<'_, Decisions> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(cluster: &ClusterName) -> String {
    format!("{CLUSTERS_PREFIX}{cluster}{DECISION_SUFFIX}")
}

fn cluster_of(key: &str) -> Option<ClusterName> {
    key.strip_prefix(CLUSTERS_PREFIX)?.strip_suffix(DECISION_SUFFIX).map(ClusterName::new)
}

/// One commit, and what it is about.
struct Batch {
    writes: Vec<Write>,
    first_event: u64,
    events: Vec<Arc<Entry>>,
    decisions: Vec<(ClusterName, Decision)>,
    removed: Vec<u64>,
    with_lease: bool,
}

/// The task at the store.
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    ledger: Arc<Ledger>,
    news: mpsc::Sender<StoreNews>,
    is_away: bool,
    /// Events of a commit whose end is not known, and the number of the first.
    unsure: Option<(u64, Vec<Arc<Entry>>)>,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>, ledger: Arc<Ledger>, news: mpsc::Sender<StoreNews>) -> Self {
        Self { store, ledger, news, is_away: false, unsure: None }
    }

    /// Reads what is there before anything is decided.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        match self.read_all().await {
            Ok(_) => Ok(()),
            Err(Trouble::Store(error)) => Err(error),
            Err(late) => Err(StoreError::Failed { action: "read", reason: late.to_string() }),
        }
    }

    /// Keeps the ledger until dropped.
    pub(super) async fn keep(mut self) {
        loop {
            let mut changes = [CLUSTERS_PREFIX, EVENTS_PREFIX, LEASE_KEY].map(|key| self.store.watch(key));
            match self.read_all().await {
                Ok(foreign) => {
                    self.tell_back().await;
                    for (cluster, decision) in foreign {
                        self.tell(StoreNews::Decided(cluster, decision)).await;
                    }
                    self.follow(&mut changes).await;
                }
                Err(trouble) => self.tell_away(&trouble).await,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Until the store fails, or its watch was cut off.
    async fn follow(&mut self, changes: &mut [mpsc::Receiver<Change>; 3]) {
        let ledger = self.ledger.clone();
        let [decisions, events, lease] = changes;
        loop {
            if let Err(trouble) = self.write_all().await {
                return self.tell_away(&trouble).await;
            }
            let changed = tokio::select! {
                changed = decisions.recv() => changed,
                changed = events.recv() => changed,
                changed = lease.recv() => changed,
                () = ledger.wake.notified() => continue,
                () = tokio::time::sleep(LOOK_EVERY) => continue,
            };
            let Some(Change { key, value }) = changed else { return };
            self.take(&key, value).await;
        }
    }

    /// Lists everything; gives decisions that are new here.
    async fn read_all(&mut self) -> Result<Vec<(ClusterName, Decision)>, Trouble> {
        let events = answer(self.store.list(EVENTS_PREFIX)).await?;
        let listed: BTreeMap<u64, &Versioned> =
            events.iter().filter_map(|(key, value)| Some((log::id_of(key)?, value))).collect();
        self.ledger.events.keep_only(|id| listed.contains_key(&id));
        for (id, value) in &listed {
            self.ledger.events.saw(*id, Some((&value.value, value.version)));
        }
        if let Some((first, entries)) = self.unsure.take() {
            self.ledger.events.settle(first, &entries);
        }
        let lease = answer(self.store.get(LEASE_KEY)).await?;
        self.saw_lease(lease);
        let stored = answer(self.store.list(CLUSTERS_PREFIX)).await?;
        let rows = stored.into_iter().filter_map(|(key, value)| Some((cluster_of(&key)?, value)));
        Ok(rows.filter_map(|(cluster, value)| self.saw_decision(cluster, &value)).collect())
    }

    fn saw_lease(&self, value: Option<Versioned>) {
        let found = value.map(|value| {
            let holder = serde_json::from_slice::<Holder>(&value.value);
            // What cannot be read is a lease of which nothing is known but its version.
            let unknown = Holder { owner: "unknown".into(), lasts_ms: 0 };
            (holder.unwrap_or(unknown), value.version)
        });
        self.ledger.lease.with(|lease| lease.saw(found, Instant::now()));
    }

    /// Takes over a stored decision; gives it if it was not known.
    fn saw_decision(&self, cluster: ClusterName, value: &Versioned) -> Option<(ClusterName, Decision)> {
        let stored: StoredDecision = match serde_json::from_slice(&value.value) {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(%cluster, %error, "the stored decision cannot be read; it stays as it is");
                return None;
            }
        };
        let mut decisions = self.ledger.decisions();
        if decisions.known.get(&cluster).is_some_and(|(_, version)| *version >= value.version) {
            return None;
        }
        decisions.known.insert(cluster.clone(), (stored.decision, value.version));
        if stored.proxy == self.ledger.proxy {
            // Of a commit whose answer did not come; what was decided since is still to be written.
            return None;
        }
        // Somebody else decided since: what was not written in time is void.
        decisions.unwritten.remove(&cluster);
        Some((cluster, stored.decision))
    }

    /// One change that the store tells.
    async fn take(&mut self, key: &str, value: Option<Versioned>) {
        if key == LEASE_KEY {
            self.saw_lease(value);
        } else if let Some(id) = log::id_of(key) {
            let value = value.as_ref().map(|value| (value.value.as_slice(), value.version));
            self.ledger.events.saw(id, value);
        } else if let (Some(cluster), Some(value)) = (cluster_of(key), value)
            && let Some((cluster, decision)) = self.saw_decision(cluster, &value)
        {
            self.tell(StoreNews::Decided(cluster, decision)).await;
        }
    }

    /// Writes what is noted, and the lease when it is due.
    async fn write_all(&mut self) -> Result<(), Trouble> {
        for _ in 0..CONFLICTS_MAX {
            self.give_way().await;
            let batch = self.batch();
            if batch.writes.is_empty() {
                return Ok(());
            }
            let sent = Instant::now();
            self.unsure = Some((batch.first_event, batch.events.clone()));
            match answer(self.store.commit(batch.writes.clone())).await {
                Ok(version) => {
                    self.unsure = None;
                    self.wrote(batch, version, sent);
                }
                Err(Trouble::Store(StoreError::Conflict { key })) => {
                    self.unsure = None;
                    if key == LEASE_KEY {
                        self.ledger.lease.with(|lease| lease.lost(Instant::now()));
                    }
                    let found = answer(self.store.get(&key)).await?;
                    self.take(&key, found).await;
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }

    /// When another proxy decides, decisions made here and not written are void.
    async fn give_way(&mut self) {
        let is_others = self.ledger.lease.with(|lease| lease.owner().is_some_and(|o| o != self.ledger.proxy));
        if !is_others {
            return;
        }
        let void: Vec<_> = {
            let mut decisions = self.ledger.decisions();
            let unwritten = std::mem::take(&mut decisions.unwritten);
            let known = |cluster| decisions.known.get(&cluster).map(|(decision, _)| (cluster, *decision));
            unwritten
                .into_keys()
                .map(|cluster| known(cluster.clone()).unwrap_or((cluster, Decision::OPEN)))
                .collect()
        };
        for (cluster, decision) in void {
            self.tell(StoreNews::Decided(cluster, decision)).await;
        }
    }

    fn batch(&self) -> Batch {
        let now = Instant::now();
        let lease = &self.ledger.lease;
        let is_owner = lease.with(|lease| lease.ownership(now)) == Ownership::Owner;
        let decisions: Vec<_> = if is_owner {
            self.ledger.decisions().unwritten.iter().map(|(name, made)| (name.clone(), *made)).collect()
        } else {
            Vec::new()
        };
        let mut writes = Vec::new();
        // Decisions go with the lease, so that they are written by its owner or not at all.
        let expect = lease.with(|lease| match (lease.due(now), lease.held_version(now)) {
            (LeaseDue::Write(expect), _) => Some(expect),
            (LeaseDue::Nothing, Some(version)) if !decisions.is_empty() => Some(Expect::Version(version)),
            (LeaseDue::Nothing, _) => None,
        });
        if let Some(expect) = expect {
            let value = Some(lease.with(|lease| lease.stored()));
            writes.push(Write { key: LEASE_KEY.to_owned(), value, expect });
        }
        writes.extend(decisions.iter().map(|(cluster, decision)| self.decision_write(cluster, *decision)));
        let (first_event, events) =
            (self.ledger.events.next_id(), self.ledger.events.pending(EVENTS_AT_ONCE));
        writes.extend((first_event..).zip(&events).map(|(id, entry)| {
            let value = serde_json::to_vec(&**entry).expect("entries have a JSON form");
            Write { key: log::key_of(id), value: Some(value), expect: Expect::Absent }
        }));
        let outdated = self.ledger.events.outdated(SystemTime::now(), REMOVED_AT_ONCE);
        writes.extend(outdated.iter().map(|(id, version)| Write {
            key: log::key_of(*id),
            value: None,
            expect: Expect::Version(*version),
        }));
        let removed = outdated.into_iter().map(|(id, _)| id).collect();
        Batch { writes, first_event, events, decisions, removed, with_lease: expect.is_some() }
    }

    fn decision_write(&self, cluster: &ClusterName, decision: Decision) -> Write {
        let stored = StoredDecision { decision, proxy: self.ledger.proxy.clone(), at: SystemTime::now() };
        let value = serde_json::to_vec(&stored).expect("decisions have a JSON form");
        let known = self.ledger.decisions().known.get(cluster).map(|(_, version)| *version);
        let expect = known.map_or(Expect::Absent, Expect::Version);
        Write { key: key_of(cluster), value: Some(value), expect }
    }

    fn wrote(&self, batch: Batch, version: u64, sent: Instant) {
        if batch.with_lease {
            self.ledger.lease.with(|lease| lease.wrote(version, sent, Instant::now()));
        }
        self.ledger.events.stored(batch.first_event, &batch.events, version);
        for id in batch.removed {
            self.ledger.events.saw(id, None);
        }
        let mut decisions = self.ledger.decisions();
        for (cluster, decision) in batch.decisions {
            // It may have changed again in the meantime; then it stays noted.
            if decisions.unwritten.get(&cluster) == Some(&decision) {
                decisions.unwritten.remove(&cluster);
            }
            decisions.known.insert(cluster, (decision, version));
        }
    }

    async fn tell(&self, news: StoreNews) {
        // The watching task ends with the proxy, and this one with it.
        let _ = self.news.send(news).await;
    }

    async fn tell_away(&mut self, trouble: &Trouble) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::error!(%trouble, "the state store is away; gates go on from memory");
            self.tell(StoreNews::Away(trouble.to_string())).await;
        }
    }

    async fn tell_back(&mut self) {
        if std::mem::replace(&mut self.is_away, false) {
            tracing::info!("the state store is back");
            self.tell(StoreNews::Back).await;
        }
    }
}

async fn answer<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, Trouble> {
    match timeout(ANSWER_WITHIN, asked).await {
        Ok(answered) => Ok(answered?),
        Err(_elapsed) => Err(Trouble::Late),
    }
}
