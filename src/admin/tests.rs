//! Golden answers of every admin statement, on a fixed fleet. `UPDATE_GOLDEN=1` writes them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::backend::{Counters, PoolStats};
use crate::drain::Stage;
use crate::error::{ClientError, Code};
use crate::failover::PrimaryRow;
use crate::health::{Ended, Evidence, Health, Outcome, Signal, State};
use crate::ids::{ClusterName, Generation, Role, ServerId, SessionId, ShardName, UserName, WorkspaceId};
use crate::topology::{
    Changed, DirectoryAdmin, EmbeddedStore, NewWorkspace, SnapshotChanges, Store, WorkspaceState, fixture,
};

struct FixedPrimaries;

impl PrimariesView for FixedPrimaries {
    fn primaries(&self) -> Vec<PrimaryRow> {
        let server = |port| ServerId { host: "127.0.0.1".into(), port };
        let well = PrimaryRow {
            cluster: ClusterName::new("c1"),
            primary: server(13_310),
            configured: server(13_310),
            unfenced: Vec::new(),
            cut_off: Vec::new(),
            also_writable: Vec::new(),
            heard_ago: Some(Duration::from_millis(250)),
            note: String::new(),
        };
        let moved = PrimaryRow {
            cluster: ClusterName::new("c2"),
            primary: server(13_321),
            configured: server(13_320),
            unfenced: vec![server(13_320)],
            cut_off: vec![server(13_320)],
            also_writable: vec![server(13_322)],
            heard_ago: None,
            note: "127.0.0.1:13320: no answer within 700 ms".to_owned(),
        };
        vec![well, moved]
    }
}

struct FixedPools;

impl PoolsView for FixedPools {
    fn pools(&self) -> Vec<PoolStats> {
        let pool = |cluster: &str, role, port| PoolStats {
            cluster: ClusterName::new(cluster),
            role,
            server: ServerId { host: "127.0.0.1".into(), port },
            idle: 3,
            busy: 2,
            opening: 1,
            waiting: 0,
            max_connections: 100,
            counters: Counters { checkouts: 40, opened: 5, waits: 2, wait_us: 3000, ..Counters::default() },
            backoff: None,
            last_error: None,
        };
        let sick = PoolStats {
            idle: 0,
            busy: 0,
            backoff: Some(Duration::from_secs(4)),
            last_error: Some("connection refused".into()),
            ..pool("c2", Role::Primary, 13320)
        };
        vec![sick, pool("c1", Role::Replica, 13311), pool("c1", Role::Primary, 13310)]
    }
}

struct FixedClusters;

impl ClustersView for FixedClusters {
    fn clusters(&self) -> Vec<HealthRow> {
        let well = |cluster: &str| HealthRow {
            cluster: ClusterName::new(cluster),
            state: State::Healthy,
            state_for: Duration::from_secs(3600),
            evidence: Vec::new(),
            heartbeat: "written".into(),
            heartbeat_took: Some(Duration::from_micros(1800)),
            heartbeat_age: Some(Duration::from_millis(320)),
            writes_in_flight: 2,
            oldest_write: Duration::from_millis(3),
            advice: Stage::Open,
        };
        let raised = |signal, value, threshold| Evidence {
            signal,
            value,
            threshold,
            since: std::time::Instant::now(),
        };
        let sick = HealthRow {
            state: State::Degraded,
            state_for: Duration::from_millis(1250),
            evidence: vec![
                raised(Signal::OverdueWrites, 9.0, 3.0),
                raised(Signal::Heartbeat, 3.9, 1.0),
                raised(Signal::ReplicaLag, 60.0, 5.0),
            ],
            heartbeat_age: Some(Duration::from_millis(3900)),
            writes_in_flight: 12,
            oldest_write: Duration::from_millis(3750),
            advice: Stage::Limited,
            ..well("c2")
        };
        let unknown = HealthRow {
            heartbeat: "the server says 1045 (28000): Access denied".into(),
            heartbeat_took: None,
            heartbeat_age: None,
            writes_in_flight: 0,
            oldest_write: Duration::ZERO,
            ..well("c3")
        };
        vec![well("c1"), sick, unknown]
    }
}

struct FixedSessions;

