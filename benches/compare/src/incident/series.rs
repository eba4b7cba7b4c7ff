//! What clients saw, second by second, of one cluster; and what can be read from it. Pure.

use serde::Serialize;

use crate::histogram::Histogram;

/// Writes flow again when over so many seconds ...
const FLOW_OVER_S: usize = 3;
/// ... this share of the undisturbed rate is acknowledged.
const FLOW_SHARE: f64 = 0.5;

/// One second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Second {
    /// Reads that were answered.
    pub reads: u32,
    /// Writes that were acknowledged; a transaction is one.
    pub writes: u32,
    /// Operations that were refused by a typed error that promises that nothing was done.
    pub refused: u32,
    /// Operations without an answer, or with an error that promises nothing.
    pub unknown: u32,
    /// Connections that could not be made, or were lost without a write in flight.
    pub disconnected: u32,
    /// Of all that failed, what failed inside a transaction.
    pub inside: u32,
    /// Statements' latencies: half are below, microseconds.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    #[serde(skip)]
    latencies: Histogram,
}

impl Second {
    /// Operations that went well.
    pub fn operations(&self) -> u32 {
        self.reads + self.writes
    }

    /// Operations that did not.
    pub fn failures(&self) -> u32 {
        self.refused + self.unknown + self.disconnected
    }

    /// Those of them that were single statements, or the login.
    pub fn failures_outside(&self) -> u32 {
        self.failures().saturating_sub(self.inside)
    }
}

/// What a client notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A read was answered.
    Read,
    /// A write, or a transaction, was acknowledged.
    Write,
    /// Refused.
    Refused,
    /// Nobody knows.
    Unknown,
    /// A connection failed.
    Disconnected,
}

/// A span in seconds since the load began: from the first, up to and without the second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// From.
    pub from_s: usize,
    /// To.
    pub to_s: usize,
}

impl Span {
    /// Its length, seconds.
    pub fn length_s(self) -> usize {
        self.to_s.saturating_sub(self.from_s)
    }
}

/// A write that was answered, or given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteTime {
    /// When it was sent, seconds since the load began.
    pub sent_s: f64,
    /// How long it took, seconds.
    pub took_s: f64,
}

/// One cluster's seconds since the load began.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// The cluster.
    pub cluster: String,
    /// In order.
    pub seconds: Vec<Second>,
    /// When writes were refused by an error of Bulkhead's that says it sheds, seconds; the first so many.
    pub sheds_s: Vec<f64>,
    /// Acknowledged writes that took a second and more: when they were sent, and how long they took, seconds.
    pub slow_writes_s: Vec<(f64, f64)>,
    /// Where each write is kept by itself; seconds have no latencies then.
    #[serde(skip)]
    pub writes: Option<Vec<WriteTime>>,
}

/// Times that are kept one by one.
const TIMES_MAX: usize = 100_000;
/// A load ends within two hours.
const SECONDS_MAX: usize = 7_200;
/// Writes that are kept one by one, 16 bytes each.
const WRITES_MAX: usize = 10_000_000;
/// A write from which on it is kept.
const SLOW_WRITE_S: f64 = 1.0;

