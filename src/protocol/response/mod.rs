//! Where one command's answer ends: a state machine over wire bytes, without IO.
//!
//! Owns the boundaries of every kind of answer and the facts an answer ends with (status, rows, error).
//! Packets are recognised by header and first byte; rows and column definitions are skipped, never decoded,
//! and nothing is allocated unless the answer is an error or tells session changes. A server that breaks the
//! protocol is a `ProtocolError`: its connection must be closed.
//!
//! States: see `Phase`; each arm of the transitions names what follows.

mod state_view;
mod tracker;
mod upload;

pub use state_view::StateView;
pub use tracker::ResponseTracker;
pub use upload::UploadTracker;

#[cfg(test)]
mod tests;

use super::capability::StatusFlags;
use super::result::{ServerError, SessionChanges};

/// What kind of answer a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// COM_QUERY, COM_PROCESS_INFO: OK, ERR, a client's file, or result sets.
    Query,
    /// COM_STMT_PREPARE.
    Prepare,
    /// COM_STMT_EXECUTE: as a query, or a cursor without rows.
    Execute,
    /// COM_STMT_FETCH: rows without column definitions.
    Fetch,
    /// COM_FIELD_LIST: column definitions.
    FieldList,
    /// OK or ERR; EOF is taken as OK.
    Simple,
    /// COM_STATISTICS: one string.
    Statistics,
    /// COM_SET_OPTION: EOF or OK.
    SetOption,
    /// COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA, COM_QUIT: no answer.
    None,
}

/// What [`ResponseTracker::advance`] found. `forward` bytes from the front belong to the answer and are to be
/// passed on and not shown again; what stands behind them is to be shown again, with more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The answer goes on.
    More {
        /// Bytes to forward; zero if what is there is too little to know.
        forward: usize,
    },
    /// The server asks for a client's file: pass the request on, then the client's packets up to the empty
    /// one ([`UploadTracker`]), then the answer goes on.
    LocalInfile {
        /// Bytes to forward.
        forward: usize,
    },
    /// The answer is complete.
    Done {
        /// Bytes to forward.
        forward: usize,
    },
}

impl Advance {
    /// Bytes to forward.
    pub fn forward(self) -> usize {
        match self {
            Advance::More { forward } | Advance::LocalInfile { forward } | Advance::Done { forward } => {
                forward
            }
        }
    }
}

/// What COM_STMT_PREPARE gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOk {
    /// The server's id of the statement.
    pub statement_id: u32,
    /// Columns of its result set.
    pub columns: u16,
    /// Parameters.
    pub params: u16,
    /// Warnings.
    pub warnings: u16,
}

/// What an answer ended with; meaningful once it is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseEnd {
    /// Status flags of the last OK or EOF packet.
    pub status: StatusFlags,
    /// Warnings of the last OK or EOF packet.
    pub warnings: u16,
    /// Affected rows, all results together.
    pub affected_rows: u64,
    /// The last insert id of the last OK packet.
    pub last_insert_id: u64,
    /// Rows, all results together.
    pub rows: u64,
    /// Wire bytes forwarded.
    pub bytes: u64,
    /// The error the answer ended with.
    pub error: Option<ServerError>,
    /// Wire bytes of its packet.
    pub error_packet_bytes: usize,
    /// What a prepare gave.
    pub prepared: Option<PrepareOk>,
    /// Results, the error included.
    pub results: u32,
    /// Columns of the last result set.
    pub columns: u32,
    /// Session state changed, beyond what has entries of its own (user variables, any variable, temporary
    /// tables), as far as OK packets (and MariaDB's EOF packets) tell.
    pub state_changed: bool,
    /// The last packet was an OK: changes of state are told by then, and not by a later packet.
    pub is_state_told: bool,
    /// What session tracking told, the results' changes merged in order.
    pub session_state: Option<SessionChanges>,
}
