//! Why something that was asked of fleet migrations is not done.

use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, MigrationId};
use crate::migrations::fleet::ledger::BookError;
use crate::migrations::fleet::plan::WaveFault;
use crate::migrations::fleet::schedule::{Refusal, SubmitRefusal};

/// Why something is not done. Nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Online schema changes are turned off by the config.
    #[error("online schema changes are off")]
    Off,
    /// There is no such keyspace.
    #[error("there is no keyspace {0}")]
    NoKeyspace(Keyspace),
    /// There is no statement, or too many.
    #[error("{found} statements; a fleet migration has 1 to {most}")]
    Statements {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A statement cannot be carried out in many databases, or cannot be read; nothing depends on the
    /// databases.
    #[error("statement {at}: {why}")]
    Unfit {
        /// Which, from 1.
        at: usize,
        /// Why, and what to do instead.
        why: String,
    },
    /// What a session would be told of the statement in one database: it is refused by the rules of schema
    /// changes, or needs to be acknowledged or proven.
    #[error("{0}")]
    Refused(ClientError),
    /// No database has the table.
    #[error("none of the {databases} databases of {keyspace} has the table {table}")]
    NoTable {
        /// The keyspace.
        keyspace: Keyspace,
        /// Its databases.
        databases: u32,
        /// The table.
        table: String,
    },
    /// No database could be read.
    #[error("the databases cannot be read: {0}")]
    Unread(String),
    /// The options cannot be followed.
    #[error(transparent)]
    Waves(#[from] WaveFault),
    /// The scheduler does not take it on.
    #[error(transparent)]
    Submit(#[from] SubmitRefusal),
    /// A command means nothing now.
    #[error(transparent)]
    Command(#[from] Refusal),
    /// There is no such migration.
    #[error("no fleet migration {0}")]
    NotFound(MigrationId),
    /// Another proxy carries fleet migrations out.
    #[error("another proxy carries fleet migrations out")]
    NotOwner,
    /// The store.
    #[error(transparent)]
    Book(BookError),
    /// The proxy is stopping, or has not read the store yet.
    #[error("fleet migrations are not carried out by this proxy at the moment")]
    NotRunning,
}

impl From<BookError> for FleetError {
    fn from(error: BookError) -> Self {
        match error {
            BookError::NotOwner => Self::NotOwner,
            error => Self::Book(error),
        }
    }
}

impl From<FleetError> for ClientError {
    fn from(error: FleetError) -> Self {
        let code = match &error {
            FleetError::Off => Code::MigrationsOff,
            FleetError::Refused(refusal) => return refusal.clone(),
            FleetError::NoKeyspace(_) | FleetError::NotFound(_) => Code::AdminNotFound,
            FleetError::NoTable { .. } => Code::FleetNoTable,
            FleetError::Statements { .. } | FleetError::Unfit { .. } | FleetError::Waves(_) => {
                Code::FleetRefused
            }
            FleetError::Submit(_) => Code::FleetRefused,
            FleetError::Unread(_) => Code::FleetUnread,
            FleetError::Command(Refusal::NotFound(_)) => Code::AdminNotFound,
            FleetError::Command(_) => Code::FleetNotNow,
            FleetError::NotOwner | FleetError::NotRunning => Code::FleetNotHere,
            FleetError::Book(_) => Code::FleetUnwritten,
        };
        Self::new(code, error.to_string())
    }
}
