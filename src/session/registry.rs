//! Every session that is connected: who it is, what it runs, and how to interrupt it.
//!
//! Read by KILL, by the process list and by the admin port; written by the session itself. A guard of the map
//! is never held across an await.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use atomic_waker::AtomicWaker;
use dashmap::DashMap;
use tokio::sync::Notify;

use crate::backend::{KillError, Killer};
use crate::error::{ClientError, Code};
use crate::ids::{SessionId, UserName};

/// Why a session is to stop what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// KILL: the session ends.
    Kill,
    /// The proxy stops: the session ends at its next transaction boundary.
    Shutdown,
    /// The proxy has waited long enough: the session ends now.
    Stop,
}

const NO_INTERRUPT: u8 = 0;
const SHUTDOWN: u8 = 1;
const STOP: u8 = 2;
const KILL: u8 = 3;

/// What the process list shows of one session.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The database the client selected.
    pub database: Option<Arc<str>>,
    /// The kind of what runs: `Query`, `Sleep`, ….
    pub command: &'static str,
    /// Since when.
    pub since: Instant,
    /// Digest of the statement that runs or ran last, 0 if none.
    pub digest: u64,
    /// The server that works for it, and how to stop what runs there.
    pub running: Option<Killer>,
    /// An open transaction holds a server connection.
    pub in_transaction: bool,
}

/// One connected session; written by its own task except for the interrupt.
#[derive(Debug)]
pub struct SessionEntry {
    /// The id the client knows.
    pub id: SessionId,
    /// The user it logged in as.
    pub user: UserName,
    /// Where it comes from.
    pub peer: String,
    /// When it connected.
    pub connected: Instant,
    /// Statements run so far.
    pub statements: AtomicU64,
    shown: Mutex<Shown>,
    interrupt: AtomicU8,
    /// Wakes the session's own task, which is the only one that waits for interrupts.
    wake: AtomicWaker,
    /// A KILL QUERY arrived, or failed to.
    kill_done: Notify,
    in_flight: Arc<AtomicUsize>,
}

/// What is written under the entry's lock.
#[derive(Debug)]
struct Shown {
    activity: Activity,
    /// KILL QUERYs on their way for the statement that runs.
    kills_on_way: usize,
    /// One was sent for it.
    was_killed: bool,
    /// Its statement waits for something of Bulkhead's own, and has not been sent.
    wait: Wait,
}

/// A statement that waits before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    #[default]
    None,
    Waits,
    /// A KILL QUERY ended it.
    Cut,
}

impl SessionEntry {
    /// What it does now.
    pub fn activity(&self) -> Activity {
        self.shown().activity.clone()
    }

