//! Bulkhead, with a directory of workspaces as large as a scenario wants it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Kind, Places, System, warm_login};
use crate::process::Process;
use crate::servers::{ADMIN, Cluster, USER, cluster_of, free_port};

/// The keyspace of the workspaces.
pub const KEYSPACE: &str = "workspaces";
const PASSWORD_VARIABLE: &str = "BENCH_PASSWORD";
/// The account of replication.
const REPLICATION: &str = "bulkhead_repl";

/// How a Bulkhead differs from the standard one.
#[derive(Clone, Debug)]
pub struct BulkheadSetup {
    /// Name in the report.
    pub name: String,
    /// Workspaces in the directory: `1` up to this. Those above what `servers::fill` made have no database.
    pub workspaces: u64,
    /// All workspaces above this are on the first cluster.
    pub spread: u64,
    /// Connections to each server.
    pub pool_max: u32,
    /// A program in front of it, with its arguments: valgrind.
    pub wrapper: Vec<String>,
    /// The clusters, if they are to be reached otherwise than by their primaries' own ports.
    pub fronts: Vec<Front>,
    /// Other keyspaces on the same clusters.
    pub beside: Vec<Beside>,
    /// More sections of the main configuration.
    pub config: String,
}

/// Another keyspace, a database per workspace too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Its name.
    pub keyspace: &'static str,
    /// What its databases' names begin with, before `_` and the workspace.
    pub prefix: &'static str,
    /// Workspaces in its directory: `1` up to this, one after the other on the clusters.
    pub workspaces: u64,
}

/// A cluster as Bulkhead is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// Its name.
    pub name: String,
    /// Port of the primary.
    pub primary: u16,
    /// Port of the replica, if there is one.
    pub replica: Option<u16>,
    /// The control plane has logins of its own, which may administrate and replicate.
    pub administrates: bool,
}

impl Front {
    fn put(&self, text: &mut String, pool_max: u32) {
        let Self { name, primary, replica, administrates } = self;
        // Without TLS, as the relay has none either, and as a fault proxy must be able to read.
        let _ = write!(
            text,
            "[clusters.{name}]\nprimary = \"127.0.0.1:{primary}\"\nuser = \"{USER}\"\n\
             password_env = \"{PASSWORD_VARIABLE}\"\n"
        );
        if let Some(replica) = replica {
            let _ = writeln!(text, "replicas = [\"127.0.0.1:{replica}\"]");
        }
        if *administrates {
            let _ = write!(
                text,
                "[clusters.{name}.admin]\nuser = \"{ADMIN}\"\npassword_env = \"{PASSWORD_VARIABLE}\"\n\
                 [clusters.{name}.replication]\nuser = \"{REPLICATION}\"\n\
                 password_env = \"{PASSWORD_VARIABLE}\"\n"
            );
        }
        let _ = write!(
            text,
            "[clusters.{name}.tls]\nmode = \"disabled\"\n[clusters.{name}.pool]\n\
             max_connections = {pool_max}\n"
        );
    }
}

impl BulkheadSetup {
    /// As it is compared.
    pub fn standard(workspaces: u64) -> Self {
        Self {
            name: "bulkhead".to_owned(),
            workspaces,
            spread: u64::MAX,
            pool_max: 100,
            wrapper: Vec::new(),
            fronts: Vec::new(),
            beside: Vec::new(),
            config: String::new(),
        }
    }

    /// All keyspaces.
    fn keyspaces(&self) -> Vec<Beside> {
        let own = Beside { keyspace: KEYSPACE, prefix: "ws", workspaces: self.workspaces };
        [own].into_iter().chain(self.beside.iter().cloned()).collect()
    }

    fn fronts(&self, clusters: &[Cluster]) -> Vec<Front> {
        if !self.fronts.is_empty() {
            return self.fronts.clone();
        }
        let alone = |cluster: &Cluster| Front {
            name: cluster.name.clone(),
            primary: cluster.port,
            replica: None,
            administrates: false,
        };
        clusters.iter().map(alone).collect()
    }
}

/// The files of one Bulkhead, and how its commands are called.
#[derive(Debug)]
struct Files {
    places: Places,
    folder: PathBuf,
}

impl Files {
    fn config(&self) -> PathBuf {
        self.folder.join("bulkhead.toml")
    }

