//! What is kept of one case: what clients saw, what Bulkhead said of its clusters, what was done to them.

use serde::Serialize;

use super::ledger::Verdict;
use super::series::{Series, Span};

/// How much Bulkhead may do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Nothing: every rung is off.
    Off,
    /// The default: acts up to draining, advises a failover.
    Drain,
    /// Fails over, too.
    FailOver,
}

impl Protection {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Off => "protection off",
            Self::Drain => "protection on, failover advised",
            Self::FailOver => "protection on, failover too",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// When, seconds since the load began.
    pub at_s: f64,
    /// What.
    pub what: String,
}

/// From when on Bulkhead says something else of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `healthy`, `suspect`, `degraded`, `down`; `unknown` when Bulkhead does not answer.
    pub state: String,
    /// The ladder's stage.
    pub stage: String,
    /// The worst of the raised signals, or nothing.
    pub signal: String,
}

/// A change of a cluster's health.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// When it was seen, seconds since the load began.
    pub at_s: f64,
    /// The cluster.
    pub cluster: String,
    /// What it changed to.
    #[serde(flatten)]
    pub health: Health,
}

/// What became of the flood's statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flood {
    /// ALTER TABLE that ran to their end.
    pub altered: u64,
    /// Those that were killed, or whose connection was.
    pub killed: u64,
    /// Those that the server refused, as it takes no writes any more.
    pub refused: u64,
    /// Connections that could not be opened.
    pub unreachable: u64,
}

/// A case that was played.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// What Bulkhead might do.
    pub protection: Protection,
    /// The cluster that falls ill.
    pub sick: String,
    /// When, seconds since the load began.
    pub onset_s: f64,
    /// Undisturbed spans, before and after.
    pub calm: Vec<Span>,
    /// From the onset until the last of it is over.
    pub disturbed: Span,
    /// What the replay did.
    pub marks: Vec<Mark>,
    /// What Bulkhead's event log says it did.
    pub events: Vec<Mark>,
    /// Clients' view, by cluster.
    pub series: Vec<Series>,
    /// Bulkhead's view, in order of time.
    pub changes: Vec<Change>,
    /// Share of the machine's CPU that is busy, second by second, 0 to 1.
    pub cpu: Vec<f64>,
    /// The flood, if there was one.
    pub flood: Option<Flood>,
    /// What the ledgers say.
    pub ledger: Verdict,
    /// Servers of the sick cluster that take writes at the end. One is right.
    pub writable_servers: usize,
    /// What runs on them at the end, if it is not one.
    pub what_runs: Vec<String>,
}

/// How ill a state is.
fn rank(state: &str) -> usize {
    ["healthy", "suspect", "degraded", "down"].iter().position(|known| *known == state).unwrap_or(0)
}

impl Record {
    /// Clients' view of one cluster.
    pub fn of_sick(&self) -> Option<&Series> {
        self.series.iter().find(|series| series.cluster == self.sick)
    }

    /// Clients' view of the others.
    pub fn of_others(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| series.cluster != self.sick)
    }

    /// When the sick cluster was first called this or worse, seconds after the onset.
    pub fn first(&self, state: &str) -> Option<f64> {
        let least = rank(state);
        let own = self.changes.iter().filter(|change| change.cluster == self.sick);
        let ill = own.filter(|change| change.at_s >= self.onset_s && rank(&change.health.state) >= least);
        ill.map(|change| change.at_s - self.onset_s).next()
    }

    /// When a stage of the ladder was first reached after the onset, seconds after it.
    pub fn first_stage(&self, stage: &str) -> Option<f64> {
        let own = self.changes.iter().filter(|change| change.cluster == self.sick);
        let there = own.filter(|change| change.at_s >= self.onset_s && change.health.stage == stage);
        there.map(|change| change.at_s - self.onset_s).next()
    }

    /// When the sick cluster was first seen on one of these stages since then; seconds since the load began.
    pub fn stage_since(&self, since_s: f64, stages: &[&str]) -> Option<f64> {
        let own = self.changes.iter().filter(|change| change.cluster == self.sick && change.at_s >= since_s);
        own.filter(|change| stages.contains(&change.health.stage.as_str())).map(|change| change.at_s).next()
    }

    /// When the first write was shed after the onset, seconds after it.
    pub fn first_shed(&self) -> Option<f64> {
        let sheds = &self.of_sick()?.sheds_s;
        sheds.iter().filter(|at| **at >= self.onset_s).map(|at| at - self.onset_s).min_by(f64::total_cmp)
    }

    /// Acknowledged writes per second of the sick cluster before it fell ill.
    pub fn usual_write_rate(&self) -> f64 {
        self.of_sick().zip(self.calm.first()).map_or(0.0, |(series, span)| series.write_rate(*span))
    }

    /// When writes of the sick cluster flowed again for good, seconds since the load began.
    pub fn flows_from_s(&self) -> Option<f64> {
        let flows = self.of_sick()?.flows_from(self.disturbed, self.usual_write_rate());
        flows.map(|at| (at as f64).max(self.onset_s))
    }

    /// When one of the replay's own marks was set, seconds since the load began.
    pub fn mark(&self, what: &str) -> Option<f64> {
        self.marks.iter().find(|mark| mark.what.starts_with(what)).map(|mark| mark.at_s)
    }
}
