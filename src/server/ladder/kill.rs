//! Killing what makes a primary sick: its schema changes, and what still writes on a drained one.
//!
//! Through a connection of the admin login that is opened ahead of need and kept: a server whose connections
//! are used up still has this one. Never killed are connections of replication and of the server itself,
//! statements that carry Bulkhead's own mark, and the admin login's own writes (heartbeats).

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::super::health::{Listing, Target, Trouble, listing_of};
use crate::admin::RunningStatement;
use crate::drain::Ended;
use crate::health::DDL_STATEMENT;
use crate::sql::{self, Scan, SqlMode, quote};

/// A kill takes no longer, its listing included; it comes again if it is still needed.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// Looking at what runs takes no longer.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// A killed statement ends within this, or it is stuck where no KILL reaches.
const ENDS_WITHIN: Duration = Duration::from_millis(300);
/// Connections killed at once, at most.
const KILLED_MAX: usize = 1000;
/// Statements told with what was done, at most.
const TOLD_MAX: usize = 10;
/// Characters of each.
const TOLD_CHARS_MAX: usize = 200;
/// How often the reserved connection is used while nothing happens: servers close idle ones.
const KEPT_EVERY: Duration = Duration::from_secs(10);
/// Statements of Bulkhead's own that change schemas begin with this.
const OWN_MARK: &str = "/*bulkhead";
/// Error numbers of a connection that is gone already.
const ER_NO_SUCH_THREAD: u16 = 1094;

/// What writes, as the process list shows it.
const WRITES: &str = "^[[:space:]]*(/[*].*[*]/)?[[:space:]]*\
                      (insert|update|delete|replace|load|call|commit|xa)";

/// What a kill came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Killed {
    pub(super) ended: Ended,
    pub(super) said: String,
    pub(super) statements: Vec<String>,
}

/// What is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prey {
    /// Statements that change schemas; their connections stay.
    Ddl,
    /// Connections that write, or whose transaction has written.
    Writers,
}

/// The reserved connection to one cluster's primary.
#[derive(Debug)]
pub(in crate::server) struct Reserve {
    target: Target,
    open: Mutex<Option<(Conn, Listing)>>,
}

impl Reserve {
    pub(in crate::server) fn new(target: Target) -> Arc<Self> {
        Arc::new(Self { target, open: Mutex::new(None) })
    }

    /// Keeps the connection open, until dropped.
    pub(in crate::server) async fn keep(self: Arc<Self>) {
        loop {
            {
                let mut open = self.open.lock().await;
                // Whether the cluster is well is others' business.
                let _ = timeout(LOOK_WITHIN, self.look(&mut open)).await;
            }
            tokio::time::sleep(KEPT_EVERY).await;
        }
    }

    async fn look(&self, open: &mut Option<(Conn, Listing)>) -> Result<(), Trouble> {
        let (mut connection, listing) = self.take(open).await?;
        connection.query_drop("DO 1").await?;
        *open = Some((connection, listing));
        Ok(())
    }

    /// The open connection, or a new one. Taken out, so that one whose use is cut short is closed.
    async fn take(&self, open: &mut Option<(Conn, Listing)>) -> Result<(Conn, Listing), Trouble> {
        if let Some(kept) = open.take() {
            return Ok(kept);
        }
        let mut connection = self.target.open().await?;
        let listing = listing_of(&mut connection).await?;
        Ok((connection, listing))
    }

    /// Kills the schema changes that run.
    pub(super) async fn kill_ddl(&self) -> Killed {
        self.kill(Prey::Ddl).await
    }

    /// Kills the connections that write, or hold a transaction that has written.
    pub(super) async fn kill_transactions(&self) -> Killed {
        self.kill(Prey::Writers).await
    }

    /// The schema changes that run now; `None` when the server does not say.
    pub(in crate::server) async fn running_ddl(&self) -> Option<Vec<RunningStatement>> {
        let asked = async {
            let mut open = self.open.lock().await;
            let (mut connection, listing) = self.take(&mut open).await?;
            let found = list(&mut connection, &ddl_sql(listing)).await?;
            *open = Some((connection, listing));
            Ok::<_, Trouble>(found)
        };
        timeout(LOOK_WITHIN, asked).await.ok()?.ok()
    }

