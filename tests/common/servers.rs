//! Real servers for tests: MySQL and MariaDB clusters on loopback, and Bulkhead itself as a process.
//!
//! A test that needs one is in `tests/server_*.rs` and marked `#[ignore = "needs servers: make test"]`.
//! Everything lives in temporary folders on free ports and goes away with the value, and in any case with
//! the test process: `cluster.sh` watches for its end.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use mysql_async::{Conn, Opts, OptsBuilder};
use tempfile::TempDir;

/// How long a process may take until it answers.
const START_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause between two attempts to reach a process that starts.
const START_WAIT_STEP: Duration = Duration::from_millis(50);

/// Which server a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// MySQL 9.
    MySql,
    /// MariaDB 10.11.
    MariaDb,
}

impl Flavour {
    fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}

/// One of the servers of a cluster, as they were made; a failover changes what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows the primary, read only.
    Replica,
    /// Another one.
    Replica2,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Replica2 => "replica2",
        }
    }
}

/// A running cluster: a primary, and a replica if asked for. Removed on drop.
#[derive(Debug)]
pub struct Cluster {
    /// Its name, as in `cluster.sh --name`.
    pub name: String,
    /// MySQL or MariaDB.
    pub flavour: Flavour,
    /// Port of the primary on 127.0.0.1.
    pub primary_port: u16,
    /// Port of the replica, if there is one.
    pub replica_port: Option<u16>,
    /// Port of the second replica, if there is one.
    pub replica2_port: Option<u16>,
    /// Password of `bulkhead_app`, `bulkhead_admin` and `root`.
    pub password: String,
    folder: TempDir,
}

impl Cluster {
    /// Starts a primary alone: enough for most tests.
    pub fn start(name: &str, flavour: Flavour) -> Self {
        Self::start_servers(name, flavour, None, None)
    }

    /// Starts a primary and a replica that follows it.
    pub fn start_with_replica(name: &str, flavour: Flavour) -> Self {
        Self::start_servers(name, flavour, Some(free_port()), None)
    }

    /// Starts a primary and two replicas that follow it.
    pub fn start_with_two_replicas(name: &str, flavour: Flavour) -> Self {
        Self::start_servers(name, flavour, Some(free_port()), Some(free_port()))
    }

