//! Who is idle, busy, being opened, waiting.
//!
//! Invariants: `idle + busy + opening ≤ max`; `opening ≤ opening_at_once`, and 1 while the server is failing;
//! a waiter waits only when nothing idle is of its class.

#![expect(clippy::vec_box, reason = "a connection is large, and moves between the books and its checkout")]

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::Wanted;
use super::super::connection::Connection;
use super::super::error::{OpenError, OpenFailure};
use super::super::open::Tether;
use super::super::pool::Grant;
use super::breaker::{Breaker, BreakerState, SPREAD};
use super::stats::Counters;
use crate::protocol::capability::Capabilities;

/// A perfect match is looked for among this many of the most recently used.
const SCAN_MAX: usize = 32;
/// How often the first waiter may be passed over by a later one of the connection's class, before the
/// connection is closed in favour of a new one for the first.
const BYPASS_MAX: u32 = 16;
/// Handles of closed connections are swept out when there are so many more than live ones.
const TETHERS_KEPT: usize = 16;

/// One statement that waits.
pub(in crate::backend) struct Waiter {
    pub class: Capabilities,
    pub grant: oneshot::Sender<Grant>,
    bypassed: u32,
}

/// The books.
#[derive(Default)]
pub(in crate::backend) struct PoolState {
    /// The most recently used last.
    pub idle: Vec<Box<Connection>>,
    pub busy: usize,
    pub opening: usize,
    pub waiters: VecDeque<Waiter>,
    pub(in crate::backend) breaker: Breaker,
    pub is_closed: bool,
    /// Nothing is lent, for this reason; what is lent was cut off.
    pub barred: Option<OpenFailure>,
    /// The connections that there are; some may be gone.
    pub tethers: Vec<Weak<Tether>>,
    pub counters: Counters,
    pub max: usize,
    pub opening_at_once: usize,
    pub waiters_max: usize,
}

/// What a statement that wants a connection gets at once.
pub(in crate::backend) enum Taken {
    Idle(Box<Connection>),
    /// May open one; the evicted connection, if any, made room for it.
    Open {
        evicted: Option<Box<Connection>>,
    },
    Wait(oneshot::Receiver<Grant>),
    /// The server is failing and nothing of it is left to wait for.
    Failing(OpenFailure),
    QueueFull,
    Closed,
}

/// Grants to be sent, and connections to be closed, once the lock is released.
#[derive(Default)]
pub(in crate::backend) struct Due {
    pub open: Vec<Waiter>,
    pub failing: Vec<(Waiter, OpenFailure)>,
    pub hand_over: Option<(Waiter, Box<Connection>)>,
    pub close: Vec<Box<Connection>>,
}

impl PoolState {
    /// The best there is for `wanted`.
    pub(in crate::backend) fn take(&mut self, wanted: &Wanted<'_>) -> Taken {
        if self.is_closed {
            return Taken::Closed;
        }
        self.counters.checkouts += 1;
        if let Some(at) = self.best_match(wanted) {
            self.busy += 1;
            return Taken::Idle(self.idle.remove(at));
        }
        if let Some(failure) = &self.barred {
            return Taken::Failing(failure.clone());
        }
        let now = Instant::now();
        let refusal = self.breaker.refusal(now);
        if refusal.is_none() && self.waiters.is_empty() && self.may_open(now) {
            return Taken::Open { evicted: self.begin_opening(now) };
        }
        match refusal {
            Some(failure) if self.busy == 0 => {
                self.counters.refused_at_once += 1;
                Taken::Failing(failure)
            }
            _ if self.waiters.len() >= self.waiters_max => {
                self.counters.queue_full += 1;
                Taken::QueueFull
            }
            _ => {
                let (grant, receiver) = oneshot::channel();
                self.waiters.push_back(Waiter { class: wanted.class, grant, bypassed: 0 });
                Taken::Wait(receiver)
            }
        }
    }

    /// The index of the idle connection of the class that needs the least to be applied; of equals, the most
    /// recently used.
    fn best_match(&self, wanted: &Wanted<'_>) -> Option<usize> {
        let mut best: Option<(usize, u8)> = None;
        for (scanned, (at, connection)) in self.idle.iter().enumerate().rev().enumerate() {
            if scanned >= SCAN_MAX && best.is_some() {
                break;
            }
            if connection.class != wanted.class {
                continue;
            }
            // Moving to another worker costs more than any setting, and every wake-up across threads more.
            let is_near = u8::from(connection.worker == wanted.worker);
            let settings = u8::from(connection.has(wanted.settings));
            let score = is_near * 4 + settings * 2 + u8::from(connection.is_in(wanted.database));
            if score == 7 {
                return Some(at);
            }
            if best.is_none_or(|(_, top)| score > top) {
                best = Some((at, score));
            }
        }
        best.map(|(at, _)| at)
    }

    fn may_open(&self, now: Instant) -> bool {
        let at_once = if self.breaker.is_working() { self.opening_at_once } else { 1 };
        self.busy + self.opening < self.max && self.opening < at_once && self.breaker.may_begin(now)
    }

    /// Counts one more being opened; evicts the least recently used idle connection if there is no room else.
    fn begin_opening(&mut self, now: Instant) -> Option<Box<Connection>> {
        self.opening += 1;
        self.breaker.begin(now);
        if self.busy + self.opening + self.idle.len() > self.max && !self.idle.is_empty() {
            self.counters.evicted += 1;
            return Some(self.idle.remove(0));
        }
        None
    }

    /// An opened connection is now busy.
    pub(in crate::backend) fn opened(&mut self, tether: &Arc<Tether>) {
        if self.tethers.len() > 2 * (self.busy + self.idle.len()) + TETHERS_KEPT {
            self.tethers.retain(|tether| tether.strong_count() > 0);
        }
        self.tethers.push(Arc::downgrade(tether));
        self.opening -= 1;
        self.busy += 1;
        self.breaker.succeed();
        self.counters.opened += 1;
    }

