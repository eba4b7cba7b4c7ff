//! Golden answers of every admin statement, on a fixed fleet. `UPDATE_GOLDEN=1` writes them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::fixture::FixedFleet;
use super::*;
use crate::admission::{Admissions, Request, WorkspaceLimitsBook};
use crate::backend::{BreakerState, Counters, PoolStats};
use crate::config::Config;
use crate::drain::{
    ActEnd, Action, Because, By, Command, Covers, Decision, Entry, Event, GateState, How, Lane, Notice,
    Order, Ownership, PermitsHeld, Scope, Stage, Step, Witness, WorkspaceLimits, WriteGate,
};
use crate::error::{ClientError, Code};
use crate::failover::PrimaryRow;
use crate::health::{Class, Ended, Evidence, Health, Outcome, Signal, State};
use crate::ids::{
    ClusterName, Generation, MigrationId, Role, ServerId, SessionId, ShardName, TableName, UserName,
    WorkspaceId,
};
use crate::migrations::changes::FeedStats;
use crate::migrations::{self, CommandError, MigrationRow, Progress};
use crate::plan::Tables;
use crate::sql::SqlMode;
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
            breaker: BreakerState::Working,
            backoff: None,
            last_error: None,
        };
        let sick = PoolStats {
            idle: 0,
            busy: 0,
            breaker: BreakerState::LeftAlone,
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
            decision: Decision::OPEN,
            stage_for: Duration::from_secs(3600),
            advice: None,
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
            decision: Decision { stage: Stage::Limited, ..Decision::OPEN },
            stage_for: Duration::from_secs(3),
            advice: Some(Advice {
                stage: Stage::Draining,
                how: How::Advised,
                why: "limiting it has not helped".into(),
            }),
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

struct FixedLadder;

/// The 28th of February 2024, 21:40, and so many seconds.
fn second(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_156_400 + seconds)
}

impl LadderView for FixedLadder {
    fn order(&self, command: Command, _: bool) -> AdminFuture<'_, Result<Ordered, ClientError>> {
        Box::pin(async move {
            if command.cluster.as_str() == "c3" {
                return Err(ClientError::new(Code::OrderRefused, "a failover is under way"));
            }
            let (to, actions) = match &command.order {
                Order::Drain => (Stage::Draining, vec![Action::Gate(WriteGate::Refusing)]),
                Order::FailOver(server) => (Stage::FailingOver, vec![Action::FailOver(server.clone())]),
                Order::FreezeDdl => (Stage::Open, vec![Action::DdlLane(Lane::Closed)]),
                Order::ThawDdl => (Stage::Open, vec![Action::DdlLane(Lane::Open)]),
                Order::Undrain => (Stage::Ramping, vec![Action::Permits(PermitsHeld::Ramping)]),
            };
            let plan = matches!(command.order, Order::FailOver(_)).then(|| Err("no replica".to_owned()));
            let event = Event {
                at: second(0),
                cluster: command.cluster.clone(),
                from: Stage::Open,
                to,
                how: How::Acted,
                by: By::Operator(command.by),
                because: Because::Ordered(command.why),
                evidence: Vec::new(),
                actions: actions.clone(),
            };
            Ok(Ordered { step: Step { cluster: command.cluster, actions, event }, plan })
        })
    }

    fn events(&self) -> Vec<LoggedEntry> {
        let cluster = ClusterName::new("c2");
        let step = Event {
            at: second(7),
            cluster: cluster.clone(),
            from: Stage::Contained,
            to: Stage::Limited,
            how: How::Acted,
            by: By::Policy,
            because: Because::Degraded,
            evidence: vec![Witness {
                signal: "heartbeat".into(),
                value: 3.9,
                threshold: 1.0,
                unit: "s".into(),
                for_seconds: 2.0,
            }],
            actions: vec![Action::KillDdl, Action::Gate(WriteGate::Limited)],
        };
        let killed = ActEnd {
            at: second(8),
            cluster,
            action: Action::KillDdl,
            ended: crate::drain::Ended::Done,
            said: "1 schema changes killed".into(),
            statements: vec!["#7 root: ALTER TABLE t MODIFY c BIGINT".into()],
            took_ms: 12,
        };
        let away = Notice {
            at: second(9),
            cluster: None,
            is_raised: true,
            name: "store_away".into(),
            said: "the disk is full".into(),
        };
        let contained = Event { at: second(5), from: Stage::Open, to: Stage::Contained, ..step.clone() };
        let entries = [Entry::Step(contained), Entry::Step(step), Entry::Act(killed), Entry::Notice(away)]
            .map(Arc::new);
        let ids = [Some(1), Some(2), Some(3), None];
        ids.into_iter().zip(entries).map(|(id, entry)| LoggedEntry { id, entry }).collect()
    }

    fn samples(&self, _: &ClusterName) -> Vec<ClusterSample> {
        vec![ClusterSample {
            at: second(6),
            state: State::Degraded,
            stage: Stage::Limited,
            writes_in_flight: 12,
            oldest_write: Duration::from_millis(3750),
            heartbeat_took: Some(Duration::from_millis(2)),
            threads_running: Some(40),
            metadata_lock_waiters: None,
            ddl_running: Some(9),
        }]
    }

    fn running_ddl(&self, _: &ClusterName) -> AdminFuture<'_, Option<Vec<RunningStatement>>> {
        let statement = "ALTER TABLE t MODIFY c BIGINT".to_owned();
        Box::pin(async move { Some(vec![RunningStatement { id: 9, user: "root".into(), statement }]) })
    }

    fn standing(&self) -> LadderStanding {
        LadderStanding {
            proxy: "proxy-1".into(),
            owner: Some("proxy-1".into()),
            ownership: Ownership::Owner,
            store_away: None,
            events_given_up: 0,
            alerts_delivered: 5,
            alerts_failed: 1,
            alerts_dropped: 0,
        }
    }
}

