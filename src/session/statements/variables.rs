//! SET: session variables, character sets, the workspace variable, user variables, the next transaction.
//!
//! A SET is run on a server before it counts, so that a wrong name or value gets the server's own error; what
//! it came to is remembered ([`crate::session::SettingsCache`]), and later sessions are answered from that.
//! The session keeps the values as SQL text and brings every connection it is lent up to them. Values that
//! only a server can compute are read back. Literal user variables are kept here until a statement reads one.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{
    STATE_TRACKING, SessionSettings, SettingChange, UnstableSetting, has_odd_default, stable_literal,
};
use crate::error::{ClientError, Code};
use crate::execute::Collected;
use crate::ids::WorkspaceId;
use crate::plan::{Pins, REMOTE_ENGINES};
use crate::protocol::capability::CLASS_MASK;
use crate::sql::{
    self, ClientCharset, IsolationLevel, Parsed, SetItem, SetValue, SqlMode, ValueKind, VariableScope,
};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::flow::{Failure, Flow};
use crate::session::query::Statement;
use crate::session::run::job::Job;
use crate::session::settings_cache::Accepted;
use crate::session::state::{Held, Transaction};
use crate::session::statements::local::unread;

/// Variables that hold for one statement only, or that name the connection itself.
const UNKEPT_VARIABLES: [&str; 8] = [
    "insert_id",
    "rand_seed1",
    "rand_seed2",
    "pseudo_thread_id",
    "pseudo_replica_mode",
    "pseudo_slave_mode",
    "gtid_next",
    "proxy_user",
];
/// `SET TRANSACTION` that may wait for the next transaction.
const NEXT_TRANSACTION_MAX: usize = 8;

/// What one item of a SET means to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Change {
    /// A session variable gets this literal.
    Variable(Box<str>, Box<str>),
    /// A session variable goes back to the server's value.
    Default(Box<str>),
    /// A session variable got what the server made of the value.
    ReadBack(Box<str>),
    /// SET NAMES.
    Names(Box<str>, Option<Box<str>>),
    /// A user variable gets this literal.
    UserVariable(Box<str>, Box<str>),
    /// A user variable got what the server computed.
    UserComputed,
    /// What `LAST_INSERT_ID()` gives from now on.
    InsertId(u64),
    /// The workspace variable.
    Workspace(Option<WorkspaceId>),
    /// SET TRANSACTION without a scope.
    NextTransaction,
}

impl Session {
    /// SET, whatever it sets.
    pub(in crate::session) async fn set_statement(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        let Parsed::Set(items) = self.parse(statement)? else { return Err(unread()) };
        let changes = self.read_items(&items)?;
        if changes.contains(&Change::NextTransaction) && !self.state.transaction.is_open() {
            return self.keep_for_next_transaction(statement.text).await;
        }
        if self.state.held.is_none() && self.lingering.is_none() {
            if !changes.iter().any(Change::is_servers) {
                let settings = settings_with(&self.state.settings, &changes)?;
                self.take_over(&changes, Arc::new(settings));
                return self.send_ok().await;
            }
            let class = self.capabilities.masked(CLASS_MASK);
            if let Some(accepted) = self.services.settings.get(&self.state.settings, class, statement.text) {
                self.take_over(&changes, accepted.settings);
                return self.send_set_answer(accepted.answer.to_vec().into()).await;
            }
        }
        self.set_on_server(job, statement, snapshot, &changes).await
    }

    /// SET TRANSACTION for the next transaction, wherever that will run.
    async fn keep_for_next_transaction(&mut self, text: &[u8]) -> Flow {
        if let Transaction::Deferred(_) = self.state.transaction {
            return Err(ClientError::of(Code::TransactionInProgress).into());
        }
        if self.state.next_transaction.len() >= NEXT_TRANSACTION_MAX {
            return Err(ClientError::of(Code::NotSupported).into());
        }
        self.state.next_transaction.push(text.to_vec());
        self.send_ok().await
    }

