//! Adapters of the other systems. All relay to, or pool on, the first cluster, which has the database `ws_1`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::{Kind, Places, System};
use crate::process::{self, Process};
use crate::servers::{Cluster, USER, free_port};

/// A program that is the system, or the part of it that clients connect to.
pub(super) struct Program<'a> {
    pub(super) kind: Kind,
    pub(super) path: &'a Path,
    pub(super) arguments: Vec<String>,
    pub(super) port: u16,
}

/// Starts it and waits until it listens.
pub(super) fn launch(program: &Program<'_>, places: &Places, folder: &Path) -> io::Result<System> {
    let started = Instant::now();
    let log = folder.join(format!("{}.log", program.kind.name()));
    let mut process = Process::spawn(program.path, &program.arguments, &[], &log)?;
    let start_time = process.wait_for_port(program.port, started)?;
    Ok(System {
        kind: program.kind,
        name: program.kind.name().to_owned(),
        port: program.port,
        start_time,
        processes: vec![process],
        password: places.password.clone(),
        admin_port: None,
    })
}

/// Where a program is.
pub(super) fn installed(program: &str) -> io::Result<std::path::PathBuf> {
    process::on_path(program).ok_or_else(|| io::Error::other(format!("{program} is not on PATH")))
}

/// HAProxy in TCP mode with its own defaults: a thread per core, no checks, no logs.
pub(super) fn haproxy(places: &Places, folder: &Path, clusters: &[Cluster]) -> io::Result<System> {
    let port = free_port()?;
    let config = folder.join("haproxy.cfg");
    let lines = [
        "global",
        "    maxconn 4000",
        "defaults",
        "    mode tcp",
        "    timeout connect 5s",
        "    timeout client 1h",
        "    timeout server 1h",
        "listen mysql",
        &format!("    bind 127.0.0.1:{port}"),
        &format!("    server c1 127.0.0.1:{}\n", clusters[0].port),
    ];
    let text = lines.join("\n");
    fs::write(&config, text)?;
    // In the foreground, one process.
    let arguments = vec!["-db".to_owned(), "-f".to_owned(), config.to_string_lossy().into_owned()];
    launch(&Program { kind: Kind::Haproxy, path: &installed("haproxy")?, arguments, port }, places, folder)
}

/// The baseline proxy of this crate.
pub(super) fn baseline(
    places: &Places,
    folder: &Path,
    clusters: &[Cluster],
    connections: u32,
) -> io::Result<System> {
    let port = free_port()?;
    let url = format!("mysql://{USER}:{}@127.0.0.1:{}/ws_1", places.password, clusters[0].port);
    let arguments = vec![port.to_string(), url, connections.to_string()];
    launch(&Program { kind: Kind::Baseline, path: &places.baseline()?, arguments, port }, places, folder)
}

/// ProxySQL: one hostgroup with the first cluster, multiplexing on, its monitor off. Needs `proxysql`, 2.6 or
/// later for the servers' `caching_sha2_password`.
pub(super) fn proxysql(places: &Places, folder: &Path, clusters: &[Cluster]) -> io::Result<System> {
    let (port, admin) = (free_port()?, free_port()?);
    let config = folder.join("proxysql.cnf");
    let (password, server) = (&places.password, clusters[0].port);
    let text = format!(
        "datadir=\"{folder}\"\nadmin_variables= {{ admin_credentials=\"admin:{password}\" \
         mysql_ifaces=\"127.0.0.1:{admin}\" }}\n\
         mysql_variables= {{ interfaces=\"127.0.0.1:{port}\" monitor_enabled=false max_connections=30000 \
         default_authentication_plugin=\"caching_sha2_password\" server_version=\"8.4.0\" }}\n\
         mysql_servers= ( {{ address=\"127.0.0.1\" port={server} hostgroup=0 max_connections=100 }} )\n\
         mysql_users= ( {{ username=\"{USER}\" password=\"{password}\" default_hostgroup=0 }} )\n",
        folder = folder.display()
    );
    fs::write(&config, text)?;
    let mut arguments = vec!["--foreground".to_owned(), "--initial".to_owned()];
    arguments.extend(["-c".to_owned(), config.to_string_lossy().into_owned()]);
    arguments.extend(["-D".to_owned(), folder.to_string_lossy().into_owned()]);
    launch(&Program { kind: Kind::Proxysql, path: &installed("proxysql")?, arguments, port }, places, folder)
}