struct FixedRooms;

impl RoomsView for FixedRooms {
    fn rooms(&self) -> Vec<RoomRow> {
        let row = |database: &str, share, days_left| RoomRow {
            keyspace: fixture::workspaces(),
            cluster: ClusterName::new("c1"),
            database: database.to_owned(),
            table: "messages".to_owned(),
            column: "thread_id".to_owned(),
            share,
            days_left,
        };
        vec![row("ws_1", 0.93, Some(12.0)), row("ws_7", 0.5, None)]
    }
}

struct FixedMigrations;

impl MigrationsView for FixedMigrations {
    fn rows(&self) -> Vec<MigrationRow> {
        let copying = MigrationRow {
            id: MigrationId::new("018f00000000aaaa"),
            cluster: ClusterName::new("c1"),
            database: "ws_1".into(),
            table: "issues".into(),
            statement: "ALTER TABLE issues MODIFY number BIGINT".into(),
            state: migrations::State::Copying,
            step: "copy",
            throttled: Some("Threads_running is 80, above 64".into()),
            progress: Progress {
                rows_copied: 250_000,
                rows_estimated: 1_000_000,
                changes_applied: 12,
                rows_per_second: 50_000.0,
                behind: Some(Duration::from_millis(40)),
                compared: None,
            },
            user: UserName::new("app"),
            owner: Some("proxy-1".into()),
            submitted: second(0),
            swapped: None,
            swap_took: None,
            verify_held: None,
            attempts: 0,
            ended: None,
            retires: None,
            message: None,
            reverts: None,
            acknowledged: false,
        };
        let done = MigrationRow {
            id: MigrationId::new("018f00000000bbbb"),
            state: migrations::State::Done,
            step: "retire",
            throttled: None,
            swapped: Some(second(60)),
            swap_took: Some(Duration::from_micros(81_300)),
            verify_held: Some(Duration::from_micros(6_400)),
            attempts: 2,
            ended: Some(second(60)),
            retires: Some(second(86_460)),
            acknowledged: true,
            ..copying.clone()
        };
        let failed = MigrationRow {
            id: MigrationId::new("018f00000000cccc"),
            state: migrations::State::Failed,
            step: "copy",
            throttled: None,
            ended: Some(second(9)),
            message: Some("Duplicate entry '7' for key 'issues.number'".into()),
            ..copying.clone()
        };
        vec![failed, done, copying]
    }

    fn row(&self, id: &MigrationId) -> Option<MigrationRow> {
        self.rows().into_iter().find(|row| row.id == *id)
    }

    fn feeds(&self) -> Vec<(ClusterName, FeedStats)> {
        let stats = FeedStats {
            events: 1200,
            decoded: 300,
            rows: 4500,
            bytes: 98_765,
            connections: 2,
            subscriptions: 3,
            behind: 1,
            lag_ms: 1500,
        };
        vec![(ClusterName::new("c1"), stats)]
    }