    async fn set_on_server(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
        changes: &[Change],
    ) -> Flow {
        let place = self.any_place(snapshot, job, &statement.said)?;
        self.forget_lingering();
        let was_held = self.state.held.is_some();
        let _admitted = self.admit(job, &place).await?;
        let mut held = self.take_connection(&place, None).await?;
        let done = match self.apply_state(&mut held, &place).await {
            Ok(()) => self.set_on(&mut held, statement.text, changes).await,
            Err(failure) => Err(failure),
        };
        let (answer, settings) = match done {
            Ok(done) => done,
            Err(failure) => {
                self.put_back(held, &failure);
                return Err(failure);
            }
        };
        if let Some(settings) = settings {
            let is_shared = changes.iter().all(Change::is_shared) && self.tracker.end().warnings == 0;
            if is_shared && !was_held {
                let accepted = Accepted { settings: settings.clone(), answer: answer[..].into() };
                let class = self.capabilities.masked(CLASS_MASK);
                self.services.settings.insert(&self.state.settings, class, statement.text, accepted);
            }
            held.checkout.note_settings(settings.clone());
            if changes.contains(&Change::UserComputed) {
                held.checkout.mark_dirty();
                self.state.pins = self.state.pins.with(Pins::USER_VARIABLE);
            }
            self.take_over(changes, settings);
        }
        self.settle(job, held);
        self.send_set_answer(answer).await
    }

    /// Runs the SET on a connection. Gives the answer and, unless it is an error, the settings after it.
    async fn set_on(
        &mut self,
        held: &mut Held,
        text: &[u8],
        changes: &[Change],
    ) -> Flow<(Collected, Option<Arc<SessionSettings>>)> {
        let payload = crate::protocol::command::query_payload(text, &[], held.checkout.capabilities());
        held.checkout.queue_command(&payload);
        let answer = self.collect(held, crate::protocol::response::CommandKind::Query).await?;
        if self.tracker.end().error.is_some() {
            return Ok((answer, None));
        }
        let answered = std::mem::take(&mut self.tracker);
        let mut resolved = Vec::with_capacity(changes.len());
        for change in changes {
            resolved.push(match change {
                Change::ReadBack(name) => {
                    let literal = self.read_variable(held, name).await?;
                    Change::Variable(name.clone(), literal)
                }
                other => other.clone(),
            });
        }
        if changes.iter().any(|change| change.is_of(STATE_TRACKING)) {
            // It was run for its answer; the connection goes on telling.
            self.ask(held, format!("SET SESSION {STATE_TRACKING} = 1").as_bytes()).await?;
        }
        self.tracker = answered;
        let settings = settings_with(&self.state.settings, &resolved).map_err(|error| {
            // The server has it and the session cannot keep it: the connection is of no more use.
            Failure::Unusable(error)
        })?;
        Ok((answer, Some(Arc::new(settings))))
    }

    /// The value of a session variable on a connection, as a literal.
    async fn read_variable(&mut self, held: &mut Held, name: &str) -> Flow<Box<str>> {
        let value = self.ask_value(held, &format!("SELECT @@session.{name}")).await?;
        let Some(value) = value else { return Ok("NULL".into()) };
        let is_number =
            !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
        Ok(if is_number { value.into() } else { stable_literal(&value).into() })
    }

    /// Makes the changes the session's own.
    fn take_over(&mut self, changes: &[Change], settings: Arc<SessionSettings>) {
        let had_autocommit = self.state.autocommit;
        for change in changes {
            match change {
                Change::Workspace(workspace) => self.state.workspace_variable = workspace.clone(),
                Change::InsertId(id) => {
                    self.state.last.insert_id = *id;
                    self.state.last.insert_thread = None;
                }
                Change::Variable(name, value) if &**name == "autocommit" => {
                    self.state.autocommit = is_on(value)
                }
                Change::Default(name) if &**name == "autocommit" => self.state.autocommit = true,
                _ => {}
            }
        }
        if self.state.autocommit && !had_autocommit {
            // Turning it on commits; of what no server has seen nothing is left.
            if let Transaction::Deferred(_) = self.state.transaction {
                self.state.transaction = Transaction::Idle;
            }
        }
        self.state.mode = mode_of(&settings, self.services.server_version(), self.state.ignores_space);
        let seconds = settings.variable("wait_timeout").and_then(|literal| literal.parse().ok());
        self.state.asks_state_changes = settings.variable(STATE_TRACKING).is_some_and(is_on);
        self.state.wait_timeout = seconds.map(Duration::from_secs);
        self.state.settings = settings;
    }

