//! Moves a table's rows into its shadow: copies, applies changes, compares.
//!
//! One [`Engine`] per migration. Its life, as `run` drives it; every step may be repeated after a crash:
//!
//! 1. [`make_shadow`]: reads the table's definition, refuses what cannot be copied, makes the empty shadow,
//!    gives the [`CopyPlan`].
//! 2. [`Engine::start`]: subscribes to the table's changes and applies them from then on, in the background,
//!    until the engine is dropped or [`Engine::stop`]ped.
//! 3. [`Engine::copy`]: every row that was there; then [`Engine::finish_indexes`] builds the indexes that were
//!    left out.
//! 4. [`Engine::verify`]: compares, repairs, compares again until nothing differs.
//! 5. For the exchange: [`Engine::park`] (the background applies no more, so that the shadow can be locked),
//!    `LOCK TABLES` by the caller, [`Engine::drain_under_lock`], exchange, [`Engine::stop`]; or
//!    [`Engine::unpark`] when it came to nothing.
//!
//! A table of one chunk needs no engine: [`fill_single_chunk`] under the caller's lock.

mod error;
mod pace;

pub use error::EngineError;
pub use pace::{ChunkCost, Pace, Permission};

use std::sync::Arc;
use std::time::Duration;

use super::plan::{CopyPlan, Names};
use super::request::StatementSettings;
use super::view::Progress;
use crate::backend::direct::Direct;
use crate::config::Login;
use crate::ids::{ClusterName, MigrationId, ServerId};
use crate::protocol::tls::ClientTls;

/// Where the primary is and how to get in.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its primary.
    pub server: ServerId,
    /// The admin login.
    pub login: Login,
    /// TLS.
    pub tls: ClientTls,
    /// Time for one connection to be opened.
    pub within: Duration,
}

/// What makes a shadow table.
#[derive(Clone, Debug)]
pub struct ShadowRequest<'a> {
    /// The tables' names.
    pub names: &'a Names,
    /// The client's statement.
    pub text: &'a str,
    /// What it means depends on.
    pub settings: &'a StatementSettings,
    /// Secondary indexes may be left out and built behind the copy, up to this estimated size of the table in
    /// bytes.
    pub late_indexes_bytes_max: u64,
}

/// Checks the table and makes its shadow, empty, with the statement applied. A shadow of that name that is
/// there already is dropped first: the caller's ledger says that it is this migration's own.
///
/// `admin` is in the session state of [`open_session`] before and after.
///
/// # Errors
/// [`EngineError::Refused`] before anything is made; [`EngineError::Lossy`] with the server's own error when it
/// refuses the statement (nothing is left then); [`EngineError::Server`].
///
/// **Cancel safety**: what was made is left.
pub async fn make_shadow(admin: &mut Direct, request: &ShadowRequest<'_>) -> Result<CopyPlan, EngineError> {
    let _ = (admin, request);
    Err(EngineError::Stopped)
}

/// Reads the plan again from both tables, for a resume.
///
/// # Errors
/// As [`make_shadow`]; [`EngineError::TableChanged`] when the shadow is not there.
pub async fn read_plan(admin: &mut Direct, request: &ShadowRequest<'_>) -> Result<CopyPlan, EngineError> {
    let _ = (admin, request);
    Err(EngineError::Stopped)
}

/// Opens a connection in the engine's session state: UTC, strict, READ COMMITTED, bounded lock waits, `SET NAMES
/// binary`.
///
/// # Errors
/// [`EngineError::Open`], [`EngineError::Server`].
pub async fn open_session(endpoint: &Endpoint) -> Result<Direct, EngineError> {
    Ok(Direct::open(&endpoint.server, &endpoint.login, &endpoint.tls, endpoint.within).await?)
}

/// Copies a small table as a whole and compares it, on a connection that holds `LOCK TABLES source WRITE, shadow
/// WRITE` (or READ for the source). Gives the number of rows. The exchange is the caller's.
///
/// # Errors
/// [`EngineError::Duplicate`], [`EngineError::Lossy`], [`EngineError::Differs`], [`EngineError::Server`]; the
/// shadow may hold rows then.
pub async fn fill_single_chunk(locked: &mut Direct, plan: &CopyPlan) -> Result<u64, EngineError> {
    let _ = (locked, plan);
    Err(EngineError::Stopped)
}

