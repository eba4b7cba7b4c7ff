//! One job on one server: lend a connection, send, settle what the answer says about the session.

use std::time::{Duration, Instant};

use crate::admission::Admitted;
use crate::backend::{ApplyError, Behind, Wanted};
use crate::error::{ClientError, Code, Outcome};
use crate::execute::{RelayError, Stop};
use crate::health;
use crate::ids::{ClusterName, Role};
use crate::memory::OWN_BYTES;
use crate::plan::{Pins, Route, TransactionEffect};
use crate::protocol::capability::{CLASS_MASK, StatusFlags};
use crate::protocol::command;
use crate::protocol::errors::ProtocolError;
use crate::protocol::response::{CommandKind, ResponseEnd};
use crate::sql::{self, StatementKind};

use crate::session::Session;
use crate::session::admit::transaction_cut;
use crate::session::flow::{Ended, Failure, Flow};
use crate::session::registry::Interrupt;
use crate::session::run::exchange::{read_ping, refused_by_server};
use crate::session::run::job::{Job, Payload};
use crate::session::run::place::Place;
use crate::session::run::previous::may_ask_previous;
use crate::session::state::{Held, Last, Transaction};

impl Session {
    /// Runs one job at one place and answers the client.
    pub(in crate::session) async fn run_job(&mut self, job: &Job<'_>, place: Place) -> Flow {
        let in_flight_max = self.user.max_in_flight as usize;
        let _in_flight = self.entry.enter(in_flight_max).ok_or_else(|| ClientError::of(Code::UserBusy))?;
        if self.is_unsure() && self.is_held_elsewhere(&place.cluster) {
            Box::pin(self.learn_transaction()).await;
        }
        self.check_xa(job)?;
        let place = self.resume_lingering(job, place);
        // What few statements need is kept out of every session's memory.
        if may_ask_previous(job) && Box::pin(self.answer_previous(job, place.database.is_none())).await? {
            // They may be asked for again.
            let kept = self.kept_warnings.take();
            self.release_if_free();
            self.kept_warnings = kept;
            return Ok(());
        }
        let values = self.session_values(job, &place);
        let edited = values.put_into(job.server_text(), self.state.mode);
        let (held, admitted) = self.connect(job, &place).await?;
        match edited.as_deref().and_then(|text| job.with_text(text)) {
            Some(job) => self.run_on(&job, &place, held, admitted).await,
            None => self.run_on(job, &place, held, admitted).await,
        }
    }

    /// Admits a job and takes the connection for it.
    async fn connect(&mut self, job: &Job<'_>, place: &Place) -> Flow<(Held, Option<Admitted>)> {
        let admitted = self.admit(job, place).await?;
        let has_connection = self.state.held.is_some();
        let held = match self.take_connection(place, admitted.as_ref()).await {
            Ok(held) if held.role == Role::Replica => Box::pin(self.with_own_writes(place, held)).await?,
            Ok(held) => held,
            Err(failure) => {
                self.count_unreachable(job, place, &failure);
                return Err(failure);
            }
        };
        // Gates may have changed while the pool had no connection.
        let is_stale = !has_connection && admitted.as_ref().is_some_and(Admitted::is_stale);
        if is_stale && !matches!(job.payload, Payload::Raw(_)) {
            self.carried = admitted.and_then(|mut admitted| admitted.take_memory());
            held.checkout.checkin();
            return Err(Failure::Anew(None));
        }
        Ok((held, admitted))
    }

    /// The connection for a place: the one that transaction or pins hold, or one lent by the pool.
    ///
    /// # Errors
    /// The transaction was lost; it runs elsewhere; no connection could be had.
    pub(in crate::session) async fn take_connection(
        &mut self,
        place: &Place,
        admitted: Option<&Admitted>,
    ) -> Flow<Held> {
        if let Transaction::Lost { code } = self.state.transaction {
            return Err(ClientError::of(code).into());
        }
        if let Some(held) = self.state.held.take() {
            if held.cluster == place.cluster {
                return Ok(held);
            }
            self.state.held = Some(held);
            return Err(self.held_elsewhere().into());
        }
        match admitted {
            Some(admitted) => self.lend(place, admitted.drains()).await,
            None => self.check_out(place).await,
        }
    }