    /// Reads what each item of the list means.
    fn read_items(&self, items: &[SetItem]) -> Result<Vec<Change>, ClientError> {
        let mut changes = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SetItem::Variable { scope, name, value } => {
                    changes.push(read_variable_item(*scope, &name.text, value)?)
                }
                SetItem::UserVariable { name, value } => {
                    self.read_user_variable(&name.text, value, &mut changes)?
                }
                SetItem::Names { charset: Some(charset), collation } => {
                    let collation = collation.as_ref().map(|name| stable_literal(&name.text).into());
                    changes.push(Change::Names(stable_literal(&charset.text).into(), collation));
                }
                SetItem::CharacterSet { charset: Some(charset) } => {
                    let literal: Box<str> = stable_literal(&charset.text).into();
                    changes.push(Change::Variable("character_set_client".into(), literal.clone()));
                    changes.push(Change::Variable("character_set_results".into(), literal));
                    changes.push(Change::ReadBack("collation_connection".into()));
                }
                SetItem::Names { charset: None, .. } | SetItem::CharacterSet { charset: None } => {
                    let names = ["character_set_client", "character_set_results", "collation_connection"];
                    changes.extend(names.map(|name| Change::ReadBack(name.into())));
                }
                SetItem::Transaction { scope, isolation, read_only } => {
                    changes.extend(read_transaction(*scope, *isolation, *read_only)?);
                }
                SetItem::Password | SetItem::Role { .. } | SetItem::ResourceGroup => {
                    let message = "accounts, roles and resource groups are the servers' own";
                    return Err(ClientError::new(Code::NotSupported, message));
                }
                SetItem::ForStatement { .. } => return Err(ClientError::of(Code::NotSupported)),
            }
        }
        if changes.len() > 1 && changes.contains(&Change::NextTransaction) {
            return Err(ClientError::of(Code::NotSupported));
        }
        check_readable(&changes)?;
        Ok(changes)
    }

    fn read_user_variable(
        &self,
        name: &str,
        value: &SetValue,
        changes: &mut Vec<Change>,
    ) -> Result<(), ClientError> {
        if name.eq_ignore_ascii_case(&self.serving.config.routing.workspace_variable) {
            changes.push(Change::Workspace(read_workspace(value)?));
        }
        changes.push(match literal_of(value) {
            Some(literal) => Change::UserVariable(name.into(), literal),
            None => Change::UserComputed,
        });
        Ok(())
    }
}

impl Change {
    /// Says whether only a server can tell that it is right.
    fn is_servers(&self) -> bool {
        !matches!(
            self,
            Self::Workspace(_) | Self::UserVariable(..) | Self::NextTransaction | Self::InsertId(_)
        )
    }

    /// Says whether it is about this session variable.
    fn is_of(&self, variable: &str) -> bool {
        let (Self::Variable(name, _) | Self::Default(name) | Self::ReadBack(name)) = self else {
            return false;
        };
        name.eq_ignore_ascii_case(variable)
    }

    /// Says whether another session with equal settings comes to the same.
    fn is_shared(&self) -> bool {
        !matches!(self, Self::UserComputed | Self::NextTransaction | Self::Workspace(_))
    }

    fn as_setting(&self) -> Option<SettingChange<'_>> {
        Some(match self {
            Self::Variable(name, literal) => SettingChange::Variable { name, literal },
            Self::Default(name) => SettingChange::ForgetVariable(name),
            Self::Names(charset, collation) => {
                SettingChange::Names { charset, collation: collation.as_deref() }
            }
            Self::UserVariable(name, literal) if &**literal == "NULL" => {
                SettingChange::ForgetUserVariable(name)
            }
            Self::UserVariable(name, literal) => SettingChange::UserVariable { name, literal },
            Self::ReadBack(_)
            | Self::UserComputed
            | Self::Workspace(_)
            | Self::InsertId(_)
            | Self::NextTransaction => {
                return None;
            }
        })
    }
}

