//! One connection to a server, logged in.
//!
//! Owns what is known of the server's side of it: settings applied, current database, prepared statements,
//! whether it must be reset before another session may have it. Commands themselves are the caller's, through
//! [`Connection::framed`].

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::delta::{LoginTraits, settings_delta};
use super::error::ApplyError;
use super::open::Tether;
use super::prepared::{Prepared, PreparedKey, PreparedStatements};
use super::set_up::StoredFunctions;
use super::settings::SessionSettings;
use crate::ids::{ServerId, WorkerId};
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::errors::FrameError;
use crate::protocol::framed::Framed;
use crate::protocol::handshake::{Flavour, ServerRefusal, ServerVersion};
use crate::protocol::response::ResponseEnd;
use crate::protocol::result::RawOk;

const COM_INIT_DB: u8 = 0x02;
const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_RESET_CONNECTION: u8 = 0x1f;
/// First byte of an ERR packet.
const ERR: u8 = 0xff;
/// Bound of a SET, a COM_INIT_DB, a COM_RESET_CONNECTION that is waited for.
const SMALL_COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// Settings kept as proven per server; beyond this all are forgotten and proven again.
const PROVEN_MAX: usize = 4096;
/// A database that exists on every server and holds no table that could be written.
const HARMLESS_DATABASE: &str = "information_schema";

/// Settings that a server has accepted: a SET for one of them can go ahead of a statement without waiting.
#[derive(Debug, Default)]
pub(super) struct ProvenSettings(Mutex<HashSet<u64>>);

impl ProvenSettings {
    fn contains(&self, settings: &SessionSettings) -> bool {
        let proven = self.0.lock().expect("no code panics while it holds this lock");
        proven.contains(&settings.refusable_hash())
    }

    fn insert(&self, settings: &SessionSettings) {
        let mut proven = self.0.lock().expect("no code panics while it holds this lock");
        if proven.len() >= PROVEN_MAX {
            proven.clear();
        }
        proven.insert(settings.refusable_hash());
    }
}

/// What is queued behind a change of the current database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// A statement that does nothing but read, unless a stored function does more.
    Reads,
    /// Any other.
    Any,
}

/// One connection to a server.
///
/// Dropping it closes it. A pool lends it as a [`super::Checkout`].
pub struct Connection {
    /// Packets to and from the server.
    pub framed: Framed,
    /// The pool holds it too, to cut the connection off.
    pub(super) tether: Arc<Tether>,
    pub(super) server: Arc<ServerId>,
    /// What was asked for under [`crate::protocol::capability::CLASS_MASK`].
    pub(super) class: Capabilities,
    pub(super) capabilities: Capabilities,
    pub(super) version: Arc<ServerVersion>,
    pub(super) thread_id: u32,
    pub(super) applied: Arc<SessionSettings>,
    pub(super) database: Option<Arc<str>>,
    /// False when it may be in any database: a routine may have changed it, a reset keeps it.
    pub(super) database_known: bool,
    pub(super) prepared: PreparedStatements,
    pub(super) proven: Arc<ProvenSettings>,
    pub(super) functions: Arc<StoredFunctions>,
    /// A session left something that COM_RESET_CONNECTION must remove.
    pub(super) is_dirty: bool,
    /// The last answer could not tell whether state changed; the server's next OK will (MySQL only).
    pub(super) is_suspect: bool,
    /// The server keeps texts of the session's statements on it, which COM_RESET_CONNECTION does not remove
    /// (seen: `profiling` on MariaDB 10.11, `optimizer_trace` on MySQL 9.7): it is closed, not lent again.
    pub(super) is_spent: bool,
    pub(super) opened: Instant,
    /// The worker whose runtime watches the socket.
    pub(super) worker: WorkerId,
    /// Written by the pool when the connection comes back.
    pub(super) idle_since: Instant,
}

impl Connection {
    /// The capabilities negotiated with the server: what its packets look like. Flags of the client's that
    /// change requests only (query attributes) may be missing here.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Family and number of the server.
    pub fn server_version(&self) -> &ServerVersion {
        &self.version
    }

