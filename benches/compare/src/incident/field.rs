//! Where cases are played: three clusters, of which the first falls ill and is made anew for each case.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::fault::FaultProxy;
use super::ledger::{self, Entry, Held, Verdict};
use super::options::Options;
use super::record::Protection;
use super::{policy, schema};
use crate::places::Places;
use crate::process::run;
use crate::servers::{self, Cluster, Role, on_all};
use crate::systems::{BulkheadSetup, Front, Prepared, prepare};

/// The cluster that falls ill, by number.
pub const SICK: usize = 0;
/// Connections of Bulkhead to each server.
const POOL_MAX: u32 = 64;
/// How much the sick cluster's servers give way to others, as `nice` counts.
const YIELD: &str = "5";

/// The servers, and where things are. On drop everything is ended.
pub struct Field {
    /// What is asked for.
    pub options: Options,
    /// Where things are.
    pub places: Places,
    /// c1 to c3.
    pub clusters: Vec<Cluster>,
    /// Nothing was played yet since the sick cluster was filled.
    is_new: bool,
    started: Instant,
}

impl Field {
    /// Starts the servers, fills them, and keeps a copy of the cluster that is going to fall ill.
    ///
    /// # Errors
    /// A server does not start, or does not take what it is given.
    pub fn set(options: Options, places: Places) -> io::Result<Self> {
        let mut field = Self { options, places, clusters: Vec::new(), is_new: true, started: Instant::now() };
        field.say("starting three clusters, a primary and a replica each");
        field.clusters = servers::start_with_replicas(&field.places)?;
        let workspaces = field.options.workspaces();
        field.say(&format!("making {workspaces} workspaces"));
        on_all(&field.clusters, |at, cluster| {
            cluster.sql(schema::SEMI_SYNC[0])?;
            cluster.ask(Role::Replica, schema::SEMI_SYNC[1])?;
            cluster.sql(&schema::create(at, workspaces))?;
            wait_for_replica(cluster)
        })?;
        field.say("keeping a copy of c1");
        field.clusters[SICK].stop()?;
        for role in field.clusters[SICK].roles() {
            copy(&field.clusters[SICK].data(*role), &field.kept(*role))?;
        }
        Ok(field)
    }

    fn kept(&self, role: Role) -> PathBuf {
        self.places.folder.join(format!("kept-{}", role.name()))
    }

    /// Prints a line of progress.
    pub fn say(&self, what: &str) {
        eprintln!("[{:6.1} s] {what}", self.started.elapsed().as_secs_f64());
    }

    /// The clusters' names.
    pub fn names(&self) -> Vec<String> {
        self.clusters.iter().map(|cluster| cluster.name.clone()).collect()
    }

