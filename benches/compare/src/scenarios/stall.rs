//! One cluster's server is frozen while the others are under load.
//!
//! The healthy load is the same in both windows, and the frozen shard's clients wait beside it in the second
//! one only: so the frozen shard takes nothing from the undisturbed window, which would flatter the ratio.

use std::io;

use tokio::task::JoinSet;

use crate::client::{Client, Login};
use crate::load::{self, Work};
use crate::report::{Bar, Round, Side, entries, median};
use crate::servers::Cluster;
use crate::stage::{Stage, round_of};
use crate::systems::System;

/// Clients on the two healthy shards together, and on the frozen one.
const HEALTHY_CLIENTS: usize = 32;
const STUCK_CLIENTS: usize = 32;
/// A workspace of each cluster: the last one's is frozen.
const HEALTHY: [&str; 2] = ["ws_1", "ws_2"];
const FROZEN: &str = "ws_3";
const BOUND: f64 = 1.1;
/// Pairs of windows, at least: a p99 of few seconds is noisy.
const PAIRS_MIN: u32 = 3;

/// A server that is stopped by a signal, until this is dropped.
struct Frozen<'a>(&'a Cluster);

impl<'a> Frozen<'a> {
    fn freeze(cluster: &'a Cluster) -> io::Result<Self> {
        let frozen = Self(cluster);
        cluster.freeze()?;
        Ok(frozen)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // If the server is gone there is nothing to let go on.
        let _ = self.0.thaw();
    }
}

/// Runs pairs of windows and judges the p99.
pub(super) async fn run(stage: &mut Stage) {
    let (mut calm, mut stalled) = (Vec::new(), Vec::new());
    for _ in 0..stage.options.rounds().max(PAIRS_MIN) {
        match pair(stage).await {
            Ok((one, two)) => {
                calm.push(one);
                stalled.push(two);
            }
            Err(error) => return stage.fail("stall", "bulkhead", &error),
        }
    }
    let ratio = median(stalled.iter().zip(&calm).map(|(stalled, calm)| stalled.p99_us / calm.p99_us));
    let name = "p99 of healthy shards, one shard stalled : undisturbed";
    stage.judge(Bar::new(name, ratio, "x", Side::Most, BOUND));
    for (name, rounds) in [("stall_none", calm), ("stall_one", stalled)] {
        stage.enter(entries(name, HEALTHY_CLIENTS, &[("bulkhead".to_owned(), rounds)]));
    }
}

async fn pair(stage: &Stage) -> io::Result<(Round, Round)> {
    let bulkhead = stage.bulkhead().ok_or_else(|| io::Error::other("bulkhead does not run"))?;
    let calm = healthy(stage, bulkhead).await?;
    let login = bulkhead.login(FROZEN);
    let clients = load::connect_all(&vec![login; STUCK_CLIENTS], |login: Login, _| async move {
        let mut client = Client::connect(&login).await?;
        // On a server connection before the freeze, as clients of a shard that falls ill are.
        client.query("SELECT title FROM notes WHERE id=1").await?;
        Ok(client)
    })
    .await?;
    let frozen = Frozen::freeze(&stage.clusters[stage.clusters.len() - 1])?;
    let mut stuck = JoinSet::new();
    for mut client in clients {
        stuck.spawn(async move { client.query("SELECT title FROM notes WHERE id=1").await });
    }
    let stalled = healthy(stage, bulkhead).await;
    let answered = stuck.try_join_next();
    stuck.shutdown().await;
    drop(frozen);
    if answered.is_some_and(|ended| matches!(ended, Ok(Ok(_)))) {
        return Err(io::Error::other("the frozen server answered"));
    }
    Ok((calm, stalled?))
}

async fn healthy(stage: &Stage, bulkhead: &System) -> io::Result<Round> {
    let logins: Vec<Login> =
        (0..HEALTHY_CLIENTS).map(|number| bulkhead.login(HEALTHY[number % HEALTHY.len()])).collect();
    let load = stage.load(Work::Notes);
    let (counted, first, last) = load::run(load, &logins, || stage.mark(bulkhead)).await?;
    Ok(round_of(&counted, counted.statements(), first, last))
}
