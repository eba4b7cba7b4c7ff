//! Why a database was not changed, and what that means for its row.

use std::fmt;

use crate::backend::direct::DirectError;
use crate::error::Outcome as Sent;
use crate::migrations::Failure;
use crate::migrations::fleet::ledger::Outcome;
use crate::migrations::fleet::live::passing::is_passing;
use crate::migrations::run::Unreached;
use crate::protocol::result::ServerError;

/// The database or the table is not there any more.
const GONE: [u16; 2] = [1049, 1146];

/// Why a database was not changed, or is not known to be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is unchanged for sure, and another try may help.
    Again(Failure),
    /// It is unchanged for sure.
    Failed(Failure),
    /// It is not known.
    Unknown(Failure),
    /// It is not there any more.
    Gone,
}

impl Trouble {
    pub(super) fn again(why: impl Into<String>) -> Self {
        Self::Again(Failure::new(why))
    }

    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(Failure::new(why))
    }

    /// A statement that changes something did not come to its end.
    pub(super) fn of_change(error: DirectError) -> Self {
        match error {
            DirectError::Refused(error) => Self::refused(&error),
            DirectError::Lost { outcome: Sent::NotSent, cause } => Self::again(cause.to_string()),
            error => Self::Unknown(Failure::new(error.to_string())),
        }
    }

    fn refused(error: &ServerError) -> Self {
        if GONE.contains(&error.errno) {
            return Self::Gone;
        }
        let failure = failure_of(error);
        if is_passing(error) { Self::Again(failure) } else { Self::Failed(failure) }
    }

    /// Says whether what was sent may have been carried out.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    pub(super) fn into_outcome(self) -> Outcome {
        match self {
            Self::Again(failure) => Outcome::Again(failure),
            Self::Failed(failure) => Outcome::Failed(failure),
            Self::Unknown(failure) => Outcome::Unknown(failure),
            Self::Gone => Outcome::Gone,
        }
    }
}

/// A server's own words.
pub(super) fn failure_of(error: &ServerError) -> Failure {
    let state = error.sqlstate_text().to_string();
    Failure { server: Some((error.errno, state)), message: error.message.clone() }
}

/// A question, or a setting, did not come to its end: nothing was changed by it.
impl From<DirectError> for Trouble {
    fn from(error: DirectError) -> Self {
        match error {
            DirectError::Refused(error) => Self::refused(&error),
            error => Self::again(error.to_string()),
        }
    }
}

impl From<Unreached> for Trouble {
    fn from(error: Unreached) -> Self {
        Self::again(error.to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again(failure) | Self::Failed(failure) | Self::Unknown(failure) => {
                f.write_str(&failure.message)
            }
            Self::Gone => f.write_str("the database or its table is not there"),
        }
    }
}
