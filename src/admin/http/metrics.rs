//! The text of `/metrics`. **Source**: Prometheus text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::super::context::{AdminContext, HealthRow, RoomRow};
use super::super::ladder::LadderStanding;
use super::fleet::fleet;
use crate::admission::{AdmissionView, ClassView};
use crate::backend::{PoolStats, WAIT_BUCKETS_US};
use crate::drain::{GateState, Ownership};
use crate::failover::PrimaryRow;
use crate::health::{ShardReport, Signal};
use crate::ids::ClusterName;
use crate::migrations::MigrationRow;
use crate::migrations::changes::FeedStats;
use crate::topology::WorkspaceState;

/// Bounds of the latency histogram: powers of two of microseconds, from 64 µs to 17 s; they are exact.
const LATENCY_POWERS: std::ops::RangeInclusive<u32> = 6..=24;

/// Migrations with metrics of their own, at most.
const ROWS_MAX: usize = 100;

/// All metrics as of now.
pub fn metrics_text(context: &AdminContext) -> String {
    let mut out = Text::default();
    build_and_snapshot(&mut out, context);
    proxy(&mut out, context);
    clusters(&mut out, &context.clusters.clusters());
    ladder(&mut out, &context.ladder.standing());
    admission(&mut out, &context.admissions.views());
    primaries(&mut out, &context.primaries.primaries());
    migrations(&mut out, &context.migrations.rows());
    feeds(&mut out, &context.migrations.feeds());
    rooms(&mut out, &context.rooms.rooms());
    fleet(&mut out, &context.fleet.rows(), &context.fleet.lanes());
    shards(&mut out, &context.health.shards());
    pools(&mut out, &context.pools.pools());
    out.text
}

/// The text, as it grows.
#[derive(Default)]
pub(super) struct Text {
    text: String,
}

