//! Bulkhead: a MySQL-protocol sharding proxy.
//!
//! # The life of a statement
//!
//! 1. [`session`] reads one command packet from the client.
//! 2. [`sql::scan`] walks the text once: shape, literal spans, statement kind, comment tags.
//! 3. [`plan`] looks the shape up (shape, session target, generation); on a miss [`sql::parse`] reads the
//!    text and [`plan::plan`] decides; a plan is a value, free of IO, and bears the digest for statistics.
//! 4. [`plan::Plan::bind`] ties the plan to literals, parameters and the session's workspace: a
//!    [`plan::Destination`], which the snapshot in [`topology`] resolves to a cluster and a role.
//! 5. [`admission`] admits it to the cluster: gates, then a permit. It may wait, be refused, or be held and
//!    planned again.
//! 6. [`backend`] lends a connection; what differs in session state is queued before the statement and sent
//!    in the same write.
//! 7. [`execute`] relays the answer as bytes.
//! 8. The outcome feeds [`health`]: digests, per-shard counters, and the cluster's meter, which its detector
//!    reads.
//!
//! A schema change is looked at between 4 and 5: [`schema`] reads the table's definition, [`ddl`] decides,
//! and it goes to the server with an assertion, to [`migrations`] to be copied online, or nowhere.
//!
//! Modules use only modules that stand above them in this list.

pub mod clock;
pub mod fail_point;
pub mod gtid;
pub mod ids;
pub mod memory;
pub mod redact;

pub mod error;

pub mod config;
pub mod protocol;

pub mod control;

pub mod sql;

pub mod ddl;

pub mod vschema;

pub mod plan;
pub mod schema;

pub mod topology;

pub mod backend;

pub mod health;

pub mod drain;

pub mod admission;

pub mod execute;

pub mod failover;

pub mod migrations;

pub mod session;

pub mod admin;

pub mod server;
