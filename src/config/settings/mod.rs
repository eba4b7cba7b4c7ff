//! Sections that describe the proxy itself: listen, admin, store, log, routing, timeouts.

mod schema_changes;

pub(super) use schema_changes::SCHEMA_CHANGES;
pub use schema_changes::{FleetChanges, SchemaChanges, ThrottleBounds};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::decode::Object;
use super::keys::{Key, Section, Shape};

/// Most client connections, in all or of one user.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// Least `max_allowed_packet`, in bytes; MySQL's own.
const PACKET_BYTES_MIN: u64 = 1 << 10;
/// Largest `max_allowed_packet`, in bytes; MySQL's own.
const PACKET_BYTES_MAX: u64 = 1 << 30;

pub(super) const LISTEN: Section = Section {
    doc: "Where clients connect, and the limits before and after they log in.",
    keys: &[
        Key::new("address", Shape::Address, "TCP address.").or("127.0.0.1:3307"),
        Key::new("socket", Shape::Path, "Unix socket beside it."),
        Key::new("server_version", Shape::Text, "Version that clients see.").or("8.4.8-bulkhead"),
        Key::new("max_connections", Shape::Number(1, CONNECTIONS_MAX), "Client connections in all.")
            .or("10000"),
        Key::new(
            "max_connections_per_user",
            Shape::Number(1, CONNECTIONS_MAX),
            "Client connections of one user.",
        )
        .or("5000"),
        Key::new(
            "max_connections_per_address",
            Shape::Number(1, CONNECTIONS_MAX),
            "Client connections of one address.",
        )
        .or("5000"),
        Key::new("handshake_timeout", Shape::Duration(1), "Time from accept to the end of the login.")
            .or("10s"),
        Key::new(
            "max_allowed_packet",
            Shape::Size(PACKET_BYTES_MIN, PACKET_BYTES_MAX),
            "Largest packet from a client.",
        )
        .or("64MiB"),
        Key::new("require_tls", Shape::Flag, "Refuses clients without TLS (unix sockets excepted).")
            .or("false"),
        Key::new("compression", Shape::Flag, "Offers zlib and zstd.").or("true"),
        Key::new(
            "tls",
            Shape::Section(&LISTEN_TLS),
            "Certificate; without it a throw-away one is made at start.",
        ),
    ],
};

const LISTEN_TLS: Section = Section {
    doc: "The certificate shown to clients.",
    keys: &[
        Key::new("certificate", Shape::Path, "PEM file with the certificate chain.").required(),
        Key::new("key", Shape::Path, "PEM file with the private key.").required(),
        Key::new(
            "client_ca",
            Shape::Path,
            "PEM file with the authority that client certificates must come from.",
        ),
    ],
};

pub(super) const ADMIN: Section = Section {
    doc: "Where operators connect.",
    keys: &[
        Key::new("address", Shape::Address, "MySQL protocol; for users with `admin = true`.")
            .or("127.0.0.1:3308"),
        Key::new("http", Shape::Address, "`/metrics` and `/healthz`.").or("127.0.0.1:3309"),
    ],
};

pub(super) const STORE: Section = Section {
    doc: "Where the directory and states are kept.",
    keys: &[Key::new("path", Shape::Path, "File of the embedded store.").or("bulkhead.redb")],
};

pub(super) const LOG: Section = Section {
    doc: "What is logged.",
    keys: &[
        Key::new("format", Shape::Choice(&["human", "json"]), "Form of the lines.").or("human"),
        Key::new("level", Shape::Text, "error, warn, info, debug, trace, or a filter by module.").or("info"),
        Key::new("slow_statement", Shape::Duration(0), "Statements that take longer are logged; 0s: none.")
            .or("1s"),
    ],
};

pub(super) const ROUTING: Section = Section {
    doc: "How a statement's workspace is told.",
    keys: &[
        Key::new("workspace_variable", Shape::Name, "User variable: `SET @workspace_id = 42`.")
            .or("workspace_id"),
        Key::new("comment_key", Shape::Name, "Key in a comment: `/*workspace_id:42*/`.").or("workspace_id"),
    ],
};

