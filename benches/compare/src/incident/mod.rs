//! `make incident`: the worst day, replayed.
//!
//! `field` has the servers; `cases` says what befalls one cluster, with `fault` (a proxy below Bulkhead that
//! stalls writes or cuts the network) and `flood` (direct schema changes); `scene` plays a case: `workers`
//! are the application, `watch` notes what Bulkhead says. `ledger`, `series`, `record`, `judge`, `svg`,
//! `wire`, `schema` are pure. How to read what comes of it is in docs/incident.md.

pub mod cases;
pub mod events;
pub mod fault;
pub mod field;
pub mod flood;
pub mod judge;
pub mod ledger;
pub mod moment;
pub mod options;
pub mod policy;
pub mod record;
pub mod scene;
pub mod schema;
pub mod series;
pub mod svg;
pub mod watch;
pub mod wire;
pub mod workers;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

pub use options::Options;

use crate::places::Places;
use crate::process::Interrupts;
use crate::report::{Bar, Failure, Measure};
use crate::{bars, machine};
use cases::Case;
use field::Field;
use record::Record;
use scene::Scene;
use series::Span;

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
    report.machine.extend(options.described());
    let mut field = Field::set(options, places)?;
    report.machine.extend(field.described());
    let is_whole = tokio::select! {
        () = play_all(&mut field, &mut report) => true,
        () = interrupts.arrived() => false,
    };
    drop(field);
    if !is_whole {
        return Err(io::Error::other("interrupted; everything is ended, no report was written"));
    }
    write(&report, &output)?;
    // Logs are worth keeping only of what failed.
    if report.failures.is_empty() && !keeps {
        fs::remove_dir_all(folder)?;
    }
    Ok(report.failures.is_empty())
}

async fn play_all(field: &mut Field, report: &mut Report) {
    for (number, case) in field.options.chosen().into_iter().enumerate() {
        field.say(&format!("== {}: {}", case.name(), case.protection().words()));
        match play(field, case, number as u32 + 1).await {
            Ok(record) => {
                report.bars.extend(judge::bars(&record, &case.promises()));
                report.measures.extend(judge::measures(&record));
                report.cases.push(record);
            }
            Err(error) => {
                field.say(&format!("{}: FAILED: {error}", case.name()));
                let (scenario, system) = (case.name().to_owned(), "bulkhead".to_owned());
                report.failures.push(Failure { scenario, system, why: error.to_string() });
            }
        }
    }
}

async fn play(field: &mut Field, case: Case, run: u32) -> io::Result<Record> {
    field.make_anew()?;
    let mut scene = Scene::begin_load(field, case, run).await?;
    field.say("the load begins");
    let times = case.times(&field.options);
    let wait = |seconds: u64| tokio::time::sleep(Duration::from_secs(seconds));
    wait(times.learning).await;
    let from_s = scene.now_s().ceil() as usize;
    wait(times.calm).await;
    let before = Span { from_s, to_s: scene.now_s() as usize };
    case.play(field, &mut scene).await?;
    let over_s = scene.now_s().ceil() as usize;
    let disturbed = Span { from_s: before.to_s, to_s: over_s };
    wait(times.calm).await;
    let after = Span { from_s: over_s, to_s: scene.now_s() as usize };
    field.say("ending the load, checking the ledgers");
    scene.finish(field, vec![before, after], disturbed).await
}

fn write(report: &Report, output: &Path) -> io::Result<()> {
    let file = output.join("report.json");
    fs::write(&file, serde_json::to_string(report)? + "\n")?;
    for (name, value) in &report.machine {
        println!("{name:<20} {value}");
    }
    println!();
    for measure in &report.measures {
        println!("{:<16} {:<44} {:>12.2} {}", measure.scenario, measure.name, measure.value, measure.unit);
    }
    println!("\n{}", bars::lines(&report.bars));
    for record in &report.cases {
        record.ledger.faults.iter().for_each(|fault| println!("LEDGER  {}: {fault}", record.name));
    }
    for failure in &report.failures {
        println!("FAILED  {}: {}", failure.scenario, failure.why);
    }
    draw(report, output)?;
    println!("written: {}", file.display());
    Ok(())
}

/// The floods side by side as incident.svg; every case on its own besides.
fn draw(report: &Report, output: &Path) -> io::Result<()> {
    let of = |case: Case| report.cases.iter().find(|record| record.name == case.name());
    let floods: Vec<&Record> = [Case::FloodOff, Case::FloodOn].into_iter().filter_map(of).collect();
    if !floods.is_empty() {
        fs::write(output.join("incident.svg"), svg::draw(&floods))?;
    }
    for record in &report.cases {
        fs::write(output.join(format!("{}.svg", record.name)), svg::draw(&[record]))?;
    }
    Ok(())
}
