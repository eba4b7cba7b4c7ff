//! What the cases must keep, and whether they did. Pure.

use super::cases::Case;
use super::pace::{self, Reading};
use super::record::{Record, Seen};
use super::schema::Group;
use crate::incident::series::Span;
use crate::report::{Bar, Measure, Side};

/// The mark that says that writes of the first cluster stall.
pub const STALLS: &str = "writes of c1 stall";
/// The mark that says that they do not any more.
pub const CURED: &str = "the stall ends";

/// The cluster that falls ill.
const SICK: &str = "c1";
/// p99 of unrelated writes : undisturbed, at most.
const P99_RATIO_MAX: f64 = 1.5;
/// Windows of which each has to keep that, seconds.
const WINDOW_S: usize = 30;
/// Databases per minute : pt-online-schema-change's, at least.
const SPEED_RATIO_MIN: f64 = 10.0;
/// How soon the pace falls, seconds.
const FALLS_WITHIN_S: f64 = 2.0;
/// The pace before an onset is read over so long, seconds.
const USUAL_OVER_S: f64 = 10.0;
/// What was begun before Bulkhead's word of a cluster's state was heard may be seen so much later, seconds.
const HEARD_WITHIN_S: f64 = 0.5;

fn schema_statements(reading: &Reading) -> u64 {
    reading.schema
}

fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

fn of(records: &[Record], case: Case) -> Option<&Record> {
    records.iter().find(|record| record.name == case.name())
}

/// The bars that these cases can judge, in order.
pub fn bars(records: &[Record]) -> Vec<Bar> {
    let mut bars = Vec::new();
    if let Some(record) = of(records, Case::Bulkhead) {
        bars.extend(quiet(record));
        bars.extend(of(records, Case::PtOsc).map(|other| speed(record, other)));
        bars.extend(complete(record));
        bars.extend(kept(record));
    }
    if let Some(record) = of(records, Case::Stall) {
        bars.extend(contained(record));
        bars.extend(kept(record));
    }
    if let Some(record) = of(records, Case::Killed) {
        bars.extend(complete(record));
        bars.extend(kept(record));
    }
    bars
}

fn most(record: &Record, what: &str, value: f64, unit: &'static str, bound: f64) -> Bar {
    Bar::new(format!("{}: {what}", record.name), value, unit, Side::Most, bound)
}

/// Others notice nothing.
fn quiet(record: &Record) -> Vec<Bar> {
    let seen = record.of(Group::Unrelated);
    let (whole, worst) =
        (or_nan(seen.map(Seen::ratio)), or_nan(seen.map(|seen| worst_ratio(seen, record.change))));
    let words = format!("the same, the worst {WINDOW_S} s");
    vec![
        most(record, "p99 of unrelated writes : undisturbed", whole, "x", P99_RATIO_MAX),
        most(record, &words, worst, "x", P99_RATIO_MAX),
    ]
}

/// p99 of the worst window of a span : undisturbed.
fn worst_ratio(seen: &Seen, span: Span) -> f64 {
    let windows = pace::windows(span, WINDOW_S);
    let p99 = windows.iter().map(|window| pace::latencies(&seen.writes, &[*window]).p99_ms);
    // One without writes says nothing.
    p99.filter(|p99| p99.is_finite()).fold(f64::NAN, f64::max) / seen.calm.p99_ms
}

/// Faster than the loop of pt-online-schema-change, while others notice nothing.
fn speed(record: &Record, other: &Record) -> Bar {
    let ratio = record.per_minute() / other.per_minute();
    let name = format!("{}: databases per minute at that p99 : {}", record.name, other.name);
    let mut bar = Bar::new(name, ratio, "x", Side::Least, SPEED_RATIO_MIN);
    bar.holds &= record.of(Group::Unrelated).is_some_and(|seen| seen.ratio() <= P99_RATIO_MAX);
    bar
}

/// Every database is changed, and whoever waited was told so.
fn complete(record: &Record) -> Vec<Bar> {
    vec![
        most(record, "databases not changed exactly once", record.outcome.not_once() as f64, "", 0.0),
        most(record, "errors of bulkhead migrate submit --wait", record.errors.len() as f64, "", 0.0),
    ]
}

