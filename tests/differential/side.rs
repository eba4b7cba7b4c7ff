//! One of the two sides a script runs on: its sessions, its prepared statements, and the commands' bytes.

use std::collections::HashMap;

use bulkhead::protocol::command::{self, code};
use bulkhead::protocol::response::CommandKind;
use bulkhead::protocol::result::ServerError;

use super::facts::{Fact, facts_of};
use super::script::{Action, Parameter};
use crate::common::raw::{Answer, Login, Lost, RawClient};

/// errno of statements that cannot be prepared.
const NOT_PREPARABLE: u16 = 1295;
/// errno of a prepare that MariaDB gives up on, as `NOT_PREPARABLE`.
const EMPTY_QUERY: u16 = 1065;

struct Prepared {
    id: u32,
    session: String,
}

/// One side: direct, or through the proxy.
pub struct Side {
    login: Login,
    sessions: HashMap<String, RawClient>,
    current: String,
    prepared: HashMap<String, Prepared>,
    /// Appended to every statement.
    pub suffix: String,
    /// Statements run as prepared ones.
    pub binary: bool,
}

impl Side {
    pub fn new(login: Login, suffix: &str, binary: bool) -> Self {
        Self {
            login,
            sessions: HashMap::new(),
            current: "main".to_owned(),
            prepared: HashMap::new(),
            suffix: suffix.to_owned(),
            binary,
        }
    }

    /// Runs one action; gives what its answers say.
    pub async fn run(&mut self, action: &Action, as_text: bool) -> Vec<Fact> {
        match self.try_run(action, as_text).await {
            Ok(facts) => facts,
            Err(lost) => {
                self.sessions.remove(&self.current);
                vec![("lost".to_owned(), format!("{lost:?}"))]
            }
        }
    }

    async fn try_run(&mut self, action: &Action, as_text: bool) -> Result<Vec<Fact>, Lost> {
        match action {
            Action::Session(name) => name.clone_into(&mut self.current),
            Action::Quit => {
                let client = self.client().await?;
                client.send(&[code::QUIT]).await?;
                self.sessions.remove(&self.current);
            }
            Action::Sql(sql) if self.binary && !as_text => return self.run_prepared(sql).await,
            Action::Sql(sql) => return self.run_text(sql).await,
            Action::Raw(sql) => return self.run_text(sql).await,
            Action::Send(sql) => {
                let text = format!("{sql}{}", self.suffix);
                let client = self.client().await?;
                let payload = command::query_payload(text.as_bytes(), &[], client.capabilities);
                client.send(&payload).await?;
            }
            Action::Receive => {
                let client = self.client().await?;
                let answer = client.receive(CommandKind::Query).await?;
                return Ok(facts_of(&answer, client.capabilities));
            }
            Action::Prepare(name, sql) => return self.prepare(name, sql).await,
            Action::Execute { name, parameters, cursor } => {
                let payload = execute_payload(self.id_of(name), parameters, *cursor);
                return self.of_statement(name, &payload, CommandKind::Execute).await;
            }
            Action::Fetch(name, rows) => {
                let mut payload = command::number_payload(code::STMT_FETCH, self.id_of(name)).to_vec();
                payload.extend_from_slice(&rows.to_le_bytes());
                return self.of_statement(name, &payload, CommandKind::Fetch).await;
            }
            Action::Long(name, index, text) => {
                let mut payload =
                    command::number_payload(code::STMT_SEND_LONG_DATA, self.id_of(name)).to_vec();
                payload.extend_from_slice(&index.to_le_bytes());
                payload.extend_from_slice(text.as_bytes());
                return self.of_statement(name, &payload, CommandKind::None).await;
            }
            Action::Reset(name) => {
                let payload = command::number_payload(code::STMT_RESET, self.id_of(name));
                return self.of_statement(name, &payload, CommandKind::Simple).await;
            }
            Action::Close(name) => {
                let payload = command::number_payload(code::STMT_CLOSE, self.id_of(name));
                return self.of_statement(name, &payload, CommandKind::None).await;
            }
            Action::File(text) => self.client().await?.file = text.clone().into_bytes(),
            Action::Blocked => {}
            simple => return self.simple(simple).await,
        }
        Ok(Vec::new())
    }

    async fn simple(&mut self, action: &Action) -> Result<Vec<Fact>, Lost> {
        let (payload, kind) = match action {
            Action::InitDb(name) => {
                (command::string_payload(code::INIT_DB, name.as_bytes()), CommandKind::Simple)
            }
            Action::Fields(table) => {
                let name = format!("{table}\0");
                (command::string_payload(code::FIELD_LIST, name.as_bytes()), CommandKind::FieldList)
            }
            Action::Ping => (vec![code::PING], CommandKind::Simple),
            Action::ResetConnection => (vec![code::RESET_CONNECTION], CommandKind::Simple),
            Action::Multi(on) => (vec![code::SET_OPTION, u8::from(!on), 0], CommandKind::SetOption),
            other => panic!("{other:?} is no simple command"),
        };
        self.ask(&payload, kind).await
    }

