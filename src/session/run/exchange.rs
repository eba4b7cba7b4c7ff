//! One exchange with a server: an answer relayed or collected, within its bounds.
//!
//! A statement that takes too long, or whose answer grows too large, is killed on its server, which then ends
//! the answer itself; the client is told why in Bulkhead's words.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::error::{ClientError, Code, Outcome};
use crate::execute::{self, Answer, Collected, Rechain, RelayError, Stop};
use crate::plan::Pins;
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::command;
use crate::protocol::errors::FrameError;
use crate::protocol::framed::Framed;
use crate::protocol::packet::{self, HEADER_BYTES};
use crate::protocol::response::{CommandKind, ResponseEnd, ResponseTracker, StateView};
use crate::protocol::result::{ERR_BYTE, ServerError, parse_text_row};

use crate::session::Session;
use crate::session::alarm::Alarm;
use crate::session::flow::{Ended, Failure, Flow};
use crate::session::registry::SessionEntry;
use crate::session::state::{Held, Transaction};

/// How long a server may take to answer after its statement was killed.
const KILLED_ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long a server may take for a COM_PING.
const PING_WAIT: Duration = Duration::from_secs(5);
/// ER_QUERY_INTERRUPTED: what a server says of a statement that was killed.
const QUERY_INTERRUPTED: [u16; 1] = [1317];

impl Session {
    /// Relays the answer of what was queued; past its deadline or bound it is killed.
    pub(in crate::session) async fn relay(
        &mut self,
        held: &mut Held,
        state_answers: u32,
        deadline: Option<Instant>,
    ) -> Result<(), RelayError> {
        let view = self.state_view();
        let stop = pin!(stop_for(&self.entry, &mut self.alarm, deadline));
        let connection = &mut *held.checkout;
        self.tracker.expect_sequence(connection.framed.sequence());
        let is_chained = self.more_results || self.client.sequence() != 1;
        let rechain = is_chained
            .then(|| Rechain::new(self.client.sequence(), self.more_results, connection.capabilities()));
        let tracker = &mut self.tracker;
        let bytes_max = self.user.max_result_bytes;
        self.cut_short = None;
        let mut answer = Answer {
            tracker,
            state_answers,
            view,
            rechain,
            bytes_max,
            withheld_errnos: self.waits.as_ref().map_or(&[], |waits| waits.withholds),
            withheld: false,
        };
        let relayed = execute::relay(&mut self.client, connection, &mut answer, stop).await;
        let relayed = match relayed {
            Err(RelayError::Stopped(why)) => {
                self.cut_short = match why {
                    Stop::Deadline => Some(Code::QueryTimeout),
                    Stop::TooLarge => Some(Code::ResultTooLarge),
                    Stop::Killed | Stop::Left => None,
                };
                answer.withheld_errnos = if self.cut_short.is_some() { &QUERY_INTERRUPTED } else { &[] };
                answer.bytes_max = 0;
                let relayed = relay_killed(&mut self.client, held, &mut answer, why).await;
                // The KILL may still be on its way to this connection.
                self.was_killed |= relayed.is_ok();
                relayed
            }
            done => done,
        };
        let withheld = answer.withheld;
        if !withheld {
            // Killed too late: the whole answer came.
            self.cut_short = None;
        }
        if let Some(waits) = &mut self.waits
            && withheld
            && self.cut_short.is_none()
        {
            waits.withheld = answer.tracker.end().error.clone();
        }
        self.client.set_sequence(match &answer.rechain {
            Some(rechain) => rechain.sequence(),
            // What the client gets instead has the number of what it did not get.
            None => self.tracker.sequence().wrapping_sub(u8::from(withheld)),
        });
        relayed
    }

    /// What the client is to see of changed session state.
    pub(in crate::session) fn state_view(&self) -> StateView {
        StateView {
            tracks: self.capabilities.contains(Capabilities::SESSION_TRACK),
            asked: self.state.asks_state_changes,
        }
    }

    /// The refusal of a statement that was killed for its time or size, if the one that ran last was.
    pub(in crate::session) fn tell_cut_short(&mut self) -> Flow {
        match self.cut_short.take() {
            Some(code) => Err(ClientError::of(code).into()),
            None => Ok(()),
        }
    }

