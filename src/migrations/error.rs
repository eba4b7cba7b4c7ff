//! Why something that was asked of migrations is not done.

use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, MigrationId};

use super::request::Command;
use super::view::State;

/// Why a migration was not taken on. Nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Another one changes the table.
    #[error("migration {id} changes the table already")]
    Busy {
        /// That one.
        id: MigrationId,
    },
    /// The cluster has as many as it may.
    #[error("cluster {cluster} has {waiting} migrations waiting")]
    Full {
        /// The cluster.
        cluster: ClusterName,
        /// Migrations that wait for their turn.
        waiting: usize,
    },
    /// Online schema changes are turned off by the config.
    #[error("online schema changes are off")]
    Off,
    /// There is no such cluster.
    #[error("no cluster {0}")]
    UnknownCluster(ClusterName),
    /// The statement cannot be run on a copy.
    #[error("{0}")]
    Unfit(String),
    /// The store could not write it down.
    #[error("it could not be written down: {0}")]
    Store(#[from] crate::topology::StoreError),
}

impl From<SubmitError> for ClientError {
    fn from(error: SubmitError) -> Self {
        let code = match &error {
            SubmitError::Busy { .. } => Code::MigrationBusy,
            SubmitError::Full { .. } => Code::MigrationsFull,
            SubmitError::Off => Code::MigrationsOff,
            SubmitError::UnknownCluster(_) | SubmitError::Unfit(_) => Code::MigrationRefused,
            SubmitError::Store(_) => Code::MigrationUnwritten,
        };
        Self::new(code, error.to_string())
    }
}

/// Why a command was not followed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such migration.
    #[error("no migration {0}")]
    NotFound(MigrationId),
    /// It is in a state in which that means nothing.
    #[error("migration {id} is {}: it cannot {}", state.name(), command.word())]
    NotNow {
        /// The migration.
        id: MigrationId,
        /// Its state.
        state: State,
        /// What was asked.
        command: Command,
    },
    /// The old table that it needs is not kept.
    #[error("migration {0} has no old table any more")]
    NoOldTable(MigrationId),
    /// Another proxy carries it out.
    #[error("migration {id} is carried out by {owner}")]
    Elsewhere {
        /// The migration.
        id: MigrationId,
        /// That proxy.
        owner: String,
    },
    /// A migration that it asks for was not taken on.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store could not write it down.
    #[error("it could not be written down: {0}")]
    Store(#[from] crate::topology::StoreError),
}

impl From<CommandError> for ClientError {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::NotFound(_) => Code::AdminNotFound,
            CommandError::NotNow { .. } | CommandError::NoOldTable(_) => Code::MigrationNotNow,
            CommandError::Elsewhere { .. } => Code::MigrationNotHere,
            CommandError::Submit(_) => Code::MigrationRefused,
            CommandError::Store(_) => Code::MigrationUnwritten,
        };
        Self::new(code, error.to_string())
    }
}
