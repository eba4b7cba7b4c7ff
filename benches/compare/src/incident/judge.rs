//! What a case must keep, and whether it did. Pure.

use super::record::{Protection, Record};
use super::series::{Series, Span};
use crate::histogram::Histogram;
use crate::report::{Bar, Measure, Side};

/// Windows by whose spread a ratio's noise can be judged, seconds.
const WINDOW_S: usize = 5;

/// What a case promises.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Promises {
    /// Suspect and degraded in time.
    pub detection: bool,
    /// Writes are shed in time.
    pub shedding: bool,
    /// Writes flow again so many seconds after the onset.
    pub flow_after_onset_s: Option<f64>,
    /// Writes flow again so many seconds after the cause was taken away.
    pub flow_after_cure_s: Option<f64>,
    /// The others notice nothing.
    pub others: bool,
    /// A restarted Bulkhead knows at once what was decided before.
    pub taken_over: bool,
    /// No statement outside a transaction fails, and no write waits longer than so many seconds.
    pub pause_s: Option<f64>,
}

/// The mark that says that the cause was taken away.
pub const CURED: &str = "cause taken away";

/// The mark that says that a killed Bulkhead listens again.
pub const RUNS_AGAIN: &str = "Bulkhead runs again";

fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

/// The bars of one case, in order.
pub fn bars(record: &Record, promises: &Promises) -> Vec<Bar> {
    let mut bars = Vec::new();
    let name = |what: &str| format!("{}: {what}", record.name);
    let mut most = |what: &str, value: f64, unit, bound: f64| {
        bars.push(Bar::new(name(what), value, unit, Side::Most, bound));
    };
    if promises.detection {
        most("suspect after onset", or_nan(record.first("suspect")), "s", 3.0);
        most("degraded after onset", or_nan(record.first("degraded")), "s", 5.0);
    }
    if promises.shedding {
        most("first write shed after onset", or_nan(record.first_shed()), "s", 6.0);
    }
    if let Some(bound) = promises.flow_after_onset_s {
        let flows = record.flows_from_s().map(|at| at - record.onset_s);
        most("writes flow again after onset", or_nan(flows), "s", bound);
    }
    if let Some(bound) = promises.flow_after_cure_s {
        let flows = record.flows_from_s().zip(record.mark(CURED)).map(|(at, cured)| (at - cured).max(0.0));
        most("writes flow again after the cause is gone", or_nan(flows), "s", bound);
    }
    if promises.taken_over {
        let stages = ["limited", "draining", "drained"];
        let again = record.mark(RUNS_AGAIN).and_then(|at| Some(record.stage_since(at, &stages)? - at));
        most("the drain goes on after a restart", or_nan(again), "s", 2.0);
    }
    if let Some(bound) = promises.pause_s {
        let sick = record.of_sick();
        let failed = sick.map(|series| series.count(record.disturbed, |second| second.failures_outside()));
        most("failed statements outside transactions", or_nan(failed.map(|count| count as f64)), "", 0.0);
        // Only what took a second and more is kept.
        let slowest = sick.map(|series| series.slowest_write_s(record.disturbed).unwrap_or(1.0));
        most("longest write", or_nan(slowest), "s", bound);
    }
    most("acknowledged writes lost", record.ledger.all_lost() as f64, "", 0.0);
    most("writes applied twice, in part, or though refused", record.ledger.all_wrong() as f64, "", 0.0);
    if record.protection != Protection::Off {
        let one = record.writable_servers as f64;
        most("servers of the sick cluster that take writes at the end", one, "", 1.0);
    }
    if promises.others {
        let others = Others::of(record);
        most("other shards' p99 : undisturbed", others.p99, "x", 1.1);
        bars.push(Bar::new(
            name("other shards' throughput : undisturbed"),
            others.throughput,
            "x",
            Side::Least,
            0.95,
        ));
    }
    bars
}

/// The other shards, disturbed : undisturbed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Others {
    /// Operations per second.
    pub throughput: f64,
    /// Statements' p99.
    pub p99: f64,
    /// p99 of undisturbed windows, smallest : largest; how far 1.0 is from saying anything.
    pub p99_spread: f64,
}

impl Others {
    /// Of all other clusters together, over whole spans.
    pub fn of(record: &Record) -> Self {
        let calm: Vec<Span> = record.calm.clone();
        let calm_p99 = p99_us(record, &calm);
        let windows: Vec<f64> =
            calm.iter().flat_map(|span| cut(*span)).map(|span| p99_us(record, &[span])).collect();
        let smallest = windows.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = windows.iter().copied().fold(0.0, f64::max);
        Self {
            throughput: throughput(record, &[record.disturbed]) / throughput(record, &calm),
            p99: p99_us(record, &[record.disturbed]) / calm_p99,
            p99_spread: largest / smallest,
        }
    }
}

