//! Room of integer columns, watched: one database at a time, in turn, for `/metrics`.
//!
//! Workspaces of one keyspace have one schema, and the largest ones show first: it takes no look at all of
//! them to learn that a column fills up. Each minute one database of one keyspace is read, on a replica where
//! there is one; never on a cluster that holds schema changes back, and never beside more looks than may be.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::{RoomRow, RoomsView};
use crate::ddl::{Danger, Room, SchemaFacts, judge};
use crate::ids::{ClusterName, Keyspace, WorkspaceId};
use crate::schema::{Purpose, Reader, read_facts};
use crate::session::Services;
use crate::topology::{ListFilter, Snapshot};
use crate::vschema::Layout;

/// Between two databases.
const EVERY: Duration = Duration::from_secs(60);
/// One question takes no longer.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// A database takes no longer; what was not read by then is not known.
const READ_WITHIN: Duration = Duration::from_secs(120);
/// What was read is told for so long.
const TOLD_FOR: Duration = Duration::from_secs(2 * 24 * 3600);
/// Databases that are remembered; the one that was read first makes room.
const DATABASES_MAX: usize = 200;
/// Columns that are told, the fullest ones.
const ROWS_MAX: usize = 100;
/// Samples that are closer together tell no rate, seconds.
const RATE_AFTER_S: u64 = 3600;

/// A database to read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    keyspace: Keyspace,
    cluster: ClusterName,
    database: String,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turn {
    /// Databases taken.
    taken: usize,
    /// Of each keyspace: its workspaces up to this one had theirs.
    after: HashMap<Keyspace, WorkspaceId>,
}

impl Turn {
    /// The next database: of the next keyspace, its next shard or workspace. `None` when that has none.
    fn next(&mut self, snapshot: &Snapshot) -> Option<Target> {
        let mut keyspaces: Vec<&Keyspace> = snapshot.keyspaces().collect();
        keyspaces.sort();
        let at = self.taken;
        self.taken += 1;
        let keyspace = *keyspaces.get(at.checked_rem(keyspaces.len())?)?;
        let schema = snapshot.vschema.keyspace(keyspace.as_str())?;
        if let Layout::DatabasePerWorkspace(pattern) = &schema.layout {
            let (workspace, cluster) = self.next_workspace(snapshot, keyspace)?;
            return Some(Target {
                keyspace: keyspace.clone(),
                cluster,
                database: pattern.render(&workspace)?,
            });
        }
        let shards = snapshot.shards(keyspace);
        let shard = shards.get((at / keyspaces.len()).checked_rem(shards.len())?)?;
        let (cluster, database) = (shard.cluster.clone(), keyspace.as_str().to_owned());
        Some(Target { keyspace: keyspace.clone(), cluster, database })
    }

    fn next_workspace(
        &mut self,
        snapshot: &Snapshot,
        keyspace: &Keyspace,
    ) -> Option<(WorkspaceId, ClusterName)> {
        let directory = snapshot.directory(keyspace).ok()?;
        let after = self.after.remove(keyspace);
        let first = |after| directory.list(&ListFilter { after, limit: 1, ..ListFilter::default() });
        let found = match first(after) {
            found if found.is_empty() => first(None),
            found => found,
        };
        let (workspace, entry) = found.into_iter().next()?;
        self.after.insert(keyspace.clone(), workspace.clone());
        let shard = snapshot.shard(keyspace, entry.shard.as_str())?;
        Some((workspace, shard.cluster.clone()))
    }
}

/// What is known of one database.
struct Known {
    cluster: ClusterName,
    at: Instant,
    /// The first sample, for the rate.
    first: SchemaFacts,
    rooms: Vec<Room>,
}

/// What was read of the databases that had their turn.
#[derive(Default)]
pub(in crate::server) struct Rooms {
    known: Mutex<BTreeMap<(Keyspace, String), Known>>,
}

impl Rooms {
    fn take(&self, target: Target, facts: SchemaFacts, now: Instant) {
        let mut known = self.known();
        let key = (target.keyspace, target.database);
        let before = known.remove(&key).map(|known| known.first);
        let earlier = before.as_ref().filter(|before| before.taken + RATE_AFTER_S <= facts.taken);
        let mut rooms = judge(&facts, earlier);
        rooms.retain(|room| room.danger > Danger::None && room.share.is_some());
        let first = before.unwrap_or(facts);
        if known.len() >= DATABASES_MAX {
            let oldest = known.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| known.remove(&oldest));
        }
        known.insert(key, Known { cluster: target.cluster, at: now, first, rooms });
    }

    fn rows(&self, now: Instant) -> Vec<RoomRow> {
        let known = self.known();
        let is_told = |known: &&Known| now.saturating_duration_since(known.at) < TOLD_FOR;
        let mut rows: Vec<RoomRow> = known
            .iter()
            .filter(|(_, known)| is_told(known))
            .flat_map(|((keyspace, database), known)| {
                known.rooms.iter().map(move |room| RoomRow {
                    keyspace: keyspace.clone(),
                    cluster: known.cluster.clone(),
                    database: database.clone(),
                    table: room.table.clone(),
                    column: room.column.clone(),
                    share: room.share.unwrap_or_default(),
                    days_left: room.days_left,
                })
            })
            .collect();
        rows.sort_by(|one, other| other.share.total_cmp(&one.share));
        rows.truncate(ROWS_MAX);
        rows
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn known(&self) -> MutexGuard<'_, BTreeMap<(Keyspace, String), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomsView for Rooms {
    fn rooms(&self) -> Vec<RoomRow> {
        self.rows(Instant::now())
    }
}