    /// Changes what the process list shows.
    pub(super) fn update(&self, change: impl FnOnce(&mut Activity)) {
        change(&mut self.shown().activity);
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interrupt that was asked for, if any.
    pub(super) fn interrupt(&self) -> Option<Interrupt> {
        match self.interrupt.load(Ordering::Acquire) {
            KILL => Some(Interrupt::Kill),
            STOP => Some(Interrupt::Stop),
            SHUTDOWN => Some(Interrupt::Shutdown),
            _ => None,
        }
    }

    /// Waits until an interrupt is asked for that counts: a shutdown does only at a transaction boundary. For
    /// the session's own task. Cancel safe.
    pub(super) async fn interrupted_at(&self, is_boundary: bool) -> Interrupt {
        poll_fn(|cx| {
            if let Some(interrupt) = self.due_interrupt(is_boundary) {
                return Poll::Ready(interrupt);
            }
            self.wake.register(cx.waker());
            // One that was asked for before the waker was there woke nobody.
            self.due_interrupt(is_boundary).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The interrupt that ends the session now: a shutdown waits for a transaction boundary.
    pub(super) fn due_interrupt(&self, is_boundary: bool) -> Option<Interrupt> {
        self.interrupt().filter(|interrupt| is_boundary || *interrupt != Interrupt::Shutdown)
    }

    /// Waits until the session is killed. Cancel safe.
    pub(super) async fn killed(&self) {
        self.interrupted_at(false).await;
    }

    /// For a statement that is to wait before it is sent.
    pub(super) fn waiting(&self) -> Waiting<'_> {
        Waiting { entry: self, is_shown: false }
    }

    /// KILL QUERY: stops the statement that runs or waits to run, if one does.
    ///
    /// # Errors
    /// The KILL did not reach the server.
    ///
    /// Cancel safety: safe.
    pub async fn kill_query(&self) -> Result<(), KillError> {
        match KillOnWay::begin(self) {
            Some(kill) => kill.killer.kill_query().await,
            None => Ok(()),
        }
    }

    /// The statement is over; says whether a KILL QUERY was sent for it. One on its way is waited for, as it
    /// would hit the connection's next statement.
    pub(super) async fn finish_running(&self) -> bool {
        loop {
            let done = self.kill_done.notified();
            {
                let mut shown = self.shown();
                shown.activity.running = None;
                if shown.kills_on_way == 0 {
                    return std::mem::take(&mut shown.was_killed);
                }
            }
            done.await;
        }
    }

    fn ask(&self, interrupt: u8) {
        // The larger number wins: a kill is not weakened into a shutdown.
        self.interrupt.fetch_max(interrupt, Ordering::AcqRel);
        self.wake.wake();
    }

    /// Takes one of the user's in-flight places, `None` when all are taken.
    pub(super) fn enter(&self, in_flight_max: usize) -> Option<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        let place = InFlight { count: self.in_flight.clone() };
        (in_flight_max == 0 || before < in_flight_max).then_some(place)
    }
}

/// A statement that waits before it is sent; until dropped, KILL QUERY ends the wait.
pub(super) struct Waiting<'a> {
    entry: &'a SessionEntry,
    is_shown: bool,
}

/// Why a statement waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Its session was killed.
    Session,
    /// KILL QUERY.
    Statement,
}

impl Waiting<'_> {
    /// Waits until session or statement is killed. For the session's own task. Costs nothing for who does not
    /// have to wait. Cancel safe.
    pub(super) async fn stopped(&mut self) -> Stopped {
        poll_fn(|cx| {
            if let Some(stopped) = self.look() {
                return Poll::Ready(stopped);
            }
            self.entry.wake.register(cx.waker());
            // One that was asked for before the waker was there woke nobody.
            self.look().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Waits on after a KILL QUERY that changed nothing: the next one counts again.
    pub(super) fn go_on(&mut self) {
        if self.is_shown {
            self.entry.shown().wait = Wait::Waits;
        }
    }

    fn look(&mut self) -> Option<Stopped> {
        if self.entry.due_interrupt(false).is_some() {
            return Some(Stopped::Session);
        }
        let mut shown = self.entry.shown();
        if !self.is_shown {
            self.is_shown = true;
            shown.wait = Wait::Waits;
        }
        (shown.wait == Wait::Cut).then_some(Stopped::Statement)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_shown {
            self.entry.shown().wait = Wait::None;
        }
    }
}

/// A KILL QUERY on its way; counts until dropped.
struct KillOnWay<'a> {
    entry: &'a SessionEntry,
    killer: Killer,
}

impl<'a> KillOnWay<'a> {
    /// `None` when nothing runs; a wait is cut then. Both under one lock: between two, a statement that waits
    /// could begin to run, and would be missed.
    fn begin(entry: &'a SessionEntry) -> Option<Self> {
        let mut shown = entry.shown();
        let Some(killer) = shown.activity.running.clone() else {
            if shown.wait == Wait::Waits {
                shown.wait = Wait::Cut;
                drop(shown);
                entry.wake.wake();
            }
            return None;
        };
        shown.kills_on_way += 1;
        shown.was_killed = true;
        Some(Self { entry, killer })
    }
}

impl Drop for KillOnWay<'_> {
    fn drop(&mut self) {
        self.entry.shown().kills_on_way -= 1;
        self.entry.kill_done.notify_waiters();
    }
}

/// A statement in flight; counts until dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    count: Arc<AtomicUsize>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub connections_max: usize,
    /// From one address.
    pub per_address_max: usize,
}

