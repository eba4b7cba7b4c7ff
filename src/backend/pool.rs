//! The pool of one server: lends connections, opens a few at a time, bounds who waits.
//!
//! The books are in [`super::books`]; here are the lock around them, the waiting and the opening. The lock is
//! never held across an await, nor while a connection or a grant is dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};

use super::Wanted;
use super::books::{Due, PoolState, PoolStats, Taken};
use super::connection::Connection;
use super::control::{Control, Killer};
use super::error::{CheckoutError, OpenError, OpenFailure, Whereabouts};
use super::open::Opener;
use crate::config::PoolLimits;

const COM_QUIT: u8 = 0x01;
/// A goodbye that takes longer is left out.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// The pool of one server.
pub(super) struct Pool {
    at: Whereabouts,
    opener: Opener,
    limits: PoolLimits,
    pub(super) control: Control,
    state: Mutex<PoolState>,
}

/// What a waiter is given.
pub(super) enum Grant {
    Lent(Checkout),
    MayOpen(OpenPermit),
    /// There is nothing left to wait for.
    Failing(OpenFailure),
}

/// The right to open one connection; counted as "opening" until dropped or used.
pub(super) struct OpenPermit {
    pool: Arc<Pool>,
    is_used: bool,
}

impl Drop for OpenPermit {
    fn drop(&mut self) {
        if !self.is_used {
            self.pool.change(PoolState::opening_over);
        }
    }
}

/// A place in the queue; leaves it when dropped.
struct Waiting<'a> {
    pool: &'a Arc<Pool>,
    receiver: oneshot::Receiver<Grant>,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.receiver.close();
        // A grant that came at the last moment goes back; dropping it does that.
        drop(self.receiver.try_recv());
        self.pool.lock().waiters.retain(|waiter| !waiter.grant.is_closed());
    }
}

impl Pool {
    pub(super) fn new(at: Whereabouts, opener: Opener, control: Control, limits: PoolLimits) -> Arc<Self> {
        let state = PoolState {
            max: limits.max_connections as usize,
            opening_at_once: (limits.opening_at_once as usize).max(1),
            waiters_max: limits.waiters as usize,
            ..PoolState::default()
        };
        Arc::new(Self { at, opener, limits, control, state: Mutex::new(state) })
    }

    /// Whose connections these are.
    pub(super) fn at(&self) -> &Whereabouts {
        &self.at
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    /// Changes the books under the lock, then does what became due.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut PoolState, &mut Due) -> T) -> T {
        let mut due = Due::default();
        let result = change(&mut self.lock(), &mut due);
        for waiter in due.open {
            // One that is gone drops the permit, which then goes to the next.
            drop(waiter.grant.send(Grant::MayOpen(self.permit())));
        }
        for (waiter, failure) in due.failing {
            // One that is gone need not be told.
            drop(waiter.grant.send(Grant::Failing(failure)));
        }
        if let Some((waiter, connection)) = due.hand_over {
            let lent = Checkout::new(Arc::clone(self), connection);
            if let Err(Grant::Lent(lent)) = waiter.grant.send(Grant::Lent(lent)) {
                lent.checkin();
            }
        }
        due.close.into_iter().for_each(say_goodbye);
        result
    }

    fn permit(self: &Arc<Self>) -> OpenPermit {
        OpenPermit { pool: Arc::clone(self), is_used: false }
    }

