//! A pool's books: who is idle, busy, being opened, waiting. Pure: no IO, no time but what is passed in.
//!
//! Invariants: `idle + busy + opening ≤ max`; `opening ≤ opening_at_once`, and 1 while the server is failing;
//! a waiter waits only when nothing idle is of its class.

#![expect(clippy::vec_box, reason = "a connection is large, and moves between the books and its checkout")]

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Wanted;
use super::connection::Connection;
use super::error::{OpenError, OpenFailure};
use super::open::Tether;
use super::pool::Grant;
use super::stats::Counters;
use crate::protocol::capability::Capabilities;

/// First pause after a failure to open.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A perfect match is looked for among this many of the most recently used.
const SCAN_MAX: usize = 32;
/// How often the first waiter may be passed over by a later one of the connection's class, before the
/// connection is closed in favour of a new one for the first.
const BYPASS_MAX: u32 = 16;
/// Handles of closed connections are swept out when there are so many more than live ones.
const TETHERS_KEPT: usize = 16;

/// One statement that waits.
pub(super) struct Waiter {
    pub class: Capabilities,
    pub grant: oneshot::Sender<Grant>,
    bypassed: u32,
}

/// How a failing server is left alone.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<(Instant, Arc<OpenError>)>,
}

impl Backoff {
    /// Notes a failure and gives the pause; each one in a row doubles it, and half of it is random, so that
    /// many proxies do not come back at once.
    fn fail(&mut self, cause: Arc<OpenError>, now: Instant) -> Duration {
        let factor = 1u32 << self.failures.min(10);
        self.failures = self.failures.saturating_add(1);
        let full = BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_MAX);
        let random = RandomState::new().hash_one(now) % 1024;
        let pause = full / 2 + full / 2048 * random as u32;
        self.last = Some((now + pause, cause));
        pause
    }

    fn succeed(&mut self) {
        *self = Self::default();
    }

    /// The failure, while the server is left alone for it.
    pub(super) fn current(&self, now: Instant) -> Option<OpenFailure> {
        let (until, cause) = self.last.as_ref()?;
        (now < *until).then(|| OpenFailure { cause: Arc::clone(cause), is_remembered: true })
    }

    /// How long the server is still left alone, and why.
    pub(super) fn pause(&self, now: Instant) -> Option<(Duration, String)> {
        let (until, cause) = self.last.as_ref()?;
        Some((until.saturating_duration_since(now), cause.to_string()))
    }
}

/// The books.
#[derive(Default)]
pub(super) struct PoolState {
    /// The most recently used last.
    pub idle: Vec<Box<Connection>>,
    pub busy: usize,
    pub opening: usize,
    pub waiters: VecDeque<Waiter>,
    pub backoff: Backoff,
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
pub(super) enum Taken {
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
pub(super) struct Due {
    pub open: Vec<Waiter>,
    pub failing: Vec<(Waiter, OpenFailure)>,
    pub hand_over: Option<(Waiter, Box<Connection>)>,
    pub close: Vec<Box<Connection>>,
}

impl PoolState {
    /// The best there is for `wanted`.
    pub(super) fn take(&mut self, wanted: &Wanted<'_>) -> Taken {
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
        let failure = self.backoff.current(now);
        if failure.is_none() && self.waiters.is_empty() && self.may_open() {
            return Taken::Open { evicted: self.begin_opening() };
        }
        match failure {
            Some(failure) if self.busy == 0 && self.opening == 0 => Taken::Failing(failure),
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

    fn may_open(&self) -> bool {
        let at_once = if self.backoff.failures > 0 { 1 } else { self.opening_at_once };
        self.busy + self.opening < self.max && self.opening < at_once
    }

    /// Counts one more being opened; evicts the least recently used idle connection if there is no room else.
    fn begin_opening(&mut self) -> Option<Box<Connection>> {
        self.opening += 1;
        if self.busy + self.opening + self.idle.len() > self.max && !self.idle.is_empty() {
            self.counters.evicted += 1;
            return Some(self.idle.remove(0));
        }
        None
    }

    /// An opened connection is now busy.
    pub(super) fn opened(&mut self, tether: &Arc<Tether>) {
        if self.tethers.len() > 2 * (self.busy + self.idle.len()) + TETHERS_KEPT {
            self.tethers.retain(|tether| tether.strong_count() > 0);
        }
        self.tethers.push(Arc::downgrade(tether));
        self.opening -= 1;
        self.busy += 1;
        self.backoff.succeed();
        self.counters.opened += 1;
    }

    /// Opening failed; gives the pause before the next attempt.
    pub(super) fn open_failed(&mut self, cause: &Arc<OpenError>) -> Duration {
        self.counters.open_errors += 1;
        self.backoff.fail(Arc::clone(cause), Instant::now())
    }

    /// A busy connection is closed.
    pub(super) fn closed(&mut self) {
        self.busy -= 1;
        self.counters.closed += 1;
    }

    /// A busy connection comes back: to the first waiter of its class, else it is idle.
    pub(super) fn give_back(&mut self, connection: Box<Connection>, due: &mut Due) {
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
    pub(super) fn pump(&mut self, due: &mut Due) {
        if let Some(failure) = &self.barred {
            due.failing.extend(self.waiters.drain(..).map(|waiter| (waiter, failure.clone())));
            return;
        }
        if let Some(failure) = self.backoff.current(Instant::now()) {
            if self.busy == 0 && self.opening == 0 && self.idle.is_empty() {
                due.failing.extend(self.waiters.drain(..).map(|waiter| (waiter, failure.clone())));
            }
            return;
        }
        self.drop_gone_waiters();
        while self.may_open()
            && let Some(waiter) = self.waiters.pop_front()
        {
            due.close.extend(self.begin_opening());
            due.open.push(waiter);
            self.drop_gone_waiters();
        }
    }

    /// Takes out idle connections that are too old, unused for too long, or that the server has closed.
    pub(super) fn reap(
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
    pub(super) fn bar(&mut self, due: &mut Due) -> Vec<Arc<Tether>> {
        self.barred = Some(OpenFailure { cause: Arc::new(OpenError::Barred), is_remembered: false });
        let idle = std::mem::take(&mut self.idle);
        self.counters.closed += idle.len() as u64;
        due.close.extend(idle);
        self.pump(due);
        self.tethers.drain(..).filter_map(|tether| tether.upgrade()).collect()
    }

    /// Lends again.
    pub(super) fn lift(&mut self) {
        self.barred = None;
        self.backoff.succeed();
    }

    /// Takes no more; gives out what is idle, to be closed.
    pub(super) fn close(&mut self) -> Vec<Box<Connection>> {
        self.is_closed = true;
        self.waiters.clear();
        let idle = std::mem::take(&mut self.idle);
        self.counters.closed += idle.len() as u64;
        idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        assert!(backoff.current(now).is_none());
        let cause = Arc::new(OpenError::TlsNotOffered);
        let mut last = Duration::ZERO;
        for failures in 1..20u32 {
            backoff.fail(Arc::clone(&cause), now);
            let (pause, why) = backoff.pause(now).unwrap();
            let full = BACKOFF_FIRST.saturating_mul(1 << (failures - 1).min(10)).min(BACKOFF_MAX);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
            assert!(why.contains("TLS"));
            last = pause;
        }
        assert!(backoff.current(now + last).is_none());
        backoff.succeed();
        assert!(backoff.current(now).is_none());
    }
}