    /// The server.
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// The connection's id on the server, for KILL.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<SessionSettings> {
        &self.applied
    }

    /// The current database, as far as is known.
    pub fn database(&self) -> Option<&Arc<str>> {
        self.database.as_ref()
    }

    /// Has the socket watched by the runtime of `worker`, which must be the current one.
    ///
    /// # Errors
    /// The system's own; close the connection.
    pub(super) fn move_to(&mut self, worker: WorkerId) -> io::Result<()> {
        if self.worker != worker {
            self.framed.rehome()?;
            self.worker = worker;
        }
        Ok(())
    }

    /// Says whether `database` is current; an absent one always is.
    pub(super) fn is_in(&self, database: Option<&Arc<str>>) -> bool {
        match (&self.database, database) {
            (_, None) => true,
            (Some(have), Some(want)) => Arc::ptr_eq(have, want) || have == want,
            (None, Some(_)) => false,
        }
    }

    /// Says whether `settings` are in force.
    pub(super) fn has(&self, settings: &Arc<SessionSettings>) -> bool {
        Arc::ptr_eq(&self.applied, settings) || *self.applied == **settings
    }

    /// Says whether the connection's time is over; each lives up to a tenth longer than `lifetime`, so that
    /// those opened together are not replaced together. A `lifetime` of zero never ends.
    pub(super) fn is_older_than(&self, lifetime: Duration, now: Instant) -> bool {
        let extra = lifetime / 1000 * (self.thread_id % 100);
        !lifetime.is_zero() && now.saturating_duration_since(self.opened) >= lifetime + extra
    }

    /// Brings the connection to `settings` and `database` (absent: whichever it has). What is needed for that
    /// is queued, to be written together with the statement that follows; returns the number of OK answers
    /// that come before the statement's own.
    ///
    /// Settings that this server has never accepted are sent at once and their answer awaited, so that no
    /// statement runs under other settings than its session's. A change of database goes by way of
    /// `information_schema`: if the database is gone, the statement queued behind finds none of its tables,
    /// instead of those of the database that was current before. A statement that only reads may be queued
    /// behind without the detour, where no stored function can make reading do more: its answer is never
    /// looked at. When one of the answers is an error, discard the checkout.
    ///
    /// # Errors
    /// The server refused the settings; the connection broke. Nothing of the statement was sent.
    ///
    /// Cancel safety: none; discard the connection.
    pub async fn apply(
        &mut self,
        settings: &Arc<SessionSettings>,
        database: Option<&Arc<str>>,
        behind: Behind,
    ) -> Result<u32, ApplyError> {
        let answers = self.apply_settings(settings).await?;
        let is_harmless = behind == Behind::Reads && !self.functions.may_exist();
        let detour = (self.database.is_some() || !self.database_known) && !is_harmless;
        Ok(answers + self.queue_database(database, detour))
    }

    /// As [`Self::apply`], for a statement that was prepared in `database`. It runs there whatever the
    /// current database is, so there is no detour; but a server that has to change it for the execution
    /// would tell of that as of changed session state.
    ///
    /// # Errors
    /// As [`Self::apply`].
    ///
    /// Cancel safety: none; discard the connection.
    pub async fn apply_for_prepared(
        &mut self,
        settings: &Arc<SessionSettings>,
        database: Option<&Arc<str>>,
    ) -> Result<u32, ApplyError> {
        Ok(self.apply_settings(settings).await? + self.queue_database(database, false))
    }

    async fn apply_settings(&mut self, settings: &Arc<SessionSettings>) -> Result<u32, ApplyError> {
        if !self.has(settings) {
            return self.change_settings(settings).await;
        }
        if !Arc::ptr_eq(&self.applied, settings) {
            // Found by pointer next time.
            self.note_settings(Arc::clone(settings));
        }
        Ok(0)
    }

    async fn change_settings(&mut self, settings: &Arc<SessionSettings>) -> Result<u32, ApplyError> {
        let login = LoginTraits {
            flavour: self.version.flavour,
            ignores_space: self.capabilities.contains(Capabilities::IGNORE_SPACE),
        };
        let delta = settings_delta(&self.applied, settings, login);
        let Some(sql) = delta else {
            self.note_settings(Arc::clone(settings));
            return Ok(0);
        };
        let payload = self.query_payload(&sql);
        self.take_as_changed();
        self.queue_command(&payload);
        if self.proven.contains(settings) {
            self.note_settings(Arc::clone(settings));
            return Ok(1);
        }
        if let Some(refusal) = self.finish_small_command().await? {
            self.is_dirty = true;
            return Err(ApplyError::Refused(refusal));
        }
        self.proven.insert(settings);
        self.note_settings(Arc::clone(settings));
        Ok(0)
    }

    fn queue_database(&mut self, database: Option<&Arc<str>>, detour: bool) -> u32 {
        let Some(database) = database.filter(|database| !self.is_in(Some(database))) else { return 0 };
        self.take_as_changed();
        if detour {
            self.queue_command(&init_db_payload(HARMLESS_DATABASE));
        }
        self.queue_command(&init_db_payload(database));
        self.note_database(Some(Arc::clone(database)));
        1 + u32::from(detour)
    }

    /// A command that changes state itself is about to answer in the place of the one that could not: what it
    /// tells is its own.
    fn take_as_changed(&mut self) {
        self.is_dirty |= self.is_suspect;
    }

    /// Queues a command of its own: sequence ids start at 0.
    pub fn queue_command(&mut self, payload: &[u8]) {
        self.framed.reset_sequence();
        self.framed.queue_packet(payload);
    }

    /// The payload of a COM_QUERY for this connection.
    pub(super) fn query_payload(&self, sql: &str) -> Vec<u8> {
        let mut payload = Vec::with_capacity(sql.len() + 3);
        payload.push(COM_QUERY);
        if self.capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
            // No attributes, one set of them.
            payload.extend_from_slice(&[0, 1]);
        }
        payload.extend_from_slice(sql.as_bytes());
        payload
    }

    /// Sends what is queued, of which the last is one command that is answered by OK or ERR; gives back the
    /// error.
    pub(super) async fn finish_small_command(&mut self) -> Result<Option<ServerRefusal>, ApplyError> {
        let framed = &mut self.framed;
        let exchange = async {
            framed.flush().await?;
            framed.set_sequence(1);
            let packet = framed.read_packet().await?;
            let refusal = (packet.first() == Some(&ERR)).then(|| ServerRefusal::parse(packet));
            framed.release_packet();
            Ok::<_, FrameError>(refusal)
        };
        match timeout(SMALL_COMMAND_WITHIN, exchange).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(ApplyError::Timeout),
        }
    }

    /// Tells that the session's own statement changed settings on the server, and what they are now.
    pub fn note_settings(&mut self, settings: Arc<SessionSettings>) {
        self.is_spent |= settings.keeps_history();
        self.applied = settings;
    }

    /// Tells that a statement changed the current database, or may have: `None`.
    pub fn note_database(&mut self, database: Option<Arc<str>>) {
        self.database_known = database.is_some();
        self.database = database;
    }

    /// Tells that the session leaves something behind that the next must not find: temporary tables, locks,
    /// user variables, unknown settings. The connection is reset before it is lent again.
    pub fn mark_dirty(&mut self) {
        self.is_dirty = true;
    }

    /// Takes from a complete answer what it says about session state; `is_accounted` when what the statement
    /// changes is known anyway. Gives whether something changed that is not: the connection is then reset
    /// before it is lent again.
    ///
    /// An ERR packet tells nothing. MySQL then tells with its next OK, MariaDB never does; MySQL does not
    /// tell by EOF packets either (seen on MySQL 9.7 and MariaDB 10.11).
    pub fn note_answer(&mut self, end: &ResponseEnd, is_accounted: bool) -> bool {
        self.note_aside(end);
        let has_changed = end.state_changed && !is_accounted;
        let tells_later = self.version.flavour == Flavour::MySql;
        self.is_dirty |= has_changed || (end.error.is_some() && !tells_later);
        let may_hide = self.is_suspect || end.error.is_some() || self.functions.may_exist();
        self.is_suspect = tells_later && !end.is_state_told && may_hide;
        has_changed
    }

    /// Takes from an answer to a question of Bulkhead's own what it says about the statement before it.
    pub fn note_aside(&mut self, end: &ResponseEnd) {
        self.is_dirty |= self.is_suspect && end.state_changed;
    }

    /// Says whether a SELECT may change state here and its end not tell of it: MySQL with EOF packets, where
    /// there may be stored functions.
    pub fn hides_changes(&self) -> bool {
        self.version.flavour == Flavour::MySql
            && !self.capabilities.contains(Capabilities::DEPRECATE_EOF)
            && self.functions.may_exist()
    }

    /// Tells that the statement may have created a stored function.
    pub fn expect_functions(&self) {
        self.functions.expect();
    }

    /// Queues a COM_PING behind the command that was queued last. Its OK tells what the answer before hid.
    pub fn queue_ping(&mut self) {
        self.queue_command(&[COM_PING]);
    }

    /// A statement that this connection has prepared.
    pub fn prepared(&mut self, key: PreparedKey) -> Option<Prepared> {
        self.prepared.get(key)
    }

    /// Keeps a statement for other sessions too. If that is one too many, the close of the least recently
    /// used is queued; it has no answer.
    pub fn remember_prepared(&mut self, key: PreparedKey, prepared: Prepared) {
        if let Some(id) = self.prepared.insert(key, prepared) {
            self.queue_close(id);
        }
    }

    /// Forgets a statement, and queues its close, which has no answer.
    pub fn forget_prepared(&mut self, key: PreparedKey) {
        if let Some(id) = self.prepared.remove(key) {
            self.queue_close(id);
        }
    }

    /// Number of statements kept prepared.
    pub fn prepared_count(&self) -> usize {
        self.prepared.len()
    }

    fn queue_close(&mut self, id: u32) {
        let mut payload = [COM_STMT_CLOSE, 0, 0, 0, 0];
        payload[1..].copy_from_slice(&id.to_le_bytes());
        self.queue_command(&payload);
    }

    /// Makes the connection fit for another session. Gives whether it had to be reset.
    pub(super) async fn clean(&mut self) -> Result<bool, ApplyError> {
        if !self.is_dirty && !self.ask_changed().await? {
            self.is_suspect = false;
            return Ok(false);
        }
        self.reset().await?;
        Ok(true)
    }

    /// Asks by COM_PING whether state changed that no answer has told of yet.
    async fn ask_changed(&mut self) -> Result<bool, ApplyError> {
        self.queue_ping();
        let capabilities = self.capabilities;
        let framed = &mut self.framed;
        let exchange = async {
            framed.flush().await?;
            framed.set_sequence(1);
            let packet = framed.read_packet().await?;
            // What is no OK is no reason to trust the connection.
            let quiet = RawOk::parse(packet, capabilities)
                .is_ok_and(|ok| !ok.status.contains(StatusFlags::SESSION_STATE_CHANGED));
            framed.release_packet();
            Ok::<_, FrameError>(!quiet)
        };
        match timeout(SMALL_COMMAND_WITHIN, exchange).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(ApplyError::Timeout),
        }
    }

    /// COM_RESET_CONNECTION: rolls back, frees locks, drops temporary tables, forgets variables and prepared
    /// statements. The current database stays, whatever a routine has made of it. The settings are the
    /// server's again: they are looked at as for a new connection.
    pub(super) async fn reset(&mut self) -> Result<(), ApplyError> {
        self.queue_command(&[COM_RESET_CONNECTION]);
        if let Some(refusal) = self.finish_small_command().await? {
            return Err(ApplyError::Refused(refusal));
        }
        self.prepared.clear();
        self.applied = Arc::new(SessionSettings::after_reset());
        self.note_database(None);
        self.set_up().await.map_err(|error| ApplyError::Mode(Box::new(error)))?;
        (self.is_dirty, self.is_suspect) = (false, false);
        Ok(())
    }
}

fn init_db_payload(database: &str) -> Vec<u8> {
    let mut payload = Vec::with_capacity(database.len() + 1);
    payload.push(COM_INIT_DB);
    payload.extend_from_slice(database.as_bytes());
    payload
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} #{}, {})", self.server, self.thread_id, self.version.text)
    }
}