/// Reads one database after the other until dropped.
pub(in crate::server) async fn watch(services: Arc<Services>, rooms: Arc<Rooms>) {
    let mut turn = Turn::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(target) = turn.next(&services.snapshots.load()) else { continue };
        match tokio::time::timeout(READ_WITHIN, read(&services, &target)).await {
            Ok(Ok(facts)) => rooms.take(target, facts, Instant::now()),
            Ok(Err(why)) => tracing::debug!(?target, why, "room of integers not read"),
            Err(_) => tracing::debug!(?target, "room of integers not read in time"),
        }
    }
}

async fn read(services: &Services, target: &Target) -> Result<SchemaFacts, String> {
    if services.admissions.of(&target.cluster).is_ddl_closed() {
        return Err("the cluster is not well".to_owned());
    }
    let snapshot = services.snapshots.load();
    let cluster = snapshot.cluster(&target.cluster).map_err(|error| error.to_string())?;
    let full = |error: crate::schema::LooksFull| error.to_string();
    let _room = services.looks.admit(&target.cluster, Purpose::Look).await.map_err(full)?;
    let server = cluster.replicas.first().unwrap_or(&cluster.primary);
    let fault = |error: crate::schema::ReadError| error.to_string();
    let login = (&cluster.admin_login, &cluster.tls);
    let mut reader = Reader::open(server, login, &target.database, ASK_WITHIN).await.map_err(fault)?;
    let facts = read_facts(&mut reader).await.map_err(fault);
    reader.close().await;
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::IntegerColumn;
    use crate::ids::ShardName;
    use crate::topology::{DirectoryAdmin, EmbeddedStore, NewWorkspace, Store, WorkspaceState, fixture};

    fn facts(next: u64, taken: u64) -> SchemaFacts {
        let column = IntegerColumn {
            table: "t".to_owned(),
            column: "id".to_owned(),
            bytes: 4,
            unsigned: false,
            counter: Some(next),
            sequence: None,
            largest: None,
            smallest: None,
            is_key: true,
            is_polymorphic: false,
        };
        SchemaFacts { database: "ws_1".into(), taken, columns: vec![column], ..SchemaFacts::default() }
    }

    fn target(database: &str) -> Target {
        let (keyspace, cluster) = (Keyspace::new("workspaces"), ClusterName::new("c1"));
        Target { keyspace, cluster, database: database.to_owned() }
    }

    #[test]
    fn the_fullest_columns_are_told_with_the_days_that_are_left() {
        let (rooms, now) = (Rooms::default(), Instant::now());
        rooms.take(target("ws_1"), facts(1_500_000_000, 0), now);
        rooms.take(target("ws_2"), facts(2_000_000_000, 0), now);
        rooms.take(target("ws_3"), facts(10, 0), now);
        let told = rooms.rows(now);
        let names: Vec<&str> = told.iter().map(|row| row.database.as_str()).collect();
        assert_eq!(names, ["ws_2", "ws_1"], "what has room is not told");
        assert_eq!(told[0].days_left, None);
        // A day later a hundred million more.
        rooms.take(target("ws_2"), facts(2_100_000_000, 24 * 3600), now);
        let told = rooms.rows(now);
        assert!(told[0].days_left.is_some_and(|days| days < 1.0), "{told:?}");
        assert!(rooms.rows(now + TOLD_FOR).is_empty(), "old news");
    }

    #[tokio::test]
    async fn each_keyspace_has_its_turn_and_each_of_its_databases() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder.path().join("store.redb")).unwrap());
        let snapshots = fixture::snapshots(&*store).await;
        let workspaces = DirectoryAdmin::new(store.clone(), snapshots.clone());
        for (id, shard) in [("1", "ws-a"), ("7", "ws-b")] {
            let state = WorkspaceState::Active;
            let new = NewWorkspace { shard: Some(ShardName::new(shard)), state, with_database: false };
            let id = WorkspaceId::parse(id).unwrap();
            workspaces.create(&fixture::workspaces(), &id, &new).await.unwrap();
        }
        let (snapshot, mut turn) = (snapshots.load(), Turn::default());
        let mut next =
            || turn.next(&snapshot).map(|target| format!("{}@{}", target.database, target.cluster));
        let seen: Vec<String> = (0..9).filter_map(|_| next()).collect();
        let expected = "app@c1 shop@c1 ws_1@c1 app@c1 shop@c2 ws_7@c2 app@c1 shop@c3 ws_1@c1".split(' ');
        assert_eq!(seen, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (rooms, now) = (Rooms::default(), Instant::now());
        for at in 0..DATABASES_MAX + 50 {
            let later = now + Duration::from_secs(at as u64);
            rooms.take(target(&format!("ws_{at}")), facts(2_000_000_000, 0), later);
        }
        assert_eq!(rooms.known().len(), DATABASES_MAX);
        assert!(!rooms.known().contains_key(&(Keyspace::new("workspaces"), "ws_49".to_owned())));
        assert_eq!(rooms.rows(now).len(), ROWS_MAX);
    }
}
