//! The same scripts on a plain server and through Bulkhead: every packet of every answer must be the same.
//!
//! Layouts: one unsharded keyspace; a database per workspace, by USE and by comment; shared tables over one,
//! two and three shards. Each as text, as prepared statements, and as an old driver would. What may differ is
//! in `differential/exceptions.txt`. Narrow a run with `DIFFERENTIAL=script-or-mode-part`.

mod common;
mod differential;

use std::fmt::Write as _;

use common::raw::{COLLATION, Login, MODERN, OLD};
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use differential::exceptions::{Difference, Exceptions};
use differential::facts::Fact;
use differential::script::{Action, Script, Step};
use differential::side::Side;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
const SHARED: &str = r#"
layout = "shared_tables"
workspace_column = "workspace_id"
workspace_vindex = "by_workspace"
[vindexes.by_workspace]
type = "xxhash"
[tables.orders]
[tables.items]
[tables.notes]
[tables.countries]
type = "reference"
"#;
/// Tables of the shared keyspaces, made on every shard.
const SHARED_TABLES: [&str; 3] = [
    "orders (id INT, workspace_id BIGINT NOT NULL, state VARCHAR(20), amount DECIMAL(10,2), \
     PRIMARY KEY (workspace_id, id))",
    "items (id INT AUTO_INCREMENT, workspace_id BIGINT NOT NULL, order_id INT, name VARCHAR(20), \
     PRIMARY KEY (workspace_id, id), KEY (id), UNIQUE KEY by_name (workspace_id, name))",
    "countries (code CHAR(2) PRIMARY KEY, name VARCHAR(30))",
];
const TOPOLOGY: &str = r#"
[keyspaces.app]
shards = { "-" = "b1" }
[keyspaces.spaces]
shards = { a = "b1", b = "b2" }
[keyspaces.one]
shards = { "-" = "b1" }
[keyspaces.two]
shards = { "-80" = "b1", "80-" = "b2" }
[keyspaces.three]
shards = { "-55" = "b1", "55-aa" = "b2", "aa-" = "b3" }
"#;

/// One way to run the scripts.
struct Mode {
    name: &'static str,
    /// Which scripts: their `!modes`.
    family: &'static str,
    /// Database on the plain server.
    plain: &'static str,
    /// Database through Bulkhead.
    proxied: &'static str,
    suffix: &'static str,
    binary: bool,
    old: bool,
}

const fn mode(name: &'static str, family: &'static str, plain: &'static str) -> Mode {
    Mode { name, family, plain, proxied: plain, suffix: "", binary: false, old: false }
}

const COMMENT: &str = " /*workspace_id:7*/";
const MODES: &[Mode] = &[
    mode("unsharded text", "unsharded", "app"),
    Mode { binary: true, ..mode("unsharded binary", "unsharded", "app") },
    Mode { old: true, ..mode("unsharded old text", "unsharded", "app") },
    mode("big text", "big", "app"),
    Mode { binary: true, old: true, ..mode("big binary", "big", "app") },
    mode("use text", "use", "ws_7"),
    Mode { binary: true, ..mode("use binary", "use", "ws_7") },
    Mode { proxied: "spaces", suffix: COMMENT, ..mode("comment text", "comment", "ws_7") },
    Mode { proxied: "spaces", suffix: COMMENT, binary: true, ..mode("comment binary", "comment", "ws_7") },
    mode("one shard text", "shared", "one"),
    Mode { binary: true, ..mode("one shard binary", "shared", "one") },
    mode("two shards text", "shared", "two"),
    Mode { binary: true, ..mode("two shards binary", "shared", "two") },
    mode("three shards text", "shared", "three"),
    Mode { binary: true, ..mode("three shards binary", "shared", "three") },
];

struct Stand {
    flavour: &'static str,
    plain: Cluster,
    behind: Vec<Cluster>,
    bulkhead: Bulkhead,
    /// Connections of root, the plain server's first.
    roots: Vec<Conn>,
}

impl Stand {
    async fn start(flavour: Flavour) -> Self {
        let plain = Cluster::start("plain", flavour);
        let behind: Vec<Cluster> =
            ["b1", "b2", "b3"].into_iter().map(|name| Cluster::start(name, flavour)).collect();
        let mut setup = Setup::default().vschema("app.toml", "layout = \"unsharded\"\n");
        setup = setup.vschema("spaces.toml", SPACES).config(TOPOLOGY);
        if flavour == Flavour::MariaDb {
            setup = setup.listen("server_version = \"10.11.14-MariaDB\"");
        }
        for keyspace in ["one", "two", "three"] {
            setup = setup.vschema(&format!("{keyspace}.toml"), SHARED);
        }
        for cluster in &behind {
            setup = setup.cluster(cluster);
        }
        let bulkhead = setup.start();
        let mut roots = Vec::new();
        for cluster in std::iter::once(&plain).chain(&behind) {
            roots.push(cluster.connect(Role::Primary, "root").await);
        }
        let name = if flavour == Flavour::MySql { "mysql" } else { "mariadb" };
        Self { flavour: name, plain, behind, bulkhead, roots }
    }

