//! What is measured, one scenario after the other; in each, the tools take turns.

use std::io;
use std::time::Duration;

use super::field::{Field, Made};
use super::judge::{LoadSeen, Run};
use super::ledger::Ledger;
use super::options::Scenario;
use super::samples::Span;
use super::table::{CHANGED, DATABASE};
use super::tools::Tool;
use super::writers::{Load, Plan};
use crate::report::Failure;

/// The load runs so long before anything of it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Rows of the table whose exchange is watched: more than one chunk, and quickly copied.
pub const CUT_OVER_ROWS: u64 = 50_000;
/// The table whose exchange is watched.
const CUT_OVER: &str = "drafts";
/// Writes per second to it: a pause is seen to within a few milliseconds.
const CUT_OVER_RATE: f64 = 400.0;
/// The load on it before and behind a change.
const CUT_OVER_CALM: Duration = Duration::from_millis(600);
/// Rows of a table of one chunk.
const SMALL_ROWS: u64 = 200;
/// Small tables that are changed first and not counted: the first ones find nothing prepared.
const SMALL_UNCOUNTED: u32 = 3;

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// Changes that were made.
    pub runs: Vec<Run>,
    /// Those that were not, and tables that are not what they must be.
    pub failures: Vec<Failure>,
}

impl Seen {
    fn run(&mut self, field: &Field, run: Run) {
        if run.scenario != Scenario::Small.name() || !run.faults.is_empty() {
            field.say(&run.line());
        }
        if let Some(first) = run.faults.first() {
            let (scenario, system) = (run.scenario.to_owned(), run.system.to_owned());
            let why = format!("round {}: the table is not what it must be: {first}", run.round);
            self.failures.push(Failure { scenario, system, why });
        }
        self.runs.push(run);
    }

    fn fail(&mut self, field: &Field, scenario: Scenario, tool: Tool, error: &io::Error) {
        field.say(&format!("{}, {}: FAILED: {error}", scenario.name(), tool.name()));
        let (scenario, system) = (scenario.name().to_owned(), tool.name().to_owned());
        self.failures.push(Failure { scenario, system, why: error.to_string() });
    }
}

/// Runs what is asked for.
pub async fn run_all(field: &mut Field, seen: &mut Seen) {
    for scenario in field.options.chosen() {
        match scenario {
            Scenario::Idle | Scenario::Load => large(field, scenario, seen).await,
            Scenario::CutOver | Scenario::Small => small(field, scenario, seen).await,
        }
    }
}

/// The tools that a scenario compares, every other round in the opposite order.
fn turns(field: &Field, scenario: Scenario, round: u32) -> Vec<Tool> {
    let fits = |tool: &Tool| match scenario {
        Scenario::Idle | Scenario::Small => true,
        Scenario::Load | Scenario::CutOver => tool.is_online(),
    };
    let mut turns: Vec<Tool> = field.tools.iter().copied().filter(fits).collect();
    if round.is_multiple_of(2) {
        turns.reverse();
    }
    turns
}

async fn large(field: &mut Field, scenario: Scenario, seen: &mut Seen) {
    for round in 1..=field.options.rounds() {
        for tool in turns(field, scenario, round) {
            let outcome = match scenario {
                Scenario::Load => beside_load(field, tool, round).await,
                _ => idle(field, tool, round).await,
            };
            settle(field, (scenario, tool), outcome, seen).await;
        }
    }
}

async fn small(field: &mut Field, scenario: Scenario, seen: &mut Seen) {
    for tool in turns(field, scenario, 1) {
        if scenario == Scenario::Small {
            let outcome = small_tables(field, tool, seen).await;
            if let Err(error) = outcome {
                seen.fail(field, scenario, tool, &error);
            }
            continue;
        }
        for round in 1..=field.options.cut_overs(tool) {
            let outcome = cut_over(field, tool, round).await;
            settle(field, (scenario, tool), outcome, seen).await;
        }
    }
}

/// Notes what came of a turn, and clears up behind it.
async fn settle(field: &mut Field, turn: (Scenario, Tool), outcome: io::Result<Run>, seen: &mut Seen) {
    match outcome {
        Ok(run) => seen.run(field, run),
        Err(error) => seen.fail(field, turn.0, turn.1, &error),
    }
    if let Err(error) = field.clean(&[]).await {
        seen.fail(field, turn.0, turn.1, &error);
    }
}

fn run_of(turn: (Scenario, Tool), round: u32, rows: u64, made: Made) -> Run {
    let seconds = made.took.as_secs_f64();
    Run {
        scenario: turn.0.name(),
        system: turn.1.name(),
        round,
        rows,
        seconds,
        rows_per_second: rows as f64 / seconds.max(f64::MIN_POSITIVE),
        server_cpu_s: made.server_cpu.as_secs_f64(),
        account: made.account,
        ..Run::default()
    }
}

