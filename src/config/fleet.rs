//! Clusters and where the shards of each keyspace live.

use std::path::PathBuf;
use std::time::Duration;

use crate::ids::{ClusterName, KeyRange, Keyspace, ServerId, ShardName};
use crate::redact::Secret;

use super::decode::Object;
use super::failover::{self, Failover};
use super::keys::{Key, Section, Shape, size_text};
use super::ladder::{RUNGS, Rungs};
use super::secrets::{self, Given};

/// Most server connections of one pool.
const POOL_CONNECTIONS_MAX: u64 = 100_000;
/// Bytes held for a cluster at most, unless packets are large.
const MEMORY_BYTES: usize = 256 << 20;
/// A statement and its long parameter data, each as it was received and as it is sent.
const PACKETS_HELD: usize = 4;
/// Largest weight of a shard.
const WEIGHT_MAX: u64 = 10_000;

pub(super) const CLUSTER: Section = Section {
    doc: "A MySQL replication group. Exactly one of password_env, password_file, password.",
    keys: &[
        Key::new("primary", Shape::Server, "The server that takes writes.").required(),
        Key::new("replicas", Shape::List(&Shape::Server), "The servers that follow it."),
        Key::new("user", Shape::Text, "Bulkhead's user for clients' statements.").required(),
        Key::new("password_env", Shape::Text, "Environment variable with its password."),
        Key::new("password_file", Shape::Path, "File with its password; must not be readable by everybody."),
        Key::new("password", Shape::Secret, "Its password; only if this file is not readable by everybody."),
        Key::new(
            "admin",
            Shape::Section(&CLUSTER_ADMIN),
            "User for KILL and probes; without it the user above.",
        ),
        Key::new("tls", Shape::Section(&CLUSTER_TLS), "TLS towards the servers."),
        Key::new("pool", Shape::Section(&POOL), "Bounds of the connection pools."),
        Key::new("ladder", Shape::Section(&RUNGS), "What differs from `[ladder]` for this cluster."),
        Key::new("permits", Shape::Section(&PERMITS), "Bounds of the statements in flight."),
        Key::new("failover", Shape::Choice(failover::MODES), "Who replaces the primary.").or("built-in"),
        Key::new(
            "failover_command",
            Shape::List(&Shape::Text),
            "Program and arguments, without a shell; {cluster}, {from}, {to}, {from_host}, {to_host} are \
             replaced.",
        ),
        Key::new(
            "failover_timeout",
            Shape::Duration(1),
            "The command, and the new primary's appearance, may take so long.",
        )
        .or("60s"),
        Key::new(
            "replication",
            Shape::Section(&failover::REPLICATION),
            "User that a former primary is made to replicate with; without it what MySQL replicas tell.",
        ),
    ],
};

const CLUSTER_ADMIN: Section = Section {
    doc: "User for KILL and probes. Exactly one of password_env, password_file, password.",
    keys: &[
        Key::new("user", Shape::Text, "User name.").required(),
        Key::new("password_env", Shape::Text, "Environment variable with its password."),
        Key::new("password_file", Shape::Path, "File with its password; must not be readable by everybody."),
        Key::new("password", Shape::Secret, "Its password; only if this file is not readable by everybody."),
    ],
};

const CLUSTER_TLS: Section = Section {
    doc: "TLS towards the servers.",
    keys: &[
        Key::new(
            "mode",
            Shape::Choice(&["disabled", "preferred", "required", "verify_ca", "verify_identity"]),
            "As the mysql client's --ssl-mode.",
        )
        .or("preferred"),
        Key::new("ca", Shape::Path, "PEM file with the authority; needed by verify_ca and verify_identity."),
        Key::new("certificate", Shape::Path, "PEM file with Bulkhead's own certificate."),
        Key::new("key", Shape::Path, "PEM file with its key."),
    ],
};

const POOL: Section = Section {
    doc: "Bounds of a cluster's connection pools, each for one server.",
    keys: &[
        Key::new("max_connections", Shape::Number(1, POOL_CONNECTIONS_MAX), "Server connections.").or("100"),
        Key::new(
            "opening_at_once",
            Shape::Number(1, 1000),
            "Server connections being opened at the same time.",
        )
        .or("4"),
        Key::new("waiters", Shape::Number(0, 1_000_000), "Statements that may wait for a connection.")
            .or("1000"),
        Key::new("idle", Shape::Duration(0), "An unused connection is closed after this; 0s: never.")
            .or("5m"),
        Key::new("lifetime", Shape::Duration(0), "A connection is replaced after this; 0s: never.").or("1h"),
    ],
};

