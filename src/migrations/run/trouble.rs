//! What keeps a migration from going on.

use crate::backend::direct::DirectError;
use crate::ids::UserName;
use crate::migrations::cutover::CutError;
use crate::migrations::engine::EngineError;
use crate::migrations::ledger::NotBegun;
use crate::migrations::view::Failure;
use crate::topology::StoreError;

use super::clusters::Unreached;

/// Refusals behind which the same statement may succeed a little later: lock waits and deadlocks; a server
/// that is read-only or stops, as in the middle of a failover.
const PASSING: [u16; 8] = [1205, 1213, 1290, 1836, 1040, 1203, 3100, 1053];

/// Why a migration does not go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is tried again, from the last step that is written down.
    Passing(String),
    /// It ends; the table is as it was.
    Failed(Failure),
    /// An operator ends it.
    Cancelled(UserName),
    /// This proxy does not carry it out any more.
    LetGo,
    /// Whether the tables were exchanged is not known: the server has to be asked.
    Unknown(String),
}

impl Trouble {
    /// One that is no server's refusal.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(message))
    }
}

impl From<DirectError> for Trouble {
    fn from(error: DirectError) -> Self {
        match &error {
            DirectError::Refused(refused) if !PASSING.contains(&refused.errno) => {
                let state = refused.sqlstate_text().to_string();
                Self::Failed(Failure {
                    server: Some((refused.errno, state)),
                    message: refused.message.clone(),
                })
            }
            _ => Self::Passing(error.to_string()),
        }
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Server { source, .. } if !source.is_lost() => source.into(),
            // The caller knows why: it looks at the orders.
            EngineError::Stopped | EngineError::Superseded => Self::LetGo,
            error if error.is_passing() => Self::Passing(error.to_string()),
            error => Self::Failed(Failure { server: error.server(), message: error.to_string() }),
        }
    }
}

impl From<CutError> for Trouble {
    fn from(error: CutError) -> Self {
        match error {
            CutError::Engine(error) => error.into(),
            CutError::Refused(error) => error.into(),
            CutError::TableChanged => Self::failed(error.to_string()),
            CutError::Lost(_) => Self::Unknown(error.to_string()),
        }
    }
}

impl From<Unreached> for Trouble {
    fn from(error: Unreached) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Passing(format!("the store: {error}"))
    }
}

impl From<NotBegun> for Trouble {
    fn from(error: NotBegun) -> Self {
        match error {
            NotBegun::Busy(id) => Self::failed(format!("migration {id} changes the table already")),
            NotBegun::Store(error) => error.into(),
        }
    }
}
