//! Who may touch the tables of a migration: whoever took it up last.
//!
//! The lease says which proxy carries migrations out, by clocks. A process that was stopped for a while, or
//! whose statement was on its way for long, may act on a lease that is another's by then. So a migration's
//! record has an *epoch*, which grows each time it is taken up, and
//!
//! - the store takes nothing about a migration from an earlier epoch ([`Ledger::update_as`]);
//! - a connection that changes definitions (makes, drops, locks or exchanges tables) first holds a lock of
//!   the migration's name on the server ([`Fence::hold`]), and only then asks the store for the epoch. Who
//!   takes the migration up writes the greater epoch first, and ends the holders of the lock behind it
//!   ([`end_holders`]): one that asked before is found there, one that asks later learns that it is over;
//! - transactions that write rows check the epoch that is recorded beside their progress, and keep it locked
//!   (`engine::records`).
//!
//! The lock goes with its connection, once the last statement of it has ended: a name that nobody holds means
//! that no RENAME is on its way any more, neither running nor unread in the server's buffers.

use std::sync::Arc;
use std::time::Duration;

use super::Ledger;
use crate::backend::direct::{Direct, DirectError, Kill};
use crate::ids::MigrationId;
use crate::migrations::engine::EngineError;
use crate::sql::quote::string;

/// A connection of our own that has ended gives its lock back by then, seconds.
const LOCK_WAIT_S: u32 = 1;
/// Between two looks at whether a killed thread is gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks at most.
const LOOKS_MAX: usize = 500;
const DOING: &str = "taking the lock of the migration";

/// Which of a migration's connections; one of each is at work at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::migrations) enum Part {
    /// Makes, locks and drops its tables.
    Main,
    /// Waits with the RENAME while another one holds the tables.
    Renaming,
}

impl Part {
    /// Both.
    pub(in crate::migrations) const ALL: [Self; 2] = [Self::Main, Self::Renaming];

    /// Name of its lock: at most 64 characters, as MySQL wants it.
    fn lock_name(self, id: &MigrationId) -> String {
        let suffix = if self == Self::Main { "" } else { "_rename" };
        string(&format!("bulkhead_{id}{suffix}"))
    }
}

/// The right of one epoch of one migration.
#[derive(Clone)]
pub(in crate::migrations) struct Fence {
    ledger: Arc<Ledger>,
    id: MigrationId,
    epoch: u64,
}

impl Fence {
    /// That of an epoch that was taken up.
    pub(in crate::migrations) fn new(ledger: Arc<Ledger>, id: MigrationId, epoch: u64) -> Self {
        Self { ledger, id, epoch }
    }

    /// Asks the store whether this is still the epoch.
    ///
    /// # Errors
    /// [`EngineError::Superseded`]; [`EngineError::Unsure`] when the store does not answer.
    pub(in crate::migrations) async fn check(&self) -> Result<(), EngineError> {
        match self.ledger.is_current(&self.id, self.epoch).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(EngineError::Superseded),
            Err(error) => Err(EngineError::Unsure { message: format!("the store: {error}") }),
        }
    }

    /// Lets a connection change definitions, for as long as it is open. Who held the lock before, of an
    /// earlier attempt or epoch, is ended.
    ///
    /// # Errors
    /// See [`Self::check`]; [`EngineError::Server`]. The connection must not be used then.
    pub(in crate::migrations) async fn hold(&self, conn: &mut Direct, part: Part) -> Result<(), EngineError> {
        let server = |source| EngineError::Server { what: DOING, source };
        let question = format!("SELECT GET_LOCK({}, {LOCK_WAIT_S})", part.lock_name(&self.id));
        for _ in 0..2 {
            let had = conn.query(&question).await.map_err(server)?;
            if had.first().and_then(|row| row.number::<u8>(0)) == Some(1) {
                return self.check().await;
            }
            // Before anybody is ended: the holder may be the one in charge.
            self.check().await?;
            end_holders(conn, &self.id, &[part]).await.map_err(server)?;
        }
        Err(EngineError::Unsure { message: "another connection of the migration does not end".to_owned() })
    }
}

/// Ends every other connection that may still change the definitions of a migration's tables, and waits until
/// they are gone. Only behind it is what the tables look like something that stays so.
///
/// # Errors
/// As the server says; `Ok(false)`: one is still there.
pub(in crate::migrations) async fn end_holders(
    conn: &mut Direct,
    id: &MigrationId,
    parts: &[Part],
) -> Result<bool, DirectError> {
    let holders = parts.iter().map(|part| format!("IS_USED_LOCK({})", part.lock_name(id)));
    let question = format!("SELECT {}", holders.collect::<Vec<_>>().join(", "));
    let own = conn.thread_id();
    let mut every = tokio::time::interval(LOOK_EVERY);
    for _ in 0..LOOKS_MAX {
        let found = conn.query(&question).await?;
        let threads = found.first().map(|row| (0..parts.len()).filter_map(|at| row.number(at)).collect());
        let threads: Vec<u32> = threads.unwrap_or_default();
        let mut others = threads.into_iter().filter(|thread| *thread != own).peekable();
        if others.peek().is_none() {
            return Ok(true);
        }
        for thread in others {
            conn.kill(thread, Kill::Connection).await?;
        }
        every.tick().await;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_have_names_of_their_own_that_mysql_takes() {
        let id = MigrationId::new("019ac0de00112233");
        let names = Part::ALL.map(|part| part.lock_name(&id));
        assert_eq!(names, ["'bulkhead_019ac0de00112233'", "'bulkhead_019ac0de00112233_rename'"]);
        assert!(names.iter().all(|name| name.len() <= 64 + 2));
    }
}