/// Refuses settings under which texts would be read in a way that is not known here.
fn check_readable(changes: &[Change]) -> Result<(), ClientError> {
    for change in changes {
        let charset = match change {
            Change::Names(charset, _) => charset,
            Change::Variable(name, charset) if &**name == "character_set_client" => charset,
            Change::Variable(name, modes) if &**name == "sql_mode" => {
                let modes = modes.to_ascii_uppercase();
                if ["MSSQL", "ORACLE"].iter().any(|mode| modes.contains(mode)) {
                    let message = "the sql_modes MSSQL and ORACLE have a grammar of their own";
                    return Err(ClientError::new(Code::NotSupported, message));
                }
                continue;
            }
            Change::Variable(name, engine) if name.starts_with("default_") && name.ends_with("_engine") => {
                let engine = engine.trim_matches('\'');
                if REMOTE_ENGINES.iter().any(|remote| engine.eq_ignore_ascii_case(remote)) {
                    let message = "tables of this engine are on other servers";
                    return Err(ClientError::new(Code::NotSupported, message));
                }
                continue;
            }
            _ => continue,
        };
        if ClientCharset::of(charset.trim_matches('\'')).is_none() {
            let message = format!("{charset} as a client's character set: ASCII is not ASCII in it");
            return Err(ClientError::new(Code::NotSupported, message));
        }
    }
    Ok(())
}

fn settings_with(settings: &SessionSettings, changes: &[Change]) -> Result<SessionSettings, ClientError> {
    check_readable(changes)?;
    let changes: Vec<SettingChange<'_>> = changes.iter().filter_map(Change::as_setting).collect();
    settings.with(&changes).map_err(|error| match error {
        UnstableSetting::TooMany => ClientError::new(Code::NotSupported, error.to_string()),
        UnstableSetting::Literal { .. } | UnstableSetting::Name { .. } => {
            ClientError::new(Code::NotSupported, error.to_string())
        }
    })
}

/// The value as a literal that means the same everywhere; `None` when only a server can compute it.
fn literal_of(value: &SetValue) -> Option<Box<str>> {
    match &value.kind {
        ValueKind::Text(text) => Some(stable_literal(text).into()),
        ValueKind::Number(number) if number.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.') => {
            Some(number.as_str().into())
        }
        ValueKind::Word(word) => Some(word.as_str().into()),
        ValueKind::Null => Some("NULL".into()),
        _ => None,
    }
}

fn read_variable_item(scope: VariableScope, name: &str, value: &SetValue) -> Result<Change, ClientError> {
    if !matches!(scope, VariableScope::Implicit | VariableScope::Session) {
        let message = format!("SET GLOBAL {name}: global variables are the servers' own");
        return Err(ClientError::new(Code::NotSupported, message));
    }
    if UNKEPT_VARIABLES.contains(&name) {
        let message = format!("SET {name}: the variable holds for one connection or statement only");
        return Err(ClientError::new(Code::NotSupported, message));
    }
    if matches!(name, "last_insert_id" | "identity") {
        return read_insert_id(name, value);
    }
    let name: Box<str> = name.into();
    // Numbers stand for sets and ids that only a server can name, as does the default.
    let is_read_back = match value.kind {
        ValueKind::Default => has_odd_default(&name) || &*name == "sql_mode",
        ValueKind::Number(_) => &*name == "sql_mode" || name.starts_with("character_set_"),
        _ => false,
    };
    if is_read_back {
        return Ok(Change::ReadBack(name));
    }
    Ok(match (&value.kind, literal_of(value)) {
        (ValueKind::Default, _) => Change::Default(name),
        (_, Some(literal)) => Change::Variable(name, literal),
        (_, None) => Change::ReadBack(name),
    })
}

