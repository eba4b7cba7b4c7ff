//! Metrics of fleet migrations, and of what clusters bear of them.

use std::collections::BTreeMap;

use super::metrics::Text;
use crate::migrations::fleet::ledger::Kind;
use crate::migrations::fleet::live::FleetRow;
use crate::migrations::fleet::schedule::LaneStatus;

/// Fleet migrations with metrics of their own, at most.
const ROWS_MAX: usize = 100;

pub(super) fn fleet(out: &mut Text, rows: &[FleetRow], lanes: &[LaneStatus]) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in rows {
        *counts.entry((row.keyspace.as_str(), row.phase.word())).or_default() += 1;
    }
    let name = "bulkhead_fleet_migrations";
    out.head(name, "gauge", "Schema changes of all databases of a keyspace, as the store knows them.");
    for ((keyspace, state), count) in counts {
        out.sample(name, &[("keyspace", keyspace), ("state", state)], count);
    }
    // One that is over leaves no series of its own: there would be more and more of them.
    let active: Vec<&FleetRow> = rows.iter().filter(|row| !row.is_over()).take(ROWS_MAX).collect();
    databases(out, &active);
    progress(out, &active);
    lanes_of(out, lanes);
}

fn labels(row: &FleetRow) -> [(&'static str, &str); 2] {
    [("keyspace", row.keyspace.as_str()), ("migration", row.id.as_str())]
}

fn databases(out: &mut Text, rows: &[&FleetRow]) {
    let name = "bulkhead_fleet_databases";
    out.head(name, "gauge", "Databases of one that is under way, by where they stand.");
    for row in rows {
        for kind in Kind::ALL {
            let [keyspace, migration] = labels(row);
            out.sample(name, &[keyspace, migration, ("state", kind.word())], row.counts.of(kind));
        }
    }
}

fn progress(out: &mut Text, rows: &[&FleetRow]) {
    type Value = fn(&FleetRow) -> Option<f64>;
    let values: [(&str, &str, Value); 5] = [
        ("bulkhead_fleet_share", "Share of its databases that are over, 0 to 1.", |row| Some(row.share())),
        ("bulkhead_fleet_wave", "The wave that it is at, from 1.", |row| Some(f64::from(row.wave) + 1.0)),
        ("bulkhead_fleet_databases_per_second", "Databases that were over in a second, of late.", |row| {
            Some(row.per_second)
        }),
        ("bulkhead_fleet_remaining_seconds", "Time left at that rate, pauses not counted.", |row| {
            row.remaining.map(|left| left.as_secs_f64())
        }),
        ("bulkhead_fleet_waits", "1 while it begins nothing.", |row| {
            Some(f64::from(u8::from(row.waits_for.is_some())))
        }),
    ];
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        for row in rows {
            if let Some(value) = value(row) {
                out.sample(name, &labels(row), value);
            }
        }
    }
}

fn lanes_of(out: &mut Text, lanes: &[LaneStatus]) {
    type Value = fn(&LaneStatus) -> f64;
    let values: [(&str, &str, Value); 6] = [
        ("bulkhead_ddl_lane_closed", "1 while fleet migrations begin nothing on the cluster.", |lane| {
            f64::from(u8::from(lane.closed.is_some()))
        }),
        ("bulkhead_ddl_lane_share", "Share of the cluster's budget that is used, 0 to 1.", |lane| lane.share),
        ("bulkhead_ddl_lane_at_once", "Databases that may be changed at once now.", |lane| {
            f64::from(lane.at_once)
        }),
        ("bulkhead_ddl_lane_statements_per_second", "Statements that may be sent in a second now.", |lane| {
            lane.statements_per_second
        }),
        ("bulkhead_ddl_lane_occupied", "Databases that are being changed, or not known.", |lane| {
            f64::from(lane.occupied)
        }),
        ("bulkhead_ddl_lane_foreign", "Schema changes that bypass Bulkhead.", |lane| f64::from(lane.foreign)),
    ];
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        lanes.iter().for_each(|lane| out.sample(name, &[("cluster", lane.cluster.as_str())], value(lane)));
    }
}
