//! The MySQL servers under the load: three clusters of one primary each, and what is in them.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::process::{pause, run};

/// How many clusters there are.
pub const CLUSTERS: usize = 3;
/// The account of servers and proxies alike, so that one login fits all.
pub const USER: &str = "bulkhead_app";
/// Every server takes the connections of 500 relayed clients and the pools' besides.
const CONNECTIONS_MAX: u32 = 2_000;

/// One running server. Removed with its data on drop, and when this process ends in any way.
#[derive(Debug)]
pub struct Cluster {
    /// `c1` to `c3`.
    pub name: String,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// The process.
    pub pid: u32,
    script: PathBuf,
    folder: PathBuf,
}

impl Cluster {
    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.script);
        command.args([action, "--name", &self.name, "--dir"]).arg(&self.folder);
        // A terminal's Ctrl-C is for the harness: a start that is cut off leaves servers behind.
        command.process_group(0);
        command
    }

    /// Runs SQL as root, any number of statements.
    ///
    /// # Errors
    /// The server's.
    pub fn sql(&self, sql: &str) -> io::Result<()> {
        let mut command = self.command("sql");
        command.args(["--", "--batch"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let written = child.stdin.take().expect("asked for").write_all(sql.as_bytes());
        let output = child.wait_with_output()?;
        if output.status.success() {
            return written;
        }
        Err(io::Error::other(format!("{}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim())))
    }

    /// Stops the server's process where it is; returns when every thread stands still.
    ///
    /// # Errors
    /// It is gone, or goes on running.
    pub fn freeze(&self) -> io::Result<()> {
        run(Command::new("kill").args(["-STOP", &self.pid.to_string()]))?;
        for _ in 0..1_000 {
            if self.stands_still()? {
                return Ok(());
            }
            pause(Duration::from_millis(1));
        }
        Err(io::Error::other(format!("{} does not stop", self.name)))
    }

    /// State `T` of all threads: the signal takes a moment to reach those that run.
    fn stands_still(&self) -> io::Result<bool> {
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let text = std::fs::read_to_string(thread?.path().join("stat"))?;
            let state = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
            if state != Some("T") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets the server go on.
    ///
    /// # Errors
    /// It is gone.
    pub fn thaw(&self) -> io::Result<()> {
        run(Command::new("kill").args(["-CONT", &self.pid.to_string()])).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The script's own watcher tries again when this process has ended.
        let _ = self.command("destroy").output();
    }
}

/// Starts all servers at once, empty, with one password for all accounts.
///
/// # Errors
/// A server does not start; with the script's words.
pub fn start(root: &Path, folder: &Path, password: &str) -> io::Result<Vec<Cluster>> {
    let script = root.join("docker/mysql/cluster.sh");
    let mut starting = Vec::new();
    for number in 1..=CLUSTERS {
        let (name, port) = (format!("c{number}"), free_port()?);
        let cluster = Cluster { name, port, pid: 0, script: script.clone(), folder: folder.to_owned() };
        let mut command = cluster.command("start");
        command.args(["--primary-port", &port.to_string(), "--no-replica", "--no-performance-schema"]);
        command.args(["--owner", &std::process::id().to_string()]);
        for account in ["APP", "ADMIN", "REPL", "ROOT"] {
            command.env(format!("BULKHEAD_{account}_PASSWORD"), password);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        starting.push((cluster, command.spawn()?));
    }
    let mut clusters = Vec::new();
    for (mut cluster, child) in starting {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let file = folder.join(&cluster.name).join("primary.pid");
        cluster.pid = std::fs::read_to_string(file)?.trim().parse().map_err(io::Error::other)?;
        cluster.sql(&format!("SET GLOBAL max_connections = {CONNECTIONS_MAX}"))?;
        clusters.push(cluster);
    }
    Ok(clusters)
}

/// Which cluster has a workspace, counted from 0: one after the other.
pub fn cluster_of(workspace: u64) -> usize {
    ((workspace - 1) % CLUSTERS as u64) as usize
}

/// Creates the workspaces' databases, `ws_1` and up, each with a small table, on their clusters. `ws_1` also
/// gets the large tables of the load.
///
/// # Errors
/// A server's.
pub fn fill(clusters: &[Cluster], workspaces: u64, rows: u64) -> io::Result<()> {
    std::thread::scope(|scope| {
        let filling: Vec<_> = clusters
            .iter()
            .enumerate()
            .map(|(at, cluster)| scope.spawn(move || cluster.sql(&data_of(at, workspaces, rows))))
            .collect();
        filling.into_iter().try_for_each(|thread| thread.join().expect("no code panics there"))
    })
}

fn data_of(cluster: usize, workspaces: u64, rows: u64) -> String {
    let mut sql = String::new();
    for workspace in (1..=workspaces).filter(|workspace| cluster_of(*workspace) == cluster) {
        let _ = writeln!(
            sql,
            "CREATE DATABASE ws_{workspace}; CREATE TABLE ws_{workspace}.notes (id INT PRIMARY KEY, title \
             VARCHAR(100)); INSERT INTO ws_{workspace}.notes VALUES (1, 'ws {workspace}'), (2, 'two');"
        );
    }
    if cluster == cluster_of(1) {
        sql.push_str("USE ws_1;\n");
        (1..=crate::sysbench::TABLES).for_each(|table| put_table(&mut sql, table, rows));
        // Rows of 1 MiB.
        sql.push_str("CREATE TABLE big (id INT PRIMARY KEY, c LONGTEXT);\n");
        for (at, letter) in ('a'..='d').enumerate() {
            let _ = writeln!(sql, "INSERT INTO big VALUES ({}, REPEAT('{letter}', 1048576));", at + 1);
        }
    }
    sql
}

/// A table as sysbench itself makes it, for its scripts.
fn put_table(sql: &mut String, table: u32, rows: u64) {
    let _ = writeln!(
        sql,
        "CREATE TABLE sbtest{table} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0, \
         c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k (k));
         SET SESSION cte_max_recursion_depth = {rows};
         INSERT INTO sbtest{table} (k, c, pad)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         SELECT 1 + i * 7919 % {rows}, LEFT(CONCAT(SHA2(i, 256), '-', SHA2(i, 256)), 119),
         LEFT(SHA2(i, 256), 59) FROM n;"
    );
}

/// A port that nothing listens on, below the range that the system gives to outgoing connections.
///
/// # Errors
/// There is none.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two harnesses at once begin at different places.
    let start = (std::process::id() % 900) as u16 * 10;
    for _ in 0..9_000 {
        let port = 22_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port between 22000 and 31000"))
}
