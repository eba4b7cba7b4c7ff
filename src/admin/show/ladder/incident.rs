//! `SHOW INCIDENT [<cluster>] [SINCE '<duration>']`: the evidence bundle, as lines in the order to be read.

use std::time::{Duration, SystemTime};

use super::super::super::context::AdminContext;
use super::super::super::ladder::{ClusterSample, LoggedEntry};
use super::super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::super::words::Words;
use super::events::signal;
use super::status::{breakers, consider, set_by};
use crate::config::parse_duration;
use crate::drain::{Action, Entry, Stage, utc};
use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, Keyspace};

/// Digests shown, at most.
const DIGESTS_MAX: usize = 10;
/// Before the first event so much is shown too.
const LEAD: Duration = Duration::from_secs(120);
/// Without an event that began something, so much is shown.
const WITHOUT_BEGINNING: Duration = Duration::from_secs(3600);

/// The bundle. Without a name: of the cluster that the last step was about.
pub(in crate::admin) async fn incident(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let events = context.ladder.events();
    let named = if words.is_done() || words.is_next("SINCE") {
        None
    } else {
        Some(ClusterName::new(words.name("a cluster")?))
    };
    let since = if words.take("SINCE") { Some(duration(words)?) } else { None };
    words.end()?;
    let cluster = match named {
        Some(cluster) if !context.snapshots.load().config.clusters.contains_key(&cluster) => {
            return Err(ClientError::new(Code::AdminNotFound, format!("no cluster {cluster}")));
        }
        Some(cluster) => cluster,
        None => last_concerned(&events).ok_or_else(|| {
            ClientError::new(Code::AdminNotFound, "no incident in the log; name a cluster to see how it is")
        })?,
    };
    let from = match since {
        Some(since) => SystemTime::now() - since,
        None => beginning(&events, &cluster),
    };
    let mut bundle = Bundle::new();
    bundle.status(context, &cluster);
    bundle.events(&events, &cluster, from);
    bundle.samples(&context.ladder.samples(&cluster), from);
    bundle.digests(context, &cluster);
    match context.ladder.running_ddl(&cluster).await {
        Some(running) if running.is_empty() => bundle.line("ddl", None, "none runs"),
        Some(running) => {
            running.iter().for_each(|statement| bundle.line("ddl", None, &statement.to_string()));
        }
        None => bundle.line("ddl", None, "not known: the primary does not say"),
    }
    Ok(AdminAnswer::Rows(bundle.0))
}

fn duration(words: &mut Words<'_>) -> Result<Duration, ClientError> {
    let text = words.name("'<duration>'")?;
    parse_duration(&text).ok_or_else(|| {
        let message = format!("found {text:?}, expected a duration such as '30m', '2h', '1d'");
        ClientError::new(Code::AdminSyntax, message)
    })
}

fn last_concerned(events: &[LoggedEntry]) -> Option<ClusterName> {
    let steps = events.iter().rev().filter(|logged| matches!(*logged.entry, Entry::Step(_)));
    steps.filter_map(|logged| logged.entry.cluster()).next().cloned()
}

/// When the cluster last left the open stage, or was last drained or frozen by an operator.
fn beginning(events: &[LoggedEntry], cluster: &ClusterName) -> SystemTime {
    let is_beginning = |logged: &&LoggedEntry| match &*logged.entry {
        Entry::Step(event) => event.cluster == *cluster && event.from == Stage::Open,
        Entry::Act(_) | Entry::State(_) | Entry::Fleet(_) | Entry::Notice(_) => false,
    };
    match events.iter().rev().find(is_beginning) {
        Some(logged) => logged.entry.at() - LEAD,
        None => SystemTime::now() - WITHOUT_BEGINNING,
    }
}

struct Bundle(AdminTable);

impl Bundle {
    fn new() -> Self {
        let text = ColumnKind::Text;
        Self(AdminTable::new([("part", text), ("at", text), ("text", text)]))
    }

    fn line(&mut self, part: &str, at: Option<SystemTime>, text: &str) {
        self.0.push([part.into(), AdminValue::optional(at.map(utc)), text.into()]);
    }

