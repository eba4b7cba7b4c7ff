//! The feeds of all clusters.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::change::{Change, TableName};
use super::error::FeedError;
use super::feed::{self, BYTES_MAX, Context, Counters, Join, Marker, PARCELS_MAX, Parcel, Way};
use super::place::Place;
use super::position::Position;
use super::values::ColumnKind;
use crate::config::Login;
use crate::ids::{ClusterName, ServerId};
use crate::protocol::tls::ClientTls;

/// Subscriptions that wait to be taken in.
const JOINS_MAX: usize = 64;
/// A feed may end just when somebody comes.
const JOIN_ATTEMPTS: usize = 3;
/// A shared feed that does not take a subscription in by then is held up.
const JOIN_WITHIN: Duration = Duration::from_secs(10);
/// Bound of starting a feed of its own.
const ALONE_WITHIN: Duration = Duration::from_secs(30);
/// Tables of a cluster that are remembered as slow.
const SLOW_MAX: usize = 1_000;

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
    /// Names this process among markers.
    writer: u64,
    clusters: Mutex<HashMap<ClusterName, Arc<Cluster>>>,
}

/// What there is of one cluster.
struct Cluster {
    marker: Marker,
    counters: Arc<Counters>,
    /// The way into its feed; the feed may have ended.
    joins: Mutex<Option<mpsc::Sender<Join>>>,
    /// Tables whose subscription was too slow for the others: they are not among them the next time.
    slow: Mutex<HashSet<TableName>>,
}

impl Cluster {
    fn note_slow(&self, table: &TableName) {
        self.counters.behind.fetch_add(1, Relaxed);
        let mut slow = lock(&self.slow);
        if slow.len() < SLOW_MAX {
            slow.insert(table.clone());
        }
    }

    fn take_slow(&self, table: &TableName) -> bool {
        lock(&self.slow).remove(table)
    }
}

/// What a subscription asks for.
struct Wanted {
    table: TableName,
    columns: Arc<[ColumnKind]>,
    from: Place,
    is_new: bool,
}

/// Asks a feed to take a subscription in; `None` when it ended just then.
///
/// Cancel safety: safe; the feed finds that nobody is there.
async fn enter(
    cluster: &Arc<Cluster>,
    joins: &mpsc::Sender<Join>,
    wanted: &Wanted,
) -> Option<Result<Subscription, FeedError>> {
    let (sender, receiver) = mpsc::channel(PARCELS_MAX);
    let budget = Arc::new(Semaphore::new(BYTES_MAX));
    let way = Way { sender, budget, fault: Arc::default() };
    let subscription = Subscription {
        receiver,
        fault: Arc::clone(&way.fault),
        start: wanted.from.position(),
        table: wanted.table.clone(),
        cluster: Arc::clone(cluster),
        is_over: false,
    };
    let (answer, answered) = oneshot::channel();
    let join = Join {
        table: wanted.table.clone(),
        columns: Arc::clone(&wanted.columns),
        from: wanted.from.clone(),
        is_new: wanted.is_new,
        way,
        answer,
    };
    joins.send(join).await.ok()?;
    let answer = answered.await.ok()?;
    Some(answer.map(|()| subscription))
}

impl Feeds {
    /// None yet.
    pub fn new(sources: Arc<dyn Sources>) -> Self {
        let mut writer = [0; 8];
        // Without randomness every login would have failed before.
        aws_lc_rs::rand::fill(&mut writer).expect("the system gives random bytes");
        Self { sources, writer: u64::from_le_bytes(writer), clusters: Mutex::default() }
    }

    /// Subscribes to the changes of one table, whose columns are of these kinds, in the order of the table's
    /// definition, all of them. `from` absent: it begins where the log ends. What is not in the log when this
    /// returns comes; what is in the log, a read sees that begins behind a later [`Self::mark`].
    ///
    /// # Errors
    /// See [`FeedError`]: the server is not set up for it, the position is purged, there is no connection.
    ///
    /// **Cancel safety**: safe. It ends by itself, within a minute at the latest.
    pub async fn subscribe(
        &self,
        cluster: &ClusterName,
        table: TableName,
        columns: Arc<[ColumnKind]>,
        from: Option<Position>,
    ) -> Result<Subscription, FeedError> {
        let is_new = from.is_none();
        let place = self.find_start(cluster, from).await?;
        let wanted = Wanted { table, columns, from: place, is_new };
        let known = self.cluster(cluster);
        if !known.take_slow(&wanted.table) {
            let joined = timeout(JOIN_WITHIN, self.join(cluster, &wanted)).await;
            if let Ok(answer) = joined {
                return answer;
            }
            let table = &wanted.table;
            tracing::info!(%cluster, %table, "the cluster's feed is held up: a stream of its own");
        }
        let own = self.start_feed(cluster, &known);
        match timeout(ALONE_WITHIN, enter(&known, &own, &wanted)).await {
            Ok(answer) => answer.unwrap_or(Err(FeedError::Closed)),
            Err(_) => {
                let source = self.sources.source(cluster);
                let server = source.ok_or_else(|| FeedError::UnknownCluster(cluster.clone()))?.server;
                Err(FeedError::Late { server, within: ALONE_WITHIN })
            }
        }
    }