    /// The cluster (a primary alone) that the tests of one file share, one per flavour. Tests that use it
    /// must not stop it, and keep to databases of their own.
    pub fn shared(flavour: Flavour) -> &'static Self {
        static MYSQL: OnceLock<Cluster> = OnceLock::new();
        static MARIADB: OnceLock<Cluster> = OnceLock::new();
        let cell = match flavour {
            Flavour::MySql => &MYSQL,
            Flavour::MariaDb => &MARIADB,
        };
        cell.get_or_init(|| Self::start("shared", flavour))
    }

    fn start_servers(
        name: &str,
        flavour: Flavour,
        replica_port: Option<u16>,
        replica2_port: Option<u16>,
    ) -> Self {
        let cluster = Self {
            name: name.to_owned(),
            flavour,
            primary_port: free_port(),
            replica_port,
            replica2_port,
            password: format!("test-{}", std::process::id()),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        let mut command = cluster.script("start");
        command.args(["--flavour", flavour.name(), "--owner", &std::process::id().to_string()]);
        command.args(["--primary-port", &cluster.primary_port.to_string()]);
        match replica_port {
            Some(port) => command.args(["--replica-port", &port.to_string()]),
            None => command.arg("--no-replica"),
        };
        if let Some(port) = replica2_port {
            command.args(["--replica2-port", &port.to_string()]);
        }
        for account in ["APP", "ADMIN", "REPL", "ROOT"] {
            command.env(format!("BULKHEAD_{account}_PASSWORD"), &cluster.password);
        }
        run(&mut command);
        cluster
    }

    fn script(&self, action: &str) -> Command {
        let mut command = Command::new(project_file("docker/mysql/cluster.sh"));
        command.args([action, "--name", &self.name, "--dir"]).arg(self.folder.path());
        command
    }

    /// Shuts one server down in good order.
    pub fn stop(&self, role: Role) {
        run(self.script("stop").args(["--role", role.name()]));
    }

    /// Ends one server as a crash would.
    pub fn kill(&self, role: Role) {
        run(self.script("kill").args(["--role", role.name()]));
    }

    /// Sends a signal to one server by name: `STOP` freezes it, `CONT` lets it go on.
    pub fn signal(&self, role: Role, name: &str) {
        run(Command::new("kill").args([&format!("-{name}"), &self.pid(role)]));
    }

    /// Bounds the size of the files that one server writes, in bytes, until it is started again; `None`: not
    /// any more. Beyond the bound the system refuses its writes, as those to a full disk.
    pub fn bound_files(&self, role: Role, bytes_max: Option<u64>) {
        let bytes_max = bytes_max.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        // The soft one of the two bounds: the other cannot be taken back.
        run(Command::new("prlimit").args(["--pid", &self.pid(role), &format!("--fsize={bytes_max}:")]));
    }

    /// Size of the file of one server's table, in bytes; of a partitioned one there is none.
    pub fn file_bytes(&self, role: Role, database: &str, table: &str) -> u64 {
        let folder = self.folder.path().join(&self.name).join(role.name());
        let file = folder.join(database).join(format!("{table}.ibd"));
        let found = std::fs::metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        found.len()
    }

    fn pid(&self, role: Role) -> String {
        let file = self.folder.path().join(&self.name).join(format!("{}.pid", role.name()));
        let pid =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        pid.trim().to_owned()
    }

    /// The folder that holds the cluster's, as in `cluster.sh --dir`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts one server again; what it does then is up to it.
    pub fn start_one(&self, role: Role) {
        run(self.script("start").args(["--role", role.name()]));
    }

    /// Starts again whatever is not running.
    pub fn start_again(&self) {
        run(&mut self.script("start"));
    }

    /// Runs SQL as root on the primary through the mysql shell; returns its output, tab-separated, no header.
    pub fn sql(&self, sql: &str) -> String {
        run(self.script("sql").args(["--", "--skip-column-names", "-e", sql]))
    }

    /// Connects to a server as one of its accounts (`bulkhead_app`, `bulkhead_admin`, `root`).
    pub async fn connect(&self, role: Role, user: &str) -> Conn {
        connect(self.port(role), user, &self.password, None).await
    }

    /// A server's port on 127.0.0.1.
    pub fn port(&self, role: Role) -> u16 {
        match role {
            Role::Primary => self.primary_port,
            Role::Replica => self.replica_port.expect("the cluster was started with a replica"),
            Role::Replica2 => self.replica2_port.expect("the cluster was started with two replicas"),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A failure leaves a server behind until the watcher ends it; there is nothing better to do here.
        let _ = self.script("destroy").output();
    }
}

/// Opens a connection to 127.0.0.1. Panics with the server's error: tests of refusals use `try_connect`.
pub async fn connect(port: u16, user: &str, password: &str, database: Option<&str>) -> Conn {
    try_connect(port, user, password, database)
        .await
        .unwrap_or_else(|error| panic!("connecting as {user}: {error}"))
}

/// Opens a connection to 127.0.0.1.
///
/// # Errors
/// What the server answered, or that there is none.
pub async fn try_connect(
    port: u16,
    user: &str,
    password: &str,
    database: Option<&str>,
) -> Result<Conn, mysql_async::Error> {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(user))
        .pass(Some(password))
        .db_name(database);
    Conn::new(Opts::from(options)).await
}

/// Collects what a Bulkhead for a test is to be configured with.
///
/// The listeners (free ports), the store, the user `app` and the clusters' addresses and passwords are
/// written by this; keyspaces, vschemas and anything else come from the test.
#[derive(Debug, Default)]
pub struct Setup {
    config: String,
    listen: String,
    vschemas: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    is_watched: bool,
}

