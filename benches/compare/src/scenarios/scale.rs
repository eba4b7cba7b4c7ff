//! Large directories: a million workspaces, and 20,000 databases on one cluster.
//!
//! The databases that do not exist are entries only, which is all that Bulkhead keeps of any database; the
//! statements go to one that exists.

use std::io;
use std::process::Command;
use std::time::Instant;

use crate::client::Client;
use crate::load::Work;
use crate::process;
use crate::report::{Bar, Round, Side, entries, median};
use crate::stage::Stage;
use crate::systems::{self, BulkheadSetup, System};

const MILLION: u64 = 1_000_000;
const DATABASES: u64 = 20_000;
/// Starts of each, of which the shortest counts.
const STARTS: u32 = 3;
/// Pairs of windows where CPU time is a bar, at least.
const ROUNDS_MIN: u32 = 3;
/// Clients of the statements.
const CLIENTS: usize = 8;
/// Changes of one entry that are timed.
const CHANGES: usize = 20;
/// What "no start time, no memory, no statement cost" leaves to noise.
const EXTRA_START_MS: f64 = 100.0;
const EXTRA_MEMORY_MB: f64 = 5.0;
const EXTRA_CPU: f64 = 1.05;
/// A change in a large directory : in a small one.
const CHANGE_MAX: f64 = 2.0;

/// What one directory's size costs.
struct Found {
    start_ms: f64,
    memory_mb: f64,
    change_ms: f64,
    rounds: Vec<Round>,
}

/// A million workspaces.
pub(super) async fn million(stage: &mut Stage) {
    if let Err(error) = try_million(stage).await {
        stage.fail("directory", "bulkhead", &error);
    }
}

async fn try_million(stage: &mut Stage) -> io::Result<()> {
    let (small, large) = pair(stage, "million", MILLION, stage.options.rounds_aside()).await?;
    stage.measure("directory", "memory with a small directory", small.memory_mb, "MB");
    stage.measure("directory", "start with a small directory", small.start_ms, "ms");
    stage.measure("directory", "change of one entry, 1,000,000 workspaces", large.change_ms, "ms");
    stage.measure("directory", "change of one entry, small directory", small.change_ms, "ms");
    stage.measure("directory", "proxy CPU per statement : small directory", cpu_ratio(&small, &large), "x");
    let bar = |name: &str, value, unit, bound| Bar::new(name, value, unit, Side::Most, bound);
    stage.judge(bar("start with 1,000,000 workspaces", large.start_ms / 1e3, "s", 3.0));
    stage.judge(bar("memory (RSS) with 1,000,000 workspaces", large.memory_mb, "MB", 120.0));
    let lookup = lookup_ns(stage)?;
    stage.judge(bar("lookup among 1,000,000 workspaces", lookup, "ns", 200.0));
    let change = large.change_ms / small.change_ms;
    stage.judge(bar("change of one entry, 1,000,000 workspaces : small directory", change, "x", CHANGE_MAX));
    Ok(())
}

/// 20,000 databases on one cluster.
pub(super) async fn databases(stage: &mut Stage) {
    match pair(stage, "databases", DATABASES, stage.options.rounds().max(ROUNDS_MIN)).await {
        Ok((small, large)) => {
            let bar = |what: &str, value, unit, bound| {
                Bar::new(format!("20,000 databases on one cluster, {what}"), value, unit, Side::Most, bound)
            };
            stage.judge(bar("start time more", large.start_ms - small.start_ms, "ms", EXTRA_START_MS));
            stage.judge(bar("memory more", large.memory_mb - small.memory_mb, "MB", EXTRA_MEMORY_MB));
            stage.judge(bar("proxy CPU per statement : few", cpu_ratio(&small, &large), "x", EXTRA_CPU));
            stage.enter(entries("databases_few", CLIENTS, &[("bulkhead".to_owned(), small.rounds)]));
            stage.enter(entries("databases_20000", CLIENTS, &[("bulkhead".to_owned(), large.rounds)]));
        }
        Err(error) => stage.fail("databases", "bulkhead", &error),
    }
}

fn cpu_ratio(small: &Found, large: &Found) -> f64 {
    let pairs = large.rounds.iter().zip(&small.rounds);
    median(pairs.map(|(large, small)| large.proxy_cpu_us / small.proxy_cpu_us))
}

/// Two Bulkheads side by side that differ in the size of the directory only.
async fn pair(stage: &Stage, name: &str, workspaces: u64, rounds: u32) -> io::Result<(Found, Found)> {
    let real = stage.options.workspaces();
    let small = BulkheadSetup { name: format!("bulkhead-{name}-few"), ..stage.standard() };
    let large =
        BulkheadSetup { name: format!("bulkhead-{name}"), workspaces, spread: real, ..stage.standard() };
    let mut sides = [start(stage, &small)?, start(stage, &large)?];
    for _ in 0..rounds {
        for (system, found) in &mut sides {
            found.rounds.push(stage.window(system, stage.load(Work::PointText), CLIENTS, "ws_1").await?);
        }
    }
    for (system, found) in &mut sides {
        found.change_ms = change_ms(stage, system).await?;
    }
    let [(one, small), (two, large)] = sides;
    one.stop();
    two.stop();
    Ok((small, large))
}

/// Starts a Bulkhead several times and keeps the last; the start time is the shortest, for each start makes
/// an RSA key and a certificate, which takes a time of its own that chance decides.
fn start(stage: &Stage, setup: &BulkheadSetup) -> io::Result<(System, Found)> {
    stage.say(&format!("{}: {} workspaces", setup.name, setup.workspaces));
    let prepared = systems::prepare(setup, &stage.places, &stage.clusters)?;
    let mut start_ms = f64::INFINITY;
    for _ in 1..STARTS {
        let system = prepared.start()?;
        start_ms = start_ms.min(system.start_time.as_secs_f64() * 1e3);
        system.stop();
    }
    let system = prepared.start()?;
    let found = Found {
        start_ms: start_ms.min(system.start_time.as_secs_f64() * 1e3),
        memory_mb: process::memory_bytes(&system.pids())? as f64 / 1e6,
        change_ms: 0.0,
        rounds: Vec::new(),
    };
    Ok((system, found))
}

/// Time of `SET WORKSPACE`, which is stored before it is answered.
async fn change_ms(stage: &Stage, system: &System) -> io::Result<f64> {
    let mut admin = Client::connect(&system.admin_login(&stage.places)?).await?;
    let mut times = Vec::new();
    for number in 0..CHANGES {
        let state = if number % 2 == 0 { "read_only" } else { "active" };
        let started = Instant::now();
        admin.query(&format!("SET WORKSPACE workspaces 2 STATE {state}")).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}

/// Runs the criterion bench of the directory and takes its median.
fn lookup_ns(stage: &Stage) -> io::Result<f64> {
    let mut command = Command::new("cargo");
    command.args(["bench", "--locked", "--quiet", "--bench", "directory", "--", "lookup$"]);
    command.current_dir(&stage.places.root);
    process::run(&mut command)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), std::path::PathBuf::from);
    let file = stage.places.root.join(target).join("criterion/directory/lookup/new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let median = estimates["median"]["point_estimate"].as_f64();
    median.ok_or_else(|| io::Error::other(format!("{} has no median", file.display())))
}
