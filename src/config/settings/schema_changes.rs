//! Section `[schema_changes]`.

use std::time::Duration;

use super::super::decode::Object;
use super::super::keys::{Key, Section, Shape};

/// Most migrations of one cluster that copy at the same time.
const AT_ONCE_MAX: u64 = 64;
/// Longest time that statements of a table may be held while it is exchanged, in milliseconds: clients' own
/// limits are seldom longer.
const SWAP_MS_MAX: u128 = 30_000;

pub(in crate::config) const SCHEMA_CHANGES: Section = Section {
    doc: "How tables are changed online. What is not here is decided: see docs/schema-changes.md.",
    keys: &[
        Key::new("enabled", Shape::Flag, "Changes that have to copy are carried out; false: refused.")
            .or("true"),
        Key::new(
            "at_once",
            Shape::Number(1, AT_ONCE_MAX),
            "Migrations of one cluster that copy at the same time; others wait for their turn.",
        )
        .or("2"),
        Key::new(
            "swap_within",
            Shape::Duration(100),
            "Statements of a table wait no longer while it is exchanged, then it is retried. 30s at most.",
        )
        .or("3s"),
        Key::new(
            "keep_old_table",
            Shape::Duration(0),
            "The old table is kept so long behind the exchange: a change can be reverted. 0s: not at all.",
        )
        .or("24h"),
        Key::new(
            "max_threads_running",
            Shape::Number(1, 100_000),
            "The copy waits while the primary's Threads_running is above it.",
        )
        .or("64"),
        Key::new(
            "max_replica_lag",
            Shape::Duration(0),
            "The copy waits while a replica is further behind; 0s: replicas are not asked.",
        )
        .or("10s"),
        Key::new(
            "max_write_p99",
            Shape::Duration(0),
            "The copy waits while the slowest hundredth of the cluster's writes takes longer; 0s: not asked. \
             Whatever is said here, it waits while writes take half again as long as without a copy.",
        )
        .or("0s"),
        Key::new(
            "throttle_query",
            Shape::Text,
            "A SELECT of one number, asked on the primary every second: the copy waits while it is above 0.",
        ),
    ],
};

/// How tables are changed online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChanges {
    /// Changes that have to copy are carried out.
    pub is_enabled: bool,
    /// Migrations of one cluster that copy at the same time.
    pub at_once: usize,
    /// Statements of a table wait no longer while it is exchanged.
    pub swap_within: Duration,
    /// The old table is kept so long; zero: not at all.
    pub keep_old_table: Duration,
    /// Bounds beyond which the copy waits.
    pub throttle: ThrottleBounds,
}

/// Bounds beyond which copies wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleBounds {
    /// The primary's Threads_running.
    pub threads_running: u32,
    /// How far a replica may be behind; absent: replicas are not asked.
    pub replica_lag: Option<Duration>,
    /// The 99th percentile of the cluster's writes; absent: no absolute bound.
    pub write_p99: Option<Duration>,
    /// A SELECT of one number that has to be 0.
    pub query: Option<Box<str>>,
}

impl SchemaChanges {
    pub(in crate::config) fn decode(object: &Object<'_>) -> Self {
        let some = |duration: Duration| (!duration.is_zero()).then_some(duration);
        let swap_within = object.duration("swap_within");
        if swap_within.as_millis() > SWAP_MS_MAX {
            object.fault(object.place_of("swap_within").error("30s at most"));
        }
        Self {
            is_enabled: object.flag("enabled"),
            at_once: object.number_u32("at_once") as usize,
            swap_within,
            keep_old_table: object.duration("keep_old_table"),
            throttle: ThrottleBounds {
                threads_running: object.number_u32("max_threads_running"),
                replica_lag: some(object.duration("max_replica_lag")),
                write_p99: some(object.duration("max_write_p99")),
                query: object.text("throttle_query"),
            },
        }
    }
}