pub(super) const TIMEOUTS: Section = Section {
    doc: "Bounds in time.",
    keys: &[
        Key::new("connect", Shape::Duration(1), "Opening a connection to a server, login included.").or("2s"),
        Key::new("query", Shape::Duration(0), "One statement; it is killed when it passes. 0s: none.")
            .or("0s"),
        Key::new("transaction", Shape::Duration(0), "One transaction; rolled back when it passes. 0s: none.")
            .or("0s"),
        Key::new("idle", Shape::Duration(0), "A session without a command. 0s: none.").or("8h"),
        Key::new("pool_wait", Shape::Duration(1), "Waiting for a connection of a pool.").or("5s"),
        Key::new(
            "ddl_lane",
            Shape::Duration(0),
            "A schema change waits so long for a closed lane to open. 0s: it is refused at once.",
        )
        .or("15s"),
        Key::new(
            "ddl_lock",
            Shape::Duration(1000),
            "A schema change waits so long for its table at once, in whole seconds; statements of the table \
             queue behind it.",
        )
        .or("1s"),
        Key::new(
            "ddl_retry",
            Shape::Duration(0),
            "A schema change that does not get its table is tried again, with growing pauses, for so long.",
        )
        .or("60s"),
        Key::new("shutdown", Shape::Duration(0), "Sessions still in a transaction when Bulkhead stops.")
            .or("30s"),
    ],
};

pub(super) const HEALTH: Section = Section {
    doc: "How Bulkhead tells whether a cluster is well.",
    keys: &[
        Key::new(
            "heartbeat",
            Shape::Flag,
            "Updates one row on each primary twice a second; false: asks without writing, and failing writes \
             are seen by clients' statements alone.",
        )
        .or("true"),
        Key::new(
            "heartbeat_database",
            Shape::Name,
            "Database of the heartbeat's table; made on first use, by the cluster's admin user.",
        )
        .or("bulkhead"),
    ],
};

pub(super) const LIMITS: Section = Section {
    doc: "What one workspace may use of a cluster, for writes and for reads each, unless an admin set other \
          limits for it. Whatever is said here, it has half of the permits at most.",
    keys: &[
        Key::new(
            "workspace_in_flight",
            Shape::Number(0, CONNECTIONS_MAX),
            "Statements of one workspace in flight; 0: no bound of its own.",
        )
        .or("0"),
        Key::new(
            "workspace_per_second",
            Shape::Number(0, CONNECTIONS_MAX),
            "Statements of one workspace per second, a second's worth at once; 0: no bound.",
        )
        .or("0"),
    ],
};

/// Where clients connect, and the limits before and after they log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// TCP address.
    pub address: SocketAddr,
    /// Unix socket beside it.
    pub socket: Option<PathBuf>,
    /// Version that the handshake shows.
    pub server_version: Box<str>,
    /// Client connections in all.
    pub max_connections: u32,
    /// Client connections of one user.
    pub max_connections_per_user: u32,
    /// Client connections of one address.
    pub max_connections_per_address: u32,
    /// Time from accept to the end of the login.
    pub handshake_timeout: Duration,
    /// Largest packet from a client, in bytes.
    pub max_allowed_packet: usize,
    /// Refuses clients without TLS (unix sockets excepted).
    pub require_tls: bool,
    /// Offers zlib and zstd compression.
    pub compression: bool,
    /// Certificate; absent: a throw-away one is made.
    pub tls: Option<ListenTls>,
}

/// The certificate shown to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenTls {
    /// PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authority that client certificates must come from.
    pub client_ca: Option<PathBuf>,
}

/// Where operators connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// MySQL protocol.
    pub address: SocketAddr,
    /// `/metrics` and `/healthz`.
    pub http: SocketAddr,
}

