//! Builds indexes that were left out of the shadow for the copy.

use super::error::EngineError;
use super::session::{meaning, run};
use crate::backend::direct::Direct;
use crate::protocol::handshake::Flavour;

/// Longest wait for the shadow's metadata lock before indexes are built, s.
const WAIT_S: u32 = 60;
/// Memory in which MySQL sorts an index, bytes: as much as the table has, within these bounds. It is taken
/// whole, whatever is sorted.
const BYTES_MIN: u64 = 4 << 20;
const BYTES_MAX: u64 = 128 << 20;
/// "Duplicate key name": an index of that name is there already.
const ER_DUP_KEYNAME: u16 = 1061;
/// "Unknown system variable".
const ER_UNKNOWN_SYSTEM_VARIABLE: u16 = 1193;
const WHAT: &str = "building indexes";

/// Who else needs the server's processors meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nobody, as far as is known: the server uses as many threads as it is set up for.
    Nobody,
    /// Clients: it uses one.
    Clients,
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Built {
    /// The indexes are there now.
    Now,
    /// One of them was there before, and nothing was built.
    Before,
}

/// Prepares a connection for building; `bytes` is about what the table has.
///
/// # Errors
/// [`EngineError::Server`].
pub(super) async fn prepare(direct: &mut Direct, bytes: u64) -> Result<(), EngineError> {
    run(direct, format!("SET NAMES utf8mb4, SESSION lock_wait_timeout = {WAIT_S}"), WHAT).await?;
    let bytes = bytes.clamp(BYTES_MIN, BYTES_MAX);
    set_if_known(direct, &format!("innodb_ddl_buffer_size = {bytes}")).await
}

/// Runs one statement.
///
/// # Errors
/// [`EngineError::Duplicate`] for a unique index that meets duplicates; [`EngineError::Server`].
pub(super) async fn build(
    direct: &mut Direct,
    statement: &str,
    beside: Beside,
) -> Result<Built, EngineError> {
    if beside == Beside::Clients {
        set_if_known(direct, "innodb_ddl_threads = 1").await?;
        set_if_known(direct, "innodb_parallel_read_threads = 1").await?;
    }
    match direct.execute(statement).await {
        Ok(_) => Ok(Built::Now),
        Err(error) if error.errno() == Some(ER_DUP_KEYNAME) => Ok(Built::Before),
        Err(error) => Err(meaning(WHAT, error)),
    }
}

/// Sets a variable of MySQL's that its older releases do not have; MariaDB builds in one thread anyway.
async fn set_if_known(direct: &mut Direct, assignment: &str) -> Result<(), EngineError> {
    if direct.flavour() != Flavour::MySql {
        return Ok(());
    }
    match direct.execute(format!("SET SESSION {assignment}")).await {
        Err(error) if error.errno() == Some(ER_UNKNOWN_SYSTEM_VARIABLE) => Ok(()),
        set => set.map(drop).map_err(|error| meaning(WHAT, error)),
    }
}
