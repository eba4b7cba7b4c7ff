//! What runs come to: the table, the bars, and numbers beside them.

use std::fmt::Write as _;

use serde::Serialize;

use super::options::Scenario;
use super::samples::Parts;
use super::tools::Tool;
use crate::client::Table;
use crate::report::{Bar, Measure, Side, median};

/// Rows per second, idle: as many times those of the other tool, at least.
const FASTER: [(Tool, f64); 2] = [(Tool::PtOsc, 3.0), (Tool::GhOst, 2.0)];
/// p99 of writes beside a change : undisturbed, at most.
const P99_RATIO_MAX: f64 = 1.5;
/// Longest time for which writers wait around the exchange, p99 over exchanges, milliseconds.
const PAUSE_MS_MAX: f64 = 250.0;
/// A table of one chunk, milliseconds.
const SMALL_MS_MAX: f64 = 60.0;

/// What writers saw of a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadSeen {
    /// Before and behind it.
    pub undisturbed: Parts,
    /// Before it.
    pub before: Parts,
    /// Behind it.
    pub after: Parts,
    /// Beside it.
    pub during: Parts,
    /// Longest time for which writers of the changed table waited, milliseconds.
    pub pause_ms: f64,
    /// Writes that an error answered.
    pub refused: u64,
    /// The first of these errors.
    pub first_error: Option<String>,
}

impl LoadSeen {
    fn p99_ratio(&self) -> f64 {
        self.during.all.p99_ms / self.undisturbed.all.p99_ms
    }
}

/// What Bulkhead says of a change, `SHOW MIGRATION`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    /// Share of the rows that were compared, percent.
    pub compared_percent: Option<f64>,
    /// How long the exchange held the table's statements, milliseconds.
    pub swap_ms: Option<f64>,
    /// How often it tried to exchange the tables.
    pub attempts: Option<f64>,
}

impl Account {
    /// Reads the answer: a name and a value in each row.
    pub fn read(facts: &Table) -> Self {
        let number = |name: &str| {
            let row = facts.rows.iter().find(|row| row.first().and_then(Option::as_deref) == Some(name))?;
            row.get(1)?.as_deref()?.parse().ok()
        };
        Self {
            compared_percent: number("compared_percent"),
            swap_ms: number("swap_ms"),
            attempts: number("attempts"),
        }
    }
}

/// One change that was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    /// The scenario.
    pub scenario: &'static str,
    /// The tool.
    pub system: &'static str,
    /// Which time.
    pub round: u32,
    /// Rows of the table before.
    pub rows: u64,
    /// From the statement, or the start of the program, to its end.
    pub seconds: f64,
    /// Rows by seconds.
    pub rows_per_second: f64,
    /// CPU time of the server meanwhile, seconds; the load's statements are in it.
    pub server_cpu_s: f64,
    /// What Bulkhead says of it.
    pub account: Option<Account>,
    /// What writers saw, if there were any.
    pub load: Option<LoadSeen>,
    /// How the table differs from what it must be.
    pub faults: Vec<String>,
}

impl Run {
    /// For the terminal, as it goes.
    pub fn line(&self) -> String {
        let mut line = format!(
            "{}, round {}, {}: {:.3} s, {:.0} rows/s",
            self.scenario, self.round, self.system, self.seconds, self.rows_per_second
        );
        if let Some(load) = &self.load {
            let _ = write!(
                line,
                ", p99 {:.2} ms : {:.2} ms undisturbed, pause {:.0} ms, {} refused",
                load.during.all.p99_ms, load.undisturbed.all.p99_ms, load.pause_ms, load.refused
            );
        }
        if !self.faults.is_empty() {
            let _ = write!(line, ", {} FAULTS", self.faults.len());
        }
        line
    }
}

/// The value that this share (0 to 1) of the values do not exceed. NaN without values.
fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn of(runs: &[Run], scenario: Scenario, tool: Tool) -> impl Iterator<Item = &Run> + Clone {
    runs.iter().filter(move |run| run.scenario == scenario.name() && run.system == tool.name())
}

/// Median over the rounds of Bulkhead's rows per second by another tool's.
fn speed_ratio(runs: &[Run], scenario: Scenario, tool: Tool) -> Option<f64> {
    let of_round = |round: u32| of(runs, scenario, tool).find(|run| run.round == round);
    let own = of(runs, scenario, Tool::Bulkhead);
    let ratios = own.filter_map(|run| Some(run.rows_per_second / of_round(run.round)?.rows_per_second));
    let ratio = median(ratios);
    ratio.is_finite().then_some(ratio)
}