impl Text {
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn build_and_snapshot(out: &mut Text, context: &AdminContext) {
    let snapshot = context.snapshots.load();
    out.head("bulkhead_build_info", "gauge", "Version of this program.");
    out.sample("bulkhead_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let generation = snapshot.generation;
    out.single("bulkhead_snapshot_generation", "gauge", "Number of the routing snapshot.", generation);
    out.head("bulkhead_workspaces", "gauge", "Workspaces in the directory.");
    for directory in snapshot.directories.iter() {
        let keyspace = directory.keyspace().as_str();
        for (shard, states) in directory.counts() {
            for (state, count) in WorkspaceState::ALL.iter().zip(states) {
                let labels = [("keyspace", keyspace), ("shard", shard.as_str()), ("state", state.name())];
                out.sample("bulkhead_workspaces", &labels, count);
            }
        }
    }
    out.head("bulkhead_directory_pages_damaged", "gauge", "Directory pages that cannot be read.");
    for directory in snapshot.directories.iter() {
        let labels = [("keyspace", directory.keyspace().as_str())];
        out.sample("bulkhead_directory_pages_damaged", &labels, directory.damaged().len());
    }
}

fn proxy(out: &mut Text, context: &AdminContext) {
    let stats = context.stats.stats();
    let (counter, gauge) = ("counter", "gauge");
    let ready = u8::from(stats.not_ready.is_empty());
    out.single("bulkhead_ready", gauge, "1 when new clients are welcome.", ready);
    out.single("bulkhead_uptime_seconds", gauge, "Time since start.", stats.uptime.as_secs());
    out.single("bulkhead_sessions", gauge, "Connected clients.", stats.sessions);
    out.single("bulkhead_sessions_total", counter, "Clients that connected.", stats.sessions_total);
    out.single("bulkhead_failed_logins_total", counter, "Logins that failed.", stats.failed_logins);
    let hits = stats.plan_cache_hits;
    out.single("bulkhead_plan_cache_hits_total", counter, "Statements whose plan was in the cache.", hits);
    let misses = stats.plan_cache_misses;
    out.single("bulkhead_plan_cache_misses_total", counter, "Statements that had to be planned.", misses);
    out.single("bulkhead_plan_cache_plans", gauge, "Plans in the cache.", stats.plan_cache_plans);
    out.single("bulkhead_plan_cache_bytes", gauge, "Bytes of the cache.", stats.plan_cache_bytes);
    out.single("bulkhead_reloads_total", counter, "Reloads that swapped the snapshot.", stats.reloads);
    let failures = stats.reload_failures;
    out.single("bulkhead_reload_failures_total", counter, "Reloads that were refused.", failures);
    out.single("bulkhead_digests", gauge, "Digests in the table.", context.health.digest_count());
    let evicted = context.health.digests_evicted();
    out.single("bulkhead_digests_evicted_total", counter, "Digests given up: the table was full.", evicted);
}

fn clusters(out: &mut Text, rows: &[HealthRow]) {
    type Value = fn(&HealthRow) -> Option<f64>;
    let values: [(&str, &str, Value); 7] = [
        ("bulkhead_cluster_state", "0 healthy, 1 suspect, 2 degraded, 3 down.", |row| {
            Some(f64::from(row.state as u8))
        }),
        (
            "bulkhead_cluster_stage",
            "0 open, 1 contained, 2 limited, 3 draining, 4 drained, 5 failing over, 6 ramping.",
            |row| Some(f64::from(row.decision.stage as u8)),
        ),
        ("bulkhead_cluster_needs_operator", "1 when it is not known which server is the primary.", |row| {
            Some(f64::from(u8::from(row.decision.is_unsure)))
        }),
        ("bulkhead_cluster_heartbeat_seconds", "The last heartbeat that was answered took.", |row| {
            row.heartbeat_took.map(|took| took.as_secs_f64())
        }),
        ("bulkhead_cluster_heartbeat_age_seconds", "Since that heartbeat.", |row| {
            row.heartbeat_age.map(|age| age.as_secs_f64())
        }),
        ("bulkhead_cluster_writes_in_flight", "Writes sent and not answered.", |row| {
            Some(f64::from(row.writes_in_flight))
        }),
        ("bulkhead_cluster_oldest_write_seconds", "Age of the oldest of them.", |row| {
            Some(row.oldest_write.as_secs_f64())
        }),
    ];
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        for row in rows {
            if let Some(value) = value(row) {
                out.sample(name, &[("cluster", row.cluster.as_str())], value);
            }
        }
    }
    let name = "bulkhead_cluster_signal";
    out.head(name, "gauge", "1 while the signal is raised.");
    for row in rows {
        for signal in Signal::ALL {
            let is_raised = row.evidence.iter().any(|evidence| evidence.signal == signal);
            let labels = [("cluster", row.cluster.as_str()), ("signal", signal.name())];
            out.sample(name, &labels, u8::from(is_raised));
        }
    }
}

fn ladder(out: &mut Text, standing: &LadderStanding) {
    let owns = u8::from(standing.ownership == Ownership::Owner);
    out.single("bulkhead_ladder_owner", "gauge", "1 when this proxy decides about clusters.", owns);
    let away = u8::from(standing.store_away.is_some());
    out.single("bulkhead_store_away", "gauge", "1 while the state store does not answer.", away);
    let counts = [
        ("bulkhead_events_given_up_total", "Events never stored.", standing.events_given_up),
        ("bulkhead_alerts_delivered_total", "Alerts that a receiver took.", standing.alerts_delivered),
        ("bulkhead_alerts_failed_total", "Alerts that a receiver did not take.", standing.alerts_failed),
        ("bulkhead_alerts_dropped_total", "Alerts not sent: too many waited.", standing.alerts_dropped),
    ];
    for (name, help, count) in counts {
        out.single(name, "counter", help, count);
    }
}

fn admission(out: &mut Text, views: &[AdmissionView]) {
    type Value = fn(&ClassView) -> u64;
    let values: [(&str, &str, Value); 4] = [
        ("bulkhead_admission_limit", "Statements that may be in flight.", |class| class.limit.into()),
        ("bulkhead_admission_in_flight", "Statements in flight.", |class| class.in_flight.into()),
        ("bulkhead_admission_waiting", "Statements that wait for a permit.", |class| class.waiting as u64),
        ("bulkhead_admission_waiting_bytes", "Bytes of those.", |class| class.waiting_bytes as u64),
    ];
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        for (cluster, class) in by_class(views) {
            out.sample(name, &[("cluster", cluster), ("class", class.class.name())], value(class));
        }
    }
    let name = "bulkhead_admission_refused_total";
    out.head(name, "counter", "Statements that were not admitted.");
    for (cluster, class) in by_class(views) {
        for (why, count) in class.refused {
            let labels = [("cluster", cluster), ("class", class.class.name()), ("reason", why.name())];
            out.sample(name, &labels, count);
        }
    }
    type Whole = fn(&AdmissionView) -> u64;
    let values: [(&str, &str, &str, Whole); 9] = [
        (
            "bulkhead_admission_gate",
            "gauge",
            "The cluster's gate: 0 open, 1 limited, 2 buffering, 3 refusing, 4 drained.",
            |view| gate_number(view.cluster_gate()),
        ),
        ("bulkhead_admission_ddl_closed", "gauge", "1 while schema changes are refused.", |view| {
            view.is_ddl_closed.into()
        }),
        ("bulkhead_admission_held", "gauge", "Statements held at gates.", |view| view.held().0 as u64),
        ("bulkhead_admission_held_bytes", "gauge", "Bytes of those.", |view| view.held().1 as u64),
        ("bulkhead_admission_held_total", "counter", "Statements that were held.", |view| view.held_total),
        ("bulkhead_admission_drains_total", "counter", "Drains of the cluster.", |view| view.drains),
        ("bulkhead_admission_memory_bytes", "gauge", "Bytes held for the cluster.", |view| {
            view.memory.used as u64
        }),
        ("bulkhead_admission_memory_peak_bytes", "gauge", "The most of those at once since start.", |view| {
            view.memory.peak as u64
        }),
        ("bulkhead_admission_memory_max_bytes", "gauge", "Bytes that may be held.", |view| {
            view.memory.bytes_max as u64
        }),
    ];
    for (name, kind, help, value) in values {
        out.head(name, kind, help);
        views.iter().for_each(|view| out.sample(name, &[("cluster", view.cluster.as_str())], value(view)));
    }
}

