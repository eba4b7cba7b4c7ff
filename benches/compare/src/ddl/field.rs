//! Where tables are changed: one server, Bulkhead in front of it, the tools beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::judge::Account;
use super::ledger::{self, Ledger};
use super::options::Options;
use super::scenarios::CUT_OVER_ROWS;
use super::table::{self, DATABASE};
use super::tools::{Target, Tool};
use crate::client::{Client, Login};
use crate::places::Places;
use crate::servers::{self, ADMIN, Cluster, Role, USER};
use crate::systems::{self, BulkheadSetup, Front, System};

/// The server holds the table three times in memory: what is compared is the tools, not its disk. All else is
/// the server's own default, threads for its redo log too, which it has from 32 processors on
/// (`innodb_log_writer_threads`).
const SETTINGS: &str =
    "SET GLOBAL innodb_buffer_pool_size = 2147483648; SET GLOBAL innodb_redo_log_capacity = 1073741824";
/// How long one change may take.
const CHANGE_WAIT_MAX: Duration = Duration::from_secs(3_600);
/// How long Bulkhead may take to drop a table that it kept.
const RETIRE_WAIT_MAX: Duration = Duration::from_secs(60);
const RETIRE_LOOK_EVERY: Duration = Duration::from_millis(200);

/// The server, Bulkhead, and where things are. On drop everything is ended.
pub struct Field {
    /// What is asked for.
    pub options: Options,
    /// Where things are.
    pub places: Places,
    /// Tools that are there, in the order of their turns.
    pub tools: Vec<Tool>,
    cluster: Cluster,
    bulkhead: Option<Bulkhead>,
    /// The template's sums, by the number of rows.
    sums: BTreeMap<u64, String>,
    /// Migrations of Bulkhead that were measured.
    migrations: BTreeSet<String>,
    /// Those whose old table is dropped.
    retired: BTreeSet<String>,
    logs: u32,
    started: Instant,
}

/// The running Bulkhead.
struct Bulkhead {
    system: System,
    admin: Login,
}

/// A change that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// From the statement, or the start of the program, to its end.
    pub took: Duration,
    /// CPU time of the server meanwhile.
    pub server_cpu: Duration,
    /// What Bulkhead says of it.
    pub account: Option<Account>,
}

impl Field {
    /// Starts the server, fills it, and starts Bulkhead.
    ///
    /// # Errors
    /// The server does not start, or does not take what it is given; a tool that is asked for is not there;
    /// Bulkhead does not start.
    pub fn set(options: Options, places: Places) -> io::Result<Self> {
        let started = Instant::now();
        let tools = options.tools();
        if let Some(absent) = tools.iter().find(|tool| !tool.is_installed()) {
            return Err(io::Error::other(format!("{} is not on PATH", absent.name())));
        }
        say(started, "starting a MySQL server");
        let cluster = servers::start_alone(&places, options.durable)?;
        cluster.sql(SETTINGS)?;
        let rows = options.rows().max(CUT_OVER_ROWS);
        say(started, &format!("making {rows} rows"));
        cluster.sql(&table::create(rows))?;
        for user in [USER, ADMIN] {
            systems::warm_login(&places, cluster.port, user)?;
        }
        let mut field = Self {
            options,
            places,
            tools,
            cluster,
            bulkhead: None,
            sums: BTreeMap::new(),
            migrations: BTreeSet::new(),
            retired: BTreeSet::new(),
            logs: 0,
            started,
        };
        field.write_login()?;
        if field.tools.contains(&Tool::Bulkhead) {
            field.bulkhead = Some(field.start_bulkhead()?);
        }
        Ok(field)
    }

    fn start_bulkhead(&self) -> io::Result<Bulkhead> {
        let front = Front {
            name: self.cluster.name.clone(),
            primary: self.cluster.port,
            replica: None,
            administrates: true,
        };
        // The one workspace is on the one cluster.
        let setup = BulkheadSetup { spread: 0, fronts: vec![front], ..BulkheadSetup::standard(1) };
        let clusters = std::slice::from_ref(&self.cluster);
        let system = systems::start_bulkhead(&setup, &self.places, clusters)?;
        let admin = system.admin_login(&self.places)?;
        self.say(&format!("bulkhead runs (pid {:?}, port {})", system.pids(), system.port));
        Ok(Bulkhead { system, admin })
    }

