//! All pools: one per server, grouped by cluster.
//!
//! Nothing that changes is shared between clusters: a sick one cannot take locks, permits or queue places
//! from another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;

use super::books::PoolStats;
use super::connection::ProvenSettings;
use super::control::Control;
use super::error::{CheckoutError, Whereabouts};
use super::open::Opener;
use super::pool::{Checkout, Pool};
use super::set_up::StoredFunctions;
use super::settings::SessionSettings;
use crate::config::{self, Cluster, Config, Login};
use crate::ids::{ClusterName, NameMap, Role, ServerId, WorkerId};
use crate::protocol::capability::Capabilities;
use crate::protocol::tls::{ClientTls, Identity, TlsError, TlsMode};

/// Idle connections are looked at this often at most.
const REAP_EVERY_MIN: Duration = Duration::from_secs(1);
/// And this often at least.
const REAP_EVERY_MAX: Duration = Duration::from_secs(30);

/// Why pools cannot be made of a configuration.
#[derive(Debug, Error)]
pub enum PoolsError {
    /// A file of `clusters.*.tls` cannot be read.
    #[error("cluster {cluster}: cannot read {path}: {source}", path = path.display())]
    Read {
        /// The cluster.
        cluster: ClusterName,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `clusters.*.tls` makes no sense.
    #[error("cluster {cluster}: {source}")]
    Tls {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        #[source]
        source: TlsError,
    },
}

/// What a statement wants of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The client's capabilities under [`crate::protocol::capability::CLASS_MASK`]; the connection was opened
    /// with the same.
    pub class: Capabilities,
    /// The session's settings: preferred, not promised; see [`super::Connection::apply`].
    pub settings: &'a Arc<SessionSettings>,
    /// The database, preferred; absent: any.
    pub database: Option<&'a Arc<str>>,
    /// The session's worker: a connection of the same is preferred, and another is moved there.
    pub worker: WorkerId,
    /// No longer wait than this.
    pub within: Duration,
}

/// Connections to one server as they were lent at one time.
pub struct Lent(Vec<Arc<Pool>>);

impl Lent {
    /// Cuts off those that are lent still, and lends no more of them.
    pub fn cut(self) {
        self.0.iter().for_each(Pool::bar);
    }
}

/// All pools.
pub struct Pools {
    clusters: ArcSwap<NameMap<ClusterName, Arc<ClusterPools>>>,
}

struct ClusterPools {
    config: Cluster,
    connect: Duration,
    primary: Arc<Pool>,
    replicas: Vec<Arc<Pool>>,
    /// Source of the replicas' order.
    draws: AtomicU64,
}

impl Pools {
    /// Makes the pools of every cluster; opens nothing yet. Must run within a tokio runtime.
    ///
    /// # Errors
    /// A cluster's TLS files cannot be read or used.
    pub fn new(config: &Config) -> Result<Arc<Self>, PoolsError> {
        Self::for_clusters(&config.clusters, config.timeouts.connect)
    }

    /// As [`Pools::new`], of the parts of the configuration that matter.
    ///
    /// # Errors
    /// As [`Pools::new`].
    pub fn for_clusters(
        clusters: &BTreeMap<ClusterName, Cluster>,
        connect: Duration,
    ) -> Result<Arc<Self>, PoolsError> {
        let pools = Arc::new(Self { clusters: ArcSwap::default() });
        pools.reconfigure_clusters(clusters, connect)?;
        Ok(pools)
    }

    /// Follows a new configuration. Pools of clusters that did not change stay as they are; those of others
    /// lend no more, and what they have lent is closed when it comes back.
    ///
    /// # Errors
    /// As [`Pools::new`]; then nothing has changed.
    pub fn reconfigure(&self, config: &Config) -> Result<(), PoolsError> {
        self.reconfigure_clusters(&config.clusters, config.timeouts.connect)
    }

