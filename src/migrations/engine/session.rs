//! The engine's own connections: their settings, and what their errors mean.

use super::Endpoint;
use super::error::EngineError;
use crate::backend::direct::{Direct, DirectError, OkEnd, Rows};
use crate::protocol::handshake::Flavour;

/// Strict: nothing is cut short in silence. Dates as the table has them, zero ones too; 0 stays 0 in a
/// counting column.
const SQL_MODE: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";
/// Longest wait for a metadata lock of the shadow, s.
const LOCK_WAIT_S: u32 = 5;
/// Longest wait for a row of the shadow, s.
const ROW_WAIT_S: u32 = 5;
/// Longest that the server waits for the engine to take rows or to send something, s.
const IDLE_S: u32 = 86_400;

/// What puts a connection into the engine's state, but for these names (`binary` is the engine's).
fn settings(flavour: Flavour, names: &str) -> String {
    let own = match flavour {
        Flavour::MariaDb => "max_statement_time = 0",
        // No bound of memory may turn a look-up of keys into a scan.
        Flavour::MySql => {
            "max_execution_time = 0, SESSION range_optimizer_max_mem_size = 0, \
             SESSION transaction_isolation = 'READ-COMMITTED'"
        }
    };
    format!(
        "SET NAMES {names}, SESSION time_zone = '+00:00', SESSION sql_mode = '{SQL_MODE}', \
         SESSION foreign_key_checks = 1, SESSION unique_checks = 1, SESSION sql_safe_updates = 0, \
         SESSION sql_select_limit = DEFAULT, SESSION autocommit = 1, SESSION lock_wait_timeout = \
         {LOCK_WAIT_S}, \
         SESSION innodb_lock_wait_timeout = {ROW_WAIT_S}, SESSION wait_timeout = {IDLE_S}, \
         SESSION net_write_timeout = 600, SESSION {own}"
    )
}

/// Opens a connection in the engine's state.
///
/// # Errors
/// [`EngineError::Open`], [`EngineError::Server`].
pub async fn open_session(endpoint: &Endpoint) -> Result<Direct, EngineError> {
    let mut direct = Direct::open(&endpoint.server, &endpoint.login, &endpoint.tls, endpoint.within).await?;
    settle_session(&mut direct).await?;
    Ok(direct)
}

/// Puts a connection into the engine's state.
///
/// # Errors
/// [`EngineError::Server`].
pub async fn settle_session(direct: &mut Direct) -> Result<(), EngineError> {
    settle_as(direct, "binary").await
}

/// The same, but texts are UTF-8: definitions are read and written so.
///
/// # Errors
/// [`EngineError::Server`].
pub(super) async fn settle_for_words(direct: &mut Direct) -> Result<(), EngineError> {
    settle_as(direct, "utf8mb4").await
}

async fn settle_as(direct: &mut Direct, names: &str) -> Result<(), EngineError> {
    let (flavour, what) = (direct.flavour(), "preparing a session");
    run(direct, settings(flavour, names), what).await?;
    if flavour == Flavour::MariaDb {
        // The variable has another name in older releases.
        run(direct, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", what).await?;
    }
    Ok(())
}

/// Runs a statement without rows.
pub(crate) async fn run(
    direct: &mut Direct,
    sql: impl AsRef<[u8]>,
    what: &'static str,
) -> Result<OkEnd, EngineError> {
    direct.execute(sql).await.map_err(|error| meaning(what, error))
}

/// Runs a statement and collects its rows.
pub(crate) async fn rows(
    direct: &mut Direct,
    sql: impl AsRef<[u8]>,
    what: &'static str,
) -> Result<Rows, EngineError> {
    direct.query(sql).await.map_err(|error| meaning(what, error))
}

/// What a refusal of the server means for the migration.
pub(crate) fn meaning(what: &'static str, source: DirectError) -> EngineError {
    let DirectError::Refused(error) = &source else { return EngineError::Server { what, source } };
    let (errno, sqlstate) = (error.errno, error.sqlstate_text());
    match errno {
        1062 | 1586 => EngineError::Duplicate { message: error.message.clone() },
        errno if is_about_values(errno) => {
            EngineError::Lossy { errno, sqlstate: sqlstate.to_string(), message: error.message.clone() }
        }
        _ => EngineError::Server { what, source },
    }
}

/// Refusals of a row because of what is in it: NULL, out of range, too long, wrong text, no partition, a
/// check.
fn is_about_values(errno: u16) -> bool {
    matches!(
        errno,
        1048 | 1264 | 1265 | 1292 | 1364 | 1366 | 1367 | 1406 | 1416 | 1411 | 1526 | 1690 | 1748 | 3140
            ..=3145 | 3819 | 4025 | 3643 | 3732
    )
}
