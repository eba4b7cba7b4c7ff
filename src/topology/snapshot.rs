//! One generation of the routing truth.

use std::sync::Arc;

use super::{
    Directories, Directory, KeyspaceShards, Placement, RouteError, Shard, ShardsFault, WorkspaceState,
};
use crate::config::{Cluster, Config, KeyspaceTopology};
use crate::ids::{ClusterName, Generation, KeyRange, Keyspace, KeyspaceId, NameMap, WorkspaceId};
use crate::plan::Address;
use crate::vschema::{Layout, Mapped, Vschema};

/// Config, vschema and shards of one generation. Never changes; a statement holds one from plan to end.
///
/// The directories are shared between generations: an entry changes without a new snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number.
    pub generation: Generation,
    /// The main config file.
    pub config: Arc<Config>,
    /// What is sharded by what.
    pub vschema: Arc<Vschema>,
    /// Where workspaces are, per keyspace that places them so.
    pub directories: Directories,
    keyspaces: NameMap<Keyspace, KeyspaceShards>,
}

/// Why config and vschema do not make a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// The shards of a keyspace are wrong.
    #[error("keyspace {keyspace}: {fault}")]
    Shards {
        /// The keyspace.
        keyspace: Keyspace,
        /// What is wrong.
        #[source]
        fault: ShardsFault,
    },
    /// A keyspace uses a directory that was not read.
    #[error("keyspace {keyspace}: its directory was not read from the store")]
    DirectoryNotRead {
        /// The keyspace.
        keyspace: Keyspace,
    },
}

impl Snapshot {
    /// Puts the parts together, as generation 0; [`super::SnapshotCell`] numbers it.
    ///
    /// Costs per keyspace and shard, never per workspace or database.
    ///
    /// # Errors
    /// [`SnapshotFault::Shards`] when the shards of a keyspace do not tile it;
    /// [`SnapshotFault::DirectoryNotRead`] when `directories` lacks a keyspace that needs one.
    pub fn build(
        config: Arc<Config>,
        vschema: Arc<Vschema>,
        directories: Directories,
    ) -> Result<Self, SnapshotFault> {
        let mut keyspaces = NameMap::default();
        for (keyspace, places) in &config.keyspaces {
            let has_ranges = Self::has_ranges(&vschema, keyspace);
            let shards = KeyspaceShards::new(shards_of(places, has_ranges))
                .map_err(|fault| SnapshotFault::Shards { keyspace: keyspace.clone(), fault })?;
            keyspaces.insert(keyspace.clone(), shards);
        }
        let missing = Self::keyspaces_with_directory(&vschema).find(|name| directories.get(name).is_none());
        match missing {
            Some(keyspace) => Err(SnapshotFault::DirectoryNotRead { keyspace }),
            None => Ok(Self { generation: Generation(0), config, vschema, directories, keyspaces }),
        }
    }

    /// The same with one cluster's definition replaced; numbered by [`super::SnapshotCell`].
    #[must_use]
    pub fn with_cluster(&self, cluster: Cluster) -> Self {
        let mut config = Config::clone(&self.config);
        config.clusters.insert(cluster.name.clone(), cluster);
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// The keyspaces whose directories [`Directories::load`] must read first.
    pub fn keyspaces_with_directory(vschema: &Vschema) -> impl Iterator<Item = Keyspace> {
        vschema.keyspaces().filter(|schema| schema.uses_directory()).map(|schema| schema.name.clone())
    }

    /// Where a directory alone places, shard names that look like ranges are only names.
    fn has_ranges(vschema: &Vschema, keyspace: &Keyspace) -> bool {
        let layout = vschema.keyspace(keyspace.as_str()).map(|schema| &schema.layout);
        !matches!(layout, Some(Layout::DatabasePerWorkspace(_)))
    }

    /// Names of the keyspaces that have shards, in order.
    pub fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        self.config.keyspaces.keys()
    }

    /// The shards of a keyspace, in key order, or in name order where they have no ranges; empty when the
    /// keyspace is not in the config.
    pub fn shards(&self, keyspace: &Keyspace) -> &[Arc<Shard>] {
        self.keyspaces.get(keyspace).map_or(&[], |shards| shards.all())
    }

    /// A shard by name.
    pub fn shard(&self, keyspace: &Keyspace, name: &str) -> Option<&Arc<Shard>> {
        self.keyspaces.get(keyspace)?.named(name)
    }

    /// A cluster of the config.
    ///
    /// # Errors
    /// [`RouteError::UnknownCluster`] when the config has none of that name.
    pub fn cluster(&self, name: &ClusterName) -> Result<&Cluster, RouteError> {
        let found = self.config.clusters.get(name);
        found.ok_or_else(|| RouteError::UnknownCluster { cluster: name.clone() })
    }

    /// The directory of a keyspace that places workspaces by one.
    ///
    /// # Errors
    /// [`RouteError::NoDirectory`] when it does not.
    pub fn directory(&self, keyspace: &Keyspace) -> Result<&Arc<Directory>, RouteError> {
        let found = self.directories.get(keyspace);
        found.ok_or_else(|| RouteError::NoDirectory { keyspace: keyspace.clone() })
    }