    /// Lends a connection.
    pub(super) async fn checkout(self: &Arc<Self>, wanted: &Wanted<'_>) -> Result<Checkout, CheckoutError> {
        let mut waited = None;
        loop {
            let taken = self.lock().take(wanted);
            let granted = match taken {
                Taken::Idle(connection) => Grant::Lent(Checkout::new(Arc::clone(self), connection)),
                Taken::Open { evicted } => {
                    evicted.into_iter().for_each(say_goodbye);
                    Grant::MayOpen(self.permit())
                }
                Taken::Wait(receiver) => {
                    // The server may be back while others still wait for it.
                    self.change(PoolState::pump);
                    let since = *waited.get_or_insert_with(Instant::now);
                    self.wait(receiver, since, wanted.within).await?
                }
                Taken::Failing(failure) => return Err(self.at.open_failed(failure)),
                Taken::QueueFull => return Err(self.at.queue_full(self.limits.waiters as usize)),
                Taken::Closed => return Err(self.gone()),
            };
            let mut lent = match granted {
                Grant::MayOpen(permit) => return self.open(permit, wanted).await,
                Grant::Failing(failure) => return Err(self.at.open_failed(failure)),
                Grant::Lent(lent) => lent,
            };
            if lent.framed.is_quiet() && lent.move_to(wanted.worker).is_ok() {
                return Ok(lent);
            }
            // The server closed it, or said something unasked: the next one, or a new one.
            self.lock().counters.stale += 1;
            drop(lent);
        }
    }

    async fn wait(
        self: &Arc<Self>,
        receiver: oneshot::Receiver<Grant>,
        since: Instant,
        within: Duration,
    ) -> Result<Grant, CheckoutError> {
        let mut waiting = Waiting { pool: self, receiver, is_over: false };
        let granted = timeout_at((since + within).into(), &mut waiting.receiver).await;
        waiting.is_over = granted.is_ok();
        drop(waiting);
        match granted {
            Ok(Ok(grant)) => {
                self.lock().counters.count_wait(since.elapsed());
                Ok(grant)
            }
            Ok(Err(_)) => Err(self.gone()),
            Err(_) => {
                self.lock().counters.timeouts += 1;
                Err(self.at.timed_out(since.elapsed()))
            }
        }
    }

    async fn open(
        self: &Arc<Self>,
        mut permit: OpenPermit,
        wanted: &Wanted<'_>,
    ) -> Result<Checkout, CheckoutError> {
        let started = Instant::now();
        let failure = self.lock().closed_to_attempts(started);
        if let Some(failure) = failure {
            return Err(self.at.open_failed(failure));
        }
        let opening = self.opener.open(wanted.class, wanted.settings);
        let Ok(opened) = timeout_at((started + wanted.within).into(), opening).await else {
            let cause = Arc::new(OpenError::Timeout { within: wanted.within });
            let pause = {
                let mut state = self.lock();
                state.counters.timeouts += 1;
                state.open_failed(&cause)
            };
            drop(permit);
            self.pump_after(pause);
            return Err(self.at.timed_out(started.elapsed()));
        };
        match opened {
            Ok(mut connection) => {
                connection.worker = wanted.worker;
                permit.is_used = true;
                let barred = self.change(|state, due| {
                    state.opened(&connection.tether);
                    state.pump(due);
                    state.barred.clone()
                });
                let opened = Checkout::new(Arc::clone(self), Box::new(connection));
                // Barred while it was being opened: dropped unused.
                barred.map_or(Ok(opened), |failure| Err(self.at.open_failed(failure)))
            }
            Err(error) => {
                let cause = Arc::new(error);
                let pause = self.lock().open_failed(&cause);
                drop(permit);
                self.pump_after(pause);
                Err(self.at.open_failed(OpenFailure { cause, is_remembered: false }))
            }
        }
    }

