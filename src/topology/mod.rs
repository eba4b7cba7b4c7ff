//! Where shards live now.
//!
//! Owns the routing truth: [`Snapshot`] (shards and clusters of one generation, with the vschema), its swap
//! ([`SnapshotCell`]), the [`Directory`] (workspace → shard and state) and the [`Store`] that keeps what
//! proxies share. It does not own connections, nor the decision where a statement goes.
//!
//! Invariants: a snapshot never changes; a directory entry is durable in the store before it is visible; a
//! page of the directory that cannot be read refuses its workspaces by name, it never makes them "unknown";
//! nothing here costs time or memory per database.

mod cell;
mod directory;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod shard;
mod snapshot;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod workspaces;

pub use cell::{Changed, SnapshotCell, SnapshotChanges};
pub use directory::{DamagedPage, Directories, Directory, Entry, LIST_ROWS_MAX, ListFilter, LoadReport};
pub use error::RouteError;
pub use shard::{KeyspaceShards, Placement, Shard, ShardsFault};
pub use snapshot::{Snapshot, SnapshotFault};
pub use state::WorkspaceState;
pub use store::{
    COMMIT_WRITES_MAX, Change, EmbeddedStore, Expect, KEY_BYTES_MAX, Store, StoreError, StoreFuture,
    Versioned, WATCH_QUEUE_MAX, Write,
};
pub use workspaces::{
    BringUpFuture, DirectoryAdmin, Existing, Force, ImportReport, NewWorkspace, NewestSchema, ProvisionFault,
    Provisioned, RowFault, RowFormat, WorkspaceError, WorkspaceRow,
};
