//! One schema change over many databases: a *fleet migration*.
//!
//! - [`definition`]: what tables are like: fingerprints, groups, differences, and what repairs them. Pure.
//! - [`plan`]: which database comes in which wave, and what a fleet migration would take. Pure.
//! - [`ledger`]: one row per database, in pages in the store; changed by transitions, owned by a lease.
//! - [`schedule`]: who begins when: waves, budgets of clusters, health, commands. Pure, on a clock that it is
//!   told.
//! - [`drive`]: carries out what was decided: writes down, then acts, then writes down what became of it.
//! - [`live`]: the service, on real servers.
//!
//! Invariants: a row says *running* in the store before anything is sent to its database; what became of it
//! is looked up where it is not known; no cluster has more at once, or more statements in a second, than
//! its budget, whatever the keyspace; a database whose definition is none that the plan knows is left as it
//! is.

pub mod definition;
pub mod drive;
pub mod ledger;
pub mod live;
pub mod plan;
pub mod schedule;

#[cfg(test)]
mod fixture;
