//! How far one replica is behind, asked every second.
//!
//! A replica whose applier is stopped falls behind by as much as time passes, from what it was when it last
//! ran. One that does not answer, or is none, is not known: neither raises nor clears anything.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{DENIED_PAUSE, Target, Teller, Told, Trouble};
use crate::health::{BEAT_WITHIN, PROBE_EVERY};

/// Statements that show replication, and the columns for the lag and the applier: MySQL 8.0.22 and later,
/// MariaDB 10.5 and later, and those before. **Source**: MySQL manual, SHOW REPLICA STATUS; MariaDB, SHOW
/// SLAVE STATUS.
const STATEMENTS: [&str; 2] = ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"];
const LAG_COLUMNS: [&str; 2] = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
const APPLIER_COLUMNS: [&str; 2] = ["Replica_SQL_Running", "Slave_SQL_Running"];

/// The server cannot read the statement.
const ER_PARSE_ERROR: u16 = 1064;

/// What one look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It applies, and is so far behind.
    Behind(Duration),
    /// Its applier is stopped.
    Stopped,
    /// It replicates from nobody, or does not say how far it is.
    Unknown,
}

/// Asks until dropped.
pub(super) async fn keep_asking(target: Target, teller: Teller) {
    let mut every = interval(PROBE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open: Option<Conn> = None;
    let mut lag = Lag::default();
    loop {
        every.tick().await;
        let asked = timeout(BEAT_WITHIN, ask(&target, open.take())).await;
        let is_denied = matches!(&asked, Ok(Err(trouble)) if trouble.is_denied());
        let seen = match asked {
            Ok(Ok((seen, still_open))) => {
                open = Some(still_open);
                seen
            }
            Ok(Err(_)) | Err(_) => Seen::Unknown,
        };
        let behind = lag.take(seen, Instant::now());
        teller.tell(Told::ReplicaSeen { server: target.server.clone(), behind }).await;
        if is_denied {
            tokio::time::sleep(DENIED_PAUSE).await;
        }
    }
}

/// Remembers when a replica was last known to apply.
#[derive(Debug, Default)]
struct Lag {
    last: Option<(Instant, Duration)>,
}

impl Lag {
    fn take(&mut self, seen: Seen, now: Instant) -> Option<Duration> {
        match seen {
            Seen::Behind(behind) => {
                self.last = Some((now, behind));
                Some(behind)
            }
            Seen::Stopped => {
                let (at, behind) = *self.last.get_or_insert((now, Duration::ZERO));
                Some(behind + now.saturating_duration_since(at))
            }
            Seen::Unknown => None,
        }
    }
}

async fn ask(target: &Target, open: Option<Conn>) -> Result<(Seen, Conn), Trouble> {
    let mut connection = match open {
        Some(open) => open,
        None => target.open().await?,
    };
    for statement in STATEMENTS {
        match connection.query_first::<Row, _>(statement).await {
            Ok(row) => return Ok((row.map_or(Seen::Unknown, |row| read(&row)), connection)),
            // An older server does not know the statement.
            Err(mysql_async::Error::Server(error)) if error.code == ER_PARSE_ERROR => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((Seen::Unknown, connection))
}

fn read(row: &Row) -> Seen {
    let text = |names: [&str; 2]| {
        let known = row.columns_ref().iter().position(|column| names.contains(&&*column.name_str()))?;
        row.get_opt::<Option<String>, _>(known)?.ok()?
    };
    seen_of(text(LAG_COLUMNS), text(APPLIER_COLUMNS))
}

fn seen_of(lag: Option<String>, applier: Option<String>) -> Seen {
    match (lag.and_then(|lag| lag.parse().ok()), applier.as_deref()) {
        (Some(seconds), _) => Seen::Behind(Duration::from_secs(seconds)),
        (None, Some("No")) => Seen::Stopped,
        // Its source is gone: then how far it is behind is not known, and it is what a failover needs.
        (None, _) => Seen::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_applier_falls_behind_by_the_clock() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let mut lag = Lag::default();
        assert_eq!(lag.take(Seen::Unknown, start), None);
        assert_eq!(lag.take(Seen::Behind(Duration::from_secs(2)), at(1)), seconds(2));
        assert_eq!(lag.take(Seen::Stopped, at(4)), seconds(5));
        assert_eq!(lag.take(Seen::Unknown, at(5)), None);
        assert_eq!(lag.take(Seen::Stopped, at(11)), seconds(12));
        // Stopped from the beginning: at least since then.
        let mut lag = Lag::default();
        assert_eq!(lag.take(Seen::Stopped, start), seconds(0));
        assert_eq!(lag.take(Seen::Stopped, at(60)), seconds(60));
    }

    #[test]
    fn what_servers_say_is_read() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(seen_of(text("3"), text("Yes")), Seen::Behind(Duration::from_secs(3)));
        assert_eq!(seen_of(None, text("No")), Seen::Stopped);
        assert_eq!(seen_of(None, text("Yes")), Seen::Unknown);
        assert_eq!(seen_of(None, None), Seen::Unknown);
        assert_eq!(seen_of(text("-1"), text("Yes")), Seen::Unknown);
    }
}
