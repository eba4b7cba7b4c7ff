//! The picture of a case, or of several side by side: throughput, p99, failures, states, over time. Pure.
//!
//! One column per case, one row per panel, a list of what happened below.

use super::record::{Mark, Record};
use super::series::{Second, Series};
use crate::picture::{
    AXIS_WIDTH, CLUSTER_COLOURS, Chart, Curve, GAP, LINE_HEIGHT, PANEL_HEIGHT, PANEL_WIDTH, Run, Scale, TOP,
    joined, picture, round_up, strips_height,
};

/// Lines of the list of events, at most.
const LINES_MAX: usize = 40;
/// Characters of such a line, at most.
const LINE_CHARS_MAX: usize = 96;

const REFUSED: &str = "#e67e22";
const UNKNOWN: &str = "#6c3483";
const DISCONNECTED: &str = "#7f8c8d";

/// States and stages with their colours, from well to ill; what has the same colour is separated by commas.
pub const LEGEND: [(&str, &str); 8] = [
    ("healthy, open", "#d5f5e3"),
    ("suspect, contained", "#fcf3cf"),
    ("degraded, limited", "#f5b041"),
    ("draining", "#dc7633"),
    ("down, drained", "#cb4335"),
    ("failing over", "#8e44ad"),
    ("ramping", "#85c1e9"),
    ("no answer", "#d0d3d4"),
];

/// The colour of a state or stage; of unknown ones, that of no answer.
pub fn colour_of_state(state: &str) -> &'static str {
    let found = LEGEND.iter().find(|(words, _)| words.split(", ").any(|word| word == state));
    found.map_or(LEGEND[LEGEND.len() - 1].1, |(_, colour)| colour)
}

/// A kind of failure: its colour, its name, and how many there were in a second.
type Failed = (&'static str, &'static str, fn(&Second) -> u32);

/// What Bulkhead said of a cluster, and from when to when, without changes that leave the word the same.
fn runs<'a>(record: &'a Record, cluster: &str, is_stage: bool, end_s: f64) -> Vec<Run<'a>> {
    let own = record.changes.iter().filter(|change| change.cluster == cluster);
    let word = |change: &'a super::record::Change| {
        if is_stage { change.health.stage.as_str() } else { change.health.state.as_str() }
    };
    joined(own.map(|change| (word(change), change.at_s)), end_s)
}

/// One strip per cluster for its state, and one for the sick one's stage.
fn strips(record: &Record, end_s: f64) -> Vec<(String, Vec<Run<'_>>)> {
    let clusters = record.series.iter().map(|series| series.cluster.clone());
    let states = clusters.map(|cluster| (cluster.clone(), runs(record, &cluster, false, end_s)));
    let stage = (format!("{} stage", record.sick), runs(record, &record.sick, true, end_s));
    states.chain([stage]).collect()
}

/// The replay's own marks with their numbers, then Bulkhead's events.
fn lines_of(record: &Record) -> Vec<String> {
    let own = record.marks.iter().enumerate();
    let own = own.map(|(at, mark)| format!("{}: {:7.1} s  {}", at + 1, mark.at_s, mark.what));
    let event = |mark: &Mark| format!("{:10.1} s  {}", mark.at_s, mark.what);
    let mut lines: Vec<String> = own.chain(record.events.iter().map(event)).collect();
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("... and {more} more, in the report"));
    }
    lines.into_iter().map(|line| line.chars().take(LINE_CHARS_MAX).collect()).collect()
}

/// One value of each second, in the middle of it.
fn curve_of(
    colour: &'static str,
    name: &str,
    series: &Series,
    value: impl Fn(&Second) -> Option<f64>,
) -> Curve {
    let seconds = series.seconds.iter().enumerate();
    let points = seconds.map(|(at, second)| (at as f64 + 0.5, value(second))).collect();
    Curve { colour, name: name.to_owned(), points }
}

fn curves_of(record: &Record, value: impl Fn(&Second) -> Option<f64>) -> Vec<Curve> {
    let clusters = record.series.iter().zip(CLUSTER_COLOURS.iter().cycle());
    clusters.map(|(series, colour)| curve_of(colour, &series.cluster, series, &value)).collect()
}

fn top_of(records: &[&Record], value: impl Fn(&Second) -> f64) -> f64 {
    let seconds = records.iter().flat_map(|record| &record.series).flat_map(|series| &series.seconds);
    round_up(seconds.map(value).fold(1.0, f64::max))
}

fn draw_column(chart: &mut Chart<'_>, record: &Record, throughput: Scale, failures: Scale) {
    let title = format!("{}: {} ({} falls ill)", record.name, record.protection.words(), record.sick);
    chart.text(chart.left, TOP - 28.0, "class=\"head\"", &title);
    let mut top = TOP;
    let operations = curves_of(record, |second| Some(f64::from(second.operations())));
    chart.panel(top, "operations answered per second", throughput, &operations);
    top += PANEL_HEIGHT + GAP;
    let p99 = curves_of(record, |second| (second.p99_us > 0.0).then_some(second.p99_us / 1e3));
    chart.panel(top, "p99 of answered statements, ms (logarithmic)", Scale::Log(0.1, 100_000.0), &p99);
    top += PANEL_HEIGHT + GAP;
    let failed: [Failed; 3] = [
        (REFUSED, "refused", |second| second.refused),
        (UNKNOWN, "unknown", |second| second.unknown),
        (DISCONNECTED, "disconnected", |second| second.disconnected),
    ];
    let curves: Vec<Curve> = record.of_sick().map_or(Vec::new(), |sick| {
        let one =
            |(colour, name, of): Failed| curve_of(colour, name, sick, |second| Some(f64::from(of(second))));
        failed.into_iter().map(one).collect()
    });
    chart.panel(top, "sick shard: failed operations per second", failures, &curves);
    top += PANEL_HEIGHT + GAP;
    let strips = strips(record, chart.seconds);
    let title = "what Bulkhead says: state by cluster, stage of the sick one";
    chart.strips(top, title, &strips, colour_of_state);
    top += strips_height(4) + 6.0;
    chart.legend(top, &LEGEND);
    chart.list(top + 34.0, &lines_of(record));
}

