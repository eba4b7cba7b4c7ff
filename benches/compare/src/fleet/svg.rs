//! The picture of a case, or of several side by side: databases done, p99 of writes, statements, the share of
//! the budget, states, over time. Pure.

use super::record::{Record, Seen};
use super::said::Lane;
use crate::incident::record::Mark;
use crate::incident::svg::colour_of_state;
use crate::picture::{
    AXIS_WIDTH, CLUSTER_COLOURS, Chart, Curve, GAP, LINE_HEIGHT, PANEL_HEIGHT, PANEL_WIDTH, Run, Scale, TOP,
    joined, picture, round_up, strips_height,
};

/// Lines of the list of events, at most.
const LINES_MAX: usize = 30;
/// Characters of such a line, at most.
const LINE_CHARS_MAX: usize = 96;
/// Strips: health and lane of each cluster, and the migration.
const STRIPS: usize = 7;
/// Panels with curves.
const PANELS: usize = 4;

const CHANGED: &str = "#7f8c8d";
const UNRELATED: &str = "#c0392b";
const ALL: &str = "#7f8c8d";
const SCHEMA: &str = "#8e44ad";

/// Colours of what is said of lanes and migrations, by the last word.
const COLOURS: [(&str, &str); 9] = [
    ("open", "#d5f5e3"),
    ("closed", "#f5b041"),
    ("working", "#d5f5e3"),
    ("soaking", "#fcf3cf"),
    ("queued", "#fcf3cf"),
    ("waits_for_later", "#fcf3cf"),
    ("still", "#85c1e9"),
    ("none", "#ffffff"),
    ("answer", "#d0d3d4"),
];

fn colour_of(words: &str) -> &'static str {
    let last = words.rsplit(' ').next().unwrap_or_default();
    let found = COLOURS.iter().find(|(word, _)| *word == last);
    found.map_or_else(|| colour_of_state(words), |(_, colour)| colour)
}

/// `open` or `closed`.
fn lane_word(lane: &Lane) -> &str {
    lane.lane.split(':').next().unwrap_or_default()
}

