//! The memory of who is primary: what the config names, overridden by what the store holds.
//!
//! One key per cluster, `clusters/NAME/primary`, written before anything is done for a failover and again
//! after. A restart and a reload lead to the server that it names. Which server is the primary is a fact of
//! the servers, so a config that names another one moves nothing: a warning says how to make them agree. A
//! record of a server that the config no longer lists means nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::config::{Cluster, Config};
use crate::ids::{ClusterName, ServerId};
use crate::topology::{Expect, Store, StoreError, Versioned};

const PREFIX: &str = "clusters/";
const SUFFIX: &str = "/primary";

/// What the store holds of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its primary.
    pub primary: ServerId,
    /// Servers that were left behind: nothing is sent to them until they replicate from the primary.
    pub cut_off: Vec<ServerId>,
    /// Those of them that are not known to refuse writes.
    pub unfenced: Vec<ServerId>,
    /// A failover was begun: this one is being promoted, or was when the proxy ended.
    pub promoting: Option<ServerId>,
    /// Replicas that do not replicate, or may not, for a failover that was begun: they go on when that is
    /// undone.
    #[serde(default)]
    pub halted: Vec<ServerId>,
    /// The primary took writes, and may refuse them for a failover that was begun: it is opened when that is
    /// undone.
    #[serde(default)]
    pub reopens: bool,
    /// After a failover: servers in use whose replication is as it was before; the new primary is one while
    /// it knows what it replicated from.
    #[serde(default)]
    pub unsettled: Vec<ServerId>,
    /// Bulkhead left them behind itself, so that it also fences them and makes them follow when they are
    /// back.
    pub is_ours: bool,
    /// What the config named when this was written.
    pub configured: ServerId,
    /// Why it was written.
    pub why: String,
}

/// Who is primary of each cluster.
pub struct Primaries {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    publishing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// As the config file has them.
    declared: BTreeMap<ClusterName, Cluster>,
    /// With the version that each had in the store.
    records: BTreeMap<ClusterName, (Record, u64)>,
    /// Clusters whose promotion that is noted nobody is carrying out any more.
    left: BTreeSet<ClusterName>,
}

impl Record {
    /// Of a cluster that is as its config says.
    pub(super) fn of(cluster: &Cluster, configured: &ServerId) -> Self {
        Self {
            primary: cluster.primary.clone(),
            cut_off: Vec::new(),
            unfenced: Vec::new(),
            promoting: None,
            halted: Vec::new(),
            reopens: false,
            unsettled: Vec::new(),
            is_ours: true,
            configured: configured.clone(),
            why: String::new(),
        }
    }
}

