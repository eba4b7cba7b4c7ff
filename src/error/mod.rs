//! The code table and the error that a client finally sees.
//!
//! Owns the stable codes, their MySQL errno and SQLSTATE, and the three questions every error answers: where
//! it came from ([`Origin`]), what became of the statement ([`Outcome`]), whether trying again helps
//! ([`Retry`]). It does not own the errors of modules: each module has its own enum and turns it into a
//! [`ClientError`].

mod codes;

pub use codes::Code;

use std::borrow::Cow;
use std::fmt;

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client: its packet, its SQL, its credentials.
    Client,
    /// Bulkhead: a limit, a route, a bug.
    Proxy,
    /// A shard's server or the way to it.
    Shard,
}

/// What became of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No byte of it reached a server.
    NotSent,
    /// A server (or Bulkhead) surely refused it.
    Refused,
    /// A server applied it, and what followed failed.
    Applied,
    /// It was sent and the answer was lost.
    Unknown,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same statement fails again.
    Never,
    /// The same plan, on a fresh connection.
    FreshConnection,
    /// A new plan: routing may have changed.
    Replan,
    /// The same again a little later, on the same connection.
    Later,
}

/// What a client sees of an error.
///
/// **Shape**: becomes one ERR packet: errno, `#`, SQLSTATE, message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// The stable code, absent when a MySQL error is passed on in MySQL's own words.
    pub code: Code,
    /// What happened, one sentence without the remedy; never holds user SQL or values beyond names.
    pub message: Cow<'static, str>,
    /// What became of the statement.
    pub outcome: Outcome,
    /// errno and SQLSTATE of a server's own error, passed on in its own words.
    server: Option<(u16, [u8; 5])>,
}

impl ClientError {
    /// An error of `code` with details of this occurrence; the outcome is "refused".
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), outcome: Outcome::Refused, server: None }
    }

    /// A server's own error, passed on as it is.
    pub fn from_server(errno: u16, sqlstate: [u8; 5], message: &str) -> Self {
        let server = Some((errno, sqlstate));
        Self { server, ..Self::new(Code::ServerError, message.to_owned()) }
    }

    /// An error of `code` in the table's own sentence.
    pub fn of(code: Code) -> Self {
        Self::new(code, code.sentence())
    }

    /// The same error with another outcome.
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// MySQL errno.
    pub fn errno(&self) -> u16 {
        self.server.map_or(self.code.errno(), |(errno, _)| errno)
    }

    /// SQLSTATE, five ASCII bytes.
    pub fn sqlstate(&self) -> &str {
        let own = self.server.as_ref().and_then(|(_, state)| std::str::from_utf8(state).ok());
        own.unwrap_or(self.code.sqlstate())
    }

    /// The message of the ERR packet: MySQL's own words for MySQL's own errors, else code, name, sentence,
    /// remedy.
    pub fn wire_message(&self) -> String {
        let unknown =
            if self.outcome == Outcome::Unknown { " (whether it was applied is unknown)" } else { "" };
        if self.code.is_mysql_own() {
            return format!("{}{unknown}", self.message);
        }
        let (id, name, remedy) = (self.code.id(), self.code.name(), self.code.remedy());
        format!("bulkhead {id} {name}: {}{unknown}; {remedy}", self.message)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wire_message())
    }
}

impl std::error::Error for ClientError {}
