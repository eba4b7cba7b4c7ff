//! Wiring: config to running proxy, listening, reload, graceful stop, the command line.
//!
//! Owns the order in which things are built and taken down. It holds no logic of its own about statements.
//!
//! Phases of a proxy: *starting* (config, store, directories, pools, listeners) → *serving* → *draining* (no
//! new connections; sessions end at their transaction's end) → *stopped*, when the last session is gone or
//! `timeouts.shutdown` is over.

mod admin_port;
mod announce;
mod build;
pub mod cli;
mod commands;
mod ddl;
mod drift;
mod health;
mod ladder;
mod listen;
pub mod live;
mod logging;
mod migrate;
mod migrations;
mod on_call;
mod reload;
mod serve;
mod workers;

pub use serve::serve;

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config or a vschema file has faults.
    #[error("{rendered}")]
    Config {
        /// Every fault, for people.
        rendered: String,
    },
    /// The store cannot be opened or read.
    #[error("the store cannot be used: {0}")]
    Store(#[from] crate::topology::StoreError),
    /// Config and vschema do not make a snapshot.
    #[error(transparent)]
    Snapshot(#[from] crate::topology::SnapshotFault),
    /// A cluster's TLS files cannot be used.
    #[error(transparent)]
    Pools(#[from] crate::backend::PoolsError),
    /// TLS towards clients cannot be set up.
    #[error("listen.tls: {0}")]
    Tls(String),
    /// Passwords or the RSA key cannot be set up.
    #[error("logins cannot be set up: {0}")]
    Logins(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operating system refuses something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
