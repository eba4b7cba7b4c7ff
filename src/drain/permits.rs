//! Permits of one class on one cluster: who is admitted, who waits, who is shed.
//!
//! Every call is O(1) but for tickets that it sheds, each of which is shed once. Memory: one entry per
//! waiting statement (bounded in number and bytes) and per workspace with statements in flight.
//!
//! Fairness: no workspace has more than half of the limit in flight, nor more than half of the ceiling
//! counting the connections that its transactions keep ("seats"), nor more than half of the queue; and those
//! that wait take turns by workspace, each served in order. A workspace at its bound gives its turn up until
//! one of its own statements ends; it cannot hold up the others. A transaction's statements are always
//! admitted, so what bounds them is how many transactions may begin.
//!
//! The adapter keeps who waits by [`Ticket`], wakes what [`Due`] names, and calls [`Permits::cancel`] for who
//! stops waiting, be it at [`Answer::Wait`]'s `until`.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::ids::NameMap;

use super::limit::Limit;
use super::turns::Turns;
use super::workspaces::{Bounds, WorkspaceLimits, Workspaces};

/// One in so many of the permits, and of the queue's places, is what one workspace may have at most.
const SHARES_MIN: u32 = 2;
/// Told to who is shed from a full queue or after too long a wait; the queue turns over in about that time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds of one class on one cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PermitLimits {
    /// The adaptive limit's floor.
    pub floor: u32,
    /// The adaptive limit's ceiling; the pool's connections.
    pub ceiling: u32,
    /// Statements that may wait.
    pub waiting_max: usize,
    /// Bytes of statements that may wait.
    pub waiting_bytes_max: usize,
    /// No statement waits longer.
    pub wait_max: Duration,
    /// What a workspace may use that has no limits of its own.
    pub workspace: WorkspaceLimits,
}

