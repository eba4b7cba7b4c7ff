//! A small fleet for tests of this module and of those above it: three clusters, one keyspace of each layout.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{Directories, Snapshot, SnapshotCell, Store};
use crate::config::{
    Access, Admin, Alerts, AuthPlugin, Cluster, ClusterTls, Config, Failover, FleetChanges, HealthChecks,
    KeyspaceTopology, LadderPolicy, Listen, Log, LogFormat, Login, Password, PermitSettings, PoolLimits,
    Reads, Routing, RungMode, Rungs, SchemaChanges, ShardPlace, ThrottleBounds, Timeouts, TlsMode, User,
    WorkspaceDefaults,
};
use crate::ids::{ClusterName, KeyRange, Keyspace, ServerId, ShardName, UserName};
use crate::redact::Secret;
use crate::vschema::{DatabasePattern, ForeignKeyMode, KeyspaceSchema, Layout, Vschema};

/// The keyspace whose workspaces have databases.
pub(crate) fn workspaces() -> Keyspace {
    Keyspace::new("workspaces")
}

/// A snapshot whose directories are read from `store`.
pub(crate) async fn snapshots(store: &dyn Store) -> Arc<SnapshotCell> {
    let vschema = Arc::new(vschema());
    let keyspaces = Snapshot::keyspaces_with_directory(&vschema);
    let (directories, _) = Directories::load(store, keyspaces, &Directories::default()).await.unwrap();
    let snapshot = Snapshot::build(Arc::new(config()), vschema, directories).unwrap();
    Arc::new(SnapshotCell::new(snapshot))
}

/// The vschema: `app` unsharded, `shop` with shared tables, `workspaces` with a database each.
pub(crate) fn vschema() -> Vschema {
    let pattern = DatabasePattern::parse("ws_{workspace_id}").unwrap();
    Vschema::new([
        schema("app", Layout::Unsharded),
        schema("shop", Layout::SharedTables),
        schema("workspaces", Layout::DatabasePerWorkspace(pattern)),
    ])
}

fn schema(name: &str, layout: Layout) -> KeyspaceSchema {
    KeyspaceSchema {
        name: Keyspace::new(name),
        file: format!("vschema/{name}.toml").into(),
        layout,
        workspace_column: None,
        require_known_tables: false,
        require_explicit_routing: false,
        foreign_key_mode: ForeignKeyMode::Unmanaged,
        template: None,
        ladder: Rungs::default(),
        vindexes: HashMap::new(),
        default_vindex: None,
        tables: HashMap::new(),
    }
}

/// The main config.
pub(crate) fn config() -> Config {
    let clusters = (1..=3).map(cluster).map(|cluster| (cluster.name.clone(), cluster)).collect();
    let keyspaces = [
        keyspace("app", &[("-", "c1", 1)]),
        keyspace("shop", &[("-55", "c1", 1), ("55-aa", "c2", 1), ("aa-", "c3", 1)]),
        keyspace("workspaces", &[("ws-a", "c1", 1), ("ws-b", "c2", 1), ("ws-c", "c3", 2)]),
    ];
    Config {
        path: "bulkhead.toml".into(),
        vschema_dir: "vschema".into(),
        listen: listen(),
        admin: Admin { address: loopback(3308), http: loopback(3309) },
        store: crate::config::Store { path: "bulkhead.redb".into() },
        log: Log { format: LogFormat::Human, level: "info".into(), slow_statement: Duration::from_secs(1) },
        routing: Routing { workspace_variable: "workspace_id".into(), comment_key: "workspace_id".into() },
        timeouts: timeouts(),
        health: HealthChecks { heartbeat: true, heartbeat_database: "bulkhead".into() },
        ladder: LadderPolicy {
            rungs: [RungMode::Act, RungMode::Act, RungMode::Act, RungMode::Advise],
            drains_max: 1,
        },
        alerts: Alerts::default(),
        schema_changes: schema_changes(),
        limits: WorkspaceDefaults::default(),
        users: BTreeMap::from([
            (UserName::new("app"), user("app", false)),
            (UserName::new("root"), user("root", true)),
        ]),
        clusters,
        keyspaces: keyspaces.into_iter().map(|keyspace| (keyspace.name.clone(), keyspace)).collect(),
    }
}

fn schema_changes() -> SchemaChanges {
    SchemaChanges {
        is_enabled: true,
        at_once: 2,
        swap_within: Duration::from_secs(3),
        keep_old_table: Duration::from_secs(86_400),
        throttle: ThrottleBounds {
            threads_running: 64,
            replica_lag: Some(Duration::from_secs(10)),
            write_p99: None,
            query: None,
        },
        fleet: FleetChanges {
            at_once: 4,
            statements_per_second: 50,
            reads_per_second: 200,
            canary: 3,
            waves: vec![0.01, 0.1],
            soak: Duration::from_secs(300),
        },
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn listen() -> Listen {
    Listen {
        address: loopback(3307),
        socket: None,
        server_version: "8.4.8-bulkhead".into(),
        max_connections: 10_000,
        max_connections_per_user: 5_000,
        max_connections_per_address: 5_000,
        handshake_timeout: Duration::from_secs(10),
        max_allowed_packet: 64 << 20,
        require_tls: false,
        compression: true,
        tls: None,
    }
}

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(2),
        query: Duration::ZERO,
        transaction: Duration::ZERO,
        idle: Duration::from_secs(8 * 3600),
        pool_wait: Duration::from_secs(5),
        ddl_lane: Duration::from_secs(15),
        ddl_lock: Duration::from_secs(1),
        ddl_retry: Duration::from_secs(60),
        shutdown: Duration::from_secs(30),
    }
}

fn user(name: &str, admin: bool) -> User {
    User {
        name: UserName::new(name),
        password: Password::Plain(Secret::new("hunter2")),
        plugin: AuthPlugin::CachingSha2,
        keyspaces: Access::All,
        reads: Reads::Primary,
        may_cross_workspaces: false,
        admin,
        max_connections: 0,
        max_in_flight: 0,
        max_result_bytes: 0,
    }
}

fn cluster(number: u16) -> Cluster {
    let server = |port: u16| ServerId { host: "127.0.0.1".into(), port };
    let login = |user: &str| Login { user: user.into(), password: Secret::new("hunter2") };
    Cluster {
        name: ClusterName::new(format!("c{number}")),
        primary: server(13_300 + number * 10),
        replicas: vec![server(13_301 + number * 10)],
        login: login("bulkhead_app"),
        admin_login: login("bulkhead_admin"),
        tls: ClusterTls { mode: TlsMode::Preferred, ca: None, certificate: None, key: None },
        pool: PoolLimits {
            max_connections: 100,
            opening_at_once: 4,
            waiters: 1000,
            idle: Duration::from_secs(300),
            lifetime: Duration::from_secs(3600),
        },
        ladder: Rungs::default(),
        permits: PermitSettings::DEFAULT,
        failover: Failover::default(),
    }
}

fn keyspace(name: &str, shards: &[(&str, &str, u32)]) -> KeyspaceTopology {
    let place = |(name, cluster, weight): &(&str, &str, u32)| ShardPlace {
        name: ShardName::new(*name),
        range: KeyRange::parse(name),
        cluster: ClusterName::new(*cluster),
        weight: *weight,
    };
    KeyspaceTopology {
        name: Keyspace::new(name),
        shards: shards.iter().map(place).collect(),
        reads_after_writes: false,
        replica_reads_when_drained: Duration::ZERO,
    }
}