    fn command<'a>(
        &'a self,
        id: &'a MigrationId,
        command: migrations::Command,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<String, ClientError>> {
        Box::pin(async move {
            if id.as_str() == "018f00000000cccc" && command != migrations::Command::Retry {
                let state = migrations::State::Failed;
                return Err(CommandError::NotNow { id: id.clone(), state, command }.into());
            }
            Ok(format!("migration {id}: {} {command:?} by {by}", command.word()))
        })
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
    let workspaces = DirectoryAdmin::new(store.clone(), Arc::clone(&snapshots));
    let (admissions, limits) = fixed_admissions(store, &snapshots.load().config).await;
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
        admissions,
        limits,
        primaries: Arc::new(FixedPrimaries),
        pools: Arc::new(FixedPools),
        sessions: Arc::new(FixedSessions),
        reload: Arc::clone(&proxy) as Arc<dyn Reload>,
        stats: proxy,
        ladder: Arc::new(FixedLadder),
        migrations: Arc::new(FixedMigrations),
        rooms: Arc::new(FixedRooms),
        fleet: Arc::new(FixedFleet),
        fleet_orders: Arc::new(FixedFleet),
        operator: UserName::new("ana"),
    }
}

/// A cluster that the ladder limits, a gate set by hand, a workspace with limits of its own.
async fn fixed_admissions(
    store: Arc<dyn Store>,
    config: &Config,
) -> (Arc<Admissions>, Arc<WorkspaceLimitsBook>) {
    let admissions = Arc::new(Admissions::new(config));
    let limits = Arc::new(WorkspaceLimitsBook::new(store, admissions.clone()));
    let own = WorkspaceLimits { in_flight_max: Some(3), per_second_max: None };
    limits.set(&fixture::workspaces(), &WorkspaceId::parse("acme").unwrap(), own).await.unwrap();
    let (sick, now) = (admissions.of(&ClusterName::new("c2")), std::time::Instant::now());
    for action in
        [Action::DdlLane(Lane::Closed), Action::Permits(PermitsHeld::Few), Action::Gate(WriteGate::Refusing)]
    {
        sick.apply(&action, now);
    }
    let request = Request {
        class: Class::Write,
        may_write: true,
        is_in_transaction: false,
        has_connection: false,
        changes_schema: false,
        was_held: false,
        workspace: None,
        shards: &[],
        tables: &Tables::Unread,
        text: b"",
        mode: SqlMode::default(),
        bytes: 0,
    };
    (0..3).for_each(|_| drop(sick.enter(&request, now)));
    drop(sick.enter(&Request { changes_schema: true, ..request }, now));
    let scope = Scope::Table(fixture::workspaces(), ShardName::new("ws-a"), TableName::new("issues"));
    admissions.of(&ClusterName::new("c1")).set_gate(scope, GateState::Limited, Covers::All, now);
    (admissions, limits)
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
        "SHOW SHARD STATUS",
        "SHOW EVENTS",
        "SHOW EVENTS LIKE '%limited' LIMIT 1",
        "SHOW EVENTS LIKE 1",
        "SHOW INCIDENT c2 SINCE 'yesterday'",
        "SHOW INCIDENT nowhere",
        "SHOW INCIDENT",
        "SHOW ADMISSION",
        "SHOW GATES",
        "SHOW MIGRATIONS",
        "SHOW MIGRATIONS WHERE state = done",
        "SHOW MIGRATION '018f00000000aaaa'",
        "SHOW MIGRATION '018f00000000bbbb'",
        "SHOW MIGRATION 'nowhere'",
        "SHOW MIGRATIONS WHERE kind = fleet",
        "SHOW MIGRATION '018f00000000dddd'",
        "SHOW MIGRATION WAVES '018f00000000dddd'",
        "SHOW MIGRATION WAVES '018f00000000dddd' WHERE failed > 0",
        "SHOW MIGRATION WAVES '018f00000000aaaa'",
        "SHOW MIGRATION CLUSTERS '018f00000000dddd'",
        "SHOW MIGRATION DATABASES '018f00000000dddd'",
        "SHOW MIGRATION DATABASES '018f00000000dddd' ON c2 STATE failed LIMIT 5",
        "SHOW MIGRATION DATABASES '018f00000000dddd' SKIP 1",
        "SHOW MIGRATION DATABASES '018f00000000dddd' STATE asleep",
        "SHOW DDL LANES WHERE lane != open",
        "SHOW WORKSPACE LIMITS",
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
        "SET WORKSPACE LIMIT workspaces 1 IN_FLIGHT 5 PER_SECOND 0.5",
        "SET WORKSPACE LIMIT workspaces 1 PER_SECOND 0",
        "SET WORKSPACE LIMIT workspaces 1",
        "SET WORKSPACE LIMIT workspaces 1 IN_FLIGHT many",
        "SET WORKSPACE LIMIT workspaces 1 PER_SECOND inf",
        "DROP WORKSPACE LIMIT workspaces acme",
        "DROP WORKSPACE LIMIT workspaces 1",
        "SET GATE CLUSTER c1 DRAINED",
        "SET GATE SHARD shop 55-aa BUFFERING FOR 3 ALL",
        "SET GATE TABLE app - users REFUSING",
        "SET GATE TABLE app - users REFUSING FOR 3",
        "SET GATE CLUSTER c9 OPEN",
        "SET GATE SHARD shop nowhere OPEN",
        "SET GATE CLUSTER c1 AJAR",
        "SET GATE EVERYWHERE OPEN",
        "SET DDL LANE c1 CLOSED",
        "SET DDL LANE c1 HALF",
        "PAUSE MIGRATION '018f00000000aaaa'",
        "RESUME MIGRATION '018f00000000aaaa' NOW",
        "THROTTLE MIGRATION '018f00000000aaaa' FOR 600",
        "THROTTLE MIGRATION '018f00000000aaaa'",
        "CUT OVER MIGRATION '018f00000000aaaa'",
        "CUT OVER MIGRATION '018f00000000aaaa' FORCE",
        "CANCEL MIGRATION '018f00000000cccc'",
        "RETRY MIGRATION '018f00000000cccc'",
        "REVERT MIGRATION 'nowhere'",
        "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues ADD a INT'",
        "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues ADD a INT; ALTER TABLE users ADD a INT' CANARY 2",
        "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues ADD a INT' WAVES '10%,1%'",
        "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues ADD a INT' QUICKLY",
        "SUBMIT MIGRATION ON workspaces",
        "SUBMIT MIGRATION ON nowhere 'ALTER TABLE issues ADD a INT'",
        "PAUSE MIGRATION '018f00000000dddd'",
        "RESUME MIGRATION '018f00000000dddd'",
        "CANCEL MIGRATION '018f00000000dddd'",
        "RETRY MIGRATION '018f00000000dddd'",
        "REVERT MIGRATION '018f00000000dddd'",
        "CUT OVER MIGRATION '018f00000000dddd'",
        "THROTTLE MIGRATION '018f00000000dddd' FOR 60",
        "PACE MIGRATION '018f00000000dddd' AT ONCE 2",
        "PACE MIGRATION '018f00000000dddd' OFF",
        "PACE MIGRATION '018f00000000dddd'",
        "PACE MIGRATION '018f00000000aaaa' OFF",
        "SKIP DATABASE ws_7 OF MIGRATION '018f00000000dddd'",
        "SKIP WORKSPACE 7 OF MIGRATION '018f00000000dddd'",
        "SKIP WORKSPACE 7",
        "RELOAD",
        "KILL 7",
        "KILL QUERY 7",
        "KILL 9",
        "KILL everything",
        "IMPORT WORKSPACES workspaces FROM '/nowhere/file.csv'",
        "IMPORT WORKSPACES workspaces FROM '/nowhere/file'",
        "EXPORT WORKSPACES workspaces TO '/nowhere/file.csv'",
        "DRAIN CLUSTER c2 WHY 'it''s sick' DRY RUN",
        "DRAIN CLUSTER c2 WHY 'it''s sick'",
        "DRAIN SHARD workspaces/ws-b WHY 'sick'",
        "DRAIN SHARD workspaces/nowhere WHY 'sick'",
        "DRAIN SHARD workspaces WHY 'sick'",
        "DRAIN CLUSTER c2",
        "DRAIN CLUSTER c2 WHY ''",
        "DRAIN CLUSTER nowhere WHY 'sick'",
        "DRAIN CLUSTER c3 WHY 'sick'",
        "DRAIN CLUSTER c2 TO 'a:1' WHY 'sick'",
        "UNDRAIN c2 WHY well",
        "FAILOVER CLUSTER c2 TO '127.0.0.1:13321' WHY 'sick' DRY RUN",
        "FAILOVER CLUSTER c2 TO 'nowhere' WHY 'sick'",
        "FREEZE DDL ON c2 WHY 'flood'",
        "THAW DDL ON CLUSTER c2 WHY 'over' DRY RUN",
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
