//! A job: one command for one server, whatever the protocol it came by.

use std::time::Instant;

use crate::backend::TextHash;
use crate::plan::Plan;
use crate::protocol::response::CommandKind;
use crate::sql::Scan;

use crate::session::prepared::Execution;

/// What goes to the server.
#[derive(Clone, Copy)]
pub(in crate::session) enum Payload<'a> {
    /// COM_QUERY.
    Text {
        /// The query attributes as the client sent them, empty without the capability.
        attributes: &'a [u8],
        /// The statement.
        text: &'a [u8],
    },
    /// COM_STMT_EXECUTE of a statement that the connection may have to prepare first.
    Execute(Execution<'a>),
    /// Any other command, as bytes.
    Raw(&'a [u8]),
}

/// One command for one server.
#[derive(Clone, Copy)]
pub(in crate::session) struct Job<'a> {
    /// What goes to the server.
    pub payload: Payload<'a>,
    /// How its answer looks.
    pub kind: CommandKind,
    /// How it was planned.
    pub plan: &'a Plan,
    /// What was found in the text; absent for commands that are no statements.
    pub scan: Option<&'a Scan>,
    /// The client's text.
    pub text: &'a [u8],
    /// When the command arrived.
    pub started: Instant,
}

impl<'a> Job<'a> {
    /// The statement's text as it goes to the server; empty for commands that are no statements.
    pub(in crate::session) fn server_text(&self) -> &'a [u8] {
        match self.payload {
            Payload::Text { text, .. } => text,
            Payload::Execute(execution) => execution.text,
            Payload::Raw(_) => &[],
        }
    }

    /// Bytes of the parameters of an execution.
    pub(in crate::session) fn parameter_bytes(&self) -> usize {
        match &self.payload {
            Payload::Execute(execution) => {
                let long: usize = execution.statement.long_data.values().map(Vec::len).sum();
                execution.execute.raw.len() + long
            }
            Payload::Text { .. } | Payload::Raw(_) => 0,
        }
    }

    /// The same job with another text for the server.
    pub(in crate::session) fn with_text<'b>(&self, text: &'b [u8]) -> Option<Job<'b>>
    where
        'a: 'b,
    {
        let payload = match self.payload {
            Payload::Text { attributes, .. } => Payload::Text { attributes, text },
            Payload::Execute(execution) => {
                Payload::Execute(Execution { text, text_hash: TextHash::of(text), ..execution })
            }
            Payload::Raw(_) => return None,
        };
        Some(Job { payload, ..*self })
    }
}
