//! Prepared statements of the binary protocol.
//!
//! A client's statement lives in its session: text, scan, parameter types, long data. The server's statement
//! lives on a connection, shared by all sessions that prepare the same text there. An execution that lands on
//! a connection that does not know the text prepares it first.

mod execution;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::{Prepared as ServerPrepared, PreparedKey, TextHash};
use crate::error::{ClientError, Code};
use crate::execute::Collected;
use crate::ids::NameMap;
use crate::plan::{Destination, LocalAnswer, Plan};
use crate::protocol::binary::{ParameterTypes, Parameters};
use crate::protocol::capability::StatusFlags;
use crate::protocol::command::{self, StmtExecute, code};
use crate::protocol::response::CommandKind;
use crate::sql::{self, Scan};
use crate::topology::Snapshot;

use self::execution::Sections;
pub(in crate::session) use self::text::TextPrepared;
use crate::session::Session;
use crate::session::flow::{Failure, Flow};
use crate::session::query::{Asked, Said, Statement};
use crate::session::run::exchange::refused_by_server;
use crate::session::run::job::{Job, Payload};
use crate::session::run::place::Place;
use crate::session::state::Held;

/// ER_WRONG_ARGUMENTS: an execution that does not fit its statement.
const WRONG_ARGUMENTS_ERRNO: u16 = 1210;
/// Statements one session may have prepared at the same time.
const STATEMENTS_MAX: usize = 16 * 1024;
/// MySQL's ER_UNSUPPORTED_PS.
const NOT_PREPARABLE_ERRNO: u16 = 1295;
/// Where the statement id stands in the wire bytes of a prepare's answer.
const PREPARED_ID_AT: std::ops::Range<usize> = 5..9;

/// A client's prepared statement.
#[derive(Debug)]
pub(in crate::session) struct PreparedStatement {
    /// The text as the client sent it.
    pub text: Arc<[u8]>,
    pub text_hash: TextHash,
    pub scan: Scan,
    pub said: Said,
    pub params: u16,
    /// Parameter types as the client last sent them, with names if it sends names.
    pub raw_types: Vec<u8>,
    /// The same, read.
    pub types: ParameterTypes,
    /// COM_STMT_SEND_LONG_DATA, by parameter, until the next execution.
    pub long_data: BTreeMap<u16, Vec<u8>>,
    /// The server's id of the statement while a cursor is open on the held connection.
    pub cursor: Option<u32>,
}

/// All prepared statements of a session.
#[derive(Debug, Default)]
pub(in crate::session) struct PreparedStatements {
    by_id: NameMap<u32, PreparedStatement>,
    last_id: u32,
}

impl PreparedStatements {
    fn insert(&mut self, statement: PreparedStatement) -> Result<u32, ClientError> {
        if self.by_id.len() >= STATEMENTS_MAX {
            return Err(ClientError::of(Code::TooManyPrepared));
        }
        self.last_id = self.last_id.wrapping_add(1).max(1);
        while self.by_id.contains_key(&self.last_id) {
            self.last_id = self.last_id.wrapping_add(1).max(1);
        }
        self.by_id.insert(self.last_id, statement);
        Ok(self.last_id)
    }

    /// Appends to a parameter's value. An unknown statement or too much data shows at the execution.
    pub(in crate::session) fn add_long_data(
        &mut self,
        id: u32,
        parameter: u16,
        data: &[u8],
        bytes_max: usize,
    ) {
        let Some(statement) = self.by_id.get_mut(&id) else { return };
        let total: usize = statement.long_data.values().map(Vec::len).sum();
        if total + data.len() <= bytes_max && parameter < statement.params {
            statement.long_data.entry(parameter).or_default().extend_from_slice(data);
        } else {
            // Marks the parameter as unusable: the execution is refused, nothing is cut.
            statement.long_data.insert(u16::MAX, Vec::new());
        }
    }

    /// Forgets all of them.
    pub(in crate::session) fn clear(&mut self) {
        self.by_id.clear();
    }

    /// Their cursors went with the connection that had them.
    pub(in crate::session) fn lose_cursors(&mut self) {
        self.by_id.values_mut().for_each(|statement| statement.cursor = None);
    }
}

/// One execution, ready to be queued on a connection.
#[derive(Clone, Copy)]
pub(in crate::session) struct Execution<'a> {
    pub statement: &'a PreparedStatement,
    /// The text to prepare where it is not known yet: the client's, or an edited one.
    pub text: &'a [u8],
    /// The hash of that text.
    pub text_hash: TextHash,
    pub execute: StmtExecute<'a>,
    pub sections: Sections<'a>,
}

