//! One cluster's admission: asking, being admitted, and what the ladder sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::gates::{GateBook, Held, Ruled};
use super::lane::{DdlLane, LaneWait};
use super::queue::{Asked, ClassQueue, Queued};
use super::refusal::{Refusal, Why};
use super::request::Request;
use crate::drain::{Action, Covers, GateState, Permit, PermitLimits, Scope, WorkspaceLimits};
use crate::error::ClientError;
use crate::health::Class;
use crate::ids::ClusterName;
use crate::memory::{Holding, Memory};

/// Told to who wanted to change a schema: the lane opens ten seconds after the cluster is well, at the
/// earliest.
const RETRY_AFTER_DDL: Duration = Duration::from_secs(10);

/// More than any bound.
const NOT_DRAINED: u64 = u64::MAX;

/// What a cluster's statements may come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of writes and of reads.
    pub(super) permits: [PermitLimits; 2],
    /// Bytes held for the cluster.
    pub(super) memory: usize,
}

/// One cluster's admission. Shares nothing with another's.
#[derive(Debug)]
pub struct Admission {
    cluster: ClusterName,
    gates: GateBook,
    writes: ClassQueue,
    reads: ClassQueue,
    lane: DdlLane,
    memory: Arc<Memory>,
    /// How far replicas are behind while the cluster is drained, ms; [`NOT_DRAINED`] otherwise.
    replicas_behind_ms: AtomicU64,
    /// By class and [`Why`], since the start.
    refused: [[AtomicU64; Why::ALL.len()]; 2],
    held: AtomicU64,
}

/// What a statement that asked gets.
#[derive(Debug)]
pub enum Entry {
    /// It may be sent.
    In(Admitted),
    /// It waits for a permit: [`Queued::turn`].
    Waits(Queued),
    /// It is held at a gate: [`Held::released`], then it is planned again.
    Held(Held),
    /// It may not be sent.
    Refused(Refusal),
}

