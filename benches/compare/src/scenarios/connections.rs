//! What connections cost: many idle ones, many on few server connections, and short ones.

use std::io;

use crate::client::{Client, Login};
use crate::load::{self, Work};
use crate::process;
use crate::report::{Bar, Round, Side, entries, median};
use crate::stage::Stage;
use crate::systems::{self, BulkheadSetup, Kind, System};

/// Clients that do nothing.
const IDLE_CLIENTS: usize = 10_000;
/// Clients that work beside them.
const ACTIVE_CLIENTS: usize = 64;
/// Descriptors that this process needs for other things.
const SPARE_DESCRIPTORS: usize = 500;
/// Memory of an idle client, at most.
const IDLE_KIB_MAX: f64 = 16.0;
/// p99 beside idle clients : without them. A cliff would be a multiple; this leaves room for noise only.
const IDLE_P99_MAX: f64 = 1.2;
/// Clients and server connections of multiplexing.
const MANY_CLIENTS: usize = 500;
const FEW_CONNECTIONS: u32 = 32;

/// 10,000 idle clients and 64 active ones, on a Bulkhead of its own, whose memory nobody used before.
///
/// Only Bulkhead: behind a relay each client is a server connection.
pub(super) async fn idle(stage: &mut Stage) {
    let setup = BulkheadSetup { name: "bulkhead-idle".to_owned(), ..stage.standard() };
    match try_idle(stage, &setup).await {
        Ok(()) => {}
        Err(error) => stage.fail("idle", &setup.name, &error),
    }
}

async fn try_idle(stage: &mut Stage, setup: &BulkheadSetup) -> io::Result<()> {
    let system = systems::start_bulkhead(setup, &stage.places, &stage.clusters)?;
    let clients = IDLE_CLIENTS.min(descriptors()?.saturating_sub(SPARE_DESCRIPTORS));
    let load = stage.load(Work::PointText);
    let mut without = Vec::new();
    for _ in 0..stage.options.rounds() {
        without.push(stage.window(&system, load, ACTIVE_CLIENTS, "ws_1").await?);
    }
    let before = process::memory_bytes(&system.pids())?;
    let started = std::time::Instant::now();
    let idle = open_idle(&system, clients).await?;
    let seconds = started.elapsed().as_secs_f64();
    let after = process::memory_bytes(&system.pids())?;
    let mut beside = Vec::new();
    for _ in 0..stage.options.rounds() {
        beside.push(stage.window(&system, load, ACTIVE_CLIENTS, "ws_1").await?);
    }
    let kib = after.saturating_sub(before) as f64 / 1024.0 / clients as f64;
    let p99 = median(beside.iter().zip(&without).map(|(beside, without)| beside.p99_us / without.p99_us));
    let cpu =
        median(beside.iter().zip(&without).map(|(with, without)| with.proxy_cpu_us / without.proxy_cpu_us));
    drop(idle);
    stage.measure("idle", "idle clients", clients as f64, "clients");
    stage.measure("idle", "logins per second while they connect", clients as f64 / seconds, "1/s");
    stage.measure("idle", "memory with them", after as f64 / 1e6, "MB");
    stage.measure("idle", "proxy CPU of the active beside them : without", cpu, "x");
    stage.judge(Bar::new("idle clients at the same time", clients as f64, "clients", Side::Least, 10_000.0));
    stage.judge(Bar::new("memory per idle client connection", kib, "KiB", Side::Most, IDLE_KIB_MAX));
    let name = "p99 of 64 active clients, beside 10,000 idle ones : without";
    stage.judge(Bar::new(name, p99, "x", Side::Most, IDLE_P99_MAX));
    let without = entries("idle_none", ACTIVE_CLIENTS, &[("bulkhead".to_owned(), without)]);
    stage.enter(without);
    stage.enter(entries("idle_10000", ACTIVE_CLIENTS, &[("bulkhead".to_owned(), beside)]));
    system.stop();
    Ok(())
}

/// Clients that have logged in and run one statement, as an application's pool does, and then wait.
async fn open_idle(system: &System, clients: usize) -> io::Result<Vec<Client>> {
    let logins = vec![system.login("ws_1"); clients];
    load::connect_all(&logins, |login: Login, _| async move {
        let mut client = Client::connect(&login).await?;
        client.query("SELECT title FROM notes WHERE id=1").await?;
        Ok(client)
    })
    .await
}

/// How many files this process may have open.
fn descriptors() -> io::Result<usize> {
    let text = std::fs::read_to_string("/proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("/proc/self/limits names no limit of open files"))
}

/// 500 clients over 32 server connections; a relay and a direct connection need 500.
pub(super) async fn multiplex(stage: &mut Stage) {
    let mut found: Vec<(String, Vec<Round>)> = Vec::new();
    for kind in [Kind::Direct, Kind::Haproxy, Kind::Baseline, Kind::Bulkhead] {
        if stage.systems.iter().any(|system| system.kind == kind) {
            found.push((kind.name().to_owned(), Vec::new()));
        }
    }
    for _ in 0..stage.options.rounds_aside() {
        for (name, rounds) in &mut found {
            match multiplex_once(stage, name).await {
                Ok(round) => rounds.push(round),
                Err(error) => {
                    let name = name.clone();
                    return stage.fail("multiplex", &name, &error);
                }
            }
        }
    }
    stage.enter(entries("multiplex_500", MANY_CLIENTS, &found));
}

async fn multiplex_once(stage: &Stage, name: &str) -> io::Result<Round> {
    let load = stage.load(Work::PointText);
    let own = match name {
        "bulkhead" => {
            let setup = BulkheadSetup {
                name: "bulkhead-32".to_owned(),
                pool_max: FEW_CONNECTIONS,
                ..stage.standard()
            };
            Some(systems::start_bulkhead(&setup, &stage.places, &stage.clusters)?)
        }
        "baseline" => Some(systems::start_baseline(&stage.places, &stage.clusters, FEW_CONNECTIONS)?),
        _ => None,
    };
    let standing = || stage.systems.iter().find(|system| system.name == name);
    let system = own.as_ref().or_else(standing).ok_or_else(|| io::Error::other("it does not run"))?;
    let round = stage.window(system, load, MANY_CLIENTS, "ws_1").await;
    own.into_iter().for_each(System::stop);
    round
}
