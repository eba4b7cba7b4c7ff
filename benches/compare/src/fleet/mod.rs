//! `make bench-fleet`: one schema change over thousands of databases, and what others notice of it.
//!
//! `field` has the servers, with a fleet that is made once and `kept`; `cases` says who changes the databases
//! (`change`) and what befalls them meanwhile; `scene` plays a case: the clients are those of
//! [`crate::incident::workers`], `counters` watches the servers, `said` what Bulkhead says. `schema` (the
//! SQL), `trace`, `outcome`, `pace`, `judge`, `svg` are pure. How to read what comes of it is in
//! docs/performance.md.

pub mod cases;
pub mod change;
pub mod counters;
pub mod field;
#[cfg(test)]
mod fixture;
pub mod judge;
pub mod kept;
pub mod options;
pub mod outcome;
pub mod pace;
pub mod record;
pub mod said;
pub mod scene;
pub mod schema;
pub mod svg;
pub mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

pub use options::Options;

use crate::ddl::tools::Tool;
use crate::incident::series::Span;
use crate::places::Places;
use crate::process::Interrupts;
use crate::report::{Bar, Failure, Measure};
use crate::{bars, machine};
use cases::Case;
use field::Field;
use record::Record;
use scene::Scene;

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    /// Machine, versions, options.
    machine: BTreeMap<&'static str, String>,
    /// Promises, and whether this run keeps them.
    bars: Vec<Bar>,
    /// Numbers beside them.
    measures: Vec<Measure>,
    /// Cases that could not be played.
    failures: Vec<Failure>,
    /// Everything that was seen.
    cases: Vec<Record>,
}

/// Plays the cases; gives whether all could be played.
///
/// # Errors
/// The servers do not start, the report cannot be written, or Ctrl-C.
pub async fn run(options: Options) -> io::Result<bool> {
    let mut interrupts = Interrupts::listen()?;
    let places = Places::find(&options.root, &options.output, &options.bulkhead)?;
    let (folder, output, keeps) = (places.folder.clone(), options.output.clone(), options.keep);
    let mut report = Report { machine: machine::describe(&places), ..Report::default() };
    report.machine.retain(|name, _| !["haproxy", "sysbench"].contains(name));
    report.machine.insert(Tool::PtOsc.name(), Tool::PtOsc.version());
    report.machine.extend(options.described());
    let mut field = Field::set(options, places)?;
    let is_whole = tokio::select! {
        () = play_all(&mut field, &mut report) => true,
        () = interrupts.arrived() => false,
    };
    drop(field);
    if !is_whole {
        return Err(io::Error::other("interrupted; everything is ended, no report was written"));
    }
    report.bars = judge::bars(&report.cases);
    report.measures = report.cases.iter().flat_map(judge::measures).collect();
    write(&report, &output)?;
    // Logs are worth keeping only of what failed.
    if report.failures.is_empty() && !keeps {
        fs::remove_dir_all(folder)?;
    }
    Ok(report.failures.is_empty())
}

async fn play_all(field: &mut Field, report: &mut Report) {
    for case in field.options.chosen() {
        field.say(&format!("== {}: {}", case.name(), case.words()));
        match play(field, case, report).await {
            Ok(record) => report.cases.push(record),
            Err(error) => {
                field.say(&format!("{}: FAILED: {error}", case.name()));
                report.failures.push(failure(case, &error));
            }
        }
    }
}

fn failure(case: Case, error: &io::Error) -> Failure {
    let (scenario, system) = (case.name().to_owned(), case.words().to_owned());
    Failure { scenario, system, why: error.to_string() }
}

async fn play(field: &mut Field, case: Case, report: &mut Report) -> io::Result<Record> {
    if case == Case::PtOsc && !Tool::PtOsc.is_installed() {
        return Err(io::Error::other("pt-online-schema-change is not on PATH"));
    }
    field.make_anew()?;
    report.machine.extend(field.described()?);
    let mut scene = Scene::begin_load(field, case).await?;
    field.say("the load begins");
    let times = field.options.times();
    let wait = |seconds: u64| tokio::time::sleep(Duration::from_secs(seconds));
    wait(times.learning).await;
    let from_s = scene.now_s().ceil() as usize;
    wait(times.before).await;
    let began_s = scene.now_s();
    field.say("the change begins");
    if let Err(error) = case.play(field, &mut scene).await {
        // What was seen until then is kept, and judged.
        field.say(&format!("{}: FAILED: {error}", case.name()));
        scene.errors.push(error.to_string());
        report.failures.push(failure(case, &error));
    }
    let ended_s = scene.now_s();
    field.say(&format!("the change ends after {:.1} s", ended_s - began_s));
    wait(times.after).await;
    let before = Span { from_s, to_s: began_s as usize };
    let after = Span { from_s: ended_s.ceil() as usize, to_s: scene.now_s() as usize };
    field.say("ending the load, checking ledgers, definitions and binary logs");
    scene.finish(field, vec![before, after], (began_s, ended_s)).await
}

fn write(report: &Report, output: &Path) -> io::Result<()> {
    let file = output.join("report.json");
    fs::write(&file, serde_json::to_string(report)? + "\n")?;
    for (name, value) in &report.machine {
        println!("{name:<20} {value}");
    }
    println!();
    for measure in &report.measures {
        println!("{:<12} {:<60} {:>12.2} {}", measure.scenario, measure.name, measure.value, measure.unit);
    }
    println!("\n{}", bars::lines(&report.bars));
    for record in &report.cases {
        record.ledger.faults.iter().for_each(|fault| println!("LEDGER  {}: {fault}", record.name));
        record.outcome.faults.iter().for_each(|fault| println!("FAULT   {}: {fault}", record.name));
        record.errors.iter().for_each(|error| println!("ERROR   {}: {error}", record.name));
    }
    for failure in &report.failures {
        println!("FAILED  {}: {}", failure.scenario, failure.why);
    }
    draw(report, output)?;
    println!("written: {}", file.display());
    Ok(())
}

/// Those that are compared side by side as fleet.svg; every case on its own besides.
fn draw(report: &Report, output: &Path) -> io::Result<()> {
    let of = |case: Case| report.cases.iter().find(|record| record.name == case.name());
    let compared: Vec<&Record> =
        [Case::PtOsc, Case::Direct, Case::Bulkhead].into_iter().filter_map(of).collect();
    if !compared.is_empty() {
        fs::write(output.join("fleet.svg"), svg::draw(&compared))?;
    }
    for record in &report.cases {
        fs::write(output.join(format!("{}.svg", record.name)), svg::draw(&[record]))?;
    }
    Ok(())
}
