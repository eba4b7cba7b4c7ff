//! Exchanging the tables: the one moment that clients can notice.
//!
//! Two ways, by what the server can do. MySQL from 8.0.13 on renames under LOCK TABLES, so one connection
//! locks both tables, applies what is left, and exchanges them (`locked`). Elsewhere a second connection's
//! RENAME has to wait behind the first one's lock, and a *sentry*, a table of the name that the old table
//! will get, keeps it from succeeding until everything is applied (`sentry`).
//!
//! Invariants: every wait for a lock is bounded, and so is the time for which the proxy holds statements; the
//! exchange is one statement; its connections hold the lock of the migration (`ledger::Fence`), so that a
//! RENAME is not on its way any more when nobody holds that; once it has been sent on a connection that was
//! lost, what became of it is read from the server (`standing`) behind that moment, never guessed; nobody
//! with a large transaction is killed for it (`blockers`).

mod blockers;
mod gate;
mod locked;
mod sentry;
mod standing;

pub(super) use blockers::{Verdict, blockers, judge};
pub(super) use gate::Gate;
pub(super) use standing::{Standing, standing};

use std::time::{Duration, Instant};

use super::engine::{self, Endpoint, Engine, EngineError, fill_single_chunk};
use super::ledger::{Fence, Part, end_holders};
use super::plan::{CopyPlan, Names};
use super::run::{FailPoints, Sessions, Side, Step};
use crate::backend::direct::{Direct, DirectError};
use crate::ids::MigrationId;
use crate::protocol::handshake::Flavour;
use crate::sql::quote::identifier;

/// MySQL renames under LOCK TABLES from this release on. **Source**: MySQL manual, RENAME TABLE Statement.
const RENAME_UNDER_LOCK: (u16, u16, u16) = (8, 0, 13);
/// A lock that is held by a connection nobody hears of any more is let go after so many times the bound.
const IDLE_TIMES: u32 = 3;
/// What has come is applied in this part of the bound, before the gate is closed.
const NEAR_PART: u32 = 4;
/// Least value of the servers' lock_wait_timeout, in seconds.
const LOCK_WAIT_S_MIN: u64 = 1;

/// One attempt.
pub(super) struct Attempt<'a> {
    pub(super) id: &'a MigrationId,
    pub(super) fence: &'a Fence,
    pub(super) endpoint: &'a Endpoint,
    pub(super) names: &'a Names,
    /// Database and name that the old table gets.
    pub(super) old: (&'a str, &'a str),
    /// The table's definition as it was copied from.
    pub(super) before: &'a str,
    /// Statements are held no longer, and no lock is waited for longer.
    pub(super) within: Duration,
    pub(super) fail_points: &'a FailPoints,
    /// Where a connection goes that is needed no more.
    pub(super) sessions: &'a Sessions,
}

/// What is done under the lock.
pub(super) enum Fill<'a> {
    /// What is left of the changes is applied.
    Changes(&'a mut Engine),
    /// The whole table is copied: one chunk.
    Chunk(&'a CopyPlan),
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum End {
    /// The tables are exchanged.
    Swapped(Swapped),
    /// They are not, and nothing is left of the attempt; it may be made again.
    Again(String),
}

/// What an exchange left to know.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Swapped {
    /// From the request for the lock to its end.
    pub(super) took: Duration,
    /// Where the binary log was; absent where there is none.
    pub(super) position: Option<String>,
    /// Rows of a single chunk.
    pub(super) rows: Option<u64>,
}

/// Why an attempt was not made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    /// The tables are not exchanged, and must not be.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Somebody changed the table's definition.
    #[error("the definition of the table was changed by another statement meanwhile")]
    TableChanged,
    /// The server refuses the exchange, in its own words.
    #[error("{0}")]
    Refused(DirectError),
    /// A connection was lost behind the RENAME: the server has to be asked.
    #[error("the connection was lost while the tables were exchanged: {0}")]
    Lost(String),
}

