//! What a run found: one entry for each scenario, number of clients and system; medians, spread, ratios.
//!
//! Ratios are taken within a round, between systems that were measured right after each other, and then the
//! median over the rounds is taken: what disturbs the machine for a while disturbs both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

/// One system in one round of one scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Round {
    /// Statements per second.
    pub qps: f64,
    /// Latency: half of the statements are faster, microseconds.
    pub p50_us: f64,
    /// 95 of 100 are faster.
    pub p95_us: f64,
    /// 99 of 100 are faster.
    pub p99_us: f64,
    /// CPU time of the proxy's processes per statement, microseconds; 0 for a direct connection.
    pub proxy_cpu_us: f64,
    /// Of that, in user mode.
    pub proxy_user_us: f64,
    /// Of that, in the kernel.
    pub proxy_system_us: f64,
    /// CPU time of all MySQL servers per statement, microseconds.
    pub server_cpu_us: f64,
    /// Memory of the proxy (RSS), bytes; 0 for a direct connection.
    pub rss_bytes: u64,
    /// Statements that were counted.
    pub statements: u64,
}

/// A number of a round.
type Field = (&'static str, fn(&Round) -> f64);

/// What ratios are made of.
const RATIOS: [Field; 6] = [
    ("qps", |round| round.qps),
    ("p50", |round| round.p50_us),
    ("p95", |round| round.p95_us),
    ("p99", |round| round.p99_us),
    ("proxy_cpu", |round| round.proxy_cpu_us),
    ("server_cpu", |round| round.server_cpu_us),
];

/// One scenario with one number of clients on one system.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The scenario.
    pub scenario: String,
    /// Clients that work at the same time.
    pub threads: usize,
    /// The system.
    pub system: String,
    /// Medians over the rounds; the fields are those of a round.
    #[serde(flatten)]
    pub median: Round,
    /// Smallest and largest of the rounds.
    pub spread: BTreeMap<&'static str, (f64, f64)>,
    /// This system : HAProxy; none without it, and none of a number that HAProxy has not.
    pub ratio_to_haproxy: BTreeMap<&'static str, f64>,
    /// This system : direct.
    pub ratio_to_direct: BTreeMap<&'static str, f64>,
    /// Every round, in order.
    pub rounds: Vec<Round>,
}

/// A number that the project promises, and whether the run keeps it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// What.
    pub name: String,
    /// What the run found.
    pub value: f64,
    /// `x`: a ratio.
    pub unit: &'static str,
    /// What is promised.
    pub bound: f64,
    /// Whether the bound is the largest or the smallest value that is good.
    pub at: Side,
    /// The run keeps it.
    pub holds: bool,
}

/// Which side of the bound is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Values up to the bound.
    Most,
    /// Values from the bound.
    Least,
}

impl Bar {
    /// Judges a value.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, at: Side, bound: f64) -> Self {
        let holds = match at {
            Side::Most => value <= bound,
            Side::Least => value >= bound,
        };
        Self { name: name.into(), value, unit, bound, at, holds }
    }
}

/// Something that was measured once, or has no place in the table.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// The scenario.
    pub scenario: String,
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// What could not be measured.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// The system.
    pub system: String,
    /// Why.
    pub why: String,
}

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Machine, versions, options.
    pub machine: BTreeMap<&'static str, String>,
    /// The table.
    pub scenarios: Vec<Entry>,
    /// Besides the table.
    pub measures: Vec<Measure>,
    /// Promises that this run could judge.
    pub bars: Vec<Bar>,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

/// The middle of the values; of an even number of them the middle two's mean. NaN without values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

fn median_round(rounds: &[Round]) -> Round {
    let of = |field: fn(&Round) -> f64| median(rounds.iter().map(field));
    Round {
        qps: of(|round| round.qps),
        p50_us: of(|round| round.p50_us),
        p95_us: of(|round| round.p95_us),
        p99_us: of(|round| round.p99_us),
        proxy_cpu_us: of(|round| round.proxy_cpu_us),
        proxy_user_us: of(|round| round.proxy_user_us),
        proxy_system_us: of(|round| round.proxy_system_us),
        server_cpu_us: of(|round| round.server_cpu_us),
        rss_bytes: of(|round| round.rss_bytes as f64) as u64,
        statements: rounds.iter().map(|round| round.statements).sum(),
    }
}

fn ratios(rounds: &[Round], others: Option<&Vec<Round>>) -> BTreeMap<&'static str, f64> {
    let Some(others) = others else { return BTreeMap::new() };
    let of = |(name, field): &Field| {
        let pairs = rounds.iter().zip(others);
        let usable = pairs.filter(|(one, other)| field(one) > 0.0 && field(other) > 0.0);
        let ratio = median(usable.map(|(one, other)| field(one) / field(other)));
        ratio.is_finite().then_some((*name, ratio))
    };
    RATIOS.iter().filter_map(of).collect()
}

/// Entries of one scenario, from the rounds of each system. Systems without a round are left out.
pub fn entries(scenario: &str, threads: usize, systems: &[(String, Vec<Round>)]) -> Vec<Entry> {
    let rounds_of = |name: &str| systems.iter().find(|(system, _)| system == name).map(|(_, rounds)| rounds);
    let measured = systems.iter().filter(|(_, rounds)| !rounds.is_empty());
    measured
        .map(|(system, rounds)| Entry {
            scenario: scenario.to_owned(),
            threads,
            system: system.clone(),
            median: median_round(rounds),
            spread: spread(rounds),
            ratio_to_haproxy: ratios(rounds, rounds_of("haproxy")),
            ratio_to_direct: ratios(rounds, rounds_of("direct")),
            rounds: rounds.clone(),
        })
        .collect()
}

