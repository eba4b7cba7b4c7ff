//! What can end the moving of a table's rows.

use crate::backend::OpenError;
use crate::backend::direct::DirectError;
use crate::migrations::changes::FeedError;
use crate::migrations::plan::Refusal;

/// Why the engine stopped. The client's table is untouched in every case.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It cannot be copied, or not this way; nothing was made, or what was made is empty.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No connection.
    #[error("cannot connect: {0}")]
    Open(#[from] OpenError),
    /// The server refused a statement, or the connection is lost. Lost connections are opened again a few
    /// times before this is said.
    #[error("{what}: {source}")]
    Server {
        /// What was being done.
        what: &'static str,
        /// What the server or the network said.
        #[source]
        source: DirectError,
    },
    /// Two rows have the same value in a unique key of the new table. The server's own words.
    #[error("{message}")]
    Duplicate {
        /// As a server says it: `Duplicate entry 'x' for key 'y'`.
        message: String,
    },
    /// A row cannot be stored in the new table as it is: too long, out of range, NULL, a failed check.
    #[error("{message}")]
    Lossy {
        /// MySQL errno of the server's refusal.
        errno: u16,
        /// Its SQLSTATE.
        sqlstate: String,
        /// The server's words.
        message: String,
    },
    /// The feed of changes ended or cannot go on.
    #[error("changes: {0}")]
    Feed(String),
    /// The table itself was changed meanwhile by somebody else.
    #[error("the table was changed meanwhile: {0}")]
    TableChanged(String),
    /// Source and shadow differ and could not be made equal.
    #[error("the copy differs from the table in {ranges} ranges after {passes} passes: {example}")]
    Differs {
        /// Ranges of keys that differed in the last pass.
        ranges: usize,
        /// Passes made.
        passes: u32,
        /// The first one, without values: its number and both counts.
        example: String,
    },
    /// Changes that have to be applied together are more than memory allows.
    #[error("more than {bytes_max} bytes of changes would have to be held back")]
    TooMuchHeld {
        /// The bound.
        bytes_max: usize,
    },
    /// It took longer than it may.
    #[error("{what} took longer than {} ms", within.as_millis())]
    Late {
        /// What.
        what: &'static str,
        /// The bound.
        within: std::time::Duration,
    },
    /// The server does not have what was recorded on it: another one is the primary now, or it lost its last
    /// transactions. A new engine that resumes goes on from what it has.
    #[error("the server does not have what was recorded on it")]
    LostHistory,
    /// Somebody else has taken the migration up since: this engine is not to write any more, and the other
    /// one goes on from what it wrote.
    #[error("the migration was taken up by another one")]
    Superseded,
    /// It could not be found out whether this engine may still write.
    #[error("it is not known whether the migration is carried out here: {message}")]
    Unsure {
        /// What was in the way.
        message: String,
    },
    /// Changes are applied no more.
    #[error("applying changes: {message}")]
    Applying {
        /// Why.
        message: String,
        /// See [`EngineError::is_passing`].
        is_passing: bool,
    },
    /// The server refuses the client's statement. Its own words.
    #[error("{message}")]
    Rejected {
        /// MySQL errno.
        errno: u16,
        /// SQLSTATE.
        sqlstate: String,
        /// The server's words.
        message: String,
    },
    /// [`super::Pace`] said to stop.
    #[error("stopped")]
    Stopped,
}

impl From<FeedError> for EngineError {
    /// A feed that is away comes back: a new engine goes on from what is recorded.
    fn from(error: FeedError) -> Self {
        let message = error.to_string();
        if error.is_passing() { Self::Applying { message, is_passing: true } } else { Self::Feed(message) }
    }
}

impl EngineError {
    /// errno and SQLSTATE of the server's refusal, where it is about the statement's own data.
    pub fn server(&self) -> Option<(u16, String)> {
        match self {
            Self::Duplicate { .. } => Some((1062, "23000".to_owned())),
            Self::Lossy { errno, sqlstate, .. } | Self::Rejected { errno, sqlstate, .. } => {
                Some((*errno, sqlstate.clone()))
            }
            _ => None,
        }
    }

    /// The same for another who waits for it; what cannot be copied is told in words.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Duplicate { message } => Self::Duplicate { message: message.clone() },
            Self::Lossy { errno, sqlstate, message } => {
                Self::Lossy { errno: *errno, sqlstate: sqlstate.clone(), message: message.clone() }
            }
            Self::TableChanged(what) => Self::TableChanged(what.clone()),
            Self::LostHistory => Self::LostHistory,
            Self::Superseded => Self::Superseded,
            Self::TooMuchHeld { bytes_max } => Self::TooMuchHeld { bytes_max: *bytes_max },
            Self::Feed(why) => Self::Feed(why.clone()),
            Self::Stopped => Self::Stopped,
            other => Self::Applying { message: other.to_string(), is_passing: other.is_passing() },
        }
    }

    /// Says whether the same step may be tried again later on fresh connections: the server was away, a lock
    /// was not had in time.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Open(_) | Self::Late { .. } | Self::LostHistory | Self::Unsure { .. } => true,
            Self::Applying { is_passing, .. } => *is_passing,
            Self::Server { source, .. } => source.is_lost() || is_passing_errno(source.errno()),
            _ => false,
        }
    }
}

/// Lock waits, and what a server says that stops, is full of connections, or is read-only in a switchover.
fn is_passing_errno(errno: Option<u16>) -> bool {
    matches!(errno, Some(1205 | 1213 | 1040 | 1053 | 1203 | 1290 | 1836 | 3100))
}