fn strips(record: &Record, end_s: f64) -> Vec<(String, Vec<Run<'_>>)> {
    let mut strips: Vec<(String, Vec<Run<'_>>)> = Vec::new();
    for cluster in record.counted.iter().map(|own| own.cluster.as_str()) {
        let own = record.health.iter().filter(|change| change.cluster == cluster);
        let health = joined(own.map(|change| (change.health.state.as_str(), change.at_s)), end_s);
        strips.push((cluster.to_owned(), health));
    }
    for cluster in record.counted.iter().map(|own| own.cluster.as_str()) {
        let own = record.said.lanes.iter().filter(|lane| lane.cluster == cluster);
        strips.push((format!("{cluster} lane"), joined(own.map(|lane| (lane_word(lane), lane.at_s)), end_s)));
    }
    let said = record.said.standings.iter().map(|standing| (standing.words.as_str(), standing.at_s));
    strips.push(("migration".to_owned(), joined(said, end_s)));
    strips
}

fn curve(colour: &'static str, name: &str, points: Vec<(f64, Option<f64>)>) -> Curve {
    Curve { colour, name: name.to_owned(), points }
}

/// Changed databases, a curve for each cluster.
fn done(record: &Record) -> Vec<Curve> {
    let clusters = record.counted.iter().zip(CLUSTER_COLOURS.iter().cycle());
    let points =
        |changed: &[(f64, u64)]| changed.iter().map(|(at, count)| (*at, Some(*count as f64))).collect();
    clusters.map(|(own, colour)| curve(colour, &own.cluster, points(&own.changed))).collect()
}

fn p99(record: &Record) -> Vec<Curve> {
    let colour = |seen: &Seen| if seen.group == "unrelated" { UNRELATED } else { CHANGED };
    record.seen.iter().map(|seen| curve(colour(seen), seen.group, seen.p99_ms.clone())).collect()
}

fn statements(record: &Record) -> Vec<Curve> {
    let all = record.statements.iter().map(|(at, all, _)| (*at, *all)).collect();
    let schema = record.statements.iter().map(|(at, _, schema)| (*at, *schema)).collect();
    vec![curve(ALL, "all", all), curve(SCHEMA, "of tables", schema)]
}

/// What of each cluster's budget is used: steps.
fn shares(record: &Record, end_s: f64) -> Vec<Curve> {
    let clusters = record.counted.iter().zip(CLUSTER_COLOURS.iter().cycle());
    let of = |cluster: &str| {
        let mut points: Vec<(f64, Option<f64>)> = Vec::new();
        for lane in record.said.of(cluster) {
            let before = points.last().and_then(|(_, share)| *share);
            points.extend(before.map(|share| (lane.at_s, Some(share))));
            points.push((lane.at_s, Some(lane.pace())));
        }
        let last = points.last().and_then(|(_, share)| *share);
        points.extend(last.map(|share| (end_s, Some(share))));
        points
    };
    clusters.map(|(own, colour)| curve(colour, &own.cluster, of(&own.cluster))).collect()
}

/// Our own marks with their numbers, then Bulkhead's events.
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

fn draw_column(chart: &mut Chart<'_>, record: &Record, databases: f64) {
    let title = format!("{}: {}", record.name, record.words);
    chart.text(chart.left, TOP - 28.0, "class=\"head\"", &title);
    let end_s = chart.seconds;
    let panels: [(&str, Scale, Vec<Curve>); PANELS] = [
        ("databases changed, by cluster", Scale::Linear(databases), done(record)),
        ("p99 of writes, ms (logarithmic)", Scale::Log(0.1, 100_000.0), p99(record)),
        ("statements per second (logarithmic)", Scale::Log(1.0, 10_000.0), statements(record)),
        ("share of each cluster's budget in use", Scale::Linear(1.0), shares(record, end_s)),
    ];
    let mut top = TOP;
    for (title, scale, curves) in &panels {
        chart.panel(top, title, *scale, curves);
        top += PANEL_HEIGHT + GAP;
    }
    let title = "what Bulkhead says: health and lane by cluster, the migration";
    chart.strips(top, title, &strips(record, end_s), colour_of);
    top += strips_height(STRIPS) + 20.0;
    chart.list(top, &lines_of(record));
}

/// Draws the cases side by side. Each has its own time axis: they take seconds to an hour.
pub fn draw(records: &[&Record]) -> String {
    let list = records.iter().map(|record| lines_of(record).len()).max().unwrap_or(0);
    let height =
        TOP + PANELS as f64 * (PANEL_HEIGHT + GAP) + strips_height(STRIPS) + 40.0 + list as f64 * LINE_HEIGHT;
    let width = records.len().max(1) as f64 * (PANEL_WIDTH + AXIS_WIDTH) + 30.0;
    let counts = records.iter().flat_map(|record| &record.counted).flat_map(|own| &own.changed);
    let databases = round_up(counts.map(|(_, count)| *count as f64).fold(1.0, f64::max));
    picture(width, height, |out| {
        for (at, record) in records.iter().enumerate() {
            let mut chart = Chart {
                left: AXIS_WIDTH + at as f64 * (PANEL_WIDTH + AXIS_WIDTH),
                seconds: record.calm.last().map_or(1, |span| span.to_s).max(1) as f64,
                shade: record.change_s,
                marks_s: record.marks.iter().map(|mark| mark.at_s).collect(),
                out,
            };
            draw_column(&mut chart, record, databases);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::cases::Case;
    use crate::fleet::fixture::record;

    #[test]
    fn the_picture_is_well_formed_and_shows_everything() {
        let (direct, stall) = (record(Case::Direct), record(Case::Stall));
        let svg = draw(&[&direct, &stall]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for words in
            ["databases changed", "p99 of writes", "of tables", "suspect", "closed", "active working"]
        {
            assert!(svg.contains(words), "{words}");
        }
        assert!(svg.contains("c1 &lt;contained&gt;") && svg.contains("ALTER TABLE by 16 workers"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Three clusters, two groups, two kinds of statements, three clusters; twice.
        assert_eq!(svg.matches("<path ").count(), 20);
        assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
    }

    #[test]
    fn nothing_to_draw_is_no_panic() {
        let mut empty = record(Case::Undisturbed);
        empty.counted.clear();
        empty.calm.clear();
        empty.seen.clear();
        assert!(draw(&[&empty]).contains("</svg>"));
        assert!(draw(&[]).contains("</svg>"));
    }

    #[test]
    fn states_have_colours() {
        assert_eq!(colour_of("active soaking"), "#fcf3cf");
        assert_eq!(colour_of("no answer"), "#d0d3d4");
        assert_eq!(colour_of("degraded"), colour_of_state("degraded"));
        assert_eq!(lane_word(&crate::fleet::fixture::Told::closed(1.0)), "closed");
    }

    #[test]
    fn shares_are_steps() {
        let curves = shares(&record(Case::Stall), 180.0);
        let steps = [(31.0, 0.5), (61.0, 0.5), (61.0, 0.0), (87.0, 0.0), (87.0, 0.5), (180.0, 0.5)];
        assert_eq!(curves[0].points, steps.map(|(at, share)| (at, Some(share))));
        assert!(curves[1].points.is_empty());
    }
}
