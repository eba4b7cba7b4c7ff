//! Events of a binary log: bytes to facts, without IO.
//!
//! Owns the formats of MySQL's and MariaDB's events as far as they matter for the changes of tables: headers
//! and checksums, transactions, table maps, rows, compressed transactions and events. What is about tables
//! that nobody asked for is passed over by its header.
//!
//! Invariants: every read is bounds-checked and none panics; nothing is allocated by a length that the bytes
//! only claim; an event that is not known is an error unless its writer marked it as one that may be ignored.
//!
//! **Source**: MySQL source documentation, "Binary Log Event" pages of `libs/mysql/binlog/event`; MariaDB
//! documentation, "Replication Protocol".

mod envelope;
mod header;
mod payload;
mod reader;
mod rows;
mod statement;
mod table;
mod transaction;

pub(super) use reader::{Ending, Happening, Interest, Reader};
pub(super) use rows::{RowFault, RowsEvent};
pub(super) use statement::Statement;
pub(super) use transaction::TransactionId;

#[cfg(test)]
mod tests;

use crate::protocol::errors::ProtocolError;

/// Why an event could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinlogError {
    /// It ends inside a field.
    #[error("{what} reaches past the end of the event")]
    Truncated {
        /// The field.
        what: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("{what} has an impossible value")]
    Malformed {
        /// The field.
        what: &'static str,
    },
    /// Its checksum is another one: it was damaged in the log or on the way.
    #[error("an event of type {kind} is damaged: its checksum is not that of its bytes")]
    Checksum {
        /// Number of its type.
        kind: u8,
    },
    /// An event that is not known, and that its writer did not mark as one that may be ignored.
    #[error("events of type {kind} are not known to this version of Bulkhead")]
    Unknown {
        /// Number of its type.
        kind: u8,
    },
    /// Compressed in a way that is not known, or not what it says.
    #[error("a compressed event cannot be read: {what}")]
    Compression {
        /// What is wrong.
        what: &'static str,
    },
    /// An event inside a compressed transaction is larger than any may be.
    #[error("an event of {bytes} bytes is beyond the bound of {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
}

impl From<ProtocolError> for BinlogError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Truncated { what } => Self::Truncated { what },
            ProtocolError::Malformed { what } | ProtocolError::Unexpected { what } => {
                Self::Malformed { what }
            }
            _ => Self::Malformed { what: "event" },
        }
    }
}
