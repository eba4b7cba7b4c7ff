//! The picture of a case, or of several side by side: throughput, p99, failures, states, over time. Pure.
//!
//! One column per case, one row per panel, a list of what happened below. Plain SVG without script or font
//! files.

use std::fmt::Write as _;

use super::record::{Mark, Record};
use super::series::{Second, Series};

/// Width of a column's panels, pixels.
const PANEL_WIDTH: f64 = 620.0;
/// Height of a panel with curves.
const PANEL_HEIGHT: f64 = 150.0;
/// Height of a strip of states.
const STRIP_HEIGHT: f64 = 16.0;
/// Left of a panel: its axis.
const AXIS_WIDTH: f64 = 70.0;
/// Between panels, for titles and numbers.
const GAP: f64 = 38.0;
const TOP: f64 = 64.0;
/// Height of a line of text in the list of events.
const LINE_HEIGHT: f64 = 15.0;
/// Lines of that list, at most.
const LINES_MAX: usize = 40;
/// Characters of such a line, at most.
const LINE_CHARS_MAX: usize = 96;

/// Clusters' colours, in order.
const CLUSTER_COLOURS: [&str; 3] = ["#c0392b", "#2471a3", "#1e8449"];
const REFUSED: &str = "#e67e22";
const UNKNOWN: &str = "#6c3483";
const DISCONNECTED: &str = "#7f8c8d";

/// States and stages with their colours, from well to ill; what has the same colour is separated by commas.
const LEGEND: [(&str, &str); 8] = [
    ("healthy, open", "#d5f5e3"),
    ("suspect, contained", "#fcf3cf"),
    ("degraded, limited", "#f5b041"),
    ("draining", "#dc7633"),
    ("down, drained", "#cb4335"),
    ("failing over", "#8e44ad"),
    ("ramping", "#85c1e9"),
    ("no answer", "#d0d3d4"),
];

fn colour_of_state(state: &str) -> &'static str {
    let found = LEGEND.iter().find(|(words, _)| words.split(", ").any(|word| word == state));
    found.map_or(LEGEND[LEGEND.len() - 1].1, |(_, colour)| colour)
}

fn escaped(text: &str) -> String {
    let replaced = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    replaced.replace('"', "&quot;").chars().filter(|c| !c.is_control()).collect()
}

/// A curve's value in a second; none where there is nothing to show.
type Curve<'a> = (&'a str, String, Box<dyn Fn(usize) -> Option<f64> + 'a>);

/// A kind of failure: its colour, its name, and how many there were in a second.
type Failed = (&'static str, &'static str, fn(&Second) -> u32);

/// The vertical axis of a panel.
#[derive(Clone, Copy)]
enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// By powers of ten between these two.
    Log(f64, f64),
}

impl Scale {
    /// From 0 (bottom) to 1 (top).
    fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear(top) => value / top,
            Self::Log(low, high) => (value.max(low) / low).log10() / (high / low).log10(),
        };
        place.clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(top) => (0..=4).map(|at| top * f64::from(at) / 4.0).collect(),
            Self::Log(low, high) => {
                let count = (high / low).log10().round() as i32;
                (0..=count).map(|at| low * 10_f64.powi(at)).collect()
            }
        }
    }
}

/// The next number of the form 1, 2, 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(power * 10.0)
}

/// Seconds between two ticks of the time axis.
fn time_step(seconds: f64) -> f64 {
    [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0]
        .into_iter()
        .find(|step| seconds / step <= 12.0)
        .unwrap_or(600.0)
}

/// One column.
struct Column<'a> {
    record: &'a Record,
    left: f64,
    seconds: f64,
    out: &'a mut String,
}