impl SessionsView for FixedSessions {
    fn sessions(&self) -> Vec<SessionRow> {
        let session = |id, command: &str, seconds| SessionRow {
            id: SessionId(id),
            user: UserName::new("app"),
            peer: "127.0.0.1:50000".into(),
            database: Some("ws_1".into()),
            command: command.into(),
            command_time: Duration::from_secs(seconds),
            connected: Duration::from_secs(100),
            cluster: (command == "Query").then(|| ClusterName::new("c1")),
            in_transaction: command == "Query",
            statements: 12,
            digest: Some(0xabcd),
        };
        vec![session(8, "Sleep", 20), session(7, "Query", 1)]
    }

    fn kill(&self, id: SessionId, _: KillTarget) -> AdminFuture<'_, Result<bool, ClientError>> {
        Box::pin(async move { Ok(id == SessionId(7)) })
    }
}

struct FixedProxy {
    not_ready: Vec<String>,
}

impl Reload for FixedProxy {
    fn reload(&self) -> AdminFuture<'_, Result<SnapshotChanges, ReloadFault>> {
        let changed = Changed { changed: vec!["c2".into()], ..Changed::default() };
        let changes = SnapshotChanges {
            generation: Generation(2),
            clusters: changed,
            keyspaces: Changed::default(),
            shards: Changed::default(),
            users: Changed::default(),
        };
        let faults = vec!["bulkhead.toml:3:1: unknown key \"lisen\", did you mean \"listen\"?".to_owned()];
        let is_ready = self.not_ready.is_empty();
        Box::pin(async move { if is_ready { Ok(changes) } else { Err(ReloadFault { faults }) } })
    }
}

impl StatsView for FixedProxy {
    fn stats(&self) -> ProxyStats {
        ProxyStats {
            uptime: Duration::from_secs(61),
            sessions: 2,
            sessions_total: 10,
            failed_logins: 1,
            plan_cache_hits: 900,
            plan_cache_misses: 100,
            plan_cache_plans: 50,
            plan_cache_bytes: 40_000,
            reloads: 1,
            reload_failures: 0,
            not_ready: self.not_ready.clone(),
        }
    }
}

/// The fleet of [`fixture`], three workspaces, a little traffic.
pub(super) async fn fixed_context(not_ready: &[&str]) -> AdminContext {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let snapshots = fixture::snapshots(&*store).await;
    let workspaces = DirectoryAdmin::new(store, Arc::clone(&snapshots));
    for (id, shard, state) in [
        ("1", "ws-a", WorkspaceState::Active),
        ("2", "ws-b", WorkspaceState::ReadOnly),
        ("acme", "ws-a", WorkspaceState::Suspended),
    ] {
        let new = NewWorkspace { shard: Some(ShardName::new(shard)), state, with_database: false };
        workspaces.create(&fixture::workspaces(), &WorkspaceId::parse(id).unwrap(), &new).await.unwrap();
    }
    let health = Health::new();
    let snapshot = snapshots.load();
    for (at, shard) in snapshot.shards(&fixture::workspaces()).iter().enumerate().take(2) {
        let outcome = Outcome {
            shard,
            role: Role::Primary,
            digest: 0x1111 * (at as u64 + 1),
            is_write: at == 0,
            latency: Duration::from_micros(700 * (at as u64 + 1)),
            ended: if at == 0 { Ended::Well } else { Ended::Error(1213) },
            rows: 1,
            bytes: 120,
        };
        health.record(&outcome, || "UPDATE issues SET title = ? WHERE id = ?".into());
    }
    let proxy = Arc::new(FixedProxy { not_ready: not_ready.iter().map(ToString::to_string).collect() });
    AdminContext {
        snapshots,
        workspaces,
        health: Arc::new(health),
        clusters: Arc::new(FixedClusters),
        primaries: Arc::new(FixedPrimaries),
        pools: Arc::new(FixedPools),
        sessions: Arc::new(FixedSessions),
        reload: Arc::clone(&proxy) as Arc<dyn Reload>,
        stats: proxy,
    }
}

async fn answer(statement: &str, context: &AdminContext) -> String {
    match execute(statement, context).await {
        Ok(answer) => answer.to_text(),
        Err(error) => format!("ERROR {} ({}): {}\n", error.errno(), error.sqlstate(), error.wire_message()),
    }
}

/// Statements and what they answer, on a fresh context each.
async fn transcript(statements: &[&str]) -> String {
    let mut text = String::new();
    for statement in statements {
        let context = fixed_context(&[]).await;
        let _ = write!(text, "> {statement}\n{}\n", answer(statement, &context).await);
    }
    text
}

fn compare_with_golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/admin").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (wanted, got)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(got, wanted, "{name}, line {}", line + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{name}: number of lines");
}