impl Admission {
    /// All gates open, nothing in flight.
    pub(super) fn new(cluster: ClusterName, bounds: Bounds, now: Instant) -> Self {
        let [writes, reads] = bounds.permits;
        Self {
            cluster,
            gates: GateBook::default(),
            writes: ClassQueue::new(writes, now),
            reads: ClassQueue::new(reads, now),
            lane: DdlLane::default(),
            memory: Memory::new(bounds.memory),
            replicas_behind_ms: AtomicU64::new(NOT_DRAINED),
            refused: Default::default(),
            held: AtomicU64::new(0),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Bytes held for the cluster.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Asks for a statement to be admitted.
    pub fn enter(self: &Arc<Self>, request: &Request<'_>, now: Instant) -> Entry {
        self.enter_again(request, None, now)
    }

    /// Asks for a statement to be admitted that has waited: `kept` is what is held for it since.
    pub fn enter_again(
        self: &Arc<Self>,
        request: &Request<'_>,
        kept: Option<Holding>,
        now: Instant,
    ) -> Entry {
        let mut memory = kept.filter(|kept| kept.is_of(&self.memory));
        let bytes_held = request.bytes_held();
        if bytes_held > 0 && !self.holds(&mut memory, bytes_held) {
            return self.refuse(request.class, Refusal::MEMORY);
        }
        let entry = self.let_in(request, now);
        let has_to_wait = matches!(entry, Entry::Waits(_) | Entry::Held(_));
        if has_to_wait && !self.holds(&mut memory, request.bytes_waiting()) {
            // Its place goes with the guard.
            drop(entry);
            return self.refuse(request.class, Refusal::MEMORY);
        }
        match entry {
            Entry::In(admitted) if bytes_held > 0 => Entry::In(admitted.keep(memory)),
            Entry::Waits(queued) => Entry::Waits(queued.keep(memory, bytes_held > 0)),
            Entry::Held(held) => Entry::Held(held.keep(memory)),
            other => other,
        }
    }

    /// Holds at least so many bytes; false when that is more than may be held.
    fn holds(&self, memory: &mut Option<Holding>, bytes: usize) -> bool {
        match memory {
            Some(held) => held.grow_to(bytes).is_ok(),
            None => {
                *memory = self.memory.hold(bytes).ok();
                memory.is_some()
            }
        }
    }

    /// As [`Admission::enter`], by gates and permits alone.
    fn let_in(self: &Arc<Self>, request: &Request<'_>, now: Instant) -> Entry {
        if request.changes_schema && self.is_ddl_closed() {
            return self.refuse(request.class, Refusal { why: Why::DdlLane, retry_after: RETRY_AFTER_DDL });
        }
        loop {
            let (seen, is_gated) = self.gates.state();
            let waits = match is_gated.then(|| self.gates.rule(&self.cluster, request, now)) {
                None => true,
                Some(Ruled::Pass { waits }) => waits,
                Some(Ruled::Refused(refusal)) => return self.refuse(request.class, refusal),
                Some(Ruled::Held { number, scope, until, woken }) => {
                    self.held.fetch_add(1, Ordering::Relaxed);
                    return Entry::Held(Held::new(self, request, (number, scope), until, woken));
                }
            };
            match self.queue(request.class).ask(request.ask(), waits, now) {
                Asked::Admitted(permit) => {
                    let admitted = Admitted::new(self, request.class, permit).seen(seen);
                    // A gate that was changed since may have to be passed first.
                    if !self.gates_changed_since(seen) {
                        return Entry::In(admitted);
                    }
                }
                Asked::Waits { ticket, until, turn } => {
                    let whose = (request.class, request.workspace);
                    return Entry::Waits(Queued::new(self, whose, (ticket, until), turn, seen));
                }
                Asked::Refused(refusal) => return self.refuse(request.class, refusal),
            }
        }
    }

    fn refuse(&self, class: Class, refusal: Refusal) -> Entry {
        self.count_refused(class, refusal.why);
        Entry::Refused(refusal)
    }

    /// An answer that was being collected cannot be held: what the client is told. It is counted.
    /// Whether its statement was applied is not known.
    pub fn refuse_answer(&self) -> ClientError {
        self.count_refused(Class::Read, Why::Memory);
        Refusal::MEMORY.of_answer(&self.cluster)
    }

    /// Carries out an action that touches no server; others are not its business.
    pub fn apply(self: &Arc<Self>, action: &Action, now: Instant) {
        match action {
            Action::DdlLane(lane) => self.lane.set(*lane),
            Action::Permits(held) => self.writes.change(self, Class::Write, |permits| {
                permits.limit.follow(*held, now);
                permits.pump(now)
            }),
            Action::Gate(gate) => {
                let scope = Scope::Cluster(self.cluster.clone());
                self.set_gate(scope, GateState::of(*gate, now), Covers::Writes, now);
            }
            Action::KillDdl | Action::KillTransactions | Action::FailOver(_) | Action::FindPrimary => {}
        }
    }

    /// Brings a gate into a state, whichever it was in. Statements held there are woken unless it still
    /// holds, in the order in which they came; each is planned again and asks anew. A drain of the cluster
    /// also cuts every transaction that is open on it, see [`Admission::drains`].
    ///
    /// The scope is the cluster, or a shard or table that lives on it.
    pub fn set_gate(&self, scope: Scope, state: GateState, covers: Covers, now: Instant) {
        self.gates.set(scope, state, covers, now);
    }

    /// How often the cluster was drained. A connection to the primary that was lent before a drain is not
    /// used after it: the primary may be another one by then.
    pub fn drains(&self) -> u64 {
        self.gates.drains()
    }

    /// Tells how far the replica that is furthest behind is, while the cluster is drained; absent when it is
    /// not drained, or that is not known.
    pub fn set_replicas_behind(&self, behind: Option<Duration>) {
        let ms =
            behind.map_or(NOT_DRAINED, |behind| u64::try_from(behind.as_millis()).unwrap_or(NOT_DRAINED));
        self.replicas_behind_ms.store(ms, Ordering::Relaxed);
    }

    /// How far its replicas are behind, while the cluster is drained: reads that may be so late go there.
    pub fn replicas_behind(&self) -> Option<Duration> {
        let ms = self.replicas_behind_ms.load(Ordering::Relaxed);
        (ms != NOT_DRAINED).then(|| Duration::from_millis(ms))
    }

    /// Says whether schema changes are refused.
    pub fn is_ddl_closed(&self) -> bool {
        self.lane.is_closed()
    }

    /// A place among the schema changes that wait for the lane to open, for one of so many bytes; `None` when
    /// as many wait, or are held in memory, as may.
    pub fn wait_for_lane(self: &Arc<Self>, bytes: usize) -> Option<LaneWait> {
        let memory = self.memory.hold(bytes).ok()?;
        let wait = LaneWait::enter(Arc::clone(self), memory)?;
        self.held.fetch_add(1, Ordering::Relaxed);
        Some(wait)
    }

    pub(super) fn lane(&self) -> &DdlLane {
        &self.lane
    }

    /// Statements of a class that are in flight. None is added behind a gate that is closed to it before this
    /// is asked, but those of open transactions.
    pub fn in_flight(&self, class: Class) -> u32 {
        self.queue(class).lock().permits.in_flight()
    }

    /// A session of the workspace keeps a connection to the primary.
    pub fn take_seat(self: &Arc<Self>, workspace: u64) -> Seat {
        self.writes.lock().permits.take_seat(workspace, super::now());
        Seat { admission: Arc::clone(self), workspace }
    }

    /// Sets other bounds; what is in flight, waits or is held stays.
    pub(super) fn configure(self: &Arc<Self>, bounds: Bounds, now: Instant) {
        self.memory.set_bytes_max(bounds.memory);
        for (class, limits) in [Class::Write, Class::Read].into_iter().zip(bounds.permits) {
            self.queue(class).change(self, class, |permits| {
                permits.configure(limits);
                permits.pump(now)
            });
        }
    }

    /// Sets what one workspace may use; absent: what all may.
    pub(super) fn limit_workspace(self: &Arc<Self>, workspace: u64, limits: Option<WorkspaceLimits>) {
        let now = super::now();
        for class in [Class::Write, Class::Read] {
            self.queue(class).change(self, class, |permits| {
                permits.limit_workspace(workspace, limits);
                permits.pump(now)
            });
        }
    }

    pub(super) fn pump(self: &Arc<Self>, class: Class, now: Instant) {
        self.queue(class).change(self, class, |permits| permits.pump(now));
    }

    pub(super) fn queue(&self, class: Class) -> &ClassQueue {
        match class {
            Class::Write => &self.writes,
            Class::Read => &self.reads,
        }
    }

    pub(super) fn gates(&self) -> &GateBook {
        &self.gates
    }

    pub(super) fn gates_changed_since(&self, seen: u64) -> bool {
        self.gates.state().0 != seen
    }

    pub(super) fn count_refused(&self, class: Class, why: Why) {
        self.refused[class as usize][why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_held_too_long(&self) {
        self.count_refused(Class::Write, Why::HeldTooLong);
    }

    /// Statements that were refused since the start, by [`Why::ALL`].
    pub(super) fn refused(&self, class: Class) -> [u64; Why::ALL.len()] {
        std::array::from_fn(|why| self.refused[class as usize][why].load(Ordering::Relaxed))
    }

    /// Statements that were held at a gate since the start.
    pub(super) fn held_total(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// A connection that a session keeps between its statements, counted for its workspace until dropped. The
/// statements of a transaction are admitted at once: what bounds a workspace is how many of them it has.
#[derive(Debug)]
pub struct Seat {
    admission: Arc<Admission>,
    workspace: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let now = super::now();
        let (writes, workspace) = (&self.admission.writes, self.workspace);
        writes.change(&self.admission, Class::Write, |permits| permits.leave_seat(workspace, now));
    }
}

/// The right of one statement to be in flight; given back when dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    class: Class,
    permit: Option<Permit>,
    /// Changes of gates that were looked at.
    gates_seen: u64,
    /// What is held for it, if it is large.
    memory: Option<Holding>,
}

impl Admitted {
    pub(super) fn new(admission: &Arc<Admission>, class: Class, permit: Permit) -> Self {
        Self { admission: Arc::clone(admission), class, permit: Some(permit), gates_seen: 0, memory: None }
    }

    pub(super) fn seen(mut self, gates_seen: u64) -> Self {
        self.gates_seen = gates_seen;
        self
    }

    pub(super) fn keep(mut self, memory: Option<Holding>) -> Self {
        self.memory = memory;
        self
    }

    /// What is held for the statement, for when it asks anew.
    pub fn take_memory(&mut self) -> Option<Holding> {
        self.memory.take()
    }

    /// See [`Admission::drains`].
    pub fn drains(&self) -> u64 {
        self.admission.drains()
    }

    /// Says whether a gate was changed since: a statement that has not been sent yet is to ask anew.
    pub fn is_stale(&self) -> bool {
        self.admission.gates_changed_since(self.gates_seen)
    }

    /// The statement ended after so many times its usual time, if that is known; `failed`: through the
    /// server's fault. A statement that was not sent is to be dropped instead: it says nothing about the
    /// server.
    pub fn land(mut self, times: Option<f64>, failed: bool, now: Instant) {
        let Some(permit) = self.permit.take() else { return };
        let queue = self.admission.queue(self.class);
        queue.change(&self.admission, self.class, |permits| permits.release(permit, times, failed, now));
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let now = super::now();
        let queue = self.admission.queue(self.class);
        queue.change(&self.admission, self.class, |permits| permits.give_back(permit, now));
    }
}