fn spread(rounds: &[Round]) -> BTreeMap<&'static str, (f64, f64)> {
    let of = |(name, field): &Field| {
        let smallest = rounds.iter().map(field).fold(f64::INFINITY, f64::min);
        let largest = rounds.iter().map(field).fold(f64::NEG_INFINITY, f64::max);
        (*name, (smallest, largest))
    };
    RATIOS.iter().map(of).collect()
}

/// Lines of a table: those of one scenario together.
pub fn table(entries: &[Entry]) -> String {
    let mut text = format!(
        "{:<16}{:>4}  {:<10}{:>9}{:>17}{:>8}{:>8}{:>8}{:>8}{:>15}{:>8}{:>8}{:>9}{:>9}\n",
        "scenario",
        "thr",
        "system",
        "qps",
        "(min-max)",
        "p50us",
        "p95us",
        "p99us",
        "cpu us",
        "(min-max)",
        "kernel",
        "server",
        "cpu:ha",
        "qps:ha"
    );
    for entry in entries {
        let (round, range) = (&entry.median, |name| entry.spread.get(name).copied().unwrap_or_default());
        let ratio =
            |name| entry.ratio_to_haproxy.get(name).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let (qps, cpu) = (range("qps"), range("proxy_cpu"));
        let _ = writeln!(
            text,
            "{:<16}{:>4}  {:<10}{:>9.0}{:>17}{:>8.0}{:>8.0}{:>8.0}{:>8.1}{:>15}{:>8.1}{:>8.1}{:>9}{:>9}",
            entry.scenario,
            entry.threads,
            entry.system,
            round.qps,
            format!("{:.0}-{:.0}", qps.0, qps.1),
            round.p50_us,
            round.p95_us,
            round.p99_us,
            round.proxy_cpu_us,
            format!("{:.1}-{:.1}", cpu.0, cpu.1),
            round.proxy_system_us,
            round.server_cpu_us,
            ratio("proxy_cpu"),
            ratio("qps"),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(qps: f64, proxy_cpu_us: f64) -> Round {
        Round { qps, proxy_cpu_us, statements: 10, ..Round::default() }
    }

    #[test]
    fn medians_are_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The machine was twice as slow in the second round; the systems' relation was always 0.5.
        let systems = [
            ("direct".to_owned(), vec![round(400.0, 0.0), round(200.0, 0.0)]),
            ("haproxy".to_owned(), vec![round(200.0, 20.0), round(100.0, 40.0)]),
            ("bulkhead".to_owned(), vec![round(100.0, 10.0), round(50.0, 20.0)]),
        ];
        let entries = entries("point_text", 8, &systems);
        let bulkhead = &entries[2];
        assert_eq!(bulkhead.ratio_to_haproxy["qps"], 0.5);
        assert_eq!(bulkhead.ratio_to_haproxy["proxy_cpu"], 0.5);
        assert_eq!(bulkhead.ratio_to_direct["qps"], 0.25);
        // A direct connection has no proxy, so there is no such ratio.
        assert!(!bulkhead.ratio_to_direct.contains_key("proxy_cpu"));
        assert_eq!(bulkhead.spread["proxy_cpu"], (10.0, 20.0));
        assert_eq!((bulkhead.median.proxy_cpu_us, bulkhead.median.statements), (15.0, 20));
    }

    #[test]
    fn systems_that_failed_are_left_out() {
        let systems = [("haproxy".to_owned(), Vec::new()), ("bulkhead".to_owned(), vec![round(1.0, 1.0)])];
        let entries = entries("point_text", 1, &systems);
        assert_eq!(entries.len(), 1);
        assert!(entries[0].ratio_to_haproxy.is_empty() && entries[0].ratio_to_direct.is_empty());
    }

    #[test]
    fn bars_hold_on_their_side() {
        assert!(Bar::new("cpu", 1.0, "x", Side::Most, 1.0).holds);
        assert!(!Bar::new("cpu", 1.01, "x", Side::Most, 1.0).holds);
        assert!(Bar::new("qps", 1.0, "x", Side::Least, 1.0).holds);
        assert!(!Bar::new("qps", f64::NAN, "x", Side::Least, 1.0).holds);
    }

    #[test]
    fn report_has_the_promised_shape() {
        let systems = [("haproxy".to_owned(), vec![round(2.0, 4.0)])];
        let report = Report {
            scenarios: entries("point_text", 8, &systems),
            bars: vec![Bar::new("cpu", 2.0, "x", Side::Most, 1.0)],
            ..Report::default()
        };
        let json = serde_json::to_value(&report).expect("plain data");
        let entry = &json["scenarios"][0];
        for field in ["scenario", "threads", "system", "qps", "p50_us", "p95_us", "p99_us", "proxy_cpu_us"] {
            assert!(!entry[field].is_null(), "{field}");
        }
        for field in ["server_cpu_us", "rss_bytes", "rounds", "ratio_to_haproxy", "ratio_to_direct"] {
            assert!(!entry[field].is_null(), "{field}");
        }
        let expected = serde_json::json!({
            "name": "cpu", "value": 2.0, "unit": "x", "bound": 1.0, "at": "most", "holds": false
        });
        assert_eq!(json["bars"][0], expected);
    }
}