#[tokio::test]
async fn tables_are_golden() {
    let statements = [
        "SHOW SHARDS",
        "show clusters;",
        "SHOW HEALTH",
        "SHOW PRIMARIES",
        "SHOW SERVERS",
        "SHOW POOLS",
        "SHOW SESSIONS",
        "SHOW DIGESTS",
        "SHOW DIRECTORIES",
        "SHOW VSCHEMA",
        "SHOW VSCHEMA shop",
        "SHOW VSCHEMA nowhere",
        "SHOW WORKSPACE workspaces 1",
        "SHOW WORKSPACE workspaces 99",
        "SHOW WORKSPACE shop 1",
        "SHOW WORKSPACES workspaces",
        "SHOW WORKSPACES workspaces ON ws-a AFTER 1 LIMIT 5",
        "SHOW WORKSPACES workspaces STATE read_only",
        "SHOW SNAPSHOT",
        "SHOW CONFIG",
        "SHOW STATS",
        "SHOW VERSION",
        "SHOW ERRORS WHERE code = E2004",
        "SHOW NOTHING",
    ];
    compare_with_golden("show.txt", &transcript(&statements).await);
}

#[tokio::test]
async fn tails_are_golden() {
    let statements = [
        "SHOW DIGESTS ORDER BY p99_ms DESC LIMIT 1",
        "SELECT * FROM pools WHERE cluster = 'c1' AND role = replica",
        "SELECT * FROM sessions WHERE command_s > 10",
        "SELECT * FROM shards WHERE keyspace != shop ORDER BY cluster DESC, shard LIMIT 2",
        "SELECT * FROM shards WHERE colour = red",
        "SELECT * FROM nothing",
        "SELECT * FROM shards LIMIT many",
        "SELECT * FROM shards GROUP BY cluster",
    ];
    compare_with_golden("tails.txt", &transcript(&statements).await);
}

#[tokio::test]
async fn commands_are_golden() {
    let statements = [
        "CREATE WORKSPACE workspaces 5",
        "CREATE WORKSPACE workspaces 5 ON ws-c STATE suspended",
        "CREATE WORKSPACE workspaces 1",
        "CREATE WORKSPACE workspaces 5 ON nowhere",
        "CREATE WORKSPACE shop 5",
        "CREATE WORKSPACE workspaces 5 QUICKLY",
        "SET WORKSPACE workspaces 1 STATE read-only",
        "SET WORKSPACE workspaces 1 STATE asleep",
        "SET WORKSPACE workspaces 1 SHARD ws-b",
        "SET WORKSPACE workspaces 1 SHARD ws-b FORCE",
        "SET WORKSPACE workspaces acme SHARD ws-b",
        "DROP WORKSPACE workspaces 1",
        "DROP WORKSPACE workspaces acme",
        "RELOAD",
        "KILL 7",
        "KILL QUERY 7",
        "KILL 9",
        "KILL everything",
        "IMPORT WORKSPACES workspaces FROM '/nowhere/file.csv'",
        "IMPORT WORKSPACES workspaces FROM '/nowhere/file'",
        "EXPORT WORKSPACES workspaces TO '/nowhere/file.csv'",
        "FLUSH EVERYTHING",
        "",
    ];
    compare_with_golden("commands.txt", &transcript(&statements).await);
}

#[tokio::test]
async fn what_clients_send_by_themselves_is_golden() {
    let statements = [
        "select @@version_comment limit 1",
        "SELECT @@session.autocommit AS a, VERSION(), @@max_allowed_packet",
        "SELECT 1",
        "select $$",
        "SELECT DATABASE()",
        "SET NAMES utf8mb4",
        "SET SESSION TRANSACTION READ ONLY",
        "SHOW WARNINGS",
        "SHOW VARIABLES LIKE 'version'",
        "SHOW TABLES",
        "USE admin",
        "COMMIT",
    ];
    compare_with_golden("clients.txt", &transcript(&statements).await);
}

#[tokio::test]
async fn routes_are_golden() {
    let statements = [
        "EXPLAIN ROUTE FOR workspaces/1 SELECT * FROM issues WHERE title = 'it\\'s'",
        "EXPLAIN ROUTE FOR ws_2 UPDATE issues SET title = 'x'",
        "EXPLAIN ROUTE FOR workspaces /*workspace_id:1*/ SELECT 1 FROM issues",
        "EXPLAIN ROUTE FOR workspaces SELECT 1 FROM issues",
        "EXPLAIN ROUTE FOR workspaces/77 SELECT 1 FROM issues",
        "EXPLAIN ROUTE FOR app SELECT 1 FROM users",
        "EXPLAIN ROUTE SELECT 1",
        "EXPLAIN ROUTE FOR nowhere SELECT 1",
        "EXPLAIN ROUTE FOR app",
    ];
    compare_with_golden("routes.txt", &transcript(&statements).await);
}

