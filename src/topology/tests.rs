//! Tests of snapshots and their swap.

use std::sync::Arc;

use super::fixture;
use super::*;
use crate::ids::{ClusterName, Generation, KeyRange, Keyspace, KeyspaceId, ShardName, WorkspaceId};
use crate::plan::Address;

fn ks(name: &str) -> Keyspace {
    Keyspace::new(name)
}

#[tokio::test]
async fn addresses_resolve_to_shards() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let cell = fixture::snapshots(&*store).await;
    let admin = DirectoryAdmin::new(Arc::clone(&store), Arc::clone(&cell));
    let workspace = WorkspaceId::Number(42);
    let new = NewWorkspace { shard: Some(ShardName::new("ws-b")), ..NewWorkspace::default() };
    admin.create(&fixture::workspaces(), &workspace, &new).await.unwrap();
    let snapshot = cell.load();
    let resolve =
        |address: Address| snapshot.resolve(&address).map(|placement| placement.shard.cluster.to_string());
    assert_eq!(resolve(Address::Keyspace(ks("app"))).unwrap(), "c1");
    assert_eq!(resolve(Address::AnyShard(ks("shop"))).unwrap(), "c1");
    let id = KeyspaceId::from(0x6000_0000_0000_0000);
    assert_eq!(resolve(Address::Key { keyspace: ks("shop"), workspace: None, id }).unwrap(), "c2");
    let range = |text: &str| Address::Range { keyspace: ks("shop"), range: KeyRange::parse(text).unwrap() };
    assert_eq!(resolve(range("b0-c0")).unwrap(), "c3");
    assert!(matches!(resolve(range("50-60")), Err(RouteError::SeveralShards { count: 2, .. })));
    let in_directory =
        |workspace: WorkspaceId| Address::Workspace { keyspace: fixture::workspaces(), workspace };
    assert_eq!(resolve(in_directory(workspace)).unwrap(), "c2");
    let unknown = resolve(in_directory(WorkspaceId::Number(43)));
    assert!(matches!(unknown, Err(RouteError::UnknownWorkspace { .. })));
    assert!(matches!(resolve(Address::Keyspace(ks("shop"))), Err(RouteError::Sharded { count: 3, .. })));
    assert!(matches!(resolve(Address::Keyspace(ks("none"))), Err(RouteError::UnknownKeyspace { .. })));
    let id = KeyspaceId::from(1);
    let by_id = resolve(Address::Key { keyspace: fixture::workspaces(), workspace: None, id });
    assert!(matches!(by_id, Err(RouteError::NoShard { .. })));
}

#[tokio::test]
async fn a_swap_counts_up_says_what_changed_and_spares_holders() {
    let store = EmbeddedStore::in_memory().unwrap();
    let cell = fixture::snapshots(&store).await;
    let held = cell.load();
    let mut config = fixture::config();
    config.clusters.get_mut("c2").unwrap().pool.max_connections = 7;
    let places = config.keyspaces.get_mut("workspaces").unwrap();
    places.shards[0].cluster = ClusterName::new("c2");
    places.shards.pop();
    config.users.remove("app");
    let vschema = Arc::clone(&held.vschema);
    let next = Snapshot::build(Arc::new(config), vschema, held.directories.clone()).unwrap();
    let changes = cell.swap(next);
    assert_eq!(
        changes.to_string(),
        "generation 2; clusters changed: c2; shards removed: workspaces/ws-c; shards changed: \
         workspaces/ws-a; users removed: app"
    );
    assert_eq!(cell.load().generation, Generation(2));
    assert_eq!((held.generation, held.shards(&fixture::workspaces()).len()), (Generation(1), 3));
    let same = SnapshotChanges::between(&cell.load(), &cell.load());
    assert!(same.kinds().iter().all(|(_, changed)| changed.is_empty()));
}

#[tokio::test]
async fn a_snapshot_needs_its_directories() {
    let vschema = Arc::new(fixture::vschema());
    let workspaces = fixture::workspaces();
    let built = Snapshot::build(Arc::new(fixture::config()), vschema, Directories::default());
    assert!(matches!(built, Err(SnapshotFault::DirectoryNotRead { keyspace }) if keyspace == workspaces));
}
