//! The state store: versioned keys, compare-and-swap, watch.
//!
//! Owns the [`Store`] trait, shaped after what etcd offers, and the embedded implementation on a local file
//! ([`EmbeddedStore`]). It does not know what the values mean.
//!
//! Invariants: a version grows with every change of its key and is never used twice; a [`Write`] happens only
//! when the key still has the expected version; a commit is applied whole or not at all, and is durable when
//! it returns.

mod embedded;

#[cfg(test)]
mod tests;

pub use embedded::EmbeddedStore;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::sync::mpsc;

/// Most writes in one commit (etcd's default bound for one transaction).
pub const COMMIT_WRITES_MAX: usize = 128;

/// Changes that wait for one watcher; a slower watcher is cut off and lists again.
pub const WATCH_QUEUE_MAX: usize = 1024;

/// Longest accepted key in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// What an asynchronous store method returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A value and the version its key had when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes as they were written.
    pub value: Vec<u8>,
    /// Grows with every change of the store; never 0.
    pub version: u64,
}

/// What a key must look like for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key must not exist.
    Absent,
    /// The key must have this version.
    Version(u64),
}

/// One conditional change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The new value; `None` deletes.
    pub value: Option<Vec<u8>>,
    /// The condition.
    pub expect: Expect,
}

/// What a watcher receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key that changed.
    pub key: String,
    /// Its new value; `None` when it was deleted.
    pub value: Option<Versioned>,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is no longer what the writer saw; read it again.
    #[error("the key {key} was changed by somebody else")]
    Conflict {
        /// The first key whose expectation failed.
        key: String,
    },
    /// Another process has the store's file open.
    #[error("the store {} is in use by another process (is another bulkhead running?)", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a store, or is damaged.
    #[error("the store {} cannot be opened: {reason}", path.display())]
    Unopened {
        /// The file.
        path: PathBuf,
        /// The file database's own words.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the store failed to {action}: {reason}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The file database's own words.
        reason: String,
    },
    /// The request breaks a bound of the store.
    #[error("the store refuses the request: {reason}")]
    Invalid {
        /// Which bound.
        reason: String,
    },
}

/// Shared state of the proxies.
pub trait Store: Send + Sync {
    /// Reads one key.
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>>;

    /// Applies all writes, or none when one expectation fails; the version that all written keys now have.
    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64>;

    /// Reads every key that begins with `prefix`, in key order.
    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>>;

    /// Sends every later change under `prefix`, in order. When the receiver ends, changes may have been
    /// missed: watch and list again.
    fn watch(&self, prefix: &str) -> mpsc::Receiver<Change>;

    /// Says whether no other process can have this store open: then there is nobody to agree with.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Writes one key under a condition; its new version.
    fn put_if<'a>(&'a self, key: &'a str, value: Vec<u8>, expect: Expect) -> StoreFuture<'a, u64> {
        self.commit(vec![Write { key: key.to_owned(), value: Some(value), expect }])
    }

    /// Deletes one key that still has `version`.
    fn delete_if<'a>(&'a self, key: &'a str, version: u64) -> StoreFuture<'a, u64> {
        self.commit(vec![Write { key: key.to_owned(), value: None, expect: Expect::Version(version) }])
    }
}