/// Makes one attempt. The engine is parked and unparked by it. `ready`: a connection in the engine's state
/// that holds the migration's lock already.
///
/// # Errors
/// See [`CutError`]; all but `Lost` mean that the tables are not exchanged.
///
/// **Cancel safety**: none; the server has to be asked then.
pub(super) async fn attempt(
    at: &Attempt<'_>,
    gate: &Gate,
    fill: &mut Fill<'_>,
    ready: Option<Direct>,
) -> Result<End, CutError> {
    let opened = match ready {
        Some(mut ready) => bound_waits(at, &mut ready).await.map(|()| ready),
        None => open(at, Part::Main).await,
    };
    let locker = match opened {
        Ok(locker) => locker,
        Err(error) if error.is_passing() => return Ok(End::Again(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let under_lock = can_rename_under_lock(&locker);
    if let Fill::Changes(engine) = fill {
        // The less has come since the last look, the less is left to do under the lock. Where clients write
        // faster than that is applied, it takes the gate to come to an end.
        match engine.drain(at.within / NEAR_PART).await {
            Ok(()) | Err(EngineError::Late { .. }) => {}
            Err(error) if error.is_passing() => return Ok(End::Again(error.to_string())),
            Err(error) => return Err(error.into()),
        }
        engine.park().await?;
    }
    let ended = if under_lock {
        locked::exchange(at, gate, locker, fill).await
    } else {
        sentry::exchange(at, gate, locker, fill).await
    };
    gate.open();
    if let (Fill::Changes(engine), false) = (fill, matches!(ended, Ok(End::Swapped(_)))) {
        engine.unpark();
    }
    ended
}

/// Says whether the server renames tables that are locked by the same connection.
pub(super) fn can_rename_under_lock(conn: &Direct) -> bool {
    conn.flavour() == Flavour::MySql && conn.version().number >= RENAME_UNDER_LOCK
}

/// Opens a connection whose locks do not outlive their use, and that may exchange the tables.
async fn open(at: &Attempt<'_>, part: Part) -> Result<Direct, EngineError> {
    let mut conn = engine::open_session(at.endpoint).await?;
    at.fence.hold(&mut conn, part).await?;
    bound_waits(at, &mut conn).await?;
    Ok(conn)
}

async fn bound_waits(at: &Attempt<'_>, conn: &mut Direct) -> Result<(), EngineError> {
    let settings = format!(
        "SET SESSION lock_wait_timeout = {}, wait_timeout = {}",
        lock_wait(at.within),
        (at.within * IDLE_TIMES).as_secs().max(LOCK_WAIT_S_MIN)
    );
    let set = conn.execute(settings).await;
    set.map(drop).map_err(|source| EngineError::Server { what: "setting up", source })
}

/// A connection was given up in the middle of a statement: the server goes on with that, and keeps the locks
/// until it is over, unless it is ended from another one.
async fn end_given_up(at: &Attempt<'_>) {
    let ending = async {
        let mut conn = engine::open_session(at.endpoint).await.map_err(|error| error.to_string())?;
        let gone = end_holders(&mut conn, at.id, &[Part::Main]).await.map_err(|error| error.to_string())?;
        conn.close().await;
        if gone { Ok(()) } else { Err("it does not end".to_owned()) }
    };
    let ended = tokio::time::timeout(at.within, ending).await;
    if let Err(why) = ended.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
        // The next attempt ends it before anything else.
        tracing::warn!(id = %at.id, why, "a connection that was given up is not ended yet");
    }
}

/// Half of the time is for getting the lock, in the servers' whole seconds.
fn lock_wait(within: Duration) -> u64 {
    (within / 2).as_secs().max(LOCK_WAIT_S_MIN)
}

/// Does what is to be done under the lock; the number of rows, where that is a whole table.
async fn under_lock(
    fill: &mut Fill<'_>,
    conn: &mut Direct,
    deadline: Instant,
) -> Result<Option<u64>, EngineError> {
    let left = deadline.saturating_duration_since(Instant::now());
    match fill {
        Fill::Changes(engine) => engine.drain_under_lock(Some(conn), left).await.map(|()| None),
        Fill::Chunk(plan) => match tokio::time::timeout(left, fill_single_chunk(conn, plan)).await {
            Ok(rows) => rows.map(Some),
            Err(_) => Err(EngineError::Late { what: "copying the table under its lock", within: left }),
        },
    }
}

/// The statement that exchanges the tables; one, so that it happens whole or not at all.
fn rename(at: &Attempt<'_>) -> String {
    format!(
        "RENAME /* bulkhead {} */ TABLE {source} TO {home}.{old}, {target} TO {source}",
        at.id,
        source = at.names.source(),
        home = identifier(at.old.0),
        old = identifier(at.old.1),
        target = at.names.target(),
    )
}

/// Where the binary log is; `None` where there is none, or the account may not see it.
async fn position(conn: &mut Direct) -> Option<String> {
    let gtid = match conn.flavour() {
        Flavour::MySql => "SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_mode = 'ON'",
        Flavour::MariaDb => "SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.log_bin",
    };
    let rows = conn.query(gtid).await.ok()?;
    let row = rows.first()?;
    if row.number::<u8>(1) == Some(1) {
        let set = row.text(0).unwrap_or_default();
        return Some(format!("gtid:{}", set.replace(['\n', ' '], "")));
    }
    for statement in ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"] {
        if let Ok(rows) = conn.query(statement).await {
            let row = rows.first()?;
            return Some(format!("file:{}:{}", row.text(0)?, row.number::<u64>(1)?));
        }
    }
    None
}

/// The table's definition without the counter, which moves with every row.
pub(in crate::migrations) fn without_counter(definition: &str) -> String {
    const COUNTER: &str = " AUTO_INCREMENT=";
    // It stands among the options, behind the last line that closes the columns.
    let Some(options) = definition.rfind("\n) ") else { return definition.to_owned() };
    let Some(at) = definition[options..].find(COUNTER).map(|at| at + options) else {
        return definition.to_owned();
    };
    let digits = definition[at + COUNTER.len()..].bytes().take_while(u8::is_ascii_digit).count();
    format!("{}{}", &definition[..at], &definition[at + COUNTER.len() + digits..])
}

/// Compares the table's definition with what it was copied from, under the lock.
async fn check_definition(at: &Attempt<'_>, conn: &mut Direct) -> Result<(), CutError> {
    let shown = conn.query(format!("SHOW CREATE TABLE {}", at.names.source())).await;
    let shown = shown.map_err(|source| EngineError::Server { what: "reading the definition", source })?;
    let now = shown.first().and_then(|row| row.text(1)).unwrap_or_default();
    if without_counter(&now) == without_counter(at.before) { Ok(()) } else { Err(CutError::TableChanged) }
}

/// Passes a point where a test may stop the process.
fn pass(at: &Attempt<'_>, side: Side, step: Step) {
    at.fail_points.pass(side, step);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_counter_is_left_out() {
        let shown = "CREATE TABLE `t` (\n  `id` int COMMENT ' AUTO_INCREMENT=7'\n) ENGINE=InnoDB \
                     AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4";
        let wanted = "CREATE TABLE `t` (\n  `id` int COMMENT ' AUTO_INCREMENT=7'\n) ENGINE=InnoDB \
                      DEFAULT CHARSET=utf8mb4";
        assert_eq!(without_counter(shown), wanted);
        assert_eq!(without_counter(wanted), wanted);
        assert_eq!(without_counter(""), "");
    }

    #[test]
    fn locks_are_waited_for_in_whole_seconds() {
        assert_eq!(lock_wait(Duration::from_millis(100)), 1);
        assert_eq!(lock_wait(Duration::from_secs(3)), 1);
        assert_eq!(lock_wait(Duration::from_secs(30)), 15);
    }
}
