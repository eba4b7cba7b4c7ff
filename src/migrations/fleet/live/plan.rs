//! What a fleet migration would do.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ids::{ClusterName, Keyspace, MigrationId};
use crate::migrations::fleet::ledger::{StepKind, Wave};
use crate::migrations::fleet::plan::{ClusterPlan, Summary};

/// One statement's part of a plan.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// The statement.
    pub text: String,
    /// The table or view.
    pub table: String,
    /// What it is.
    pub kind: StepKind,
    /// What it would do: every definition once. Absent for views, which are made anew everywhere.
    pub summary: Option<Summary>,
}

/// What a fleet migration would do.
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// The keyspace.
    pub keyspace: Keyspace,
    /// Its databases.
    pub databases: u32,
    /// The statements.
    pub steps: Vec<StepPlan>,
    /// Databases in which something is to be done.
    pub to_change: u32,
    /// Databases that are as the statements would make them.
    pub done: u32,
    /// Databases that drifted from the others and are left as they are; names and why of the first 20.
    pub drifted: (u32, Vec<(String, String)>),
    /// Databases that could not be read, which are looked at again when their turn comes; names and why of
    /// the first 20.
    pub unread: (u32, Vec<(String, String)>),
    /// Databases whose workspace is moving or suspended: they are done when they can be.
    pub later: BTreeMap<&'static str, u32>,
    /// The clusters: time and load, all statements together.
    pub clusters: BTreeMap<ClusterName, ClusterPlan>,
    /// The waves, in order; none when there is nothing to change.
    pub waves: Vec<Wave>,
    /// Fleet migrations that change one of the tables and come first.
    pub behind: Vec<MigrationId>,
    /// What people should know, a sentence each.
    pub warnings: Vec<String>,
}

impl FleetPlan {
    /// For people.
    pub fn to_text(&self) -> String {
        String::new()
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        Value::Null
    }
}
