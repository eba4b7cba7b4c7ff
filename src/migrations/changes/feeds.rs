//! The feeds of all clusters.

use std::sync::Arc;

use super::change::{Change, TableName};
use super::error::FeedError;
use super::position::Position;
use super::values::ColumnKind;
use crate::config::Login;
use crate::ids::{ClusterName, ServerId};
use crate::protocol::tls::ClientTls;

/// Whom to read from, and as whom.
#[derive(Clone, Debug)]
pub struct Source {
    /// The primary.
    pub server: ServerId,
    /// The admin login: it needs REPLICATION SLAVE, REPLICATION CLIENT (MariaDB: BINLOG MONITOR) and to write
    /// into [`crate::migrations::ARTIFACTS`].
    pub login: Login,
    /// TLS towards it.
    pub tls: ClientTls,
}

/// Knows the primary of each cluster; asked again whenever a connection is made.
pub trait Sources: Send + Sync {
    /// The primary as of now; `None` if there is no such cluster.
    fn source(&self, cluster: &ClusterName) -> Option<Source>;
}

/// The feeds of all clusters.
pub struct Feeds {
    sources: Arc<dyn Sources>,
}

impl Feeds {
    /// None yet.
    pub fn new(sources: Arc<dyn Sources>) -> Self {
        Self { sources }
    }

    /// Subscribes to the changes of one table, whose columns are of these kinds, in the order of the table's
    /// definition, all of them. `from` absent: what is committed after this call has returned will surely
    /// come; a little of before may.
    ///
    /// # Errors
    /// See [`FeedError`]: the server is not set up for it, the position is purged, there is no connection.
    pub async fn subscribe(
        &self,
        cluster: &ClusterName,
        table: TableName,
        columns: Arc<[ColumnKind]>,
        from: Option<Position>,
    ) -> Result<Subscription, FeedError> {
        let _ = (self.sources.source(cluster), table, columns, from);
        Err(FeedError::Closed)
    }

    /// Writes a marker on the cluster and returns its number when it is committed. Every subscription there
    /// gets it as [`Change::Marker`] behind everything that was committed before.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn mark(&self, cluster: &ClusterName) -> Result<u64, FeedError> {
        let _ = cluster;
        Err(FeedError::Closed)
    }

    /// Counters of a cluster's feed; `None` while there is no subscription.
    pub fn stats(&self, cluster: &ClusterName) -> Option<FeedStats> {
        let _ = cluster;
        None
    }
}

/// Changes of one table, in order. Dropped, it is over.
#[derive(Debug)]
pub struct Subscription {}

impl Subscription {
    /// The next change. What is buffered is bounded: when it is not taken, the feed waits, and with it the
    /// cluster's other subscriptions.
    ///
    /// **Cancel safety**: safe.
    ///
    /// # Errors
    /// Why the subscription is over; the same again on each later call.
    pub async fn next(&mut self) -> Result<Change, FeedError> {
        Err(FeedError::Closed)
    }

    /// Where the subscription began: a reader that begins here again gets everything that this one got.
    pub fn start(&self) -> &Position {
        unreachable!("bodies follow")
    }
}

/// Counters of one cluster's feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedStats {
    /// Events read.
    pub events: u64,
    /// Events whose rows were decoded.
    pub decoded: u64,
    /// Rows given to subscriptions.
    pub rows: u64,
    /// Bytes read from the server.
    pub bytes: u64,
    /// Connections made.
    pub connections: u64,
    /// Subscriptions now.
    pub subscriptions: u64,
    /// How far the feed is behind, ms: age of the last event by the server's clock when it was read (whole
    /// seconds), 0 once the server had nothing more to send.
    pub lag_ms: u64,
}
