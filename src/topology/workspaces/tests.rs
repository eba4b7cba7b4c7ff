//! Tests of directory changes and of making databases.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::provision::{DatabaseServer, Job, carry_out, pieces};
use super::server::ServerFault;
use super::*;
use crate::topology::store::{Change, StoreError, StoreFuture, Versioned, Write};
use crate::topology::{EmbeddedStore, fixture};

/// A store that can be made to fail, and counts commits.
struct Moody {
    below: EmbeddedStore,
    fails: AtomicBool,
    commits: AtomicUsize,
}

impl Store for Moody {
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>> {
        self.below.get(key)
    }

    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        if self.fails.load(Ordering::Relaxed) {
            let failure = StoreError::Failed { action: "write", reason: "the disk is full".into() };
            return Box::pin(async { Err(failure) });
        }
        self.below.commit(writes)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>> {
        self.below.list(prefix)
    }

    fn watch(&self, prefix: &str) -> tokio::sync::mpsc::Receiver<Change> {
        self.below.watch(prefix)
    }
}

struct Stand {
    store: Arc<Moody>,
    admin: DirectoryAdmin,
    keyspace: Keyspace,
}

async fn stand() -> Stand {
    let below = EmbeddedStore::in_memory().unwrap();
    let store = Arc::new(Moody { below, fails: false.into(), commits: 0.into() });
    stand_on(store).await
}

async fn stand_on(store: Arc<Moody>) -> Stand {
    let snapshots = fixture::snapshots(&*store).await;
    let admin = DirectoryAdmin::new(Arc::clone(&store) as Arc<dyn Store>, snapshots);
    Stand { store, admin, keyspace: fixture::workspaces() }
}

impl Stand {
    async fn create(&self, id: u64) -> Result<Entry, WorkspaceError> {
        self.admin.create(&self.keyspace, &WorkspaceId::Number(id), &NewWorkspace::default()).await
    }

    async fn import(
        &self,
        text: &str,
        format: RowFormat,
        existing: Existing,
    ) -> Result<ImportReport, WorkspaceError> {
        self.admin.import(&self.keyspace, text.as_bytes(), format, existing).await
    }

