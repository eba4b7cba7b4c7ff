//! Where a fleet is changed: three clusters with thousands of databases, as they were at the beginning of
//! each case.
//!
//! Each cluster is a primary alone: six servers on two processors would measure the processors.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::kept::Kept;
use super::options::Options;
use super::outcome::{self, Outcome};
use super::schema::{self, Group};
use super::trace::Trace;
use crate::client::Login;
use crate::incident::ledger::{self, Entry, Held, Verdict};
use crate::incident::schema::ask_databases;
use crate::places::Places;
use crate::process::run;
use crate::servers::{self, ADMIN, CLUSTERS, Cluster, Role, on_all};
use crate::systems::warm_login;

/// Connections by which a cluster's databases are made.
const MAKERS: usize = 4;

/// The servers, and where things are. On drop everything is ended.
pub struct Field {
    /// What is asked for.
    pub options: Options,
    /// Where things are.
    pub places: Places,
    /// c1 to c3.
    pub clusters: Vec<Cluster>,
    kept: Kept,
    /// Nothing was played yet since the data was made.
    is_new: bool,
    started: Instant,
}

impl Field {
    /// Starts the servers; makes the fleet and keeps a copy of it, if none is kept.
    ///
    /// # Errors
    /// A server does not start, or does not take what it is given; the disk is full.
    pub fn set(options: Options, mut places: Places) -> io::Result<Self> {
        let started = Instant::now();
        let output = places.folder.parent().map_or_else(|| places.folder.clone(), PathBuf::from);
        let version = places.mysql.display().to_string();
        let kept = Kept::of(&output, &version, &what_is_made(&options));
        let password = kept.password();
        if let Some(password) = &password {
            places.password.clone_from(password);
        }
        say(started, "starting three primaries");
        let clusters = servers::start_durable(&places)?;
        let mut field = Self { options, places, clusters, kept, is_new: false, started };
        field.write_login()?;
        if password.is_none() {
            field.make()?;
        }
        Ok(field)
    }

    /// Makes the databases, and keeps a copy. The servers are stopped then.
    fn make(&mut self) -> io::Result<()> {
        let count = self.options.databases() + self.options.unrelated();
        self.say(&format!("making {count} databases of four tables; the next run takes a copy"));
        on_all(&self.clusters, |at, cluster| {
            cluster.sql(schema::SETTINGS)?;
            cluster.sql(schema::HASTY)?;
            cluster.sql(&schema::create_aside())?;
            make_databases(cluster, &self.databases(at))?;
            cluster.sql(schema::LASTING)
        })?;
        self.say("keeping a copy");
        on_all(&self.clusters, |_, cluster| cluster.stop())?;
        let data = self.clusters.iter().map(|cluster| (cluster.name.clone(), cluster.data(Role::Primary)));
        self.kept.keep(&self.places.password, &data.collect::<Vec<_>>())?;
        self.is_new = true;
        Ok(())
    }

    /// All databases of a cluster.
    fn databases(&self, cluster: usize) -> Vec<String> {
        databases(&self.options, cluster)
    }

    /// Prints a line of progress.
    pub fn say(&self, what: &str) {
        say(self.started, what);
    }

    /// The clusters' names.
    pub fn names(&self) -> Vec<String> {
        self.clusters.iter().map(|cluster| cluster.name.clone()).collect()
    }

    /// How many databases of a kind there are.
    pub fn count(&self, group: Group) -> u64 {
        match group {
            Group::Changed => self.options.databases(),
            Group::Unrelated => self.options.unrelated(),
        }
    }