    /// As [`Pools::reconfigure`], of the parts of the configuration that matter.
    ///
    /// # Errors
    /// As [`Pools::new`]; then nothing has changed.
    pub fn reconfigure_clusters(
        &self,
        clusters: &BTreeMap<ClusterName, Cluster>,
        connect: Duration,
    ) -> Result<(), PoolsError> {
        let old = self.clusters.load_full();
        let mut new = NameMap::default();
        for (name, cluster) in clusters {
            let kept = old.get(name).filter(|pools| pools.config == *cluster && pools.connect == connect);
            let pools = match kept {
                Some(pools) => Arc::clone(pools),
                None => ClusterPools::new(cluster.clone(), connect)?,
            };
            // What must not be sent to a server does not end with a reload.
            let barred = old.get(name).into_iter().flat_map(|pools| pools.all()).filter(|p| p.is_barred());
            barred.for_each(|pool| pools.at(&pool.at().server).for_each(Pool::bar));
            new.insert(name.clone(), pools);
        }
        let new = Arc::new(new);
        self.clusters.store(Arc::clone(&new));
        for (name, pools) in old.iter() {
            if !new.get(name).is_some_and(|kept| Arc::ptr_eq(kept, pools)) {
                pools.all().for_each(|pool| pool.close());
            }
        }
        Ok(())
    }

    /// Lends a connection to a server of `cluster` in `role`: the idle one that needs the least to be
    /// applied, else a new one, else the first that comes back in time.
    ///
    /// # Errors
    /// Every variant of [`CheckoutError`]. Nothing was sent.
    ///
    /// Cancel safety: safe.
    pub async fn checkout(
        &self,
        cluster: &ClusterName,
        role: Role,
        wanted: &Wanted<'_>,
    ) -> Result<Checkout, CheckoutError> {
        let pools = self.clusters.load().get(cluster).cloned();
        let pools = pools.ok_or_else(|| CheckoutError::UnknownCluster { cluster: cluster.clone() })?;
        match role {
            Role::Primary => pools.primary.checkout(wanted).await,
            Role::Replica => pools.checkout_replica(wanted).await,
        }
    }

    /// Cuts off every connection to a server of a cluster, whoever uses it, and opens none until
    /// [`Pools::lift`]. Statements that ran there are lost, their outcome unknown.
    pub fn bar(&self, cluster: &ClusterName, server: &ServerId) {
        if let Some(pools) = self.clusters.load().get(cluster) {
            pools.at(server).for_each(Pool::bar);
        }
    }

    /// What is lent of a server now, to be cut off later: sessions that a transaction or a pin holds there
    /// would stay with a server that is no longer what they think.
    pub fn lent(&self, cluster: &ClusterName, server: &ServerId) -> Lent {
        let clusters = self.clusters.load();
        Lent(clusters.get(cluster).map(|pools| pools.at(server).cloned().collect()).unwrap_or_default())
    }

    /// Undoes [`Pools::bar`].
    pub fn lift(&self, cluster: &ClusterName, server: &ServerId) {
        if let Some(pools) = self.clusters.load().get(cluster) {
            pools.at(server).for_each(|pool| pool.lift());
        }
    }

    /// One row per server, by cluster, the primary first.
    pub fn stats(&self) -> Vec<PoolStats> {
        let clusters = self.clusters.load();
        let mut names: Vec<_> = clusters.keys().collect();
        names.sort();
        names
            .iter()
            .filter_map(|name| clusters.get(*name))
            .flat_map(|p| p.all().map(|pool| pool.stats()))
            .collect()
    }

    /// Lends no more and closes what is idle.
    pub fn close(&self) {
        self.clusters.load().values().for_each(|pools| pools.all().for_each(|pool| pool.close()));
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pools({} clusters)", self.clusters.load().len())
    }
}

