//! What is done to one server, each step with a bound in time. None is repeated blindly: who calls them looks
//! at the server again when an answer did not come.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::{sleep, timeout};

use super::decide::{Receiving, Said};
use super::link::Link;
use super::read::{self, Access, ReadError};
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::protocol::handshake::Flavour;

/// Between two looks at a server that something is awaited of.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A relay log that nothing more comes out of, although something seems to be missing, has ended in the
/// middle of a transaction (MariaDB counts it as received).
const STILL_FOR: Duration = Duration::from_secs(1);
/// A server that was made to follow is connected by then.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// ER_NO_SUCH_THREAD.
const NO_SUCH_THREAD: u16 = 1094;

/// Which connections a fence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    /// None: they find the server read-only.
    Stay,
    /// Those of all other accounts, before the server is asked to be read-only: it waits for them otherwise.
    Go,
}

/// Makes a server refuse writes; gives what it has executed by then, which is all that it ever will.
///
/// MySQL: `super_read_only`. MariaDB: `read_only`, which does not bind accounts with READ ONLY ADMIN.
///
/// # Errors
/// It was not done within the bound, or it is not known.
pub(super) async fn fence(
    access: &Access,
    server: &ServerId,
    clients: Clients,
    within: Duration,
) -> Result<Said, ReadError> {
    let fencing = async {
        let mut conn = access.open(server, within).await?;
        let flavour = flavour_of(&mut conn).await?;
        if clients == Clients::Go {
            end_clients(&mut conn, access.user()).await?;
        }
        // The server itself gives up waiting for others, so that nothing is left pending there.
        let seconds = within.as_secs().max(1);
        conn.query_drop(format!("SET SESSION lock_wait_timeout = {seconds}")).await?;
        let variable = if flavour == Flavour::MySql { "super_read_only" } else { "read_only" };
        conn.query_drop(format!("SET GLOBAL {variable} = ON")).await?;
        if clients == Clients::Go {
            // Those who came meanwhile.
            end_clients(&mut conn, access.user()).await?;
        }
        let said = read::read(&mut conn).await?;
        if !said.is_read_only {
            return Err(ReadError::Unsaid("being read-only"));
        }
        Ok(said)
    };
    timeout(within, fencing).await.map_err(|_| ReadError::Late(within))?
}

/// Lets a server take writes. Tells whether it does in the end, whatever the answer was.
///
/// # Errors
/// The server does not answer any more: not known.
pub(super) async fn open(access: &Access, server: &ServerId, within: Duration) -> Result<bool, ReadError> {
    let began = Instant::now();
    loop {
        let opening = async {
            let mut conn = access.open(server, within).await?;
            // Turns off MySQL's super_read_only with it.
            let done = conn.query_drop("SET GLOBAL read_only = OFF").await;
            let is_read_only: Option<i64> = conn.query_first("SELECT @@global.read_only <> 0").await?;
            match (is_read_only, done) {
                (Some(0), _) => Ok(true),
                (_, Err(error @ Error::Server(_))) => {
                    tracing::error!(%server, %error, "the server stays read-only");
                    Ok(false)
                }
                (_, Err(error)) => Err(error.into()),
                (_, Ok(())) => Ok(false),
            }
        };
        match timeout(within, opening).await.unwrap_or(Err(ReadError::Late(within))) {
            Err(error) if began.elapsed() >= within => return Err(error),
            // Setting a variable to the same value twice is no harm.
            Err(_) => sleep(LOOK_EVERY * 5).await,
            done => return done,
        }
    }
}

async fn flavour_of(conn: &mut Conn) -> Result<Flavour, ReadError> {
    let version: Option<String> = conn.query_first("SELECT @@version").await?;
    let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
    Ok(if is_mariadb { Flavour::MariaDb } else { Flavour::MySql })
}