#[derive(Debug, Default)]
struct UserCounts {
    connections: usize,
    in_flight: Arc<AtomicUsize>,
}

/// All sessions.
#[derive(Debug)]
pub struct Registry {
    sessions: DashMap<SessionId, Arc<SessionEntry>>,
    next_id: AtomicU32,
    connections: AtomicUsize,
    by_user: Mutex<HashMap<UserName, UserCounts>>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    shutdown: AtomicBool,
    failed_logins: AtomicU64,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self {
            sessions: DashMap::new(),
            next_id: AtomicU32::new(1),
            connections: AtomicUsize::new(0),
            by_user: Mutex::default(),
            by_address: Mutex::default(),
            shutdown: AtomicBool::new(false),
            failed_logins: AtomicU64::new(0),
        }
    }

    /// Counts a connection before login.
    ///
    /// # Errors
    /// [`Code::TooManyConnections`] when a bound is reached; nothing is counted then.
    pub fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        limits: Limits,
    ) -> Result<Admission, ClientError> {
        let too_many = || ClientError::of(Code::TooManyConnections);
        if self.connections.fetch_add(1, Ordering::AcqRel) >= limits.connections_max {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            return Err(too_many());
        }
        let id = SessionId(self.next_id.fetch_add(1, Ordering::Relaxed).max(1));
        let mut admission = Admission { registry: self.clone(), id, address: None, user: None };
        if let Some(address) = address {
            let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= limits.per_address_max {
                drop(counts);
                return Err(too_many());
            }
            *count += 1;
            admission.address = Some(address);
        }
        Ok(admission)
    }

    /// The session with this id.
    pub fn get(&self, id: SessionId) -> Option<Arc<SessionEntry>> {
        self.sessions.get(&id).map(|entry| entry.value().clone())
    }

    /// All sessions, by id.
    pub fn list(&self) -> Vec<Arc<SessionEntry>> {
        let mut all: Vec<_> = self.sessions.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by_key(|entry| entry.id);
        all
    }

    /// Says whether sessions are asked to end.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.load(Ordering::Acquire)
    }

    /// Connections since start.
    pub fn connections_total(&self) -> u64 {
        u64::from(self.next_id.load(Ordering::Relaxed)).saturating_sub(1)
    }

    /// How many connections there are, those that are logging in included.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Counts a login that came to nothing.
    pub fn count_failed_login(&self) {
        self.failed_logins.fetch_add(1, Ordering::Relaxed);
    }

    /// Logins that came to nothing.
    pub fn failed_logins(&self) -> u64 {
        self.failed_logins.load(Ordering::Relaxed)
    }

    /// Ends a session; `false` when there is none of this id.
    pub fn kill(&self, id: SessionId) -> bool {
        self.get(id).inspect(|entry| entry.ask(KILL)).is_some()
    }

    /// Asks every session, also those that come later, to end at its next transaction boundary.
    pub fn shut_down(&self) {
        self.shutdown.store(true, Ordering::Release);
        self.list().iter().for_each(|entry| entry.ask(SHUTDOWN));
    }

    /// Ends every session now; clients are told of the shutdown where they can be.
    pub fn stop_all(&self) {
        self.list().iter().for_each(|entry| entry.ask(STOP));
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

/// One counted connection; uncounted when dropped.
#[derive(Debug)]
pub struct Admission {
    registry: Arc<Registry>,
    /// The id for the handshake and the process list.
    pub id: SessionId,
    address: Option<IpAddr>,
    user: Option<UserName>,
}

impl Admission {
    /// Enters the session under its user, after login or CHANGE_USER.
    ///
    /// # Errors
    /// [`Code::UserTooManyConnections`] when the user's bound is reached.
    pub fn enter(
        &mut self,
        user: &UserName,
        user_max: usize,
        peer: String,
    ) -> Result<Arc<SessionEntry>, ClientError> {
        self.leave_user();
        let in_flight = {
            let mut users = self.registry.by_user.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = users.entry(user.clone()).or_default();
            if counts.connections >= user_max {
                let message =
                    format!("User {user} already has more than 'max_user_connections' active connections");
                return Err(ClientError::new(Code::UserTooManyConnections, message));
            }
            counts.connections += 1;
            counts.in_flight.clone()
        };
        self.user = Some(user.clone());
        let now = Instant::now();
        let idle = Activity {
            database: None,
            command: "Sleep",
            since: now,
            digest: 0,
            running: None,
            in_transaction: false,
        };
        let entry = Arc::new(SessionEntry {
            id: self.id,
            user: user.clone(),
            peer,
            connected: now,
            statements: AtomicU64::new(0),
            shown: Mutex::new(Shown { activity: idle, kills_on_way: 0, was_killed: false, wait: Wait::None }),
            interrupt: AtomicU8::new(NO_INTERRUPT),
            wake: AtomicWaker::new(),
            kill_done: Notify::new(),
            in_flight,
        });
        self.registry.sessions.insert(self.id, entry.clone());
        if self.registry.shutdown.load(Ordering::Acquire) {
            entry.ask(SHUTDOWN);
        }
        Ok(entry)
    }

    fn leave_user(&mut self) {
        let Some(user) = self.user.take() else { return };
        self.registry.sessions.remove(&self.id);
        let mut users = self.registry.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = users.get_mut(&user) {
            counts.connections -= 1;
            if counts.connections == 0 {
                users.remove(&user);
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.leave_user();
        if let Some(address) = self.address {
            let mut counts = self.registry.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = counts.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&address);
                }
            }
        }
        self.registry.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { connections_max: 2, per_address_max: 1 };

    #[test]
    fn connections_are_counted_and_uncounted() {
        let registry = Arc::new(Registry::new());
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        let first = registry.admit(here, LIMITS).unwrap();
        assert_eq!(registry.admit(here, LIMITS).unwrap_err().code, Code::TooManyConnections);
        let _second = registry.admit(None, LIMITS).unwrap();
        assert_eq!(registry.admit(None, LIMITS).unwrap_err().code, Code::TooManyConnections);
        drop(first);
        assert_eq!(registry.connections(), 1);
        registry.admit(here, LIMITS).unwrap();
    }

    #[test]
    fn users_are_bounded_and_killed_by_id() {
        let registry = Arc::new(Registry::new());
        let user = UserName::new("app");
        let mut one = registry.admit(None, LIMITS).unwrap();
        let entry = one.enter(&user, 1, "127.0.0.1:1".into()).unwrap();
        let mut two = registry.admit(None, LIMITS).unwrap();
        assert_eq!(two.enter(&user, 1, String::new()).unwrap_err().code, Code::UserTooManyConnections);
        assert!(registry.kill(entry.id));
        assert_eq!(entry.interrupt(), Some(Interrupt::Kill));
        drop(one);
        assert!(!registry.kill(entry.id));
        two.enter(&user, 1, String::new()).unwrap();
    }

    #[tokio::test]
    async fn a_wait_that_goes_on_can_be_cut_again() {
        let registry = Arc::new(Registry::new());
        let mut one = registry.admit(None, LIMITS).unwrap();
        let entry = one.enter(&UserName::new("app"), 1, String::new()).unwrap();
        // Nothing waits: it is lost.
        entry.kill_query().await.unwrap();
        let mut waiting = entry.waiting();
        assert_eq!(waiting.look(), None);
        for _ in 0..2 {
            entry.kill_query().await.unwrap();
            assert_eq!(waiting.stopped().await, Stopped::Statement);
            waiting.go_on();
            assert_eq!(waiting.look(), None);
        }
    }

    #[tokio::test]
    async fn a_session_that_enters_during_shutdown_is_told() {
        let registry = Arc::new(Registry::new());
        registry.shut_down();
        let mut late = registry.admit(None, LIMITS).unwrap();
        let entry = late.enter(&UserName::new("app"), 1, String::new()).unwrap();
        assert_eq!(entry.interrupted_at(true).await, Interrupt::Shutdown);
    }
}
