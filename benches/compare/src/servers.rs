//! The MySQL servers under the load: three clusters, and what is in them for the comparison.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::places::Places;
use crate::process::{pause, run, send_signal};

/// How many clusters there are.
pub const CLUSTERS: usize = 3;
/// The account of servers and proxies alike, so that one login fits all.
pub const USER: &str = "bulkhead_app";
/// The account that may do everything on the servers.
pub const ADMIN: &str = "bulkhead_admin";
/// Every server takes the connections of 500 relayed clients and the pools' besides.
const CONNECTIONS_MAX: u32 = 2_000;
/// A server of many databases keeps its tables open: for each of its 16 instances of the cache (a connection
/// uses one) all of them. Else what is measured of a change of database is the opening of a table.
const TABLES_OPEN: &str = "SET GLOBAL table_open_cache = 20000; SET GLOBAL table_definition_cache = 4000;";

/// A running cluster: a primary, and a replica if asked for. Removed with its data on drop, and when this
/// process ends in any way.
#[derive(Debug)]
pub struct Cluster {
    /// `c1` to `c3`.
    pub name: String,
    /// Where the primary listens on 127.0.0.1.
    pub port: u16,
    /// The primary's process.
    pub pid: u32,
    /// Where the replica listens, if there is one.
    pub replica_port: Option<u16>,
    script: PathBuf,
    folder: PathBuf,
}

/// One of the two servers of a cluster, by the part it began with: a failover changes no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that took writes at the start.
    Primary,
    /// The one that followed it.
    Replica,
}

