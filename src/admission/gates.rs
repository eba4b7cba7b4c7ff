//! Gates that are not open, and the statements that are held at them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::entry::Admission;
use super::refusal::{Refusal, Why};
use super::request::Request;
use crate::drain::{Covers, GateState, Gates, Ruling, Scope};
use crate::ids::ClusterName;
use crate::memory::Holding;
use crate::topology::Shard;

/// Told to who was held until its time was over.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One cluster's gates.
#[derive(Debug, Default)]
pub(super) struct GateBook {
    /// Changes of gates so far, times two; one more while some gate is not open. Written under the lock; an
    /// open cluster costs a statement no more than reading it.
    state: AtomicU64,
    /// How often the cluster was drained; written under the lock.
    drains: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) gates: Gates,
    /// In the order in which they came.
    held: BTreeMap<u64, HeldEntry>,
    last: u64,
}

#[derive(Debug)]
struct HeldEntry {
    scope: Scope,
    wake: oneshot::Sender<()>,
}

/// What the gates say to a statement.
pub(super) enum Ruled {
    /// It passes; whether it may wait for a permit.
    Pass { waits: bool },
    /// It is held.
    Held { number: u64, scope: Scope, until: Instant, woken: oneshot::Receiver<()> },
    /// It is refused.
    Refused(Refusal),
}

impl GateBook {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of changes, and whether some gate is not open.
    pub(super) fn state(&self) -> (u64, bool) {
        let state = self.state.load(Ordering::Acquire);
        (state >> 1, state & 1 == 1)
    }

    /// How often the cluster was drained.
    pub(super) fn drains(&self) -> u64 {
        self.drains.load(Ordering::Acquire)
    }

    /// Brings a gate into a state, and wakes those held there if they have to ask anew. A cluster that is
    /// drained, and was not, is counted before any statement can see it.
    pub(super) fn set(&self, scope: Scope, state: GateState, covers: Covers, now: Instant) {
        let woken: Vec<_> = {
            let mut inner = self.lock();
            if state == GateState::Drained && matches!(scope, Scope::Cluster(_)) {
                let known = inner.gates.closed().find(|(known, _)| **known == scope);
                let is_new = known.is_none_or(|(_, gate)| gate.state().0 != GateState::Drained);
                self.drains.fetch_add(u64::from(is_new), Ordering::AcqRel);
            }
            let wakes = inner.gates.set(scope.clone(), state, covers, now);
            self.note(&inner, 1);
            let is_woken = |entry: &HeldEntry| wakes && entry.scope == scope;
            let numbers = inner.held.iter().filter(|(_, entry)| is_woken(entry)).map(|(number, _)| *number);
            let numbers: Vec<u64> = numbers.collect();
            numbers.into_iter().filter_map(|number| inner.held.remove(&number)).collect()
        };
        for entry in woken {
            // Who no longer listens has given its place up.
            let _ = entry.wake.send(());
        }
    }

    fn note(&self, inner: &Inner, changes: u64) {
        let (version, _) = self.state();
        let is_gated = u64::from(!inner.gates.is_all_open());
        self.state.store((version + changes) << 1 | is_gated, Ordering::Release);
    }

    /// Rules on a statement; one that is held counts from here on.
    pub(super) fn rule(&self, cluster: &ClusterName, request: &Request<'_>, now: Instant) -> Ruled {
        let mut inner = self.lock();
        let scopes = request.scopes(cluster, inner.gates.closed().map(|(scope, _)| scope));
        let (at, ruling) = inner.gates.rule(&scopes, request.visit(), now);
        match ruling {
            Ruling::Pass => Ruled::Pass { waits: true },
            Ruling::PassIfFree => Ruled::Pass { waits: false },
            Ruling::Refuse { retry_after } => {
                let is_drained = inner
                    .gates
                    .closed()
                    .any(|(scope, gate)| scopes.contains(scope) && gate.state().0 == GateState::Drained);
                let why = if is_drained { Why::Drained } else { Why::Refused };
                Ruled::Refused(Refusal { why, retry_after })
            }
            Ruling::Hold { until } => {
                let (wake, woken) = oneshot::channel();
                inner.last += 1;
                let (number, scope) = (inner.last, scopes[at].clone());
                inner.held.insert(number, HeldEntry { scope: scope.clone(), wake });
                Ruled::Held { number, scope, until, woken }
            }
        }
    }

    fn let_go(&self, number: u64, scope: &Scope, bytes: usize) {
        let mut inner = self.lock();
        inner.held.remove(&number);
        inner.gates.let_go(scope, bytes);
        self.note(&inner, 0);
    }
}

/// A statement that is held at a gate; dropped, it gives its place up.
#[derive(Debug)]
pub struct Held {
    admission: Arc<Admission>,
    number: u64,
    scope: Scope,
    bytes: usize,
    /// The first of those that the statement is for.
    shard: Option<Arc<Shard>>,
    until: Instant,
    woken: oneshot::Receiver<()>,
    memory: Option<Holding>,
}

/// How the wait at a gate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The gate was changed: the statement is planned again and asks anew.
    Again,
    /// Its time is over.
    Refused(Refusal),
}

impl Held {
    pub(super) fn new(
        admission: &Arc<Admission>,
        request: &Request<'_>,
        (number, scope): (u64, Scope),
        until: Instant,
        woken: oneshot::Receiver<()>,
    ) -> Self {
        let (bytes, shard) = (request.visit().bytes, request.shards.first().cloned());
        let admission = Arc::clone(admission);
        Self { admission, number, scope, bytes, shard, until, woken, memory: None }
    }

    /// Keeps what is held for the statement meanwhile.
    pub(super) fn keep(mut self, memory: Option<Holding>) -> Self {
        self.memory = memory;
        self
    }

    /// What is held for the statement, for when it asks anew.
    pub fn take_memory(&mut self) -> Option<Holding> {
        self.memory.take()
    }

    /// The cluster that it is held from.
    pub fn cluster(&self) -> &ClusterName {
        self.admission.cluster()
    }

    /// The shard that it is for.
    pub fn shard(&self) -> Option<&Shard> {
        self.shard.as_deref()
    }

    /// Waits until the gate is changed, for a bounded time. To be called once.
    ///
    /// Cancel safety: safe; the place is given up when `self` is dropped.
    pub async fn released(&mut self) -> Released {
        match tokio::time::timeout_at(self.until.into(), &mut self.woken).await {
            Ok(_) => Released::Again,
            Err(_) => {
                self.admission.count_held_too_long();
                Released::Refused(Refusal { why: Why::HeldTooLong, retry_after: RETRY_AFTER })
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.gates().let_go(self.number, &self.scope, self.bytes);
    }
}