impl Column<'_> {
    fn x(&self, at_s: f64) -> f64 {
        self.left + at_s.clamp(0.0, self.seconds) / self.seconds * PANEL_WIDTH
    }

    fn text(&mut self, x: f64, y: f64, more: &str, text: &str) {
        let _ = writeln!(self.out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {more}>{}</text>", escaped(text));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), more: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ =
            writeln!(self.out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {more}/>");
    }

    fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), more: &str) {
        let _ = writeln!(
            self.out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {more}/>"
        );
    }

    /// The shade of the disturbed span, marks, and the time axis below.
    fn frame(&mut self, top: f64, height: f64) {
        let disturbed = self.record.disturbed;
        let (from, to) = (self.x(self.record.onset_s), self.x(disturbed.to_s as f64));
        self.rect((from, top), (to - from, height), "fill=\"#fdf2e9\"");
        self.rect((self.left, top), (PANEL_WIDTH, height), "fill=\"none\" stroke=\"#999\"");
        let (step, end) = (time_step(self.seconds), self.seconds);
        for tick in (0..).map(|at| f64::from(at) * step).take_while(|tick| *tick <= end) {
            let x = self.x(tick);
            self.line((x, top + height), (x, top + height + 3.0), "stroke=\"#666\"");
            self.text(
                x,
                top + height + 14.0,
                "text-anchor=\"middle\" class=\"small\"",
                &format!("{tick:.0}"),
            );
        }
        for (number, mark) in self.record.marks.iter().enumerate() {
            let x = self.x(mark.at_s);
            self.line((x, top), (x, top + height), "stroke=\"#555\" stroke-dasharray=\"3 3\"");
            let at = number + 1;
            self.text(x + 2.0, top + 10.0, "class=\"small\"", &at.to_string());
        }
    }

    fn panel(&mut self, top: f64, title: &str, scale: Scale, curves: &[Curve<'_>]) {
        self.frame(top, PANEL_HEIGHT);
        self.text(self.left, top - 6.0, "class=\"title\"", title);
        for tick in scale.ticks() {
            let y = top + PANEL_HEIGHT * (1.0 - scale.place(tick));
            self.line((self.left - 3.0, y), (self.left + PANEL_WIDTH, y), "stroke=\"#ddd\"");
            let words = if tick >= 1.0 || tick == 0.0 { format!("{tick:.0}") } else { format!("{tick}") };
            self.text(self.left - 6.0, y + 4.0, "text-anchor=\"end\" class=\"small\"", &words);
        }
        let mut legend = self.left + PANEL_WIDTH;
        for (colour, name, value) in curves.iter().rev() {
            legend -= 16.0 + 6.5 * name.len() as f64;
            self.line((legend - 12.0, top - 10.0), (legend - 2.0, top - 10.0), &stroke(colour));
            self.text(legend, top - 6.0, "class=\"small\"", name);
            self.curve(top, scale, colour, value.as_ref());
        }
    }

    fn curve(&mut self, top: f64, scale: Scale, colour: &str, value: &dyn Fn(usize) -> Option<f64>) {
        let mut path = String::new();
        let mut is_down = false;
        for second in 0..self.seconds as usize {
            let Some(value) = value(second) else {
                is_down = false;
                continue;
            };
            let (x, y) = (self.x(second as f64 + 0.5), top + PANEL_HEIGHT * (1.0 - scale.place(value)));
            let _ = write!(path, "{}{x:.1} {y:.1} ", if is_down { 'L' } else { 'M' });
            is_down = true;
        }
        let _ = writeln!(self.out, "<path d=\"{path}\" fill=\"none\" {}/>", stroke(colour));
    }

    /// One strip per cluster for its state, and one for the sick one's stage.
    fn strips(&mut self, top: f64) {
        self.text(
            self.left,
            top - 6.0,
            "class=\"title\"",
            "what Bulkhead says: state by cluster, stage of the sick one",
        );
        let clusters: Vec<String> = self.record.series.iter().map(|series| series.cluster.clone()).collect();
        let sick = self.record.sick.clone();
        let mut strips: Vec<(String, String, bool)> =
            clusters.into_iter().map(|cluster| (cluster.clone(), cluster, false)).collect();
        strips.push((format!("{sick} stage"), sick, true));
        let height = strips.len() as f64 * (STRIP_HEIGHT + 3.0);
        for (row, (name, cluster, is_stage)) in strips.into_iter().enumerate() {
            let y = top + row as f64 * (STRIP_HEIGHT + 3.0);
            self.text(self.left - 6.0, y + 12.0, "text-anchor=\"end\" class=\"small\"", &name);
            self.strip(y, &cluster, is_stage);
        }
        self.frame_of_strips(top, height);
    }

    fn frame_of_strips(&mut self, top: f64, height: f64) {
        for mark in &self.record.marks {
            let x = self.x(mark.at_s);
            self.line((x, top), (x, top + height), "stroke=\"#555\" stroke-dasharray=\"3 3\"");
        }
    }

    fn strip(&mut self, y: f64, cluster: &str, is_stage: bool) {
        for (word, from_s, to_s) in runs(self.record, cluster, is_stage, self.seconds) {
            let (from, to) = (self.x(from_s), self.x(to_s));
            self.rect((from, y), (to - from, STRIP_HEIGHT), &format!("fill=\"{}\"", colour_of_state(word)));
            if to - from > 6.5 * word.len() as f64 {
                self.text(from + 3.0, y + 12.0, "class=\"small\"", word);
            }
        }
    }

    /// What the strips' colours mean.
    fn colours(&mut self, top: f64) {
        let mut x = self.left;
        for (words, colour) in LEGEND {
            self.rect((x, top), (10.0, 10.0), &format!("fill=\"{colour}\" stroke=\"#999\""));
            self.text(x + 13.0, top + 9.0, "class=\"small\"", words);
            x += 24.0 + 5.6 * words.len() as f64;
        }
    }

    /// What happened, as a list.
    fn list(&mut self, top: f64) {
        let record = self.record;
        for (row, line) in lines_of(record).iter().enumerate() {
            self.text(self.left, top + row as f64 * LINE_HEIGHT, "class=\"small\"", line);
        }
    }
}