    /// Says whether the session holds a connection to another cluster.
    pub(in crate::session) fn is_held_elsewhere(&self, cluster: &ClusterName) -> bool {
        self.state.held.as_ref().is_some_and(|held| held.cluster != *cluster)
    }

    /// Says why a statement cannot leave the connection that the session holds.
    pub(in crate::session) fn held_elsewhere(&self) -> ClientError {
        let in_transaction = self.state.transaction.is_open();
        ClientError::of(if in_transaction { Code::TransactionElsewhere } else { Code::PinnedElsewhere })
    }

    /// A connection of the pool.
    pub(in crate::session) async fn check_out(&mut self, place: &Place) -> Flow<Held> {
        let drains = self.entrance.of(&self.services.admissions, &place.cluster).drains();
        self.lend(place, drains).await
    }

    /// As [`Self::check_out`]; the cluster has been drained so many times.
    async fn lend(&mut self, place: &Place, drains: u64) -> Flow<Held> {
        let wanted = Wanted {
            class: self.capabilities.masked(CLASS_MASK),
            settings: &self.state.settings,
            database: place.database.as_ref(),
            worker: self.worker,
            within: self.serving.config.timeouts.pool_wait,
        };
        let mut waiting = self.entry.waiting();
        let lent = tokio::select! {
            biased;
            lent = self.services.pools.checkout(&place.cluster, place.role, &wanted) => lent,
            error = self.client.watch_close() => return Err(error.into()),
            stopped = waiting.stopped() => return Err(stopped.into()),
        };
        match lent {
            Ok(checkout) => {
                let (cluster, role, workspace) = (place.cluster.clone(), place.role, place.permit_key());
                Ok(Held { checkout, cluster, role, drains, workspace, seat: None })
            }
            Err(error) => Err(Failure::Refused(error.into())),
        }
    }

    async fn run_on(
        &mut self,
        job: &Job<'_>,
        place: &Place,
        mut held: Held,
        admitted: Option<Admitted>,
    ) -> Flow {
        let now = Instant::now();
        let flight = self.begin_flight(job, place, (held.role, now));
        let queued = self.queue(job, place, &mut held).await;
        let state_answers = match queued {
            Ok(count) => count,
            Err(failure) => {
                self.put_back(held, &failure);
                return Err(failure);
            }
        };
        let is_pinged = self.queue_ping(job, &mut held);
        self.note_running(job, &held);
        // A COMMIT that is killed leaves nobody knowing what became of it.
        let is_end =
            matches!(job.plan.effects.transaction, TransactionEffect::Commit | TransactionEffect::Rollback);
        let deadline = if is_end { None } else { self.statement_deadline(now) };
        let relayed = self.relay(&mut held, state_answers, deadline).await;
        self.land(flight, admitted, &relayed);
        self.was_killed |= self.entry.finish_running().await;
        self.observe(job, place, relayed.is_err());
        match relayed {
            Ok(()) => {
                if let Err(failure) = self.ask_behind(job, &mut held, is_pinged).await {
                    tracing::warn!(cluster = %held.cluster, ?failure, "connection lost behind an answer");
                    self.lose(held);
                    return Ok(());
                }
                self.settle(job, held);
                self.settle_locks(job).await;
                // The server rolled the statement back; its own word for that names no reason.
                self.tell_cut_short()
            }
            Err(error) => Err(Box::pin(self.broken(job, held, error)).await),
        }
    }

    /// Shows what runs, and lets KILL QUERY reach it.
    pub(in crate::session) fn note_running(&self, job: &Job<'_>, held: &Held) {
        self.entry.update(|activity| {
            activity.digest = job.plan.digest;
            activity.running = Some(held.checkout.killer());
        });
    }