impl Session {
    /// COM_STMT_PREPARE.
    pub(in crate::session) async fn prepare(&mut self, text: &[u8]) -> Flow {
        let started = self.started;
        let mut scan = Scan::default();
        sql::scan(text, self.state.mode, &mut scan);
        let said = self.read_comments(text, &scan)?;
        let snapshot = self.snapshot();
        let statement = Statement { attributes: &[], text, scan: &scan, said: said.clone(), started };
        let planned = self.plan_statement(&statement, &snapshot);
        let plan = planned.as_ref().as_ref().map_err(Clone::clone)?;
        let destination = self.bind_prepare(&statement, plan, &snapshot)?;
        let job = job_of(&statement, plan, Payload::Raw(&[]), CommandKind::Prepare);
        let (place, edited) = match destination {
            Destination::One(address) if address.is_of_keyspace() => {
                (Box::pin(self.place_of_keyspace(&snapshot, address, &job, &said)).await?, None)
            }
            Destination::One(address) => (self.place_of(&snapshot, &address, &job, &said)?, None),
            Destination::Edited { address, text } => {
                (self.place_of(&snapshot, &address, &job, &said)?, Some(text))
            }
            Destination::Any => (self.any_place(&snapshot, &job, &said)?, None),
            // Their rows are text: they are told to come as text.
            Destination::Local(
                LocalAnswer::Databases
                | LocalAnswer::ProcessList
                | LocalAnswer::Prepare
                | LocalAnswer::Execute
                | LocalAnswer::Deallocate,
            ) => {
                return Err(not_preparable().into());
            }
            Destination::Local(_) | Destination::Fleet(_) => {
                return self.prepare_local(text, scan, said).await;
            }
            Destination::Split(_) | Destination::All(_) => {
                return Err(ClientError::of(Code::CrossShard).into());
            }
        };
        self.forget_lingering();
        let _admitted = self.admit(&job, &place).await?;
        let mut held = self.take_connection(&place, None).await?;
        let server_text = edited.as_deref().unwrap_or(text);
        let (answer, prepared) = match self.prepare_on(&mut held, &place, server_text).await {
            Ok(done) => done,
            Err(failure) => {
                self.put_back(held, &failure);
                return Err(failure);
            }
        };
        if let Some(prepared) = prepared {
            held.checkout.remember_prepared(self.prepared_key(TextHash::of(server_text), &place), prepared);
        }
        self.keep_or_release(held, false);
        let Some(prepared) = prepared else { return self.send_collected(answer).await };
        let statement = PreparedStatement::new(text, scan, said, prepared.params);
        let id = self.prepared.insert(statement)?;
        let mut answer = answer;
        answer[PREPARED_ID_AT].copy_from_slice(&id.to_le_bytes());
        self.send_collected(answer).await
    }

    /// A statement that the session itself carries out: no parameters, no columns.
    async fn prepare_local(&mut self, text: &[u8], scan: Scan, said: Said) -> Flow {
        if !scan.placeholders.is_empty() {
            return Err(ClientError::of(Code::NotSupported).into());
        }
        let id = self.prepared.insert(PreparedStatement::new(text, scan, said, 0))?;
        let mut payload = vec![0];
        payload.extend_from_slice(&id.to_le_bytes());
        payload.extend_from_slice(&[0; 7]);
        self.client.queue_packet(&payload);
        Ok(self.client.flush().await?)
    }

    /// Prepares a text on a connection; gives the answer's wire bytes, and what was prepared unless it is an
    /// error.
    async fn prepare_on(
        &mut self,
        held: &mut Held,
        place: &Place,
        text: &[u8],
    ) -> Flow<(Collected, Option<ServerPrepared>)> {
        self.apply_state(held, place).await?;
        held.checkout.queue_command(&command::string_payload(code::STMT_PREPARE, text));
        let answer = self.collect(held, CommandKind::Prepare).await?;
        let end = self.tracker.end();
        let Some(prepared) = end.prepared.filter(|_| end.error.is_none()) else { return Ok((answer, None)) };
        let prepared =
            ServerPrepared { id: prepared.statement_id, params: prepared.params, columns: prepared.columns };
        Ok((answer, Some(prepared)))
    }

    fn prepared_key(&self, text: TextHash, place: &Place) -> PreparedKey {
        PreparedKey::new(text, place.database.as_deref(), &self.state.settings)
    }