/// Nothing that was acknowledged is lost, nothing is there that should not be.
fn kept(record: &Record) -> Vec<Bar> {
    let wrong = record.ledger.all_wrong() + record.outcome.spoilt_rows;
    vec![
        most(record, "acknowledged writes lost", record.ledger.all_lost() as f64, "", 0.0),
        most(record, "writes applied twice, in part, though refused, or spoilt", wrong as f64, "", 0.0),
    ]
}

/// A cluster that falls ill is left alone.
fn contained(record: &Record) -> Vec<Bar> {
    let begun = suspect(record).map(|(from_s, to_s)| begun(record, from_s + HEARD_WITHIN_S, to_s) as f64);
    vec![
        most(
            record,
            "pace falls after the onset, as Bulkhead says",
            or_nan(lane_falls(record)),
            "s",
            FALLS_WITHIN_S,
        ),
        most(
            record,
            "pace falls after the onset, as c1 sees",
            or_nan(server_falls(record)),
            "s",
            FALLS_WITHIN_S,
        ),
        most(record, "databases begun on c1 while it is suspect", or_nan(begun), "", 0.0),
    ]
}

/// From when to when Bulkhead called the cluster anything but healthy, behind the onset.
fn suspect(record: &Record) -> Option<(f64, f64)> {
    let onset_s = record.onset_s?;
    let own = || record.health.iter().filter(|change| change.cluster == SICK && change.at_s >= onset_s);
    let ill = own().find(|change| ["suspect", "degraded", "down"].contains(&change.health.state.as_str()))?;
    let well = own().find(|change| change.at_s > ill.at_s && change.health.state == "healthy");
    Some((ill.at_s, well.map_or(record.change_s.1, |change| change.at_s)))
}

/// Databases of the sick cluster that Bulkhead began to change in this time.
fn begun(record: &Record, from_s: f64, to_s: f64) -> u64 {
    let own: Vec<_> = record.said.of(SICK).collect();
    let pairs = own.windows(2).filter(|pair| pair[1].at_s >= from_s && pair[1].at_s < to_s);
    pairs.map(|pair| pair[1].occupied.saturating_sub(pair[0].occupied)).sum()
}

/// When Bulkhead used half of what it had used, or less, and so until it closed the cluster; seconds after
/// the onset. None if it did not close it: a share that goes up and down by itself says nothing.
fn lane_falls(record: &Record) -> Option<f64> {
    let onset_s = record.onset_s?;
    let usual = record.said.lane_at(SICK, onset_s)?.pace();
    let own: Vec<_> = record.said.of(SICK).filter(|lane| lane.at_s > onset_s).collect();
    let closed = own.iter().position(|lane| lane.pace() == 0.0).filter(|_| usual > 0.0)?;
    let low = own[..=closed].iter().rev().take_while(|lane| lane.pace() <= usual / 2.0);
    low.last().map(|lane| lane.at_s - onset_s)
}

/// When half as many statements came to the sick cluster, seconds after the onset.
fn server_falls(record: &Record) -> Option<f64> {
    let onset_s = record.onset_s?;
    let readings = &record.counted.iter().find(|own| own.cluster == SICK)?.readings;
    let usual = pace::rate(readings, onset_s - USUAL_OVER_S, onset_s, schema_statements)?;
    // Where nothing was sent nothing can fall.
    (usual > 0.0).then(|| pace::falls_after(readings, onset_s, usual, schema_statements))?
}

/// When Bulkhead began databases of the cluster again, seconds behind the end of the stall.
fn goes_on(record: &Record) -> Option<f64> {
    let cured_s = record.mark(CURED)?;
    let own: Vec<_> = record.said.of(SICK).collect();
    let again = own.windows(2).find(|pair| pair[1].at_s > cured_s && pair[1].occupied > pair[0].occupied);
    again.map(|pair| pair[1].at_s - cured_s)
}

