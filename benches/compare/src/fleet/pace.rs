//! What is read from the servers' own counters, and from the times of writes. Pure.

use serde::Serialize;

use crate::ddl::samples::Latencies;
use crate::incident::series::{Span, WriteTime};

/// A second in which the pace is at most this share of the usual one has fallen.
const FALLEN: f64 = 0.5;
/// A pace is read over so long, seconds.
const PACE_OVER_S: f64 = 1.0;

/// One look at a primary's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// When, seconds since the load began.
    pub at_s: f64,
    /// Statements so far.
    pub statements: u64,
    /// Of them, those that make, change, rename or drop a table.
    pub schema: u64,
}

/// A number of a reading.
pub type Of = fn(&Reading) -> u64;

/// A counter between two looks: as if it had grown evenly. None outside of what was seen.
fn value_at(readings: &[Reading], at_s: f64, of: Of) -> Option<f64> {
    let behind = readings.partition_point(|reading| reading.at_s < at_s);
    let next = readings.get(behind)?;
    let Some(before) = behind.checked_sub(1).map(|at| &readings[at]) else {
        return (next.at_s <= at_s).then(|| of(next) as f64);
    };
    let share = (at_s - before.at_s) / (next.at_s - before.at_s).max(f64::MIN_POSITIVE);
    Some(of(before) as f64 + (of(next) as f64 - of(before) as f64) * share)
}

/// Per second, from one second to another. None where it was not seen.
pub fn rate(readings: &[Reading], from_s: f64, to_s: f64, of: Of) -> Option<f64> {
    let (first, last) = (value_at(readings, from_s, of)?, value_at(readings, to_s, of)?);
    (to_s > from_s).then(|| (last - first) / (to_s - from_s))
}

/// The pace before an onset fell to half of it or less within this many seconds after it: as soon as a whole
/// second has had that few statements.
pub fn falls_after(readings: &[Reading], onset_s: f64, usual: f64, of: Of) -> Option<f64> {
    let behind = readings.iter().map(|reading| reading.at_s).filter(|at| *at > onset_s);
    let fallen =
        |at: &f64| rate(readings, at - PACE_OVER_S, *at, of).is_some_and(|now| now <= usual * FALLEN);
    behind.map(|at| at - onset_s).find(|after| fallen(&(onset_s + after)))
}

/// Latencies of the writes that were sent in one of the spans.
pub fn latencies(writes: &[WriteTime], spans: &[Span]) -> Latencies {
    let within = |write: &&WriteTime| {
        let has = |span: &Span| write.sent_s >= span.from_s as f64 && write.sent_s < span.to_s as f64;
        spans.iter().any(has)
    };
    let mut took: Vec<f64> = writes.iter().filter(within).map(|write| write.took_s * 1_000.0).collect();
    took.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let rank = ((took.len() as f64 * share).ceil() as usize).max(1);
        took.get(rank - 1).copied().unwrap_or(f64::NAN)
    };
    let length: usize = spans.iter().map(|span| span.length_s()).sum();
    Latencies {
        writes: took.len() as u64,
        per_second: took.len() as f64 / length.max(1) as f64,
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
        longest_ms: quantile(1.0),
    }
}

/// Whole windows of a span; the span itself if it is shorter. What is left at the end belongs to the last
/// one.
pub fn windows(span: Span, length_s: usize) -> Vec<Span> {
    let count = (span.length_s() / length_s).max(1);
    let window = |at: usize| {
        let from_s = span.from_s + at * length_s;
        Span { from_s, to_s: if at + 1 == count { span.to_s } else { from_s + length_s } }
    };
    (0..count).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four looks a second; so many statements in each second, half of them of schemas.
    fn readings(per_second: &[u64]) -> Vec<Reading> {
        let mut found = vec![Reading::default()];
        for (second, count) in per_second.iter().enumerate() {
            for quarter in 1..=4 {
                let last = found.last().copied().unwrap_or_default();
                found.push(Reading {
                    at_s: second as f64 + f64::from(quarter) / 4.0,
                    statements: last.statements + count / 4,
                    schema: last.schema + count / 8,
                });
            }
        }
        found
    }

    #[test]
    fn rates_are_read_between_looks() {
        let seen = readings(&[80, 80, 160]);
        assert_eq!(rate(&seen, 0.0, 2.0, |reading| reading.statements), Some(80.0));
        assert_eq!(rate(&seen, 1.5, 2.5, |reading| reading.statements), Some(120.0));
        assert_eq!(rate(&seen, 0.1, 1.1, |reading| reading.schema), Some(40.0));
        assert_eq!(rate(&seen, 2.0, 4.0, |reading| reading.schema), None);
        assert_eq!(rate(&seen, 2.0, 2.0, |reading| reading.schema), None);
        assert_eq!(rate(&[], 0.0, 1.0, |reading| reading.schema), None);
    }

    #[test]
    fn a_pace_has_fallen_when_a_second_had_half_of_it() {
        let seen = readings(&[80, 80, 80, 0, 0, 0]);
        // Half of the second that ends half a second behind the onset is the undisturbed one's.
        assert_eq!(falls_after(&seen, 3.0, 40.0, |reading| reading.schema), Some(0.5));
        assert_eq!(falls_after(&readings(&[80; 6]), 3.0, 40.0, |reading| reading.schema), None);
        let slow = readings(&[80, 80, 80, 56, 40, 40]);
        assert_eq!(falls_after(&slow, 3.0, 40.0, |reading| reading.schema), Some(2.0));
    }

    #[test]
    fn latencies_are_those_of_the_spans() {
        let writes: Vec<WriteTime> = (0..200)
            .map(|at| WriteTime { sent_s: f64::from(at) / 10.0, took_s: f64::from(at % 100 + 1) / 1_000.0 })
            .collect();
        let found = latencies(&writes, &[Span { from_s: 0, to_s: 10 }]);
        assert_eq!((found.writes, found.per_second), (100, 10.0));
        assert!((found.p99_ms - 99.0).abs() < 1e-9 && (found.longest_ms - 100.0).abs() < 1e-9, "{found:?}");
        assert!(latencies(&writes, &[Span { from_s: 50, to_s: 60 }]).p99_ms.is_nan());
    }

    #[test]
    fn windows_cover_the_span() {
        let span = |from_s, to_s| Span { from_s, to_s };
        assert_eq!(windows(span(5, 72), 30), [span(5, 35), span(35, 72)]);
        assert_eq!(windows(span(5, 9), 30), [span(5, 9)]);
    }
}
