//! Plays scenarios of sick servers against the real detector and ladder, without servers, in simulated time.
//!
//! `tests/simulation/*.toml` are the scenarios; `docs/health.md` has their format. What was found is printed
//! as a table (`-- --nocapture`); `BULKHEAD_SIMULATION_EVENTS=1` prints every step of the ladder as well, and
//! `BULKHEAD_SIMULATION_DAYS` says how many days of everyday traffic are played.

#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/scenario.rs"]
mod scenario;
#[path = "simulation/world.rs"]
mod world;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bulkhead::drain::Stage;
use bulkhead::health::State;

use run::{Outcome, Record, play};
use scenario::{Expectation, Scenario};

/// Days of everyday traffic that are played by default; `make simulate` plays 30.
const DAYS: u64 = 1;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    assert!(files.len() >= 16, "the scenarios are there");
    files
}

/// What of the expectations did not come true.
fn faults(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    for expectation in &scenario.expect {
        for (name, record) in &outcome.records {
            let is_meant = match expectation.cluster.as_str() {
                "all" => true,
                "others" => !scenario.touches(name),
                wanted => wanted == name,
            };
            if is_meant {
                let found = check(scenario, expectation, record);
                faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
            }
        }
        for alert in &expectation.alerts {
            if !outcome.alerts.contains(alert) {
                faults.push(format!("no alert {alert:?}, only {:?}", outcome.alerts));
            }
        }
    }
    faults
}

fn check(scenario: &Scenario, expectation: &Expectation, record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    let onset = scenario.onset();
    let bars = [
        (State::Suspect, expectation.suspect_within),
        (State::Degraded, expectation.degraded_within),
        (State::Down, expectation.down_within),
    ];
    for (state, within) in bars.iter().filter_map(|(state, within)| Some((state, (*within)?))) {
        // A worse state is a state reached.
        let reached =
            record.states.range(state..).map(|(_, (at, _))| at - onset).fold(f64::INFINITY, f64::min);
        if !(0.0..=within).contains(&reached) {
            faults.push(format!("{state} after {reached:.2} s, not within {within} s"));
        }
    }
    if let Some(within) = expectation.flows_within {
        let after = record.flows_since.map_or(f64::INFINITY, |since| since - onset);
        if after > within {
            faults.push(format!("writes flow after {after:.2} s, not within {within} s"));
        }
    }
    if let Some(worst) = &expectation.worst {
        let reached = record.states.keys().next_back().map_or("healthy", |state| state.name());
        let order = ["healthy", "suspect", "degraded", "down"];
        let place = |name: &str| order.iter().position(|state| *state == name).expect("a state's name");
        if place(reached) > place(worst) {
            faults.push(format!("{reached}, no worse than {worst} was expected"));
        }
    }
    let ended = record.last_state;
    if expectation.ends_well && ended != Some(State::Healthy) {
        faults.push(format!("ended {ended:?}"));
    }
    let visited = |stage: &&Stage| record.stages.contains_key(*stage);
    let missing = expectation.visits.iter().filter(|stage| !visited(stage));
    faults.extend(missing.map(|stage| format!("never {}", stage.name())));
    let unwanted = expectation.never.iter().filter(visited);
    faults.extend(unwanted.map(|stage| format!("was {}", stage.name())));
    let unadvised = expectation.advises.iter().filter(|stage| !record.advised.contains(stage));
    faults.extend(unadvised.map(|stage| format!("{} was not advised", stage.name())));
    faults
}

/// One line of the table per cluster that came into any state: when at the latest with any seed, and the
/// stages with the first.
fn lines(name: &str, scenario: &Scenario, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let onset = scenario.onset();
    for (cluster, first) in &outcomes[0].records {
        let when = |state: State| {
            let reached = outcomes.iter().filter_map(|outcome| outcome.records[cluster].states.get(&state));
            let latest = reached.map(|(at, _)| at - onset).reduce(f64::max);
            latest.map_or_else(|| "-".to_owned(), |at| format!("{at:.2}"))
        };
        let [suspect, degraded, down] = [State::Suspect, State::Degraded, State::Down].map(when);
        if suspect == "-" && down == "-" && !scenario.touches(cluster) {
            continue;
        }
        let mut stages: Vec<_> = first.stages.iter().map(|(stage, at)| (*at, stage.name())).collect();
        stages.sort_by(|a, b| a.0.total_cmp(&b.0));
        let stages: Vec<_> = stages.iter().map(|(at, name)| format!("{name} {:.1}", at - onset)).collect();
        let stages = stages.join(", ");
        writeln!(text, "{name:<26} {cluster:<3} {suspect:>8} {degraded:>9} {down:>8}  {stages}")
            .expect("text takes all");
    }
    text
}

const HEAD: &str = "seconds after onset             suspect  degraded     down  stages (first seed)";

#[test]
fn scenarios_meet_their_bars() {
    let mut table = String::new();
    let mut failures = Vec::new();
    for path in files() {
        let scenario = Scenario::read(&path);
        if scenario.is_day {
            continue;
        }
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let outcomes: Vec<_> = (1..=seeds()).map(|seed| play(&scenario, scenario.seconds, seed)).collect();
        for (seed, outcome) in outcomes.iter().enumerate() {
            let faults = faults(&scenario, outcome);
            let told = faults.into_iter().map(|fault| format!("{name} (seed {}): {fault}", seed + 1));
            failures.extend(told);
        }
        table += &lines(&name, &scenario, &outcomes);
    }
    println!("{HEAD}\n{table}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn everyday_traffic_raises_no_false_alarm() {
    let days = std::env::var("BULKHEAD_SIMULATION_DAYS").ok().and_then(|days| days.parse().ok());
    let days: u64 = days.unwrap_or(DAYS);
    let mut failures = Vec::new();
    for path in files() {
        let scenario = Scenario::read(&path);
        if !scenario.is_day {
            continue;
        }
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let outcome = play(&scenario, scenario.seconds * days as f64, 1);
        let count = |state| -> u32 {
            outcome.records.values().filter_map(|record| record.states.get(&state)).map(|(_, n)| n).sum()
        };
        let [suspect, degraded, down] = [State::Suspect, State::Degraded, State::Down].map(count);
        println!("{name}: {days} days, {suspect} times suspect, {degraded} degraded, {down} down");
        outcome.events.iter().for_each(|event| println!("  {event}"));
        failures.extend(faults(&scenario, &outcome).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How many seeds each scenario is played with.
fn seeds() -> u64 {
    std::env::var("BULKHEAD_SIMULATION_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1)
}