fn by_class(views: &[AdmissionView]) -> impl Iterator<Item = (&str, &ClassView)> {
    views.iter().flat_map(|view| view.classes.iter().map(|class| (view.cluster.as_str(), class)))
}

fn gate_number(state: GateState) -> u64 {
    match state {
        GateState::Open => 0,
        GateState::Limited => 1,
        GateState::Buffering { .. } => 2,
        GateState::Refusing => 3,
        GateState::Drained => 4,
    }
}

fn primaries(out: &mut Text, rows: &[PrimaryRow]) {
    type Value = fn(&PrimaryRow) -> usize;
    let values: [(&str, &str, Value); 4] = [
        (
            "bulkhead_cluster_primary_moved",
            "1 while the primary is not the one that the config names.",
            |row| usize::from(row.primary != row.configured),
        ),
        ("bulkhead_cluster_also_writable", "Servers besides the primary that take writes.", |row| {
            row.also_writable.len()
        }),
        ("bulkhead_cluster_unfenced", "Former primaries that are not known to be read-only.", |row| {
            row.unfenced.len()
        }),
        ("bulkhead_cluster_cut_off", "Servers that are not used until they follow the primary.", |row| {
            row.cut_off.len()
        }),
    ];
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        for row in rows {
            out.sample(name, &[("cluster", row.cluster.as_str())], value(row));
        }
    }
}

fn migrations(out: &mut Text, rows: &[MigrationRow]) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in rows {
        *counts.entry((row.cluster.as_str(), row.state.name())).or_default() += 1;
    }
    let name = "bulkhead_migrations";
    out.head(name, "gauge", "Schema changes that copy their table, as the store knows them.");
    for ((cluster, state), count) in counts {
        out.sample(name, &[("cluster", cluster), ("state", state)], count);
    }
    type Value = fn(&MigrationRow) -> Option<f64>;
    let values: [(&str, &str, Value); 5] = [
        ("bulkhead_migration_rows_copied", "Rows copied by one that is under way.", |row| {
            Some(row.progress.rows_copied as f64)
        }),
        ("bulkhead_migration_rows_per_second", "Its rate of late.", |row| Some(row.progress.rows_per_second)),
        ("bulkhead_migration_share", "Share of its table that is copied, 0 to 1.", |row| {
            Some(row.progress.share())
        }),
        ("bulkhead_migration_behind_seconds", "How far its changes are behind.", |row| {
            row.progress.behind.map(|behind| behind.as_secs_f64())
        }),
        ("bulkhead_migration_waits", "1 while its copy waits.", |row| {
            Some(f64::from(u8::from(row.throttled.is_some())))
        }),
    ];
    // One that is over leaves no series of its own: there would be more and more of them.
    let active: Vec<&MigrationRow> = rows.iter().filter(|row| !row.state.is_over()).take(ROWS_MAX).collect();
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        for row in &active {
            if let Some(value) = value(row) {
                let labels = [("cluster", row.cluster.as_str()), ("migration", row.id.as_str())];
                out.sample(name, &labels, value);
            }
        }
    }
}