    /// Where a bound statement's address is.
    ///
    /// # Errors
    /// [`RouteError`], as the methods for each kind of address.
    pub fn resolve(&self, address: &Address) -> Result<Placement, RouteError> {
        match address {
            Address::Keyspace(keyspace) => self.single_shard(keyspace).map(settled),
            Address::AnyShard(keyspace) | Address::Own(keyspace) | Address::Model(keyspace) => {
                self.any_shard(keyspace).map(settled)
            }
            Address::Workspace { keyspace, workspace } => self.placement(keyspace, workspace),
            Address::Key { keyspace, id, .. } => self.shard_of_id(keyspace, id).map(settled),
            Address::Range { keyspace, range } => self.shard_of_range(keyspace, range).map(settled),
        }
    }

    /// Where what a vindex gave is.
    ///
    /// # Errors
    /// [`RouteError`], as the methods for each kind.
    pub fn shard_for(&self, keyspace: &Keyspace, mapped: &Mapped) -> Result<Placement, RouteError> {
        match mapped {
            Mapped::KeyspaceId(id) => self.shard_of_id(keyspace, id).map(settled),
            Mapped::Directory(workspace) => self.placement(keyspace, workspace),
            Mapped::Range(range) => self.shard_of_range(keyspace, range).map(settled),
        }
    }

    /// Where a workspace is and what it accepts, by the keyspace's directory.
    ///
    /// # Errors
    /// [`RouteError::NoDirectory`], [`RouteError::UnknownWorkspace`], [`RouteError::DamagedPage`], and
    /// [`RouteError::MissingShard`] when the entry names a shard that the config does not have.
    pub fn placement(&self, keyspace: &Keyspace, workspace: &WorkspaceId) -> Result<Placement, RouteError> {
        let entry = self.directory(keyspace)?.lookup(workspace)?.ok_or_else(|| {
            RouteError::UnknownWorkspace { keyspace: keyspace.clone(), workspace: workspace.clone() }
        })?;
        let shard = self.known(keyspace)?.named(entry.shard.as_str()).cloned().ok_or_else(|| {
            RouteError::MissingShard {
                keyspace: keyspace.clone(),
                workspace: workspace.clone(),
                shard: entry.shard,
            }
        })?;
        Ok(Placement { shard, state: entry.state, revision: entry.revision })
    }

    /// The shard whose range holds a keyspace id.
    ///
    /// # Errors
    /// [`RouteError::UnknownKeyspace`]; [`RouteError::NoShard`] where shards have no ranges.
    pub fn shard_of_id(&self, keyspace: &Keyspace, id: &KeyspaceId) -> Result<Arc<Shard>, RouteError> {
        let found = self.known(keyspace)?.holding(id).cloned();
        found.ok_or_else(|| RouteError::NoShard { keyspace: keyspace.clone(), id: id.clone() })
    }

    /// The one shard that holds a whole range of keyspace ids.
    ///
    /// # Errors
    /// [`RouteError::UnknownKeyspace`]; [`RouteError::SeveralShards`] when it is not on exactly one shard.
    pub fn shard_of_range(&self, keyspace: &Keyspace, range: &KeyRange) -> Result<Arc<Shard>, RouteError> {
        let found: Vec<_> = self.known(keyspace)?.overlapping(range).collect();
        match found[..] {
            [shard] => Ok(Arc::clone(shard)),
            _ => Err(RouteError::SeveralShards {
                keyspace: keyspace.clone(),
                range: range.clone(),
                count: found.len(),
            }),
        }
    }

    /// The shard of a keyspace that has only one.
    ///
    /// # Errors
    /// [`RouteError::UnknownKeyspace`]; [`RouteError::Sharded`] when it has several.
    pub fn single_shard(&self, keyspace: &Keyspace) -> Result<Arc<Shard>, RouteError> {
        match self.known(keyspace)?.all() {
            [shard] => Ok(Arc::clone(shard)),
            all => Err(RouteError::Sharded { keyspace: keyspace.clone(), count: all.len() }),
        }
    }

    /// Some shard of a keyspace, always the same one within a snapshot.
    ///
    /// # Errors
    /// [`RouteError::UnknownKeyspace`].
    pub fn any_shard(&self, keyspace: &Keyspace) -> Result<Arc<Shard>, RouteError> {
        let first = self.known(keyspace)?.all().first().cloned();
        first.ok_or_else(|| RouteError::UnknownKeyspace { keyspace: keyspace.clone() })
    }

    /// The workspace whose database stands for all of a `database_per_workspace` keyspace where the schema is
    /// asked about: an active one on [`Self::any_shard`]. `None` when there is none.
    ///
    /// # Errors
    /// [`RouteError::UnknownKeyspace`], [`RouteError::NoDirectory`].
    pub fn model(&self, keyspace: &Keyspace) -> Result<Option<WorkspaceId>, RouteError> {
        let shard = self.any_shard(keyspace)?;
        Ok(self.directory(keyspace)?.some_active(&shard.name))
    }

    fn known(&self, keyspace: &Keyspace) -> Result<&KeyspaceShards, RouteError> {
        let found = self.keyspaces.get(keyspace);
        found.ok_or_else(|| RouteError::UnknownKeyspace { keyspace: keyspace.clone() })
    }
}

/// Where no directory has a say, the place takes everything.
fn settled(shard: Arc<Shard>) -> Placement {
    Placement { shard, state: WorkspaceState::Active, revision: 0 }
}

fn shards_of(places: &KeyspaceTopology, has_ranges: bool) -> Vec<Shard> {
    let shard = |place: &crate::config::ShardPlace| Shard {
        keyspace: places.name.clone(),
        name: place.name.clone(),
        cluster: place.cluster.clone(),
        range: place.range.clone().filter(|_| has_ranges),
        weight: place.weight,
    };
    places.shards.iter().map(shard).collect()
}
