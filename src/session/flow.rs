//! How a command can fail: the client is told and goes on, or the session ends.

use crate::admission::Held;
use crate::error::{ClientError, Code};
use crate::protocol::errors::FrameError;

use super::registry::Stopped;

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client said QUIT or closed.
    Quit,
    /// The client's connection broke.
    Client(FrameError),
    /// KILL.
    Killed,
    /// The proxy stops.
    Shutdown,
    /// No command came for `timeouts.idle`.
    Idle,
    /// An answer broke off in the middle; the client cannot be told within the protocol.
    BrokenAnswer,
    /// COMMIT RELEASE, ROLLBACK RELEASE.
    Released,
}

/// Why a command was not answered as asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client gets an ERR packet and the session goes on.
    Refused(ClientError),
    /// As `Refused`, but nothing came of the statement and running it once more may help.
    Retry(ClientError),
    /// As `Refused`, and the server connection at hand is in a state that nobody may use.
    Unusable(ClientError),
    /// Nothing was sent: the statement is to be planned again and to ask anew, after it was let go by the
    /// gate that holds it, if one does.
    Anew(Option<Box<Held>>),
    /// The session ends.
    End(Ended),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Refused(error)
    }
}

impl From<crate::plan::Refusal> for Failure {
    fn from(refusal: crate::plan::Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Session => Self::End(Ended::Killed),
            Stopped::Statement => Self::Refused(ClientError::of(Code::QueryInterrupted)),
        }
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::End(Ended::Client(error))
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self::End(ended)
    }
}

/// The result of working on a command.
pub(super) type Flow<T = ()> = Result<T, Failure>;
