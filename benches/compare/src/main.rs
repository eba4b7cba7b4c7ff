//! `make bench`: what Bulkhead costs, next to a direct connection, HAProxy and a baseline proxy.
//!
//! `servers` and `systems` start what is measured, `scenarios` put it under load (`load`, `sysbench`),
//! `report` and `bars` say what came of it. How to read it is in docs/performance.md.

mod bars;
mod callgrind;
mod client;
mod histogram;
mod load;
mod machine;
mod options;
mod process;
mod report;
mod scenarios;
mod servers;
mod stage;
mod sysbench;
mod systems;

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use options::Options;
use report::Report;
use stage::Stage;
use systems::Places;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    // Processes are started on this thread, which lives as long as the harness.
    let result = runtime.and_then(|runtime| runtime.block_on(run(options)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything; gives whether all could be measured.
async fn run(options: Options) -> io::Result<bool> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let output = options.output.clone();
    let places = places(&options)?;
    let folder = places.folder.clone();
    let machine = machine::describe(&options, &places);
    let mut stage = Stage::set(options, places)?;
    stage.report.machine = machine;
    let is_whole = tokio::select! {
        () = run_scenarios(&mut stage) => true,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
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

fn places(options: &Options) -> io::Result<Places> {
    let absolute = |path: &Path| {
        fs::canonicalize(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    };
    fs::create_dir_all(&options.output)?;
    remove_left_behind(&options.output)?;
    let folder = absolute(&options.output)?.join(format!("run-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut command = Command::new(options.root.join("docker/mysql/get.sh"));
    let prefix = process::run(command.args(["--flavour", "mysql"]))?.trim().to_owned();
    let baseline = std::env::current_exe()?.with_file_name("baseline");
    Ok(Places {
        root: absolute(&options.root)?,
        folder,
        bulkhead: absolute(&options.bulkhead)?,
        mysql: prefix.into(),
        baseline: absolute(&baseline)?,
        password: format!("bench-{:x}", random_number()?),
    })
}

/// Removes the folders of runs that are over: their servers' watchers make them again after a run's own end.
fn remove_left_behind(output: &Path) -> io::Result<()> {
    for entry in fs::read_dir(output)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_over = name.strip_prefix("run-").is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_over {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn random_number() -> io::Result<u64> {
    let mut bytes = [0; 8];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
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
