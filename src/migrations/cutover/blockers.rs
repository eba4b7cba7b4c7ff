//! Who holds a table, and who of them may be ended.

use std::time::Duration;

use crate::backend::direct::{Direct, DirectError};
use crate::migrations::plan::Names;
use crate::protocol::handshake::Flavour;
use crate::sql::quote::string;

/// A transaction that has been open for so long will not end within the wait for a lock.
const OLD: Duration = Duration::from_secs(1);
/// A transaction with more changed rows than this takes long to roll back, and holds everything meanwhile.
const WEIGHT_MAX: u64 = 1_000_000;
/// Holders that are looked at.
const HOLDERS_MAX: usize = 100;

/// A connection that holds a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::migrations) struct Blocker {
    /// Its id on the server.
    pub(in crate::migrations) thread: u32,
    /// Its transaction has been open for so long.
    pub(in crate::migrations) age: Duration,
    /// Rows that it changed or locked.
    pub(in crate::migrations) weight: u64,
    /// It holds the table by LOCK TABLES.
    pub(in crate::migrations) holds_table_lock: bool,
}

/// Whether an attempt is worth making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::migrations) enum Verdict {
    /// Nobody is known to be in the way.
    Clear,
    /// These are, and are not to be ended.
    Wait(String),
    /// These are to be ended first.
    End(Vec<u32>),
}

/// Decides about an attempt. `forced`: an operator wants holders ended; those whose end would harm more than
/// the wait are not.
pub(in crate::migrations) fn judge(blockers: &[Blocker], forced: bool) -> Verdict {
    let old: Vec<&Blocker> =
        blockers.iter().filter(|blocker| blocker.age >= OLD || blocker.holds_table_lock).collect();
    if old.is_empty() {
        return Verdict::Clear;
    }
    let is_spared = |blocker: &&&Blocker| blocker.holds_table_lock || blocker.weight > WEIGHT_MAX;
    if forced && !old.iter().any(|blocker| is_spared(&blocker)) {
        return Verdict::End(old.iter().map(|blocker| blocker.thread).collect());
    }
    let oldest = old.iter().max_by_key(|blocker| blocker.age).expect("one at least");
    let spared = old.iter().filter(is_spared).count();
    let (count, thread, seconds) = (old.len(), oldest.thread, oldest.age.as_secs());
    let and = if forced { format!("; {spared} of them must not be ended") } else { String::new() };
    Verdict::Wait(format!("{count} connections hold the table, the oldest ({thread}) for {seconds} s{and}"))
}

/// Who holds a table, as far as the server tells: MySQL by its performance schema, MariaDB by the plugin
/// `metadata_lock_info`. `None` when it does not tell.
///
/// # Errors
/// The connection is lost.
pub(in crate::migrations) async fn blockers(
    conn: &mut Direct,
    names: &Names,
) -> Result<Option<Vec<Blocker>>, DirectError> {
    let (database, table) = (string(&names.database), string(&names.table));
    let holders = match conn.flavour() {
        Flavour::MySql => format!(
            "SELECT t.processlist_id, m.lock_type IN ('SHARED_NO_READ_WRITE', 'SHARED_READ_ONLY') \
             FROM performance_schema.metadata_locks m \
             JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id \
             WHERE m.object_type = 'TABLE' AND m.object_schema = {database} AND m.object_name = {table} \
             AND m.lock_status = 'GRANTED' AND t.processlist_id IS NOT NULL \
             AND t.processlist_id <> CONNECTION_ID() LIMIT {HOLDERS_MAX}"
        ),
        Flavour::MariaDb => format!(
            "SELECT thread_id, lock_mode IN ('MDL_SHARED_NO_READ_WRITE', 'MDL_SHARED_READ_ONLY') \
             FROM information_schema.metadata_lock_info \
             WHERE table_schema = {database} AND table_name = {table} \
             AND thread_id <> CONNECTION_ID() LIMIT {HOLDERS_MAX}"
        ),
    };
    let holders = match conn.query(holders).await {
        Ok(holders) => holders,
        Err(error) if error.is_lost() => return Err(error),
        Err(_) => return Ok(None),
    };
    let mut found = Vec::new();
    if holders.is_empty() {
        return Ok(Some(found));
    }
    // The servers tell when a transaction began in the time zone of their machine.
    conn.execute("SET SESSION time_zone = 'SYSTEM'").await?;
    for row in holders.iter() {
        let Some(thread) = row.number::<u32>(0) else { continue };
        let (age, weight) = transaction(conn, thread).await?;
        found.push(Blocker { thread, age, weight, holds_table_lock: row.number::<u8>(1) == Some(1) });
    }
    // As the engine has it: rows may be copied on this connection.
    conn.execute("SET SESSION time_zone = '+00:00'").await?;
    Ok(Some(found))
}

/// Age and weight of a connection's transaction. One that InnoDB does not know only reads, or holds the table
/// from a statement that runs: it is as old as that.
async fn transaction(conn: &mut Direct, thread: u32) -> Result<(Duration, u64), DirectError> {
    let text = format!(
        "SELECT TIMESTAMPDIFF(SECOND, trx_started, NOW()), trx_weight FROM information_schema.innodb_trx \
         WHERE trx_mysql_thread_id = {thread}"
    );
    let known = conn.query(text).await?;
    if let Some(row) = known.first() {
        let age = Duration::from_secs(row.number(0).unwrap_or_default());
        return Ok((age, row.number(1).unwrap_or_default()));
    }
    let text = format!("SELECT time FROM information_schema.processlist WHERE id = {thread}");
    let seconds = conn.query(text).await?.first().and_then(|row| row.number::<u64>(0));
    Ok((Duration::from_secs(seconds.unwrap_or_default()), 0))
}

/// Says whether a lock was not had: waited for too long, or given up for another.
pub(super) fn is_lock_wait(error: &DirectError) -> bool {
    // Lock wait timeout, deadlock, and the statement killed while it waited.
    matches!(error.errno(), Some(1205 | 1213 | 1317))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocker(thread: u32, age: u64, weight: u64) -> Blocker {
        Blocker { thread, age: Duration::from_secs(age), weight, holds_table_lock: false }
    }

    #[test]
    fn large_transactions_and_table_locks_are_never_ended() {
        assert_eq!(judge(&[], true), Verdict::Clear);
        assert_eq!(judge(&[blocker(1, 0, 5_000_000)], true), Verdict::Clear, "it ends by itself");
        assert_eq!(judge(&[blocker(1, 5, 3)], true), Verdict::End(vec![1]));
        assert!(matches!(judge(&[blocker(1, 5, 3)], false), Verdict::Wait(_)));
        let large = [blocker(1, 5, 3), blocker(2, 9, WEIGHT_MAX + 1)];
        let Verdict::Wait(why) = judge(&large, true) else { panic!("ended") };
        assert!(why.contains("(2) for 9 s") && why.contains("1 of them"), "{why}");
        let locked = Blocker { holds_table_lock: true, ..blocker(3, 0, 0) };
        assert!(matches!(judge(&[locked], true), Verdict::Wait(_)));
    }
}
