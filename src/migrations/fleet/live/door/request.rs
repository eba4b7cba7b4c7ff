//! What doors ask for.

use std::time::Duration;

use crate::ids::{Keyspace, MigrationId, UserName};
use crate::migrations::StatementSettings;
use crate::migrations::fleet::ledger::Pace;
use crate::migrations::fleet::plan::{Canary, Ordering};

/// A schema change of all databases of a keyspace.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetRequest {
    /// The keyspace, whatever its layout: the databases of its workspaces, of its shards, or its one.
    pub keyspace: Keyspace,
    /// The statements, in order, in UTF-8: each one of ALTER TABLE, CREATE INDEX, DROP INDEX, CREATE TABLE,
    /// DROP TABLE, CREATE VIEW, DROP VIEW, and each of one table or view whose name says no
    /// database. In each database they are carried out one after the other.
    pub statements: Vec<String>,
    /// What the statements mean depends on.
    pub settings: FleetSettings,
    /// How it goes.
    pub options: FleetOptions,
    /// Who asks.
    pub user: UserName,
}

/// Settings of whoever asks that change what a statement means; what is absent is as the keyspace's servers
/// have it. Statements are in utf8mb4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetSettings {
    /// `@@sql_mode`; empty text is the mode without any flag.
    pub sql_mode: Option<String>,
    /// `@@collation_connection`, one of utf8mb4.
    pub collation: Option<String>,
    /// `@@time_zone`.
    pub time_zone: Option<String>,
}

impl FleetSettings {
    /// These, and the servers' own for what is absent.
    pub(in crate::migrations::fleet::live) fn over(&self, own: StatementSettings) -> StatementSettings {
        StatementSettings {
            sql_mode: self.sql_mode.clone().unwrap_or(own.sql_mode),
            character_set: "utf8mb4".to_owned(),
            collation: self.collation.clone().unwrap_or_default(),
            time_zone: self.time_zone.clone().unwrap_or(own.time_zone),
        }
    }
}

/// How a fleet migration goes. What is absent is as `[schema_changes.fleet]` of the config says.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetOptions {
    /// The databases that are changed first.
    pub canary: Option<Canary>,
    /// The share of all databases that is done when each of the next waves is: rising, above 0 and below 1.
    pub waves: Option<Vec<f64>>,
    /// After each wave but the last, nothing is begun for so long.
    pub soak: Option<Duration>,
    /// The order within a wave.
    pub ordering: Ordering,
    /// No faster than this on each cluster.
    pub pace: Option<Pace>,
    /// More failures than these in one wave, and it stops.
    pub failures_max: Option<u32>,
    /// Databases that drifted are changed too, where the statements fit them.
    pub takes_drifted: bool,
    /// It is known that running code breaks.
    pub acknowledged: bool,
    /// Rows are scanned first where values can be lost.
    pub prove: bool,
}

impl Default for FleetOptions {
    /// Everything as the config says; nothing is acknowledged.
    fn default() -> Self {
        Self {
            canary: None,
            waves: None,
            soak: None,
            ordering: Ordering::AsGiven,
            pace: None,
            failures_max: None,
            takes_drifted: false,
            acknowledged: false,
            prove: false,
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is in the store, and goes on whether or not anybody waits for it. Also when the very same
    /// statements were being carried out already: that migration's id.
    Begun(MigrationId),
    /// Every database is as the statements would make it: nothing was begun.
    AllThere {
        /// How many databases there are.
        databases: u32,
    },
}
