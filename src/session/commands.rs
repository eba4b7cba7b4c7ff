//! The command loop: one command packet in, one answer out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::time::timeout;

use crate::admission::NearAdmission;
use crate::backend::SessionSettings;
use crate::config::User;
use crate::error::{ClientError, Code};
use crate::health::NearMeter;
use crate::ids::WorkerId;
use crate::protocol::auth::AuthRequest;
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::command::Command;
use crate::protocol::errors::FrameError;
use crate::protocol::handshake::ChangeUser;
use crate::protocol::response::ResponseTracker;
use crate::protocol::result::{self, OkPacket};
use crate::sql::Scan;
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::admit::held_too_often;
use crate::session::alarm::Alarm;
use crate::session::flow::{Ended, Failure, Flow};
use crate::session::login::{self, LoggedIn, LoginError};
use crate::session::prepared::PreparedStatements;
use crate::session::registry::{Admission, Interrupt, SessionEntry};
use crate::session::services::{Services, Serving};
use crate::session::state::State;
use crate::session::target::resolve_target;

/// A command buffer larger than this is given back after its command, in bytes.
const COMMAND_KEEP_BYTES: usize = 8 * 1024;
/// How long the rest of a packet that is too large is read, and how much of it, until its sender is told.
const SKIP_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
const SKIP_BYTES_MAX: usize = 1 << 30;
/// The shortest `wait_timeout`.
const SHORTEST_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// What a waiting session does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The connection kept for questions goes back.
    Linger,
    /// `timeouts.transaction` is over.
    Transaction,
    /// The session ends.
    Idle,
}

impl Session {
    /// A session for a client that has been welcomed.
    pub(super) fn new(
        services: Arc<Services>,
        serving: Arc<Serving>,
        logged_in: LoggedIn,
        (admission, worker): (Admission, WorkerId),
        (state, entry): (State, Arc<SessionEntry>),
    ) -> Self {
        Self {
            services,
            serving,
            client: logged_in.client,
            capabilities: logged_in.capabilities,
            user: logged_in.user,
            host: logged_in.host,
            nonce: logged_in.nonce,
            admission,
            worker,
            entry,
            meter: NearMeter::default(),
            entrance: NearAdmission::default(),
            asks_anew: false,
            carried: None,
            waits: None,
            state,
            alarm: Alarm::default(),
            seen_at: Instant::now(),
            started: Instant::now(),
            prepared: PreparedStatements::default(),
            scan: Scan::default(),
            tracker: ResponseTracker::new(),
            command: Vec::new(),
            outgoing: Vec::new(),
            more_results: false,
            answer_failed: false,
            was_killed: false,
            is_releasing: false,
            refusal: None,
            cut_short: None,
            last_executed: 0,
            lingering: None,
            kept_warnings: None,
        }
    }

    /// Serves commands until the session ends.
    pub(super) async fn run(&mut self) {
        let ended = loop {
            if let Err(ended) = self.serve_command().await {
                break ended;
            }
        };
        tracing::debug!(session = self.admission.id.0, user = %self.user.name, ?ended, "session ended");
        Box::pin(self.end(ended)).await;
    }

    async fn serve_command(&mut self) -> Result<(), Ended> {
        self.read_command().await?;
        self.started = Instant::now();
        self.seen_at = self.started;
        self.entry.statements.fetch_add(1, Ordering::Relaxed);
        self.entry.update(|activity| {
            activity.command = "Query";
            activity.since = self.started;
        });
        let result = self.dispatch().await;
        if self.command.capacity() > COMMAND_KEEP_BYTES {
            self.command = Vec::new();
        }
        self.more_results = false;
        self.asks_anew = false;
        self.carried = None;
        match result {
            Ok(()) => {}
            Err(Failure::Refused(error) | Failure::Retry(error) | Failure::Unusable(error)) => {
                self.note_refusal(&error);
                self.send_error(&error).await?
            }
            // Who can be planned again was: this one gave up.
            Err(Failure::TableBusy) => {
                self.send_error(&ClientError::of(Code::DdlTableBusy)).await?;
            }
            Err(Failure::Anew(held)) => self.send_error(&held_too_often(held.as_deref())).await?,
            Err(Failure::End(ended)) => return Err(ended),
        }
        let in_transaction = self.state.transaction.is_open();
        self.entry.update(|activity| {
            activity.command = "Sleep";
            activity.since = self.seen_at;
            activity.in_transaction = in_transaction;
        });
        Ok(())
    }