    /// Joins the cluster's shared feed.
    async fn join(&self, cluster: &ClusterName, wanted: &Wanted) -> Result<Subscription, FeedError> {
        for _ in 0..JOIN_ATTEMPTS {
            // None: the feed ended for want of subscribers just then.
            if let Some(answer) = enter(&self.cluster(cluster), &self.joins(cluster), wanted).await {
                return answer;
            }
        }
        Err(FeedError::Closed)
    }

    /// Where a subscription begins; checks the server.
    async fn find_start(&self, cluster: &ClusterName, from: Option<Position>) -> Result<Place, FeedError> {
        let source = self.sources.source(cluster);
        let source = source.ok_or_else(|| FeedError::UnknownCluster(cluster.clone()))?;
        let mut ground = feed::survey(&source).await?;
        let place = match from {
            None => feed::end_of_log(&mut ground).await?,
            Some(position) => {
                let place = Place::of(&position, ground.direct.flavour());
                let place = place.ok_or(FeedError::ServerChanged { server: source.server })?;
                feed::check(&mut ground, &place).await?;
                place
            }
        };
        ground.direct.close().await;
        Ok(place)
    }

    fn cluster(&self, cluster: &ClusterName) -> Arc<Cluster> {
        let mut clusters = lock(&self.clusters);
        let found = clusters.entry(cluster.clone()).or_insert_with(|| {
            Arc::new(Cluster {
                marker: Marker::new(self.writer),
                counters: Arc::default(),
                joins: Mutex::default(),
                slow: Mutex::default(),
            })
        });
        Arc::clone(found)
    }

    /// The way into the cluster's feed, which is started if it is not there.
    fn joins(&self, name: &ClusterName) -> mpsc::Sender<Join> {
        let cluster = self.cluster(name);
        let mut joins = lock(&cluster.joins);
        if let Some(joins) = joins.as_ref().filter(|joins| !joins.is_closed()) {
            return joins.clone();
        }
        let sender = self.start_feed(name, &cluster);
        *joins = Some(sender.clone());
        sender
    }

    /// Starts a feed; it ends when nobody is left, or nobody came.
    fn start_feed(&self, name: &ClusterName, cluster: &Cluster) -> mpsc::Sender<Join> {
        let (sender, receiver) = mpsc::channel(JOINS_MAX);
        let context = Context {
            cluster: name.clone(),
            sources: Arc::clone(&self.sources),
            counters: Arc::clone(&cluster.counters),
            writer: self.writer,
        };
        tokio::spawn(feed::run(context, receiver));
        sender
    }

    /// Writes a marker on the cluster and returns its number when it is committed. Every subscription there
    /// gets it as [`Change::Marker`] behind everything that was committed before.
    ///
    /// **Cancel safety**: safe; the marker may be written or not.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn mark(&self, cluster: &ClusterName) -> Result<u64, FeedError> {
        self.mark_on(cluster).await.map(|(number, _)| number)
    }

    /// As [`Self::mark`]; gives the server that it was written on, too.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn mark_on(&self, cluster: &ClusterName) -> Result<(u64, ServerId), FeedError> {
        let missing = || FeedError::UnknownCluster(cluster.clone());
        self.cluster(cluster).marker.write(|| self.sources.source(cluster), missing).await
    }

    /// Counters of every cluster that has any, by name.
    pub fn all_stats(&self) -> Vec<(ClusterName, FeedStats)> {
        let clusters = lock(&self.clusters);
        let mut all: Vec<_> =
            clusters.iter().map(|(name, cluster)| (name.clone(), cluster.counters.read())).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Counters of a cluster's feed, all its runs together; `None` if it never had a subscription or marker.
    pub fn stats(&self, cluster: &ClusterName) -> Option<FeedStats> {
        lock(&self.clusters).get(cluster).map(|cluster| cluster.counters.read())
    }
}

impl fmt::Debug for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feeds({} clusters)", lock(&self.clusters).len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes of one table, in order. Dropped, it is over.
pub struct Subscription {
    receiver: mpsc::Receiver<Parcel>,
    fault: Arc<OnceLock<FeedError>>,
    start: Position,
    table: TableName,
    cluster: Arc<Cluster>,
    /// Why it is over was told.
    is_over: bool,
}

impl Subscription {
    /// The next change. What is buffered is bounded: when it is not taken, the feed waits, for a few seconds
    /// where other subscriptions wait with it; then this one ends with [`FeedError::Behind`].
    ///
    /// **Cancel safety**: safe.
    ///
    /// # Errors
    /// Why the subscription is over, behind the last change; the same again on each later call.
    pub async fn next(&mut self) -> Result<Change, FeedError> {
        match self.receiver.recv().await {
            Some(parcel) => Ok(parcel.change),
            None => {
                let fault = self.fault.get().cloned().unwrap_or(FeedError::Closed);
                let is_slow = matches!(fault, FeedError::Behind { .. });
                if is_slow && !std::mem::replace(&mut self.is_over, true) {
                    self.cluster.note_slow(&self.table);
                }
                Err(fault)
            }
        }
    }

    /// Where the subscription began: a reader that begins here again gets everything that this one got.
    pub fn start(&self) -> &Position {
        &self.start
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} from {})", self.table, self.start)
    }
}

/// Counters of one cluster's feeds: the shared one, and those of slow subscriptions.
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
    /// Subscriptions that were ended because they kept others waiting.
    pub behind: u64,
    /// How far the feed is behind, ms: age of the last event by the server's clock when it was read (whole
    /// seconds), 0 once the server had nothing more to send.
    pub lag_ms: u64,
}
