//! What is kept of one case: what clients, servers and Bulkhead saw, and what became of the databases.

use serde::Serialize;

use super::cases::Case;
use super::counters::Counted;
use super::outcome::Outcome;
use super::pace::{self, Reading};
use super::said::Said;
use super::schema::Group;
use crate::ddl::samples::Latencies;
use crate::incident::ledger::Verdict;
use crate::incident::record::{Change, Mark};
use crate::incident::series::{Span, WriteTime};

/// Points of a curve, at most about: a window of the picture is as long as it has to be for that.
const POINTS: usize = 300;

/// What clients of one kind of databases saw.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Which databases.
    pub group: &'static str,
    /// Writes of the undisturbed spans.
    pub calm: Latencies,
    /// Writes while the databases were changed.
    pub during: Latencies,
    /// Operations that were refused, whole case.
    pub refused: u64,
    /// Operations of which nothing is known, whole case.
    pub unknown: u64,
    /// Connections that failed, whole case.
    pub disconnected: u64,
    /// Each write, all clusters together.
    #[serde(skip)]
    pub writes: Vec<WriteTime>,
    /// The same by time, for the picture: the window's middle, seconds, and its p99, milliseconds.
    pub p99_ms: Vec<(f64, Option<f64>)>,
}

/// A case that was played.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Its name.
    pub name: &'static str,
    /// Who changed the databases.
    pub words: &'static str,
    /// Undisturbed spans, before and after.
    pub calm: Vec<Span>,
    /// From the first statement or program to the end of the last.
    pub change: Span,
    /// The same, to the fraction, seconds since the load began.
    pub change_s: (f64, f64),
    /// Databases that were asked for.
    pub asked: u64,
    /// When something befell the first cluster, if that was so.
    pub onset_s: Option<f64>,
    /// What was done.
    pub marks: Vec<Mark>,
    /// What Bulkhead's event log says.
    pub events: Vec<Mark>,
    /// Clients' view: of the changed databases, and of unrelated ones.
    pub seen: Vec<Seen>,
    /// The servers' view, by cluster.
    pub counted: Vec<Counted>,
    /// Statements of all primaries by time: a window's middle, all statements per second, those of schemas.
    pub statements: Vec<(f64, Option<f64>, Option<f64>)>,
    /// What Bulkhead said of the clusters' health, in order of time.
    pub health: Vec<Change>,
    /// What Bulkhead said of fleet migrations.
    pub said: Said,
    /// Share of the machine's CPU that is busy, second by second, 0 to 1.
    pub cpu: Vec<f64>,
    /// Statements that failed, or what a program said when it failed; the first so many.
    pub errors: Vec<String>,
    /// What the ledgers say.
    pub ledger: Verdict,
    /// What became of the databases.
    pub outcome: Outcome,
}

impl Record {
    /// Length of the change, seconds.
    pub fn took_s(&self) -> f64 {
        self.change_s.1 - self.change_s.0
    }

    /// Databases that were changed in a minute, from the first statement to the last one's end.
    pub fn per_minute(&self) -> f64 {
        self.outcome.once as f64 / self.took_s() * 60.0
    }

    /// Whether databases were changed at all.
    pub fn changes(&self) -> bool {
        self.name != Case::Undisturbed.name()
    }

    /// Clients' view of one kind of databases.
    pub fn of(&self, group: Group) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.group == group.name())
    }

    /// One of the marks, seconds since the load began.
    pub fn mark(&self, what: &str) -> Option<f64> {
        self.marks.iter().find(|mark| mark.what.starts_with(what)).map(|mark| mark.at_s)
    }

    /// Length of a window of the picture, seconds.
    pub fn window_s(length_s: usize) -> usize {
        length_s.div_ceil(POINTS).max(1)
    }
}

impl Seen {
    /// From each write, and from what was counted.
    pub fn new(group: Group, writes: Vec<WriteTime>, calm: &[Span], change: Span, length_s: usize) -> Self {
        let windows = pace::windows(Span { from_s: 0, to_s: length_s }, Record::window_s(length_s));
        let p99 = |window: &Span| {
            let found = pace::latencies(&writes, &[*window]).p99_ms;
            (middle(*window), found.is_finite().then_some(found))
        };
        Self {
            group: group.name(),
            calm: pace::latencies(&writes, calm),
            during: pace::latencies(&writes, &[change]),
            refused: 0,
            unknown: 0,
            disconnected: 0,
            p99_ms: windows.iter().map(p99).collect(),
            writes,
        }
    }

    /// p99 while databases were changed : undisturbed.
    pub fn ratio(&self) -> f64 {
        self.during.p99_ms / self.calm.p99_ms
    }
}

fn middle(window: Span) -> f64 {
    (window.from_s + window.to_s) as f64 / 2.0
}

/// Statements of all primaries by time, for the picture.
pub fn statements(counted: &[Counted], length_s: usize) -> Vec<(f64, Option<f64>, Option<f64>)> {
    let windows = pace::windows(Span { from_s: 0, to_s: length_s }, Record::window_s(length_s));
    let sum = |window: Span, of: pace::Of| -> Option<f64> {
        let (from_s, to_s) = (window.from_s as f64, window.to_s as f64);
        counted.iter().map(|own| pace::rate(&own.readings, from_s, to_s, of)).sum()
    };
    let all: pace::Of = |reading: &Reading| reading.statements;
    let schema: pace::Of = |reading: &Reading| reading.schema;
    windows.iter().map(|window| (middle(*window), sum(*window, all), sum(*window, schema))).collect()
}