fn p99_ratio(runs: &[Run], tool: Tool) -> Option<f64> {
    let loads = of(runs, Scenario::Load, tool).filter_map(|run| run.load.as_ref());
    let ratio = median(loads.map(LoadSeen::p99_ratio));
    ratio.is_finite().then_some(ratio)
}

fn pauses(runs: &[Run], tool: Tool) -> Vec<f64> {
    let loads = of(runs, Scenario::CutOver, tool).filter_map(|run| run.load.as_ref());
    loads.map(|load| load.pause_ms).collect()
}

fn small_ms(runs: &[Run], tool: Tool) -> Vec<f64> {
    of(runs, Scenario::Small, tool).map(|run| run.seconds * 1_000.0).collect()
}

/// The promises that the runs can judge, in order.
pub fn bars(runs: &[Run]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (tool, bound) in FASTER {
        let name = format!("rows per second, idle, checksum included : {}", tool.name());
        let ratio = speed_ratio(runs, Scenario::Idle, tool);
        bars.extend(ratio.map(|ratio| Bar::new(name, ratio, "x", Side::Least, bound)));
    }
    let ratio = p99_ratio(runs, Tool::Bulkhead);
    let name = "p99 of writes beside a change : undisturbed";
    bars.extend(ratio.map(|ratio| Bar::new(name, ratio, "x", Side::Most, P99_RATIO_MAX)));
    let pauses = pauses(runs, Tool::Bulkhead);
    if !pauses.is_empty() {
        let name = format!("longest wait of writers around the cut-over, p99 of {}", pauses.len());
        bars.push(Bar::new(name, quantile(pauses, 0.99), "ms", Side::Most, PAUSE_MS_MAX));
    }
    let small = small_ms(runs, Tool::Bulkhead);
    if !small.is_empty() {
        let of = |words: &str| format!("table of one chunk, end to end, {words} of {}", small.len());
        bars.push(Bar::new(of("median"), median(small.iter().copied()), "ms", Side::Most, SMALL_MS_MAX));
        let p99 = quantile(small.iter().copied(), 0.99);
        bars.push(Bar::new(of("p99"), p99, "ms", Side::Most, SMALL_MS_MAX));
    }
    let own: Vec<&Run> = runs.iter().filter(|run| run.system == Tool::Bulkhead.name()).collect();
    if !own.is_empty() {
        let wrong = own.iter().filter(|run| !run.faults.is_empty()).count();
        let name = format!("tables that are not what they must be, of {}", own.len());
        bars.push(Bar::new(name, wrong as f64, "tables", Side::Most, 0.0));
    }
    bars
}

/// Numbers without a bar, of every tool.
pub fn measures(runs: &[Run]) -> Vec<Measure> {
    let mut sheet = Sheet::default();
    for tool in Tool::ALL {
        speeds(&mut sheet, runs, tool);
        loads(&mut sheet, runs, tool);
        let pauses = pauses(runs, tool);
        let small = small_ms(runs, tool);
        let mut pair = |scenario: Scenario, what: &str, values: Vec<f64>| {
            let middle = median(values.iter().copied());
            sheet.add(scenario, format!("{what}, median, {}", tool.name()), middle, "ms");
            sheet.add(scenario, format!("{what}, p99, {}", tool.name()), quantile(values, 0.99), "ms");
        };
        pair(Scenario::CutOver, "longest wait of writers", pauses);
        let swaps = of(runs, Scenario::CutOver, tool).filter_map(|run| run.account.as_ref()?.swap_ms);
        pair(Scenario::CutOver, "exchange by its own account", swaps.collect());
        pair(Scenario::Small, "end to end", small);
    }
    sheet.0
}

#[derive(Default)]
struct Sheet(Vec<Measure>);

impl Sheet {
    /// Notes a number, if it was measured.
    fn add(&mut self, scenario: Scenario, name: String, value: f64, unit: &'static str) {
        if value.is_finite() {
            self.0.push(Measure { scenario: scenario.name().to_owned(), name, value, unit });
        }
    }
}

