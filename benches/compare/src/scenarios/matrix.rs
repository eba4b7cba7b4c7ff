//! The same load on every system, at 1, 8 and 64 clients, in rounds.

use std::io;

use super::Scenario;
use crate::load::Work;
use crate::report::{Round, entries};
use crate::stage::{Stage, round_of};
use crate::sysbench::{self, Script, Wave};
use crate::systems::System;

/// Clients at the same time.
const THREADS: [usize; 3] = [1, 8, 64];

/// Who makes the load.
enum Source {
    Own(Work),
    Sysbench(Script),
}

fn source(scenario: Scenario) -> Source {
    match scenario {
        Scenario::PointPrepared => Source::Own(Work::PointPrepared),
        Scenario::Range100 => Source::Own(Work::Range),
        Scenario::Row1Mib => Source::Own(Work::BigRow),
        Scenario::Churn => Source::Own(Work::Churn),
        Scenario::OltpReadOnly => Source::Sysbench(Script::ReadOnly),
        Scenario::OltpReadWrite => Source::Sysbench(Script::ReadWrite),
        Scenario::OltpWriteOnly => Source::Sysbench(Script::WriteOnly),
        _ => Source::Own(Work::PointText),
    }
}

/// A quick run leaves out the numbers of clients that no bar of the scenario is about.
fn is_wanted(scenario: Scenario, threads: usize, stage: &Stage) -> bool {
    let is_point = matches!(scenario, Scenario::PointText | Scenario::PointPrepared);
    let in_quick = threads == 8 || is_point && threads == 64;
    if stage.options.threads.is_empty() && stage.options.quick {
        return in_quick;
    }
    stage.options.wants_threads(threads)
}

/// Runs one scenario at all its numbers of clients.
pub(super) async fn run(scenario: Scenario, stage: &mut Stage) {
    for threads in THREADS {
        // Connections are opened one after the other by each of few clients; 64 would measure queues.
        if is_wanted(scenario, threads, stage) && (scenario != Scenario::Churn || threads == 8) {
            compare(scenario, threads, stage).await;
        }
    }
}

/// The rounds. A system that fails once is left out of the rest.
async fn compare(scenario: Scenario, threads: usize, stage: &mut Stage) {
    let names: Vec<String> = stage.systems.iter().map(|system| system.name.clone()).collect();
    let mut found: Vec<(String, Vec<Round>)> = names.into_iter().map(|name| (name, Vec::new())).collect();
    let mut has_failed = vec![false; found.len()];
    let rounds = match source(scenario) {
        Source::Own(Work::Churn) | Source::Sysbench(_) => stage.options.rounds_aside(),
        Source::Own(_) => stage.options.rounds(),
    };
    for number in 0..rounds {
        for turn in 0..found.len() {
            // Every other round in the other order, so that none always follows the same one.
            let at = if number % 2 == 0 { turn } else { found.len() - 1 - turn };
            if has_failed[at] {
                continue;
            }
            match one(scenario, threads, stage, &stage.systems[at]).await {
                Ok(round) => {
                    stage.say(&format!(
                        "{} {threads:>2} thr, round {}: {:<9}{:>7.0} q/s, p99 {:>6.0} us, proxy {:>5.1} us",
                        scenario.name(),
                        number + 1,
                        found[at].0,
                        round.qps,
                        round.p99_us,
                        round.proxy_cpu_us,
                    ));
                    found[at].1.push(round);
                }
                Err(error) => {
                    has_failed[at] = true;
                    found[at].1.clear();
                    let system = found[at].0.clone();
                    stage.fail(&format!("{} at {threads}", scenario.name()), &system, &error);
                }
            }
        }
    }
    stage.enter(entries(scenario.name(), threads, &found));
}

async fn one(scenario: Scenario, threads: usize, stage: &Stage, system: &System) -> io::Result<Round> {
    let script = match source(scenario) {
        Source::Own(work) => return stage.window(system, stage.load(work), threads, "ws_1").await,
        Source::Sysbench(script) => script,
    };
    let options = &stage.options;
    let wave =
        Wave { script, threads, rows: options.rows(), warm_up: options.warm_up(), window: options.window() };
    let (counted, statements, first, last) =
        sysbench::run(wave, &system.login("ws_1"), || stage.mark(system)).await?;
    Ok(round_of(&counted, statements, first, last))
}
