//! The control plane of one server: KILL, on connections of its own, outside the pool.
//!
//! One connection is kept open, so that a KILL reaches a server whose connections are used up.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::Connection;
use super::error::{ApplyError, OpenError};
use super::open::Opener;
use super::pool::Pool;
use super::settings::{SessionSettings, UTF8MB4_GENERAL_CI};
use crate::ids::{ClusterName, ServerId};
use crate::protocol::capability::Capabilities;
use crate::protocol::handshake::{Flavour, ServerRefusal};

/// A KILL takes no longer, opening a connection included.
const KILL_WITHIN: Duration = Duration::from_secs(2);
/// KILLs at the same time on one server.
const KILLS_AT_ONCE: usize = 4;
/// "Unknown thread id": what was to be killed is gone already.
const ER_NO_SUCH_THREAD: u16 = 1094;

/// Why a KILL did not arrive.
#[derive(Debug, Error)]
pub enum KillError {
    /// No control connection.
    #[error("no control connection: {0}")]
    Open(#[from] OpenError),
    /// The server refused it.
    #[error("the server refused the KILL: {0}")]
    Refused(ServerRefusal),
    /// The control connection broke.
    #[error(transparent)]
    Broken(#[from] ApplyError),
    /// Too slow.
    #[error("KILL not done within 2 seconds")]
    Timeout,
}

/// Connections for KILL.
pub(super) struct Control {
    opener: Opener,
    /// Taken out while in use, so the lock is held for a moment only.
    spare: Mutex<Option<Connection>>,
    permits: Semaphore,
    kills: AtomicU64,
}

impl Control {
    pub(super) fn new(opener: Opener) -> Self {
        let permits = Semaphore::new(KILLS_AT_ONCE);
        Self { opener, spare: Mutex::new(None), permits, kills: AtomicU64::new(0) }
    }

    pub(super) fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    fn take_spare(&self) -> Option<Connection> {
        let mut spare = self.spare.lock().expect("no code panics while it holds this lock").take()?;
        spare.framed.is_quiet().then_some(spare)
    }

    fn keep_spare(&self, connection: Connection) {
        let mut spare = self.spare.lock().expect("no code panics while it holds this lock");
        let surplus = spare.replace(connection);
        drop(spare);
        drop(surplus);
    }

    async fn connection(&self) -> Result<Connection, OpenError> {
        match self.take_spare() {
            Some(connection) => Ok(connection),
            None => self.opener.open(Capabilities::NONE, &SessionSettings::new(UTF8MB4_GENERAL_CI)).await,
        }
    }

    /// Opens the spare connection if there is none.
    pub(super) async fn keep_ready(&self) {
        if let Ok(connection) = self.connection().await {
            self.keep_spare(connection);
        }
    }

    /// Looks whether there are stored functions. MariaDB need not be asked: its EOF packets tell.
    pub(super) async fn look_for_functions(&self) -> Result<(), OpenError> {
        let mut connection = self.connection().await?;
        if connection.server_version().flavour == Flavour::MySql {
            let functions = Arc::clone(&connection.functions);
            match timeout(KILL_WITHIN, functions.look(&mut connection)).await {
                Ok(looked) => looked?,
                Err(_) => return Err(OpenError::Timeout { within: KILL_WITHIN }),
            }
        }
        self.keep_spare(connection);
        Ok(())
    }

    async fn kill(&self, sql: &str) -> Result<(), KillError> {
        let Ok(_permit) = self.permits.acquire().await else { return Err(KillError::Timeout) };
        let mut connection = self.connection().await?;
        let payload = connection.query_payload(sql);
        connection.queue_command(&payload);
        let refusal = connection.finish_small_command().await?;
        self.kills.fetch_add(1, Ordering::Relaxed);
        self.keep_spare(connection);
        match refusal {
            Some(refusal) if refusal.errno != ER_NO_SUCH_THREAD => Err(KillError::Refused(refusal)),
            _ => Ok(()),
        }
    }
}

/// Stops what runs on one connection.
///
/// Keep the checkout until the KILL is done, and then discard it: a KILL QUERY that comes after the end of
/// its statement hits the next one on that connection.
#[derive(Clone)]
pub struct Killer {
    pool: Arc<Pool>,
    thread_id: u32,
}

impl Killer {
    pub(super) fn new(pool: Arc<Pool>, thread_id: u32) -> Self {
        Self { pool, thread_id }
    }

    /// The cluster that the connection leads to.
    pub fn cluster(&self) -> &ClusterName {
        &self.pool.at().cluster
    }

    /// The server that the connection leads to.
    pub fn server(&self) -> &ServerId {
        &self.pool.at().server
    }

    /// Stops the statement; the connection stays.
    ///
    /// # Errors
    /// The KILL did not arrive within two seconds, or was refused. That the statement is over is none.
    pub async fn kill_query(&self) -> Result<(), KillError> {
        self.kill(&format!("KILL QUERY {}", self.thread_id)).await
    }

    /// Ends the connection on the server.
    ///
    /// # Errors
    /// As [`Killer::kill_query`].
    pub async fn kill_connection(&self) -> Result<(), KillError> {
        self.kill(&format!("KILL {}", self.thread_id)).await
    }

    async fn kill(&self, sql: &str) -> Result<(), KillError> {
        match timeout(KILL_WITHIN, self.pool.control.kill(sql)).await {
            Ok(done) => done,
            Err(_) => Err(KillError::Timeout),
        }
    }
}

impl fmt::Debug for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Killer(#{})", self.thread_id)
    }
}