/// What Bulkhead said of a cluster, and from when to when, without changes that leave the word the same.
fn runs<'a>(record: &'a Record, cluster: &str, is_stage: bool, end_s: f64) -> Vec<(&'a str, f64, f64)> {
    let mut runs: Vec<(&str, f64, f64)> = Vec::new();
    for change in record.changes.iter().filter(|change| change.cluster == cluster) {
        let word = if is_stage { change.health.stage.as_str() } else { change.health.state.as_str() };
        match runs.last_mut() {
            Some((last, ..)) if *last == word => {}
            Some((.., to)) => {
                *to = change.at_s;
                runs.push((word, change.at_s, end_s));
            }
            None => runs.push((word, change.at_s, end_s)),
        }
    }
    runs
}

fn stroke(colour: &str) -> String {
    format!("stroke=\"{colour}\" stroke-width=\"1.4\"")
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

fn curve_of<'a>(series: &'a Series, at: usize, value: impl Fn(&Second) -> Option<f64> + 'a) -> Curve<'a> {
    let colour = CLUSTER_COLOURS[at % CLUSTER_COLOURS.len()];
    (colour, series.cluster.clone(), Box::new(move |second| series.seconds.get(second).and_then(&value)))
}

fn top_of(records: &[&Record], value: impl Fn(&Second) -> f64) -> f64 {
    let seconds = records.iter().flat_map(|record| &record.series).flat_map(|series| &series.seconds);
    round_up(seconds.map(value).fold(1.0, f64::max))
}

fn draw_column(column: &mut Column<'_>, throughput: Scale, failures: Scale) {
    let record = column.record;
    let title = format!("{}: {} ({} falls ill)", record.name, record.protection.words(), record.sick);
    column.text(column.left, TOP - 28.0, "class=\"head\"", &title);
    let series = || record.series.iter().enumerate();
    let mut top = TOP;
    let operations: Vec<Curve<'_>> = series()
        .map(|(at, series)| curve_of(series, at, |second| Some(f64::from(second.operations()))))
        .collect();
    column.panel(top, "operations answered per second", throughput, &operations);
    top += PANEL_HEIGHT + GAP;
    let answered = |second: &Second| (second.p99_us > 0.0).then_some(second.p99_us / 1e3);
    let p99: Vec<Curve<'_>> = series().map(|(at, series)| curve_of(series, at, answered)).collect();
    column.panel(top, "p99 of answered statements, ms (logarithmic)", Scale::Log(0.1, 100_000.0), &p99);
    top += PANEL_HEIGHT + GAP;
    let failed: [Failed; 3] = [
        (REFUSED, "refused", |second| second.refused),
        (UNKNOWN, "unknown", |second| second.unknown),
        (DISCONNECTED, "disconnected", |second| second.disconnected),
    ];
    let curves: Vec<Curve<'_>> = record.of_sick().map_or(Vec::new(), |sick| {
        let one = |(colour, name, of): Failed| -> Curve<'_> {
            let value = move |second: usize| sick.seconds.get(second).map(|second| f64::from(of(second)));
            (colour, name.to_owned(), Box::new(value))
        };
        failed.into_iter().map(one).collect()
    });
    column.panel(top, "sick shard: failed operations per second", failures, &curves);
    top += PANEL_HEIGHT + GAP;
    column.strips(top);
    top += 4.0 * (STRIP_HEIGHT + 3.0) + 6.0;
    column.colours(top);
    column.list(top + 34.0);
}

/// Draws the cases side by side, with the same scales.
pub fn draw(records: &[&Record]) -> String {
    let list = records.iter().map(|record| lines_of(record).len()).max().unwrap_or(0);
    let height =
        TOP + 3.0 * (PANEL_HEIGHT + GAP) + 4.0 * (STRIP_HEIGHT + 3.0) + 60.0 + list as f64 * LINE_HEIGHT;
    let width = records.len().max(1) as f64 * (PANEL_WIDTH + AXIS_WIDTH) + 30.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.small{{font-size:10.5px}}.title{{font-size:12px;font-weight:bold}}\
         .head{{font-size:15px;font-weight:bold}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let throughput = Scale::Linear(top_of(records, |second| f64::from(second.operations())));
    let failures = Scale::Linear(top_of(records, |second| f64::from(second.failures())));
    for (at, record) in records.iter().enumerate() {
        let seconds =
            record.series.iter().map(|series| series.seconds.len()).max().unwrap_or(0).max(1) as f64;
        let left = AXIS_WIDTH + at as f64 * (PANEL_WIDTH + AXIS_WIDTH);
        draw_column(&mut Column { record, left, seconds, out: &mut out }, throughput, failures);
    }
    out.push_str("</svg>\n");
    out
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
    fn axes_have_round_ends() {
        assert_eq!([0.0, 1.0, 3.0, 480.0, 501.0].map(round_up), [1.0, 1.0, 5.0, 500.0, 1_000.0]);
        assert_eq!(Scale::Log(0.1, 100.0).ticks().len(), 4);
        assert_eq!(Scale::Log(0.1, 100.0).place(0.0001), 0.0);
        assert_eq!(Scale::Linear(10.0).place(5.0), 0.5);
        assert_eq!(time_step(100.0), 10.0);
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