impl ClusterPools {
    fn new(config: Cluster, connect: Duration) -> Result<Arc<Self>, PoolsError> {
        let tls = client_tls(&config)?;
        let functions = Arc::new(StoredFunctions::default());
        let pool = |role: Role, server: &ServerId| {
            let opener = |login: &Login| Opener {
                server: Arc::new(server.clone()),
                login: login.clone(),
                tls: tls.clone(),
                within: connect,
                proven: Arc::new(ProvenSettings::default()),
                functions: Arc::clone(&functions),
            };
            let at = Whereabouts { cluster: config.name.clone(), role, server: server.clone() };
            let control = Control::new(opener(&config.admin_login));
            Pool::new(at, opener(&config.login), control, config.pool.clone())
        };
        let primary = pool(Role::Primary, &config.primary);
        let replicas = config.replicas.iter().map(|server| pool(Role::Replica, server)).collect();
        let pools = Arc::new(Self { config, connect, primary, replicas, draws: AtomicU64::new(0) });
        tokio::spawn(keep_house(Arc::downgrade(&pools)));
        Ok(pools)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Pool>> {
        std::iter::once(&self.primary).chain(&self.replicas)
    }

    fn at(&self, server: &ServerId) -> impl Iterator<Item = &Arc<Pool>> {
        self.all().filter(move |pool| pool.at().server == *server)
    }

    /// Lends from the less busy of two replicas drawn from those that work; from another when that one fails.
    async fn checkout_replica(&self, wanted: &Wanted<'_>) -> Result<Checkout, CheckoutError> {
        let mut failure = None;
        for _ in 0..self.replicas.len() {
            let Some(pool) = self.draw_replica() else { break };
            match pool.checkout(wanted).await {
                Err(error) if error.is_about_server() => failure = Some(error),
                done => return done,
            }
        }
        Err(failure.unwrap_or_else(|| CheckoutError::NoReplica { cluster: self.config.name.clone() }))
    }

    fn draw_replica(&self) -> Option<&Arc<Pool>> {
        let count = self.replicas.len();
        let draw = mix(self.draws.fetch_add(1, Ordering::Relaxed));
        let start = (draw % count.max(1) as u64) as usize;
        let mut working =
            (0..count).map(|step| &self.replicas[(start + step) % count]).filter(|p| !p.is_failing());
        let first = working.next()?;
        match working.next() {
            Some(second) if second.load() < first.load() => Some(second),
            _ => Some(first),
        }
    }

    fn reap_every(&self) -> Duration {
        let limits = &self.config.pool;
        let bounds = [limits.idle, limits.lifetime].into_iter().filter(|bound| !bound.is_zero());
        bounds.min().map_or(REAP_EVERY_MAX, |bound| (bound / 4).clamp(REAP_EVERY_MIN, REAP_EVERY_MAX))
    }
}

/// The one task of a cluster: closes what is old or unused, keeps a control connection ready where there are
/// others. Ends with its cluster.
async fn keep_house(cluster: Weak<ClusterPools>) {
    // The first time soon: what is not known of a server costs its statements something.
    let mut every = REAP_EVERY_MIN;
    loop {
        tokio::time::sleep(every).await;
        let Some(pools) = cluster.upgrade() else { return };
        for pool in pools.all() {
            pool.reap();
            if pool.is_in_use() && !pool.is_failing() {
                pool.control.keep_ready().await;
                every = pools.reap_every();
            }
        }
        if pools.primary.is_in_use()
            && let Err(error) = pools.primary.control.look_for_functions().await
        {
            tracing::debug!(cluster = %pools.config.name, %error, "no look at stored functions");
        }
    }
}

/// Spreads consecutive numbers over all bits (the finalizer of splitmix64).
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Gives the TLS towards a cluster's servers; reads the files that `clusters.*.tls` names.
///
/// # Errors
/// A file that cannot be read; files that do not fit together.
pub fn client_tls(cluster: &Cluster) -> Result<ClientTls, PoolsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| PoolsError::Read {
            cluster: cluster.name.clone(),
            path: path.to_owned(),
            source,
        })
    };
    let mode = match cluster.tls.mode {
        config::TlsMode::Disabled => TlsMode::Disabled,
        config::TlsMode::Preferred => TlsMode::Preferred,
        config::TlsMode::Required => TlsMode::Required,
        config::TlsMode::VerifyCa => TlsMode::VerifyCa,
        config::TlsMode::VerifyIdentity => TlsMode::VerifyIdentity,
    };
    let ca = cluster.tls.ca.as_deref().map(read).transpose()?;
    let certificate = cluster.tls.certificate.as_deref().map(read).transpose()?;
    let key = cluster.tls.key.as_deref().map(read).transpose()?;
    let identity = match (&certificate, &key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        _ => None,
    };
    ClientTls::new(mode, ca.as_deref(), identity)
        .map_err(|source| PoolsError::Tls { cluster: cluster.name.clone(), source })
}