    /// Brings the connection to the session's state and queues the command; gives the number of answers that
    /// come before the command's own.
    async fn queue(&mut self, job: &Job<'_>, place: &Place, held: &mut Held) -> Flow<u32> {
        if let Payload::Execute(execution) = &job.payload {
            self.begin_waiting(held, place).await?;
            self.restore_insert_id(job, held).await?;
            let answers = self.queue_execution(execution, held, place).await?;
            self.tracker.start(job.kind, held.checkout.capabilities());
            return Ok(answers);
        }
        self.begin_waiting(held, place).await?;
        self.restore_insert_id(job, held).await?;
        let behind = if job.plan.reads_only { Behind::Reads } else { Behind::Any };
        let answers = self.apply(held, place, behind).await?;
        let connection = &mut *held.checkout;
        match &job.payload {
            Payload::Text { attributes, text } => {
                self.outgoing.clear();
                command::put_query(&mut self.outgoing, text, attributes, connection.capabilities());
                connection.queue_command(&self.outgoing);
                self.give_back_outgoing();
            }
            Payload::Raw(payload) => connection.queue_command(payload),
            Payload::Execute(_) => {}
        }
        self.tracker.start(job.kind, connection.capabilities());
        Ok(answers)
    }

    /// Gives the memory of a large command back: it is queued, and the session's own copy is enough.
    pub(in crate::session) fn give_back_outgoing(&mut self) {
        if self.outgoing.capacity() > OWN_BYTES {
            self.outgoing = Vec::new();
        }
    }

    /// Queues a COM_PING behind a query whose rows end in a packet that does not tell of changed state, where
    /// the connection goes back to its pool afterwards: one write, and no wait for the client.
    fn queue_ping(&self, job: &Job<'_>, held: &mut Held) -> bool {
        let is_read = job.plan.kind == StatementKind::Select && !matches!(job.payload, Payload::Raw(_));
        let is_pinged = held.checkout.hides_changes()
            && is_read
            && self.state.is_outside_transaction()
            && self.state.is_free()
            // The numbers of the answer to a command of several packets follow from it.
            && held.checkout.framed.sequence() == 1;
        if is_pinged {
            held.checkout.queue_ping();
        }
        is_pinged
    }

    /// Reads what was asked behind the statement, and asks what only its connection knows.
    async fn ask_behind(&mut self, job: &Job<'_>, held: &mut Held, is_pinged: bool) -> Flow {
        if is_pinged {
            let told = read_ping(held).await.map_err(|error| {
                let message = format!("{}: {error}", Code::ShardConnectionLost.sentence());
                Failure::Unusable(ClientError::new(Code::ShardConnectionLost, message))
            })?;
            self.tracker.add_told(&told);
        }
        self.learn_insert_id(job, held).await
    }

    async fn apply(&mut self, held: &mut Held, place: &Place, behind: Behind) -> Flow<u32> {
        let connection = &mut *held.checkout;
        connection.apply(&self.state.settings, place.database.as_ref(), behind).await.map_err(apply_failed)
    }

    /// As [`Self::apply`], for a statement that the connection has prepared.
    pub(in crate::session) async fn apply_for_prepared(
        &mut self,
        held: &mut Held,
        place: &Place,
    ) -> Flow<u32> {
        let connection = &mut *held.checkout;
        let database = place.database.as_ref();
        connection.apply_for_prepared(&self.state.settings, database).await.map_err(apply_failed)
    }

    /// Brings the connection to the session's state and waits for the server's word that it is there.
    pub(in crate::session) async fn apply_state(&mut self, held: &mut Held, place: &Place) -> Flow {
        let answers = self.apply(held, place, Behind::Any).await?;
        for _ in 0..answers {
            self.collect(held, CommandKind::Simple).await?;
            if let Some(error) = &self.tracker.end().error {
                let refused = ClientError::from_server(error.errno, error.sqlstate, &error.message);
                return Err(Failure::Unusable(refused));
            }
        }
        Ok(())
    }

    /// Runs the statements that waited for a shard: SET TRANSACTION and a deferred BEGIN. They are waited
    /// for, so that nothing runs outside the transaction that it was meant for.
    pub(in crate::session) async fn begin_waiting(&mut self, held: &mut Held, place: &Place) -> Flow {
        let is_waiting = matches!(self.state.transaction, Transaction::Deferred(_));
        if !place.begins || (self.state.next_transaction.is_empty() && !is_waiting) {
            return Ok(());
        }
        self.apply_state(held, place).await?;
        let mut waiting = std::mem::take(&mut self.state.next_transaction);
        match std::mem::take(&mut self.state.transaction) {
            Transaction::Deferred(deferred) => {
                waiting.extend(deferred.statements());
                let since = Instant::now();
                self.state.transaction = Transaction::Open { since, is_unseen: true, is_unsure: false };
            }
            other => self.state.transaction = other,
        }
        for statement in waiting {
            if let Err(failure) = self.ask(held, &statement).await {
                // What part of it the server has is not known: the connection goes, and the transaction.
                self.state.transaction = Transaction::Idle;
                return Err(match failure {
                    Failure::Refused(error) => Failure::Unusable(error),
                    other => other,
                });
            }
        }
        Ok(())
    }