fn feeds(out: &mut Text, all: &[(ClusterName, FeedStats)]) {
    type Value = fn(&FeedStats) -> f64;
    let values: [(&str, &str, &str, Value); 8] = [
        ("bulkhead_changes_events_total", "counter", "Events read from the binary log.", |stats| {
            stats.events as f64
        }),
        (
            "bulkhead_changes_decoded_total",
            "counter",
            "Of these, with rows of tables that are copied.",
            |stats| stats.decoded as f64,
        ),
        ("bulkhead_changes_rows_total", "counter", "Changed rows that copies were given.", |stats| {
            stats.rows as f64
        }),
        ("bulkhead_changes_bytes_total", "counter", "Bytes read from the binary log.", |stats| {
            stats.bytes as f64
        }),
        ("bulkhead_changes_connections_total", "counter", "Connections made to read it.", |stats| {
            stats.connections as f64
        }),
        (
            "bulkhead_changes_behind_total",
            "counter",
            "Copies that were given a stream of their own: they kept others waiting.",
            |stats| stats.behind as f64,
        ),
        ("bulkhead_changes_subscriptions", "gauge", "Copies that read the binary log now.", |stats| {
            stats.subscriptions as f64
        }),
        (
            "bulkhead_changes_lag_seconds",
            "gauge",
            "Age of what was read last; 0 at the log's end.",
            |stats| stats.lag_ms as f64 / 1000.0,
        ),
    ];
    for (name, kind, help, value) in values {
        out.head(name, kind, help);
        for (cluster, stats) in all {
            out.sample(name, &[("cluster", cluster.as_str())], value(stats));
        }
    }
}

fn rooms(out: &mut Text, rows: &[RoomRow]) {
    type Value = fn(&RoomRow) -> Option<f64>;
    let values: [(&str, &str, Value); 2] = [
        (
            "bulkhead_integer_used_ratio",
            "Share of an integer column's range that is used, from 0.5 on.",
            |row| Some(row.share),
        ),
        ("bulkhead_integer_days_left", "Days until it is used up, at the rate of late.", |row| row.days_left),
    ];
    for (name, help, value) in values {
        out.head(name, "gauge", help);
        for row in rows {
            let labels = [
                ("keyspace", row.keyspace.as_str()),
                ("cluster", row.cluster.as_str()),
                ("database", &row.database),
                ("table", &row.table),
                ("column", &row.column),
            ];
            if let Some(value) = value(row) {
                out.sample(name, &labels, value);
            }
        }
    }
}

