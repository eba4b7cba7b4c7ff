//! Sections that describe the proxy itself: listen, admin, store, log, routing, timeouts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Sessions that are still in a transaction when Bulkhead stops.
    pub shutdown: Duration,
}
