//! SHOW WARNINGS and its kin ask about the previous statement, which only its connection can answer.
//!
//! After a statement with warnings or an error the session keeps the connection for a moment. When the moment
//! is over, the warnings are fetched and kept as bytes, and the connection goes back to its pool.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::execute;
use crate::protocol::command;
use crate::protocol::response::CommandKind;

use crate::session::Session;
use crate::session::state::Held;

/// How long a connection is kept for questions about its last statement.
const LINGER: Duration = Duration::from_millis(20);
/// How long fetching the warnings may take.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// Warnings kept, in bytes; beyond that they are forgotten.
const WARNINGS_BYTES_MAX: usize = 64 * 1024;

/// A connection kept for questions about its last statement.
#[derive(Debug)]
pub(in crate::session) struct Lingering {
    /// The connection.
    pub held: Held,
    /// Until when.
    pub until: Instant,
}

/// The answer to SHOW WARNINGS after the connection was given back, as wire bytes.
#[derive(Debug, Default)]
pub(in crate::session) struct KeptWarnings(pub Vec<u8>);

impl Session {
    /// Gives a connection back to its pool, or keeps it: for the transaction, for pins, or for questions.
    pub(in crate::session) fn keep_or_release(&mut self, held: Held, lingers: bool) {
        self.kept_warnings = None;
        if !self.state.is_free() {
            self.state.held = Some(held);
        } else if lingers {
            self.lingering = Some(Lingering { held, until: Instant::now() + LINGER });
        } else {
            self.state.last.insert_thread = None;
            held.checkout.checkin();
        }
    }

    /// When the kept connection is to be given back.
    pub(in crate::session) fn linger_deadline(&self) -> Option<Instant> {
        self.lingering.as_ref().map(|lingering| lingering.until)
    }

    /// Takes the kept connection for a question about its last statement, or gives it back.
    pub(in crate::session) fn resume_lingering(&mut self, asks_previous: bool) {
        let Some(lingering) = self.lingering.take() else { return };
        if asks_previous {
            self.state.held = Some(lingering.held);
        } else {
            self.kept_warnings = None;
            // Whoever has the connection next may generate an id of their own on it.
            self.state.last.insert_thread = None;
            lingering.held.checkout.checkin();
        }
    }

    /// Fetches the warnings of the kept connection, and gives it back.
    pub(in crate::session) async fn end_linger(&mut self) {
        let Some(mut lingering) = self.lingering.take() else { return };
        self.state.last.insert_thread = None;
        let connection = &mut *lingering.held.checkout;
        let payload = command::query_payload(b"SHOW WARNINGS", &[], connection.capabilities());
        connection.queue_command(&payload);
        self.tracker.start(CommandKind::Query, connection.capabilities());
        let until = Instant::now() + FETCH_WAIT;
        let stop = pin!(crate::session::run::exchange::stop_at(Some(until), std::future::pending()));
        match execute::collect(connection, &mut self.tracker, stop).await {
            Ok(answer) => {
                if answer.len() <= WARNINGS_BYTES_MAX && self.tracker.end().error.is_none() {
                    self.kept_warnings = Some(KeptWarnings(answer));
                }
                lingering.held.checkout.checkin();
            }
            Err(error) => {
                tracing::debug!(%error, "warnings not fetched");
                lingering.held.checkout.discard();
            }
        }
    }
}
