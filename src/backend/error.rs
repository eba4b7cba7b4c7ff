//! Errors of connections and pools.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::error::{ClientError, Code, Outcome};
use crate::ids::{ClusterName, Role, ServerId};
use crate::protocol::auth::ClientAuthError;
use crate::protocol::errors::{FrameError, ProtocolError};
use crate::protocol::handshake::ServerRefusal;
use crate::protocol::tls::TlsError;

/// Too many connections, of the server or of the user: the server is well, but full.
const FULL_ERRNOS: [u16; 3] = [1040, 1203, 1226];

/// Why a connection to a server could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No TCP connection.
    #[error("cannot connect: {source}")]
    Connect {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Opening took too long.
    #[error("not connected and logged in within {} ms", .within.as_millis())]
    Timeout {
        /// The bound.
        within: Duration,
    },
    /// The connection broke during login.
    #[error("the connection broke during login: {0}")]
    Broken(#[from] FrameError),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server offers no TLS and the cluster's configuration asks for it.
    #[error("the server offers no TLS, and clusters.*.tls.mode asks for it")]
    TlsNotOffered,
    /// The server refused: before the greeting (host blocked, too many connections) or after.
    #[error("the server refused the login: {0}")]
    Refused(ServerRefusal),
    /// The login went wrong on our side: a plugin that Bulkhead does not speak, a wrong packet.
    #[error(transparent)]
    Auth(ClientAuthError),
    /// The greeting makes no sense.
    #[error("not a MySQL server: {0}")]
    Protocol(#[from] ProtocolError),
    /// Statements would mean something else to it.
    #[error(
        "the server's own sql_mode has {mode}, so it reads statements otherwise; take it out of the server's \
         configuration: clients may SET it for themselves"
    )]
    SqlMode {
        /// The mode.
        mode: String,
    },
    /// Another server takes its place; nothing is sent to it any more.
    #[error("nothing is sent to it: another server becomes the primary")]
    Barred,
    /// The server cannot do what the client was offered.
    #[error("the server lacks protocol capabilities: {0}")]
    Lacks(String),
}

impl From<ClientAuthError> for OpenError {
    fn from(error: ClientAuthError) -> Self {
        match error {
            ClientAuthError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Auth(other),
        }
    }
}

/// Why a connection could not be brought to the session's state.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The server refused a setting; nothing of the statement was sent. The connection is reset before reuse.
    #[error("the server refused the session's settings: {0}")]
    Refused(ServerRefusal),
    /// The connection broke; nothing of the statement was sent.
    #[error("the connection broke: {0}")]
    Broken(#[from] FrameError),
    /// After a reset the server reads statements otherwise, or it could not be told.
    #[error(transparent)]
    Mode(Box<OpenError>),
    /// No answer in time.
    #[error("no answer to SET in time")]
    Timeout,
}

/// Why no connection was lent. Nothing of the statement was sent.
#[derive(Clone, Debug, Error)]
pub enum CheckoutError {
    /// All connections stayed busy until the deadline.
    #[error("cluster {cluster}, {role} {server}: no connection came free within {} ms", .waited.as_millis())]
    PoolTimeout {
        /// The cluster.
        cluster: ClusterName,
        /// Role of the server.
        role: Role,
        /// The server.
        server: ServerId,
        /// How long was waited.
        waited: Duration,
    },
    /// As many statements as allowed wait already.
    #[error("cluster {cluster}, {role} {server}: {waiting} statements wait already")]
    QueueFull {
        /// The cluster.
        cluster: ClusterName,
        /// Role of the server.
        role: Role,
        /// The server.
        server: ServerId,
        /// The bound.
        waiting: usize,
    },
    /// The server could not be reached, now or so lately that it is left alone for a while.
    #[error("cluster {cluster}, {role} {server}: {failure}")]
    Unreachable {
        /// The cluster.
        cluster: ClusterName,
        /// Role of the server.
        role: Role,
        /// The server.
        server: ServerId,
        /// What happened.
        failure: OpenFailure,
    },
    /// The server refused our login.
    #[error("cluster {cluster}, {role} {server}: {failure}")]
    Login {
        /// The cluster.
        cluster: ClusterName,
        /// Role of the server.
        role: Role,
        /// The server.
        server: ServerId,
        /// MySQL errno.
        errno: u16,
        /// What happened.
        failure: OpenFailure,
    },
    /// The server speaks something else than what was expected.
    #[error("cluster {cluster}, {role} {server}: {failure}")]
    Protocol {
        /// The cluster.
        cluster: ClusterName,
        /// Role of the server.
        role: Role,
        /// The server.
        server: ServerId,
        /// What happened.
        failure: OpenFailure,
    },
    /// No replica is configured, or all are left alone after failures.
    #[error("cluster {cluster} has no usable replica")]
    NoReplica {
        /// The cluster.
        cluster: ClusterName,
    },
    /// No such cluster, or it was taken out of the configuration.
    #[error("cluster {cluster} is not configured")]
    UnknownCluster {
        /// The cluster.
        cluster: ClusterName,
    },
}

/// A failure to open, shared by all who are told of it.
#[derive(Clone, Debug)]
pub struct OpenFailure {
    /// What went wrong.
    pub cause: Arc<OpenError>,
    /// The server was not tried again: it failed a moment ago.
    pub is_remembered: bool,
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = if self.is_remembered { " (a moment ago; not tried again yet)" } else { "" };
        write!(f, "{}{remembered}", self.cause)
    }
}

/// Which server an error is about.
#[derive(Clone, Debug)]
pub(super) struct Whereabouts {
    pub cluster: ClusterName,
    pub role: Role,
    pub server: ServerId,
}

impl Whereabouts {
    pub(super) fn open_failed(&self, failure: OpenFailure) -> CheckoutError {
        let Self { cluster, role, server } = self.clone();
        match &*failure.cause {
            OpenError::Refused(refusal) if !FULL_ERRNOS.contains(&refusal.errno) => {
                CheckoutError::Login { cluster, role, server, errno: refusal.errno, failure }
            }
            OpenError::Auth(_) | OpenError::Protocol(_) | OpenError::Lacks(_) => {
                CheckoutError::Protocol { cluster, role, server, failure }
            }
            _ => CheckoutError::Unreachable { cluster, role, server, failure },
        }
    }

    pub(super) fn timed_out(&self, waited: Duration) -> CheckoutError {
        let Self { cluster, role, server } = self.clone();
        CheckoutError::PoolTimeout { cluster, role, server, waited }
    }

    pub(super) fn queue_full(&self, waiting: usize) -> CheckoutError {
        let Self { cluster, role, server } = self.clone();
        CheckoutError::QueueFull { cluster, role, server, waiting }
    }
}

impl CheckoutError {
    /// Says whether another server of the same role may do better.
    pub(super) fn is_about_server(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Login { .. } | Self::Protocol { .. })
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::PoolTimeout { .. } => Code::PoolTimeout,
            Self::QueueFull { .. } => Code::PoolQueueFull,
            Self::Unreachable { .. } => Code::ShardUnreachable,
            Self::Login { .. } => Code::ShardLogin,
            Self::Protocol { .. } => Code::ShardProtocol,
            Self::NoReplica { .. } => Code::NoReplica,
            Self::UnknownCluster { .. } => Code::NoShard,
        }
    }
}

impl From<CheckoutError> for ClientError {
    fn from(error: CheckoutError) -> Self {
        ClientError::new(error.code(), error.to_string()).with_outcome(Outcome::NotSent)
    }
}