    /// Makes the sick cluster as it was at the beginning, and sets the others' counters back.
    ///
    /// # Errors
    /// A server does not start, or does not take what it is given.
    pub fn make_anew(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_new) {
            self.say("making c1 anew");
            self.clusters[SICK].kill()?;
            for role in self.clusters[SICK].roles() {
                copy(&self.kept(*role), &self.clusters[SICK].data(*role))?;
            }
        }
        self.say("starting c1");
        self.clusters[SICK].start_again(None)?;
        for role in self.clusters[SICK].roles() {
            yield_cpu(self.clusters[SICK].pid_of(*role)?);
        }
        self.say("setting counters back");
        let workspaces = self.options.workspaces();
        on_all(&self.clusters, |at, cluster| {
            cluster.sql(&schema::reset(at, workspaces))?;
            wait_for_replica(cluster)
        })?;
        Ok(())
    }

    /// Fault proxies in front of the sick cluster's servers, primary first. Its replica replicates through
    /// them, too: a server has one address for everybody.
    ///
    /// # Errors
    /// There are no ports, or the replica refuses.
    pub async fn fault_proxies(&self) -> io::Result<[FaultProxy; 2]> {
        let sick = &self.clusters[SICK];
        let replica = sick.replica_port.ok_or_else(|| io::Error::other("the sick cluster has no replica"))?;
        let proxies = [FaultProxy::start(sick.port).await?, FaultProxy::start(replica).await?];
        let source = proxies[0].port;
        sick.ask(
            Role::Replica,
            &format!("STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_PORT = {source}; START REPLICA"),
        )?;
        wait_for_replica(sick)?;
        Ok(proxies)
    }

    /// Bulkhead's files for a case.
    ///
    /// # Errors
    /// Bulkhead refuses them.
    pub fn prepare(&self, name: &str, may: Protection, proxies: &[FaultProxy; 2]) -> io::Result<Prepared> {
        let front = |(at, cluster): (usize, &Cluster)| Front {
            name: cluster.name.clone(),
            primary: if at == SICK { proxies[0].port } else { cluster.port },
            replica: if at == SICK { Some(proxies[1].port) } else { cluster.replica_port },
            administrates: true,
        };
        let setup = BulkheadSetup {
            name: format!("bulkhead-{name}"),
            pool_max: POOL_MAX,
            fronts: self.clusters.iter().enumerate().map(front).collect(),
            config: policy::ladder(may).to_owned(),
            ..BulkheadSetup::standard(self.options.workspaces())
        };
        prepare(&setup, &self.places, &self.clusters)
    }

    /// Compares the ledgers, by cluster, with what the servers hold that take writes now. Gives the verdict,
    /// and how many of the sick cluster's servers take writes.
    ///
    /// # Errors
    /// A server does not answer.
    pub fn check(&self, ledgers: &[Vec<Entry>], run: u32) -> io::Result<(Verdict, usize)> {
        let workspaces = self.options.workspaces();
        let found = on_all(&self.clusters, |at, cluster| {
            let writable = writable_servers(cluster);
            // With two, the one that was promoted counts; that there are two is a fault of its own.
            let role = writable.last().copied().unwrap_or(Role::Primary);
            let mut held = Held::default();
            held.add(&cluster.ask(role, &schema::ask(at, workspaces, run))?).map_err(io::Error::other)?;
            Ok((ledger::check(&ledgers[at], &held), writable.len()))
        })?;
        let mut all = Verdict::default();
        found.iter().for_each(|(verdict, _)| all.merge(verdict));
        Ok((all, found[SICK].1))
    }

    /// What runs on the sick cluster's servers, for when that is not as it should be; a line each.
    pub fn what_runs(&self) -> Vec<String> {
        let asked = "SELECT CONCAT_WS(' ', id, user, command, time, state, LEFT(info, 60)) \
                     FROM information_schema.processlist WHERE command NOT IN ('Sleep', 'Daemon')";
        let sick = &self.clusters[SICK];
        let of = |role: &Role| {
            let answer = sick.ask(*role, asked).unwrap_or_else(|error| error.to_string());
            answer.lines().map(|line| format!("{}: {line}", role.name())).collect::<Vec<_>>()
        };
        sick.roles().iter().flat_map(of).collect()
    }

    /// Whether replication is semi-synchronous, for the report.
    pub fn described(&self) -> BTreeMap<&'static str, String> {
        let asked = "SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'";
        let clients = |cluster: &Cluster| {
            let answer = cluster.ask(Role::Primary, asked).unwrap_or_default();
            answer.split_whitespace().last().unwrap_or("unknown").to_owned()
        };
        // The first one is down until its first case.
        let counts: Vec<String> = self.clusters.iter().skip(1).map(clients).collect();
        BTreeMap::from([("semi_sync_replicas", counts.join(", "))])
    }
}

fn writable_servers(cluster: &Cluster) -> Vec<Role> {
    let is_writable = |role: &&Role| {
        // A server that does not run takes no writes.
        cluster.ask(**role, "SELECT @@global.read_only").is_ok_and(|answer| answer.trim() == "0")
    };
    cluster.roles().iter().filter(is_writable).copied().collect()
}

fn wait_for_replica(cluster: &Cluster) -> io::Result<()> {
    let done = cluster.ask(Role::Primary, "SELECT REPLACE(@@global.gtid_executed, '\\n', '')")?;
    let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{}', 120)", done.trim().replace("\\n", ""));
    match cluster.ask(Role::Replica, &wait)?.trim() {
        "0" => Ok(()),
        other => Err(io::Error::other(format!("the replica of {} does not catch up: {other}", cluster.name))),
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> io::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

/// The sick cluster's servers get the CPU that others leave. On a day of its own each server has a machine of
/// its own; here a flood must not slow the others down by taking the processors, which Bulkhead could not
/// prevent.
fn yield_cpu(pid: u32) {
    // Sessions have shares of their own where the kernel groups by session; threads, where it does not. That
    // one of the two is missing, or both, is no reason to stop.
    let _ = std::fs::write(format!("/proc/{pid}/autogroup"), YIELD);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ids = threads.map(|thread| thread.file_name().to_string_lossy().into_owned());
    let _ = run(Command::new("renice").args(["-n", YIELD, "-p"]).args(ids));
}

impl Drop for Field {
    fn drop(&mut self) {
        self.say("ending everything");
    }
}
