//! PREPARE, EXECUTE and DEALLOCATE as SQL text: kept by the server, so they pin the session to its
//! connection. What was prepared is remembered here, so that an execution counts as what it runs.

use std::sync::Arc;

use crate::backend::text_of_literal;
use crate::error::{ClientError, Code};
use crate::plan::{Address, Destination, Pins, Planned};
use crate::sql::{self, ClientCharset, Parsed, PrepareSource, Scan, SqlMode, quote};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::flow::{Failure, Flow};
use crate::session::query::{Said, Statement};
use crate::session::run::job::{Job, Payload};
use crate::session::run::place::Place;
use crate::session::state::Transaction;
use crate::session::statements::local::unread;

/// Statements one session may have prepared this way.
const TEXT_PREPARED_MAX: usize = 256;

/// A statement that a server keeps for the session, on the connection that is held.
#[derive(Debug)]
pub(in crate::session) struct TextPrepared {
    text: Vec<u8>,
    scan: Scan,
    /// How it was read; a server reads it again when a table changes.
    mode: SqlMode,
    planned: Arc<Planned>,
    /// Where it goes; absent: anywhere.
    address: Option<Address>,
}

impl Session {
    /// PREPARE name FROM 'text': the text is planned like any statement; it must go to one place whatever its
    /// parameters are, because those come from variables that only the server sees.
    pub(in crate::session) async fn text_prepare(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        let Parsed::Prepare { name, source } = self.parse(statement)? else { return Err(unread()) };
        let text = self.text_to_prepare(source).await?;
        if self.state.text_prepared.len() >= TEXT_PREPARED_MAX {
            return Err(ClientError::of(Code::TooManyPrepared).into());
        }
        let mut scan = Scan::default();
        sql::scan(&text, self.state.mode, &mut scan);
        let (said, started) = (statement.said.clone(), statement.started);
        let asked = Statement { attributes: &[], text: &text, scan: &scan, said, started };
        let planned = self.plan_statement(&asked, snapshot);
        let plan = planned.as_ref().as_ref().map_err(Clone::clone)?;
        if plan.reads_parameters() {
            let message =
                "the statement's place depends on its parameters; prepare it in the binary protocol";
            return Err(not_supported(message).into());
        }
        let address = match self.bind_prepare(&asked, plan, snapshot)? {
            Destination::One(address) => Some(address),
            Destination::Any => None,
            _ => return Err(not_supported("only statements of one shard can be prepared as text").into()),
        };
        let place = self.place_or_any(snapshot, address.as_ref(), job, &statement.said)?;
        let inner = Job { plan, scan: Some(&scan), text: &text, ..*job };
        let values = self.session_values(&inner, &place).of_session();
        if values.put_into(&text, self.state.mode).is_some() {
            let message =
                "CONNECTION_ID() and DATABASE() cannot be prepared as text, only in the binary protocol";
            return Err(not_supported(message).into());
        }
        // The text that was planned, not the variable: its value may be another on the connection.
        let sent = self.prepare_text(&name.text, &text);
        let name = name.text.to_lowercase();
        let prepared = TextPrepared { text, scan, mode: self.state.mode, planned, address };
        // Before it runs: it is what the connection is kept for.
        self.state.text_prepared.insert(name.clone(), Arc::new(prepared));
        let result = match job.with_text(&sent) {
            Some(job) => self.run_job(&job, place).await,
            None => Err(unread()),
        };
        if result.is_err() || self.answer_failed {
            self.state.text_prepared.remove(&name);
            self.release_if_free();
        }
        result
    }

    /// What PREPARE is to prepare.
    async fn text_to_prepare(&mut self, source: PrepareSource) -> Flow<Vec<u8>> {
        let text = match source {
            PrepareSource::Text(text, _) => text,
            PrepareSource::Variable(variable) => self.text_of_variable(&variable.text).await?.into_bytes(),
            PrepareSource::Expression(_) => {
                let message = "PREPARE takes its text as a literal or user variable through the proxy";
                return Err(not_supported(message).into());
            }
        };
        if text.is_ascii() || self.is_utf8_throughout() {
            return Ok(text);
        }
        Err(not_supported("a text beyond ASCII is prepared in UTF-8 only: SET NAMES utf8mb4").into())
    }

    /// `PREPARE name FROM 'text'`, quoted as the session reads strings.
    fn prepare_text(&self, name: &str, text: &[u8]) -> Vec<u8> {
        let mut sent = format!("PREPARE {} FROM '", quote::identifier(name)).into_bytes();
        for byte in text {
            match byte {
                b'\'' => sent.push(b'\''),
                b'\\' if !self.state.mode.no_backslash_escapes => sent.push(b'\\'),
                _ => {}
            }
            sent.push(*byte);
        }
        sent.push(b'\'');
        sent
    }

