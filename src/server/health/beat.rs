//! The heartbeat of one cluster: a row updated on its primary, twice a second.
//!
//! It is written only while the server is not read-only, tested within the statement: the admin login may be
//! allowed to write on a replica, and a write there would be one that no other server has. Nothing is kept
//! out of the binary log. Where the login may not write, or the config does not want it, a statement without
//! a table stands for it.

use std::pin::pin;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{DENIED_PAUSE, Target, Teller, Told, Trouble};
use crate::health::{BEAT_EVERY, BEAT_WITHIN, Beat};
use crate::sql::quote;

/// One that is not answered is waited for so many times [`BEAT_WITHIN`], and counted as failed each time,
/// before its connection is given up: each connection given up may leave a thread on a server that is stuck.
const WAITS_MAX: u32 = 6;
/// ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE.
const NO_TABLE: [u16; 2] = [1049, 1146];
/// ER_OPTION_PREVENTS_STATEMENT with `--read-only`, ER_READ_ONLY_MODE.
const READ_ONLY: [u16; 2] = [1290, 1836];

/// What an answered heartbeat came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    /// The row was updated.
    Written,
    /// The server answered; nothing was written.
    Answered,
    /// It is read-only.
    ReadOnly,
}

struct Heart {
    target: Target,
    connection: Option<Conn>,
    /// `database`.`table`, quoted.
    table: String,
    /// Why nothing is written although it should; until the connection is lost.
    unwritten: Option<String>,
}

/// Sends heartbeats until dropped.
pub(super) async fn keep_beating(target: Target, teller: Teller) {
    let table = format!("{}.`heartbeat`", quote::identifier(&target.checks.heartbeat_database));
    let mut heart = Heart { target, connection: None, table, unwritten: None };
    let mut every = interval(BEAT_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_denied = false;
    loop {
        every.tick().await;
        if !is_denied {
            teller.tell(Told::BeatSent).await;
        }
        let was_denied = is_denied;
        let denied = heart.beat(&teller).await;
        is_denied = denied.is_some();
        let cluster = &heart.target.cluster;
        match denied {
            Some(why) if !was_denied => {
                tracing::warn!(%cluster, why, "heartbeats are denied; the cluster is judged without")
            }
            None if was_denied => tracing::info!(%cluster, "heartbeats are let in again"),
            _ => {}
        }
        if is_denied {
            tokio::time::sleep(DENIED_PAUSE).await;
        }
    }
}

impl Heart {
    /// One heartbeat; gives why it was denied, if it was.
    async fn beat(&mut self, teller: &Teller) -> Option<String> {
        let started = Instant::now();
        let mut waits = 0;
        let done = {
            let mut attempt = pin!(self.attempt());
            loop {
                match timeout(BEAT_WITHIN, attempt.as_mut()).await {
                    Ok(done) => break done,
                    Err(_elapsed) => waits += 1,
                }
                let note = format!("no answer for {} s", started.elapsed().as_secs());
                teller.tell(Told::BeatEnded { beat: Beat::Failed, note }).await;
                if waits == WAITS_MAX {
                    return None;
                }
                teller.tell(Told::BeatSent).await;
            }
        };
        let (beat, note) = self.outcome(&done, started.elapsed());
        if matches!(&done, Err(trouble) if trouble.is_denied()) {
            teller.tell(Told::BeatDenied { note: note.clone() }).await;
            return Some(note);
        }
        teller.tell(Told::BeatEnded { beat, note }).await;
        None
    }

    fn outcome(&self, done: &Result<Pulse, Trouble>, took: Duration) -> (Beat, String) {
        match done {
            Ok(Pulse::Written) => (Beat::Done(took), "written".into()),
            Ok(Pulse::Answered) => {
                let why = self.unwritten.as_deref().unwrap_or("by configuration");
                (Beat::Done(took), format!("answered, not written: {why}"))
            }
            Ok(Pulse::ReadOnly) => (Beat::Failed, "the server is read-only".into()),
            Err(trouble) if trouble.is_refused() => (Beat::Refused, trouble.to_string()),
            Err(trouble) => (Beat::Failed, trouble.to_string()),
        }
    }

    /// Opens a connection if there is none, and sends the statement. Dropped in between, the connection is
    /// closed.
    async fn attempt(&mut self) -> Result<Pulse, Trouble> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let done = self.pulse(&mut connection).await;
        if done.as_ref().err().is_none_or(Trouble::leaves_connection) {
            self.connection = Some(connection);
        }
        done
    }

    async fn open(&mut self) -> Result<Conn, Trouble> {
        let mut connection = self.target.open().await?;
        self.unwritten = None;
        let seconds = BEAT_WITHIN.as_secs();
        // A statement that waits for a lock is ended by the server itself.
        let bounds = format!(
            "SET SESSION autocommit = 1, lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}"
        );
        connection.query_drop(bounds).await?;
        Ok(connection)
    }

    async fn pulse(&mut self, connection: &mut Conn) -> Result<Pulse, Trouble> {
        if !self.target.checks.heartbeat || self.unwritten.is_some() {
            connection.query_drop("DO 1").await?;
            return Ok(Pulse::Answered);
        }
        let written = match write(connection, &self.table).await {
            Err(Error::Server(error)) if NO_TABLE.contains(&error.code) => self.make(connection).await,
            written => written,
        };
        match written {
            Err(Error::Server(error)) if READ_ONLY.contains(&error.code) => Ok(Pulse::ReadOnly),
            Err(Error::Server(error)) if super::is_denied(error.code) => {
                let cluster = &self.target.cluster;
                let message = error.message;
                tracing::warn!(%cluster, message, "the heartbeat may not be written; it only asks");
                self.unwritten = Some(message);
                Ok(Pulse::Answered)
            }
            written => Ok(written?),
        }
    }

    /// Makes the table, and its database, unless the server is read-only.
    async fn make(&self, connection: &mut Conn) -> Result<Pulse, Error> {
        if is_read_only(connection).await? {
            return Ok(Pulse::ReadOnly);
        }
        let (table, database) = (&self.table, quote::identifier(&self.target.checks.heartbeat_database));
        connection.query_drop(format!("CREATE DATABASE IF NOT EXISTS {database}")).await?;
        let columns = "id TINYINT UNSIGNED NOT NULL PRIMARY KEY, beat DATETIME(6) NOT NULL";
        let create = format!("CREATE TABLE IF NOT EXISTS {table} ({columns}) ENGINE = InnoDB");
        connection.query_drop(create).await?;
        tracing::info!(cluster = %self.target.cluster, table, "the heartbeat's table was made");
        write(connection, table).await
    }
}

async fn write(connection: &mut Conn, table: &str) -> Result<Pulse, Error> {
    let update =
        format!("UPDATE {table} SET beat = UTC_TIMESTAMP(6) WHERE id = 1 AND @@global.read_only = 0");
    connection.query_drop(update).await?;
    if connection.affected_rows() > 0 {
        return Ok(Pulse::Written);
    }
    if is_read_only(connection).await? {
        return Ok(Pulse::ReadOnly);
    }
    // No row yet; or another proxy has written it in the same microsecond, which is as good.
    let insert = format!("INSERT IGNORE INTO {table} (id, beat) VALUES (1, UTC_TIMESTAMP(6))");
    connection.query_drop(insert).await?;
    Ok(Pulse::Written)
}

async fn is_read_only(connection: &mut Conn) -> Result<bool, Error> {
    let is_writable: Option<i64> = connection.query_first("SELECT @@global.read_only = 0").await?;
    Ok(is_writable != Some(1))
}