impl Series {
    /// An empty one.
    pub fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), ..Self::default() }
    }

    /// An empty one that keeps each write by itself.
    pub fn of_writes(cluster: &str) -> Self {
        Self { writes: Some(Vec::new()), ..Self::new(cluster) }
    }

    fn second(&mut self, at_s: f64) -> &mut Second {
        let at = (at_s.max(0.0) as usize).min(SECONDS_MAX);
        if self.seconds.len() <= at {
            self.seconds.resize_with(at + 1, Second::default);
        }
        &mut self.seconds[at]
    }

    /// Counts an operation that ended then.
    pub fn note(&mut self, at_s: f64, note: Note) {
        let second = self.second(at_s);
        match note {
            Note::Read => second.reads += 1,
            Note::Write => second.writes += 1,
            Note::Refused => second.refused += 1,
            Note::Unknown => second.unknown += 1,
            Note::Disconnected => second.disconnected += 1,
        }
    }

    /// Says of a failed operation that it did so inside a transaction.
    pub fn note_inside(&mut self, at_s: f64) {
        self.second(at_s).inside += 1;
    }

    /// Counts an answered statement by when it ended and how long it took.
    pub fn time(&mut self, at_s: f64, took_s: f64, is_write: bool) {
        if self.writes.is_some() {
            if is_write {
                self.keep(at_s, took_s);
            }
            return;
        }
        self.second(at_s).latencies.record((took_s * 1e9) as u64);
        if is_write && took_s >= SLOW_WRITE_S && self.slow_writes_s.len() < TIMES_MAX {
            self.slow_writes_s.push((at_s - took_s, took_s));
        }
    }

    /// Counts a write that failed by how long its client had waited, where each write is kept: those that
    /// were never answered would make the others look fast.
    pub fn time_failed(&mut self, at_s: f64, took_s: f64) {
        if self.writes.is_some() {
            self.keep(at_s, took_s);
        }
    }

    fn keep(&mut self, at_s: f64, took_s: f64) {
        if let Some(writes) = self.writes.as_mut().filter(|writes| writes.len() < WRITES_MAX) {
            writes.push(WriteTime { sent_s: at_s - took_s, took_s });
        }
    }

    /// Notes that Bulkhead shed a write.
    pub fn shed(&mut self, at_s: f64) {
        if self.sheds_s.len() < TIMES_MAX {
            self.sheds_s.push(at_s);
        }
    }

    /// Works out each second's quantiles, once the load is over.
    pub fn finish(&mut self) {
        for second in &mut self.seconds {
            second.p50_us = second.latencies.quantile_us(0.50);
            second.p99_us = second.latencies.quantile_us(0.99);
        }
    }

    fn of(&self, span: Span) -> impl Iterator<Item = &Second> {
        self.seconds.iter().take(span.to_s).skip(span.from_s)
    }

    /// Operations per second over a span.
    pub fn throughput(&self, span: Span) -> f64 {
        self.rate(span, Second::operations)
    }

    /// Acknowledged writes per second over a span.
    pub fn write_rate(&self, span: Span) -> f64 {
        self.rate(span, |second| second.writes)
    }

    fn rate(&self, span: Span, count: impl Fn(&Second) -> u32) -> f64 {
        let sum: u64 = self.of(span).map(|second| u64::from(count(second))).sum();
        sum as f64 / span.length_s().max(1) as f64
    }

    /// Failed operations of a kind, over a span.
    pub fn count(&self, span: Span, count: impl Fn(&Second) -> u32) -> u64 {
        self.of(span).map(|second| u64::from(count(second))).sum()
    }

    /// All latencies over a span.
    pub fn latencies(&self, span: Span) -> Histogram {
        let mut all = Histogram::default();
        self.of(span).for_each(|second| all.merge(&second.latencies));
        all
    }

    /// From when on writes flow, and go on flowing until the end of the span, at the usual rate's half at
    /// least; seconds since the load began. None if they do not at the span's end.
    pub fn flows_from(&self, span: Span, usual_rate: f64) -> Option<usize> {
        let flows = |from: usize| {
            let window = Span { from_s: from, to_s: from + FLOW_OVER_S };
            self.write_rate(window) >= usual_rate * FLOW_SHARE
        };
        let last = span.to_s.checked_sub(FLOW_OVER_S)?;
        let stuck = (span.from_s..=last).rev().find(|from| !flows(*from));
        match stuck {
            None => Some(span.from_s),
            // The window that begins there does not flow; the next second's does.
            Some(at) if at < last => Some(at + 1),
            Some(_) => None,
        }
    }

    /// The longest time that an acknowledged write took that was sent within the span, seconds, if that was a
    /// second and more.
    pub fn slowest_write_s(&self, span: Span) -> Option<f64> {
        let within = |at: f64| at >= span.from_s as f64 && at < span.to_s as f64;
        let sent = self.slow_writes_s.iter().filter(|(at, _)| within(*at));
        sent.map(|(_, took)| *took).max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(from_s: usize, to_s: usize) -> Span {
        Span { from_s, to_s }
    }

    fn writes(per_second: &[u32]) -> Series {
        let mut series = Series::new("c1");
        for (at, count) in per_second.iter().enumerate() {
            (0..*count).for_each(|_| series.note(at as f64 + 0.5, Note::Write));
        }
        series
    }

    #[test]
    fn notes_go_to_their_second() {
        let mut series = Series::new("c1");
        for note in [Note::Read, Note::Write, Note::Refused, Note::Unknown, Note::Disconnected] {
            series.note(2.9, note);
        }
        series.time(2.1, 0.004, false);
        series.time(2.2, 0.002, true);
        series.finish();
        assert_eq!(series.seconds.len(), 3);
        let second = &series.seconds[2];
        assert_eq!((second.operations(), second.failures()), (2, 3));
        assert!(second.p50_us >= 2_000.0 && second.p50_us < 2_100.0, "{}", second.p50_us);
        assert!(second.p99_us >= 4_000.0 && second.p99_us < 4_100.0, "{}", second.p99_us);
        assert_eq!(series.throughput(span(0, 4)), 0.5);
        assert_eq!(series.count(span(2, 3), |second| second.unknown), 1);
        assert_eq!(series.latencies(span(0, 2)).count(), 0);
        assert_eq!(series.latencies(span(0, 9)).count(), 2);
    }

    #[test]
    fn writes_flow_from_when_they_go_on_flowing() {
        //                0   1   2   3  4  5  6   7   8   9
        let gone = writes(&[10, 10, 10, 0, 0, 0, 10, 10, 10, 10]);
        // The three seconds from 5 have two thirds of the usual.
        assert_eq!(gone.flows_from(span(3, 10), 10.0), Some(5));
        let flapping = writes(&[10, 10, 10, 0, 10, 10, 10, 0, 0, 0]);
        assert_eq!(flapping.flows_from(span(3, 10), 10.0), None);
        assert_eq!(writes(&[10; 10]).flows_from(span(3, 10), 10.0), Some(3));
        assert_eq!(writes(&[10; 10]).flows_from(span(3, 5), 10.0), Some(3));
        // A span that goes on after the load saw no writes there.
        assert_eq!(writes(&[10; 10]).flows_from(span(3, 20), 10.0), None);
        assert_eq!(writes(&[]).flows_from(span(0, 1), 10.0), None);
    }

    #[test]
    fn slow_writes_are_kept_by_when_they_were_sent() {
        let mut series = Series::new("c1");
        series.time(5.0, 2.5, true);
        series.time(5.0, 4.0, false);
        series.time(5.0, 0.9, true);
        assert_eq!(series.slowest_write_s(span(2, 3)), Some(2.5));
        assert_eq!(series.slowest_write_s(span(3, 9)), None);
    }

    #[test]
    fn writes_are_kept_where_that_is_wanted() {
        let mut series = Series::of_writes("c1");
        series.time(5.0, 0.5, true);
        series.time(5.0, 0.5, false);
        series.time_failed(15.0, 10.0);
        let kept: Vec<(f64, f64)> =
            series.writes.iter().flatten().map(|write| (write.sent_s, write.took_s)).collect();
        assert_eq!(kept, [(4.5, 0.5), (5.0, 10.0)]);
        let mut usual = Series::new("c1");
        usual.time_failed(15.0, 10.0);
        assert!(usual.writes.is_none() && usual.seconds.is_empty());
    }

    #[test]
    fn broken_times_do_not_take_memory() {
        let mut series = Series::new("c1");
        series.note(1e18, Note::Read);
        series.note(-1.0, Note::Read);
        assert_eq!(series.seconds.len(), SECONDS_MAX + 1);
        assert_eq!(series.seconds[0].reads, 1);
    }
}