impl Role {
    /// As the script calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

impl Cluster {
    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.script);
        command.args([action, "--name", &self.name, "--dir"]).arg(&self.folder);
        // A terminal's Ctrl-C is for the harness: a start that is cut off leaves servers behind.
        command.process_group(0);
        command
    }

    /// Runs SQL as root on the primary, any number of statements.
    ///
    /// # Errors
    /// The server's.
    pub fn sql(&self, sql: &str) -> io::Result<()> {
        self.ask(Role::Primary, sql).map(drop)
    }

    /// Runs SQL as root on one of the servers; gives the rows of all statements, a line each, values
    /// separated by tabs.
    ///
    /// # Errors
    /// The server's, or it does not run.
    pub fn ask(&self, role: Role, sql: &str) -> io::Result<String> {
        let mut command = self.command("sql");
        command.args(["--role", role.name(), "--", "--batch", "--skip-column-names"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().expect("asked for");
        // Beside the reading of answers, or both sides would wait for the other when much is asked.
        let sql = sql.to_owned();
        let writer = std::thread::spawn(move || input.write_all(sql.as_bytes()));
        let output = child.wait_with_output()?;
        let written = writer.join().expect("no code panics there");
        if output.status.success() {
            return written.map(|()| String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(format!("{}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim())))
    }

    /// Runs SQL as root on the primary and gives each line of the answer to `take`, as it comes: what is long
    /// is not kept.
    ///
    /// # Errors
    /// The server's.
    pub fn each_line(&self, sql: &str, mut take: impl FnMut(&str)) -> io::Result<()> {
        let mut command = self.command("sql");
        command.args(["--role", "primary", "--", "--batch", "--skip-column-names", "--quick", "-e", sql]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().expect("asked for");
        for line in BufReader::new(output).split(b'\n') {
            take(&String::from_utf8_lossy(&line?));
        }
        let ended = child.wait_with_output()?;
        if ended.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("{}: {}", self.name, String::from_utf8_lossy(&ended.stderr).trim())))
    }

    /// The servers that the cluster has.
    pub fn roles(&self) -> &'static [Role] {
        if self.replica_port.is_some() { &[Role::Primary, Role::Replica] } else { &[Role::Primary] }
    }

    /// The process of a server.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid_of(&self, role: Role) -> io::Result<u32> {
        let file = self.folder.join(&self.name).join(format!("{}.pid", role.name()));
        std::fs::read_to_string(file)?.trim().parse().map_err(io::Error::other)
    }

    /// Ends both servers as a crash would.
    ///
    /// # Errors
    /// The script's.
    pub fn kill(&self) -> io::Result<()> {
        run(&mut self.command("kill")).map(drop)
    }

    /// Shuts both servers down in good order.
    ///
    /// # Errors
    /// The script's.
    pub fn stop(&self) -> io::Result<()> {
        run(&mut self.command("stop")).map(drop)
    }

    /// Starts what does not run, on the data that is there.
    ///
    /// # Errors
    /// A server does not start; with the script's words.
    pub fn start_again(&mut self, role: Option<Role>) -> io::Result<()> {
        let mut command = self.command("start");
        if let Some(role) = role {
            command.args(["--role", role.name()]);
        }
        run(&mut command)?;
        self.pid = self.pid_of(Role::Primary)?;
        Ok(())
    }

    /// Where a server's data is.
    pub fn data(&self, role: Role) -> PathBuf {
        self.folder.join(&self.name).join(role.name())
    }

    /// Stops the primary's process where it is; returns when every thread stands still.
    ///
    /// # Errors
    /// It is gone, or goes on running.
    pub fn freeze(&self) -> io::Result<()> {
        send_signal(self.pid, "STOP")?;
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

    /// Lets the primary go on.
    ///
    /// # Errors
    /// It is gone.
    pub fn thaw(&self) -> io::Result<()> {
        send_signal(self.pid, "CONT")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The script's own watcher tries again when this process has ended.
        let _ = self.command("destroy").output();
    }
}

/// Starts three primaries at once, empty, with the run's password for all accounts, as the comparison wants
/// them: without the performance schema.
///
/// # Errors
/// A server does not start; with the script's words.
pub fn start(places: &Places) -> io::Result<Vec<Cluster>> {
    start_all(places, Shape { clusters: CLUSTERS, replica: false, watched: false, durable: false })
}

/// Starts three clusters at once, a primary and a replica each, with the performance schema.
///
/// # Errors
/// A server does not start; with the script's words.
pub fn start_with_replicas(places: &Places) -> io::Result<Vec<Cluster>> {
    start_all(places, Shape { clusters: CLUSTERS, replica: true, watched: true, durable: false })
}

/// Starts three primaries at once, which flush on every commit, with the performance schema.
///
/// # Errors
/// A server does not start; with the script's words.
pub fn start_durable(places: &Places) -> io::Result<Vec<Cluster>> {
    start_all(places, Shape { clusters: CLUSTERS, replica: false, watched: true, durable: true })
}

/// Starts one primary, with the performance schema; `durable`: it flushes on every commit.
///
/// # Errors
/// The server does not start; with the script's words.
pub fn start_alone(places: &Places, durable: bool) -> io::Result<Cluster> {
    let shape = Shape { clusters: 1, replica: false, watched: true, durable };
    Ok(start_all(places, shape)?.remove(0))
}

/// What is started.
#[derive(Clone, Copy, Debug)]
struct Shape {
    clusters: usize,
    /// A replica each.
    replica: bool,
    /// With the performance schema.
    watched: bool,
    /// Flushes on every commit.
    durable: bool,
}

fn start_all(places: &Places, shape: Shape) -> io::Result<Vec<Cluster>> {
    let mut starting = Vec::new();
    for number in 1..=shape.clusters {
        let cluster = Cluster {
            name: format!("c{number}"),
            port: free_port()?,
            pid: 0,
            replica_port: if shape.replica { Some(free_port()?) } else { None },
            script: places.root.join("docker/mysql/cluster.sh"),
            folder: places.folder.clone(),
        };
        let mut command = cluster.command("start");
        command.args(["--primary-port", &cluster.port.to_string()]);
        match cluster.replica_port {
            Some(port) => command.args(["--replica-port", &port.to_string()]),
            None => command.arg("--no-replica"),
        };
        if !shape.watched {
            command.arg("--no-performance-schema");
        }
        if shape.durable {
            command.arg("--durable");
        }
        command.args(["--owner", &std::process::id().to_string()]);
        for account in ["APP", "ADMIN", "REPL", "ROOT"] {
            command.env(format!("BULKHEAD_{account}_PASSWORD"), &places.password);
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
        cluster.pid = cluster.pid_of(Role::Primary)?;
        for role in cluster.roles() {
            cluster.ask(*role, &format!("SET PERSIST max_connections = {CONNECTIONS_MAX}"))?;
        }
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
    on_all(clusters, |at, cluster| cluster.sql(&data_of(at, workspaces, rows))).map(drop)
}

/// Does something with all clusters at once, each with its number from 0; gives what came of it, in order.
///
/// # Errors
/// The first cluster's that fails.
pub fn on_all<T: Send>(
    clusters: &[Cluster],
    what: impl Fn(usize, &Cluster) -> io::Result<T> + Sync,
) -> io::Result<Vec<T>> {
    std::thread::scope(|scope| {
        let what = &what;
        let started: Vec<_> =
            clusters.iter().enumerate().map(|(at, cluster)| scope.spawn(move || what(at, cluster))).collect();
        started.into_iter().map(|thread| thread.join().expect("no code panics there")).collect()
    })
}

fn data_of(cluster: usize, workspaces: u64, rows: u64) -> String {
    let mut sql = format!("{TABLES_OPEN}\n");
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