    /// Takes over what a complete answer says about the session, and gives the connection back if it may go.
    pub(in crate::session) fn settle(&mut self, job: &Job<'_>, mut held: Held) {
        let end = self.tracker.end();
        let failed = end.error.is_some();
        self.answer_failed = failed;
        self.settle_transaction(job, failed);
        let end = self.tracker.end();
        let opens_cursor = !failed
            && job.kind == CommandKind::Execute
            && end.status.contains(StatusFlags::CURSOR_EXISTS)
            && !end.status.contains(StatusFlags::LAST_ROW_SENT);
        if opens_cursor {
            self.state.cursors += 1;
        }
        // Diagnostic statements leave what they tell of as it is.
        let is_diagnostic = job.plan.kind == StatementKind::Show && job.plan.effects.asks_previous && !failed;
        if !is_diagnostic {
            self.refusal = None;
            remember(&mut self.state.last, end, failed, held.checkout.thread_id());
        }
        let lingers = failed || end.warnings > 0 || is_diagnostic;
        if !failed {
            self.take_effects(job);
            self.note_xa(job);
            self.note_temporary_tables(job, held.checkout.database().map(|name| &**name));
        }
        self.note_left_behind(job, &mut held);
        // The server closes it behind its answer (`RELEASE`).
        let is_closed = std::mem::take(&mut self.is_releasing) && !failed;
        // A late KILL QUERY hits the next statement: that of this session, if it keeps the connection, of
        // nobody else.
        if (std::mem::take(&mut self.was_killed) && self.state.is_free()) || is_closed {
            return held.checkout.discard();
        }
        self.keep_or_release(held, lingers);
    }

    /// Takes over whether a transaction is open.
    fn settle_transaction(&mut self, job: &Job<'_>, failed: bool) {
        let end = self.tracker.end();
        let flagged = !failed && end.status.contains(StatusFlags::IN_TRANSACTION);
        // An ERR packet carries no status: what was open may still be.
        let may_be_open = failed && (self.state.transaction.is_open() || !self.state.autocommit);
        let keeps_savepoint = !failed && self.keeps_savepoint(job);
        self.state.transaction = match std::mem::take(&mut self.state.transaction) {
            Transaction::Open { since, is_unseen, .. } if flagged || may_be_open || keeps_savepoint => {
                Transaction::Open { since, is_unseen: is_unseen && !flagged, is_unsure: failed }
            }
            // The statement ran beside a transaction that no server has seen yet.
            waiting @ Transaction::Deferred(_) if !flagged => waiting,
            _ if flagged || may_be_open || keeps_savepoint => {
                let is_unseen = !flagged && !may_be_open;
                Transaction::Open { since: Instant::now(), is_unseen, is_unsure: failed }
            }
            _ => Transaction::Idle,
        };
    }

    /// Tells connection and session what the statement left behind.
    fn note_left_behind(&mut self, job: &Job<'_>, held: &mut Held) {
        let has_changed = held.checkout.note_answer(self.tracker.end(), accounts_for_state(job));
        if has_changed && !job.plan.effects.leaves_state {
            // A trigger or a view set it, as part of what the session wrote or read: it may ask for it. What
            // a routine leaves that was called by name is given up, as scratch.
            self.state.pins = self.state.pins.with(Pins::USER_VARIABLE);
        }
        if job.plan.effects.leaves_state {
            held.checkout.mark_dirty();
            held.checkout.note_database(None);
        }
        if matches!(job.plan.kind, StatementKind::Create | StatementKind::Alter) {
            held.checkout.expect_functions();
        }
        if job.plan.effects.writes {
            self.state.note_write(&held.cluster);
        }
    }