fn read_insert_id(name: &str, value: &SetValue) -> Result<Change, ClientError> {
    let id = match &value.kind {
        ValueKind::Number(number) => number.parse().ok(),
        _ => None,
    };
    id.map(Change::InsertId).ok_or_else(|| {
        ClientError::new(Code::NotSupported, format!("SET {name} takes a whole number through the proxy"))
    })
}

fn read_workspace(value: &SetValue) -> Result<Option<WorkspaceId>, ClientError> {
    let text = match &value.kind {
        ValueKind::Text(text) | ValueKind::Number(text) => text.as_str(),
        ValueKind::Null => return Ok(None),
        _ => {
            let message = "the workspace variable takes a literal or NULL";
            return Err(ClientError::new(Code::UnroutableValue, message));
        }
    };
    match WorkspaceId::parse(text) {
        Some(workspace) => Ok(Some(workspace)),
        None if text.is_empty() => Ok(None),
        None => Err(ClientError::new(Code::UnroutableValue, "the workspace id is too long")),
    }
}

fn read_transaction(
    scope: VariableScope,
    isolation: Option<IsolationLevel>,
    read_only: Option<bool>,
) -> Result<Vec<Change>, ClientError> {
    match scope {
        VariableScope::Implicit => return Ok(vec![Change::NextTransaction]),
        VariableScope::Session => {}
        _ => return Err(ClientError::new(Code::NotSupported, "SET GLOBAL TRANSACTION is the servers' own")),
    }
    let level = isolation.map(|level| match level {
        IsolationLevel::ReadUncommitted => "'READ-UNCOMMITTED'",
        IsolationLevel::ReadCommitted => "'READ-COMMITTED'",
        IsolationLevel::RepeatableRead => "'REPEATABLE-READ'",
        IsolationLevel::Serializable => "'SERIALIZABLE'",
    });
    let level = level.map(|level| Change::Variable("transaction_isolation".into(), level.into()));
    let mode = read_only
        .map(|on| Change::Variable("transaction_read_only".into(), if on { "1" } else { "0" }.into()));
    Ok(level.into_iter().chain(mode).collect())
}

fn is_on(value: &str) -> bool {
    let value = value.trim_matches(['\'', '"']);
    value == "1" || value.eq_ignore_ascii_case("on") || value.eq_ignore_ascii_case("true")
}

/// How texts are to be read under a session's settings: as the server reads them. Pools refuse servers whose
/// own `sql_mode` would change that.
pub(in crate::session) fn mode_of(
    settings: &SessionSettings,
    server: sql::ServerVersion,
    ignores_space: bool,
) -> SqlMode {
    let unquoted = |name: &str| settings.variable(name).map(|literal| literal.trim_matches('\''));
    let mut mode = SqlMode { server, ..SqlMode::default() };
    mode = match unquoted("sql_mode") {
        Some(names) => mode.with_names(names),
        None => SqlMode { ignore_space: ignores_space, ..mode },
    };
    // What is no charset of ours is refused when it is set.
    mode.charset = match unquoted("character_set_client") {
        Some(name) => ClientCharset::of(name).unwrap_or(ClientCharset::Other),
        None => ClientCharset::of_collation(settings.collation()).unwrap_or(ClientCharset::Other),
    };
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_follow_settings() {
        let change =
            [SettingChange::Variable { name: "sql_mode", literal: "'STRICT_ALL_TABLES,ANSI_QUOTES'" }];
        let settings = SessionSettings::new(255).with(&change).unwrap();
        let mode = mode_of(&settings, sql::ServerVersion::default(), false);
        assert!(mode.ansi_quotes && !mode.no_backslash_escapes);
        let change = [SettingChange::Names { charset: "'gbk'", collation: None }];
        let settings = SessionSettings::new(255).with(&change).unwrap();
        assert_eq!(mode_of(&settings, sql::ServerVersion::default(), false).charset, ClientCharset::Gbk);
    }

    #[test]
    fn switches_are_read() {
        for (text, on) in [("1", true), ("ON", true), ("'on'", true), ("0", false), ("OFF", false)] {
            assert_eq!(is_on(text), on, "{text}");
        }
    }
}