const PERMITS: Section = Section {
    doc: "Bounds of a cluster's statements in flight and of those that wait for that, writes and reads each.",
    keys: &[
        Key::new(
            "writes",
            Shape::Number(0, POOL_CONNECTIONS_MAX),
            "Writes in flight at most; 0: pool.max_connections.",
        )
        .or("0"),
        Key::new(
            "reads",
            Shape::Number(0, POOL_CONNECTIONS_MAX),
            "Reads in flight at most, replicas' included; 0: pool.max_connections of every server.",
        )
        .or("0"),
        Key::new(
            "floor",
            Shape::Number(0, POOL_CONNECTIONS_MAX),
            "What is left of either when the cluster is slow or sick; 0: a tenth, 4 at least.",
        )
        .or("0"),
        Key::new(
            "queue",
            Shape::Number(0, 1_000_000),
            "Statements that may wait for their turn; one workspace's may be half of them.",
        )
        .or("2000"),
        Key::new("queue_bytes", Shape::Size(1 << 10, 1 << 40), "Bytes of those.").or("64MiB"),
        Key::new("wait", Shape::Duration(1), "No statement waits longer for its turn.").or("5s"),
        Key::new(
            "memory",
            Shape::Size(1 << 20, 1 << 40),
            "Bytes held for the cluster, writes and reads together: statements that wait or are held, large \
             ones on their way, answers that are collected. At least four times listen.max_allowed_packet; \
             without it 256MiB, or four times that.",
        ),
    ],
};

pub(super) const KEYSPACE: Section = Section {
    doc: "Where a keyspace's shards live.",
    keys: &[
        Key::new(
            "shards",
            Shape::NamedOrText(&SHARD),
            "Shard → cluster. `unsharded`: one shard `-`; `shared_tables`: ranges such as `-80`, `80-`; \
             `database_per_workspace`: any names.",
        )
        .required(),
        Key::new(
            "reads_after_writes",
            Shape::Flag,
            "Replica reads wait for the session's own writes (GTID).",
        )
        .or("false"),
        Key::new(
            "replica_reads_when_drained",
            Shape::Duration(0),
            "While a cluster is drained, reads outside transactions go to its replicas if none is further \
             behind than this; `0s`: they stay on the primary.",
        )
        .or("0s"),
    ],
};

const SHARD: Section = Section {
    doc: "A shard.",
    keys: &[
        Key::new("cluster", Shape::Text, "Cluster it lives on.").required(),
        Key::new("weight", Shape::Number(0, WEIGHT_MAX), "Share of new workspaces placed here; 0: none.")
            .or("1"),
    ],
};

/// Login of Bulkhead at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: Box<str>,
    /// Password; may be empty.
    pub password: Secret,
}

/// How Bulkhead uses TLS towards a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// If the server offers it.
    Preferred,
    /// Always; the certificate is not looked at.
    Required,
    /// Always; the certificate must come from `ca`.
    VerifyCa,
    /// Always; and it must be for the server's host name.
    VerifyIdentity,
}

/// TLS towards a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTls {
    /// Mode.
    pub mode: TlsMode,
    /// PEM file with the authority; `None`: the well-known ones.
    pub ca: Option<PathBuf>,
    /// PEM file with Bulkhead's own certificate, if the servers ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
}

/// Bounds of the pools of a cluster, each per role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Server connections.
    pub max_connections: u32,
    /// Server connections being opened at the same time.
    pub opening_at_once: u32,
    /// Statements that may wait for a connection.
    pub waiters: u32,
    /// An unused connection is closed after this; zero: never.
    pub idle: Duration,
    /// A connection is replaced after this; zero: never.
    pub lifetime: Duration,
}