    /// Says whether a savepoint is all there is of the transaction: without autocommit it is set before any
    /// table is touched, and the server's status does not tell of it (seen on MySQL 9.7 and MariaDB 10.11).
    fn keeps_savepoint(&self, job: &Job<'_>) -> bool {
        let effects = &job.plan.effects;
        let ends = effects.implicit_commit
            || matches!(effects.transaction, TransactionEffect::Commit | TransactionEffect::Rollback);
        let is_unseen = matches!(self.state.transaction, Transaction::Open { is_unseen: true, .. });
        let sets = effects.transaction == TransactionEffect::Savepoint;
        !self.state.autocommit && !ends && (is_unseen || sets)
    }

    fn take_effects(&mut self, job: &Job<'_>) {
        let effects = &job.plan.effects;
        let state = &mut self.state;
        // What SET came to was read back: the values go along to any connection.
        if job.plan.kind != StatementKind::Set {
            state.pins = state.pins.with(effects.pins);
        }
        // What becomes of user locks is settled once the answer is through.
        let mut released = effects.releases.without(Pins::USER_LOCK.with(Pins::TEMPORARY_TABLE));
        if state.pins.contains(Pins::FOUND_ROWS) && !effects.pins.contains(Pins::FOUND_ROWS) {
            released = released.with(Pins::FOUND_ROWS);
        }
        state.pins = state.pins.without(released);
    }

    /// Says what a broken answer means to the client.
    async fn broken(&mut self, job: &Job<'_>, held: Held, error: RelayError) -> Failure {
        let in_transaction = self.state.transaction.is_open();
        let has_begun = self.tracker.has_begun();
        match error {
            RelayError::Client(source) => {
                // The client is gone in mid-statement: the statement is killed, the connection not used
                // again.
                if let Err(error) = held.checkout.killer().kill_query().await {
                    tracing::warn!(cluster = %held.cluster, %error, "statement not killed, its client left");
                }
                drop(held);
                return Failure::End(Ended::Client(source));
            }
            RelayError::State(error) => {
                self.lose(held);
                return Failure::Refused(refused_by_server(&error));
            }
            _ => {
                let server = held.checkout.server();
                tracing::warn!(cluster = %held.cluster, %server, %error, "answer broke off")
            }
        }
        let cluster = held.cluster.clone();
        let is_cut = in_transaction && !ends_transaction(job) && self.was_drained(&held);
        self.lose(held);
        if let RelayError::Stopped(Stop::Killed) = error {
            let is_told = self.entry.interrupt() == Some(Interrupt::Stop) && !has_begun;
            return Failure::End(if is_told { Ended::Shutdown } else { Ended::Killed });
        }
        if has_begun {
            return Failure::End(Ended::BrokenAnswer);
        }
        let code = match error {
            RelayError::Stopped(_) => Code::QueryTimeout,
            _ if is_cut => {
                self.state.transaction = Transaction::Lost { code: Code::TransactionCut };
                return Failure::Refused(transaction_cut(&cluster));
            }
            RelayError::Protocol(ProtocolError::Farewell) if in_transaction => Code::TransactionLost,
            RelayError::Protocol(ProtocolError::Farewell) => Code::ShardConnectionLost,
            RelayError::Protocol(_) => Code::ShardProtocol,
            _ if in_transaction => Code::TransactionLost,
            _ => Code::ShardConnectionLost,
        };
        let changes = job.plan.effects.writes || ends_transaction(job);
        let outcome = if changes { Outcome::Unknown } else { Outcome::Refused };
        let refused =
            ClientError::new(code, format!("{} ({cluster})", code.sentence())).with_outcome(outcome);
        let effects = &job.plan.effects;
        let only_reads = job.plan.reads_only && !effects.locks_rows && effects.pins.is_empty();
        let repeats = only_reads && !in_transaction && code == Code::ShardConnectionLost;
        if repeats { Failure::Retry(refused) } else { Failure::Refused(refused) }
    }

    /// What becomes of a connection on which a job could not be queued.
    pub(in crate::session) fn put_back(&mut self, held: Held, failure: &Failure) {
        match failure {
            Failure::Refused(_) | Failure::Anew(_) | Failure::TableBusy => self.keep_or_release(held, false),
            // After a broken or late SET it may still owe an answer.
            Failure::Retry(_) | Failure::Unusable(_) | Failure::End(_) => self.lose(held),
        }
    }

