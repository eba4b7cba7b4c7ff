//! `make bench-ddl`: how fast Bulkhead changes a table, and what writers notice of it, next to other tools.
//!
//! `field` has the server and Bulkhead; `tools` says how each tool is told; `scenarios` has them take turns;
//! `writers` are the application meanwhile. `table` (the SQL), `ledger`, `samples` and `judge` are pure. How
//! to read what comes of it is in docs/performance.md.

pub mod field;
pub mod judge;
pub mod ledger;
pub mod options;
pub mod samples;
pub mod scenarios;
pub mod table;
pub mod tools;
pub mod writers;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

pub use options::Options;

use crate::places::Places;
use crate::process::Interrupts;
use crate::report::{Bar, Failure, Measure};
use crate::{bars, machine};
use field::Field;
use judge::Run;
use scenarios::Seen;

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    /// Machine, versions, options.
    machine: BTreeMap<&'static str, String>,
    /// Promises that this run could judge.
    bars: Vec<Bar>,
    /// Numbers beside them.
    measures: Vec<Measure>,
    /// What could not be measured, and tables that are not what they must be.
    failures: Vec<Failure>,
    /// Every change that was made.
    runs: Vec<Run>,
}

/// Runs everything; gives whether all could be measured and every table is what it must be.
///
/// # Errors
/// The server does not start, the report cannot be written, or Ctrl-C.
pub async fn run(options: Options) -> io::Result<bool> {
    let mut interrupts = Interrupts::listen()?;
    let places = Places::find(&options.root, &options.output, &options.bulkhead)?;
    let (folder, output, keeps) = (places.folder.clone(), options.output.clone(), options.keep);
    let mut machine = machine::describe(&places);
    machine.retain(|name, _| !["haproxy", "sysbench"].contains(name));
    machine.extend(options.described());
    let mut field = Field::set(options, places)?;
    machine.extend(field.described());
    let mut seen = Seen::default();
    let is_whole = tokio::select! {
        () = scenarios::run_all(&mut field, &mut seen) => true,
        () = interrupts.arrived() => false,
    };
    drop(field);
    if !is_whole {
        return Err(io::Error::other("interrupted; everything is ended, no report was written"));
    }
    let (bars, measures) = (judge::bars(&seen.runs), judge::measures(&seen.runs));
    let report = Report { machine, bars, measures, failures: seen.failures, runs: seen.runs };
    write(&report, &output)?;
    // Logs are worth keeping only of what failed.
    if report.failures.is_empty() && !keeps {
        fs::remove_dir_all(folder)?;
    }
    Ok(report.failures.is_empty())
}

fn write(report: &Report, output: &Path) -> io::Result<()> {
    let file = output.join("report.json");
    fs::write(&file, serde_json::to_string_pretty(report)? + "\n")?;
    for (name, value) in &report.machine {
        println!("{name:<14} {value}");
    }
    println!("\n{}", judge::table(&report.runs));
    for measure in &report.measures {
        println!("{:<10} {:<60} {:>12.2} {}", measure.scenario, measure.name, measure.value, measure.unit);
    }
    println!("\n{}", bars::lines(&report.bars));
    for failure in &report.failures {
        println!("FAILED  {}, {}: {}", failure.scenario, failure.system, failure.why);
    }
    println!("written: {}", file.display());
    Ok(())
}