    async fn kill(&self, prey: Prey) -> Killed {
        let mut tally = Tally::default();
        let done = timeout(KILL_WITHIN, self.hunt(prey, &mut tally)).await;
        let Tally { queries, connections, refused, note, statements } = tally;
        let count = match prey {
            Prey::Ddl => format!("{queries} schema changes were killed"),
            Prey::Writers => {
                format!("{queries} statements and {connections} connections that wrote were killed")
            }
        };
        let (ended, said) = match (done, refused) {
            (Ok(Ok(())), None) => (Ended::Done, format!("{count}{note}")),
            (Ok(Ok(())), Some(why)) => {
                (Ended::Failed, format!("{count}; the server refused others: {why}{note}"))
            }
            // No KILL was sent.
            (Ok(Err(trouble)), _) if queries + connections == 0 => (Ended::Failed, trouble.to_string()),
            (Ok(Err(trouble)), _) => (Ended::Unknown, format!("{count}, then: {trouble}")),
            (Err(_elapsed), _) => {
                (Ended::Unknown, format!("no end within {} s; {count} by then", KILL_WITHIN.as_secs()))
            }
        };
        Killed { ended, said, statements }
    }

    async fn hunt(&self, prey: Prey, tally: &mut Tally) -> Result<(), Trouble> {
        let mut open = self.open.lock().await;
        let (mut connection, listing) = self.take(&mut open).await?;
        match prey {
            Prey::Ddl => {
                let found = list(&mut connection, &ddl_sql(listing)).await?;
                tally.tell(&found);
                kill_all(&mut connection, Victim::Query, &found, tally).await?;
            }
            Prey::Writers => self.hunt_writers(&mut connection, listing, tally).await?,
        }
        *open = Some((connection, listing));
        Ok(())
    }

    /// First statements: a client that is told so knows that nothing was applied, which one whose connection
    /// is gone does not. Then the connections whose transaction has written, and those whose statement goes
    /// on.
    async fn hunt_writers(
        &self,
        connection: &mut Conn,
        listing: Listing,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let own = &self.target;
        // Clients may use the same login; then the heartbeat is killed too, and comes again.
        let except = (own.login.user != own.app_user).then_some(&*own.login.user);
        let running_sql = writers_sql(listing, except, None);
        let running = list(connection, &running_sql).await?;
        tally.tell(&running);
        kill_all(connection, Victim::Query, &running, tally).await?;
        if !running.is_empty() {
            tokio::time::sleep(ENDS_WITHIN).await;
        }
        let with_transactions = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx \
                                 WHERE trx_rows_modified > 0 OR trx_state = 'LOCK WAIT'";
        match list(connection, &writers_sql(listing, except, Some(with_transactions))).await {
            Ok(open) => {
                tally.tell(&open);
                kill_all(connection, Victim::Connection, &open, tally).await?;
            }
            // The privilege to see transactions is missing: what runs is killed, what is idle is not.
            Err(Error::Server(error)) => {
                tally.note = format!("; idle transactions cannot be seen: {}", error.message);
            }
            Err(error) => return Err(error),
        }
        let is_still_there = |one: &RunningStatement| running.iter().any(|before| before.id == one.id);
        let mut left = list(connection, &running_sql).await?;
        left.retain(is_still_there);
        kill_all(connection, Victim::Connection, &left, tally).await
    }
}

/// What of a connection is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Query,
    Connection,
}

