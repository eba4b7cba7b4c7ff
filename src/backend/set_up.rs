//! What every server connection is asked for when it is opened, and again after a reset: to tell of changed
//! session state, and what its own `sql_mode` does to the reading of statements. And what is asked of a
//! cluster now and then: whether it has stored functions.
//!
//! Statements are planned before it is known which server runs them, so all servers must read alike: one
//! whose configuration (or `init_connect`) turns on such a mode is refused. Clients may turn them on for
//! themselves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::connection::Connection;
use super::error::OpenError;
use super::settings::STATE_TRACKING;
use crate::protocol::capability::Capabilities;
use crate::protocol::command;
use crate::protocol::handshake::ServerRefusal;
use crate::protocol::packet;
use crate::protocol::response::{Advance, CommandKind, ResponseTracker};
use crate::protocol::result::{ERR_BYTE, parse_text_row};
use crate::sql::SqlMode;

/// Bound of what is asked when a connection is opened or reset.
const WITHIN: Duration = Duration::from_secs(5);
/// Asked on the control connection: the admin login sees every routine. No table is opened for it.
const FUNCTIONS_QUESTION: &str = "SELECT EXISTS (SELECT 1 FROM information_schema.routines \
    WHERE routine_type = 'FUNCTION' \
    AND routine_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema'))";

impl Connection {
    /// Has the server tell of changed session state, and checks that statements mean the same to it as to
    /// Bulkhead: two statements, one round trip.
    ///
    /// # Errors
    /// The server does not know the tracking; the mode that is in the way; what went wrong with asking.
    pub(super) async fn set_up(&mut self) -> Result<(), OpenError> {
        let modes = match timeout(WITHIN, self.track_and_read_mode()).await {
            Ok(modes) => modes?,
            Err(_) => return Err(OpenError::Timeout { within: WITHIN }),
        };
        let ignores_space = self.capabilities.contains(Capabilities::IGNORE_SPACE);
        match disturbing(&modes, ignores_space) {
            Some(mode) => Err(OpenError::SqlMode { mode: mode.to_owned() }),
            None => Ok(()),
        }
    }

    async fn track_and_read_mode(&mut self) -> Result<String, OpenError> {
        let track = format!("SET SESSION {STATE_TRACKING} = 1");
        for text in [track.as_str(), "SELECT @@sql_mode"] {
            let payload = command::query_payload(text.as_bytes(), &[], self.capabilities);
            self.queue_command(&payload);
        }
        self.framed.flush().await?;
        let tracked = self.read_answer().await?;
        let modes = self.read_value().await?;
        if let Some(refused) = packet::payloads(&tracked).find(|payload| payload.first() == Some(&ERR_BYTE)) {
            return Err(OpenError::Refused(ServerRefusal::parse(refused)));
        }
        modes.ok_or_else(|| OpenError::SqlMode { mode: "nothing that can be read".to_owned() })
    }

    /// The one value that answers the next of the queries that were sent; `None` for anything else.
    pub(super) async fn read_value(&mut self) -> Result<Option<String>, OpenError> {
        let answer = self.read_answer().await?;
        let payloads: Vec<&[u8]> = packet::payloads(&answer).collect();
        let row = payloads.len().checked_sub(2).and_then(|at| payloads.get(at)).copied().unwrap_or_default();
        let value = parse_text_row(row, 1).ok().and_then(|values| values.first().copied().flatten());
        Ok(value.map(|value| String::from_utf8_lossy(value).into_owned()))
    }

    /// The answer to the next of the queries that were sent, as wire bytes.
    async fn read_answer(&mut self) -> Result<Vec<u8>, OpenError> {
        let mut tracker = ResponseTracker::new();
        tracker.start(CommandKind::Query, self.capabilities);
        tracker.expect_sequence(self.framed.sequence());
        let mut answer = Vec::new();
        loop {
            let advance = tracker.advance(self.framed.buffered())?;
            let take = advance.forward();
            answer.extend_from_slice(&self.framed.buffered()[..take]);
            self.framed.consume(take);
            match advance {
                Advance::More { .. } => drop(self.framed.fill().await?),
                Advance::Done { .. } | Advance::LocalInfile { .. } => return Ok(answer),
            }
        }
    }
}

/// Whether a cluster may have stored functions; until the first look there may be some.
///
/// A function behind a view is all that lets a SELECT change session state. MySQL does not tell of that by
/// rows that end in EOF, so behind such a SELECT it is asked by one more command; where there is no stored
/// function at all, which is looked at now and then, that command is saved.
///
/// **Shape**: the lowest bit says that there may be some, the others count what made that likely, so that a
/// look which began before is not believed.
#[derive(Debug)]
pub(super) struct StoredFunctions(AtomicU64);

impl Default for StoredFunctions {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl StoredFunctions {
    /// Says whether there may be some.
    pub(super) fn may_exist(&self) -> bool {
        self.0.load(Ordering::Relaxed) & 1 == 1
    }

    /// As after a look that found none.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Tells that one may have been created.
    pub(super) fn expect(&self) {
        // Whatever it was, it is odd and higher now.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| Some((before + 2) | 1));
    }

    /// Looks, on a connection that sees all routines.
    ///
    /// # Errors
    /// The server was not asked, or answered something else; what was known stays.
    pub(super) async fn look(&self, connection: &mut Connection) -> Result<(), OpenError> {
        let before = self.0.load(Ordering::Acquire);
        let payload = command::query_payload(FUNCTIONS_QUESTION.as_bytes(), &[], connection.capabilities());
        connection.queue_command(&payload);
        connection.framed.flush().await?;
        let found = connection.read_value().await?.as_deref() != Some("0");
        // A creation in between counts for more than this answer.
        let _ = self.0.compare_exchange(
            before,
            (before & !1) | u64::from(found),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        Ok(())
    }
}

/// The first of these modes that changes how texts are read. A login that asked for IGNORE_SPACE has it, and
/// its sessions are read so.
fn disturbing(modes: &str, ignores_space: bool) -> Option<&str> {
    let plain = SqlMode::default();
    let is_asked = |mode: &str| ignores_space && mode == "IGNORE_SPACE";
    modes.split(',').find(|mode| plain.with_names(mode) != plain && !is_asked(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_change_the_reading_are_found() {
        assert_eq!(disturbing("ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION", false), None);
        assert_eq!(disturbing("", false), None);
        assert_eq!(disturbing("STRICT_ALL_TABLES,IGNORE_SPACE", true), None);
        for mode in ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT", "IGNORE_SPACE"] {
            assert_eq!(disturbing(&format!("STRICT_ALL_TABLES,{mode}"), false), Some(mode));
        }
    }

    #[test]
    fn there_may_be_some_until_a_look_found_none() {
        let functions = StoredFunctions::default();
        assert!(functions.may_exist());
        functions.0.store(6, Ordering::Relaxed);
        assert!(!functions.may_exist());
        functions.expect();
        assert!(functions.may_exist());
        assert_eq!(functions.0.load(Ordering::Relaxed), 9);
    }
}