    fn write(&self, ports: [u16; 3], setup: &BulkheadSetup, clusters: &[Cluster]) -> io::Result<()> {
        let [port, admin, http] = ports;
        let mut text = format!(
            "[listen]\naddress = \"127.0.0.1:{port}\"\nmax_connections = 30000\n\
             max_connections_per_user = 30000\nmax_connections_per_address = 30000\n\
             [admin]\naddress = \"127.0.0.1:{admin}\"\nhttp = \"127.0.0.1:{http}\"\n\
             [users.{USER}]\npassword_env = \"{PASSWORD_VARIABLE}\"\nadmin = true\n\
             may_cross_workspaces = false\n"
        );
        for front in setup.fronts(clusters) {
            front.put(&mut text, setup.pool_max);
        }
        fs::create_dir_all(self.folder.join("vschema"))?;
        for Beside { keyspace, prefix, .. } in setup.keyspaces() {
            let shard = |cluster: &Cluster| format!("\"{prefix}-{0}\" = \"{0}\"", cluster.name);
            let shards: Vec<String> = clusters.iter().map(shard).collect();
            let _ = writeln!(text, "[keyspaces.{keyspace}]\nshards = {{ {} }}", shards.join(", "));
            let vschema =
                format!("layout = \"database_per_workspace\"\ndatabase = \"{prefix}_{{workspace_id}}\"\n");
            fs::write(self.folder.join(format!("vschema/{keyspace}.toml")), vschema)?;
        }
        text.push_str(&setup.config);
        fs::write(self.config(), text)
    }

    /// Fills a keyspace's directory of workspaces.
    fn import(&self, beside: &Beside, spread: u64, clusters: &[Cluster]) -> io::Result<()> {
        let Beside { keyspace, prefix, workspaces } = beside;
        let rows = self.folder.join(format!("{keyspace}.csv"));
        let mut out = BufWriter::new(File::create(&rows)?);
        writeln!(out, "workspace,shard,state")?;
        for workspace in 1..=*workspaces {
            let cluster = if workspace > spread { 0 } else { cluster_of(workspace) };
            writeln!(out, "{workspace},{prefix}-{},active", clusters[cluster].name)?;
        }
        out.into_inner()?.sync_all()?;
        let mut command = Command::new(&self.places.bulkhead);
        command.args(["workspace", "import", "--config"]).arg(self.config()).arg(keyspace);
        command.env(PASSWORD_VARIABLE, &self.places.password);
        command.stdin(File::open(&rows)?).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("importing: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// A Bulkhead whose files are written and whose directory is filled.
#[derive(Debug)]
pub struct Prepared {
    files: Files,
    setup: BulkheadSetup,
    ports: [u16; 3],
}

/// Writes the files and fills the directory.
///
/// # Errors
/// Bulkhead refuses them.
pub fn prepare(setup: &BulkheadSetup, places: &Places, clusters: &[Cluster]) -> io::Result<Prepared> {
    let folder = places.folder.join(&setup.name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let files = Files { places: places.clone(), folder };
    let ports = [free_port()?, free_port()?, free_port()?];
    files.write(ports, setup, clusters)?;
    for beside in setup.keyspaces() {
        files.import(&beside, setup.spread, clusters)?;
    }
    Ok(Prepared { files, setup: setup.clone(), ports })
}

impl Prepared {
    /// A command of the program that reads this configuration, with the password that it names in its
    /// environment, and the operator's login. `arguments` come before `--config FILE`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        // The kernel ends it with the thread that starts it, which is the harness's main thread.
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.files.places.bulkhead).args(arguments);
        command.arg("--config").arg(self.files.config());
        let password = &self.files.places.password;
        command.env(PASSWORD_VARIABLE, password).env("BULKHEAD_ADMIN_PASSWORD", password);
        command.env("BULKHEAD_ADMIN_USER", USER);
        command
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.files.folder.join("bulkhead.log")
    }

    /// Starts it; it may be started again, on the same ports, once it is stopped or killed.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self) -> io::Result<System> {
        let places = &self.files.places;
        let config = self.files.config().to_string_lossy().into_owned();
        let mut arguments = self.setup.wrapper.clone();
        arguments.push(places.bulkhead.to_string_lossy().into_owned());
        arguments.extend(["serve".to_owned(), "--config".to_owned(), config]);
        let program = arguments.remove(0);
        let environment = [(PASSWORD_VARIABLE.to_owned(), places.password.clone())];
        let started = Instant::now();
        let mut process = Process::spawn(Path::new(&program), &arguments, &environment, &self.log())?;
        let start_time = process.wait_for_port(self.ports[0], started)?;
        warm_login(places, self.ports[0], USER)?;
        Ok(System {
            kind: Kind::Bulkhead,
            name: self.setup.name.clone(),
            port: self.ports[0],
            start_time,
            processes: vec![process],
            password: places.password.clone(),
            admin_port: Some(self.ports[1]),
        })
    }
}

/// Starts a Bulkhead in front of the clusters.
///
/// # Errors
/// It refuses its files, or does not start.
pub fn start_bulkhead(setup: &BulkheadSetup, places: &Places, clusters: &[Cluster]) -> io::Result<System> {
    prepare(setup, places, clusters)?.start()
}