    async fn client(&mut self) -> Result<&mut RawClient, Lost> {
        if !self.sessions.contains_key(&self.current) {
            let client = RawClient::connect(&self.login).await?;
            self.sessions.insert(self.current.clone(), client);
        }
        Ok(self.sessions.get_mut(&self.current).expect("just inserted"))
    }

    async fn ask(&mut self, payload: &[u8], kind: CommandKind) -> Result<Vec<Fact>, Lost> {
        let client = self.client().await?;
        let answer = client.command(payload, kind).await?;
        Ok(facts_of(&answer, client.capabilities))
    }

    async fn run_text(&mut self, sql: &str) -> Result<Vec<Fact>, Lost> {
        let text = format!("{sql}{}", self.suffix);
        let client = self.client().await?;
        let answer = client.query(text.as_bytes()).await?;
        Ok(facts_of(&answer, client.capabilities))
    }

    /// Prepares, executes and closes; what cannot be prepared runs as text.
    async fn run_prepared(&mut self, sql: &str) -> Result<Vec<Fact>, Lost> {
        let text = format!("{sql}{}", self.suffix);
        let client = self.client().await?;
        let payload = command::string_payload(code::STMT_PREPARE, text.as_bytes());
        let answer = client.command(&payload, CommandKind::Prepare).await?;
        let mut facts = facts_of(&answer, client.capabilities);
        let Some(id) = statement_id(&answer) else {
            let error = ServerError::parse(answer.payloads()[0]).expect("an ERR packet");
            if matches!(error.errno, NOT_PREPARABLE | EMPTY_QUERY) {
                facts.extend(self.run_text(sql).await?);
            }
            return Ok(facts);
        };
        let execute = execute_payload(id, &[], false);
        facts.extend(self.ask(&execute, CommandKind::Execute).await?);
        self.ask(&command::number_payload(code::STMT_CLOSE, id), CommandKind::None).await?;
        Ok(facts)
    }

    async fn prepare(&mut self, name: &str, sql: &str) -> Result<Vec<Fact>, Lost> {
        let text = format!("{sql}{}", self.suffix);
        let client = self.client().await?;
        let payload = command::string_payload(code::STMT_PREPARE, text.as_bytes());
        let answer = client.command(&payload, CommandKind::Prepare).await?;
        let facts = facts_of(&answer, client.capabilities);
        if let Some(id) = statement_id(&answer) {
            let session = self.current.clone();
            self.prepared.insert(name.to_owned(), Prepared { id, session });
        }
        Ok(facts)
    }

    /// The statement's id; an unknown one gives an id that no server has.
    fn id_of(&self, name: &str) -> u32 {
        self.prepared.get(name).map_or(0x00ff_ff00, |prepared| prepared.id)
    }

    async fn of_statement(
        &mut self,
        name: &str,
        payload: &[u8],
        kind: CommandKind,
    ) -> Result<Vec<Fact>, Lost> {
        if let Some(prepared) = self.prepared.get(name) {
            self.current.clone_from(&prepared.session);
        }
        self.ask(payload, kind).await
    }
}

fn statement_id(answer: &Answer) -> Option<u32> {
    match answer.payloads().first()? {
        [0, a, b, c, d, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

fn execute_payload(id: u32, parameters: &[Parameter], cursor: bool) -> Vec<u8> {
    let mut out = command::number_payload(code::STMT_EXECUTE, id).to_vec();
    out.push(u8::from(cursor));
    out.extend_from_slice(&1u32.to_le_bytes());
    if parameters.is_empty() {
        return out;
    }
    let mut nulls = vec![0u8; parameters.len().div_ceil(8)];
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for (at, parameter) in parameters.iter().enumerate() {
        let (column_type, flag): (u8, u8) = match parameter {
            Parameter::Null => {
                nulls[at / 8] |= 1 << (at % 8);
                (6, 0)
            }
            Parameter::Int(value) => {
                values.extend_from_slice(&value.to_le_bytes());
                (8, 0)
            }
            Parameter::Unsigned(value) => {
                values.extend_from_slice(&value.to_le_bytes());
                (8, 0x80)
            }
            Parameter::Double(value) => {
                values.extend_from_slice(&value.to_le_bytes());
                (5, 0)
            }
            Parameter::Bytes(bytes) => {
                values.push(u8::try_from(bytes.len()).expect("short parameters only"));
                values.extend_from_slice(bytes);
                (253, 0)
            }
            Parameter::Long => (252, 0),
        };
        types.extend_from_slice(&[column_type, flag]);
    }
    out.extend_from_slice(&nulls);
    out.push(1);
    out.extend_from_slice(&types);
    out.extend_from_slice(&values);
    out
}
