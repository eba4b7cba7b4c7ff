//! Statements that run on several shards: INSERTs split by row, and statements sent everywhere by directive.
//!
//! Writes run in a transaction on each shard, opened before the first row is sent and committed only after
//! every shard accepted its part; a failure before the first commit rolls all of them back. A failure between
//! commits is told as such: which shards have it, which do not.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::error::{ClientError, Code, Outcome};
use crate::execute::{self, Collected, RelayError};
use crate::ids::{Keyspace, Role};
use crate::memory::OWN_BYTES;
use crate::plan::Piece;
use crate::protocol::capability::Capabilities;
use crate::protocol::errors::FrameError;
use crate::protocol::response::{CommandKind, ResponseTracker};
use crate::protocol::result::{self, OkPacket};
use crate::protocol::{command, packet};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::admit::transaction_cut;
use crate::session::flow::{Failure, Flow};
use crate::session::run::exchange::{refused_by_server, stop_at};
use crate::session::run::job::{Job, Payload};
use crate::session::run::place::{Needs, Place, resolve_address};
use crate::session::state::{Held, Transaction};

/// How long a server may take to answer a COMMIT of a part. Nothing else ends the wait: a COMMIT that is not
/// waited for is one whose outcome nobody knows.
const COMMIT_WAIT: Duration = Duration::from_secs(60);

/// One shard's part: its texts run one after another, in one transaction where there is one.
struct Part {
    held: Held,
    place: Place,
    runs: Vec<Run>,
}

/// One text, and the parameters of the execution that it takes, if it is one of a prepared statement.
struct Run {
    text: Vec<u8>,
    params: Vec<u16>,
}

/// What a part came to.
#[derive(Default)]
struct Sum {
    affected: u64,
    insert_id: u64,
    warnings: u16,
    answers: Vec<Collected>,
}

impl Session {
    /// Runs an INSERT whose rows belong to several shards.
    pub(in crate::session) async fn run_split(
        &mut self,
        job: &Job<'_>,
        pieces: Vec<Piece>,
        snapshot: &Snapshot,
    ) -> Flow {
        self.refuse_in_transaction().await?;
        let needs = Needs { writes: true, role: Role::Primary };
        // Pieces are workspaces'; those of one shard share its connection.
        let mut places: Vec<(Place, Vec<Run>)> = Vec::new();
        for Piece { address, text, params } in pieces {
            let place = resolve_address(snapshot, &mut self.state, &address, needs)?;
            let run = Run { text, params };
            let is_same = |other: &Place| other.cluster == place.cluster && other.database == place.database;
            match places.iter_mut().find(|(other, _)| is_same(other)) {
                Some((_, runs)) => runs.push(run),
                None => places.push((place, vec![run])),
            }
        }
        self.run_parts(job, places).await
    }

    /// Runs a statement on every shard of a keyspace, as the directive asks.
    pub(in crate::session) async fn run_everywhere(
        &mut self,
        job: &Job<'_>,
        keyspace: &Keyspace,
        snapshot: &Snapshot,
    ) -> Flow {
        let Payload::Text { text, .. } = job.payload else {
            return Err(ClientError::of(Code::NotSupported).into());
        };
        self.refuse_in_transaction().await?;
        let role = if job.plan.effects.writes { Role::Primary } else { Role::Replica };
        let role = if self.state.target.role == Some(Role::Replica) { role } else { Role::Primary };
        let places = snapshot.shards(keyspace).iter().map(|shard| {
            let database = Some(keyspace.as_str().into());
            let (cluster, shard) = (shard.cluster.clone(), Some(shard.clone()));
            (
                Place { cluster, shard, database, owner: 0, role, begins: false },
                vec![Run { text: text.to_vec(), params: Vec::new() }],
            )
        });
        self.run_parts(job, places.collect()).await
    }

    async fn refuse_in_transaction(&mut self) -> Result<(), ClientError> {
        self.learn_transaction().await;
        let is_idle = matches!(self.state.transaction, Transaction::Idle) && self.state.autocommit;
        if is_idle && self.state.held.is_none() {
            return Ok(());
        }
        let message = "a statement for several shards cannot run inside a transaction or beside held locks";
        Err(ClientError::new(Code::CrossShard, message))
    }

    async fn run_parts(&mut self, job: &Job<'_>, places: Vec<(Place, Vec<Run>)>) -> Flow {
        let in_flight_max = self.user.max_in_flight as usize;
        let _in_flight = self.entry.enter(in_flight_max).ok_or_else(|| ClientError::of(Code::UserBusy))?;
        self.forget_lingering();
        self.forget_refusal();
        let done = self.run_all_parts(job, places).await;
        self.entry.finish_running().await;
        done
    }

