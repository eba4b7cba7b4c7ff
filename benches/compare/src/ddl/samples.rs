//! What the load saw: each write with its times, and what is to be read from them.

use std::time::Duration;

use serde::Serialize;

use crate::histogram::Histogram;

/// Which table a write was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one that is changed.
    Changed,
    /// Another one.
    Other,
}

/// One write. Times are since the load began.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Which table.
    pub part: Part,
    /// When it was sent; earlier, when it was due while the one before it was still waiting for its answer:
    /// what stands still counts for every write that it delays.
    pub due: Duration,
    /// When it was answered.
    pub ended: Duration,
}

impl Sample {
    fn took(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }
}

/// From when to when, since the load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From.
    pub from: Duration,
    /// To.
    pub to: Duration,
}

impl Span {
    fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    fn has(self, at: Duration) -> bool {
        self.from <= at && at < self.to
    }
}

/// Latencies of the writes of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// How many.
    pub writes: u64,
    /// Per second.
    pub per_second: f64,
    /// Half of them were faster, milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 were faster.
    pub p95_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub longest_ms: f64,
}

/// Those of both tables together, and apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Parts {
    /// Together.
    pub all: Latencies,
    /// The table that is changed.
    pub changed: Latencies,
    /// The other one.
    pub other: Latencies,
}

/// All writes of a load.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Takes over what a writer saw.
    pub fn add(&mut self, others: Vec<Sample>) {
        self.0.extend(others);
    }

    /// Latencies of the writes that were due in one of the spans, by the table.
    pub fn parts(&self, spans: &[Span]) -> Parts {
        Parts {
            all: self.latencies(spans, |_| true),
            changed: self.latencies(spans, |part| part == Part::Changed),
            other: self.latencies(spans, |part| part == Part::Other),
        }
    }

    fn latencies(&self, spans: &[Span], of: impl Fn(Part) -> bool) -> Latencies {
        let mut histogram = Histogram::default();
        let within = |sample: &&Sample| spans.iter().any(|span| span.has(sample.due));
        for sample in self.0.iter().filter(|sample| of(sample.part)).filter(within) {
            histogram.record(sample.took().as_nanos() as u64);
        }
        let ms = |share: f64| histogram.quantile_us(share) / 1_000.0;
        let length: Duration = spans.iter().map(|span| span.length()).sum();
        Latencies {
            writes: histogram.count(),
            per_second: histogram.count() as f64 / length.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_ms: ms(0.5),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            longest_ms: ms(1.0),
        }
    }

    /// The longest time for which writers of the changed table had to wait in a span: the slowest write that
    /// was under way in it, or the longest time without any answer, whichever is longer. Milliseconds.
    pub fn pause_ms(&self, span: Span) -> f64 {
        let own = || self.0.iter().filter(|sample| sample.part == Part::Changed);
        let under_way = own().filter(|sample| sample.ended >= span.from && sample.due < span.to);
        let slowest = under_way.map(Sample::took).max().unwrap_or_default();
        let mut ends: Vec<Duration> = own().map(|sample| sample.ended).collect();
        ends.sort_unstable();
        let gaps = ends.windows(2).filter(|pair| pair[1] >= span.from && pair[0] < span.to);
        let silence = gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        slowest.max(silence).as_secs_f64() * 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sample(part: Part, due: u64, ended: u64) -> Sample {
        Sample { part, due: ms(due), ended: ms(ended) }
    }

    fn span(from: u64, to: u64) -> Span {
        Span { from: ms(from), to: ms(to) }
    }

    #[test]
    fn writes_belong_to_the_span_in_which_they_were_due() {
        let mut samples = Samples::default();
        samples.add(vec![
            sample(Part::Changed, 0, 1),
            sample(Part::Changed, 1_000, 1_400),
            sample(Part::Other, 1_500, 1_502),
            sample(Part::Other, 2_000, 2_001),
        ]);
        let parts = samples.parts(&[span(1_000, 2_000)]);
        assert_eq!((parts.all.writes, parts.changed.writes, parts.other.writes), (2, 1, 1));
        assert!((parts.all.per_second - 2.0).abs() < 1e-9);
        assert!((parts.changed.longest_ms / 400.0 - 1.0).abs() < 0.02, "{}", parts.changed.longest_ms);
        assert_eq!(samples.parts(&[span(5_000, 6_000)]).all, Latencies::default());
        let both = samples.parts(&[span(0, 500), span(2_000, 2_500)]).all;
        assert_eq!((both.writes, both.per_second.round()), (2, 2.0));
    }

    #[test]
    fn the_pause_is_the_slowest_write_or_the_longest_silence() {
        let mut samples = Samples::default();
        // One writer waits from 100 to 350; another is answered meanwhile.
        samples.add(vec![sample(Part::Changed, 0, 2), sample(Part::Changed, 100, 350)]);
        samples.add(vec![sample(Part::Changed, 200, 202), sample(Part::Changed, 340, 342)]);
        samples.add(vec![sample(Part::Other, 0, 5_000)]);
        assert_eq!(samples.pause_ms(span(150, 400)), 250.0);
        assert_eq!(samples.pause_ms(span(0, 100)), 200.0, "nothing was answered from 2 to 202");
        assert_eq!(Samples::default().pause_ms(span(0, 1)), 0.0);
    }

    #[test]
    fn what_waits_when_the_span_begins_counts() {
        let mut samples = Samples::default();
        samples.add(vec![sample(Part::Changed, 0, 90)]);
        assert_eq!(samples.pause_ms(span(50, 60)), 90.0);
        assert_eq!(samples.pause_ms(span(100, 200)), 0.0);
    }
}
