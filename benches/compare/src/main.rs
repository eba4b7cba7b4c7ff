//! `make bench`: what Bulkhead costs, next to a direct connection, HAProxy and a baseline proxy.
//!
//! `servers` and `systems` start what is measured, `scenarios` put it under load (`load`, `sysbench`),
//! `report` and `bars` say what came of it. How to read it is in docs/performance.md.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use bulkhead_compare::options::Options;
use bulkhead_compare::places::Places;
use bulkhead_compare::process::{Interrupts, run_to_exit};
use bulkhead_compare::report::Report;
use bulkhead_compare::stage::Stage;
use bulkhead_compare::{bars, machine, report};
use clap::Parser;

fn main() -> ExitCode {
    run_to_exit(run(Options::parse()))
}

/// Runs everything; gives whether all could be measured.
async fn run(options: Options) -> io::Result<bool> {
    let mut interrupts = Interrupts::listen()?;
    let output = options.output.clone();
    let places = Places::find(&options.root, &options.output, &options.bulkhead)?;
    let folder = places.folder.clone();
    let mut machine = machine::describe(&places);
    machine.extend(options.described());
    let mut stage = Stage::set(options, places)?;
    stage.report.machine = machine;
    let is_whole = tokio::select! {
        () = run_scenarios(&mut stage) => true,
        () = interrupts.arrived() => false,
    };
    let mut report = std::mem::take(&mut stage.report);
    drop(stage);
    if !is_whole {
        return Err(io::Error::other("interrupted; everything is ended, no report was written"));
    }
    let mut bars = bars::of_table(&report.scenarios);
    bars.append(&mut report.bars);
    report.bars = bars;
    write(&report, &output)?;
    // Logs are worth keeping only of what failed.
    if report.failures.is_empty() {
        fs::remove_dir_all(folder)?;
    }
    Ok(report.failures.is_empty())
}

async fn run_scenarios(stage: &mut Stage) {
    for scenario in stage.options.chosen() {
        scenario.run(stage).await;
    }
}

fn write(report: &Report, output: &Path) -> io::Result<()> {
    let file = output.join("report.json");
    fs::write(&file, serde_json::to_string_pretty(report)? + "\n")?;
    for (name, value) in &report.machine {
        println!("{name:<14} {value}");
    }
    println!("\n{}", report::table(&report.scenarios));
    for measure in &report.measures {
        println!("{:<16} {:<58} {:>14.2} {}", measure.scenario, measure.name, measure.value, measure.unit);
    }
    println!("\n{}", bars::lines(&report.bars));
    for failure in &report.failures {
        println!("FAILED  {}, {}: {}", failure.scenario, failure.system, failure.why);
    }
    println!("written: {}", file.display());
    Ok(())
}
