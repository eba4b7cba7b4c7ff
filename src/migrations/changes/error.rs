//! Why there is no feed, or no more of it.

use std::sync::Arc;

use thiserror::Error;

use super::binlog::BinlogError;
use super::change::TableName;
use super::position::Position;
use super::values::ValueError;
use crate::backend::OpenError;
use crate::backend::direct::DirectError;
use crate::ids::{ClusterName, ServerId};

/// Why there is no feed, or no more of it. After one of these a subscription gives nothing else.
#[derive(Clone, Debug, Error)]
pub enum FeedError {
    /// No such cluster.
    #[error("cluster {0} is not configured")]
    UnknownCluster(ClusterName),
    /// No connection to the primary, for longer than is waited.
    #[error("{server}: {source}")]
    Open {
        /// The primary.
        server: ServerId,
        /// Why.
        #[source]
        source: Arc<OpenError>,
    },
    /// The server refused something, or the connection broke again and again.
    #[error("{server}: {doing}: {source}")]
    Direct {
        /// The primary.
        server: ServerId,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: Arc<DirectError>,
    },
    /// The server is not set up for it.
    #[error("{server}: {what}; {remedy}")]
    Unsuited {
        /// The primary.
        server: ServerId,
        /// What is in the way.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The account lacks a privilege.
    #[error("{server}: the account may not {what}; {remedy}")]
    Privilege {
        /// The primary.
        server: ServerId,
        /// What it may not do.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The binary log no longer reaches back to the position.
    #[error(
        "{server} has purged its binary log beyond the position {position}: changes since then are lost to \
        this reader; begin anew, and keep binary logs for longer (binlog_expire_logs_seconds)"
    )]
    Purged {
        /// The primary.
        server: ServerId,
        /// Where reading was to begin.
        position: Position,
    },
    /// The server lacks transactions that were seen: another history, as after a failover that lost some.
    #[error(
        "{server} does not have all of the transactions up to {position}: rows may have been read that it \
        never had; begin anew"
    )]
    Diverged {
        /// The primary.
        server: ServerId,
        /// What was seen.
        position: Position,
    },
    /// The position is one of a file, and another server is the primary now.
    #[error(
        "{server} is the primary now, and a position in a file means nothing to it; begin anew, or turn on \
        GTIDs (gtid_mode)"
    )]
    ServerChanged {
        /// The primary.
        server: ServerId,
    },
    /// Rows of the table are not logged whole.
    #[error("{table}: {what} in the binary log; {remedy}")]
    NotWhole {
        /// The table.
        table: TableName,
        /// What was met.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Changes of the table that cannot be followed.
    #[error("{table}: {what}")]
    CannotFollow {
        /// The table.
        table: TableName,
        /// What was met.
        what: String,
    },
    /// A row that does not fit the columns of the subscription, or makes no sense.
    #[error("{table}, column {column}: {source}")]
    Value {
        /// The table.
        table: TableName,
        /// The column, counted from 1.
        column: usize,
        /// Why.
        #[source]
        source: ValueError,
    },
    /// An event that makes no sense, or that is not known and cannot be skipped.
    #[error("{server}, binary log: {source}")]
    Binlog {
        /// The primary.
        server: ServerId,
        /// Why.
        #[source]
        source: BinlogError,
    },
    /// The server says that its log lacks something.
    #[error("{server}: the binary log says that it lacks changes (an incident event); begin anew")]
    Incident {
        /// The primary.
        server: ServerId,
    },
    /// It took changes so slowly that the other subscriptions of the cluster had to wait for it. One that
    /// goes on from where it was is given a stream of its own.
    #[error("{table}: its changes are taken too slowly for the others of the cluster")]
    Behind {
        /// The table.
        table: TableName,
    },
    /// A server's answer did not come in time.
    #[error("{server}: no answer within {} ms", .within.as_millis())]
    Late {
        /// The primary.
        server: ServerId,
        /// The bound.
        within: std::time::Duration,
    },
    /// The feed was closed: Bulkhead stops.
    #[error("the feed was closed")]
    Closed,
}

impl FeedError {
    /// Says whether a subscription that begins where this one ended may go on: the server is away, stops, or
    /// is being replaced.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Late { .. } | Self::Behind { .. } | Self::Closed => true,
            Self::Direct { source, .. } => {
                source.is_lost() || matches!(source.errno(), Some(1040 | 1053 | 1203 | 1290 | 1836 | 3100))
            }
            _ => false,
        }
    }
}
