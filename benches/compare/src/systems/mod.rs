//! The systems that are compared: how each is configured and started.
//!
//! Every system gives the same thing: a port of 127.0.0.1 where `bulkhead_app` finds the database `ws_1`.
//! An adapter is a function that writes a configuration into a folder, starts the program and waits until it
//! listens; to add a system, write one and name it in [`Kind`].

mod bulkhead;
mod others;
mod vtgate;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use bulkhead::{Beside, BulkheadSetup, Front, KEYSPACE, Prepared, prepare, start_bulkhead};

use crate::client::Login;
use crate::places::Places;
use crate::process::{self, Process};
use crate::servers::{Cluster, USER};

/// Server connections of the baseline: as many as Bulkhead's pool has.
const BASELINE_CONNECTIONS: u32 = 100;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// The client on the server itself.
    Direct,
    /// HAProxy, relaying TCP.
    Haproxy,
    /// opensrv-mysql in front, mysql_async behind.
    Baseline,
    /// This project.
    Bulkhead,
    /// ProxySQL, if it is on PATH.
    Proxysql,
    /// Vitess's vtgate with a vttablet per server, if they are on PATH.
    Vtgate,
}

impl Kind {
    /// The order in which systems take turns.
    pub const ALL: [Self; 6] =
        [Self::Direct, Self::Haproxy, Self::Baseline, Self::Bulkhead, Self::Proxysql, Self::Vtgate];

    /// As in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Haproxy => "haproxy",
            Self::Baseline => "baseline",
            Self::Bulkhead => "bulkhead",
            Self::Proxysql => "proxysql",
            Self::Vtgate => "vtgate",
        }
    }

    /// Programs that must be on PATH.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Direct | Self::Baseline | Self::Bulkhead => &[],
            Self::Haproxy => &["haproxy"],
            Self::Proxysql => &["proxysql"],
            Self::Vtgate => &["vtgate", "vttablet", "vtctldclient", "etcd"],
        }
    }

    /// All its programs are there.
    pub fn is_installed(self) -> bool {
        self.programs().iter().all(|program| process::on_path(program).is_some())
    }
}

/// A running system. Ended on drop.
#[derive(Debug)]
pub struct System {
    /// Which.
    pub kind: Kind,
    /// As in the report; a variant of a system has a name of its own.
    pub name: String,
    /// Where clients connect.
    pub port: u16,
    /// Time from the start of the program until it listened.
    pub start_time: Duration,
    processes: Vec<Process>,
    password: String,
    /// Bulkhead's port for operators.
    admin_port: Option<u16>,
}

impl System {
    /// The processes that are the proxy; none for `direct`.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::pid).collect()
    }

    /// How to log in with this database.
    pub fn login(&self, database: &str) -> Login {
        Login {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            user: USER.to_owned(),
            password: self.password.clone(),
            database: database.to_owned(),
        }
    }

    /// How to log in as an operator.
    ///
    /// # Errors
    /// The system has no such port, or the first login there fails.
    pub fn admin_login(&self, places: &Places) -> io::Result<Login> {
        let port = self.admin_port.ok_or_else(|| io::Error::other("there is no port for operators"))?;
        warm_login(places, port, USER)?;
        Ok(Login { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ..self.login("") })
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        self.processes.iter_mut().rev().for_each(Process::stop);
    }
}

/// Starts a system in front of the clusters, and logs in once so that the password is known to it.
///
/// # Errors
/// It does not start, or the login fails.
pub fn start(kind: Kind, places: &Places, clusters: &[Cluster], workspaces: u64) -> io::Result<System> {
    let folder = places.folder.join(kind.name());
    std::fs::create_dir_all(&folder)?;
    let system = match kind {
        Kind::Direct => System {
            kind,
            name: kind.name().to_owned(),
            port: clusters[0].port,
            start_time: Duration::ZERO,
            processes: Vec::new(),
            password: places.password.clone(),
            admin_port: None,
        },
        Kind::Bulkhead => return start_bulkhead(&BulkheadSetup::standard(workspaces), places, clusters),
        Kind::Haproxy => others::haproxy(places, &folder, clusters)?,
        Kind::Baseline => return start_baseline(places, clusters, BASELINE_CONNECTIONS),
        Kind::Proxysql => others::proxysql(places, &folder, clusters)?,
        Kind::Vtgate => vtgate::vtgate(places, &folder, clusters)?,
    };
    warm_login(places, system.port, USER)?;
    Ok(system)
}

/// Starts the baseline with this many server connections. It takes every login, so none is made.
///
/// # Errors
/// It does not start.
pub fn start_baseline(places: &Places, clusters: &[Cluster], connections: u32) -> io::Result<System> {
    let folder = places.folder.join(format!("{}-{connections}", Kind::Baseline.name()));
    std::fs::create_dir_all(&folder)?;
    others::baseline(places, &folder, clusters, connections)
}

/// Logs in by the mysql shell, which sends the whole password over TLS or the server's key; afterwards the
/// short way of `caching_sha2_password` works for everybody.
///
/// # Errors
/// Nobody listens, or the login is refused.
pub fn warm_login(places: &Places, port: u16, user: &str) -> io::Result<()> {
    let mut command = std::process::Command::new(places.mysql.join("bin/mysql"));
    command.args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-u", user, "--get-server-public-key"]);
    // No statement and no database: the port may be that for operators.
    command.args([&format!("-P{port}"), "-e", ""]).env("MYSQL_PWD", &places.password);
    process::run(&mut command).map(drop)
}