    /// Waits for the next command; leaves its payload in `self.command`.
    async fn read_command(&mut self) -> Result<(), Ended> {
        self.client.reset_sequence();
        loop {
            let due = self.next_due();
            let is_free = self.state.is_free();
            // A stop ends a free session even if its next command is there already.
            if let Some(interrupt) = self.entry.due_interrupt(is_free) {
                return Err(ended_by(interrupt));
            }
            tokio::select! {
                biased;
                packet = self.client.read_packet() => {
                    let packet = packet.map_err(ended_by_frame)?;
                    self.command.clear();
                    self.command.extend_from_slice(packet);
                    self.client.release_packet();
                    // Who was killed runs nothing more, even if both came at once.
                    return self.entry.due_interrupt(false).map_or(Ok(()), |why| Err(ended_by(why)));
                }
                interrupt = self.entry.interrupted_at(is_free) => return Err(ended_by(interrupt)),
                () = self.alarm.ring(due.map(|(at, _)| at)) => {}
            }
            match due {
                Some((_, Due::Linger)) => Box::pin(self.end_linger()).await,
                Some((_, Due::Transaction)) => Box::pin(self.end_transaction_late()).await,
                Some((_, Due::Idle)) => return Err(Ended::Idle),
                None => {}
            }
        }
    }

