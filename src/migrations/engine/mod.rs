//! Moves a table's rows into its shadow: copies, applies changes, compares.
//!
//! One [`Engine`] per migration. Its life, as `run` drives it; every step may be repeated after a crash:
//!
//! 1. [`look()`] at the table; [`make_shadow`]: refuses what cannot be copied, makes the empty shadow, gives
//!    the [`CopyPlan`].
//! 2. [`Engine::start`]: subscribes to the table's changes and applies them from then on, in the background,
//!    until the engine is dropped or [`Engine::stop`]ped.
//! 3. [`Engine::copy`]: every row that was there; then [`Engine::finish_indexes`] builds the indexes that
//!    were left out.
//! 4. [`Engine::verify`]: compares, repairs, compares again until nothing differs.
//! 5. For the exchange: [`Engine::park`] (the background applies no more, so that the shadow can be locked),
//!    `LOCK TABLES` by the caller, [`Engine::drain_under_lock`], exchange, [`Engine::stop`]; or
//!    [`Engine::unpark`] when it came to nothing.
//!
//! A table of one chunk needs no engine: [`fill_single_chunk`] under the caller's lock.
//!
//! Invariants: the feed's subscription is older than every read, proven by a marker; the position recorded is
//! never ahead of what is applied, the ranges recorded never ahead of what is copied; nothing is dropped from
//! the feed; after any error the client's table is as it was.

mod error;
mod laps;
mod late;
mod life;
mod look;
mod pace;
mod records;
mod session;
mod shadow;
mod shared;

pub use error::EngineError;
pub use life::{Engine, Setup, Verified};
pub use look::Source;
pub use pace::{ChunkCost, Pace, Permission, Slice};
pub use session::{open_session, settle_session};
pub use shadow::Known;

pub(crate) use laps::Laps;
pub(crate) use session::{meaning, rows, run};
pub(crate) use shadow::client_settings;
pub(crate) use shared::{Counters, Image, OpenChunk, Settling, Shared, State};

use std::time::Duration;

use super::plan::{CopyPlan, KeyRange, Names};
use super::request::StatementSettings;
use super::verify::{Side, read_sum};
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
    /// The migration, by which things are recorded.
    pub id: &'a MigrationId,
    /// Grows each time that the migration is taken up: an engine of a smaller one writes no more.
    pub epoch: u64,
    /// The tables' names.
    pub names: &'a Names,
    /// The client's statement.
    pub text: &'a str,
    /// What it means depends on.
    pub settings: &'a StatementSettings,
    /// Secondary indexes may be left out and built behind the copy, up to this estimated size of the table in
    /// bytes.
    pub late_indexes_bytes_max: u64,
    /// The whole table is copied under one lock ([`fill_single_chunk`]): no engine follows, so nothing is
    /// recorded of it.
    pub is_whole: bool,
    /// What servers said of tables of the same definition.
    pub known: &'a Known,
}

/// Looks at the client's table.
///
/// `admin` is in the session state of [`open_session`] before and after.
///
/// # Errors
/// [`EngineError::Refused`] for what is no table of InnoDB, or whose definition cannot be read;
/// [`EngineError::Server`], for a table that is not there in the server's words.
pub async fn look(admin: &mut Direct, names: &Names, known: &Known) -> Result<Source, EngineError> {
    look::look(admin, names, known).await
}

/// Checks the table and makes its shadow, empty, with the statement applied. A shadow of that name that is
/// there already is dropped first: the caller's ledger says that it is this migration's own.
///
/// `admin` is in the session state of [`open_session`] before and after.
///
/// # Errors
/// [`EngineError::Refused`] before anything is made, or when what was made is dropped again;
/// [`EngineError::Rejected`] with the server's own error when it refuses the statement (nothing is left
/// then); [`EngineError::Server`].
///
/// **Cancel safety**: what was made is left.
pub async fn make_shadow(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    shadow::make(admin, request, source).await
}

/// Reads the plan again from both tables, for a resume.
///
/// # Errors
/// As [`make_shadow`]; [`EngineError::TableChanged`] when the table's definition is not what it was.
pub async fn read_plan(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    shadow::read(admin, request, source).await
}

/// Makes the plan for a shadow that has its rows already: the old table of an exchange that is taken back.
/// The request's statement says only which columns have other names there.
///
/// # Errors
/// As [`read_plan`].
pub async fn adopt_shadow(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    shadow::adopt(admin, request, source).await
}

/// Removes what is recorded of a migration that is over.
///
/// # Errors
/// [`EngineError::Server`].
pub(crate) async fn forget(admin: &mut Direct, id: &MigrationId) -> Result<(), EngineError> {
    match admin.execute(records::Records::new(id, 0).forget()).await {
        // Nothing was ever recorded on the cluster.
        Err(error) if records::is_missing(&error) => Ok(()),
        removed => removed.map(drop).map_err(|error| meaning("removing the records", error)),
    }
}

/// Copies a small table as a whole and compares it, on a connection in the engine's state that holds `LOCK
/// TABLES source WRITE, shadow WRITE` (or READ for the source), behind [`make_shadow`] without late indexes.
/// Gives the number of rows. The exchange is the caller's.
///
/// # Errors
/// [`EngineError::Duplicate`], [`EngineError::Lossy`], [`EngineError::Differs`], [`EngineError::Server`]; the
/// shadow may hold rows then.
pub async fn fill_single_chunk(locked: &mut Direct, plan: &CopyPlan) -> Result<u64, EngineError> {
    run(locked, plan.insert_select(), "copying rows").await?;
    let all = KeyRange::default();
    let source = read_sum(locked, plan, Side::Source, &all).await?;
    let target = read_sum(locked, plan, Side::Target, &all).await?;
    if source != target {
        let example = format!("{} rows in the table, {} in the copy", source.rows, target.rows);
        return Err(EngineError::Differs { ranges: 1, passes: 1, example });
    }
    shadow::carry_counter(locked, &plan.names).await?;
    Ok(source.rows)
}