/// Where directory and states are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// File of the embedded store.
    pub path: PathBuf,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Form of the lines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,bulkhead::backend=debug`.
    pub level: Box<str>,
    /// Statements that take longer are logged; zero: none.
    pub slow_statement: Duration,
}

/// How the workspace is told apart from the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// User variable that names the workspace, without `@`.
    pub workspace_variable: Box<str>,
    /// Key in statement comments that names the workspace.
    pub comment_key: Box<str>,
}

/// Bounds in time; zero means none where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening a connection to a server, login included.
    pub connect: Duration,
    /// One statement; zero: none.
    pub query: Duration,
    /// One transaction; zero: none.
    pub transaction: Duration,
    /// A session without a command; zero: none.
    pub idle: Duration,
    /// Waiting for a connection of a pool.
    pub pool_wait: Duration,
    /// A schema change waits so long for a closed lane to open; zero: it is refused at once.
    pub ddl_lane: Duration,
    /// A schema change waits so long for its table at once, whole seconds.
    pub ddl_lock: Duration,
    /// A schema change that does not get its table is tried again for so long.
    pub ddl_retry: Duration,
    /// Sessions that are still in a transaction when Bulkhead stops.
    pub shutdown: Duration,
}

/// How the health of clusters is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChecks {
    /// The heartbeat writes.
    pub heartbeat: bool,
    /// Database of its table.
    pub heartbeat_database: Box<str>,
}

/// What one workspace may use of a cluster, for writes and for reads each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceDefaults {
    /// Statements in flight; absent: no bound of its own.
    pub in_flight: Option<u32>,
    /// Statements per second; absent: no bound.
    pub per_second: Option<u32>,
}

impl Listen {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        let version = object.text("server_version")?;
        if version.contains('\0') || !version.starts_with(|c: char| c.is_ascii_digit()) {
            let place = object.place_of("server_version");
            object.fault(place.error("drivers read a version from it: it must begin with a number"));
        }
        Some(Self {
            address: object.address("address")?,
            socket: object.path("socket"),
            server_version: version,
            max_connections: object.number_u32("max_connections"),
            max_connections_per_user: object.number_u32("max_connections_per_user"),
            max_connections_per_address: object.number_u32("max_connections_per_address"),
            handshake_timeout: object.duration("handshake_timeout"),
            max_allowed_packet: usize::try_from(object.size("max_allowed_packet")).unwrap_or(usize::MAX),
            require_tls: object.flag("require_tls"),
            compression: object.flag("compression"),
            tls: object.section("tls").and_then(|tls| ListenTls::decode(&tls)),
        })
    }
}

impl ListenTls {
    fn decode(object: &Object<'_>) -> Option<Self> {
        let certificate = object.existing_path("certificate");
        let key = object.existing_path("key");
        let client_ca = object.existing_path("client_ca");
        Some(Self { certificate: certificate?, key: key?, client_ca })
    }
}

impl Admin {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        Some(Self { address: object.address("address")?, http: object.address("http")? })
    }
}

impl Store {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        Some(Self { path: object.path("path")? })
    }
}

impl Log {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        let level = object.text("level")?;
        if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
            object.fault(object.place_of("level").error("found neither a level nor a filter by module"));
        }
        let format = if object.choice("format") == Some(1) { LogFormat::Json } else { LogFormat::Human };
        Some(Self { format, level, slow_statement: object.duration("slow_statement") })
    }
}

impl Routing {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        Some(Self {
            workspace_variable: object.text("workspace_variable")?,
            comment_key: object.text("comment_key")?,
        })
    }
}

impl Timeouts {
    pub(super) fn decode(object: &Object<'_>) -> Self {
        Self {
            connect: object.duration("connect"),
            query: object.duration("query"),
            transaction: object.duration("transaction"),
            idle: object.duration("idle"),
            pool_wait: object.duration("pool_wait"),
            ddl_lane: object.duration("ddl_lane"),
            ddl_lock: object.duration("ddl_lock"),
            ddl_retry: object.duration("ddl_retry"),
            shutdown: object.duration("shutdown"),
        }
    }
}

impl HealthChecks {
    pub(super) fn decode(object: &Object<'_>) -> Option<Self> {
        let (heartbeat, heartbeat_database) = (object.flag("heartbeat"), object.text("heartbeat_database")?);
        Some(Self { heartbeat, heartbeat_database })
    }
}

impl WorkspaceDefaults {
    pub(super) fn decode(object: &Object<'_>) -> Self {
        let given = |key| Some(object.number_u32(key)).filter(|number| *number > 0);
        Self { in_flight: given("workspace_in_flight"), per_second: given("workspace_per_second") }
    }
}