impl Setup {
    /// Leaves the ladder as it is by default. Without this it does nothing by itself: what has no CPU in the
    /// middle of other tests looks sick, and a test of something else would meet a closed lane.
    pub fn watched(mut self) -> Self {
        self.is_watched = true;
        self
    }

    /// Adds a `[clusters.…]` section under the cluster's name.
    pub fn cluster(self, cluster: &Cluster) -> Self {
        self.cluster_as(&cluster.name, cluster)
    }

    /// Adds a `[clusters.…]` section under another name: several may point to one real cluster.
    pub fn cluster_as(mut self, name: &str, cluster: &Cluster) -> Self {
        let variable = format!("TEST_{}_PASSWORD", name.to_uppercase());
        let mut section = format!("[clusters.{name}]\nprimary = \"127.0.0.1:{}\"\n", cluster.primary_port);
        let replicas = [cluster.replica_port, cluster.replica2_port].into_iter().flatten();
        let replicas: Vec<_> = replicas.map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        if !replicas.is_empty() {
            let _ = writeln!(section, "replicas = [{}]", replicas.join(", "));
        }
        let _ = writeln!(section, "user = \"bulkhead_app\"\npassword_env = \"{variable}\"");
        let _ = writeln!(section, "[clusters.{name}.admin]\nuser = \"bulkhead_admin\"");
        let _ = writeln!(section, "password_env = \"{variable}\"");
        self.environment.push((variable, cluster.password.clone()));
        self.config(&section)
    }

    /// Adds text to `bulkhead.toml`: whole sections, such as `[keyspaces.app]`.
    pub fn config(mut self, sections: &str) -> Self {
        self.config.push_str(sections);
        self.config.push('\n');
        self
    }

    /// Adds lines to `[listen]`.
    pub fn listen(mut self, lines: &str) -> Self {
        self.listen.push_str(lines);
        self.listen.push('\n');
        self
    }

    /// Adds a file to the vschema folder, `app.toml` for the keyspace `app`.
    pub fn vschema(mut self, file: &str, text: &str) -> Self {
        self.vschemas.push((file.to_owned(), text.to_owned()));
        self
    }

    /// Sets an environment variable of the process.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the files, starts Bulkhead and waits until it accepts connections.
    pub fn start(self) -> Bulkhead {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (port, admin_port, http_port) = (free_port(), free_port(), free_port());
        let password = format!("app-{}", std::process::id());
        let mut text = String::new();
        if !self.config.contains("[users.app]") {
            text.push_str("[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\nadmin = true\n");
        }
        let _ = writeln!(text, "[listen]\naddress = \"127.0.0.1:{port}\"\n{}", self.listen);
        let _ =
            writeln!(text, "[admin]\naddress = \"127.0.0.1:{admin_port}\"\nhttp = \"127.0.0.1:{http_port}\"");
        let _ = writeln!(text, "[store]\npath = \"bulkhead.redb\"\n{}", self.config);
        if !self.is_watched {
            text.push_str("[ladder]\ncontain = \"off\"\n");
        }
        write_file(&folder.path().join("bulkhead.toml"), &text);
        std::fs::create_dir(folder.path().join("vschema")).expect("the folder can be made");
        for (file, text) in &self.vschemas {
            write_file(&folder.path().join("vschema").join(file), text);
        }
        let mut environment = self.environment;
        environment.push(("TEST_APP_PASSWORD".to_owned(), password.clone()));
        let mut bulkhead =
            Bulkhead { port, admin_port, http_port, password, environment, process: None, folder };
        bulkhead.launch();
        bulkhead
    }
}