/// Numbers of a case that have no bar, or are wanted beside it. What was not reached is left out.
pub fn measures(record: &Record) -> Vec<Measure> {
    let mut found: Vec<(String, f64, &'static str)> = Vec::new();
    for seen in &record.seen {
        of_writes(record, seen, &mut found);
    }
    if record.changes() {
        found.push(("databases changed once".into(), record.outcome.once as f64, ""));
        found.push(("of so many asked for".into(), record.asked as f64, ""));
        found.push(("databases per minute".into(), record.per_minute(), "/min"));
    }
    found.push(("length of the change".into(), record.took_s(), "s"));
    let (mean, most) = schema_pace(record);
    found.push(("schema statements, mean".into(), mean, "/s"));
    found.push(("schema statements, most".into(), most, "/s"));
    if record.onset_s.is_some() {
        found.push(("begins again behind the stall".into(), or_nan(goes_on(record)), "s"));
    }
    let busy = |span: Span| {
        let cpu: Vec<f64> = record.cpu.iter().take(span.to_s).skip(span.from_s).copied().collect();
        cpu.iter().sum::<f64>() / cpu.len() as f64 * 100.0
    };
    found.push((
        "CPU busy, undisturbed".into(),
        record.calm.first().map_or(f64::NAN, |span| busy(*span)),
        "%",
    ));
    found.push(("CPU busy, while databases are changed".into(), busy(record.change), "%"));
    let ledger = &record.ledger;
    found.push(("writes acknowledged".into(), ledger.acknowledged as f64, ""));
    found.push(("writes refused".into(), ledger.refused as f64, ""));
    found.push(("writes unknown".into(), ledger.unknown as f64, ""));
    found.push(("acknowledged writes lost".into(), ledger.all_lost() as f64, ""));
    let measured = found.into_iter().filter(|(_, value, _)| value.is_finite());
    let measure = |(name, value, unit)| Measure { scenario: record.name.to_owned(), name, value, unit };
    measured.map(measure).collect()
}

fn of_writes(record: &Record, seen: &Seen, found: &mut Vec<(String, f64, &'static str)>) {
    let mut add =
        |what: &str, value: f64, unit| found.push((format!("{} writes, {what}", seen.group), value, unit));
    add("p99 undisturbed", seen.calm.p99_ms, "ms");
    add("p99 while databases are changed", seen.during.p99_ms, "ms");
    add("p99, the latter : the former", seen.ratio(), "x");
    add(&format!("p99 of the worst {WINDOW_S} s : undisturbed"), worst_ratio(seen, record.change), "x");
    let calm = record.calm.iter().map(|span| worst_ratio(seen, *span)).fold(f64::NAN, f64::max);
    add(&format!("undisturbed p99 of the worst {WINDOW_S} s : undisturbed"), calm, "x");
    add("longest while databases are changed", seen.during.longest_ms, "ms");
    add("per second, undisturbed", seen.calm.per_second, "/s");
}

/// Schema statements of all clusters in a second: mean and most while databases are changed.
fn schema_pace(record: &Record) -> (f64, f64) {
    let (from_s, to_s) = record.change_s;
    let within = record.statements.iter().filter(|(at_s, ..)| *at_s >= from_s && *at_s < to_s);
    let rates: Vec<f64> = within.filter_map(|(.., schema)| *schema).collect();
    (rates.iter().sum::<f64>() / rates.len() as f64, rates.iter().copied().fold(f64::NAN, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture::{Told, record, slow_while_changed};
    use crate::fleet::said::Lane;

    fn value(bars: &[Bar], words: &str) -> (f64, bool) {
        let bar =
            bars.iter().find(|bar| bar.name.contains(words)).unwrap_or_else(|| panic!("no bar {words}"));
        (bar.value, bar.holds)
    }

    #[test]
    fn what_others_notice_is_judged_as_a_whole_and_by_windows() {
        let steady = bars(&[record(Case::Bulkhead)]);
        assert!(steady.iter().all(|bar| bar.holds), "{steady:?}");
        assert_eq!(value(&steady, "unrelated writes").0, 1.0);
        // Slow for one window of four: the p99 of the whole is as slow.
        let mut slow = record(Case::Bulkhead);
        slow_while_changed(&mut slow, (60.0, 70.0), 0.004);
        let bars = bars(&[slow]);
        assert_eq!(value(&bars, "unrelated writes"), (2.0, false));
        assert_eq!(value(&bars, "the worst 30 s"), (2.0, false));
    }

    #[test]
    fn a_short_disturbance_shows_in_its_window_only() {
        let mut slow = record(Case::Bulkhead);
        slow_while_changed(&mut slow, (60.0, 60.5), 0.004);
        let bars = bars(&[slow]);
        assert!(value(&bars, "unrelated writes").1);
        assert_eq!(value(&bars, "the worst 30 s"), (2.0, false));
    }

    #[test]
    fn speed_counts_only_when_others_notice_nothing() {
        let mut other = record(Case::PtOsc);
        other.outcome.once = 6;
        let all = bars(&[record(Case::Bulkhead), other.clone()]);
        assert_eq!(value(&all, "per minute"), (20.0, true));
        let mut slow = record(Case::Bulkhead);
        slow_while_changed(&mut slow, (30.0, 150.0), 0.004);
        assert_eq!(value(&bars(&[slow, other.clone()]), "per minute"), (20.0, false));
        other.outcome.once = 60;
        assert_eq!(value(&bars(&[record(Case::Bulkhead), other]), "per minute"), (2.0, false));
    }

    #[test]
    fn every_database_once_and_every_write_kept() {
        for case in [Case::Bulkhead, Case::Killed] {
            let mut wrong = record(case);
            wrong.outcome.once -= 1;
            wrong.outcome.repeatedly = 1;
            wrong.ledger.lost = 2;
            wrong.outcome.spoilt_rows = 3;
            let missed: Vec<f64> =
                bars(&[wrong]).iter().filter(|bar| !bar.holds).map(|bar| bar.value).collect();
            assert_eq!(missed, [1.0, 2.0, 3.0], "{case:?}");
        }
        assert!(bars(&[record(Case::Direct), record(Case::Undisturbed)]).is_empty());
    }

    #[test]
    fn a_stall_is_answered_in_time() {
        let all = bars(&[record(Case::Stall)]);
        assert!(all.iter().all(|bar| bar.holds), "{all:?}");
        assert_eq!(value(&all, "as Bulkhead says").0, 1.0);
        assert_eq!(value(&all, "as c1 sees").0, 1.5);
        assert_eq!(value(&all, "begun").0, 0.0);
        let measures = measures(&record(Case::Stall));
        let again = measures.iter().find(|measure| measure.name.starts_with("begins again"));
        assert_eq!(again.map(|measure| measure.value), Some(12.0));
    }

    #[test]
    fn a_stall_that_is_not_noticed_does_not_hold() {
        let mut deaf = record(Case::Stall);
        deaf.health.clear();
        deaf.said.lanes.truncate(1);
        deaf.counted.clear();
        let bars = bars(&[deaf]);
        for words in ["as Bulkhead says", "as c1 sees", "begun"] {
            let (value, holds) = value(&bars, words);
            assert!(value.is_nan() && !holds, "{words}");
        }
    }

    #[test]
    fn a_share_that_falls_by_chance_is_not_the_answer() {
        let mut wavering = record(Case::Stall);
        let lane = |at_s, share| Lane { share, ..Told::open(at_s) };
        wavering.said.lanes.splice(1.., [lane(60.1, 0.25), lane(60.5, 0.3), Told::closed(61.5)]);
        assert_eq!(value(&bars(&[wavering]), "as Bulkhead says"), (1.5, true));
    }

    #[test]
    fn what_is_begun_on_a_suspect_cluster_is_counted() {
        let mut eager = record(Case::Stall);
        let lane = |at_s, occupied| Lane { occupied, ..Told::closed(at_s) };
        eager.said.lanes.splice(2.., [lane(64.0, 1), lane(65.0, 3), lane(66.0, 2), lane(67.0, 3)]);
        assert_eq!(value(&bars(&[eager]), "begun"), (3.0, false));
    }

    #[test]
    fn measures_are_what_was_measured() {
        let mut empty = record(Case::Undisturbed);
        empty.seen.clear();
        empty.cpu.clear();
        empty.statements.clear();
        assert!(measures(&empty).iter().all(|measure| measure.value.is_finite()));
        let names: Vec<String> =
            measures(&record(Case::Direct)).into_iter().map(|found| found.name).collect();
        for words in ["unrelated writes, p99 undisturbed", "databases per minute", "schema statements, most"]
        {
            assert!(names.iter().any(|name| name == words), "{words}");
        }
    }
}