    /// What happens next if the client says nothing.
    fn next_due(&self) -> Option<(Instant, Due)> {
        let idle = self.idle_max();
        let idle_ends = (!idle.is_zero()).then(|| (self.seen_at + idle, Due::Idle));
        let lingers = self.linger_deadline().map(|at| (at, Due::Linger));
        let transaction_ends = self.transaction_deadline().map(|at| (at, Due::Transaction));
        [lingers, transaction_ends, idle_ends].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// `timeouts.idle`, or the session's own `wait_timeout` where that is shorter; zero for no bound.
    fn idle_max(&self) -> std::time::Duration {
        let configured = self.serving.config.timeouts.idle;
        match self.state.wait_timeout {
            // A server takes 0 for 1.
            Some(own) if configured.is_zero() || own < configured => own.max(SHORTEST_WAIT),
            _ => configured,
        }
    }

    async fn dispatch(&mut self) -> Flow {
        let command = std::mem::take(&mut self.command);
        let parsed = Command::parse(&command, self.capabilities);
        let result = match parsed {
            Ok(Command::Query(query)) => {
                let (attributes, text) = (1..1 + query.attributes.len(), query.sql_at);
                self.command = command;
                return self.query(attributes, text).await;
            }
            Ok(parsed) => self.run_command(parsed, &command).await,
            Err(error) => Err(ClientError::new(Code::MalformedPacket, error.to_string()).into()),
        };
        self.command = command;
        result
    }

    async fn run_command(&mut self, parsed: Command<'_>, payload: &[u8]) -> Flow {
        match parsed {
            Command::Query(_) => Err(ClientError::of(Code::Internal).into()),
            Command::Quit => Err(Ended::Quit.into()),
            Command::Ping | Command::Debug => self.send_ok().await,
            Command::InitDb(database) => {
                let database = text_of(database)?;
                self.use_database(&database)?;
                self.send_ok().await
            }
            Command::FieldList { .. } => Box::pin(self.field_list(payload)).await,
            Command::Statistics => Box::pin(self.statistics()).await,
            Command::ProcessInfo => Box::pin(self.process_list(None)).await,
            Command::ProcessKill(id) => {
                Box::pin(self.kill(u64::from(id), false)).await?;
                self.send_ok().await
            }
            Command::SetOption { multi_statements } => {
                if multi_statements {
                    self.capabilities.insert(Capabilities::MULTI_STATEMENTS);
                } else {
                    self.capabilities.remove(Capabilities::MULTI_STATEMENTS);
                }
                self.send_eof().await
            }
            Command::ResetConnection => {
                Box::pin(self.reset(None)).await;
                self.send_ok().await
            }
            Command::ChangeUser(_) => Box::pin(self.change_user(payload)).await,
            Command::StmtPrepare(sql) => Box::pin(self.prepare(sql)).await,
            Command::StmtExecute(execute) => self.execute(execute).await,
            Command::StmtSendLongData { statement_id, parameter, data } => {
                self.prepared.add_long_data(
                    statement_id,
                    parameter,
                    data,
                    self.serving.config.listen.max_allowed_packet,
                );
                Ok(())
            }
            Command::StmtReset { statement_id } => Box::pin(self.reset_statement(statement_id)).await,
            Command::StmtClose { statement_id } => Box::pin(self.close_statement(statement_id)).await,
            Command::StmtFetch { statement_id, .. } => Box::pin(self.fetch(statement_id, payload)).await,
            Command::Unknown(_) => Err(ClientError::of(Code::UnknownCommand).into()),
        }
    }

    /// USE and COM_INIT_DB.
    pub(super) fn use_database(&mut self, name: &str) -> Result<(), ClientError> {
        let snapshot = self.snapshot();
        self.state.target = resolve_target(&snapshot, &self.user, name)?;
        let name = self.state.target.name.clone();
        self.entry.update(|activity| activity.database = name);
        Ok(())
    }

    /// Sets the session back to what it was after login: RESET CONNECTION, CHANGE USER.
    async fn reset(&mut self, state: Option<State>) {
        self.forget_lingering();
        if let Some(mut held) = self.state.held.take() {
            held.checkout.mark_dirty();
            held.checkout.checkin();
        }
        let target = self.state.target.clone();
        let settings = self.state.initial_settings.clone();
        let server = self.services.server_version();
        let ignores_space = self.state.ignores_space;
        self.state = state.unwrap_or_else(|| State { target, ..State::new(settings, server, ignores_space) });
        self.kept_warnings = None;
        self.refusal = None;
        self.prepared.clear();
    }

    async fn change_user(&mut self, payload: &[u8]) -> Flow {
        let malformed = |_| ClientError::of(Code::MalformedPacket);
        let asked = ChangeUser::parse(payload, self.capabilities).map_err(malformed)?;
        let request = AuthRequest {
            user: asked.user,
            host: self.host.clone(),
            plugin: asked.plugin,
            response: asked.auth_response,
            nonce: self.nonce,
            secure: login::is_private(&self.client),
        };
        let serving = self.services.serving.load_full();
        let proved = tokio::select! {
            proved = login::prove(&mut self.client, &serving, request) => proved,
            () = self.entry.killed() => return Err(Ended::Killed.into()),
            () = sleep_for(serving.config.listen.handshake_timeout) => return Err(Ended::Idle.into()),
        };
        let settings = match asked.collation {
            Some(collation) => login::login_settings(&self.services, collation),
            None => Ok(self.state.initial_settings.clone()),
        };
        let done = match proved {
            Ok(user) => match settings {
                Ok(settings) => self.become_user(user, serving, settings, asked.database.as_deref()).await,
                Err(error) => Err(error),
            },
            Err(LoginError::Refused(error)) => Err(error),
            Err(_) => return Err(Ended::Quit.into()),
        };
        match done {
            Ok(()) => self.send_ok().await,
            // As a server does: who fails to change is nobody.
            Err(error) => {
                self.send_error(&error).await?;
                Err(Ended::Quit.into())
            }
        }
    }

    async fn become_user(
        &mut self,
        user: Arc<User>,
        serving: Arc<Serving>,
        settings: Arc<SessionSettings>,
        database: Option<&str>,
    ) -> Result<(), ClientError> {
        let user_max = login::user_connections_max(&user, &serving);
        self.entry = self.admission.enter(&user.name, user_max, self.host.clone())?;
        self.user = user;
        self.serving = serving;
        let server = self.services.server_version();
        self.reset(Some(State::new(settings, server, self.state.ignores_space))).await;
        database.map_or(Ok(()), |database| self.use_database(database))
    }

    /// Ends the session: what is held is given up, the client is told if it can be.
    async fn end(&mut self, ended: Ended) {
        let last_word = match ended {
            Ended::Shutdown => Some(ClientError::of(Code::ServerShutdown)),
            Ended::Idle => Some(ClientError::of(Code::IdleTimeout)),
            Ended::Client(FrameError::PacketTooLarge { .. }) => Some(ClientError::of(Code::PacketTooLarge)),
            Ended::Client(FrameError::OutOfOrder { .. }) => Some(ClientError::of(Code::MalformedPacket)),
            Ended::Quit | Ended::Killed | Ended::Client(_) | Ended::BrokenAnswer | Ended::Released => None,
        };
        self.forget_lingering();
        if let Some(mut held) = self.state.held.take() {
            held.checkout.mark_dirty();
            held.checkout.checkin();
        }
        if let Ended::Client(FrameError::PacketTooLarge { .. }) = ended {
            // A client that still sends does not read; one that never stops is not waited for.
            let _ = timeout(SKIP_WITHIN, self.client.skip_packet(SKIP_BYTES_MAX)).await;
        }
        if let Some(error) = last_word {
            // The connection ends here whether or not the client still hears why.
            let _ = login::refuse(&mut self.client, &error).await;
        } else {
            let _ = self.client.shutdown().await;
        }
    }

    /// Answers OK with the session's own status.
    pub(super) async fn send_ok(&mut self) -> Flow {
        let ok = OkPacket::with_status(self.status());
        self.client.queue_packet(&ok.payload(self.capabilities));
        Ok(self.client.flush().await?)
    }

    async fn send_eof(&mut self) -> Flow {
        self.client.queue_packet(&result::eof(self.status(), 0));
        Ok(self.client.flush().await?)
    }

    async fn send_error(&mut self, error: &ClientError) -> Result<(), Ended> {
        tracing::debug!(session = self.admission.id.0, code = %error.code.id(), "refused");
        self.client.queue_packet(&login::err_payload(error));
        self.client.flush().await.map_err(Ended::Client)
    }

    /// The status flags of an answer of our own, within a text of several statements or not.
    pub(super) fn status(&self) -> StatusFlags {
        let status = self.state.status();
        if self.more_results { status | StatusFlags::MORE_RESULTS } else { status }
    }

    /// The snapshot to plan on: the current one, or that of the open transaction.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        if !self.state.transaction.is_open() {
            self.state.snapshot = None;
            return self.services.snapshots.load();
        }
        self.state.snapshot.get_or_insert_with(|| self.services.snapshots.load()).clone()
    }
}

fn text_of(bytes: &[u8]) -> Result<String, ClientError> {
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| ClientError::new(Code::UnknownDatabase, "Unknown database: its name is not UTF-8"))
}

fn ended_by(interrupt: Interrupt) -> Ended {
    match interrupt {
        Interrupt::Kill => Ended::Killed,
        Interrupt::Shutdown | Interrupt::Stop => Ended::Shutdown,
    }
}

fn ended_by_frame(error: FrameError) -> Ended {
    if error.is_clean_close() { Ended::Quit } else { Ended::Client(error) }
}

async fn sleep_for(duration: std::time::Duration) {
    if duration.is_zero() { std::future::pending().await } else { tokio::time::sleep(duration).await }
}