    async fn run_all_parts(&mut self, job: &Job<'_>, places: Vec<(Place, Vec<Run>)>) -> Flow {
        let runs: usize = places.iter().map(|(_, runs)| runs.len()).sum();
        let in_transactions = job.plan.effects.writes && !job.plan.effects.changes_schema && runs > 1;
        let bytes = |runs: &[Run]| runs.iter().map(|run| run.text.len()).sum();
        let at: Vec<(&Place, usize)> = places.iter().map(|(place, runs)| (place, bytes(runs))).collect();
        let _admitted = Box::pin(self.admit_all(job, &at)).await?;
        let mut parts = Vec::with_capacity(places.len());
        for (place, runs) in places {
            match self.check_out(&place).await {
                Ok(held) => parts.push(Part { held, place, runs }),
                Err(failure) => {
                    self.count_unreachable(job, &place, &failure);
                    parts.into_iter().for_each(|part: Part| part.held.checkout.checkin());
                    return Err(failure);
                }
            }
        }
        let mut sum = Sum::default();
        for at in 0..parts.len() {
            if let Err(failure) = self.run_part(job, &mut parts[at], in_transactions, &mut sum).await {
                for part in parts {
                    // Closing the connection rolls its transaction back.
                    part.held.checkout.discard();
                }
                let partial = at > 0 && !in_transactions && job.plan.effects.writes;
                return Err(if partial { applied_in_part(failure, at) } else { failure });
            }
        }
        // From here on KILL QUERY finds nothing that runs; one that is on its way must hit nobody else's
        // statement, nor a COMMIT.
        let was_killed = self.entry.finish_running().await;
        if was_killed && in_transactions {
            parts.into_iter().for_each(|part| part.held.checkout.discard());
            return Err(ClientError::of(Code::QueryInterrupted).into());
        }
        let drained = parts.iter().find(|part| self.was_drained(&part.held));
        if let Some(cluster) = drained.filter(|_| in_transactions).map(|part| part.place.cluster.clone()) {
            parts.into_iter().for_each(|part| part.held.checkout.discard());
            return Err(transaction_cut(&cluster).into());
        }
        if in_transactions {
            self.commit_parts(&mut parts).await?;
        }
        for part in parts {
            if was_killed { part.held.checkout.discard() } else { part.held.checkout.checkin() }
        }
        self.answer_sum(&sum).await
    }

    async fn run_part(
        &mut self,
        job: &Job<'_>,
        part: &mut Part,
        in_transaction: bool,
        sum: &mut Sum,
    ) -> Flow {
        self.note_running(job, &part.held);
        self.apply_state(&mut part.held, &part.place).await?;
        if in_transaction {
            self.ask(&mut part.held, b"START TRANSACTION").await?;
        }
        if job.plan.effects.writes {
            self.state.note_write(&part.place.cluster);
        }
        let Part { held, place, runs } = part;
        for Run { text, params } in runs {
            let flight = self.begin_flight(job, place, (held.role, Instant::now()));
            let answered = match &job.payload {
                Payload::Execute(execution) => {
                    self.execute_piece(execution, held, place, (text, params)).await
                }
                _ => self.ask(held, text).await,
            };
            let lost = matches!(answered, Err(Failure::Unusable(_) | Failure::End(_)));
            self.land_part(flight, answered.as_ref().err());
            self.seen_at = Instant::now();
            self.observe(job, place, lost);
            let answer = answered.map_err(|failure| without_effect(job, failure))?;
            let end = self.tracker.end();
            // What stored code leaves there stays on one of several connections: the session does not get it.
            held.checkout.note_answer(end, false);
            sum.affected += end.affected_rows;
            if sum.insert_id == 0 {
                sum.insert_id = end.last_insert_id;
            }
            sum.warnings = sum.warnings.saturating_add(end.warnings);
            if end.columns > 0 {
                sum.answers.push(answer);
            }
        }
        Ok(())
    }

    /// Commits every part. Once the first one is committed the others follow whatever happens: neither a
    /// KILL, nor a client that leaves, nor `timeouts.query` may leave half of the rows behind.
    async fn commit_parts(&mut self, parts: &mut [Part]) -> Flow {
        let mut tally = Tally::default();
        for (at, part) in parts.iter_mut().enumerate() {
            let flight = self.begin_commit(&part.place);
            let committed = commit(&mut part.held, &mut self.tracker).await;
            if let Some(flight) = flight.filter(|_| !matches!(committed, Err(Uncommitted::Unsent(_)))) {
                self.land_as(flight, self.ended(committed.is_err()));
            }
            match committed {
                Ok(None) => tally.committed += 1,
                // Nobody has anything: the rest is rolled back with its connections.
                Ok(Some(error)) if at == 0 => return Err(error.into()),
                Err(Uncommitted::Unsent(error)) if at == 0 => {
                    let message = format!("nothing was committed: {error} ({})", part.place.cluster);
                    let lost = ClientError::new(Code::ShardConnectionLost, message);
                    return Err(lost.with_outcome(Outcome::NotSent).into());
                }
                Err(Uncommitted::Unsent(error)) => tally.fail(&part.place, &error.to_string(), false),
                Ok(Some(error)) => tally.fail(&part.place, &error.message, false),
                Err(Uncommitted::Unknown(error)) => tally.fail(&part.place, &error.to_string(), true),
            }
        }
        tally.verdict()
    }

