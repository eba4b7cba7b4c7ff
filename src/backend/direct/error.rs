//! What can go wrong on a raw connection.

use thiserror::Error;

use crate::error::Outcome;
use crate::protocol::errors::{FrameError, ProtocolError};
use crate::protocol::result::ServerError;

/// Errors behind which the server ends the connection: shutdown (1053), killed (1080, 1927 of MariaDB, 3169
/// of MySQL), idle too long (4031).
const ENDING_ERRNOS: [u16; 5] = [1053, 1080, 1927, 3169, 4031];

/// Why a statement has no result.
#[derive(Debug, Error)]
pub enum DirectError {
    /// The server refused it; the connection goes on.
    #[error("the server says {} ({}): {}", .0.errno, .0.sqlstate_text(), .0.message)]
    Refused(ServerError),
    /// The connection is lost.
    #[error("the connection is lost: {cause}")]
    Lost {
        /// Why.
        #[source]
        cause: LostCause,
        /// `NotSent`, or `Unknown`: the statement may have been carried out.
        outcome: Outcome,
    },
    /// The answer is larger than the bound of the connection, which is lost now.
    #[error("an answer of more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
}

/// What ended a connection.
#[derive(Debug, Error)]
pub enum LostCause {
    /// It broke.
    #[error(transparent)]
    Broken(#[from] FrameError),
    /// The server sent what the protocol does not allow.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server said why it ends it.
    #[error("the server says {} ({}): {}", .0.errno, .0.sqlstate_text(), .0.message)]
    Ended(ServerError),
    /// An earlier answer was not read to its end.
    #[error("an earlier answer was not read to its end")]
    MidAnswer,
}

impl DirectError {
    /// The MySQL errno of a refusal.
    pub fn errno(&self) -> Option<u16> {
        match self {
            Self::Refused(error) => Some(error.errno),
            Self::Lost { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// Says whether the connection can be used no more.
    pub fn is_lost(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// What became of the statement.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(_) => Outcome::Refused,
            Self::Lost { outcome, .. } => *outcome,
            Self::TooLarge { .. } => Outcome::Unknown,
        }
    }

    /// An ERR packet, by what it means for the connection.
    pub(super) fn of_server(error: ServerError) -> Self {
        if ENDING_ERRNOS.contains(&error.errno) {
            return Self::unknown(LostCause::Ended(error));
        }
        Self::Refused(error)
    }

    pub(super) fn unknown(cause: impl Into<LostCause>) -> Self {
        Self::Lost { cause: cause.into(), outcome: Outcome::Unknown }
    }
}

impl From<FrameError> for DirectError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::PacketTooLarge { bytes_max } => Self::TooLarge { bytes_max },
            other => Self::unknown(other),
        }
    }
}

impl From<ProtocolError> for DirectError {
    fn from(error: ProtocolError) -> Self {
        Self::unknown(error)
    }
}
