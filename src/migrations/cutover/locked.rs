//! MySQL from 8.0.13 on: RENAME under LOCK TABLES, all on one connection.

use std::time::Instant;

use tokio::time::timeout_at;

use super::{
    Attempt, CutError, End, Fill, Gate, Swapped, check_definition, end_given_up, pass, position, rename,
    under_lock,
};
use crate::backend::direct::{Direct, DirectError};
use crate::migrations::engine::{EngineError, Laps};
use crate::migrations::run::{Side, Step};

/// Locks, fills, exchanges, unlocks.
pub(super) async fn exchange(
    at: &Attempt<'_>,
    gate: &Gate,
    mut conn: Direct,
    fill: &mut Fill<'_>,
) -> Result<End, CutError> {
    pass(at, Side::Before, Step::Gate);
    gate.hold(at.within);
    pass(at, Side::After, Step::Gate);
    let mut laps = Laps::begin();
    let deadline = laps.began() + at.within;
    pass(at, Side::Before, Step::Lock);
    let lock = format!("LOCK TABLES {} WRITE, {} WRITE", at.names.source(), at.names.target());
    match timeout_at(deadline.into(), conn.execute(lock)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return not_locked(error),
        Err(_) => {
            drop(conn);
            end_given_up(at).await;
            return Ok(End::Again("the table's lock was not had in time".to_owned()));
        }
    }
    pass(at, Side::After, Step::Lock);
    laps.end("lock");
    let rows = match fill_locked(at, &mut conn, (fill, &mut laps), deadline).await {
        Ok(rows) => rows,
        Err(error) => return after_failed_fill(at, conn, error).await,
    };
    pass(at, Side::Before, Step::Swap);
    match timeout_at(deadline.into(), conn.execute(rename(at))).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if !error.is_lost() => return after_refused_rename(conn, error).await,
        Ok(Err(error)) => return Err(CutError::Lost(error.to_string())),
        Err(_) => return Err(CutError::Lost("no answer in time".to_owned())),
    }
    pass(at, Side::After, Step::Swap);
    laps.end("rename");
    // Still locked: the new table has no change yet, so from here on all of them are its own. The engine is
    // parked and takes none of them for the old one's; behind the RENAME nothing here is a failure any more.
    let position = timeout_at(deadline.into(), position(&mut conn)).await.unwrap_or_default();
    laps.end("position");
    pass(at, Side::Before, Step::Unlock);
    gate.open();
    // When this is lost the server lets the locks go with the connection.
    let unlocked = conn.execute("UNLOCK TABLES").await;
    laps.end("unlock");
    pass(at, Side::After, Step::Unlock);
    tracing::debug!(id = %at.id, %laps, "exchanged the tables");
    match unlocked {
        Ok(_) => at.sessions.give(conn).await,
        Err(_) => conn.close().await,
    }
    Ok(End::Swapped(Swapped { took: laps.total(), position, rows }))
}

async fn fill_locked(
    at: &Attempt<'_>,
    conn: &mut Direct,
    (fill, laps): (&mut Fill<'_>, &mut Laps),
    deadline: Instant,
) -> Result<Option<u64>, CutError> {
    check_definition(at, conn).await?;
    laps.end("definition");
    pass(at, Side::Before, Step::Drain);
    let rows = under_lock(fill, conn, deadline).await?;
    pass(at, Side::After, Step::Drain);
    laps.end("fill");
    Ok(rows)
}

/// The lock was not had. A refusal that is no wait is told as it is.
pub(super) fn not_locked(error: DirectError) -> Result<End, CutError> {
    if error.is_lost() || super::blockers::is_lock_wait(&error) {
        return Ok(End::Again(format!("the table's lock was not had: {error}")));
    }
    Err(EngineError::Server { what: "locking the tables", source: error }.into())
}

/// Nothing is exchanged: the locks go, and what can be tried again is.
pub(super) async fn after_failed_fill(
    at: &Attempt<'_>,
    mut conn: Direct,
    error: CutError,
) -> Result<End, CutError> {
    let unlocked = conn.execute("UNLOCK TABLES").await;
    let is_lost = unlocked.is_err_and(|error| error.is_lost());
    conn.close().await;
    if is_lost {
        end_given_up(at).await;
    }
    match error {
        CutError::Engine(error) if error.is_passing() => Ok(End::Again(error.to_string())),
        error => Err(error),
    }
}

async fn after_refused_rename(mut conn: Direct, error: DirectError) -> Result<End, CutError> {
    let _ = conn.execute("UNLOCK TABLES").await;
    conn.close().await;
    if super::blockers::is_lock_wait(&error) {
        return Ok(End::Again(format!("the tables were not exchanged: {error}")));
    }
    Err(CutError::Refused(error))
}