    async fn answer_sum(&mut self, sum: &Sum) -> Flow {
        if self.tracker.end().columns > 0 {
            return self.send_concatenated(&sum.answers).await;
        }
        if sum.insert_id != 0 {
            self.state.last.insert_id = sum.insert_id;
            self.state.last.insert_thread = None;
        }
        self.state.last.row_count = sum.affected.try_into().unwrap_or(i64::MAX);
        let ok = OkPacket {
            affected_rows: sum.affected,
            last_insert_id: sum.insert_id,
            warnings: sum.warnings,
            status: self.status(),
            ..OkPacket::default()
        };
        self.client.queue_packet(&ok.payload(self.capabilities));
        Ok(self.client.flush().await?)
    }

    /// Sends several shards' rows as one result set: the first one's columns, everybody's rows, one end.
    async fn send_concatenated(&mut self, answers: &[Collected]) -> Flow {
        let capabilities = self.capabilities;
        let columns = self.tracker.end().columns as usize;
        let head = 1 + columns + usize::from(!capabilities.contains(Capabilities::DEPRECATE_EOF));
        let counts: Vec<usize> = answers.iter().map(|answer| packet::payloads(answer).count()).collect();
        if counts.iter().any(|count| *count <= head) {
            return Err(ClientError::of(Code::ShardProtocol).into());
        }
        for (at, (answer, count)) in answers.iter().zip(counts).enumerate() {
            let skipped = if at == 0 { 0 } else { head };
            for payload in packet::payloads(answer).take(count - 1).skip(skipped) {
                self.client.queue_packet(payload);
                // Rows are not there twice, however slowly the client reads.
                if self.client.queued() > OWN_BYTES {
                    self.client.flush().await?;
                }
            }
        }
        self.client.queue_packet(&result::result_end(capabilities, self.status(), 0));
        Ok(self.client.flush().await?)
    }
}

/// Why there is no word of a COMMIT.
enum Uncommitted {
    /// The server never had the whole of it, and rolls the part back.
    Unsent(FrameError),
    /// It may have it.
    Unknown(RelayError),
}

/// Commits one part; gives the server's error, if it refused.
async fn commit(held: &mut Held, tracker: &mut ResponseTracker) -> Result<Option<ClientError>, Uncommitted> {
    let connection = &mut *held.checkout;
    if !connection.framed.is_quiet() {
        // The server has closed it already, or is saying why it does.
        return Err(Uncommitted::Unsent(FrameError::Closed { mid_packet: false }));
    }
    // The session's `completion_type` is not for the parts.
    let text = b"COMMIT AND NO CHAIN NO RELEASE";
    connection.queue_command(&command::query_payload(text, &[], connection.capabilities()));
    tracker.start(CommandKind::Query, connection.capabilities());
    tracker.expect_sequence(connection.framed.sequence());
    let until = Instant::now() + COMMIT_WAIT;
    let mut stop = pin!(stop_at(until));
    let written = tokio::select! {
        biased;
        flushed = connection.framed.flush() => flushed.map_err(Uncommitted::Unsent),
        why = stop.as_mut() => Err(Uncommitted::Unknown(RelayError::Stopped(why))),
    };
    written?;
    execute::collect(connection, tracker, None, stop).await.map_err(Uncommitted::Unknown)?;
    Ok(tracker.end().error.as_ref().map(refused_by_server))
}

/// What became of the COMMITs.
#[derive(Debug, Default)]
struct Tally {
    committed: usize,
    rolled_back: Vec<String>,
    unknown: Vec<String>,
}

impl Tally {
    fn fail(&mut self, place: &Place, why: &str, is_unknown: bool) {
        let cluster = &place.cluster;
        tracing::error!(%cluster, why, is_unknown, "a part of a split statement was not committed");
        let failed = if is_unknown { &mut self.unknown } else { &mut self.rolled_back };
        failed.push(format!("{cluster}: {why}"));
    }

    /// Success, or what the client is to be told.
    fn verdict(&self) -> Flow {
        if self.rolled_back.is_empty() && self.unknown.is_empty() {
            return Ok(());
        }
        let mut message = format!("committed on {} shard(s)", self.committed);
        for (what, places) in [("rolled back", &self.rolled_back), ("unknown", &self.unknown)] {
            if !places.is_empty() {
                message.push_str(&format!("; {what} on {}", places.join(", ")));
            }
        }
        Err(ClientError::new(Code::ShardConnectionLost, message).with_outcome(Outcome::Unknown).into())
    }
}

/// A read that was given up for want of memory came to nothing.
fn without_effect(job: &Job<'_>, failure: Failure) -> Failure {
    match failure {
        Failure::Unusable(error) if error.code == Code::ShardMemoryFull && job.plan.reads_only => {
            Failure::Unusable(error.with_outcome(Outcome::Refused))
        }
        other => other,
    }
}

fn applied_in_part(failure: Failure, applied: usize) -> Failure {
    match failure {
        Failure::Refused(error) | Failure::Retry(error) | Failure::Unusable(error) => {
            let mut error = error.with_outcome(Outcome::Unknown);
            error.message = format!("{} (applied on {applied} shard(s) before)", error.message).into();
            Failure::Refused(error)
        }
        ended => ended,
    }
}