impl Primaries {
    /// Reads what the store holds.
    ///
    /// # Errors
    /// The store cannot be read, or holds something else.
    pub async fn load(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let (mut records, mut left) = (BTreeMap::new(), BTreeSet::new());
        for (key, value) in store.list(PREFIX).await? {
            let Some(cluster) = cluster_of(&key) else { continue };
            let record = decode(&key, &value)?;
            // The store belongs to one proxy: who began it has ended.
            if record.promoting.is_some() {
                left.insert(cluster.clone());
            }
            records.insert(cluster, (record, value.version));
        }
        let state = Mutex::new(State { declared: BTreeMap::new(), records, left });
        Ok(Self { store, state, publishing: tokio::sync::Mutex::new(()) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while a snapshot is made and published, so that none is published that another has overtaken.
    pub async fn publishing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.publishing.lock().await
    }

    /// The config with each cluster as it is: its primary, and the replicas that may be used. Logs where it
    /// is another one than the file names.
    pub fn derive(&self, config: &Config) -> Config {
        let state = self.state();
        let mut derived = config.clone();
        for (name, cluster) in &mut derived.clusters {
            let Some((record, _)) = state.records.get(name) else { continue };
            let configured = cluster.primary.clone();
            match effective(cluster, record) {
                Some(effective) => *cluster = effective,
                None => {
                    let recorded = &record.primary;
                    tracing::warn!(cluster = %name, %recorded, "the primary that the store names is not \
                        among the cluster's servers; the config file's is taken");
                    continue;
                }
            }
            if cluster.primary != configured {
                let (primary, why) = (&cluster.primary, &record.why);
                tracing::warn!(cluster = %name, %primary, %configured, why, "the primary is not the one that \
                    the config file names; to make them agree, write it there, or fail over to the other");
            }
        }
        derived
    }

    /// Takes over what the config file says, once it is in force.
    pub fn declare(&self, config: &Config) {
        self.state().declared.clone_from(&config.clusters);
    }

    /// A cluster as the config file has it.
    pub(super) fn declared(&self, cluster: &ClusterName) -> Option<Cluster> {
        self.state().declared.get(cluster).cloned()
    }

    /// The clusters of the config file.
    pub(super) fn names(&self) -> Vec<ClusterName> {
        self.state().declared.keys().cloned().collect()
    }

    /// A cluster as it is.
    pub(super) fn cluster(&self, name: &ClusterName) -> Option<Cluster> {
        let state = self.state();
        let declared = state.declared.get(name)?;
        let record = state.records.get(name);
        Some(record.and_then(|(record, _)| effective(declared, record)).unwrap_or_else(|| declared.clone()))
    }

    /// What the store holds of a cluster, if it has a meaning with this config.
    pub(super) fn record(&self, name: &ClusterName) -> Option<Record> {
        let state = self.state();
        let (record, _) = state.records.get(name)?;
        effective(state.declared.get(name)?, record).map(|_| record.clone())
    }

    /// Says that a promotion that is noted is not being carried out any more: its end is not known.
    pub(super) fn leave(&self, name: &ClusterName) {
        self.state().left.insert(name.clone());
    }

    /// Says whether a promotion that is noted was left so.
    pub(super) fn is_left(&self, name: &ClusterName) -> bool {
        let state = self.state();
        let is_noted = state.records.get(name).is_some_and(|(record, _)| record.promoting.is_some());
        is_noted && state.left.contains(name)
    }

    /// Writes a record, if nobody else has written one since it was last read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody has: then that one is taken over. Others as the store has them.
    pub(super) async fn write(&self, cluster: &ClusterName, record: Record) -> Result<(), StoreError> {
        let key = key_of(cluster);
        let known = self.state().records.get(cluster).map(|(_, version)| *version);
        let expect = known.map_or(Expect::Absent, Expect::Version);
        let value = serde_json::to_vec(&record)
            .map_err(|error| StoreError::Failed { action: "write", reason: error.to_string() })?;
        match self.store.put_if(&key, value, expect).await {
            Ok(version) => {
                let mut state = self.state();
                state.left.remove(cluster);
                state.records.insert(cluster.clone(), (record, version));
                Ok(())
            }
            Err(error) => {
                self.refresh(cluster).await?;
                Err(error)
            }
        }
    }

    /// Takes over what the store holds of a cluster; says whether that changed anything.
    ///
    /// # Errors
    /// As [`Primaries::load`].
    pub(super) async fn refresh(&self, cluster: &ClusterName) -> Result<bool, StoreError> {
        let key = key_of(cluster);
        let found = match self.store.get(&key).await? {
            Some(value) => Some((decode(&key, &value)?, value.version)),
            None => None,
        };
        let mut state = self.state();
        let before = state.records.get(cluster).cloned();
        // An older answer must not undo a newer write.
        let is_older = found.as_ref().zip(before.as_ref()).is_some_and(|(new, old)| new.1 < old.1);
        if is_older || before == found {
            return Ok(false);
        }
        match found {
            Some(found) => state.records.insert(cluster.clone(), found),
            None => state.records.remove(cluster),
        };
        Ok(true)
    }

    /// Changes of the store's keys, whoever makes them.
    pub(super) fn watch(&self) -> tokio::sync::mpsc::Receiver<crate::topology::Change> {
        self.store.watch(PREFIX)
    }
}

/// The cluster as it is by the record, `None` when the record's primary is none of its servers.
fn effective(declared: &Cluster, record: &Record) -> Option<Cluster> {
    let servers = servers(declared);
    if !servers.contains(&record.primary) {
        return None;
    }
    let is_used = |server: &ServerId| *server != record.primary && !record.cut_off.contains(server);
    let replicas = servers.into_iter().filter(is_used).collect();
    Some(Cluster { primary: record.primary.clone(), replicas, ..declared.clone() })
}

/// Every server of a cluster of the config file, its primary first.
pub(super) fn servers(declared: &Cluster) -> Vec<ServerId> {
    let mut servers = vec![declared.primary.clone()];
    for replica in &declared.replicas {
        if !servers.contains(replica) {
            servers.push(replica.clone());
        }
    }
    servers
}

fn key_of(cluster: &ClusterName) -> String {
    format!("{PREFIX}{cluster}{SUFFIX}")
}

/// The cluster that a key of the store is about.
pub(super) fn cluster_of(key: &str) -> Option<ClusterName> {
    Some(ClusterName::new(key.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?))
}

fn decode(key: &str, value: &Versioned) -> Result<Record, StoreError> {
    serde_json::from_slice(&value.value)
        .map_err(|error| StoreError::Failed { action: "read", reason: format!("{key}: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{EmbeddedStore, fixture};

    fn server(port: u16) -> ServerId {
        ServerId { host: "127.0.0.1".into(), port }
    }

    fn record(primary: u16, cut_off: &[u16]) -> Record {
        Record {
            primary: server(primary),
            cut_off: cut_off.iter().map(|port| server(*port)).collect(),
            unfenced: Vec::new(),
            promoting: None,
            halted: Vec::new(),
            reopens: false,
            unsettled: Vec::new(),
            is_ours: true,
            configured: server(13_310),
            why: "test".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_record_survives_and_wins_over_the_config() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let config = fixture::config();
        let cluster = ClusterName::new("c1");
        let primaries = Primaries::load(store.clone()).await.unwrap();
        primaries.declare(&config);
        assert_eq!(primaries.derive(&config), config);
        primaries.write(&cluster, record(13_311, &[13_310])).await.unwrap();

        let again = Primaries::load(store.clone()).await.unwrap();
        let derived = again.derive(&config);
        assert_eq!(derived.clusters[&cluster].primary, server(13_311));
        assert!(derived.clusters[&cluster].replicas.is_empty(), "what is cut off is not used");
        assert_eq!(derived.clusters["c2"], config.clusters["c2"]);
        again.declare(&config);
        again.write(&cluster, record(13_311, &[])).await.unwrap();
        assert_eq!(again.derive(&config).clusters[&cluster].replicas, [server(13_310)]);

        // The first has not seen that: it is told, takes it over, and can go on from there.
        let late = primaries.write(&cluster, record(13_310, &[])).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })));
        assert_eq!(primaries.record(&cluster), Some(record(13_311, &[])));
        primaries.write(&cluster, record(13_310, &[])).await.unwrap();
        assert!(again.refresh(&cluster).await.unwrap());
        assert_eq!(again.derive(&config), config);
    }

    #[tokio::test]
    async fn a_record_of_a_server_that_is_gone_means_nothing() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let config = fixture::config();
        let primaries = Primaries::load(store).await.unwrap();
        primaries.declare(&config);
        let cluster = ClusterName::new("c1");
        primaries.write(&cluster, record(9_999, &[])).await.unwrap();
        assert_eq!(primaries.derive(&config), config);
        assert_eq!(primaries.record(&cluster), None);
        assert_eq!(primaries.cluster(&cluster), Some(config.clusters[&cluster].clone()));
    }
}