#[tokio::test]
async fn every_example_of_help_works_and_is_in_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("workspaces.csv");
    std::fs::write(&csv, "workspace,shard,state\n1,,\n40,ws-b,active\n41,,\n").unwrap();
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin.md")).unwrap();
    for entry in help() {
        let out = folder.path().join("out.csv");
        let statement = entry
            .example
            .replace("/tmp/workspaces.csv", &csv.to_string_lossy())
            .replace("/tmp/out.csv", &out.to_string_lossy());
        let text = answer(&statement, &fixed_context(&[]).await).await;
        assert!(!text.starts_with("ERROR"), "{statement}: {text}");
        let spaced = manual.replace('\n', " ");
        assert!(spaced.contains(&format!("`{}`:", entry.syntax)), "docs/admin.md lacks {}", entry.syntax);
        assert!(manual.contains(entry.example), "docs/admin.md lacks {}", entry.example);
    }
    let only: Vec<&Help> = help().iter().filter(|entry| entry.syntax.contains("WORKSPACES")).collect();
    let shown = execute("HELP workspaces", &fixed_context(&[]).await).await.unwrap();
    assert!(matches!(shown, AdminAnswer::Rows(table) if table.rows.len() == only.len()));
}

/// Every `> statement` of the manual is followed by what it answers.
#[tokio::test]
async fn samples_of_the_manual_are_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let mut written = String::new();
    let mut is_sample = false;
    for line in manual.lines() {
        is_sample = if is_sample { line != "```" } else { line == "```text" };
        match line.strip_prefix("> ").filter(|_| is_sample) {
            Some(statement) => {
                let text = answer(statement, &fixed_context(&[]).await).await;
                let _ = write!(written, "{line}\n{text}");
            }
            None if is_sample && line != "```text" => {}
            None => {
                let _ = writeln!(written, "{line}");
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &written).unwrap();
    } else {
        assert!(manual == written, "docs/admin.md: run the tests with UPDATE_GOLDEN=1");
    }
}

#[tokio::test]
async fn a_refused_reload_lists_the_faults() {
    let refused = execute("RELOAD", &fixed_context(&["faulty"]).await).await.unwrap_err();
    assert_eq!(refused.code, Code::ReloadRefused);
    assert!(refused.message.contains("bulkhead.toml:3:1"));
}

#[tokio::test]
async fn secrets_are_nowhere() {
    let context = fixed_context(&[]).await;
    for statement in ["SHOW CONFIG", "SHOW CLUSTERS", "SHOW SESSIONS", "SHOW SNAPSHOT", "SHOW STATS"] {
        assert!(!answer(statement, &context).await.contains("hunter2"), "{statement}");
    }
    assert!(!metrics_text(&context).contains("hunter2"));
}

#[tokio::test]
async fn answers_have_a_json_form() {
    let context = fixed_context(&[]).await;
    let rows = execute("SHOW WORKSPACE workspaces 1", &context).await.unwrap().to_json().unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(parsed[0]["cluster"], "c1");
    assert_eq!(parsed[0]["revision"], 1);
    let done = execute("KILL 7", &context).await.unwrap().to_json().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&done).unwrap()["affected"], 1);
}

#[tokio::test]
async fn metrics_are_golden() {
    compare_with_golden("metrics.txt", &metrics_text(&fixed_context(&[]).await));
}

#[tokio::test]
async fn answers_are_packets_of_the_protocol() {
    use crate::protocol::capability::{Capabilities, StatusFlags};
    let context = fixed_context(&[]).await;
    let caps = Capabilities::DEPRECATE_EOF;
    for statement in ["SHOW SHARDS", "KILL 7", "KILL 9"] {
        let wire = encode(&execute(statement, &context).await, caps, 1, StatusFlags::default());
        assert_eq!(wire[3], 1, "{statement}: the first packet's number");
        let first = wire[4];
        let expected = match statement {
            "SHOW SHARDS" => 14,
            "KILL 7" => 0,
            _ => 0xff,
        };
        assert_eq!(first, expected, "{statement}");
    }
}
