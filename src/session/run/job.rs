//! A job: one command for one server, whatever the protocol it came by.

use std::time::Instant;

use crate::plan::Plan;
use crate::protocol::response::CommandKind;
use crate::sql::Scan;

use crate::session::prepared::Execution;

/// What goes to the server.
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
pub(in crate::session) struct Job<'a> {
    /// What goes to the server.
    pub payload: Payload<'a>,
    /// How its answer looks.
    pub kind: CommandKind,
    /// How it was planned.
    pub plan: &'a Plan,
    /// Fingerprint for statistics; 0 for commands that are no statements.
    pub digest: u64,
    /// What the fingerprint is of, for the first time that it is seen.
    pub scan: Option<&'a Scan>,
    /// The client's text.
    pub text: &'a [u8],
    /// When the command arrived.
    pub started: Instant,
}
