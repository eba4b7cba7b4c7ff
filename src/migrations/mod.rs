//! Online schema changes: shadow table, copy, changes from the binlog, verify, cut-over.
//!
//! [`Migrations`] is what the rest of Bulkhead sees: a session submits a [`MigrationRequest`] and waits for
//! its [`Ended`]; operators read [`MigrationRow`]s and give [`Command`]s. Whether a statement is to be copied
//! at all was decided before, by [`crate::ddl`].
//!
//! - [`changes`]: what clients change meanwhile, from the binary log.
//! - `ledger`: what is known of each migration, in the store and on its cluster; who carries them out.
//! - `run`: the steps, in order, resumable after each.
//! - `cutover`: exchanging the tables, per flavour of server.
//! - `throttle`: whether the copy may go on now.
//! - [`plan`]: what is copied and how, from definitions alone.
//! - [`engine`]: moves the rows: copies, applies changes, compares.
//!
//! Invariants: one migrator per table; any failure leaves the table's name on the table's rows; nothing is
//! exchanged that was not compared; what became of a server whose connection was lost is looked up, and when
//! that cannot be done it is reported as unknown.

mod apply;
pub mod changes;
mod command;
pub mod copy;
mod cutover;
pub mod engine;
mod error;
pub mod fleet;
mod ledger;
pub mod plan;
mod request;
mod retire;
mod run;
mod service;
mod tell;
#[cfg(test)]
mod testing;
mod throttle;
pub mod verify;
mod view;

pub use error::{CommandError, SubmitError};
pub use request::{Command, MigrationRequest, StatementSettings};
pub use run::Step;
pub use service::{GatedTable, Migrations, Surroundings, TableGate};
pub use throttle::{ClusterNews, ClusterSignals};
pub use view::{Ended, Failure, MigrationRow, Progress, State};

/// The database on each cluster that holds what migrations make: shadow tables, old tables, the ledger. It
/// sorts after the databases of clients, so that a RENAME that exchanges tables queues for theirs first.
pub const ARTIFACTS: &str = "zz_bulkhead";