fn labels_of(shard: &ShardReport) -> [(&'static str, String); 3] {
    [
        ("keyspace", shard.keyspace.to_string()),
        ("shard", shard.shard.to_string()),
        ("role", shard.role.to_string()),
    ]
}

fn borrowed<'a>(labels: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    labels.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

fn shards(out: &mut Text, reports: &[ShardReport]) {
    type Counter = (&'static str, &'static str, fn(&ShardReport) -> u64);
    let counters: [Counter; 6] = [
        ("bulkhead_shard_statements_total", "Statements that reached a server.", |shard| shard.statements),
        ("bulkhead_shard_writes_total", "Of these, statements that may change data.", |shard| shard.writes),
        ("bulkhead_shard_errors_total", "Statements answered with an error.", |shard| shard.errors),
        ("bulkhead_shard_lost_total", "Statements whose connection was lost.", |shard| shard.lost),
        ("bulkhead_shard_rows_total", "Rows returned or affected.", |shard| shard.rows),
        ("bulkhead_shard_bytes_total", "Bytes of answers.", |shard| shard.bytes),
    ];
    for (name, help, value) in counters {
        out.head(name, "counter", help);
        for shard in reports {
            out.sample(name, &borrowed(&labels_of(shard)), value(shard));
        }
    }
    let name = "bulkhead_shard_latency_seconds";
    out.head(name, "histogram", "From the first byte sent to the last byte of the answer.");
    for shard in reports {
        let labels = labels_of(shard);
        for power in LATENCY_POWERS {
            let bound = seconds(1 << power).to_string();
            let mut labels = borrowed(&labels);
            labels.push(("le", &bound));
            out.sample(&format!("{name}_bucket"), &labels, shard.latency.below_power(power));
        }
        let mut unbounded = borrowed(&labels);
        unbounded.push(("le", "+Inf"));
        out.sample(&format!("{name}_bucket"), &unbounded, shard.latency.count());
        out.sample(&format!("{name}_sum"), &borrowed(&labels), seconds(shard.latency.sum_us));
        out.sample(&format!("{name}_count"), &borrowed(&labels), shard.latency.count());
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn pool_labels(pool: &PoolStats) -> [(&'static str, String); 3] {
    [
        ("cluster", pool.cluster.to_string()),
        ("role", pool.role.to_string()),
        ("server", pool.server.to_string()),
    ]
}

fn pools(out: &mut Text, pools: &[PoolStats]) {
    let name = "bulkhead_pool_connections";
    out.head(name, "gauge", "Connections to servers by what they do.");
    for pool in pools {
        let labels = pool_labels(pool);
        for (state, count) in [("idle", pool.idle), ("busy", pool.busy), ("opening", pool.opening)] {
            let mut labels = borrowed(&labels);
            labels.push(("state", state));
            out.sample(name, &labels, count);
        }
    }
    type Value = fn(&PoolStats) -> u64;
    let values: [(&str, &str, &str, Value); 11] = [
        ("bulkhead_pool_max_connections", "gauge", "Bound of the connections.", |p| p.max_connections as u64),
        ("bulkhead_pool_waiting", "gauge", "Statements that wait for a connection.", |p| p.waiting as u64),
        ("bulkhead_pool_opened_total", "counter", "Connections opened.", |p| p.counters.opened),
        ("bulkhead_pool_closed_total", "counter", "Connections closed.", |p| p.counters.closed),
        ("bulkhead_pool_open_errors_total", "counter", "Failures to open.", |p| p.counters.open_errors),
        ("bulkhead_pool_checkouts_total", "counter", "Connections asked for.", |p| p.counters.checkouts),
        ("bulkhead_pool_timeouts_total", "counter", "Waits that ended without one.", |p| p.counters.timeouts),
        ("bulkhead_pool_queue_full_total", "counter", "Statements refused: too many wait.", |p| {
            p.counters.queue_full
        }),
        ("bulkhead_pool_trips_total", "counter", "Times that the server began to be left alone.", |p| {
            p.counters.trips
        }),
        (
            "bulkhead_pool_refused_at_once_total",
            "counter",
            "Statements told at once of a failure before them.",
            |p| p.counters.refused_at_once,
        ),
        (
            "bulkhead_pool_breaker",
            "gauge",
            "0 working, 1 retrying, 2 left alone after failures (closed, half-open, open elsewhere).",
            |p| p.breaker as u64,
        ),
    ];
    for (name, kind, help, value) in values {
        out.head(name, kind, help);
        for pool in pools {
            out.sample(name, &borrowed(&pool_labels(pool)), value(pool));
        }
    }
    pool_waits(out, pools);
}

fn pool_waits(out: &mut Text, pools: &[PoolStats]) {
    let name = "bulkhead_pool_wait_seconds";
    out.head(name, "histogram", "How long statements waited for a connection.");
    for pool in pools {
        let labels = pool_labels(pool);
        let mut below = 0;
        let bounds = WAIT_BUCKETS_US.iter().map(|us| seconds(*us).to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(pool.counters.wait_histogram) {
            below += count;
            let mut labels = borrowed(&labels);
            labels.push(("le", &bound));
            out.sample(&format!("{name}_bucket"), &labels, below);
        }
        out.sample(&format!("{name}_sum"), &borrowed(&labels), seconds(pool.counters.wait_us));
        out.sample(&format!("{name}_count"), &borrowed(&labels), below);
    }
}
