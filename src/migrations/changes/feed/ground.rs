//! What a server must be for its changes to be followed, and where its binary log is now.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use super::super::error::FeedError;
use super::super::feeds::Source;
use super::super::place::Place;
use super::super::position::Position;
use crate::backend::OpenError;
use crate::backend::direct::{Direct, DirectError, Rows};
use crate::ids::ServerId;
use crate::protocol::handshake::Flavour;
use crate::sql::quote;

/// Bound of connecting and logging in.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// Bound of one question.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// The account lacks a privilege of the whole server.
const ER_SPECIFIC_ACCESS_DENIED: u16 = 1227;
/// The privilege that reading a log needs, and how to give it.
pub(super) const GRANT_READING: &str = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* to the admin login \
    (MariaDB: REPLICATION SLAVE, BINLOG MONITOR)";

/// What is asked of a server's settings.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', \
    'binlog_row_image', 'binlog_row_value_options', 'binlog_order_commits', 'gtid_mode', 'server_uuid')";

/// A connection to the primary, and what was learnt there.
pub(in super::super) struct Ground {
    pub(in super::super) direct: Direct,
    /// Which server it is, whatever its address.
    pub(super) identity: String,
    /// Transactions have GTIDs.
    pub(super) has_gtids: bool,
    /// Its clock less ours, ms.
    pub(super) clock_ms: i64,
}

/// Connects, and checks that the server is set up.
pub(in super::super) async fn survey(source: &Source) -> Result<Ground, FeedError> {
    let server = &source.server;
    let opened = Direct::open(server, &source.login, &source.tls, OPEN_WITHIN).await;
    let mut direct = opened.map_err(|error| open_failed(server, error))?;
    let facts = Facts::of(&ask(&mut direct, server, VARIABLES).await?);
    if let Some((what, remedy)) = facts.fault() {
        return Err(unsuited(server, &what, remedy));
    }
    let clock = ask(&mut direct, server, "SELECT UNIX_TIMESTAMP(NOW(3))").await?;
    let clock = clock.first().and_then(|row| row.number::<f64>(0));
    let clock_ms = clock.map_or(0, |seconds| (seconds * 1000.0) as i64 - now_ms());
    let has_gtids = direct.flavour() == Flavour::MariaDb || facts.gtid_mode == "ON";
    Ok(Ground { identity: facts.identity, has_gtids, clock_ms, direct })
}

/// Our clock, ms since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[derive(Clone)]
struct Facts {
    log_bin: String,
    format: String,
    row_image: String,
    value_options: String,
    order_commits: String,
    gtid_mode: String,
    identity: String,
}

impl Facts {
    /// Reads names and values. A variable that a server does not have (any more) is as it has to be.
    fn of(variables: &Rows) -> Self {
        let find = |name: &str, absent: &str| {
            let row = variables.iter().find(|row| row.value(0) == Some(name.as_bytes()));
            row.and_then(|row| row.text(1)).unwrap_or_else(|| absent.to_owned())
        };
        Self {
            log_bin: find("log_bin", "OFF"),
            format: find("binlog_format", "ROW"),
            row_image: find("binlog_row_image", "FULL"),
            value_options: find("binlog_row_value_options", ""),
            order_commits: find("binlog_order_commits", "ON"),
            gtid_mode: find("gtid_mode", "OFF"),
            identity: find("server_uuid", ""),
        }
    }

    /// What is in the way, and what to do.
    fn fault(&self) -> Option<(String, &'static str)> {
        let is_on = |text: &str| matches!(text, "1" | "ON");
        if !is_on(&self.log_bin) {
            return Some(("it writes no binary log".to_owned(), "set log_bin and restart it"));
        }
        if self.format != "ROW" {
            let what = format!("binlog_format is {}", self.format);
            return Some((what, "SET GLOBAL binlog_format = 'ROW', and let sessions reconnect"));
        }
        if self.row_image != "FULL" {
            let what = format!("binlog_row_image is {}: rows are not logged whole", self.row_image);
            return Some((what, "SET GLOBAL binlog_row_image = 'FULL', and let sessions reconnect"));
        }
        if !self.value_options.is_empty() {
            let what = format!("binlog_row_value_options is {}: JSON is logged in part", self.value_options);
            return Some((what, "SET GLOBAL binlog_row_value_options = '', and let sessions reconnect"));
        }
        if !is_on(&self.order_commits) {
            let what = "binlog_order_commits is OFF: what is in the log may not be visible yet".to_owned();
            return Some((what, "SET GLOBAL binlog_order_commits = ON"));
        }
        None
    }
}

