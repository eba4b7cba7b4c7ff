//! What clients' writes take, look by look, and what they usually take.
//!
//! A second on a quiet cluster has fifty writes: the slowest hundredth of them is half a write, and its time
//! is chance. So what is compared with the usual is what the slowest hundredth takes *at the least*: the time
//! that more writes exceeded than a hundredth of them would by chance. Where all writes are slow four of
//! fifty tell; where a few more are slow than usual, ten looks together, or thirty.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::health::HistogramReport;

/// Fewer writes have no 99th percentile. A look that saw fewer is added to the next one, up to so many looks.
const WRITES_MIN: u64 = 50;
const LOOKS_MAX: u32 = 5;
/// Looks without a copy that are remembered: so many, and as many again at most.
const CALM_LOOKS: u32 = 60;
/// Looks that are taken together. Small differences take many, which are believed sooner.
const SPANS: [Span; 3] = [
    Span { looks: 1, chance: 0.01, deviations: 2.33 },
    Span { looks: 10, chance: 0.05, deviations: 1.65 },
    Span { looks: 30, chance: 0.05, deviations: 1.65 },
];
/// A difference of this ratio is acted upon: what showed it is not told a second time.
const TOLD_FROM: f64 = 1.25;

/// Looks that are taken together.
#[derive(Clone, Copy, Debug)]
struct Span {
    looks: usize,
    /// What is less likely is no chance.
    chance: f64,
    /// The normal distribution is above so many deviations as often as that.
    deviations: f64,
}

/// Writes of the last minutes in which nothing was copied.
#[derive(Clone, Debug, Default)]
pub(super) struct Calm {
    older: Option<HistogramReport>,
    newer: Option<HistogramReport>,
    looks: u32,
}

impl Calm {
    fn add(&mut self, look: &HistogramReport) {
        match &mut self.newer {
            Some(newer) => newer.add(look),
            None => self.newer = Some(look.clone()),
        }
        self.looks += 1;
        if self.looks >= CALM_LOOKS {
            (self.older, self.looks) = (self.newer.take(), 0);
        }
    }

    /// What the slowest hundredth usually takes; `None` before there were enough writes.
    pub(super) fn p99(&self) -> Option<Duration> {
        let all = sum(self.older.iter().chain(&self.newer))?;
        (all.count() >= WRITES_MIN).then(|| Duration::from_micros(all.quantile_us(0.99)))
    }
}

/// What writes took, look by look.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// The look that the next one is compared with.
    before: Option<HistogramReport>,
    /// Looks since then: too few writes were seen.
    looks: u32,
    /// Something disturbed since then.
    disturbed: bool,
    /// Writes and their 99th percentile, of the last look that saw enough.
    pub(super) seen: Option<(u64, Duration)>,
    /// The look before, whatever it saw.
    previous: Option<HistogramReport>,
    recent: VecDeque<HistogramReport>,
    pub(super) calm: Calm,
    /// The 99th percentile while nothing is copied.
    pub(super) usual: Option<Duration>,
    /// What the slowest hundredth takes at the least, of late.
    pub(super) at_least: Option<Duration>,
    /// When it was looked the last time.
    looked: Option<Instant>,
    /// Writes per second since the look before; absent while it is not known.
    pub(super) rate: Option<f64>,
}

impl Writes {
    /// With what was learnt before.
    pub(super) fn new(calm: Calm, rate: Option<f64>) -> Self {
        Self { usual: calm.p99(), calm, rate, ..Self::default() }
    }

    /// Looks; `is_disturbed` says whether something was copied since the look before, or the cluster is sick.
    /// Gives, if enough writes were seen by now to say what they take, whether any of that was disturbed.
    pub(super) fn take(&mut self, now: HistogramReport, is_disturbed: bool, at: Instant) -> Option<bool> {
        let looked = self.looked.replace(at);
        if let Some(previous) = self.previous.replace(now.clone()) {
            let look = now.since(&previous);
            let seconds = looked.map_or(0.0, |looked| at.saturating_duration_since(looked).as_secs_f64());
            if seconds > 0.0 {
                self.rate = Some(look.count() as f64 / seconds);
            }
            self.note(look, is_disturbed);
        }
        let Some(before) = &self.before else {
            self.before = Some(now);
            return None;
        };
        self.disturbed |= is_disturbed;
        self.looks += 1;
        let between = now.since(before);
        let count = between.count();
        if count < WRITES_MIN && self.looks < LOOKS_MAX {
            return None;
        }
        self.seen = Some((count, Duration::from_micros(between.quantile_us(0.99))));
        let beside = (count >= WRITES_MIN).then_some(self.disturbed);
        (self.before, self.looks, self.disturbed) = (Some(now), 0, false);
        beside
    }

    fn note(&mut self, look: HistogramReport, is_disturbed: bool) {
        if !is_disturbed {
            self.calm.add(&look);
            self.usual = self.calm.p99().or(self.usual);
        }
        self.recent.push_back(look);
        if self.recent.len() > SPANS[SPANS.len() - 1].looks {
            self.recent.pop_front();
        }
        let of_last = |span: &Span| {
            let looks = sum(self.recent.iter().rev().take(span.looks));
            looks.and_then(|looks| span.p99_at_least(&looks))
        };
        self.at_least = SPANS.iter().filter_map(of_last).max();
        let bound = self.usual.map(|usual| usual.mul_f64(TOLD_FROM));
        if bound.is_some_and(|bound| self.at_least > Some(bound)) {
            self.recent.clear();
        }
    }
}