/// Ends the connections of all accounts but one, and but replication's; of that one those whose statement has
/// run for a second: a heartbeat that waits for a replica's receipt keeps the server from becoming read-only.
async fn end_clients(conn: &mut Conn, own_user: &str) -> Result<(), ReadError> {
    let listing = "SELECT id, user, command <> 'Sleep' AND time >= 1 FROM information_schema.processlist \
                   WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'event_scheduler') \
                   AND command NOT IN ('Binlog Dump', 'Binlog Dump GTID', 'Daemon', 'Connect', 'Slave_IO', \
                   'Slave_SQL', 'Slave_worker', 'Killed')";
    let clients: Vec<(u64, String, Option<bool>)> = conn.query(listing).await?;
    for (id, ..) in clients.iter().filter(|(_, user, is_stuck)| user != own_user || *is_stuck == Some(true)) {
        kill(conn, *id).await?;
    }
    Ok(())
}

/// Ends all other connections of Bulkhead's own login, but replication's, and waits until they are gone: what
/// a proxy that ended has sent is done by then, or never will be. Gives what the server says after that.
///
/// # Errors
/// It does not answer, or they are not gone within the bound.
pub(super) async fn end_own(access: &Access, server: &ServerId, within: Duration) -> Result<Said, ReadError> {
    let listing = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = ? \
                   AND command NOT IN ('Binlog Dump', 'Binlog Dump GTID')";
    let ending = async {
        let mut conn = access.open(server, within).await?;
        let ended: Vec<u64> = conn.exec(listing, (access.user(),)).await?;
        for id in &ended {
            kill(&mut conn, *id).await?;
        }
        loop {
            let left: Vec<u64> = conn.exec(listing, (access.user(),)).await?;
            if !left.iter().any(|id| ended.contains(id)) {
                return read::read(&mut conn).await;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(within, ending).await.map_err(|_| ReadError::Late(within))?
}

/// Ends a connection; one that is gone already is.
async fn kill(conn: &mut Conn, id: u64) -> Result<(), ReadError> {
    match conn.query_drop(format!("KILL {id}")).await {
        Err(Error::Server(error)) if error.code == NO_SUCH_THREAD => Ok(()),
        killed => Ok(killed?),
    }
}

/// Waits until no transaction of others that wrote something is open; says whether that came.
pub(super) async fn await_writes(access: &Access, server: &ServerId, within: Duration) -> bool {
    let waiting = async {
        let mut conn = access.open(server, within).await?;
        loop {
            let running = "SELECT COUNT(*) FROM information_schema.innodb_trx \
                           WHERE (trx_rows_modified > 0 OR trx_lock_structs > 0) \
                           AND trx_mysql_thread_id NOT IN (0, CONNECTION_ID())";
            if conn.query_first::<u64, _>(running).await? == Some(0) {
                return Ok::<_, ReadError>(());
            }
            sleep(LOOK_EVERY).await;
        }
    };
    matches!(timeout(within, waiting).await, Ok(Ok(())))
}

/// Waits until a server has executed these transactions.
///
/// # Errors
/// What it lacks in the end, or why it could not be asked.
pub(super) async fn await_executed(
    access: &Access,
    server: &ServerId,
    target: &GtidSet,
    within: Duration,
) -> Result<(), String> {
    let began = Instant::now();
    let mut lacking = target.clone();
    let waiting = async {
        let mut conn = access.open(server, within).await?;
        let mut said = read::read(&mut conn).await?;
        loop {
            lacking = said.lacks(target);
            if lacking.is_empty() {
                return Ok::<_, ReadError>(());
            }
            if began.elapsed() > STILL_FOR {
                said = read::read(&mut conn).await?;
                if let Some(error) = said.sources.iter().find(|s| !s.apply_error.is_empty()) {
                    tracing::error!(%server, error = error.apply_error, "applying stopped");
                }
            }
            sleep(LOOK_EVERY).await;
            let (executed, position) = read::read_gtids(&mut conn, said.flavour).await?;
            (said.executed, said.position) = (executed, position);
        }
    };
    match timeout(within, waiting).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{server} could not be asked what it has: {error}")),
        Err(_) => Err(format!("{server} still lacks {lacking} after {} ms", within.as_millis())),
    }
}

/// Waits until a server has executed everything that it received; it must not receive any more.
///
/// # Errors
/// Why it did not come to that.
pub(super) async fn await_applied(
    access: &Access,
    server: &ServerId,
    within: Duration,
) -> Result<(), String> {
    let waiting = async {
        let mut conn = access.open(server, within).await.map_err(|error| error.to_string())?;
        let (mut executed, mut since) = (GtidSet::default(), Instant::now());
        loop {
            let said = read::read(&mut conn).await.map_err(|error| error.to_string())?;
            let source = said.sources.first();
            if let Some(source) = source.filter(|s| !s.apply_error.is_empty() || !s.applies) {
                return Err(format!("it stopped applying: {}", source.apply_error));
            }
            let received = source.map(|source| source.received.clone()).unwrap_or_default();
            if said.lacks(&received).is_empty() {
                return Ok(());
            }
            if said.executed != executed {
                (executed, since) = (said.executed.clone(), Instant::now());
            }
            let is_mariadb = said.flavour == Flavour::MariaDb;
            let has_read_all = source.is_some_and(|source| source.has_read_all);
            if is_mariadb && has_read_all && since.elapsed() >= STILL_FOR {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    };
    match timeout(within, waiting).await {
        Ok(applied) => applied.map_err(|why| format!("{server}: {why}")),
        Err(_) => Err(format!("{server} has not applied everything after {} ms", within.as_millis())),
    }
}

/// Stops receiving; what was received is applied further.
pub(super) async fn stop_receiving(
    access: &Access,
    server: &ServerId,
    within: Duration,
) -> Result<(), ReadError> {
    tell_replica(access, server, within, |noun| format!("STOP {noun} IO_THREAD")).await
}

/// Stops replication as a whole.
pub(super) async fn stop_replicating(
    access: &Access,
    server: &ServerId,
    within: Duration,
) -> Result<(), ReadError> {
    tell_replica(access, server, within, |noun| format!("STOP {noun}")).await
}

/// Forgets what a promoted server replicated from.
pub(super) async fn forget_source(
    access: &Access,
    server: &ServerId,
    within: Duration,
) -> Result<(), ReadError> {
    tell_replica(access, server, within, |noun| format!("RESET {noun} ALL")).await
}

/// One statement about replication, made of the server's own word for a replica.
async fn tell_replica(
    access: &Access,
    server: &ServerId,
    within: Duration,
    statement: impl FnOnce(&str) -> String,
) -> Result<(), ReadError> {
    let telling = async {
        let mut conn = access.open(server, within).await?;
        let noun = noun_of(flavour_of(&mut conn).await?);
        Ok(conn.query_drop(statement(noun)).await?)
    };
    timeout(within, telling).await.map_err(|_| ReadError::Late(within))?
}

/// Sets the sides of semi-synchronous replication, where a server has them.
pub(super) async fn set_semi_sync(
    access: &Access,
    server: &ServerId,
    is_source: bool,
    within: Duration,
) -> Result<(), ReadError> {
    let setting = async {
        let mut conn = access.open(server, within).await?;
        let sides = semi_sync_sides(&mut conn).await?;
        turn_semi_sync(&mut conn, &sides, is_source).await
    };
    timeout(within, setting).await.map_err(|_| ReadError::Late(within))?
}

/// A switch of semi-synchronous replication.
struct Side {
    name: String,
    is_of_source: bool,
    is_on: bool,
}

async fn semi_sync_sides(conn: &mut Conn) -> Result<Vec<Side>, ReadError> {
    let rows: Vec<(String, String)> =
        conn.query("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync%enabled'").await?;
    let side = |(name, value): (String, String)| Side {
        is_of_source: name.contains("source") || name.contains("master"),
        is_on: value.eq_ignore_ascii_case("ON"),
        name,
    };
    Ok(rows.into_iter().map(side).collect())
}

async fn turn_semi_sync(conn: &mut Conn, sides: &[Side], is_source: bool) -> Result<(), ReadError> {
    for side in sides {
        let value = if side.is_of_source == is_source { "ON" } else { "OFF" };
        conn.query_drop(format!("SET GLOBAL {} = {value}", side.name)).await?;
    }
    Ok(())
}

/// Lets a replica go on that a failover stopped, or kept from receiving, and that was not promoted.
pub(super) async fn replicate_again(
    access: &Access,
    server: &ServerId,
    within: Duration,
) -> Result<(), ReadError> {
    let going_on = async {
        let mut conn = access.open(server, within).await?;
        let sides = semi_sync_sides(&mut conn).await?;
        let is_on = |of_source| sides.iter().any(|side| side.is_on && side.is_of_source == of_source);
        // As the promotion that did not come to its end may have left it.
        if is_on(true) && !is_on(false) {
            turn_semi_sync(&mut conn, &sides, false).await?;
        }
        let noun = noun_of(flavour_of(&mut conn).await?);
        Ok(conn.query_drop(format!("START {noun}")).await?)
    };
    timeout(within, going_on).await.map_err(|_| ReadError::Late(within))?
}

/// Makes a server replicate from `source`, and waits until it does. One that replicated before keeps its
/// login; another one takes `link`.
///
/// # Errors
/// Why it does not; it may be in any state of replication then, but is not written to.
pub(super) async fn follow(
    access: &Access,
    server: &ServerId,
    source: &ServerId,
    link: Option<&Link>,
    within: Duration,
) -> Result<(), String> {
    let following = async {
        let text = |error: ReadError| error.to_string();
        let mut conn = access.open(server, within).await.map_err(text)?;
        let said = read::read(&mut conn).await.map_err(text)?;
        let noun = noun_of(said.flavour);
        let link = match (&said.sources[..], link) {
            ([_], _) => None,
            ([], Some(link)) => Some(link),
            ([], None) => return Err(NO_LOGIN.to_owned()),
            _ => return Err("it replicates from several sources".to_owned()),
        };
        // What the login may hold is written with backslashes.
        let mut statements = vec!["SET SESSION sql_mode = ''".to_owned(), format!("STOP {noun}")];
        if link.is_some() && said.flavour == Flavour::MariaDb {
            // As a primary it noted its own writes elsewhere than a replica does.
            statements.push("SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos".to_owned());
        }
        statements.push(super::link::change_source(said.flavour, source, link));
        statements.push(format!("START {noun}"));
        for sql in statements {
            conn.query_drop(sql).await.map_err(|error| error.to_string())?;
        }
        await_connected(&mut conn).await
    };
    match timeout(within, following).await {
        Ok(done) => done,
        Err(_) => Err(format!("not done within {} ms", within.as_millis())),
    }
}

const NO_LOGIN: &str =
    "it is not known what login it is to replicate with: give clusters.*.replication in the config";

async fn await_connected(conn: &mut Conn) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let said = read::read(conn).await.map_err(|error| error.to_string())?;
        let Some(source) = said.sources.first() else { return Err("it does not replicate".to_owned()) };
        if !source.apply_error.is_empty() {
            return Err(source.apply_error.clone());
        }
        if source.receiving == Receiving::Yes && source.applies {
            return Ok(());
        }
        if began.elapsed() >= CONNECTED_WITHIN {
            return Err(format!("it is not connected to its source: {}", source.receive_error));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What the flavour calls a replica.
pub(super) fn noun_of(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "REPLICA",
        Flavour::MariaDb => "SLAVE",
    }
}