    /// Lets waiters try again once the server has been left alone for long enough.
    fn pump_after(self: &Arc<Self>, pause: Duration) {
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(pool) = pool.upgrade() {
                pool.change(PoolState::pump);
            }
        });
    }

    fn gone(&self) -> CheckoutError {
        CheckoutError::UnknownCluster { cluster: self.at.cluster.clone() }
    }

    fn give_back(self: &Arc<Self>, mut connection: Box<Connection>) {
        let now = Instant::now();
        connection.idle_since = now;
        let is_old = connection.is_older_than(self.limits.lifetime, now);
        let is_usable = !is_old && connection.framed.buffered().is_empty();
        self.change(|state, due| {
            if is_usable {
                return state.give_back(connection, due);
            }
            state.closed();
            due.close.push(connection);
            state.pump(due);
        });
    }

    /// The server is left alone after failures, or one attempt shows whether it is back.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().is_failing(Instant::now())
    }

    /// Statements that use this server or wait for it.
    pub(super) fn load(&self) -> usize {
        let state = self.lock();
        state.busy + state.opening + state.waiters.len()
    }

    /// Closes idle connections whose time is over.
    pub(super) fn reap(self: &Arc<Self>) {
        let (idle, lifetime) = (self.limits.idle, self.limits.lifetime);
        let reaped = self.lock().reap(idle, lifetime, Instant::now());
        reaped.into_iter().for_each(say_goodbye);
        self.change(PoolState::pump);
    }

    /// Says whether the pool holds any connection.
    pub(super) fn is_in_use(&self) -> bool {
        let state = self.lock();
        state.busy + state.idle.len() > 0
    }

    /// Cuts off every connection, those that are lent too, and lends none before [`Pool::lift`].
    pub(super) fn bar(self: &Arc<Self>) {
        let tethers = self.change(|state, due| state.bar(due));
        tethers.iter().for_each(|tether| tether.cut());
    }

    /// Lends again.
    pub(super) fn lift(&self) {
        self.lock().lift();
    }

    /// Says whether it was barred.
    pub(super) fn is_barred(&self) -> bool {
        self.lock().barred.is_some()
    }

    /// Lends no more; connections that are out are closed when they come back.
    pub(super) fn close(&self) {
        let idle = self.lock().close();
        idle.into_iter().for_each(say_goodbye);
    }

    pub(super) fn stats(&self) -> PoolStats {
        let state = self.lock();
        let (breaker, backoff, last_error) = state.breaker(Instant::now());
        let mut counters = state.counters;
        counters.kills = self.control.kills();
        PoolStats {
            cluster: self.at.cluster.clone(),
            role: self.at.role,
            server: self.at.server.clone(),
            idle: state.idle.len(),
            busy: state.busy,
            opening: state.opening,
            waiting: state.waiters.len(),
            max_connections: state.max,
            counters,
            breaker,
            backoff,
            last_error,
        }
    }
}

/// Closes a connection as the protocol wishes; without a runtime, just closes it.
fn say_goodbye(mut connection: Box<Connection>) {
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        connection.queue_command(&[COM_QUIT]);
        // Whether the server still listens does not matter.
        let _ = timeout(GOODBYE_WITHIN, connection.framed.shutdown()).await;
    });
}

/// A connection lent by a pool. Dropped without [`Checkout::checkin`], it is closed.
pub struct Checkout {
    pool: Arc<Pool>,
    /// Absent only after it was given back.
    connection: Option<Box<Connection>>,
}

impl Checkout {
    fn new(pool: Arc<Pool>, connection: Box<Connection>) -> Self {
        Self { pool, connection: Some(connection) }
    }

    /// Gives the connection back, between two commands: its last answer was read whole. One that a
    /// session has left something on, or may have, is reset or asked first, in a task of its own, and
    /// one that the server keeps somebody's texts on is closed.
    pub fn checkin(mut self) {
        if self.is_spent {
            return self.discard();
        }
        let Some(connection) = self.connection.take() else { return };
        let pool = Arc::clone(&self.pool);
        if !connection.is_dirty && !connection.is_suspect {
            return pool.give_back(connection);
        }
        let mut checkout = Self::new(pool, connection);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Ok(was_reset) = checkout.clean().await {
                checkout.pool.lock().counters.resets += u64::from(was_reset);
                checkout.checkin();
            }
        });
    }

    /// Closes the connection: its state is not known, or it broke.
    pub fn discard(self) {
        drop(self);
    }

    /// Stops what runs on this connection; usable while it is in use.
    pub fn killer(&self) -> Killer {
        Killer::new(Arc::clone(&self.pool), self.thread_id())
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.change(|state, due| {
                state.closed();
                state.pump(due);
            });
            drop(connection);
        }
    }
}

impl Deref for Checkout {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a checkout holds its connection until it is consumed")
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a checkout holds its connection until it is consumed")
    }
}

impl fmt::Debug for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}
