//! Section `[schema_changes]`.

use std::time::Duration;

use super::super::decode::Object;
use super::super::keys::{Key, Section, Shape};

/// Most migrations of one cluster that copy at the same time.
const AT_ONCE_MAX: u64 = 64;
/// Most databases of one cluster that a fleet migration changes at once.
const DATABASES_AT_ONCE_MAX: u64 = 256;
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
             Whatever is said here, it waits while writes take twice as long as without a copy, chance \
             aside.",
        )
        .or("0s"),
        Key::new(
            "throttle_query",
            Shape::Text,
            "A SELECT of one number, asked on the primary every second: the copy waits while it is above 0.",
        ),
        Key::new(
            "fleet",
            Shape::Section(&FLEET_CHANGES),
            "How all databases of a keyspace are changed by one statement.",
        ),
    ],
};

const FLEET_CHANGES: Section = Section {
    doc: "How all databases of a keyspace are changed by one statement: what each cluster bears at most, and \
          what a request does not say itself. See docs/fleet-migrations.md.",
    keys: &[
        Key::new(
            "at_once",
            Shape::Number(1, DATABASES_AT_ONCE_MAX),
            "Databases of one cluster that are changed at once; clusters whose primaries have one address \
             have them together. Of copies of more than one chunk, `at_once` above says how many.",
        )
        .or("1"),
        Key::new(
            "statements_per_second",
            Shape::Number(1, 10_000),
            "Schema changes that are sent to one cluster in a second; a copy counts as five.",
        )
        .or("32"),
        Key::new(
            "reads_per_second",
            Shape::Number(1, 100_000),
            "Definitions that are read from one cluster in a second, before anything is changed.",
        )
        .or("200"),
        Key::new("canary", Shape::Number(0, 10_000), "Databases that are changed first.").or("3"),
        Key::new(
            "waves",
            Shape::Text,
            "Percent of all databases that are changed when each of the next waves is done; the rest is the \
             last wave.",
        )
        .or("1, 10"),
        Key::new("soak", Shape::Duration(0), "After each wave but the last nothing is begun for so long.")
            .or("5m"),
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
    /// Changes of all databases of a keyspace.
    pub fleet: FleetChanges,
}

/// How all databases of a keyspace are changed by one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetChanges {
    /// Databases of one cluster that are changed at once.
    pub at_once: u32,
    /// Schema changes that are sent to one cluster in a second.
    pub statements_per_second: u32,
    /// Definitions that are read from one cluster in a second.
    pub reads_per_second: u32,
    /// Databases that are changed first.
    pub canary: u32,
    /// The share of all databases that is changed when each of the next waves is done; rising.
    pub waves: Vec<f64>,
    /// The pause after each wave.
    pub soak: Duration,
}

/// The shares are numbers, never NaN.
impl Eq for FleetChanges {}

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
            fleet: FleetChanges::decode(&object.section_or_defaults("fleet")),
        }
    }
}

impl FleetChanges {
    fn decode(object: &Object<'_>) -> Self {
        let waves = object.text("waves").and_then(|text| read_waves(&text));
        if waves.is_none() {
            let wrong = "rising numbers above 0 and below 100, with commas between them";
            object.fault(object.place_of("waves").error(wrong));
        }
        Self {
            at_once: object.number_u32("at_once"),
            statements_per_second: object.number_u32("statements_per_second"),
            reads_per_second: object.number_u32("reads_per_second"),
            canary: object.number_u32("canary"),
            waves: waves.unwrap_or_default(),
            soak: object.duration("soak"),
        }
    }
}

/// Shares, from percents; empty text is none. `None` when they are not what they should be.
fn read_waves(text: &str) -> Option<Vec<f64>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let percent = |part: &str| part.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    let shares = text.split(',').map(|part| Some(percent(part)? / 100.0)).collect::<Option<Vec<f64>>>()?;
    let rises = shares.windows(2).all(|pair| pair[0] < pair[1]);
    (rises && shares.iter().all(|share| *share > 0.0 && *share < 1.0)).then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::read_waves;

    #[test]
    fn waves_are_percents_that_rise() {
        assert_eq!(read_waves("1, 10"), Some(vec![0.01, 0.1]));
        assert_eq!(read_waves("0.5 %,50%"), Some(vec![0.005, 0.5]));
        assert_eq!(read_waves(" "), Some(Vec::new()));
        for bad in ["10, 1", "1, 1", "0", "100", "x", "1,", "NaN", "-1"] {
            assert_eq!(read_waves(bad), None, "{bad}");
        }
    }
}