fn sum<'a>(mut reports: impl Iterator<Item = &'a HistogramReport>) -> Option<HistogramReport> {
    let mut all = reports.next()?.clone();
    reports.for_each(|report| all.add(report));
    Some(all)
}

impl Span {
    /// What the slowest hundredth takes at the least: more writes exceeded it than by chance. `None` when
    /// there were too few.
    fn p99_at_least(self, writes: &HistogramReport) -> Option<Duration> {
        let count = writes.count();
        let below = count.checked_sub(self.no_chance(count))?;
        // The middle of the rank that is meant, so that no rounding makes it another one.
        let share = (below as f64 + 0.5) / count.max(1) as f64;
        Some(Duration::from_micros(writes.quantile_us(share)))
    }

    /// Of so many writes, each slow once in a hundred times, at least how many are slow less often than by
    /// chance: by the Poisson distribution, and for many by the normal one.
    fn no_chance(self, count: u64) -> u64 {
        const MANY: f64 = 400.0;
        let expected = count as f64 / 100.0;
        if expected > MANY {
            return (expected + self.deviations * expected.sqrt()).ceil() as u64;
        }
        let (mut term, mut slow) = ((-expected).exp(), 1_u32);
        let mut below = term;
        while 1.0 - below >= self.chance {
            term *= expected / f64::from(slow);
            below += term;
            slow += 1;
        }
        u64::from(slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Histogram;

    #[test]
    fn usual_is_learnt_only_while_nothing_is_copied() {
        let (histogram, mut at) = (Histogram::new(), Instant::now());
        let mut writes = Writes::default();
        let mut second = |ms: u64, count: u64, copied: bool, writes: &mut Writes| {
            (0..count).for_each(|_| histogram.record(Duration::from_millis(ms)));
            at += Duration::from_secs(1);
            writes.take(histogram.report(), copied, at)
        };
        second(100, 1000, false, &mut writes);
        assert_eq!((writes.seen, writes.rate), (None, None), "nothing to compare with");
        assert_eq!(second(10, 100, false, &mut writes), Some(false));
        let usual = writes.usual.expect("learnt");
        assert!((9..=11).contains(&usual.as_millis()), "{usual:?}");
        assert_eq!(second(50, 100, true, &mut writes), Some(true));
        assert_eq!(writes.usual, Some(usual), "a copy disturbs");
        assert!(writes.seen.is_some_and(|(count, p99)| count == 100 && p99.as_millis() > 40));
        // Few writes: looks are put together.
        assert_eq!(second(10, 20, false, &mut writes), None);
        assert_eq!(writes.rate, Some(20.0));
        assert!(writes.seen.is_some_and(|(count, _)| count == 100), "too few to tell");
        assert_eq!(second(10, 40, false, &mut writes), Some(false));
        assert!(writes.seen.is_some_and(|(count, _)| count == 60));
        // What was learnt is handed on, and forgotten by and by.
        let mut later = Writes::new(writes.calm.clone(), writes.rate);
        assert_eq!((later.usual, later.rate), (Some(usual), Some(40.0)));
        for _ in 0..=2 * CALM_LOOKS {
            second(30, 100, false, &mut later);
        }
        assert!(later.usual.is_some_and(|usual| (28..=32).contains(&usual.as_millis())));
    }

    #[test]
    fn so_many_are_no_chance() {
        let [single, ten, _] = SPANS;
        // By the tails of the Poisson distribution.
        for (count, alone, together) in [
            (0, 1, 1),
            (1, 1, 1),
            (10, 2, 2),
            (50, 4, 3),
            (100, 5, 4),
            (530, 12, 10),
            (10_000, 125, 118),
            (39_000, 438, 424),
            (41_000, 458, 444),
        ] {
            assert_eq!((single.no_chance(count), ten.no_chance(count)), (alone, together), "{count}");
        }
    }

    /// Times as servers have them: most are quick, a few take ten times as long.
    fn time(dice: &mut u64) -> Duration {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (*dice >> 33) as f64 / f64::from(1_u32 << 31);
        Duration::from_secs_f64(0.002 / (1.0 - share).max(1e-4).sqrt())
    }

    #[test]
    fn chance_is_not_taken_for_a_slowdown_and_a_slowdown_is_seen_at_once() {
        let (histogram, mut dice, mut writes) = (Histogram::new(), 7, Writes::default());
        let mut look = |writes: &mut Writes, slower: f64, copied: bool| {
            (0..50).for_each(|_| histogram.record(time(&mut dice).mul_f64(slower)));
            writes.take(histogram.report(), copied, Instant::now());
            let bound = writes.usual.unwrap_or(Duration::MAX / 4).mul_f64(1.25);
            (writes.at_least > Some(bound), writes.seen.is_some_and(|(_, p99)| p99 > bound))
        };
        for _ in 0..100 {
            look(&mut writes, 1.0, false);
        }
        let (mut told, mut by_percentile) = (0, 0);
        for _ in 0..500 {
            let (is_told, is_above) = look(&mut writes, 1.0, true);
            (told, by_percentile) = (told + u32::from(is_told), by_percentile + u32::from(is_above));
        }
        assert!(told <= 25, "{told} of 500 looks");
        assert!(by_percentile >= 75, "the percentile alone: {by_percentile} of 500");
        // Twice as long is seen within half a minute, ten times as long in the first look.
        assert!((0..30).any(|_| look(&mut writes, 2.0, true).0), "twice as slow");
        assert!(look(&mut writes, 10.0, true).0, "ten times as slow");
    }
}
