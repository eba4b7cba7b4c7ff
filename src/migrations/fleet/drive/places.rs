//! Where databases are, by the routing snapshot of the moment.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ids::{ClusterName, ShardName, WorkspaceId};
use crate::migrations::fleet::ledger::{Action, Order, Record, Row, Why};
use crate::migrations::fleet::schedule::{Place, Places};
use crate::topology::{Entry, RouteError, Shard, SnapshotCell, WorkspaceState};
use crate::vschema::Layout;

/// Asks the current snapshot. A workspace that is read-only is changed like an active one: its clients read,
/// and code that is deployed later expects the new definition there too.
pub struct SnapshotPlaces(Arc<SnapshotCell>);

impl SnapshotPlaces {
    /// Asks the snapshots of this cell.
    pub fn new(snapshots: Arc<SnapshotCell>) -> Self {
        Self(snapshots)
    }
}

impl Places for SnapshotPlaces {
    fn place(&self, order: &Order, row: &Row) -> Place {
        let snapshot = self.0.peek();
        let Some(workspace) = &row.workspace else {
            // Of a shard's own database there is nothing to know but its cluster.
            return match snapshot.shard(&order.keyspace, row.shard.as_str()) {
                Some(shard) => compare(shard, &row.shard, &row.cluster),
                None => Place::Later(Why::Unplaced),
            };
        };
        match snapshot.placement(&order.keyspace, workspace) {
            Ok(placement) => match placement.state {
                WorkspaceState::Moving => Place::Later(Why::Moving),
                WorkspaceState::Suspended => Place::Later(Why::Suspended),
                WorkspaceState::Active | WorkspaceState::ReadOnly => {
                    compare(&placement.shard, &row.shard, &row.cluster)
                }
            },
            Err(RouteError::UnknownWorkspace { .. }) => Place::Gone,
            Err(_) => Place::Later(Why::Unplaced),
        }
    }

    fn latecomers(&self, order: &Order, rows: &[Row]) -> Vec<Row> {
        let snapshot = self.0.peek();
        let schema = snapshot.vschema.keyspace(order.keyspace.as_str());
        let layout = schema.map(|schema| &schema.layout);
        let (Some(Layout::DatabasePerWorkspace(pattern)), Action::Change) = (layout, &order.action) else {
            return Vec::new();
        };
        let Ok(directory) = snapshot.directory(&order.keyspace) else { return Vec::new() };
        let known: HashSet<&WorkspaceId> = rows.iter().filter_map(|row| row.workspace.as_ref()).collect();
        let wave = u16::try_from(order.waves.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let late = directory.entries().filter(|(workspace, _)| !known.contains(workspace));
        let row = |(workspace, entry): (WorkspaceId, Entry)| {
            let shard = snapshot.shard(&order.keyspace, entry.shard.as_str())?;
            let (shard, cluster) = (shard.name.clone(), shard.cluster.clone());
            let database = pattern.render(&workspace)?.into();
            let workspace = Some(workspace);
            Some(Row {
                database,
                workspace,
                shard,
                cluster,
                wave,
                there: 0,
                made: 0,
                unsure: 0,
                record: Record::WAITING,
            })
        };
        late.filter_map(row).collect()
    }
}

fn compare(shard: &Shard, known: &ShardName, on: &ClusterName) -> Place {
    if shard.name == *known && shard.cluster == *on {
        Place::Ready
    } else {
        Place::Elsewhere { shard: shard.name.clone(), cluster: shard.cluster.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Keyspace, WorkspaceId};
    use crate::migrations::fleet::fixture::{order, row};
    use crate::topology::fixture::{snapshots, workspaces};
    use crate::topology::{DirectoryAdmin, EmbeddedStore, Force, NewWorkspace, Store};

    #[tokio::test]
    async fn workspaces_are_where_the_directory_says() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let cell = snapshots(&*store).await;
        let admin = DirectoryAdmin::new(store.clone(), cell.clone());
        let places = SnapshotPlaces::new(cell);
        let (order, id) = (order("0001", "issues", Vec::new()), WorkspaceId::Number(7));
        let mut row = row(7, 1, 0);
        (row.shard, row.cluster) = (ShardName::new("ws-a"), ClusterName::new("c1"));
        assert_eq!(places.place(&order, &row), Place::Gone);
        let new = NewWorkspace { shard: Some(ShardName::new("ws-a")), ..NewWorkspace::default() };
        admin.create(&workspaces(), &id, &new).await.unwrap();
        assert_eq!(places.place(&order, &row), Place::Ready);
        for (state, place) in [
            (WorkspaceState::ReadOnly, Place::Ready),
            (WorkspaceState::Suspended, Place::Later(Why::Suspended)),
            (WorkspaceState::Moving, Place::Later(Why::Moving)),
        ] {
            admin.set_state(&workspaces(), &id, state).await.unwrap();
            assert_eq!(places.place(&order, &row), place);
        }
        admin.set_shard(&workspaces(), &id, &ShardName::new("ws-b"), Force::No).await.unwrap();
        admin.set_state(&workspaces(), &id, WorkspaceState::Active).await.unwrap();
        let (shard, cluster) = (ShardName::new("ws-b"), ClusterName::new("c2"));
        assert_eq!(places.place(&order, &row), Place::Elsewhere { shard, cluster });
        // A shard of shared tables, and one that the config does not have.
        let mut order = order;
        order.keyspace = Keyspace::new("shop");
        (row.workspace, row.shard, row.cluster) = (None, ShardName::new("55-aa"), ClusterName::new("c2"));
        assert_eq!(places.place(&order, &row), Place::Ready);
        row.shard = ShardName::new("ws-x");
        assert_eq!(places.place(&order, &row), Place::Later(Why::Unplaced));
    }
}