/// How a table of several chunks differs from what it must be; that Bulkhead did not compare all of it is a
/// difference, too, as its speed is told with the comparison.
fn faults_of(field: &mut Field, plan: (&str, u64), made: &Made, ledger: &Ledger) -> io::Result<Vec<String>> {
    let mut faults = field.faults(plan.0, plan.1, ledger)?;
    if let Some(account) = &made.account {
        match account.compared_percent {
            Some(percent) if percent >= 100.0 => {}
            Some(percent) => faults.push(format!("{percent} % of it was compared")),
            None => faults.push("nothing says that it was compared".to_owned()),
        }
    }
    Ok(faults)
}

async fn idle(field: &mut Field, tool: Tool, round: u32) -> io::Result<Run> {
    let rows = field.options.rows();
    field.say(&format!("idle, round {round}, {}: making {CHANGED}", tool.name()));
    field.make(CHANGED, rows)?;
    let made = field.change(tool, CHANGED).await?;
    let faults = faults_of(field, (CHANGED, rows), &made, &Ledger::default())?;
    Ok(Run { faults, ..run_of((Scenario::Idle, tool), round, rows, made) })
}

async fn beside_load(field: &mut Field, tool: Tool, round: u32) -> io::Result<Run> {
    let (rows, rate) = (field.options.rows(), f64::from(field.options.rate) / 2.0);
    let calm = Duration::from_secs(field.options.undisturbed_s());
    field.say(&format!("load, round {round}, {}: making {CHANGED}", tool.name()));
    field.make(CHANGED, rows)?;
    let plan = Plan {
        login: field.login(tool)?,
        table: CHANGED.to_owned(),
        rows,
        changed_rate: rate,
        other_rate: Some(rate),
    };
    let (made, load, ledger) = watched(field, tool, &plan, calm).await?;
    let faults = faults_of(field, (CHANGED, rows), &made, &ledger)?;
    Ok(Run { load: Some(load), faults, ..run_of((Scenario::Load, tool), round, rows, made) })
}

async fn cut_over(field: &mut Field, tool: Tool, round: u32) -> io::Result<Run> {
    field.make(CUT_OVER, CUT_OVER_ROWS)?;
    let plan = Plan {
        login: field.login(tool)?,
        table: CUT_OVER.to_owned(),
        rows: CUT_OVER_ROWS,
        changed_rate: CUT_OVER_RATE,
        other_rate: None,
    };
    let (made, load, ledger) = watched(field, tool, &plan, CUT_OVER_CALM).await?;
    let faults = faults_of(field, (CUT_OVER, CUT_OVER_ROWS), &made, &ledger)?;
    let run = run_of((Scenario::CutOver, tool), round, CUT_OVER_ROWS, made);
    Ok(Run { load: Some(load), faults, ..run })
}

/// A change beside a load, which begins before it and goes on behind it.
async fn watched(
    field: &mut Field,
    tool: Tool,
    plan: &Plan,
    calm: Duration,
) -> io::Result<(Made, LoadSeen, Ledger)> {
    let load = Load::begin(plan).await?;
    tokio::time::sleep(WARM_UP + calm).await;
    let (from, changed) = (load.now(), field.change(tool, &plan.table).await);
    let to = load.now();
    tokio::time::sleep(calm).await;
    let end = load.now();
    // Writers are ended in any case.
    let (samples, ledger) = load.finish().await?;
    let before = Span { from: WARM_UP, to: from };
    let (during, after) = (Span { from, to }, Span { from: to, to: end });
    let seen = LoadSeen {
        undisturbed: samples.parts(&[before, after]),
        before: samples.parts(&[before]),
        after: samples.parts(&[after]),
        during: samples.parts(&[during]),
        pause_ms: samples.pause_ms(during),
        refused: ledger.refused,
        first_error: ledger.first_error.clone(),
    };
    Ok((changed?, seen, ledger))
}

async fn small_tables(field: &mut Field, tool: Tool, seen: &mut Seen) -> io::Result<()> {
    let count = field.options.small_tables(tool);
    let names: Vec<String> = (1..=count + SMALL_UNCOUNTED).map(|number| format!("labels_{number}")).collect();
    field.say(&format!("small, {}: making {} tables in {DATABASE}", tool.name(), names.len()));
    field.make_all(&names, SMALL_ROWS)?;
    let mut changed = Vec::new();
    for name in &names {
        let outcome = field.change(tool, name).await;
        match outcome {
            Ok(made) => changed.push((name, made)),
            Err(error) => {
                seen.fail(field, Scenario::Small, tool, &error);
                break;
            }
        }
    }
    for (number, (name, made)) in changed.into_iter().enumerate().skip(SMALL_UNCOUNTED as usize) {
        let faults = field.faults(name, SMALL_ROWS, &Ledger::default())?;
        let run = run_of((Scenario::Small, tool), number as u32 + 1 - SMALL_UNCOUNTED, SMALL_ROWS, made);
        seen.run(field, Run { faults, ..run });
    }
    field.clean(&names).await
}
