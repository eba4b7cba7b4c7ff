//! MariaDB, and MySQL before 8.0.13: RENAME waits on a second connection behind the first one's lock.
//!
//! The order is what keeps rows: lock; apply what is left; send the RENAME; see that it waits for a lock;
//! drop the sentry; unlock. A RENAME takes its locks in the order of database and table names, and the
//! artifacts sort last, so the first lock that it waits for is the client's table's: readers of the shadow
//! table cannot hold it back before that, and no writer can pass it. If the lock is lost at any moment before
//! the sentry is dropped, the RENAME fails, because the name is taken, and the table is as it was.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::locked::{after_failed_fill, not_locked};
use super::{
    Attempt, CutError, End, Fill, Gate, Swapped, check_definition, end_given_up, open, pass, position,
    rename, under_lock,
};
use crate::backend::direct::{Direct, DirectError, Kill, OkEnd};
use crate::ids::MigrationId;
use crate::migrations::engine::{EngineError, Laps};
use crate::migrations::ledger::{Part, end_holders};
use crate::migrations::run::{Side, Step};
use crate::sql::quote::identifier;

/// Between two looks at whether the RENAME waits.
const LOOK_EVERY: Duration = Duration::from_millis(2);

type Renaming<'r> = Pin<Box<dyn Future<Output = Result<OkEnd, DirectError>> + Send + 'r>>;

/// What the comment of a sentry says.
pub(super) fn comment(id: &MigrationId) -> String {
    format!("sentry of the Bulkhead migration {id}")
}