    /// Relays the answer of a command that was queued on the held connection, and keeps it.
    pub(in crate::session) async fn relay_held(&mut self, mut held: Held) -> Flow {
        let deadline = self.statement_deadline(Instant::now());
        match self.relay(&mut held, 0, deadline).await {
            Ok(()) => {
                self.state.held = Some(held);
                self.tell_cut_short()
            }
            Err(RelayError::Client(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(cluster = %held.cluster, %error, "answer broke off");
                self.lose(held);
                Err(Ended::BrokenAnswer.into())
            }
        }
    }

    /// Collects the answer of the one command that was queued.
    pub(in crate::session) async fn collect(
        &mut self,
        held: &mut Held,
        kind: CommandKind,
    ) -> Flow<Collected> {
        let deadline = self.statement_deadline(Instant::now());
        let connection = &mut *held.checkout;
        self.tracker.start(kind, connection.capabilities());
        self.tracker.expect_sequence(connection.framed.sequence());
        let (entry, alarm, client) = (&*self.entry, &mut self.alarm, &mut self.client);
        let stop = pin!(async {
            tokio::select! {
                biased;
                () = alarm.ring(deadline) => Stop::Deadline,
                () = entry.killed() => Stop::Killed,
                _ = client.watch_close() => Stop::Left,
            }
        });
        let admission = self.entrance.of(&self.services.admissions, &held.cluster);
        let memory = Some(admission.memory());
        let error = match execute::collect(connection, &mut self.tracker, memory, stop).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let failure = match error {
            RelayError::Memory(_) => Failure::Unusable(admission.refuse_answer()),
            RelayError::Stopped(Stop::Deadline) => {
                Failure::Unusable(ClientError::of(Code::QueryTimeout).with_outcome(Outcome::Unknown))
            }
            RelayError::Stopped(Stop::Killed | Stop::TooLarge) => Failure::End(Ended::Killed),
            RelayError::Stopped(Stop::Left) => {
                Failure::End(Ended::Client(FrameError::Closed { mid_packet: false }))
            }
            error => {
                let message = format!("{}: {error}", Code::ShardConnectionLost.sentence());
                let lost = ClientError::new(Code::ShardConnectionLost, message);
                return Err(Failure::Unusable(lost.with_outcome(Outcome::Unknown)));
            }
        };
        // The connection is given up; what runs on the server must not go on.
        if let Err(error) = held.checkout.killer().kill_query().await {
            tracing::warn!(cluster = %held.cluster, %error, "statement not killed");
        }
        Err(failure)
    }

    /// Sends one text and collects its answer; an ERR packet is a refusal.
    pub(in crate::session) async fn ask(&mut self, held: &mut Held, text: &[u8]) -> Flow<Collected> {
        let payload = command::query_payload(text, &[], held.checkout.capabilities());
        held.checkout.queue_command(&payload);
        let answer = self.collect(held, CommandKind::Query).await?;
        match &self.tracker.end().error {
            Some(error) => Err(refused_by_server(error).into()),
            None => Ok(answer),
        }
    }

    /// Asks for one value; `None` is NULL.
    pub(in crate::session) async fn ask_value(&mut self, held: &mut Held, sql: &str) -> Flow<Option<String>> {
        let answer = self.ask(held, sql.as_bytes()).await?;
        let bad = || Failure::Unusable(ClientError::of(Code::ShardProtocol));
        let payloads: Vec<&[u8]> = packet::payloads(&answer).collect();
        let row = payloads.len().checked_sub(2).and_then(|at| payloads.get(at)).ok_or_else(bad)?;
        let value = parse_text_row(row, 1).map_err(|_| bad())?.first().copied().flatten();
        value.map(|bytes| String::from_utf8(bytes.to_vec()).map_err(|_| bad())).transpose()
    }

    /// Sends the collected answer to a SET.
    pub(in crate::session) async fn send_set_answer(&mut self, answer: Collected) -> Flow {
        let seen = self.state_view().of_one(&answer);
        self.send_collected(seen.map_or(answer, Collected::from)).await
    }

    /// Sends an answer that was collected, renumbered where it is one of several.
    pub(in crate::session) async fn send_collected(&mut self, mut answer: Collected) -> Flow {
        self.answer_failed = answer.get(HEADER_BYTES) == Some(&ERR_BYTE);
        let mut rechain = Rechain::new(self.client.sequence(), self.more_results, self.capabilities);
        rechain.rewrite(&mut answer, true);
        self.client.queue_raw(&answer);
        self.client.set_sequence(rechain.sequence());
        Ok(self.client.flush().await?)
    }

    /// When a statement that begins now is to have ended.
    pub(in crate::session) fn statement_deadline(&self, now: Instant) -> Option<Instant> {
        let timeouts = &self.serving.config.timeouts;
        let query = (!timeouts.query.is_zero()).then(|| now + timeouts.query);
        match (query, self.transaction_deadline()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// When `timeouts.transaction` is over for the open transaction.
    pub(in crate::session) fn transaction_deadline(&self) -> Option<Instant> {
        let bound = self.serving.config.timeouts.transaction;
        match &self.state.transaction {
            Transaction::Open { since, .. } if !bound.is_zero() => Some(*since + bound),
            _ => None,
        }
    }

    /// Says whether only the server knows if the transaction is still open.
    pub(in crate::session) fn is_unsure(&self) -> bool {
        matches!(self.state.transaction, Transaction::Open { is_unsure: true, .. })
    }

    /// Asks the server, after an error, whether it still has the transaction: a deadlock has rolled it back,
    /// a schema change committed it before it failed, and only the status of an OK packet tells. What is over
    /// ties the session to nothing. A connection that does not answer is lost, and the transaction with it.
    pub(in crate::session) async fn learn_transaction(&mut self) {
        let Transaction::Open { is_unsure: true, is_unseen, .. } = self.state.transaction else { return };
        // No status tells of a lone savepoint; an XA transaction ends by its own statements.
        if (is_unseen && !self.state.autocommit) || self.state.pins.contains(Pins::XA) {
            return;
        }
        let Some(mut held) = self.state.held.take() else { return };
        held.checkout.queue_ping();
        let told = match read_ping(&mut held).await {
            Ok(told) => told,
            Err(error) => {
                tracing::warn!(cluster = %held.cluster, %error, "connection lost behind an error");
                return self.lose(held);
            }
        };
        if told.error.is_none() && !told.status.contains(StatusFlags::IN_TRANSACTION) {
            self.state.transaction = Transaction::Idle;
        } else if let Transaction::Open { is_unsure, .. } = &mut self.state.transaction {
            *is_unsure = false;
        }
        self.keep_or_release(held, false);
    }

    /// Rolls the open transaction back, by giving its connection up: its time is over.
    pub(in crate::session) async fn end_transaction_late(&mut self) {
        self.learn_transaction().await;
        if !self.state.transaction.is_open() {
            return;
        }
        if let Some(held) = self.state.held.take() {
            tracing::warn!(
                session = self.admission.id.0,
                user = %self.user.name,
                cluster = %held.cluster,
                "timeouts.transaction is over: rolled back"
            );
            held.checkout.discard();
        }
        self.unpin();
        self.state.transaction = Transaction::Lost { code: Code::TransactionTimeout };
    }
}

/// Kills what runs, and relays what the server says to that; only if it says nothing, the connection is given
/// up.
async fn relay_killed(
    client: &mut Framed,
    held: &mut Held,
    answer: &mut Answer<'_>,
    why: Stop,
) -> Result<(), RelayError> {
    if let Err(error) = held.checkout.killer().kill_query().await {
        tracing::warn!(cluster = %held.cluster, %error, "statement not killed");
    }
    let grace = pin!(stop_at(Instant::now() + KILLED_ANSWER_WAIT));
    match execute::relay(client, &mut held.checkout, answer, grace).await {
        Err(RelayError::Stopped(_)) => Err(RelayError::Stopped(why)),
        done => done,
    }
}

/// Reads the answer to the COM_PING that was queued last. It is not given up when the client leaves.
///
/// # Errors
/// See [`RelayError`]; the connection is of no more use.
pub(in crate::session) async fn read_ping(held: &mut Held) -> Result<ResponseEnd, RelayError> {
    let connection = &mut *held.checkout;
    let mut ping = ResponseTracker::new();
    ping.start(CommandKind::Simple, connection.capabilities());
    let stop = pin!(stop_at(Instant::now() + PING_WAIT));
    execute::collect(connection, &mut ping, None, stop).await?;
    Ok(ping.take_end())
}

/// A server's own error as the client gets it.
pub(in crate::session) fn refused_by_server(error: &ServerError) -> ClientError {
    ClientError::from_server(error.errno, error.sqlstate, &error.message)
}

/// Stops at the deadline, or when the session is killed.
async fn stop_for(entry: &SessionEntry, alarm: &mut Alarm, deadline: Option<Instant>) -> Stop {
    tokio::select! {
        biased;
        () = alarm.ring(deadline) => Stop::Deadline,
        () = entry.killed() => Stop::Killed,
    }
}

/// Stops at `at`, whatever else happens.
pub(in crate::session) async fn stop_at(at: Instant) -> Stop {
    tokio::time::sleep_until(at.into()).await;
    Stop::Deadline
}