/// Where the binary log ends now: what is committed from here on lies behind it.
pub(in super::super) async fn end_of_log(ground: &mut Ground) -> Result<Place, FeedError> {
    let server = ground.direct.server().clone();
    let is_new = ground.direct.version().number >= (8, 2, 0) && ground.direct.flavour() == Flavour::MySql;
    let question = if is_new { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let rows = ask(&mut ground.direct, &server, question).await?;
    let row = rows.first().ok_or_else(|| unsuited(&server, "it writes no binary log", "set log_bin"))?;
    let text = |at: usize| row.text(at).unwrap_or_default();
    if !text(2).is_empty() || !text(3).is_empty() {
        let what = "it leaves databases out of its binary log (binlog_do_db, binlog_ignore_db)";
        return Err(unsuited(&server, what, "take the filter out of its configuration and restart it"));
    }
    let position = match (ground.direct.flavour(), ground.has_gtids) {
        (Flavour::MySql, true) => Position::Gtid(text(4).split_whitespace().collect::<String>().into()),
        (Flavour::MySql, false) => {
            Position::File { name: text(0).into(), offset: row.number(1).unwrap_or_default() }
        }
        (Flavour::MariaDb, _) => {
            let rows = ask(&mut ground.direct, &server, "SELECT @@GLOBAL.gtid_binlog_pos").await?;
            Position::Gtid(rows.first().and_then(|row| row.text(0)).unwrap_or_default().into())
        }
    };
    let flavour = ground.direct.flavour();
    Place::of(&position, flavour).ok_or_else(|| unsuited(&server, "its position makes no sense", ""))
}

/// Checks that the log reaches back to `place`, and that the server has what lies before it.
pub(in super::super) async fn check(ground: &mut Ground, place: &Place) -> Result<(), FeedError> {
    let server = ground.direct.server().clone();
    let flavour = ground.direct.flavour();
    let position = place.position();
    let purged = || FeedError::Purged { server: server.clone(), position: position.clone() };
    let diverged = || FeedError::Diverged { server: server.clone(), position: position.clone() };
    match place {
        Place::MySql(set) if flavour == Flavour::MySql && ground.has_gtids => {
            let set = quote::string(&set.to_string());
            let question = format!(
                "SELECT GTID_SUBSET({set}, @@GLOBAL.gtid_executed), GTID_SUBSET(@@GLOBAL.gtid_purged, {set})"
            );
            let rows = ask(&mut ground.direct, &server, &question).await?;
            let holds = |at: usize| rows.first().and_then(|row| row.number::<u8>(at)) == Some(1);
            if !holds(0) {
                Err(diverged())
            } else if !holds(1) {
                Err(purged())
            } else {
                Ok(())
            }
        }
        Place::MariaDb(_) if flavour == Flavour::MariaDb => {
            let files = ask(&mut ground.direct, &server, "SHOW BINARY LOGS").await?;
            let first = files.first().and_then(|row| row.text(0)).ok_or_else(purged)?;
            let question =
                format!("SELECT @@GLOBAL.gtid_binlog_pos, BINLOG_GTID_POS({}, 4)", quote::string(&first));
            let rows = ask(&mut ground.direct, &server, &question).await?;
            let place_at = |at: usize| {
                let text = rows.first().and_then(|row| row.text(at)).unwrap_or_default();
                Place::of_mariadb(&text)
            };
            let (Some(last), Some(oldest)) = (place_at(0), place_at(1)) else { return Err(purged()) };
            if !place.is_within(&last) {
                return Err(diverged());
            }
            if oldest.is_within(place) { Ok(()) } else { Err(purged()) }
        }
        Place::File { name, offset } if flavour == Flavour::MySql && !ground.has_gtids => {
            let files = ask(&mut ground.direct, &server, "SHOW BINARY LOGS").await?;
            let file = files.iter().find(|row| row.value(0) == Some(name.as_bytes())).ok_or_else(purged)?;
            if file.number::<u64>(1).is_some_and(|size| *offset <= size) { Ok(()) } else { Err(diverged()) }
        }
        _ => Err(FeedError::ServerChanged { server: server.clone() }),
    }
}

/// Asks one question.
pub(super) async fn ask(direct: &mut Direct, server: &ServerId, question: &str) -> Result<Rows, FeedError> {
    match timeout(ASK_WITHIN, direct.query(question)).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(failed(server, "asking about the binary log", error)),
        Err(_) => Err(FeedError::Late { server: server.clone(), within: ASK_WITHIN }),
    }
}

/// A refusal or loss, by what it means.
pub(super) fn failed(server: &ServerId, doing: &'static str, error: DirectError) -> FeedError {
    if error.errno() == Some(ER_SPECIFIC_ACCESS_DENIED) {
        return FeedError::Privilege {
            server: server.clone(),
            what: "read the binary log",
            remedy: GRANT_READING,
        };
    }
    FeedError::Direct { server: server.clone(), doing, source: Arc::new(error) }
}

pub(super) fn open_failed(server: &ServerId, error: OpenError) -> FeedError {
    FeedError::Open { server: server.clone(), source: Arc::new(error) }
}

fn unsuited(server: &ServerId, what: &str, remedy: &'static str) -> FeedError {
    FeedError::Unsuited { server: server.clone(), what: what.to_owned(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            log_bin: "ON".into(),
            format: "ROW".into(),
            row_image: "FULL".into(),
            value_options: String::new(),
            order_commits: "ON".into(),
            gtid_mode: "ON".into(),
            identity: String::new(),
        }
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        assert!(facts().fault().is_none());
        let cases = [
            (Facts { log_bin: "OFF".into(), ..facts() }, "binary log"),
            (Facts { format: "MIXED".into(), ..facts() }, "binlog_format is MIXED"),
            (Facts { row_image: "MINIMAL".into(), ..facts() }, "binlog_row_image is MINIMAL"),
            (Facts { row_image: "FULL_NODUP".into(), ..facts() }, "binlog_row_image is FULL_NODUP"),
            (Facts { value_options: "PARTIAL_JSON".into(), ..facts() }, "PARTIAL_JSON"),
            (Facts { order_commits: "OFF".into(), ..facts() }, "binlog_order_commits"),
        ];
        for (facts, word) in cases {
            let (what, remedy) = facts.fault().unwrap();
            assert!(what.contains(word) && !remedy.is_empty(), "{what}");
        }
    }
}
