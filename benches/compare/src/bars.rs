//! The project's promises about the comparison, judged from the table.

use crate::report::{Bar, Entry, Side};

/// Scenario, what is promised about CPU time : HAProxy.
const CPU: [(&str, f64); 4] =
    [("point_text", 1.0), ("point_prepared", 1.0), ("range_100", 1.1), ("row_1mib", 1.1)];
/// Clients at which CPU time is promised.
const CPU_THREADS: [usize; 2] = [8, 64];
/// Clients at which throughput and latency are promised.
const LOADED_THREADS: usize = 64;

/// The bars that the entries can judge, in order.
pub fn of_table(entries: &[Entry]) -> Vec<Bar> {
    let bulkhead: Vec<&Entry> = entries.iter().filter(|entry| entry.system == "bulkhead").collect();
    let mut bars = Vec::new();
    for (scenario, bound) in CPU {
        let promised = |entry: &&&Entry| entry.scenario == scenario && CPU_THREADS.contains(&entry.threads);
        for entry in bulkhead.iter().filter(promised) {
            let name = format!("proxy CPU per statement, {scenario}, {} threads : HAProxy", entry.threads);
            let ratio = entry.ratio_to_haproxy.get("proxy_cpu");
            bars.extend(ratio.map(|ratio| Bar::new(name, *ratio, "x", Side::Most, bound)));
        }
    }
    for entry in bulkhead.iter().filter(|entry| entry.threads == LOADED_THREADS) {
        let promises = [("qps", "throughput", Side::Least), ("p99", "p99", Side::Most)];
        for (field, words, side) in promises {
            let name = format!("{words}, {}, {LOADED_THREADS} threads : HAProxy", entry.scenario);
            let ratio = entry.ratio_to_haproxy.get(field);
            bars.extend(ratio.map(|ratio| Bar::new(name, *ratio, "x", side, 1.0)));
        }
    }
    bars
}

/// Lines for the terminal.
pub fn lines(bars: &[Bar]) -> String {
    let line = |bar: &Bar| {
        let verdict = if bar.holds { "holds " } else { "MISSED" };
        let side = if bar.at == Side::Most { "<=" } else { ">=" };
        format!("{verdict}  {:<98} {:>12.3} {side} {} {}\n", bar.name, bar.value, bar.bound, bar.unit)
    };
    bars.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Round, entries};

    fn table(cpu: f64, qps: f64) -> Vec<Entry> {
        let round = |proxy_cpu_us, qps| Round { proxy_cpu_us, qps, p99_us: 500.0, ..Round::default() };
        let systems = [
            ("haproxy".to_owned(), vec![round(20.0, 1_000.0)]),
            ("bulkhead".to_owned(), vec![round(cpu, qps)]),
        ];
        [1, 8, 64].into_iter().flat_map(|threads| entries("point_text", threads, &systems)).collect()
    }

    #[test]
    fn bars_are_those_promised() {
        let names: Vec<String> = of_table(&table(20.0, 1_000.0)).into_iter().map(|bar| bar.name).collect();
        assert_eq!(
            names,
            [
                "proxy CPU per statement, point_text, 8 threads : HAProxy",
                "proxy CPU per statement, point_text, 64 threads : HAProxy",
                "throughput, point_text, 64 threads : HAProxy",
                "p99, point_text, 64 threads : HAProxy",
            ]
        );
    }

    #[test]
    fn verdicts_follow_the_ratio() {
        assert!(of_table(&table(20.0, 1_000.0)).iter().all(|bar| bar.holds));
        let verdicts: Vec<bool> = of_table(&table(22.0, 900.0)).iter().map(|bar| bar.holds).collect();
        assert_eq!(verdicts, [false, false, false, true]);
    }

    #[test]
    fn nothing_is_judged_without_haproxy() {
        let entries: Vec<Entry> =
            table(1.0, 1.0).into_iter().filter(|entry| entry.system == "bulkhead").collect();
        let alone: Vec<Entry> = entries
            .into_iter()
            .map(|entry| Entry { ratio_to_haproxy: Default::default(), ..entry })
            .collect();
        assert!(of_table(&alone).is_empty());
    }
}