    /// Says whether no conversion on the way to a server's parser can change what a text means.
    pub(in crate::session) fn is_utf8_throughout(&self) -> bool {
        let is_utf8 = |name: &str| {
            let value = self.state.settings.variable(name).unwrap_or("utf8");
            value.trim_matches('\'').to_ascii_lowercase().starts_with("utf8")
        };
        self.state.mode.charset == ClientCharset::Utf8
            && is_utf8("character_set_connection")
            && is_utf8("collation_connection")
    }

    /// `EXECUTE name [USING @a, …]`: runs as what was prepared, where that belongs.
    pub(in crate::session) async fn text_execute(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        let Parsed::Execute { name, .. } = self.parse(statement)? else { return Err(unread()) };
        let prepared = self.text_prepared(&name.text, "EXECUTE")?;
        if prepared.mode != self.state.mode {
            let message =
                "sql_mode or character set is another than when the statement was prepared; prepare it again";
            return Err(not_supported(message).into());
        }
        let plan = prepared.planned.as_ref().as_ref().map_err(Clone::clone)?;
        let (scan, text) = (&prepared.scan, prepared.text.as_slice());
        let inner = Job { plan, scan: Some(scan), text, ..*job };
        let is_whole = scan.placeholders.is_empty();
        if let (true, true, Some(address)) = (plan.effects.changes_schema, is_whole, &prepared.address) {
            // What is decided about it is decided now, so it goes as text.
            let payload = Payload::Text { attributes: &[], text };
            let said = self.read_comments(text, scan)?;
            let change = Job { payload, ..inner };
            return Box::pin(self.change_schema(&change, (address, &said, snapshot))).await;
        }
        // What merely makes a table needs no decision; CREATE OR REPLACE drops one.
        if plan.effects.alters_table && !self.only_creates_table(text) {
            return Err(not_supported("a schema change with parameters").into());
        }
        let address = prepared.address.as_ref();
        let place = self.place_or_any(snapshot, address, &inner, &statement.said)?;
        self.run_job(&inner, place).await
    }

    /// DEALLOCATE PREPARE name.
    pub(in crate::session) async fn text_deallocate(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
    ) -> Flow {
        let Parsed::Deallocate { name } = self.parse(statement)? else { return Err(unread()) };
        self.text_prepared(&name.text, "DEALLOCATE PREPARE")?;
        let held = self.state.held.as_ref().ok_or_else(|| unknown(&name.text, "DEALLOCATE PREPARE"))?;
        let (cluster, role) = (held.cluster.clone(), held.role);
        let place = Place { cluster, shard: None, database: None, owner: 0, role, begins: false };
        self.run_job(job, place).await?;
        self.state.text_prepared.remove(&name.text.to_lowercase());
        self.release_if_free();
        Ok(())
    }

    /// The text that a user variable holds: as it was set, or as the server that computed it says.
    async fn text_of_variable(&mut self, name: &str) -> Flow<String> {
        let no_text = || {
            let message = format!("PREPARE FROM @{name}: the variable holds no text");
            Failure::Refused(ClientError::new(Code::SyntaxError, message))
        };
        let set = self.state.settings.user_variable(&name.to_lowercase());
        if let Some(literal) = set.filter(|_| !self.state.pins.contains(Pins::USER_VARIABLE)) {
            return text_of_literal(literal).ok_or_else(no_text);
        }
        let Some(mut held) = self.state.held.take() else { return Err(no_text()) };
        let place = Place {
            cluster: held.cluster.clone(),
            shard: None,
            database: None,
            owner: 0,
            role: held.role,
            begins: false,
        };
        let asked = match self.apply_state(&mut held, &place).await {
            Ok(()) => self.ask_value(&mut held, &format!("SELECT @{}", quote::identifier(name))).await,
            Err(failure) => Err(failure),
        };
        match asked {
            Ok(text) => {
                self.state.held = Some(held);
                text.ok_or_else(no_text)
            }
            Err(failure) => {
                self.put_back(held, &failure);
                Err(failure)
            }
        }
    }

    fn place_or_any(
        &mut self,
        snapshot: &Snapshot,
        address: Option<&Address>,
        job: &Job<'_>,
        said: &Said,
    ) -> Result<Place, ClientError> {
        match address {
            Some(address) => self.place_of(snapshot, address, job, said),
            None => self.any_place(snapshot, job, said),
        }
    }

    fn text_prepared(&self, name: &str, verb: &str) -> Result<Arc<TextPrepared>, ClientError> {
        if let Transaction::Lost { code } = self.state.transaction {
            return Err(ClientError::of(code));
        }
        self.state.text_prepared.get(&name.to_lowercase()).cloned().ok_or_else(|| unknown(name, verb))
    }
}

fn not_supported(message: &'static str) -> ClientError {
    ClientError::new(Code::NotSupported, message)
}

fn unknown(name: &str, verb: &str) -> ClientError {
    let message = format!("Unknown prepared statement handler ({name}) given to {verb}");
    ClientError::new(Code::UnknownStatementHandler, message)
}