    /// Opening failed; gives the pause before the next attempt.
    pub(in crate::backend) fn open_failed(&mut self, cause: &Arc<OpenError>) -> Duration {
        let now = Instant::now();
        self.counters.open_errors += 1;
        self.counters.trips += u64::from(self.breaker.is_working());
        let chance = (RandomState::new().hash_one(now) % u64::from(SPREAD)) as u32;
        self.breaker.fail(Arc::clone(cause), chance, now)
    }

    /// What was to be opened was not, or has failed: there is room for another.
    pub(in crate::backend) fn opening_over(&mut self, due: &mut Due) {
        self.opening -= 1;
        self.breaker.give_up(Instant::now());
        self.pump(due);
    }

    /// Why nothing is opened at the moment, even by who may: it was barred, or has failed since.
    pub(in crate::backend) fn closed_to_attempts(&self, now: Instant) -> Option<OpenFailure> {
        self.barred.clone().or_else(|| self.breaker.left_alone(now))
    }

    /// Says whether other servers are to be preferred.
    pub(in crate::backend) fn is_failing(&self, now: Instant) -> bool {
        self.breaker.refusal(now).is_some()
    }

    /// How the server's breaker stands, how long it is left alone yet, and why.
    pub(in crate::backend) fn breaker(
        &self,
        now: Instant,
    ) -> (BreakerState, Option<Duration>, Option<String>) {
        let breaker = &self.breaker;
        (breaker.state(now), breaker.pause_left(now), breaker.cause().map(ToString::to_string))
    }

    /// A busy connection is closed.
    pub(in crate::backend) fn closed(&mut self) {
        self.busy -= 1;
        self.counters.closed += 1;
    }

    /// A busy connection comes back: to the first waiter of its class, else it is idle.
    pub(in crate::backend) fn give_back(&mut self, connection: Box<Connection>, due: &mut Due) {
        if self.is_closed || self.barred.is_some() {
            self.closed();
            due.close.push(connection);
            return;
        }
        self.drop_gone_waiters();
        let Some(first) = self.waiters.front_mut() else {
            self.busy -= 1;
            self.idle.push(connection);
            return;
        };
        let class = connection.class;
        let at = if first.class == class {
            Some(0)
        } else if first.bypassed < BYPASS_MAX {
            first.bypassed += 1;
            self.waiters.iter().position(|waiter| waiter.class == class)
        } else {
            None
        };
        match at.and_then(|at| self.waiters.remove(at)) {
            Some(waiter) => due.hand_over = Some((waiter, connection)),
            None => {
                self.closed();
                due.close.push(connection);
                self.pump(due);
            }
        }
    }

    fn drop_gone_waiters(&mut self) {
        while self.waiters.front().is_some_and(|waiter| waiter.grant.is_closed()) {
            self.waiters.pop_front();
        }
    }

    /// Lets waiters open connections, as many as there is room for. While the server is failing and nothing
    /// of it is left to wait for, all waiters are told so.
    pub(in crate::backend) fn pump(&mut self, due: &mut Due) {
        if let Some(failure) = &self.barred {
            due.failing.extend(self.waiters.drain(..).map(|waiter| (waiter, failure.clone())));
            return;
        }
        let now = Instant::now();
        if let Some(failure) = self.breaker.left_alone(now) {
            if self.busy == 0 && self.opening == 0 && self.idle.is_empty() {
                due.failing.extend(self.waiters.drain(..).map(|waiter| (waiter, failure.clone())));
            }
            return;
        }
        self.drop_gone_waiters();
        while self.may_open(now)
            && let Some(waiter) = self.waiters.pop_front()
        {
            due.close.extend(self.begin_opening(now));
            due.open.push(waiter);
            self.drop_gone_waiters();
        }
    }

    /// Takes out idle connections that are too old, unused for too long, or that the server has closed.
    pub(in crate::backend) fn reap(
        &mut self,
        idle_max: Duration,
        lifetime: Duration,
        now: Instant,
    ) -> Vec<Box<Connection>> {
        let mut reaped = Vec::new();
        let mut at = 0;
        while at < self.idle.len() {
            let connection = &mut self.idle[at];
            let unused = now.saturating_duration_since(connection.idle_since);
            let is_old = connection.is_older_than(lifetime, now);
            if is_old || (!idle_max.is_zero() && unused >= idle_max) || !connection.framed.is_quiet() {
                reaped.push(self.idle.remove(at));
            } else {
                at += 1;
            }
        }
        self.counters.closed += reaped.len() as u64;
        reaped
    }

    /// Lends nothing until [`PoolState::lift`]; gives out what is to be cut off. Those who wait are told.
    pub(in crate::backend) fn bar(&mut self, due: &mut Due) -> Vec<Arc<Tether>> {
        self.barred = Some(OpenFailure { cause: Arc::new(OpenError::Barred), is_remembered: false });
        let idle = std::mem::take(&mut self.idle);
        self.counters.closed += idle.len() as u64;
        due.close.extend(idle);
        self.pump(due);
        self.tethers.drain(..).filter_map(|tether| tether.upgrade()).collect()
    }

    /// Lends again.
    pub(in crate::backend) fn lift(&mut self) {
        self.barred = None;
        self.breaker.succeed();
    }

    /// Takes no more; gives out what is idle, to be closed.
    pub(in crate::backend) fn close(&mut self) -> Vec<Box<Connection>> {
        self.is_closed = true;
        self.waiters.clear();
        let idle = std::mem::take(&mut self.idle);
        self.counters.closed += idle.len() as u64;
        idle
    }
}