/// A running `bulkhead serve`. Ended on drop.
#[derive(Debug)]
pub struct Bulkhead {
    /// Port for clients.
    pub port: u16,
    /// Port of the admin endpoint (MySQL protocol).
    pub admin_port: u16,
    /// Port of `/metrics` and `/healthz`.
    pub http_port: u16,
    /// Password of the user `app`.
    pub password: String,
    environment: Vec<(String, String)>,
    process: Option<Child>,
    folder: TempDir,
}

impl Bulkhead {
    /// Starts the process on the files that are there and waits until it accepts connections.
    pub fn launch(&mut self) {
        let is_up = self.try_launch();
        assert!(is_up, "bulkhead did not start:\n{}", self.log());
    }

    /// The same for a process that may end before it does; says whether it accepts connections.
    pub fn try_launch(&mut self) -> bool {
        let log = std::fs::File::options().create(true).append(true).open(self.path("bulkhead.log"));
        let log = log.expect("the log can be opened");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
        command.args(["serve", "--config"]).arg(self.path("bulkhead.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log can be shared")).stderr(log);
        let mut process = command.spawn().expect("the binary starts");
        let ready = wait_until(|| {
            let ended = process.try_wait().expect("the process is ours").is_some();
            let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
            ended || (listens(self.port) && listens(self.admin_port))
        });
        let ended = process.try_wait().expect("the process is ours");
        self.process = Some(process);
        ready && ended.is_none()
    }

    /// Connects as `app` with this database, `None` for none.
    pub async fn connect(&self, database: Option<&str>) -> Conn {
        connect(self.port, "app", &self.password, database).await
    }

    /// Connects to the admin endpoint as `app`.
    pub async fn connect_admin(&self) -> Conn {
        connect(self.admin_port, "app", &self.password, None).await
    }

    /// Connects to the admin endpoint as `app`, if it listens.
    ///
    /// # Errors
    /// What it answered, or that there is none.
    pub async fn try_connect_admin(&self) -> Result<Conn, mysql_async::Error> {
        try_connect(self.admin_port, "app", &self.password, None).await
    }

    /// Sets an environment variable of the process as of its next launch.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The environment variables that the process is given.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// A file in the configuration's folder: `bulkhead.toml`, `vschema/app.toml`, `bulkhead.log`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// What the process has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("bulkhead.log")).unwrap_or_default()
    }

    /// Runs another `bulkhead` command on the same configuration; returns exit success and all its output.
    pub fn command(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
        command.args(arguments).arg("--config").arg(self.path("bulkhead.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the binary starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Sends a signal by name: `TERM` stops in good order, `HUP` reloads.
    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("the process was started");
        run(Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()));
    }

    /// Waits for the process to end by itself; `None` when it has not within the bound.
    pub fn wait(&mut self, bound: Duration) -> Option<std::process::ExitStatus> {
        let process = self.process.as_mut().expect("the process was started");
        let mut status = None;
        wait_for(bound, || {
            status = process.try_wait().expect("the process is ours");
            status.is_some()
        });
        status
    }
}

impl Drop for Bulkhead {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- bulkhead.log\n{}", self.log());
        }
        if let Some(process) = &mut self.process {
            // It may have ended by itself; then there is nothing to kill.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Repeats a check until it holds or the usual bound has passed; returns whether it held.
pub fn wait_until(check: impl FnMut() -> bool) -> bool {
    wait_for(START_WAIT_MAX, check)
}

#[expect(clippy::disallowed_methods, reason = "waits for another process, with a bound, on a test's thread")]
fn wait_for(bound: Duration, mut check: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !check() {
        if start.elapsed() > bound {
            return false;
        }
        std::thread::sleep(START_WAIT_STEP);
    }
    true
}

/// A port that nothing listens on, below the range the system gives to outgoing connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at once start at different places.
    let start = u16::try_from(std::process::id() % 1_000).expect("below 1000") * 10;
    for _ in 0..10_000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 20000 and 32000");
}

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn write_file(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
}

/// Runs a command to its end; returns what it printed. Panics with its errors when it fails.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