/// Bounds of a cluster's statements in flight, writes and reads each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitSettings {
    /// Writes in flight at most; absent: the connections of the primary's pool.
    pub writes: Option<u32>,
    /// Reads in flight at most; absent: the connections of all servers' pools.
    pub reads: Option<u32>,
    /// What is left of either when the cluster is slow or sick; absent: a tenth, 4 at least.
    pub floor: Option<u32>,
    /// Statements that may wait for their turn.
    pub queue: u32,
    /// Bytes of those.
    pub queue_bytes: usize,
    /// No statement waits longer.
    pub wait: Duration,
    /// Bytes held for the cluster; absent: see [`PermitSettings::memory_bytes_max`].
    pub memory: Option<usize>,
}

impl PermitSettings {
    /// What holds where the file says nothing.
    pub const DEFAULT: Self = Self {
        writes: None,
        reads: None,
        floor: None,
        queue: 2000,
        queue_bytes: 64 << 20,
        wait: Duration::from_secs(5),
        memory: None,
    };

    /// Bytes held for the cluster at most, where clients may send packets of so many bytes.
    pub fn memory_bytes_max(&self, packet_bytes_max: usize) -> usize {
        let least = packet_bytes_max.saturating_mul(PACKETS_HELD);
        self.memory.unwrap_or_else(|| MEMORY_BYTES.max(least))
    }
}

/// One MySQL replication group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Name.
    pub name: ClusterName,
    /// The server that takes writes.
    pub primary: ServerId,
    /// The servers that follow it.
    pub replicas: Vec<ServerId>,
    /// Login for clients' statements.
    pub login: Login,
    /// Login for KILL and probes; the same unless configured.
    pub admin_login: Login,
    /// TLS towards the servers.
    pub tls: ClusterTls,
    /// Bounds of the pools.
    pub pool: PoolLimits,
    /// What differs from the ladder's policy for all.
    pub ladder: Rungs,
    /// Bounds of the statements in flight.
    pub permits: PermitSettings,
    /// How the primary is replaced.
    pub failover: Failover,
}

/// Where the shards of a keyspace live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceTopology {
    /// Name.
    pub name: Keyspace,
    /// Shards, in the order of their names (of their ranges, if they are ranges).
    pub shards: Vec<ShardPlace>,
    /// Replica reads wait for the session's own writes.
    pub reads_after_writes: bool,
    /// Reads go to replicas while their cluster is drained, if none is further behind than this; zero: never.
    pub replica_reads_when_drained: Duration,
}

/// One shard and its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// Name; a key range for `shared_tables`.
    pub name: ShardName,
    /// The name read as a key range; has a meaning for `shared_tables` only.
    pub range: Option<KeyRange>,
    /// Cluster it lives on.
    pub cluster: ClusterName,
    /// Share of new workspaces placed here; 0: none.
    pub weight: u32,
}

impl Cluster {
    pub(super) fn decode(name: &str, object: &Object<'_>) -> Option<Self> {
        let replica = |(text, place): (&str, super::fault::Place)| match ServerId::parse(text) {
            Some(server) => Some(server),
            None => {
                object.fault(place.error(format!("found {text:?}, expected {}", Shape::Server.expected())));
                None
            }
        };
        let replicas = object.texts("replicas").into_iter().filter_map(replica).collect();
        let login = Login::decode(object);
        let admin = object.section("admin").map(|admin| Login::decode(&admin));
        let tls = ClusterTls::decode(&object.section_or_defaults("tls"));
        let pool = PoolLimits::decode(&object.section_or_defaults("pool"));
        let permits = PermitSettings::decode(&object.section_or_defaults("permits"));
        let failover = Failover::decode(object);
        let (primary, login) = (object.server("primary")?, login?);
        Some(Self {
            name: ClusterName::new(name),
            primary,
            replicas,
            admin_login: admin.unwrap_or_else(|| Some(login.clone()))?,
            login,
            tls,
            pool,
            ladder: object.section("ladder").map(|own| Rungs::decode(&own)).unwrap_or_default(),
            permits,
            failover,
        })
    }
}

impl Login {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        let given = secrets::decode(object, &["password_env", "password_file", "password"]);
        match (object.text("user")?, given?) {
            (user, Given::Plain(password)) => Some(Self { user, password }),
            (_, Given::Hash(_)) => None,
        }
    }
}