/// Whole windows of a span; the span itself if it is shorter.
fn cut(span: Span) -> Vec<Span> {
    let count = span.length_s() / WINDOW_S;
    if count == 0 {
        return vec![span];
    }
    (0..count)
        .map(|at| Span { from_s: span.from_s + at * WINDOW_S, to_s: span.from_s + (at + 1) * WINDOW_S })
        .collect()
}

fn p99_us(record: &Record, spans: &[Span]) -> f64 {
    let mut all = Histogram::default();
    for series in record.of_others() {
        spans.iter().for_each(|span| all.merge(&series.latencies(*span)));
    }
    all.quantile_us(0.99)
}

fn throughput(record: &Record, spans: &[Span]) -> f64 {
    let length: usize = spans.iter().map(|span| span.length_s()).sum();
    let of = |series: &Series| -> f64 {
        spans.iter().map(|span| series.throughput(*span) * span.length_s() as f64).sum()
    };
    record.of_others().map(of).sum::<f64>() / length.max(1) as f64
}

/// Numbers of a case that have no bar, or are wanted beside it. What was not reached is left out.
pub fn measures(record: &Record) -> Vec<Measure> {
    let mut found: Vec<(String, Option<f64>, &'static str)> = Vec::new();
    for state in ["suspect", "degraded", "down"] {
        found.push((format!("{state} after onset"), record.first(state), "s"));
    }
    for stage in ["contained", "limited", "draining", "drained", "failing over", "ramping"] {
        found.push((format!("stage {stage} after onset"), record.first_stage(stage), "s"));
    }
    found.push(("first write shed after onset".into(), record.first_shed(), "s"));
    let flows = record.flows_from_s().map(|at| at - record.onset_s);
    found.push(("writes flow again after onset".into(), flows, "s"));
    let calm_s: usize = record.calm.iter().map(|span| span.length_s()).sum();
    let others = Others::of(record);
    found.push(("other shards, operations : undisturbed".into(), Some(others.throughput), "x"));
    found.push(("other shards, p99 : undisturbed".into(), Some(others.p99), "x"));
    found.push(("other shards, p99 undisturbed".into(), Some(p99_us(record, &record.calm) / 1e3), "ms"));
    found.push(("the same, largest : smallest window".into(), Some(others.p99_spread), "x"));
    found.push(("seconds undisturbed".into(), Some(calm_s as f64), "s"));
    if let Some(sick) = record.of_sick() {
        found.push(("sick shard, usual writes".into(), Some(record.usual_write_rate()), "/s"));
        let disturbed = sick.write_rate(record.disturbed);
        found.push(("sick shard, writes while disturbed".into(), Some(disturbed), "/s"));
        let count = |of: fn(&super::series::Second) -> u32| Some(sick.count(record.disturbed, of) as f64);
        found.push(("sick shard, operations refused".into(), count(|second| second.refused), ""));
        found.push(("sick shard, operations unknown".into(), count(|second| second.unknown), ""));
        found.push(("sick shard, lost connections".into(), count(|second| second.disconnected), ""));
    }
    let busy = |span: Span| {
        let cpu: Vec<f64> = record.cpu.iter().take(span.to_s).skip(span.from_s).copied().collect();
        (!cpu.is_empty()).then(|| cpu.iter().sum::<f64>() / cpu.len() as f64 * 100.0)
    };
    found.push(("CPU busy, undisturbed".into(), record.calm.first().and_then(|span| busy(*span)), "%"));
    found.push(("CPU busy, disturbed".into(), busy(record.disturbed), "%"));
    let ledger = &record.ledger;
    found.push(("writes acknowledged".into(), Some(ledger.acknowledged as f64), ""));
    found.push(("writes refused".into(), Some(ledger.refused as f64), ""));
    found.push(("writes unknown".into(), Some(ledger.unknown as f64), ""));
    found.push(("of the unknown rows, there".into(), Some(ledger.unknown_applied as f64), ""));
    let present = found.into_iter().filter_map(|(name, value, unit)| {
        Some(Measure { scenario: record.name.clone(), name, value: value?, unit })
    });
    present.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::record::{Change, Health, Mark};
    use crate::incident::series::Note;

    fn series(cluster: &str, per_second: impl Fn(usize) -> usize, took_s: impl Fn(usize) -> f64) -> Series {
        let mut series = Series::new(cluster);
        for at in 0..40 {
            for _ in 0..per_second(at) {
                series.note(at as f64 + 0.5, Note::Write);
                series.time(at as f64 + 0.5, took_s(at), true);
            }
        }
        series.finish();
        series
    }

    /// Ill from 10 to 20.
    fn record() -> Record {
        let change = |at_s, state: &str, stage: &str| Change {
            at_s,
            cluster: "c1".to_owned(),
            health: Health { state: state.to_owned(), stage: stage.to_owned(), signal: String::new() },
        };
        let mut sick = series("c1", |at| if (10..18).contains(&at) { 0 } else { 10 }, |_| 0.002);
        sick.shed(9.0);
        sick.shed(14.5);
        Record {
            name: "flood_on".to_owned(),
            protection: Protection::FailOver,
            sick: "c1".to_owned(),
            onset_s: 10.0,
            calm: vec![Span { from_s: 0, to_s: 10 }, Span { from_s: 30, to_s: 40 }],
            disturbed: Span { from_s: 10, to_s: 30 },
            marks: vec![Mark { at_s: 16.0, what: CURED.to_owned() }],
            events: Vec::new(),
            series: vec![sick, series("c2", |_| 20, |_| 0.001), series("c3", |_| 20, |_| 0.001)],
            changes: vec![
                change(2.0, "suspect", "contained"),
                change(12.0, "suspect", "contained"),
                change(14.0, "degraded", "limited"),
            ],
            cpu: vec![0.5; 40],
            flood: None,
            ledger: super::super::ledger::Verdict::default(),
            writable_servers: 1,
            what_runs: Vec::new(),
        }
    }

    const ALL: Promises = Promises {
        detection: true,
        shedding: true,
        flow_after_onset_s: Some(60.0),
        flow_after_cure_s: Some(30.0),
        others: true,
        taken_over: false,
        pause_s: None,
    };

    fn value(bars: &[Bar], end: &str) -> (f64, bool) {
        let bar = bars.iter().find(|bar| bar.name.ends_with(end)).unwrap_or_else(|| panic!("no bar {end}"));
        (bar.value, bar.holds)
    }

    #[test]
    fn bars_are_read_from_the_run() {
        let bars = bars(&record(), &ALL);
        assert!(bars.iter().all(|bar| bar.holds), "{bars:?}");
        assert_eq!(value(&bars, ": suspect after onset").0, 2.0);
        assert_eq!(value(&bars, "degraded after onset").0, 4.0);
        assert_eq!(value(&bars, "shed after onset").0, 4.5);
        // Half of the usual over three seconds is reached from second 17.
        assert_eq!(value(&bars, "flow again after onset").0, 7.0);
        assert_eq!(value(&bars, "after the cause is gone").0, 1.0);
        assert_eq!(value(&bars, "throughput : undisturbed").0, 1.0);
    }

    #[test]
    fn what_did_not_happen_does_not_hold() {
        let mut quiet = record();
        quiet.changes.clear();
        quiet.series[0].sheds_s.clear();
        quiet.marks.clear();
        quiet.series[0] = series("c1", |at| if at < 10 { 10 } else { 0 }, |_| 0.002);
        let bars = bars(&quiet, &ALL);
        for end in
            [": suspect after onset", "degraded after onset", "shed after onset", "flow again after onset"]
        {
            let (value, holds) = value(&bars, end);
            assert!(value.is_nan() && !holds, "{end}");
        }
        assert!(measures(&quiet).iter().all(|measure| measure.value.is_finite()), "only what was measured");
    }

    #[test]
    fn others_that_notice_are_told() {
        let mut noisy = record();
        let slow = |at: usize| if (10..30).contains(&at) { 0.0015 } else { 0.001 };
        noisy.series[1] = series("c2", |at| if (10..30).contains(&at) { 16 } else { 20 }, slow);
        let bars = bars(&noisy, &ALL);
        let (throughput, holds) = value(&bars, "throughput : undisturbed");
        assert!((throughput - 0.9).abs() < 1e-9 && !holds);
        let (p99, holds) = value(&bars, "p99 : undisturbed");
        assert!(p99 > 1.4 && !holds, "{p99}");
    }

    #[test]
    fn ledgers_and_two_primaries_are_judged() {
        let mut split = record();
        split.writable_servers = 2;
        split.ledger.lost = 1;
        split.ledger.torn = 1;
        let bars = bars(&split, &Promises::default());
        let missed: Vec<f64> = bars.iter().filter(|bar| !bar.holds).map(|bar| bar.value).collect();
        assert_eq!(missed, [1.0, 1.0, 2.0]);
        split.protection = Protection::Off;
        assert_eq!(super::bars(&split, &Promises::default()).len(), 2);
    }

    #[test]
    fn a_switchover_fails_nothing_and_is_short() {
        let mut switched = record();
        let promises = Promises { pause_s: Some(3.0), ..Promises::default() };
        assert!(bars(&switched, &promises).iter().all(|bar| bar.holds));
        switched.series[0].note(11.0, Note::Refused);
        switched.series[0].note(12.0, Note::Refused);
        switched.series[0].note_inside(12.0);
        switched.series[0].time(15.5, 3.5, true);
        let bars = bars(&switched, &promises);
        assert_eq!(value(&bars, "failed statements outside transactions"), (1.0, false));
        assert_eq!(value(&bars, "longest write"), (3.5, false));
    }
}