/// Draws the cases side by side, with the same scales.
pub fn draw(records: &[&Record]) -> String {
    let list = records.iter().map(|record| lines_of(record).len()).max().unwrap_or(0);
    let height = TOP + 3.0 * (PANEL_HEIGHT + GAP) + strips_height(4) + 60.0 + list as f64 * LINE_HEIGHT;
    let width = records.len().max(1) as f64 * (PANEL_WIDTH + AXIS_WIDTH) + 30.0;
    let throughput = Scale::Linear(top_of(records, |second| f64::from(second.operations())));
    let failures = Scale::Linear(top_of(records, |second| f64::from(second.failures())));
    picture(width, height, |out| {
        for (at, record) in records.iter().enumerate() {
            let longest = record.series.iter().map(|series| series.seconds.len()).max();
            let mut chart = Chart {
                left: AXIS_WIDTH + at as f64 * (PANEL_WIDTH + AXIS_WIDTH),
                seconds: longest.unwrap_or(0).max(1) as f64,
                shade: (record.onset_s, record.disturbed.to_s as f64),
                marks_s: record.marks.iter().map(|mark| mark.at_s).collect(),
                out,
            };
            draw_column(&mut chart, record, throughput, failures);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::record::{Change, Health, Protection};
    use crate::incident::series::{Note, Span};

    fn record() -> Record {
        let mut series: Vec<Series> = ["c1", "c2", "c3"].map(Series::new).into();
        for at in 0..60 {
            for (number, series) in series.iter_mut().enumerate() {
                (0..10 * (number + 1)).for_each(|_| series.note(f64::from(at), Note::Read));
                series.time(f64::from(at), 0.002, false);
            }
        }
        series.iter_mut().for_each(Series::finish);
        let health = Health { state: "degraded".into(), stage: "limited".into(), signal: "heartbeat".into() };
        Record {
            name: "flood_on".to_owned(),
            protection: Protection::FailOver,
            sick: "c1".to_owned(),
            onset_s: 20.0,
            calm: vec![Span { from_s: 0, to_s: 20 }],
            disturbed: Span { from_s: 20, to_s: 50 },
            marks: vec![Mark { at_s: 20.0, what: "onset: <flood> & stall".to_owned() }],
            events: vec![Mark { at_s: 23.0, what: "c1 limited".to_owned() }],
            series,
            changes: vec![Change { at_s: 22.5, cluster: "c1".to_owned(), health }],
            cpu: Vec::new(),
            flood: None,
            ledger: super::super::ledger::Verdict::default(),
            writable_servers: 1,
            what_runs: Vec::new(),
        }
    }

    #[test]
    fn the_picture_is_well_formed_and_shows_everything() {
        let (one, two) = (record(), record());
        let svg = draw(&[&one, &two]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for words in ["protection on, failover too", "p99 of answered", "refused", "degraded", "limited"] {
            assert_eq!(svg.matches(words).count() % 2, 0, "{words}");
            assert!(svg.contains(words), "{words}");
        }
        assert!(svg.contains("onset: &lt;flood&gt; &amp; stall") && svg.contains("c1 limited"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Three curves in each of three panels, twice.
        assert_eq!(svg.matches("<path ").count(), 18);
        let opened = svg.matches("<text ").count();
        assert_eq!(svg.matches("</text>").count(), opened);
    }

    #[test]
    fn nothing_to_draw_is_no_panic() {
        let mut empty = record();
        empty.series.clear();
        empty.changes.clear();
        assert!(draw(&[&empty]).contains("</svg>"));
        assert!(draw(&[]).contains("</svg>"));
    }

    #[test]
    fn runs_join_what_stays_the_same() {
        let mut busy = record();
        let mut change = |at_s, signal: &str, state: &str| {
            let health = Health { state: state.into(), stage: "limited".into(), signal: signal.into() };
            busy.changes.push(Change { at_s, cluster: "c1".to_owned(), health });
        };
        change(24.0, "slow_writes", "degraded");
        change(30.0, "", "suspect");
        assert_eq!(runs(&busy, "c1", false, 60.0), [("degraded", 22.5, 30.0), ("suspect", 30.0, 60.0)]);
        assert_eq!(runs(&busy, "c1", true, 60.0), [("limited", 22.5, 60.0)]);
        assert_eq!(colour_of_state("drained"), "#cb4335");
        assert_eq!(colour_of_state("unknown"), "#d0d3d4");
    }

    #[test]
    fn long_lists_are_cut() {
        let mut busy = record();
        busy.events = (0..100).map(|at| Mark { at_s: f64::from(at), what: "x".repeat(500) }).collect();
        let lines = lines_of(&busy);
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert!(lines.iter().all(|line| line.chars().count() <= LINE_CHARS_MAX));
    }
}