    /// Empty databases everywhere.
    async fn clear(&mut self, mode: &Mode) {
        let database = mode.plain;
        for root in &mut self.roots {
            let drop = format!("DROP DATABASE IF EXISTS {database}");
            root.query_drop(drop).await.expect("root may drop");
            let create = format!("CREATE DATABASE {database}");
            root.query_drop(create).await.expect("root may create");
            for table in SHARED_TABLES.iter().filter(|_| mode.family == "shared") {
                let create = format!("CREATE TABLE {database}.{table}");
                root.query_drop(create).await.expect("root may create");
            }
        }
    }

    fn sides(&self, mode: &Mode) -> (Side, Side) {
        let capabilities = if mode.old { OLD } else { MODERN };
        let plain = Login {
            port: self.plain.primary_port,
            user: "bulkhead_app".to_owned(),
            password: self.plain.password.clone(),
            database: Some(mode.plain.to_owned()),
            capabilities,
            collation: COLLATION,
        };
        let proxied = Login {
            port: self.bulkhead.port,
            user: "app".to_owned(),
            password: self.bulkhead.password.clone(),
            database: Some(mode.proxied.to_owned()),
            capabilities,
            collation: COLLATION,
        };
        (Side::new(plain, mode.suffix, mode.binary), Side::new(proxied, mode.suffix, mode.binary))
    }

    /// Waits until a transaction waits for a lock, on both sides.
    fn wait_blocked(&self) {
        let sql = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
        let waits = |cluster: &Cluster| cluster.sql(sql).trim() != "0";
        let blocked = common::servers::wait_until(|| waits(&self.plain) && self.behind.iter().any(waits));
        assert!(blocked, "nobody waits for a lock");
    }
}

/// What differs in all runs of one flavour.
struct Report<'a> {
    flavour: &'static str,
    exceptions: &'a Exceptions,
    steps: usize,
    faults: Vec<String>,
}

impl Report<'_> {
    fn compare(&mut self, mode: &Mode, script: &Script, step: &Step, sides: (&[Fact], &[Fact])) {
        self.steps += 1;
        let statement = format!("script:{} {:?}", script.name, step.action);
        let (plain, proxied) = sides;
        let mut shown = String::new();
        for at in 0..plain.len().max(proxied.len()) {
            let (left, right) = (plain.get(at), proxied.get(at));
            if left == right {
                continue;
            }
            let fact = left.or(right).map_or("", |(name, _)| name.as_str());
            let difference =
                Difference { flavour: self.flavour, mode: mode.name, statement: &statement, fact };
            if !self.exceptions.covers(&difference) {
                let show = |fact: Option<&Fact>| {
                    fact.map_or("nothing".to_owned(), |(name, value)| format!("{name} = {value}"))
                };
                let _ = write!(shown, "\n    plain   {}\n    proxied {}", show(left), show(right));
            }
        }
        if !shown.is_empty() {
            let place = format!("{} | {} | {}.sql:{}", self.flavour, mode.name, script.name, step.line);
            let fault = format!("{place} {:?}{shown}", step.action);
            eprintln!("{fault}");
            self.faults.push(fault);
        }
    }
}

async fn run_script(stand: &mut Stand, mode: &Mode, script: &Script, report: &mut Report<'_>) {
    stand.clear(mode).await;
    let (mut plain, mut proxied) = stand.sides(mode);
    for step in &script.steps {
        if step.only.as_deref().is_some_and(|only| only != stand.flavour) {
            continue;
        }
        if step.action == Action::Blocked {
            stand.wait_blocked();
            continue;
        }
        let left = plain.run(&step.action, step.text).await;
        let right = proxied.run(&step.action, step.text).await;
        report.compare(mode, script, step, (&left, &right));
    }
}

fn scripts() -> Vec<Script> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential");
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("can be read").path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
            scripts.push(Script::read(&name, &std::fs::read_to_string(&path).expect("can be read")));
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

async fn compare_all(flavour: Flavour) {
    let exceptions = Exceptions::read(include_str!("differential/exceptions.txt"));
    let mut stand = Stand::start(flavour).await;
    for cluster in &stand.behind {
        cluster.sql("CREATE DATABASE IF NOT EXISTS ws_7");
    }
    let mut admin = stand.bulkhead.connect_admin().await;
    admin.query_drop("CREATE WORKSPACE spaces 7 ON b").await.expect("the workspace can be created");
    let narrow = std::env::var("DIFFERENTIAL").unwrap_or_default();
    let mut report = Report { flavour: stand.flavour, exceptions: &exceptions, steps: 0, faults: Vec::new() };
    for script in scripts() {
        for mode in MODES.iter().filter(|mode| script.modes.iter().any(|family| family == mode.family)) {
            if format!("{} {}", script.name, mode.name).contains(&narrow) {
                run_script(&mut stand, mode, &script, &mut report).await;
            }
        }
    }
    if narrow.is_empty() {
        let unused = exceptions.unused(stand.flavour);
        eprintln!("{}", unused.join("\n"));
        report.faults.extend(unused);
    }
    println!("{}: {} steps compared, {} differ", stand.flavour, report.steps, report.faults.len());
    assert!(report.faults.is_empty(), "{} differences", report.faults.len());
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_answers_are_the_same() {
    compare_all(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_answers_are_the_same() {
    compare_all(Flavour::MariaDb).await;
}
