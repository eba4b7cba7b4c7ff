//! Permits of one class, and the statements that wait for one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::entry::{Admission, Admitted};
use super::refusal::{Refusal, Why};
use crate::drain::{Answer, Ask, Due, Permit, PermitLimits, Permits, Ticket};
use crate::health::Class;
use crate::ids::NameMap;
use crate::memory::Holding;

/// A statement that waits looks this often whether the limit has grown meanwhile (a ramp grows by the clock,
/// and what is in flight may be stuck), and whether it may still wait so long.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Told to who waited too long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Permits of one class on one cluster.
#[derive(Debug)]
pub(super) struct ClassQueue {
    state: Mutex<QueueState>,
}

/// Under the queue's lock, which is held for a few lookups only.
#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) permits: Permits,
    waiting: NameMap<Ticket, oneshot::Sender<Admitted>>,
}

/// Who got a permit, to be told so once the lock is released.
type Served = Vec<(oneshot::Sender<Admitted>, Permit)>;

/// What became of a statement that asked.
pub(super) enum Asked {
    Admitted(Permit),
    Waits { ticket: Ticket, until: Instant, turn: oneshot::Receiver<Admitted> },
    Refused(Refusal),
}

impl ClassQueue {
    pub(super) fn new(limits: PermitLimits, now: Instant) -> Self {
        let state = QueueState { permits: Permits::new(limits, now), waiting: NameMap::default() };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a permit; `waits` says whether the statement may wait for one.
    pub(super) fn ask(&self, ask: Ask, waits: bool, now: Instant) -> Asked {
        let mut state = self.lock();
        match state.permits.try_admit(ask, now) {
            Answer::Admit(permit) => Asked::Admitted(permit),
            Answer::Shed { why, retry_after } => Asked::Refused(Refusal { why: why.into(), retry_after }),
            Answer::Wait { ticket, .. } if !waits => {
                state.permits.cancel(ticket, now);
                Asked::Refused(Refusal { why: Why::NoFreePermit, retry_after: RETRY_AFTER })
            }
            Answer::Wait { ticket, until } => {
                let (sender, turn) = oneshot::channel();
                state.waiting.insert(ticket, sender);
                Asked::Waits { ticket, until, turn }
            }
        }
    }

    /// Changes the permits in some way that may admit others, and tells those.
    pub(super) fn change(
        &self,
        admission: &Arc<Admission>,
        class: Class,
        change: impl FnOnce(&mut Permits) -> Due,
    ) {
        let served = {
            let mut state = self.lock();
            let due = change(&mut state.permits);
            state.take_served(due)
        };
        for (turn, permit) in served {
            // Who no longer listens gives its permit back as the guard is dropped.
            let _ = turn.send(Admitted::new(admission, class, permit));
        }
    }

    /// Somebody waits no more. Nothing is to be done when its turn has come: the permit comes back with the
    /// guard that was sent.
    fn cancel(&self, ticket: Ticket, now: Instant) {
        let mut state = self.lock();
        state.permits.cancel(ticket, now);
        state.waiting.remove(&ticket);
    }
}

impl QueueState {
    fn take_served(&mut self, due: Due) -> Served {
        if due.admitted.is_empty() && due.shed.is_empty() {
            return Served::new();
        }
        for ticket in due.shed {
            // Its receiver learns from this that it was shed.
            self.waiting.remove(&ticket);
        }
        let admitted = due.admitted.into_iter();
        admitted.filter_map(|(ticket, permit)| Some((self.waiting.remove(&ticket)?, permit))).collect()
    }
}

/// A statement that waits for a permit; dropped, it gives its place up.
#[derive(Debug)]
pub struct Queued {
    admission: Arc<Admission>,
    class: Class,
    workspace: Option<u64>,
    ticket: Ticket,
    until: Instant,
    turn: oneshot::Receiver<Admitted>,
    gates_seen: u64,
    memory: Option<Holding>,
    memory_stays: bool,
}

/// How the wait for a permit ended.
#[derive(Debug)]
pub enum Turn {
    /// With a permit.
    In(Admitted),
    /// A gate was changed meanwhile: the statement is to ask anew.
    Changed,
    /// The statement may not go.
    Refused(Refusal),
}

impl Queued {
    pub(super) fn new(
        admission: &Arc<Admission>,
        (class, workspace): (Class, Option<u64>),
        (ticket, until): (Ticket, Instant),
        turn: oneshot::Receiver<Admitted>,
        gates_seen: u64,
    ) -> Self {
        let admission = Arc::clone(admission);
        Self {
            admission,
            class,
            workspace,
            ticket,
            until,
            turn,
            gates_seen,
            memory: None,
            memory_stays: false,
        }
    }

    /// Keeps what is held for the statement while it waits; it stays held when its turn comes, or not.
    pub(super) fn keep(mut self, memory: Option<Holding>, stays: bool) -> Self {
        (self.memory, self.memory_stays) = (memory, stays);
        self
    }

    /// What is held for the statement, for when it asks anew.
    pub fn take_memory(&mut self) -> Option<Holding> {
        self.memory.take()
    }

    /// Waits for the turn, for a bounded time. To be called once.
    ///
    /// Cancel safety: safe; the place is given up when `self` is dropped.
    pub async fn turn(&mut self) -> Turn {
        loop {
            let look = (super::now() + LOOK_EVERY).min(self.until);
            match tokio::time::timeout_at(look.into(), &mut self.turn).await {
                Ok(Ok(admitted)) if self.admission.gates_changed_since(self.gates_seen) => {
                    drop(admitted);
                    return Turn::Changed;
                }
                Ok(Ok(admitted)) => {
                    let memory = self.memory.take().filter(|_| self.memory_stays);
                    return Turn::In(admitted.seen(self.gates_seen).keep(memory));
                }
                Ok(Err(_)) => return Turn::Refused(self.late()),
                Err(_) if super::now() >= self.until => return Turn::Refused(self.late()),
                Err(_) => {
                    let now = super::now();
                    self.admission.pump(self.class, now);
                    if self.admission.queue(self.class).lock().permits.is_late(self.ticket, now) {
                        return Turn::Refused(self.late());
                    }
                }
            }
        }
    }

    fn late(&self) -> Refusal {
        let now = super::now();
        let queue = self.admission.queue(self.class);
        // Told apart: its own workspace's statements kept it waiting, or everybody's.
        let is_own = self.workspace.is_some_and(|key| queue.lock().permits.is_at_bound(key, now));
        let why = if is_own { Why::WorkspaceLimit } else { Why::Late };
        self.admission.count_refused(self.class, why);
        Refusal { why, retry_after: RETRY_AFTER }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.admission.queue(self.class).cancel(self.ticket, super::now());
    }
}