/// Locks, fills, exchanges, unlocks.
pub(super) async fn exchange(
    at: &Attempt<'_>,
    gate: &Gate,
    mut locker: Direct,
    fill: &mut Fill<'_>,
) -> Result<End, CutError> {
    let mut renamer = match open(at, Part::Renaming).await {
        Ok(renamer) => renamer,
        Err(error) if error.is_passing() => return Ok(End::Again(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    if let Err(error) = make_sentry(at, &mut locker).await {
        return not_locked(error);
    }
    pass(at, Side::Before, Step::Gate);
    gate.hold(at.within);
    pass(at, Side::After, Step::Gate);
    let mut laps = Laps::begin();
    let deadline = laps.began() + at.within;
    if let Err(error) = lock(at, &mut locker, deadline).await {
        // Should the lock be had after all, nobody is to keep it.
        let is_lost = locker.is_lost();
        drop(locker);
        if is_lost {
            end_given_up(at).await;
        }
        drop_sentry(at, renamer).await;
        return not_locked(error);
    }
    laps.end("lock");
    let filled = fill_locked(at, &mut locker, fill, deadline).await;
    laps.end("fill");
    let (rows, position) = match filled {
        Ok(filled) => filled,
        Err(error) => {
            let ended = after_failed_fill(at, locker, error).await;
            drop_sentry(at, renamer).await;
            return ended;
        }
    };
    let swapped = swap(at, gate, &mut locker, &mut renamer, deadline).await;
    laps.end("rename");
    if !matches!(swapped, Err(CutError::Lost(_)) | Ok(None)) {
        drop_sentry(at, renamer).await;
    }
    match swapped? {
        None => {
            tracing::debug!(id = %at.id, %laps, "exchanged the tables");
            Ok(End::Swapped(Swapped { took: laps.total(), position, rows }))
        }
        Some(why) => Ok(End::Again(why)),
    }
}

async fn make_sentry(at: &Attempt<'_>, conn: &mut Direct) -> Result<(), DirectError> {
    remove_sentry(at, conn).await?;
    let comment = comment(at.id);
    let text = format!("CREATE TABLE {} (id INT) ENGINE=InnoDB COMMENT = '{comment}'", sentry(at));
    conn.execute(text).await.map(drop)
}

/// Drops the sentry of an earlier attempt: only a table that says that it is one.
async fn remove_sentry(at: &Attempt<'_>, conn: &mut Direct) -> Result<(), DirectError> {
    let there = format!(
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = '{}' AND table_name = '{}'",
        at.old.0, at.old.1
    );
    let found = conn.query(there).await?.first().and_then(|row| row.text(0));
    if found.is_some_and(|found| found == comment(at.id)) {
        conn.execute(format!("DROP TABLE IF EXISTS {}", sentry(at))).await?;
    }
    Ok(())
}

async fn drop_sentry(at: &Attempt<'_>, mut conn: Direct) {
    // It is in nobody's way: the next attempt, or the clearing of leftovers, drops it.
    if let Err(error) = remove_sentry(at, &mut conn).await {
        tracing::debug!(id = %at.id, %error, "a sentry is left for later");
    }
    conn.close().await;
}

fn sentry(at: &Attempt<'_>) -> String {
    format!("{}.{}", identifier(at.old.0), identifier(at.old.1))
}

async fn lock(at: &Attempt<'_>, conn: &mut Direct, deadline: Instant) -> Result<(), DirectError> {
    pass(at, Side::Before, Step::Lock);
    let (source, target) = (at.names.source(), at.names.target());
    let text = format!("LOCK TABLES {source} WRITE, {target} WRITE, {} WRITE", sentry(at));
    match timeout_at(deadline.into(), conn.execute(text)).await {
        Ok(locked) => locked.map(drop)?,
        // Cancelled in the middle of its answer: lost, which the next call says.
        Err(_) => return conn.ping().await,
    }
    pass(at, Side::After, Step::Lock);
    Ok(())
}

async fn fill_locked(
    at: &Attempt<'_>,
    conn: &mut Direct,
    fill: &mut Fill<'_>,
    deadline: Instant,
) -> Result<(Option<u64>, Option<String>), CutError> {
    check_definition(at, conn).await?;
    pass(at, Side::Before, Step::Drain);
    let rows = under_lock(fill, conn, deadline).await?;
    pass(at, Side::After, Step::Drain);
    // From here to the end of the lock nobody changes the table.
    let position = timeout_at(deadline.into(), position(conn)).await.unwrap_or_default();
    Ok((rows, position))
}

/// Sends the RENAME and lets it pass. `None`: the tables are exchanged; else why not.
async fn swap(
    at: &Attempt<'_>,
    gate: &Gate,
    locker: &mut Direct,
    renamer: &mut Direct,
    deadline: Instant,
) -> Result<Option<String>, CutError> {
    pass(at, Side::Before, Step::Swap);
    let thread = renamer.thread_id();
    let mut renaming: Renaming<'_> = Box::pin(renamer.execute(rename(at)));
    let seen = tokio::select! {
        biased;
        // Nothing can have let it pass: the name that it needs is taken.
        early = &mut renaming => return not_swapped(early, locker).await,
        seen = timeout_at(deadline.into(), see_waiting(locker, thread)) => seen,
    };
    let released = match seen {
        Ok(Ok(())) => timeout_at(deadline.into(), release(at, gate, locker)).await,
        Ok(Err(error)) => Ok(Err(error)),
        Err(late) => Err(late),
    };
    let why = match released {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the RENAME was not seen to wait for its lock in time".to_owned()),
    };
    if let Some(why) = why {
        drop(renaming);
        return Err(CutError::Lost(give_up(at, locker, thread, why).await));
    }
    // Its own wait for locks is bounded by the server, so this ends; a margin for the way there and back.
    let answer = tokio::time::timeout(at.within * 2, renaming).await;
    match answer {
        Ok(Ok(_)) => {
            pass(at, Side::After, Step::Swap);
            Ok(None)
        }
        Ok(Err(error)) if !error.is_lost() => {
            if super::blockers::is_lock_wait(&error) || error.errno() == Some(ER_TABLE_EXISTS) {
                return Ok(Some(format!("the tables were not exchanged: {error}")));
            }
            Err(CutError::Refused(error))
        }
        Ok(Err(error)) => Err(CutError::Lost(error.to_string())),
        Err(_) => Err(CutError::Lost("no answer in time".to_owned())),
    }
}

/// "Table already exists": the sentry was still there.
const ER_TABLE_EXISTS: u16 = 1050;

/// Returns when the RENAME waits for a lock: by the order of names, for that of the client's table.
async fn see_waiting(locker: &mut Direct, thread: u32) -> Result<(), DirectError> {
    let mut every = tokio::time::interval(LOOK_EVERY);
    while !is_waiting(locker, thread).await? {
        every.tick().await;
    }
    Ok(())
}

/// Drops the sentry and unlocks: the RENAME is the first in the queue.
async fn release(at: &Attempt<'_>, gate: &Gate, locker: &mut Direct) -> Result<(), DirectError> {
    locker.execute(format!("DROP TABLE {}", sentry(at))).await?;
    pass(at, Side::Before, Step::Unlock);
    gate.open();
    // When this is lost the server lets the locks go with the connection.
    let _ = locker.execute("UNLOCK TABLES").await;
    pass(at, Side::After, Step::Unlock);
    Ok(())
}

/// Says whether the thread waits for a *table*. The locks of databases come before those of tables: who waits
/// for one (another connection makes or drops a database) is not in the queue of the client's table yet, and
/// a writer would pass it.
async fn is_waiting(conn: &mut Direct, thread: u32) -> Result<bool, DirectError> {
    let text = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE id = {thread} \
         AND state = 'Waiting for table metadata lock'"
    );
    Ok(conn.query(text).await?.first().and_then(|row| row.number::<u32>(0)) == Some(1))
}

/// The RENAME ended before anything could have let it pass.
async fn not_swapped(
    early: Result<OkEnd, DirectError>,
    locker: &mut Direct,
) -> Result<Option<String>, CutError> {
    // When this is lost the server lets the locks go with the connection.
    let _ = locker.execute("UNLOCK TABLES").await;
    match early {
        Ok(_) => Err(CutError::Lost("the RENAME passed a lock that was held".to_owned())),
        Err(error) if error.is_lost() => Err(CutError::Lost(error.to_string())),
        Err(error) if super::blockers::is_lock_wait(&error) || error.errno() == Some(ER_TABLE_EXISTS) => {
            Ok(Some(format!("the tables were not exchanged: {error}")))
        }
        Err(error) => Err(CutError::Refused(error)),
    }
}

/// The RENAME must not pass any more: its connection is ended, and gone, before the lock goes. Whether the
/// sentry was dropped may not be known then, nor whether the lock was held to the end, so the tables are
/// looked at, whatever it came to. Gives why, in words.
async fn give_up(at: &Attempt<'_>, locker: &mut Direct, thread: u32, why: String) -> String {
    let ending = async {
        locker.kill(thread, Kill::Connection).await?;
        end_holders(locker, at.id, &[Part::Renaming]).await
    };
    match tokio::time::timeout(KILLED_WITHIN, ending).await {
        Ok(Ok(true)) => {
            // When this is lost the server lets the locks go with the connection.
            let _ = locker.execute("UNLOCK TABLES").await;
            why
        }
        // Whoever looks at the tables ends both connections first.
        Ok(Ok(false)) | Err(_) => format!("{why}; the RENAME does not end"),
        Ok(Err(error)) => format!("{why}; {error}"),
    }
}

/// A killed connection is gone by then.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

impl From<DirectError> for CutError {
    fn from(source: DirectError) -> Self {
        EngineError::Server { what: "exchanging the tables", source }.into()
    }
}