    fn export(&self, format: RowFormat) -> Vec<String> {
        let mut out = Vec::new();
        let write = |chunk: &[u8]| {
            out.extend_from_slice(chunk);
            Ok(())
        };
        self.admin.export(&self.keyspace, format, write).unwrap();
        let mut lines: Vec<String> = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

#[tokio::test]
async fn new_workspaces_go_by_weight() {
    let stand = stand().await;
    let mut placed = Vec::new();
    for id in 0..8 {
        placed.push(stand.create(id).await.unwrap().shard.to_string());
    }
    assert_eq!(placed, ["ws-a", "ws-b", "ws-c", "ws-c", "ws-a", "ws-b", "ws-c", "ws-c"]);
    assert!(matches!(stand.create(3).await, Err(WorkspaceError::Exists { .. })));
    let new = NewWorkspace { shard: Some(ShardName::new("ws-x")), ..NewWorkspace::default() };
    let refused = stand.admin.create(&stand.keyspace, &WorkspaceId::Number(9), &new).await.unwrap_err();
    assert_eq!(refused.to_string(), "workspaces has no shard ws-x (it has ws-a, ws-b, ws-c)");
    let unnameable = WorkspaceId::parse("a/b").unwrap();
    let refused = stand.admin.create(&stand.keyspace, &unnameable, &NewWorkspace::default()).await;
    assert!(matches!(refused, Err(WorkspaceError::Unnameable { .. })));
}

#[tokio::test]
async fn a_shard_changes_only_when_nothing_writes() {
    let Stand { admin, keyspace, .. } = stand().await;
    let id = WorkspaceId::Number(1);
    admin.create(&keyspace, &id, &NewWorkspace::default()).await.unwrap();
    let target = ShardName::new("ws-b");
    let refused = admin.set_shard(&keyspace, &id, &target, Force::No).await;
    assert!(matches!(refused, Err(WorkspaceError::Busy { .. })));
    assert_eq!(admin.set_state(&keyspace, &id, WorkspaceState::Moving).await.unwrap().revision, 2);
    let moved = admin.set_shard(&keyspace, &id, &target, Force::No).await.unwrap();
    assert_eq!((moved.shard.as_str(), moved.revision), ("ws-b", 3));
    assert_eq!(admin.set_state(&keyspace, &id, WorkspaceState::Moving).await.unwrap().revision, 3);
    assert!(matches!(admin.delete(&keyspace, &id, Force::No).await, Err(WorkspaceError::Busy { .. })));
    admin.set_state(&keyspace, &id, WorkspaceState::Suspended).await.unwrap();
    admin.delete(&keyspace, &id, Force::No).await.unwrap();
    let gone = admin.show(&keyspace, &id).unwrap_err();
    assert_eq!(gone.code(), crate::error::Code::UnknownWorkspace);
    assert!(admin.delete(&keyspace, &id, Force::Yes).await.is_err());
}

#[tokio::test]
async fn what_the_store_refuses_is_not_visible() {
    let stand = stand().await;
    stand.create(1).await.unwrap();
    stand.store.fails.store(true, Ordering::Relaxed);
    let failed = stand.create(2).await.unwrap_err();
    assert_eq!(failed.code(), crate::error::Code::StoreFailed);
    let id = WorkspaceId::Number(1);
    assert!(stand.admin.set_state(&stand.keyspace, &id, WorkspaceState::Moving).await.is_err());
    assert_eq!(stand.admin.show(&stand.keyspace, &id).unwrap().state, WorkspaceState::Active);
    assert!(stand.admin.show(&stand.keyspace, &WorkspaceId::Number(2)).is_err());
    stand.store.fails.store(false, Ordering::Relaxed);
    stand.create(2).await.unwrap();
}

#[tokio::test]
async fn two_proxies_lose_no_change() {
    let first = stand().await;
    let second = stand_on(Arc::clone(&first.store)).await;
    let ids: Vec<u64> = (0..20_000).collect();
    let csv = |ids: &[u64]| {
        let lines: Vec<String> = ids.iter().map(ToString::to_string).collect();
        format!("workspace\n{}\n", lines.join("\n"))
    };
    first.import(&csv(&ids[..10_000]), RowFormat::Csv, Existing::Refuse).await.unwrap();
    second.import(&csv(&ids[10_000..]), RowFormat::Csv, Existing::Refuse).await.unwrap();
    let same = second.import(&csv(&ids[..10_000]), RowFormat::Csv, Existing::Skip).await.unwrap();
    assert_eq!((same.created, same.unchanged), (0, 10_000));
    for id in [1, 10_001] {
        let id = WorkspaceId::Number(id);
        first.admin.set_state(&first.keyspace, &id, WorkspaceState::ReadOnly).await.unwrap();
        second.admin.set_state(&first.keyspace, &id, WorkspaceState::Moving).await.unwrap();
    }
    let (fresh, _) = Directory::load(&*first.store, first.keyspace.clone()).await.unwrap();
    assert_eq!(fresh.len(), 20_000);
    assert_eq!(fresh.lookup(&WorkspaceId::Number(1)).unwrap().unwrap().revision, 3);
}

#[tokio::test]
async fn a_large_import_takes_few_commits_and_comes_back_out() {
    let stand = stand().await;
    let mut csv = String::from("workspace,shard,state\n");
    for id in 0..100_000 {
        csv.push_str(&format!("{id},,\n"));
    }
    csv.push_str("\"we \"\"two\"\", inc\",ws-b,suspended\n");
    let report = stand.import(&csv, RowFormat::Csv, Existing::Refuse).await.unwrap();
    assert_eq!((report.rows, report.created), (100_001, 100_001));
    assert!(stand.store.commits.load(Ordering::Relaxed) <= 32);
    let directory = Arc::clone(stand.admin.snapshots.load().directory(&stand.keyspace).unwrap());
    let on: Vec<u64> = directory.counts().iter().map(|(_, states)| states.iter().sum()).collect();
    assert_eq!(on, [25_000, 25_001, 50_000]);

    let exported = stand.export(RowFormat::Csv);
    assert!(exported.contains(&"\"we \"\"two\"\", inc\",ws-b,suspended".to_owned()));
    let other = super::tests::stand().await;
    let lines = stand.export(RowFormat::JsonLines).join("\n");
    other.import(&lines, RowFormat::JsonLines, Existing::Refuse).await.unwrap();
    assert_eq!(other.export(RowFormat::Csv), exported);
}

#[tokio::test]
async fn a_wrong_row_stops_the_whole_import() {
    let stand = stand().await;
    stand.create(7).await.unwrap();
    let csv = "workspace,shard,state\n1,ws-a,active\n1,ws-a,active\n2,ws-x,\n3,,sleeping\n7,,\n,,\n8,a,b,c\n\
               \"9,,\n";
    let WorkspaceError::Rows { rows, faults } =
        stand.import(csv, RowFormat::Csv, Existing::Refuse).await.unwrap_err()
    else {
        panic!("wrong error");
    };
    let mut said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "line 3: workspace 1 is there twice",
            "line 4: workspaces has no shard ws-x",
            "line 5: \"sleeping\" is no state (active, read_only, moving, suspended)",
            "line 6: the workspace 7 of workspaces is already on shard ws-a",
            "line 7: a workspace id has 1 to 128 bytes",
            "line 8: it has 4 fields, the header has 3",
            "line 9: a quote is not closed",
        ]
    );
    assert_eq!(rows, 8);
    assert!(stand.admin.show(&stand.keyspace, &WorkspaceId::Number(1)).is_err());
    let header = stand.import("id,shard\n1,a\n", RowFormat::Csv, Existing::Refuse).await.unwrap_err();
    assert!(header.to_string().contains("unknown column \"id\""), "{header}");
    let json = "{\"workspace\": 1, \"shrad\": \"ws-a\"}";
    assert!(stand.import(json, RowFormat::JsonLines, Existing::Refuse).await.is_err());
}

