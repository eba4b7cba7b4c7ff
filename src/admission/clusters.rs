//! The admissions of all clusters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::entry::{Admission, Bounds};
use super::request::{owner_of, workspace_key};
use super::view::AdmissionView;
use crate::config::{Cluster, Config, PermitSettings, WorkspaceDefaults};
use crate::drain::{PermitLimits, WorkspaceLimits};
use crate::ids::{ClusterName, Keyspace, NameMap, WorkspaceId};

/// Every cluster's admission.
#[derive(Debug, Default)]
pub struct Admissions {
    /// A cluster that leaves the configuration keeps its admission: sessions may still have it.
    by_cluster: ArcSwap<NameMap<ClusterName, Arc<Admission>>>,
    settings: Mutex<Settings>,
}

/// What new admissions begin with. Its lock is held while one is made.
#[derive(Debug, Default)]
struct Settings {
    bounds: BTreeMap<ClusterName, Bounds>,
    own: BTreeMap<(Keyspace, WorkspaceId), WorkspaceLimits>,
}

impl Admissions {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let admissions = Self::default();
        admissions.configure(config);
        admissions
    }

    /// The cluster's admission; made when it is first asked for. Takes no lock after that.
    pub fn of(&self, cluster: &ClusterName) -> Arc<Admission> {
        if let Some(admission) = self.by_cluster.load().get(cluster) {
            return Arc::clone(admission);
        }
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = NameMap::clone(&self.by_cluster.load());
        let made = all.entry(cluster.clone()).or_insert_with(|| settings.admission(cluster));
        let made = Arc::clone(made);
        self.by_cluster.store(Arc::new(all));
        made
    }

    /// Follows a new configuration. What is in flight, waits or is held stays.
    pub fn configure(&self, config: &Config) {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.bounds = config
            .clusters
            .iter()
            .map(|(name, cluster)| (name.clone(), bounds_of(cluster, config)))
            .collect();
        let now = super::now();
        for (cluster, admission) in self.by_cluster.load().iter() {
            if let Some(bounds) = settings.bounds.get(cluster) {
                admission.configure(*bounds, now);
            }
        }
    }

    /// Sets what one workspace may use of each cluster; absent: what all may.
    pub(super) fn limit_workspace(
        &self,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
        limits: Option<WorkspaceLimits>,
    ) {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (keyspace.clone(), workspace.clone());
        match limits {
            Some(limits) => settings.own.insert(name, limits),
            None => settings.own.remove(&name),
        };
        let Some(key) = workspace_key(keyspace, owner_of(workspace)) else { return };
        self.by_cluster.load().values().for_each(|admission| admission.limit_workspace(key, limits));
    }

    /// What workspaces may use that have limits of their own, in order.
    pub fn own_limits(&self) -> BTreeMap<(Keyspace, WorkspaceId), WorkspaceLimits> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).own.clone()
    }

    /// How the configured clusters' admissions are, in order of names.
    pub fn views(&self) -> Vec<AdmissionView> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<ClusterName> = settings.bounds.keys().cloned().collect();
        drop(settings);
        names.iter().map(|name| self.of(name).view()).collect()
    }
}

impl Settings {
    fn admission(&self, cluster: &ClusterName) -> Arc<Admission> {
        let unknown = || Bounds {
            permits: limits_from(&PermitSettings::DEFAULT, [100, 100], WorkspaceDefaults::default()),
            memory: PermitSettings::DEFAULT.memory_bytes_max(0),
        };
        let bounds = self.bounds.get(cluster).copied().unwrap_or_else(unknown);
        let admission = Arc::new(Admission::new(cluster.clone(), bounds, super::now()));
        for ((keyspace, workspace), limits) in &self.own {
            if let Some(key) = workspace_key(keyspace, owner_of(workspace)) {
                admission.limit_workspace(key, Some(*limits));
            }
        }
        admission
    }
}

fn bounds_of(cluster: &Cluster, config: &Config) -> Bounds {
    let memory = cluster.permits.memory_bytes_max(config.listen.max_allowed_packet);
    Bounds { permits: limits_of(cluster, config.limits), memory }
}

/// The bounds of a cluster's writes and reads. Unless told otherwise as many statements may be in flight as
/// there can be connections for them, so that permits hold nothing back that its pools would not.
fn limits_of(cluster: &Cluster, workspaces: WorkspaceDefaults) -> [PermitLimits; 2] {
    let connections = cluster.pool.max_connections;
    let servers = u32::try_from(cluster.replicas.len()).unwrap_or(u32::MAX).saturating_add(1);
    limits_from(&cluster.permits, [connections, connections.saturating_mul(servers)], workspaces)
}

fn limits_from(
    settings: &PermitSettings,
    connections: [u32; 2],
    workspaces: WorkspaceDefaults,
) -> [PermitLimits; 2] {
    let [writes, reads] = [settings.writes, settings.reads];
    let ceilings = [writes.unwrap_or(connections[0]), reads.unwrap_or(connections[1])];
    ceilings.map(|ceiling| PermitLimits {
        floor: settings.floor.unwrap_or_else(|| (ceiling / 10).max(4)).min(ceiling),
        ceiling,
        waiting_max: settings.queue as usize,
        waiting_bytes_max: settings.queue_bytes,
        wait_max: settings.wait,
        workspace: WorkspaceLimits {
            in_flight_max: workspaces.in_flight,
            per_second_max: workspaces.per_second.map(f64::from),
        },
    })
}

/// The admission that a session used last, so that a statement for the same cluster looks nothing up.
#[derive(Debug, Default)]
pub struct NearAdmission(Option<Arc<Admission>>);

impl NearAdmission {
    /// The cluster's admission.
    pub fn of(&mut self, admissions: &Admissions, cluster: &ClusterName) -> &Arc<Admission> {
        if self.0.as_ref().is_some_and(|kept| kept.cluster() != cluster) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| admissions.of(cluster))
    }
}