/// A statement that asks for a permit.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Hash of keyspace and workspace; absent where there is no workspace, which bounds nothing.
    pub workspace: Option<u64>,
    /// What the statement keeps in memory while it waits.
    pub bytes: usize,
    /// It belongs to a transaction that is open on the server, or its session holds a connection there: it is
    /// admitted at once, for others may wait for what it holds. It counts all the same.
    pub is_in_transaction: bool,
    /// A gate held it until now: the gate's own bounds on number and bytes were kept, and it waits as long as
    /// statements may.
    pub was_held: bool,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The right to be in flight; to be given back with [`Permits::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is not given back is lost"]
pub struct Permit {
    workspace: Option<u64>,
    /// It was not given at once to a session that had a connection.
    is_outside: bool,
}

/// Why a statement was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// As many statements wait as may.
    QueueFull,
    /// The statements that wait take as many bytes as may.
    QueueBytes,
    /// It waited too long.
    Waited,
    /// Its workspace has its statements per second.
    WorkspaceRate,
    /// As many statements of its workspace wait as may.
    WorkspaceQueue,
    /// The ladder allows none.
    Closed,
}

/// What a statement that asks gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may go.
    Admit(Permit),
    /// It waits for its turn; after `until` it is to be cancelled.
    Wait {
        /// Its place.
        ticket: Ticket,
        /// When to give up.
        until: Instant,
    },
    /// It may not go.
    Shed {
        /// Why.
        why: Shed,
        /// When to try again.
        retry_after: Duration,
    },
}

/// Waiting statements whose turn came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// These may go.
    pub admitted: Vec<(Ticket, Permit)>,
    /// These have waited too long.
    pub shed: Vec<Ticket>,
}

#[derive(Debug)]
struct Waiting {
    workspace: Option<u64>,
    bytes: usize,
    since: Instant,
    was_held: bool,
}

/// State of one class on one cluster.
#[derive(Debug)]
pub struct Permits {
    limits: PermitLimits,
    /// The adaptive limit, and the ladder's cap on it.
    pub limit: Limit,
    in_flight: u32,
    workspaces: Workspaces,
    own_limits: HashMap<u64, WorkspaceLimits>,
    /// Tickets are our own numbers.
    waiting: NameMap<Ticket, Waiting>,
    waiting_bytes: usize,
    /// Whose turn is next: workspaces that wait and are not at their bound, each once.
    ring: VecDeque<u64>,
    turns: Turns,
    tickets: u64,
}

/// The key of all statements without a workspace.
const NO_WORKSPACE: u64 = 0;

/// Turns in the ring beyond twice what waits before the ring is tidied.
const RING_SPARE: usize = 64;

impl Permits {
    /// Nothing in flight.
    pub fn new(limits: PermitLimits, now: Instant) -> Self {
        Self {
            limits,
            limit: Limit::new(limits.floor, limits.ceiling, now),
            in_flight: 0,
            workspaces: Workspaces::default(),
            own_limits: HashMap::new(),
            waiting: NameMap::default(),
            waiting_bytes: 0,
            ring: VecDeque::new(),
            turns: Turns::new(now),
            tickets: 0,
        }
    }

    /// Sets other bounds; what is in flight or waits stays.
    pub fn configure(&mut self, limits: PermitLimits) {
        self.limits = limits;
        self.limit.configure(limits.floor, limits.ceiling);
    }

    /// The bounds.
    pub fn limits(&self) -> &PermitLimits {
        &self.limits
    }

    /// Sets what one workspace may use; absent: what all may.
    pub fn limit_workspace(&mut self, workspace: u64, limits: Option<WorkspaceLimits>) {
        match limits {
            Some(limits) => self.own_limits.insert(workspace, limits),
            None => self.own_limits.remove(&workspace),
        };
    }

    /// Asks for a permit.
    pub fn try_admit(&mut self, ask: Ask, now: Instant) -> Answer {
        self.workspaces.forget_idle(now);
        let key = ask.workspace.unwrap_or(NO_WORKSPACE);
        if ask.is_in_transaction {
            return Answer::Admit(self.admit(ask.workspace, false, now));
        }
        let limit = self.limit.current(now);
        if limit == 0 {
            return Answer::Shed { why: Shed::Closed, retry_after: RETRY_AFTER };
        }
        let rate =
            ask.workspace.and_then(|key| self.limits_of(key).per_second_max).filter(|rate| *rate > 0.0);
        if let Some(rate) = rate
            && let Err(retry_after) = self.workspaces.take_rate(key, rate, now)
        {
            self.workspaces.settle(key);
            return Answer::Shed { why: Shed::WorkspaceRate, retry_after };
        }
        let bounds = self.bounds(ask.workspace, limit);
        let own = self.workspaces.get(key, now);
        let is_first = self.ring.is_empty() && own.waiting.is_empty();
        if self.in_flight < limit && is_first && own.has_room(bounds) {
            self.in_flight += 1;
            own.in_flight += 1;
            own.outside += 1;
            return Answer::Admit(Permit { workspace: ask.workspace, is_outside: true });
        }
        self.enqueue(ask, now)
    }

    fn enqueue(&mut self, ask: Ask, now: Instant) -> Answer {
        if let Some(why) = self.no_place(&ask).filter(|_| !ask.was_held) {
            self.workspaces.settle(ask.workspace.unwrap_or(NO_WORKSPACE));
            return Answer::Shed { why, retry_after: RETRY_AFTER };
        }
        if self.waiting.is_empty() {
            self.turns.note_empty(now);
        }
        let patience = self.patience(ask.was_held, now);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let key = ask.workspace.unwrap_or(NO_WORKSPACE);
        let Ask { workspace, bytes, was_held, .. } = ask;
        self.waiting_bytes += bytes;
        self.waiting.insert(ticket, Waiting { workspace, bytes, since: now, was_held });
        let owner = self.workspaces.get(key, now);
        owner.waiting.push_back(ticket);
        owner.waiting_count += 1;
        self.give_turn(ask.workspace, now);
        Answer::Wait { ticket, until: now + patience }
    }

    /// Why the queue has no place for a statement.
    fn no_place(&mut self, ask: &Ask) -> Option<Shed> {
        if self.waiting.len() >= self.limits.waiting_max {
            return Some(Shed::QueueFull);
        }
        if self.waiting_bytes.saturating_add(ask.bytes) > self.limits.waiting_bytes_max {
            return Some(Shed::QueueBytes);
        }
        let share = self.limits.waiting_max.div_ceil(SHARES_MIN as usize);
        let waiting =
            ask.workspace.and_then(|key| self.workspaces.find(key)).map_or(0, |own| own.waiting_count);
        (waiting >= share).then_some(Shed::WorkspaceQueue)
    }

    /// How long a statement may wait. A queue that stands is cut short only while the ladder holds the limit
    /// down: on a cluster that is well, a queue that never empties is an application with more clients than
    /// connections, and each of them is served in its turn.
    fn patience(&self, was_held: bool, now: Instant) -> Duration {
        let patience = self.limits.wait_max;
        if was_held || !self.limit.is_capped() { patience } else { self.turns.wait_max(patience, now) }
    }

    /// Says whether a statement has waited longer than one may now: what was patient while the cluster was
    /// well need not be so once the ladder holds the limit down. False for who waits no more.
    pub fn is_late(&self, ticket: Ticket, now: Instant) -> bool {
        self.waiting.get(&ticket).is_some_and(|waiting| {
            now.saturating_duration_since(waiting.since) > self.patience(waiting.was_held, now)
        })
    }

    /// A statement ended. `times`: how many times its usual time it took, if known; `failed`: through the
    /// server's fault.
    pub fn release(&mut self, permit: Permit, times: Option<f64>, failed: bool, now: Instant) -> Due {
        let in_flight = self.in_flight;
        if failed {
            self.limit.failed(in_flight, now);
        } else {
            self.limit.answered(times, in_flight, now);
        }
        self.give_back(permit, now)
    }

    /// A permit was not used: nothing was sent.
    pub fn give_back(&mut self, permit: Permit, now: Instant) -> Due {
        self.in_flight = self.in_flight.saturating_sub(1);
        let key = permit.workspace.unwrap_or(NO_WORKSPACE);
        let waits = self.workspaces.change(key, |own| {
            own.in_flight = own.in_flight.saturating_sub(1);
            own.outside = own.outside.saturating_sub(u32::from(permit.is_outside));
        });
        if waits {
            self.give_turn(permit.workspace, now);
        }
        self.pump(now)
    }

    /// A session of the workspace keeps a connection beyond its statement: for a transaction, or locks. To be
    /// ended with [`Permits::leave_seat`].
    pub fn take_seat(&mut self, workspace: u64, now: Instant) {
        self.workspaces.get(workspace, now).seats += 1;
    }

    /// It keeps it no longer.
    pub fn leave_seat(&mut self, workspace: u64, now: Instant) -> Due {
        if self.workspaces.change(workspace, |own| own.seats = own.seats.saturating_sub(1)) {
            self.give_turn(Some(workspace), now);
        }
        self.pump(now)
    }

    /// Somebody no longer waits. False when the ticket is not waiting: then its turn has come already, and
    /// the permit that [`Due`] named is to be given back.
    pub fn cancel(&mut self, ticket: Ticket, now: Instant) -> bool {
        let Some(waiting) = self.waiting.remove(&ticket) else { return false };
        self.waiting_bytes -= waiting.bytes;
        let key = waiting.workspace.unwrap_or(NO_WORKSPACE);
        // Only what is in front goes at once; the rest is passed over when it comes to the front.
        if let Some(workspace) = self.workspaces.find(key) {
            workspace.waiting_count -= 1;
            let known = &self.waiting;
            while workspace.waiting.front().is_some_and(|front| !known.contains_key(front)) {
                workspace.waiting.pop_front();
            }
        }
        self.note_if_empty(now);
        self.workspaces.settle(key);
        if self.ring.len() > RING_SPARE + 2 * self.waiting.len() {
            self.tidy_ring();
        }
        true
    }

    /// Takes out turns of workspaces that wait no more; as rare as it is long.
    fn tidy_ring(&mut self) {
        for _ in 0..self.ring.len() {
            let Some(key) = self.ring.pop_front() else { return };
            let Some(workspace) = self.workspaces.find(key) else { continue };
            if workspace.waiting.is_empty() {
                workspace.has_turn = false;
                self.workspaces.settle(key);
            } else {
                self.ring.push_back(key);
            }
        }
    }

    /// Gives turns out while there are permits: after a release, and when the limit or its cap has grown.
    pub fn pump(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        if self.ring.is_empty() {
            return due;
        }
        let limit = self.limit.current(now);
        while self.in_flight < limit {
            let Some(key) = self.ring.pop_front() else { break };
            self.serve(key, now, &mut due);
        }
        self.note_if_empty(now);
        due
    }

    /// Serves the next statement of the workspace whose turn it is.
    fn serve(&mut self, key: u64, now: Instant, due: &mut Due) {
        let (patience, held_patience) = (self.patience(false, now), self.limits.wait_max);
        let owner = (key != NO_WORKSPACE).then_some(key);
        let has_room = self.has_room(owner, now);
        let Some(workspace) = self.workspaces.find(key) else { return };
        workspace.has_turn = false;
        if !has_room {
            return;
        }
        while let Some(ticket) = workspace.waiting.pop_front() {
            let Some(waiting) = self.waiting.remove(&ticket) else { continue };
            self.waiting_bytes -= waiting.bytes;
            workspace.waiting_count -= 1;
            let patience = if waiting.was_held { held_patience } else { patience };
            if now.saturating_duration_since(waiting.since) > patience {
                due.shed.push(ticket);
                continue;
            }
            due.admitted.push((ticket, self.admit(waiting.workspace, true, now)));
            break;
        }
        self.give_turn(owner, now);
        self.workspaces.settle(key);
    }

    /// Puts a workspace into the ring if it waits, may have more, and is not there.
    fn give_turn(&mut self, owner: Option<u64>, now: Instant) {
        let key = owner.unwrap_or(NO_WORKSPACE);
        let limit = self.limit.current(now);
        let bounds = self.bounds(owner, limit);
        let Some(own) = self.workspaces.find(key) else { return };
        if own.wants_turn() && own.has_room(bounds) {
            own.has_turn = true;
            self.ring.push_back(key);
        }
    }

    fn admit(&mut self, owner: Option<u64>, is_outside: bool, now: Instant) -> Permit {
        self.in_flight += 1;
        let workspace = self.workspaces.get(owner.unwrap_or(NO_WORKSPACE), now);
        workspace.in_flight += 1;
        workspace.outside += u32::from(is_outside);
        Permit { workspace: owner, is_outside }
    }

    /// Says whether a workspace may have one more in flight.
    fn has_room(&mut self, owner: Option<u64>, now: Instant) -> bool {
        let limit = self.limit.current(now);
        let bounds = self.bounds(owner, limit);
        self.workspaces.find(owner.unwrap_or(NO_WORKSPACE)).is_none_or(|own| own.has_room(bounds))
    }

    /// What a workspace may have at the most while this is the limit; absent where there is no workspace.
    fn bounds(&self, owner: Option<u64>, limit: u32) -> Option<Bounds> {
        let share = limit.div_ceil(SHARES_MIN).max(1);
        let own = self.limits_of(owner?).in_flight_max.filter(|max| *max > 0);
        let in_flight = own.map_or(share, |max| max.min(share));
        // What keeps connections idle says nothing about the server: its share is of all there can be.
        Some(Bounds { in_flight, connections: self.limits.ceiling.div_ceil(SHARES_MIN) })
    }

    /// Says whether a workspace has as much in flight as it may have, so that its own statements are what it
    /// waits for.
    pub fn is_at_bound(&mut self, workspace: u64, now: Instant) -> bool {
        !self.has_room(Some(workspace), now)
    }

    fn limits_of(&self, key: u64) -> WorkspaceLimits {
        if self.own_limits.is_empty() {
            return self.limits.workspace;
        }
        let all = self.limits.workspace;
        self.own_limits.get(&key).map_or(all, |own| WorkspaceLimits {
            in_flight_max: own.in_flight_max.or(all.in_flight_max),
            per_second_max: own.per_second_max.or(all.per_second_max),
        })
    }

    fn note_if_empty(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            self.turns.note_empty(now);
        }
    }

    /// Statements in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Statements that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of those.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Workspaces that use the cluster at this moment. Looks at all that are remembered.
    pub fn workspaces(&self) -> usize {
        self.workspaces.in_use()
    }
}