#[tokio::test]
async fn replacing_changes_only_what_differs() {
    let stand = stand().await;
    stand.import("workspace,shard\n1,ws-a\n2,ws-a\n", RowFormat::Csv, Existing::Refuse).await.unwrap();
    let text = "workspace,shard\n1,ws-a\n2,ws-b\n3,ws-c\n";
    let report = stand.import(text, RowFormat::Csv, Existing::Replace).await.unwrap();
    assert_eq!((report.created, report.replaced, report.unchanged), (1, 1, 1));
    let entry = stand.admin.show(&stand.keyspace, &WorkspaceId::Number(2)).unwrap();
    assert_eq!((entry.shard.as_str(), entry.revision), ("ws-b", 2));
}

/// A server that keeps databases and tables by name, and can be told where to fail.
#[derive(Default)]
struct FakeServer {
    databases: BTreeMap<String, Vec<String>>,
    used: String,
    log: Mutex<Vec<String>>,
    /// Lose the connection when this statement was applied.
    cut_after: Option<&'static str>,
    /// Refuse this statement.
    refuse: Option<&'static str>,
}

impl DatabaseServer for FakeServer {
    async fn has_database(&mut self, database: &str) -> Result<bool, ServerFault> {
        Ok(self.databases.contains_key(database))
    }

    async fn run(&mut self, statement: &str) -> Result<(), ServerFault> {
        self.log.lock().unwrap().push(statement.to_owned());
        let refused = |errno, message: &str| Err(ServerFault { errno: Some(errno), message: message.into() });
        if self.refuse == Some(statement) {
            return refused(1064, "no such grammar");
        }
        if let Some(name) = statement.strip_prefix("CREATE DATABASE IF NOT EXISTS ") {
            self.databases.entry(name.trim_matches('`').into()).or_default();
        } else if let Some(name) = statement.strip_prefix("USE ") {
            self.used = name.trim_matches('`').into();
        } else {
            let contents = self.databases.get_mut(&self.used).unwrap();
            if statement.starts_with("CREATE") && contents.iter().any(|had| had == statement) {
                return refused(1050, "Table exists");
            }
            contents.push(statement.into());
        }
        if self.cut_after == Some(statement) {
            return Err(ServerFault { errno: None, message: "connection lost".into() });
        }
        Ok(())
    }
}