    /// COM_STMT_EXECUTE.
    pub(in crate::session) async fn execute(&mut self, execute: StmtExecute<'_>) -> Flow {
        let id = execute.statement_id;
        // A new execution closes the cursor of the one before.
        self.close_cursor(id).await?;
        let mut statement = self.prepared.by_id.remove(&id).ok_or_else(|| unknown_statement(id))?;
        let result = self.repeat(Asked::Execution(&mut statement, execute)).await;
        statement.long_data.clear();
        if let Some(status) = self.cursor_status(&result)
            && execute.opens_cursor()
        {
            self.note_cursor(&mut statement, status);
        }
        self.prepared.by_id.insert(id, statement);
        result
    }

    /// One attempt at an execution.
    pub(in crate::session) async fn try_execution(
        &mut self,
        statement: &mut PreparedStatement,
        execute: StmtExecute<'_>,
    ) -> Flow {
        let started = self.started;
        if statement.long_data.contains_key(&u16::MAX) {
            return Err(ClientError::of(Code::PacketTooLarge).into());
        }
        let malformed = |_| {
            let message = "Incorrect arguments to COM_STMT_EXECUTE";
            ClientError::from_server(WRONG_ARGUMENTS_ERRNO, *b"HY000", message)
        };
        let count = usize::from(statement.params);
        let sections = Sections::read(&execute, count, self.capabilities).map_err(malformed)?;
        if let Some(types) = sections.types {
            statement.raw_types.clear();
            statement.raw_types.extend_from_slice(types);
        }
        let parameters =
            Parameters::parse(execute.raw, execute.flags, count, self.capabilities, &mut statement.types)
                .map_err(malformed)?;
        let statement = &*statement;
        let snapshot = self.snapshot();
        let asked = Statement {
            attributes: &[],
            text: &statement.text,
            scan: &statement.scan,
            said: statement.said.clone(),
            started,
        };
        let planned = self.plan_statement(&asked, &snapshot);
        let plan = planned.as_ref().as_ref().map_err(Clone::clone)?;
        let is_long = |at: usize| statement.long_data.contains_key(&(at as u16));
        let values = match plan.reads_parameters() {
            true => parameters.values(&statement.types, is_long).map_err(malformed)?,
            false => Vec::new(),
        };
        let destination = self.bind(&asked, plan, &execution::Values(&values), &snapshot)?;
        let (text, text_hash) = (&statement.text, statement.text_hash);
        let execution = Execution { statement, text, text_hash, execute, sections };
        self.run_execution(execution, (&asked, plan), destination, &snapshot).await
    }