    /// Prints a line of progress.
    pub fn say(&self, what: &str) {
        say(self.started, what);
    }

    /// Versions, for the report.
    pub fn described(&self) -> BTreeMap<&'static str, String> {
        let programs = self.tools.iter().filter(|tool| tool.program().is_some());
        programs.map(|tool| (tool.name(), tool.version())).collect()
    }

    fn login_file(&self) -> PathBuf {
        self.places.folder.join("login.cnf")
    }

    fn write_login(&self) -> io::Result<()> {
        let file = self.login_file();
        fs::write(&file, format!("[client]\nuser={ADMIN}\npassword={}\n", self.places.password))?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))
    }

    fn direct_login(&self) -> Login {
        Login {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, self.cluster.port)),
            user: USER.to_owned(),
            password: self.places.password.clone(),
            database: DATABASE.to_owned(),
        }
    }

    /// How the application logs in whose tables this tool changes: through Bulkhead, or to the server.
    ///
    /// # Errors
    /// Bulkhead does not run.
    pub fn login(&self, tool: Tool) -> io::Result<Login> {
        match tool {
            Tool::Bulkhead => Ok(self.bulkhead()?.system.login(DATABASE)),
            Tool::PtOsc | Tool::GhOst | Tool::Spirit | Tool::Direct => Ok(self.direct_login()),
        }
    }

    fn bulkhead(&self) -> io::Result<&Bulkhead> {
        self.bulkhead.as_ref().ok_or_else(|| io::Error::other("Bulkhead does not run"))
    }

    /// Makes a table as it is before the change.
    ///
    /// # Errors
    /// The server's.
    pub fn make(&self, name: &str, rows: u64) -> io::Result<()> {
        self.cluster.sql(&table::make(name, rows))
    }

    /// Makes several tables at once.
    ///
    /// # Errors
    /// The server's.
    pub fn make_all(&self, names: &[String], rows: u64) -> io::Result<()> {
        let sql: String = names.iter().map(|name| table::make(name, rows)).collect();
        self.cluster.sql(&sql)
    }

    /// Has a tool change a table, and waits for the end.
    ///
    /// # Errors
    /// The tool fails, or takes longer than an hour.
    pub async fn change(&mut self, tool: Tool, name: &str) -> io::Result<Made> {
        let changing = async {
            match tool {
                Tool::Bulkhead => {
                    let made = self.send(tool, &table::alter(name)).await?;
                    Ok(Made { account: Some(self.account(name).await?), ..made })
                }
                Tool::Direct => {
                    let sql = format!("{}, ALGORITHM=COPY, LOCK=SHARED", table::alter(name));
                    self.send(tool, &sql).await
                }
                Tool::PtOsc | Tool::GhOst | Tool::Spirit => self.run(tool, name).await,
            }
        };
        let outcome = tokio::time::timeout(CHANGE_WAIT_MAX, changing).await;
        outcome.map_err(|_| io::Error::other(format!("no end within {CHANGE_WAIT_MAX:?}")))?
    }

    async fn send(&self, tool: Tool, sql: &str) -> io::Result<Made> {
        let mut client = Client::connect(&self.login(tool)?).await?;
        let (cpu, began) = (self.server_cpu()?, Instant::now());
        client.query(sql).await?;
        let took = began.elapsed();
        let made = Made { took, server_cpu: self.server_cpu()?.saturating_sub(cpu), account: None };
        client.quit().await?;
        Ok(made)
    }

    async fn run(&mut self, tool: Tool, name: &str) -> io::Result<Made> {
        self.logs += 1;
        let log = self.places.folder.join(format!("{}-{}.log", tool.name(), self.logs));
        let target = Target {
            port: self.cluster.port,
            login: self.login_file(),
            socket: std::env::temp_dir().join(format!("bulkhead-gh-ost-{}.sock", std::process::id())),
            database: DATABASE.to_owned(),
            table: name.to_owned(),
            clause: table::CLAUSE.to_owned(),
        };
        let (cpu, began) = (self.server_cpu()?, Instant::now());
        tool.run(&target, &log).await?;
        let took = began.elapsed();
        Ok(Made { took, server_cpu: self.server_cpu()?.saturating_sub(cpu), account: None })
    }

    /// What Bulkhead says of the change that it has just made. That there is a migration proves that it was
    /// copied, and not passed on to the server.
    async fn account(&mut self, name: &str) -> io::Result<Account> {
        let mut client = Client::connect(&self.bulkhead()?.admin).await?;
        let shown = client.table("SHOW MIGRATIONS").await?;
        let of_table = (0..shown.rows.len()).filter(|row| shown.get(*row, "table") == Some(name));
        let mut ids = of_table.filter_map(|row| shown.get(row, "id"));
        let new = ids.find(|id| !self.migrations.contains(*id));
        let id =
            new.map(str::to_owned).ok_or_else(|| io::Error::other("Bulkhead shows no migration of it"))?;
        let facts = client.table(&format!("SHOW MIGRATION '{id}'")).await?;
        client.quit().await?;
        self.migrations.insert(id);
        Ok(Account::read(&facts))
    }

    fn server_cpu(&self) -> io::Result<Duration> {
        Ok(Duration::from_micros(crate::process::cpu_time(&[self.cluster.pid])?.total_us()))
    }

    /// Compares a changed table with what it must be; gives what is wrong.
    ///
    /// # Errors
    /// The server's.
    pub fn faults(&mut self, name: &str, rows: u64, ledger: &Ledger) -> io::Result<Vec<String>> {
        if !self.sums.contains_key(&rows) {
            self.sums.insert(rows, self.cluster.ask(Role::Primary, &table::template_sums(rows))?);
        }
        let answer = self.cluster.ask(Role::Primary, &table::ask(name, rows))?;
        Ok(ledger::faults(&answer, &self.sums[&rows], ledger))
    }

    /// Drops what a change left: the tools' old tables, those that Bulkhead kept, old binary logs.
    ///
    /// # Errors
    /// The server's, Bulkhead's, or it does not drop what it kept.
    pub async fn clean(&mut self, tables: &[String]) -> io::Result<()> {
        let left = self.cluster.ask(Role::Primary, table::LEFT_BEHIND)?;
        let all = left.lines().chain(tables.iter().map(String::as_str));
        let drops: String = all.map(|name| format!("DROP TABLE IF EXISTS {DATABASE}.{name};\n")).collect();
        self.cluster.sql(&format!("SET SESSION sql_log_bin = 0;\n{drops}"))?;
        if let Some(admin) = self.bulkhead.as_ref().map(|bulkhead| bulkhead.admin.clone()) {
            self.retire(&admin).await?;
        }
        self.cluster.sql("FLUSH BINARY LOGS")?;
        let logs = self.cluster.ask(Role::Primary, "SHOW BINARY LOGS")?;
        let newest = logs.lines().last().and_then(|line| line.split_whitespace().next());
        match newest {
            Some(newest) => self.cluster.sql(&format!("PURGE BINARY LOGS TO '{newest}'")),
            None => Err(io::Error::other("the server has no binary log")),
        }
    }

    /// Has Bulkhead drop the old tables now that it keeps for a day, and waits until it keeps nothing.
    async fn retire(&mut self, admin: &Login) -> io::Result<()> {
        let mut client = Client::connect(admin).await?;
        let shown = client.table("SHOW MIGRATIONS WHERE state = done").await?;
        let all = (0..shown.rows.len()).filter_map(|row| shown.get(row, "id"));
        for id in all.map(str::to_owned) {
            if self.retired.insert(id.clone()) {
                client.query(&format!("RETIRE MIGRATION '{id}'")).await?;
            }
        }
        let began = Instant::now();
        loop {
            let kept = self.cluster.ask(Role::Primary, table::KEPT)?;
            if kept.is_empty() {
                return Ok(());
            }
            if began.elapsed() > RETIRE_WAIT_MAX {
                // The turns to come are to find what the others found.
                let drops: String = kept.lines().map(|name| format!("DROP TABLE {name};\n")).collect();
                self.cluster.sql(&format!("SET SESSION sql_log_bin = 0;\n{drops}"))?;
                let names = kept.lines().collect::<Vec<_>>().join(", ");
                return Err(io::Error::other(format!("Bulkhead does not drop {names}")));
            }
            tokio::time::sleep(RETIRE_LOOK_EVERY).await;
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.say("ending everything");
        if let Some(bulkhead) = self.bulkhead.take() {
            bulkhead.system.stop();
        }
    }
}

fn say(started: Instant, what: &str) {
    eprintln!("[{:6.1} s] {what}", started.elapsed().as_secs_f64());
}
