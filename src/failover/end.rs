//! What comes out for those who asked: who is primary, and what operators see of it.

use std::fmt;
use std::time::Duration;

use crate::ids::{ClusterName, ServerId};

/// What looking for the primary of a cluster came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is the one that Bulkhead leads to.
    Same(ServerId),
    /// Another one; Bulkhead leads there now.
    Followed {
        /// The server that was the primary for Bulkhead.
        from: ServerId,
        /// The server that is.
        to: ServerId,
    },
    /// It cannot be told; Bulkhead leads where it did.
    Undecided(Undecided),
}

/// Why it cannot be told which server is the primary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The config has no such cluster.
    #[error("no cluster {0}")]
    UnknownCluster(ClusterName),
    /// No server that answers takes writes.
    #[error("no server that answers takes writes")]
    NoneWritable,
    /// These take writes, all of them.
    #[error("several servers take writes: {}", list(.0))]
    SeveralWritable(Vec<ServerId>),
    /// One takes writes, and it is not known to be of the same data as the one that Bulkhead leads to.
    #[error("{server} takes writes, but {why}")]
    Unproven {
        /// The writable server.
        server: ServerId,
        /// What speaks against it.
        why: String,
    },
    /// A failover is under way.
    #[error("a failover is under way")]
    FailingOver,
    /// One was left half done, and was undone: nobody else was promoted.
    #[error("a failover that was begun was undone: {primary} is the primary as before; {why}")]
    Undone {
        /// The server that Bulkhead leads to.
        primary: ServerId,
        /// Why it cannot be told that it is the primary still.
        why: String,
    },
    /// It was found and could not be published.
    #[error("{server} is the primary, but {why}")]
    Unpublished {
        /// The server found.
        server: ServerId,
        /// What went wrong.
        why: String,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(server) => write!(f, "{server} is still the primary"),
            Self::Followed { from, to } => write!(f, "{to} is the primary now, no longer {from}"),
            Self::Undecided(why) => why.fmt(f),
        }
    }
}

/// What operators see of one cluster: who is its primary, and what is wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryRow {
    /// The cluster.
    pub cluster: ClusterName,
    /// The server that Bulkhead leads writes to.
    pub primary: ServerId,
    /// The one that the config file names.
    pub configured: ServerId,
    /// Former primaries that are not known to be fenced; nothing is sent to them.
    pub unfenced: Vec<ServerId>,
    /// Servers that nothing is sent to until they follow the primary; those above among them.
    pub cut_off: Vec<ServerId>,
    /// Servers besides the primary that take writes, as last seen.
    pub also_writable: Vec<ServerId>,
    /// How long ago the primary was last heard of, `None` when never.
    pub heard_ago: Option<Duration>,
    /// Anything else worth saying; empty when nothing is.
    pub note: String,
}

pub(super) fn list(servers: &[ServerId]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
