//! Vitess: vtgate with what it cannot run without.
//!
//! etcd as its topology server, a cell, and a vttablet on the first cluster's server, unmanaged. The keyspace
//! is `ws_1`, unsharded. Every statement passes vtgate and vttablet, so the CPU time of both counts.
//!
//! Source: the Vitess manual, "Unmanaged Tablet" and the programs' reference.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::others::{Program, installed, launch};
use super::{Kind, Places, System};
use crate::process::{self, Process};
use crate::servers::{Cluster, USER, free_port};

const TABLET: &str = "bench-100";
const CELL: &str = "bench";
const CELL_ROOT: &str = "/vitess/bench";

/// Starts all of it.
///
/// # Errors
/// A part is not installed, does not start or refuses its options.
pub(super) fn vtgate(places: &Places, folder: &Path, clusters: &[Cluster]) -> io::Result<System> {
    let port = free_port()?;
    let etcd = format!("http://127.0.0.1:{port}");
    let store = start_etcd(folder, port, &etcd)?;
    let topology = strings(&[
        "--topo_implementation=etcd2",
        &format!("--topo_global_server_address={etcd}"),
        "--topo_global_root=/vitess/global",
    ]);
    control(&topology, &["AddCellInfo", "--root", CELL_ROOT, "--server-address", &etcd, CELL])?;
    control(&topology, &["CreateKeyspace", "ws_1"])?;
    let tablet = start_tablet(places, folder, &clusters[0], &topology)?;
    control(&topology, &["TabletExternallyReparented", TABLET])?;
    let mut system = start_gate(places, folder, topology)?;
    // etcd's CPU time per statement is nothing; it must live as long as the system.
    system.processes.splice(0..0, [store, tablet]);
    Ok(system)
}

fn start_etcd(folder: &Path, port: u16, address: &str) -> io::Result<Process> {
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    let data = folder.join("etcd").to_string_lossy().into_owned();
    let mut arguments = strings(&["--data-dir", &data, "--listen-client-urls", address]);
    arguments.extend(strings(&["--advertise-client-urls", address, "--listen-peer-urls", &peer]));
    let mut store = Process::spawn(&installed("etcd")?, &arguments, &[], &folder.join("etcd.log"))?;
    store.wait_for_port(port, Instant::now())?;
    Ok(store)
}

/// Runs a command of vtctldclient without a vtctld.
fn control(topology: &[String], words: &[&str]) -> io::Result<()> {
    let mut command = Command::new(installed("vtctldclient")?);
    command.args(["--server", "internal"]).args(topology).args(words);
    process::run(&mut command).map(drop)
}

fn start_tablet(
    places: &Places,
    folder: &Path,
    cluster: &Cluster,
    topology: &[String],
) -> io::Result<Process> {
    let (http, rpc) = (free_port()?, free_port()?);
    let passwords = folder.join("credentials.json");
    fs::write(&passwords, format!("{{\"{USER}\": [\"{}\"]}}", places.password))?;
    let mut arguments = topology.to_vec();
    arguments.extend([format!("--tablet-path={TABLET}"), format!("--db_port={}", cluster.port)]);
    arguments.extend(strings(&["--init_keyspace=ws_1", "--init_shard=0", "--init_db_name_override=ws_1"]));
    arguments.extend(strings(&["--init_tablet_type=replica", "--unmanaged", "--db_host=127.0.0.1"]));
    arguments.extend(strings(&["--service_map=grpc-queryservice,grpc-tabletmanager"]));
    arguments.extend(strings(&["--queryserver-config-pool-size=100"]));
    for role in ["app", "dba", "repl", "filtered", "allprivs"] {
        arguments.push(format!("--db_{role}_user={USER}"));
    }
    arguments.push(format!("--db-credentials-file={}", passwords.display()));
    arguments.extend([format!("--port={http}"), format!("--grpc_port={rpc}")]);
    let log = folder.join("vttablet.log");
    let mut tablet = Process::spawn(&installed("vttablet")?, &arguments, &[], &log)?;
    tablet.wait_for_port(rpc, Instant::now())?;
    Ok(tablet)
}

fn start_gate(places: &Places, folder: &Path, topology: Vec<String>) -> io::Result<System> {
    let (port, http, rpc) = (free_port()?, free_port()?, free_port()?);
    let logins = folder.join("logins.json");
    fs::write(&logins, format!("{{\"{USER}\": [{{\"Password\": \"{}\"}}]}}", places.password))?;
    let mut arguments = topology;
    arguments.extend([format!("--cell={CELL}"), format!("--cells_to_watch={CELL}")]);
    arguments.extend(strings(&["--tablet_types_to_wait=PRIMARY", "--mysql_auth_server_impl=static"]));
    arguments.push(format!("--mysql_auth_server_static_file={}", logins.display()));
    arguments.extend(["--mysql_server_bind_address=127.0.0.1".to_owned(), format!("--grpc_port={rpc}")]);
    arguments.extend([format!("--mysql_server_port={port}"), format!("--port={http}")]);
    launch(&Program { kind: Kind::Vtgate, path: &installed("vtgate")?, arguments, port }, places, folder)
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