    async fn run_execution(
        &mut self,
        execution: Execution<'_>,
        (asked, plan): (&Statement<'_>, &Plan),
        destination: Destination,
        snapshot: &Snapshot,
    ) -> Flow {
        if plan.effects.changes_schema {
            return Box::pin(self.change_by_execution(execution, (asked, plan), destination, snapshot)).await;
        }
        let edited;
        let (address, execution) = match destination {
            Destination::One(address) => (Some(address), execution),
            Destination::Any => (None, execution),
            Destination::Edited { address, text } => {
                edited = text;
                (Some(address), Execution { text: &edited, text_hash: TextHash::of(&edited), ..execution })
            }
            Destination::Local(answer) => {
                let payload = Payload::Text { attributes: &[], text: asked.text };
                let job = job_of(asked, plan, payload, CommandKind::Query);
                // What few executions need is kept out of every session's memory.
                return Box::pin(self.answer_locally(answer, &job, asked, snapshot)).await;
            }
            Destination::Split(pieces) => {
                let job = job_of(asked, plan, Payload::Execute(execution), CommandKind::Execute);
                return Box::pin(self.run_split(&job, pieces, snapshot)).await;
            }
            Destination::All(_) | Destination::Fleet(_) => {
                return Err(ClientError::of(Code::CrossShard).into());
            }
        };
        let job = job_of(asked, plan, Payload::Execute(execution), CommandKind::Execute);
        let place = match address {
            Some(address) if address.is_of_keyspace() => {
                return Box::pin(self.run_of_keyspace(snapshot, address, &job, &asked.said)).await;
            }
            Some(address) => self.place_of(snapshot, &address, &job, &asked.said)?,
            None => self.any_place(snapshot, &job, &asked.said)?,
        };
        self.run_job(&job, place).await
    }

    /// A schema change that was prepared.
    async fn change_by_execution(
        &mut self,
        execution: Execution<'_>,
        (asked, plan): (&Statement<'_>, &Plan),
        destination: Destination,
        snapshot: &Snapshot,
    ) -> Flow {
        let (address, edited) = match destination {
            Destination::One(address) => (address, None),
            Destination::Edited { address, text } => (address, Some(text)),
            Destination::Fleet(keyspace) => {
                return self.change_fleet(CommandKind::Execute, (asked.text, &asked.said), &keyspace).await;
            }
            _ => return Err(ClientError::of(Code::CrossShard).into()),
        };
        let execution = match &edited {
            Some(text) => Execution { text, text_hash: TextHash::of(text), ..execution },
            None => execution,
        };
        let job = job_of(asked, plan, Payload::Execute(execution), CommandKind::Execute);
        self.change_schema(&job, (&address, &asked.said, snapshot)).await
    }

    /// Queues an execution; prepares its text first where the connection does not know it.
    pub(in crate::session) async fn queue_execution(
        &mut self,
        execution: &Execution<'_>,
        held: &mut Held,
        place: &Place,
    ) -> Flow<u32> {
        let key = self.prepared_key(execution.text_hash, place);
        let key = if execution.execute.opens_cursor() { key.for_cursor() } else { key };
        let known = held.checkout.prepared(key);
        let (answers, prepared) = match known {
            Some(prepared) => (self.apply_for_prepared(held, place).await?, prepared),
            None => {
                let (_, prepared) = self.prepare_on(held, place, execution.text).await?;
                let prepared = prepared.ok_or_else(|| self.refusal_of_answer())?;
                held.checkout.remember_prepared(key, prepared);
                (0, prepared)
            }
        };
        let connection = &mut *held.checkout;
        for (parameter, data) in &execution.statement.long_data {
            let mut payload = command::number_payload(code::STMT_SEND_LONG_DATA, prepared.id).to_vec();
            payload.extend_from_slice(&parameter.to_le_bytes());
            payload.extend_from_slice(data);
            connection.queue_command(&payload);
        }
        let capabilities = (self.capabilities, connection.capabilities());
        self.outgoing.clear();
        execution::put_payload(&mut self.outgoing, execution, prepared.id, capabilities)
            // The session's settings are queued already: nobody else may have them.
            .map_err(|_| Failure::Unusable(ClientError::of(Code::NotSupported)))?;
        connection.queue_command(&self.outgoing);
        self.give_back_outgoing();
        self.last_executed = prepared.id;
        Ok(answers)
    }

    /// Runs a text that takes some of an execution's parameters; an ERR packet is a refusal.
    pub(in crate::session) async fn execute_piece(
        &mut self,
        execution: &Execution<'_>,
        held: &mut Held,
        place: &Place,
        (text, params): (&[u8], &[u16]),
    ) -> Flow<Collected> {
        let key = self.prepared_key(TextHash::of(text), place);
        let prepared = match held.checkout.prepared(key) {
            Some(prepared) => prepared,
            None => {
                let (_, prepared) = self.prepare_on(held, place, text).await?;
                let prepared = prepared.ok_or_else(|| self.refusal_of_answer())?;
                held.checkout.remember_prepared(key, prepared);
                prepared
            }
        };
        let server = held.checkout.capabilities();
        let payload = execution::piece_payload(execution, prepared.id, params, server)
            .map_err(|_| ClientError::of(Code::MalformedPacket))?;
        held.checkout.queue_command(&payload);
        let answer = self.collect(held, CommandKind::Execute).await?;
        match &self.tracker.end().error {
            Some(_) => Err(self.refusal_of_answer()),
            None => Ok(answer),
        }
    }

    /// The error that the last answer was.
    fn refusal_of_answer(&self) -> Failure {
        let error = self.tracker.end().error.as_ref();
        error.map_or(ClientError::of(Code::ShardProtocol), refused_by_server).into()
    }

    fn cursor_status(&self, result: &Flow) -> Option<StatusFlags> {
        result.as_ref().ok().map(|()| self.tracker.end().status)
    }

    fn note_cursor(&mut self, statement: &mut PreparedStatement, status: StatusFlags) {
        let is_open =
            status.contains(StatusFlags::CURSOR_EXISTS) && !status.contains(StatusFlags::LAST_ROW_SENT);
        if is_open && self.state.held.is_some() {
            statement.cursor = Some(self.last_executed);
        }
    }

    /// COM_STMT_FETCH: rows of an open cursor, from the connection that holds it.
    pub(in crate::session) async fn fetch(&mut self, id: u32, payload: &[u8]) -> Flow {
        let statement = self.prepared.by_id.get(&id).ok_or_else(|| unknown_statement(id))?;
        let held = statement.cursor.and_then(|_| self.state.held.take());
        let (Some(server_id), Some(mut held)) = (statement.cursor, held) else {
            let message = format!("The statement ({id}) has no open cursor.");
            return Err(ClientError::new(Code::NoOpenCursor, message).into());
        };
        let mut payload = payload.to_vec();
        payload[1..5].copy_from_slice(&server_id.to_le_bytes());
        held.checkout.queue_command(&payload);
        self.tracker.start(CommandKind::Fetch, held.checkout.capabilities());
        self.relay_held(held).await?;
        let status = self.tracker.end().status;
        if status.contains(StatusFlags::LAST_ROW_SENT) || self.tracker.end().error.is_some() {
            self.forget_cursor(id);
        }
        Ok(())
    }

    fn forget_cursor(&mut self, id: u32) {
        let Some(statement) = self.prepared.by_id.get_mut(&id) else { return };
        if statement.cursor.take().is_some() {
            self.state.cursors = self.state.cursors.saturating_sub(1);
        }
        self.release_if_free();
    }

    /// COM_STMT_RESET: drops long data and closes the cursor.
    pub(in crate::session) async fn reset_statement(&mut self, id: u32) -> Flow {
        let statement = self.prepared.by_id.get_mut(&id).ok_or_else(|| unknown_statement(id))?;
        statement.long_data.clear();
        self.close_cursor(id).await?;
        self.send_ok().await
    }

    /// COM_STMT_CLOSE: has no answer. The server's statement stays on its connection for the next one.
    pub(in crate::session) async fn close_statement(&mut self, id: u32) -> Flow {
        let closed = self.close_cursor(id).await;
        self.prepared.by_id.remove(&id);
        // Nothing is said, whatever became of it.
        closed.or_else(|failure| if let Failure::End(_) = failure { Err(failure) } else { Ok(()) })
    }

    async fn close_cursor(&mut self, id: u32) -> Flow {
        let cursor = self.prepared.by_id.get(&id).and_then(|statement| statement.cursor);
        let Some(server_id) = cursor else { return Ok(()) };
        if let Some(mut held) = self.state.held.take() {
            held.checkout.queue_command(&command::number_payload(code::STMT_RESET, server_id));
            match self.collect(&mut held, CommandKind::Simple).await {
                Ok(_) => self.state.held = Some(held),
                Err(failure) => {
                    self.lose(held);
                    return Err(failure);
                }
            }
        }
        self.forget_cursor(id);
        Ok(())
    }
}

impl PreparedStatement {
    fn new(text: &[u8], scan: Scan, said: Said, params: u16) -> Self {
        Self {
            text: text.into(),
            text_hash: TextHash::of(text),
            scan,
            said,
            params,
            raw_types: Vec::new(),
            types: ParameterTypes::new(),
            long_data: BTreeMap::new(),
            cursor: None,
        }
    }
}

/// What MySQL says of statements that only run as text; drivers then send them so.
fn not_preparable() -> ClientError {
    let message = "This command is not supported in the prepared statement protocol yet";
    ClientError::from_server(NOT_PREPARABLE_ERRNO, *b"HY000", message)
}

fn job_of<'a>(statement: &Statement<'a>, plan: &'a Plan, payload: Payload<'a>, kind: CommandKind) -> Job<'a> {
    Job { payload, kind, plan, scan: Some(statement.scan), text: statement.text, started: statement.started }
}

fn unknown_statement(id: u32) -> Failure {
    let message = format!("Unknown prepared statement handler ({id}) given to mysql_stmt_precheck");
    ClientError::new(Code::UnknownStatementHandler, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_data_is_bounded_and_never_cut() {
        let mut statements = PreparedStatements::default();
        let statement =
            PreparedStatement::new(b"insert into t values (?)", Scan::default(), Said::default(), 1);
        let id = statements.insert(statement).unwrap();
        statements.add_long_data(id, 0, b"ab", 4);
        statements.add_long_data(id, 0, b"cd", 4);
        assert_eq!(statements.by_id[&id].long_data[&0], b"abcd");
        statements.add_long_data(id, 0, b"e", 4);
        assert!(statements.by_id[&id].long_data.contains_key(&u16::MAX));
        statements.add_long_data(99, 0, b"e", 4);
    }
}
