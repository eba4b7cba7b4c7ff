//! SHOW WARNINGS and its kin ask about the previous statement, which only its connection can answer.
//!
//! After a statement with warnings or an error the session keeps the connection for a moment. When the moment
//! is over, the warnings are fetched and kept as bytes, and the connection goes back to its pool.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::execute::{self, Collected};
use crate::plan::Route;
use crate::protocol::command;
use crate::protocol::response::CommandKind;

use crate::session::Session;
use crate::session::run::job::Job;
use crate::session::run::place::Place;
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

/// The answer to SHOW WARNINGS after the connection was given back, or used by Bulkhead, as wire bytes.
#[derive(Debug, Default)]
pub(in crate::session) struct KeptWarnings(pub Collected);

impl Session {
    /// Gives a connection back to its pool, or keeps it: for the transaction, for pins, or for questions.
    pub(in crate::session) fn keep_or_release(&mut self, mut held: Held, lingers: bool) {
        self.kept_warnings = None;
        if !self.state.is_free() {
            self.seat(&mut held);
            self.state.held = Some(held);
        } else if lingers {
            self.lingering = Some(Lingering { held, until: Instant::now() + LINGER });
        } else {
            self.state.last.insert_thread = None;
            held.checkout.checkin();
        }
    }

    /// Gives the held connection back, unless something ties the session to it.
    pub(in crate::session) fn release_if_free(&mut self) {
        if let Some(held) = self.state.held.take() {
            self.keep_or_release(held, false);
        }
    }

    /// When the kept connection is to be given back.
    pub(in crate::session) fn linger_deadline(&self) -> Option<Instant> {
        self.lingering.as_ref().map(|lingering| lingering.until)
    }

    /// Takes the kept connection for a question about its last statement, or gives it back. A question that
    /// any server could be asked goes where that statement ran; gives the place to ask at.
    pub(in crate::session) fn resume_lingering(&mut self, job: &Job<'_>, place: Place) -> Place {
        let Some(lingering) = self.lingering.take() else { return place };
        let held = &lingering.held;
        let is_there = held.cluster == place.cluster && held.role == place.role;
        let is_anywhere = matches!(job.plan.route, Route::Any);
        if !job.plan.effects.asks_previous || !(is_there || is_anywhere) {
            self.give_back_lingering(lingering);
            return place;
        }
        let (cluster, role) = (held.cluster.clone(), held.role);
        self.state.held = Some(lingering.held);
        if is_there {
            place
        } else {
            Place { cluster, shard: None, database: None, owner: 0, role, begins: false }
        }
    }

    /// Gives the kept connection back: the next statement asks nothing about the one before.
    pub(in crate::session) fn forget_lingering(&mut self) {
        if let Some(lingering) = self.lingering.take() {
            self.give_back_lingering(lingering);
        }
    }

    fn give_back_lingering(&mut self, lingering: Lingering) {
        self.kept_warnings = None;
        // Whoever has the connection next may generate an id of their own on it.
        self.state.last.insert_thread = None;
        lingering.held.checkout.checkin();
    }

    /// Fetches the warnings of the last statement from the connection that stays the session's, before
    /// something else is sent on it that clears them.
    pub(in crate::session) async fn keep_held_warnings(&mut self) {
        if self.state.last.warnings == 0 && !self.state.last.failed {
            return;
        }
        let Some(mut held) = self.state.held.take() else { return };
        let answered = std::mem::take(&mut self.tracker);
        let asked = self.ask(&mut held, b"SHOW WARNINGS").await;
        self.tracker = answered;
        match asked {
            Ok(answer) => {
                self.state.held = Some(held);
                let kept = Some(KeptWarnings(answer));
                self.kept_warnings = kept.filter(|kept| kept.0.len() <= WARNINGS_BYTES_MAX);
            }
            Err(failure) => self.put_back(held, &failure),
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
        let stop = pin!(crate::session::run::exchange::stop_at(until));
        let admission = self.entrance.of(&self.services.admissions, &lingering.held.cluster);
        match execute::collect(connection, &mut self.tracker, Some(admission.memory()), stop).await {
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