const TEMPLATE: &str =
    "-- tables\nCREATE TABLE a (x int);\nCREATE TABLE b (x int);\nINSERT INTO a VALUES (1);\n";

fn job(template: &str) -> Job {
    Job {
        keyspace: fixture::workspaces(),
        workspace: WorkspaceId::Number(1),
        shard: ShardName::new("ws-a"),
        database: "ws_1".into(),
        template: pieces(template),
        template_hash: xxhash_rust::xxh3::xxh3_64(template.as_bytes()),
    }
}

#[tokio::test]
async fn a_template_is_cut_into_statements_with_lines() {
    let found: Vec<_> = pieces(TEMPLATE).into_iter().map(|piece| (piece.line, piece.is_schema)).collect();
    assert_eq!(found, [(2, true), (3, true), (4, false)]);
    assert_eq!(pieces("").len(), 0);
    assert_eq!(pieces(";;  -- nothing\n;").len(), 0);
}

#[tokio::test]
async fn a_failed_template_goes_on_where_it_stopped() {
    let store = EmbeddedStore::in_memory().unwrap();
    let mut server = FakeServer { refuse: Some("CREATE TABLE b (x int)"), ..FakeServer::default() };
    let failed = carry_out(&job(TEMPLATE), &store, &mut server).await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        "statement 2 of 3 (line 3) failed on ws_1: ERROR 1064: no such grammar; 2 remain"
    );
    let changed = carry_out(&job("CREATE TABLE z (x int)"), &store, &mut server).await.unwrap_err();
    assert!(matches!(changed, WorkspaceError::Provision(ProvisionFault::TemplateChanged { done: 1, .. })));

    server.refuse = None;
    server.cut_after = Some("CREATE TABLE b (x int)");
    assert!(carry_out(&job(TEMPLATE), &store, &mut server).await.is_err());
    server.cut_after = None;
    let made = carry_out(&job(TEMPLATE), &store, &mut server).await.unwrap();
    assert_eq!((made.database.as_str(), made.statements), ("ws_1", 3));
    assert_eq!(server.databases["ws_1"].len(), 3, "nothing was applied twice");
    let again = carry_out(&job(TEMPLATE), &store, &mut server).await.unwrap();
    assert_eq!(again, made);
    assert_eq!(server.databases["ws_1"].len(), 3);
}

#[tokio::test]
async fn what_nobody_can_know_is_refused() {
    let store = EmbeddedStore::in_memory().unwrap();
    let mut server = FakeServer { cut_after: Some("INSERT INTO a VALUES (1)"), ..FakeServer::default() };
    assert!(carry_out(&job(TEMPLATE), &store, &mut server).await.is_err());
    server.cut_after = None;
    let refused = carry_out(&job(TEMPLATE), &store, &mut server).await.unwrap_err();
    assert!(
        matches!(refused, WorkspaceError::Provision(ProvisionFault::Ambiguous { at: 3, .. })),
        "{refused}"
    );
    server.databases.clear();
    carry_out(&job(TEMPLATE), &store, &mut server).await.unwrap();
    assert_eq!(server.databases["ws_1"].len(), 3);
}

#[tokio::test]
async fn a_database_of_somebody_else_is_left_alone() {
    let store = EmbeddedStore::in_memory().unwrap();
    let mut server = FakeServer::default();
    server.databases.insert("ws_1".into(), vec!["CREATE TABLE mine (x int)".into()]);
    let refused = carry_out(&job(TEMPLATE), &store, &mut server).await.unwrap_err();
    assert!(matches!(refused, WorkspaceError::Provision(ProvisionFault::DatabaseExists { .. })));
    assert!(server.log.lock().unwrap().is_empty());
}