/// What an engine works on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The migration, by which progress is recorded in `zz_bulkhead.progress`.
    pub id: MigrationId,
    /// The primary.
    pub endpoint: Endpoint,
    /// What is copied, and how.
    pub plan: Arc<CopyPlan>,
    /// Goes on from the recorded progress instead of from the beginning.
    pub resume: bool,
}

/// What a comparison came to: nothing differed in the last pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that both tables had.
    pub rows: u64,
    /// Passes made; 1 when nothing had to be repaired.
    pub passes: u32,
    /// Ranges repaired.
    pub repaired: usize,
}

/// Moves the rows of one table; see the module.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
}

impl Engine {
    /// Subscribes to changes and starts to apply them. On return a marker has come through: whatever is read
    /// from now on is newer than the subscription (invariant I1).
    ///
    /// # Errors
    /// [`EngineError::Feed`] (also when a resume finds its position purged), [`EngineError::Open`],
    /// [`EngineError::Server`].
    pub async fn start(setup: Setup) -> Result<Self, EngineError> {
        Ok(Self { setup })
    }

    /// Copies every row that is not recorded as copied. Lost connections and lock waits are tried again, a
    /// bounded number of times in a row.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] when `pace` says so: call it again to go on. All others are ends.
    ///
    /// **Cancel safety**: safe; chunks that were not committed are copied again.
    pub async fn copy(&mut self, pace: &dyn Pace) -> Result<(), EngineError> {
        let _ = (&self.setup, pace);
        Err(EngineError::Stopped)
    }

    /// Builds the indexes that were left out; nothing when none were, or they are there already.
    ///
    /// # Errors
    /// [`EngineError::Duplicate`] for a unique one that meets duplicates; [`EngineError::Server`].
    pub async fn finish_indexes(&mut self) -> Result<(), EngineError> {
        Err(EngineError::Stopped)
    }

    /// Waits until every change that was committed before the call is applied.
    ///
    /// # Errors
    /// [`EngineError::Late`] and what ended the applying.
    pub async fn catch_up(&mut self, within: Duration) -> Result<(), EngineError> {
        let _ = within;
        Err(EngineError::Stopped)
    }

    /// Compares every row of both tables, repairs what differs, and compares again until a whole pass finds
    /// nothing (invariant I12). The source is locked for reading for a moment at the start of each pass, bounded
    /// by `lock_within`.
    ///
    /// # Errors
    /// [`EngineError::Differs`] after three passes; [`EngineError::Late`] when the lock was not had: nothing is
    /// held then; [`EngineError::Stopped`].
    pub async fn verify(&mut self, pace: &dyn Pace, lock_within: Duration) -> Result<Verified, EngineError> {
        let _ = (pace, lock_within);
        Err(EngineError::Stopped)
    }

    /// Finishes the batch at work and applies no more: changes are collected in memory (bounded) until
    /// [`Self::unpark`] or [`Self::drain_under_lock`]. From its return on the engine holds no lock on the
    /// shadow.
    ///
    /// # Errors
    /// What ended the applying before.
    pub async fn park(&mut self) -> Result<(), EngineError> {
        Err(EngineError::Stopped)
    }

    /// Goes on applying.
    pub fn unpark(&mut self) {}

    /// With the source locked against writes: waits for the last of its changes and applies them, on `locked`
    /// when that connection holds `LOCK TABLES … shadow WRITE` too, else (`None`) on the engine's own
    /// connection, which must be unparked. On success source and shadow are equal as long as the lock is held
    /// (invariant I8), and AUTO_INCREMENT is carried over.
    ///
    /// # Errors
    /// [`EngineError::Late`] and what ended the applying; then the tables must not be exchanged.
    pub async fn drain_under_lock(
        &mut self,
        locked: Option<&mut Direct>,
        within: Duration,
    ) -> Result<(), EngineError> {
        let _ = (locked, within);
        Err(EngineError::Stopped)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress::default()
    }

    /// Why the background ended, if it did.
    pub fn failure(&self) -> Option<EngineError> {
        None
    }

    /// Ends the background; what was applied and copied stays recorded. With `forget` the records are removed
    /// too: the migration is over.
    ///
    /// # Errors
    /// [`EngineError::Server`] when the records could not be removed.
    pub async fn stop(self, forget: bool) -> Result<(), EngineError> {
        let _ = forget;
        Ok(())
    }
}