    fn status(&mut self, context: &AdminContext, cluster: &ClusterName) {
        let rows = context.clusters.clusters();
        let Some(row) = rows.iter().find(|row| row.cluster == *cluster) else {
            return self.line("status", None, &format!("{cluster}: not looked at yet"));
        };
        let view = context.admissions.of(cluster).view();
        let [writes, _reads] = &view.classes;
        let (state, stage, by) = (row.state.name(), row.decision.stage.name(), set_by(row));
        let (state_s, stage_s) = (row.state_for.as_secs(), row.stage_for.as_secs());
        self.line(
            "status",
            None,
            &format!("{cluster}: {state} for {state_s} s; {stage} for {stage_s} s by {by}"),
        );
        let (lane, permits) = (if view.is_ddl_closed { "closed" } else { "open" }, writes.held.name());
        let gate = view.cluster_gate().name();
        self.line(
            "status",
            None,
            &format!("ddl {lane}, permits for writes {permits}, gate for writes {gate}"),
        );
        let (memory, pools) = (view.memory, context.pools.pools());
        let (used, bytes_max) = (memory.used, memory.bytes_max);
        let connecting = breakers(&pools, cluster);
        self.line("status", None, &format!("{used} of {bytes_max} bytes held, connections {connecting}"));
        for evidence in &row.evidence {
            self.line("status", None, &evidence.to_string());
        }
        let snapshot = context.snapshots.load();
        let has_replica = snapshot.config.clusters.get(cluster).is_some_and(|one| !one.replicas.is_empty());
        if let Some(command) = consider(row, has_replica) {
            self.line("consider", None, &command);
        }
    }

    fn events(&mut self, events: &[LoggedEntry], cluster: &ClusterName, from: SystemTime) {
        let is_its = |entry: &Entry| entry.cluster().is_none_or(|name| name == cluster) && entry.at() >= from;
        for logged in events.iter().filter(|logged| is_its(&logged.entry)) {
            let (entry, at) = (&*logged.entry, Some(logged.entry.at()));
            let by = entry.by().map(|by| format!(", by {by}")).unwrap_or_default();
            let (what, how, why) = (entry.what(), entry.how(), entry.why());
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            self.line("event", at, &format!("{what} ({how}{by}){why}"));
            entry.evidence().iter().for_each(|witness| self.line("signal", at, &signal(witness)));
            let actions: Vec<&str> = entry.actions().iter().map(Action::name).collect();
            if !actions.is_empty() {
                let done = if entry.is_advice() { "would be done" } else { "done" };
                self.line("action", at, &format!("{done}: {}", actions.join(", ")));
            }
            if let Entry::Act(end) = entry {
                end.statements.iter().for_each(|statement| self.line("statement", at, statement));
            }
        }
    }

    fn samples(&mut self, samples: &[ClusterSample], from: SystemTime) {
        let known = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        for sample in samples.iter().filter(|sample| sample.at >= from) {
            let ms = sample.heartbeat_took.map(|took| format!("{:.1} ms", took.as_secs_f64() * 1000.0));
            let text = format!(
                "{}, {}: {} writes in flight, oldest {:.1} s; heartbeat {}; threads running {}, waiting for \
                 metadata locks {}, schema changes {}",
                sample.state.name(),
                sample.stage.name(),
                sample.writes_in_flight,
                sample.oldest_write.as_secs_f64(),
                ms.unwrap_or_else(|| "?".into()),
                known(sample.threads_running),
                known(sample.metadata_lock_waiters),
                known(sample.ddl_running),
            );
            self.line("sample", Some(sample.at), &text);
        }
    }

    /// What costs most in the keyspaces that have shards there.
    fn digests(&mut self, context: &AdminContext, cluster: &ClusterName) {
        let snapshot = context.snapshots.load();
        let is_on_it =
            |keyspace: &Keyspace| snapshot.shards(keyspace).iter().any(|shard| shard.cluster == *cluster);
        let mut digests = context.health.digests();
        digests.retain(|digest| digest.keyspace.as_ref().is_some_and(is_on_it));
        digests.sort_by_key(|digest| std::cmp::Reverse(digest.latency.sum_us));
        for digest in digests.iter().take(DIGESTS_MAX) {
            let total = digest.latency.sum_us as f64 / 1e6;
            let p99 = digest.latency.quantile_us(0.99) as f64 / 1e3;
            let text = format!(
                "{:016x}: {} calls, {} errors, {total:.1} s in all, p99 {p99:.1} ms: {}",
                digest.digest, digest.calls, digest.errors, digest.text
            );
            self.line("digest", None, &text);
        }
    }
}
