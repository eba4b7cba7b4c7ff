//! The status of one cluster's primary, read every second. What the server does not tell, or the admin login
//! may not see, is absent: not known.

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Error};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{DENIED_PAUSE, Target, Teller, Told, Trouble};
use crate::health::{BEAT_WITHIN, DDL_STATEMENT, PROBE_EVERY, ProbeFault, Reading};

/// Where connections are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Listing {
    /// Without a lock: MySQL's `performance_schema`, where it is on.
    Threads,
    /// Elsewhere.
    ProcessList,
}

/// Reads until dropped.
pub(super) async fn keep_asking(target: Target, teller: Teller) {
    let mut every = interval(PROBE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open: Option<(Conn, Listing)> = None;
    let mut is_denied = false;
    loop {
        every.tick().await;
        if !is_denied {
            teller.tell(Told::ProbeSent).await;
        }
        let asked = timeout(BEAT_WITHIN, ask(&target, open.take())).await;
        is_denied = matches!(&asked, Ok(Err(trouble)) if trouble.is_denied());
        let told = match asked {
            Ok(Ok((reading, still_open))) => {
                open = Some(still_open);
                Told::ProbeEnded(Ok(reading))
            }
            Ok(Err(_)) if is_denied => Told::ProbeDenied,
            Ok(Err(trouble)) if trouble.is_refused() => Told::ProbeEnded(Err(ProbeFault::Refused)),
            Ok(Err(_)) | Err(_) => Told::ProbeEnded(Err(ProbeFault::Failed)),
        };
        teller.tell(told).await;
        if is_denied {
            tokio::time::sleep(DENIED_PAUSE).await;
        }
    }
}

async fn ask(target: &Target, open: Option<(Conn, Listing)>) -> Result<(Reading, (Conn, Listing)), Trouble> {
    let (mut connection, listing) = match open {
        Some(open) => open,
        None => {
            let mut connection = target.open().await?;
            let listing = listing_of(&mut connection).await?;
            (connection, listing)
        }
    };
    let reading = read(&mut connection, listing).await?;
    Ok((reading, (connection, listing)))
}

/// Where this server lists its connections.
///
/// # Errors
/// The connection broke.
pub(in crate::server) async fn listing_of(connection: &mut Conn) -> Result<Listing, Error> {
    let has_threads = told(connection.query_first::<i64, _>("SELECT @@performance_schema").await)?;
    // MariaDB's shows other columns.
    let is_mariadb = "SELECT VERSION() LIKE '%MariaDB%'";
    let is_mariadb = told(connection.query_first::<i64, _>(is_mariadb).await)?;
    let has_threads = has_threads == Some(1) && is_mariadb == Some(0);
    Ok(if has_threads { Listing::Threads } else { Listing::ProcessList })
}

async fn read(connection: &mut Conn, listing: Listing) -> Result<Reading, Error> {
    let is_read_only = first::<i64>(connection, "SELECT @@global.read_only <> 0").await?;
    let running: Option<(String, String)> =
        first(connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'").await?;
    let (state, command, text, from) = match listing {
        Listing::Threads => (
            "processlist_state",
            "processlist_command",
            "processlist_info",
            "performance_schema.threads WHERE type = 'FOREGROUND'",
        ),
        Listing::ProcessList => ("state", "command", "info", "information_schema.processlist WHERE 1"),
    };
    let counts = format!(
        "SELECT COUNT(CASE WHEN {state} LIKE 'Waiting for %metadata lock' THEN 1 END), \
         COUNT(CASE WHEN {command} = 'Query' AND {text} REGEXP '{DDL_STATEMENT}' THEN 1 END) FROM {from}"
    );
    let counts: Option<(u32, u32)> = first(connection, &counts).await?;
    let history = "SELECT `count` FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'";
    Ok(Reading {
        threads_running: running.and_then(|(_, count)| count.parse().ok()),
        metadata_lock_waiters: counts.map(|(waiters, _)| waiters),
        ddl_running: counts.map(|(_, ddl)| ddl),
        history_list: first(connection, history).await?,
        // Replicas are asked by `replica`.
        replica_lag: None,
        is_read_only: is_read_only.map(|is_on| is_on != 0),
    })
}

async fn first<T: FromRow + Send + 'static>(connection: &mut Conn, sql: &str) -> Result<Option<T>, Error> {
    told(connection.query_first::<T, _>(sql.to_owned()).await)
}

/// An error of the server's is an answer: it does not tell.
fn told<T>(answer: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(Error::Server(_)) => Ok(None),
        answer => answer,
    }
}