fn speeds(sheet: &mut Sheet, runs: &[Run], tool: Tool) {
    let name = tool.name();
    for scenario in [Scenario::Idle, Scenario::Load] {
        if tool != Tool::Bulkhead {
            let ratio = speed_ratio(runs, scenario, tool).unwrap_or(f64::NAN);
            sheet.add(scenario, format!("rows per second, bulkhead : {name}"), ratio, "x");
        }
        let cpu = median(of(runs, scenario, tool).map(|run| run.server_cpu_s));
        sheet.add(scenario, format!("CPU time of the server, {name}"), cpu, "s");
    }
}

/// Words, and a number of one load.
type Ratio = (&'static str, fn(&LoadSeen) -> f64);

fn loads(sheet: &mut Sheet, runs: &[Run], tool: Tool) {
    let name = tool.name();
    let middle = |field: fn(&LoadSeen) -> f64| {
        median(of(runs, Scenario::Load, tool).filter_map(|run| Some(field(run.load.as_ref()?))))
    };
    let ratios: [Ratio; 4] = [
        ("p99 of writes beside a change : undisturbed", LoadSeen::p99_ratio),
        ("the same, of the changed table", |load| {
            load.during.changed.p99_ms / load.undisturbed.changed.p99_ms
        }),
        ("the same, of another table", |load| load.during.other.p99_ms / load.undisturbed.other.p99_ms),
        ("p99 behind the change : before it", |load| load.after.all.p99_ms / load.before.all.p99_ms),
    ];
    for (words, field) in ratios {
        sheet.add(Scenario::Load, format!("{words}, {name}"), middle(field), "x");
    }
    let wait = middle(|load| load.pause_ms);
    sheet.add(Scenario::Load, format!("longest wait of writers of the table, {name}"), wait, "ms");
    for scenario in [Scenario::Load, Scenario::CutOver] {
        let refused = of(runs, scenario, tool).filter_map(|run| Some(run.load.as_ref()?.refused));
        if refused.clone().next().is_some() {
            let sum = refused.sum::<u64>() as f64;
            sheet.add(scenario, format!("writes answered with an error, {name}"), sum, "writes");
        }
    }
}

/// Lines of a table: one for each scenario and tool.
pub fn table(runs: &[Run]) -> String {
    let mut text = format!(
        "{:<10}{:<10}{:>6}{:>10}{:>10}{:>18}{:>10}{:>10}{:>10}{:>10}{:>9}\n",
        "scenario",
        "tool",
        "times",
        "rows",
        "rows/s",
        "(min-max)",
        "seconds",
        "p99 calm",
        "p99 then",
        "wait ms",
        "refused"
    );
    for scenario in Scenario::ALL {
        for tool in Tool::ALL {
            let all: Vec<&Run> = of(runs, scenario, tool).collect();
            if !all.is_empty() {
                put_line(&mut text, &all);
            }
        }
    }
    text
}

fn put_line(text: &mut String, runs: &[&Run]) {
    let middle = |field: fn(&Run) -> f64| median(runs.iter().map(|run| field(run)));
    let speeds = || runs.iter().map(|run| run.rows_per_second);
    let loads: Vec<&LoadSeen> = runs.iter().filter_map(|run| run.load.as_ref()).collect();
    let of_loads = |field: fn(&LoadSeen) -> f64, digits: usize| {
        let value = median(loads.iter().map(|load| field(load)));
        if value.is_finite() { format!("{value:.digits$}") } else { "-".to_owned() }
    };
    let refused: u64 = loads.iter().map(|load| load.refused).sum();
    let range = format!(
        "{:.0}-{:.0}",
        speeds().fold(f64::INFINITY, f64::min),
        speeds().fold(f64::NEG_INFINITY, f64::max)
    );
    let _ = writeln!(
        text,
        "{:<10}{:<10}{:>6}{:>10}{:>10.0}{range:>18}{:>10.3}{:>10}{:>10}{:>10}{:>9}",
        runs[0].scenario,
        runs[0].system,
        runs.len(),
        runs[0].rows,
        middle(|run| run.rows_per_second),
        middle(|run| run.seconds),
        of_loads(|load| load.undisturbed.all.p99_ms, 2),
        of_loads(|load| load.during.all.p99_ms, 2),
        of_loads(|load| load.pause_ms, 0),
        if loads.is_empty() { "-".to_owned() } else { refused.to_string() },
    );
}

#[cfg(test)]
mod tests {
    use super::super::samples::Latencies;
    use super::*;

    fn run(scenario: Scenario, tool: Tool, round: u32, seconds: f64) -> Run {
        let rows_per_second = 1_000.0 / seconds;
        let (scenario, system) = (scenario.name(), tool.name());
        Run { scenario, system, round, rows: 1_000, seconds, rows_per_second, ..Run::default() }
    }

    fn loaded(scenario: Scenario, round: u32, p99: (f64, f64), pause_ms: f64) -> Run {
        let parts = |p99_ms| {
            let latencies = Latencies { p99_ms, ..Latencies::default() };
            Parts { all: latencies, changed: latencies, other: latencies }
        };
        let seen = LoadSeen {
            undisturbed: parts(p99.0),
            during: parts(p99.1),
            before: parts(p99.0),
            after: parts(p99.0),
            pause_ms,
            ..LoadSeen::default()
        };
        Run { load: Some(seen), ..run(scenario, Tool::Bulkhead, round, 1.0) }
    }

    fn found(bars: &[Bar], words: &str) -> (f64, bool) {
        let bar = bars.iter().find(|bar| bar.name.contains(words));
        let bar = bar.unwrap_or_else(|| panic!("no bar {words}: {bars:?}"));
        (bar.value, bar.holds)
    }

    #[test]
    fn speeds_are_compared_within_rounds() {
        // The machine was twice as slow in the second round.
        let runs = [
            run(Scenario::Idle, Tool::Bulkhead, 1, 1.0),
            run(Scenario::Idle, Tool::PtOsc, 1, 4.0),
            run(Scenario::Idle, Tool::Bulkhead, 2, 2.0),
            run(Scenario::Idle, Tool::PtOsc, 2, 8.0),
            run(Scenario::Idle, Tool::GhOst, 1, 1.5),
        ];
        let bars = bars(&runs);
        assert_eq!(found(&bars, ": pt-osc"), (4.0, true));
        assert_eq!(found(&bars, ": gh-ost"), (1.5, false));
        assert_eq!(found(&bars, "must be"), (0.0, true));
        assert_eq!(bars.len(), 3, "what was not measured has no bar");
    }

    #[test]
    fn writers_judge_loads_and_cut_overs() {
        let first = loaded(Scenario::Load, 1, (2.0, 2.8), 90.0);
        let mut runs = vec![first, loaded(Scenario::Load, 2, (1.0, 1.5), 90.0)];
        runs.extend((1..=100).map(|round| loaded(Scenario::CutOver, round, (1.0, 1.0), f64::from(round))));
        let bars = bars(&runs);
        let (ratio, holds) = found(&bars, "undisturbed");
        assert!((ratio - 1.45).abs() < 1e-9 && holds, "{ratio}");
        assert_eq!(found(&bars, "around the cut-over, p99 of 100"), (99.0, true));
    }

    #[test]
    fn small_tables_have_two_bars_and_faults_count() {
        let mut runs: Vec<Run> =
            (1..=100).map(|round| run(Scenario::Small, Tool::Bulkhead, round, 0.050)).collect();
        runs[4].seconds = 0.2;
        runs[5].seconds = 0.3;
        runs[6].faults.push("row 1 is lost".to_owned());
        let bars = bars(&runs);
        assert_eq!(found(&bars, "median of 100"), (50.0, true));
        assert_eq!(found(&bars, "p99 of 100"), (200.0, false));
        assert_eq!(found(&bars, "must be, of 100"), (1.0, false));
    }

    #[test]
    fn accounts_are_read_by_name() {
        let row = |name: &str, value: &str| vec![Some(name.to_owned()), Some(value.to_owned())];
        let rows = vec![row("state", "done"), row("swap_ms", "12.5"), row("attempts", "2"), vec![None]];
        let account = Account::read(&Table { columns: Vec::new(), rows });
        assert_eq!(account, Account { compared_percent: None, swap_ms: Some(12.5), attempts: Some(2.0) });
    }

    #[test]
    fn quantiles_are_ranks() {
        assert_eq!(quantile([3.0, 1.0, 2.0], 0.99), 3.0);
        assert_eq!(quantile((1..=200).map(f64::from), 0.99), 198.0);
        assert!(quantile([], 0.99).is_nan());
    }

    #[test]
    fn the_table_has_a_line_for_each_tool_and_measures_need_values() {
        let runs = [run(Scenario::Idle, Tool::Direct, 1, 1.0), loaded(Scenario::Load, 1, (1.0, 1.2), 30.0)];
        let text = table(&runs);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("direct") && text.contains("1.20"), "{text}");
        assert!(measures(&runs).iter().all(|measure| measure.value.is_finite()));
        assert!(measures(&[]).is_empty() && bars(&[]).is_empty());
    }
}