    /// A connection is gone, and with it what it held.
    pub(in crate::session) fn lose(&mut self, held: Held) {
        held.checkout.discard();
        if self.state.transaction.is_open() {
            self.state.transaction = Transaction::Lost { code: Code::TransactionLost };
        } else if self.state.is_pinned() {
            self.state.transaction = Transaction::Lost { code: Code::PinsLost };
        }
        self.unpin();
    }

    /// Forgets what tied the session to its connection: the connection is gone.
    pub(in crate::session) fn unpin(&mut self) {
        if self.state.cursors > 0 {
            self.prepared.lose_cursors();
        }
        self.state.unpin();
    }

    fn record(&self, job: &Job<'_>, place: &Place, took: Duration, lost: bool) {
        let (Some(shard), end) = (&place.shard, self.tracker.end()) else { return };
        let outcome = health::Outcome {
            shard,
            role: place.role,
            digest: job.plan.digest,
            is_write: job.plan.effects.writes,
            latency: took,
            ended: self.ended(lost),
            rows: end.rows.max(end.affected_rows),
            bytes: end.bytes,
        };
        let text =
            || job.scan.map(|scan| sql::normalize(job.text, self.state.mode, scan)).unwrap_or_default();
        self.services.health.record(&outcome, text);
    }

    /// Feeds digests and shard statistics with a statement that ended when the session looked at the clock
    /// last, and logs slow statements.
    pub(in crate::session) fn observe(&self, job: &Job<'_>, place: &Place, lost: bool) {
        let took = self.seen_at.saturating_duration_since(job.started);
        self.record(job, place, took, lost);
        let slow = self.serving.config.log.slow_statement;
        if !slow.is_zero() && took >= slow {
            let text =
                job.scan.map(|scan| sql::normalize(job.text, self.state.mode, scan)).unwrap_or_default();
            tracing::warn!(
                target: "bulkhead::slow",
                session = self.admission.id.0,
                user = %self.user.name,
                cluster = %place.cluster,
                shard = place.shard.as_ref().map_or("", |shard| shard.name.as_str()),
                digest = format!("{:016x}", job.plan.digest),
                ms = took.as_millis() as u64,
                rows = self.tracker.end().rows,
                statement = text,
                "slow statement"
            );
        }
    }
}

fn ends_transaction(job: &Job<'_>) -> bool {
    job.plan.effects.transaction == TransactionEffect::Commit || job.plan.effects.implicit_commit
}

/// Says whether the session knows what state the statement changes: a SET's values go along, temporary tables
/// and the statements of text PREPARE are counted.
fn accounts_for_state(job: &Job<'_>) -> bool {
    let is_execution = matches!(job.payload, Payload::Execute(_));
    job.plan.effects.pins.contains(Pins::TEMPORARY_TABLE)
        // Without a database of its own it runs in the one it was prepared in, and the server tells of the
        // way there and back; it touches no table.
        || (is_execution && matches!(job.plan.route, Route::Any))
        || matches!(
            job.plan.kind,
            StatementKind::Set | StatementKind::Drop | StatementKind::Prepare | StatementKind::Deallocate
        )
}

fn apply_failed(error: ApplyError) -> Failure {
    match error {
        ApplyError::Refused(refusal) => {
            Failure::Unusable(ClientError::from_server(refusal.errno, refusal.sqlstate, &refusal.message))
        }
        ApplyError::Broken(_) | ApplyError::Timeout | ApplyError::Mode(_) => Failure::Retry(
            ClientError::new(Code::ShardConnectionLost, error.to_string()).with_outcome(Outcome::NotSent),
        ),
    }
}

fn remember(last: &mut Last, end: &ResponseEnd, failed: bool, thread: u32) {
    last.warnings = end.warnings;
    last.failed = failed;
    last.found_rows = end.rows;
    let has_rows = end.columns > 0;
    last.row_count = if failed || has_rows { -1 } else { end.affected_rows.try_into().unwrap_or(i64::MAX) };
    if !failed && end.last_insert_id != 0 {
        last.insert_id = end.last_insert_id;
        last.insert_thread = Some(thread);
    }
}