    /// Makes everything as it was at the beginning.
    ///
    /// # Errors
    /// A server does not start, or the disk is full.
    pub fn make_anew(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_new) {
            self.say("putting the data back");
            on_all(&self.clusters, |_, cluster| {
                cluster.kill()?;
                self.kept.put(&cluster.name, &cluster.data(Role::Primary))
            })?;
            // What is written later would be written while something is measured.
            run(&mut Command::new("sync"))?;
        }
        self.say("starting the servers");
        start_all(&mut self.clusters)?;
        self.clusters.iter().try_for_each(|cluster| warm_login(&self.places, cluster.port, ADMIN))
    }

    /// How an administrator logs in to a primary, past Bulkhead.
    pub fn direct_login(&self, cluster: usize) -> Login {
        Login {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, self.clusters[cluster].port)),
            user: ADMIN.to_owned(),
            password: self.places.password.clone(),
            database: String::new(),
        }
    }

    /// An option file with the administrator's login, so that it is not in the list of processes.
    pub fn login_file(&self) -> PathBuf {
        self.places.folder.join("login.cnf")
    }

    fn write_login(&self) -> io::Result<()> {
        let file = self.login_file();
        fs::write(&file, format!("[client]\nuser={ADMIN}\npassword={}\n", self.places.password))?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))
    }

    /// Compares the ledgers of a kind of databases, by cluster, with what the servers hold.
    ///
    /// # Errors
    /// A server does not answer.
    pub fn check(&self, group: Group, ledgers: &[Vec<Entry>]) -> io::Result<Verdict> {
        let count = self.count(group);
        let found = on_all(&self.clusters, |at, cluster| {
            let asked = ask_databases(group.prefix(), schema::of_cluster(at, count), group.run());
            let mut held = Held::default();
            held.add(&cluster.ask(Role::Primary, &asked)?).map_err(io::Error::other)?;
            Ok(ledger::check(&ledgers[at], &held))
        })?;
        let mut all = Verdict::default();
        found.iter().for_each(|verdict| all.merge(verdict));
        Ok(all)
    }

    /// What became of the first databases, which were asked for, since the case began.
    ///
    /// # Errors
    /// A server does not answer.
    pub fn outcome(&self, asked: u64) -> io::Result<Outcome> {
        let count = self.options.databases();
        let found = on_all(&self.clusters, |at, cluster| {
            let definitions = cluster.ask(Role::Primary, &schema::ask_definitions())?;
            let spoilt = cluster.ask(Role::Primary, &schema::count_spoilt(schema::of_cluster(at, count)))?;
            let spoilt: u64 = spoilt.lines().filter_map(|line| line.parse::<u64>().ok()).sum();
            Ok((outcome::read_definitions(&definitions), read_trace(cluster)?, spoilt))
        })?;
        let (mut definitions, mut trace, mut spoilt) = (BTreeMap::new(), Trace::default(), 0);
        for (own, changes, rows) in found {
            definitions.extend(own);
            trace.merge(changes);
            spoilt += rows;
        }
        let names = (1..=asked).map(|workspace| schema::database(Group::Changed, workspace));
        Ok(Outcome { spoilt_rows: spoilt, ..outcome::judge(names, &definitions, &trace) })
    }

    /// What the servers say of their settings, for the report. They run.
    ///
    /// # Errors
    /// A server does not answer.
    pub fn described(&self) -> io::Result<BTreeMap<&'static str, String>> {
        let said = on_all(&self.clusters, |_, cluster| cluster.ask(Role::Primary, schema::DURABLE))?;
        let words: Vec<&str> = said.iter().map(|text| text.trim()).collect();
        Ok(BTreeMap::from([("servers", words.join("; "))]))
    }
}

/// All at once.
fn start_all(clusters: &mut [Cluster]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let starting: Vec<_> =
            clusters.iter_mut().map(|cluster| scope.spawn(move || cluster.start_again(None))).collect();
        starting.into_iter().try_for_each(|thread| thread.join().expect("no code panics there"))
    })
}

/// Reads all binary logs of a cluster that are there; they begin with the case, as the kept data has none of
/// the fleet's making in it.
fn read_trace(cluster: &Cluster) -> io::Result<Trace> {
    let mut trace = Trace::default();
    for log in cluster.ask(Role::Primary, "SHOW BINARY LOGS")?.lines() {
        let name = log.split_whitespace().next().unwrap_or_default();
        cluster.each_line(&format!("SHOW BINLOG EVENTS IN '{name}'"), |line| trace.add(line))?;
    }
    Ok(trace)
}

fn databases(options: &Options, cluster: usize) -> Vec<String> {
    let of = |group: Group, count: u64| {
        schema::of_cluster(cluster, count).map(move |workspace| schema::database(group, workspace))
    };
    of(Group::Changed, options.databases()).chain(of(Group::Unrelated, options.unrelated())).collect()
}

/// Everything that makes a fleet what it is: a kept one made of something else is another one.
fn what_is_made(options: &Options) -> Vec<String> {
    let fixed = [schema::SETTINGS.to_owned(), schema::create_aside()];
    let databases = (0..CLUSTERS).map(|cluster| schema::create(&databases(options, cluster)));
    fixed.into_iter().chain(databases).collect()
}

/// By several connections at once.
fn make_databases(cluster: &Cluster, databases: &[String]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let parts = databases.chunks(databases.len().div_ceil(MAKERS).max(1));
        let making: Vec<_> =
            parts.map(|part| scope.spawn(move || cluster.sql(&schema::create(part)))).collect();
        making.into_iter().try_for_each(|thread| thread.join().expect("no code panics there"))
    })
}

impl Drop for Field {
    fn drop(&mut self) {
        self.say("ending everything");
    }
}

fn say(started: Instant, what: &str) {
    eprintln!("[{:6.1} s] {what}", started.elapsed().as_secs_f64());
}