impl ClusterTls {
    fn decode(object: &Object<'_>) -> Self {
        let mode = match object.choice("mode") {
            Some(0) => TlsMode::Disabled,
            Some(2) => TlsMode::Required,
            Some(3) => TlsMode::VerifyCa,
            Some(4) => TlsMode::VerifyIdentity,
            _ => TlsMode::Preferred,
        };
        let verifies = matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
        if verifies && !object.has("ca") {
            object.fault(object.place_of("mode").error("this mode needs `ca`"));
        }
        if object.has("certificate") != object.has("key") {
            object.fault(object.place().error("`certificate` and `key` belong together"));
        }
        Self {
            mode,
            ca: object.existing_path("ca"),
            certificate: object.existing_path("certificate"),
            key: object.existing_path("key"),
        }
    }
}

impl PoolLimits {
    fn decode(object: &Object<'_>) -> Self {
        Self {
            max_connections: object.number_u32("max_connections"),
            opening_at_once: object.number_u32("opening_at_once"),
            waiters: object.number_u32("waiters"),
            idle: object.duration("idle"),
            lifetime: object.duration("lifetime"),
        }
    }
}

impl PermitSettings {
    fn decode(object: &Object<'_>) -> Self {
        let given = |key| Some(object.number_u32(key)).filter(|number| *number > 0);
        Self {
            writes: given("writes"),
            reads: given("reads"),
            floor: given("floor"),
            queue: object.number_u32("queue"),
            queue_bytes: usize::try_from(object.size("queue_bytes")).unwrap_or(usize::MAX),
            wait: object.duration("wait"),
            memory: object
                .has("memory")
                .then(|| usize::try_from(object.size("memory")).unwrap_or(usize::MAX))
                .filter(|bytes| *bytes > 0),
        }
    }
}

/// Every cluster's memory holds the largest statement: one that can never be held would be told to come again
/// for ever.
pub(super) fn check_memory(root: &Object<'_>, packet_bytes_max: usize) {
    for (_, _, cluster) in root.named("clusters") {
        let Some(permits) = cluster.section("permits") else { continue };
        let least = packet_bytes_max.saturating_mul(PACKETS_HELD);
        let given = PermitSettings::decode(&permits).memory;
        if given.is_some_and(|bytes| bytes < least) {
            let (packet, least) = (size_text(packet_bytes_max as u64), size_text(least as u64));
            let message = format!(
                "a statement of listen.max_allowed_packet ({packet}) is held up to {PACKETS_HELD} times: at \
                 least {least}"
            );
            root.fault(permits.place_of("memory").error(message));
        }
    }
}

impl KeyspaceTopology {
    pub(super) fn decode(name: &str, object: &Object<'_>) -> Self {
        if !super::decode::is_mysql_name(name) || name.contains(['@', ':']) {
            let fault = object
                .place()
                .error("a keyspace is named as a database, 1 to 64 characters, without @ and :");
            object.fault(fault);
        }
        let shards = object.named_or_text("shards");
        if shards.is_empty() && object.has("shards") {
            object.fault(object.place_of("shards").error("a keyspace needs at least one shard"));
        }
        let mut shards: Vec<ShardPlace> = shards
            .into_iter()
            .filter_map(|(name, place, child)| {
                if !super::decode::is_mysql_name(name) {
                    object.fault(place.error("a shard name has 1 to 64 characters"));
                }
                ShardPlace::decode(name, child)
            })
            .collect();
        shards
            .sort_by_key(|shard| (shard.range.as_ref().map(|range| range.start.clone()), shard.name.clone()));
        Self {
            name: Keyspace::new(name),
            shards,
            reads_after_writes: object.flag("reads_after_writes"),
            replica_reads_when_drained: object.duration("replica_reads_when_drained"),
        }
    }
}

impl ShardPlace {
    fn decode(name: &str, child: Result<&str, Object<'_>>) -> Option<Self> {
        let (cluster, weight) = match child {
            Ok(cluster) => (cluster.into(), 1),
            Err(object) => (object.text("cluster")?, object.number_u32("weight")),
        };
        Some(Self {
            name: ShardName::new(name),
            range: KeyRange::parse(name),
            cluster: ClusterName::new(&*cluster),
            weight,
        })
    }
}