async fn kill_all(
    connection: &mut Conn,
    victim: Victim,
    found: &[RunningStatement],
    tally: &mut Tally,
) -> Result<(), Error> {
    for running in found {
        let what = if victim == Victim::Query { "QUERY" } else { "CONNECTION" };
        match connection.query_drop(format!("KILL {what} {}", running.id)).await {
            Ok(()) if victim == Victim::Query => tally.queries += 1,
            Ok(()) => tally.connections += 1,
            Err(Error::Server(error)) if error.code == ER_NO_SUCH_THREAD => {}
            Err(Error::Server(error)) => tally.refused = Some(error.message),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Tally {
    queries: usize,
    connections: usize,
    refused: Option<String>,
    note: String,
    statements: Vec<String>,
}

impl Tally {
    /// Remembers the first of what is killed.
    fn tell(&mut self, found: &[RunningStatement]) {
        let left = TOLD_MAX.saturating_sub(self.statements.len());
        self.statements.extend(found.iter().take(left).map(ToString::to_string));
    }
}

/// Names of the columns, and the table.
fn columns(listing: Listing) -> [&'static str; 5] {
    match listing {
        Listing::Threads => [
            "processlist_id",
            "processlist_user",
            "processlist_command",
            "processlist_info",
            "performance_schema.threads WHERE type = 'FOREGROUND' AND processlist_id IS NOT NULL",
        ],
        Listing::ProcessList => {
            ["id", "user", "command", "info", "information_schema.processlist WHERE id IS NOT NULL"]
        }
    }
}

/// Everything but replication, the server's own threads, and this connection.
fn listing_sql(listing: Listing, which: &str) -> String {
    let [id, user, command, text, from] = columns(listing);
    format!(
        "SELECT {id} AS id, COALESCE({user}, '') AS user, COALESCE(LEFT({text}, 1000), '') AS info \
         FROM {from} AND {id} <> CONNECTION_ID() \
         AND COALESCE({user}, '') NOT IN ('system user', 'event_scheduler', 'mysql.session', 'mysql.sys') \
         AND {command} NOT IN ('Binlog Dump', 'Binlog Dump GTID', 'Daemon', 'Connect', 'Slave_IO', \
         'Slave_SQL', 'Slave_worker') AND ({which}) ORDER BY {id} LIMIT {KILLED_MAX}"
    )
}

fn ddl_sql(listing: Listing) -> String {
    let [_, _, command, text, _] = columns(listing);
    let which = format!(
        "{command} IN ('Query', 'Execute') AND {text} REGEXP '{DDL_STATEMENT}' \
         AND {text} NOT LIKE '{OWN_MARK}%'"
    );
    listing_sql(listing, &which)
}

fn writers_sql(listing: Listing, except: Option<&str>, transactions: Option<&str>) -> String {
    let [id, user, command, text, _] = columns(listing);
    let mut which = match transactions {
        Some(transactions) => format!("{id} IN ({transactions})"),
        None => format!("{command} IN ('Query', 'Execute') AND {text} REGEXP '{WRITES}'"),
    };
    if let Some(own) = except {
        which = format!("({which}) AND COALESCE({user}, '') <> {}", quote::string(own));
    }
    listing_sql(listing, &which)
}

async fn list(connection: &mut Conn, sql: &str) -> Result<Vec<RunningStatement>, Error> {
    let rows: Vec<Row> = connection.query(sql.to_owned()).await?;
    let running = |row: Row| {
        let (id, user, text) = mysql_async::from_row_opt::<(u64, String, Vec<u8>)>(row).ok()?;
        Some(RunningStatement { id, user, statement: without_values(&text) })
    };
    Ok(rows.into_iter().filter_map(running).collect())
}

/// A statement as it may be told: no values, and short.
fn without_values(text: &[u8]) -> String {
    let mut scan = Scan::default();
    sql::scan(text, SqlMode::default(), &mut scan);
    sql::normalize(text, SqlMode::default(), &scan).chars().take(TOLD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_statement_has_no_values() {
        let told = without_values(b"UPDATE users SET mail = 'a@b.c' WHERE id = 7");
        assert!(told.starts_with("UPDATE users") && !told.contains("a@b.c") && !told.contains('7'), "{told}");
        assert_eq!(without_values(&[b'x'; 5000]).chars().count(), TOLD_CHARS_MAX);
    }

    #[test]
    fn own_and_replication_connections_are_left_out() {
        for listing in [Listing::Threads, Listing::ProcessList] {
            let ddl = ddl_sql(listing);
            assert!(ddl.contains("Binlog Dump") && ddl.contains(OWN_MARK), "{ddl}");
            let writers = writers_sql(listing, Some("it's"), None);
            assert!(writers.contains("<> 'it''s'"), "{writers}");
        }
    }
}
