//! Workspace isolation under random load: no session ever sees or changes another workspace's row, and every
//! acknowledged write is there once, in the right database.
//!
//! Sessions switch workspaces by USE, comment and variable, run text and prepared statements, transactions
//! that commit or roll back, errors, KILL QUERY, and break their connections in the middle, over pools much
//! smaller than the number of sessions. Every row carries its workspace. The seed is printed;
//! `ISOLATION_SEED` sets it.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

const SESSIONS: u64 = 20;
const WORKSPACES: u64 = 12;
/// How long the load runs.
const RUN_FOR: Duration = Duration::from_secs(12);

const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
const SHARED: &str = r#"
layout = "shared_tables"
workspace_column = "workspace_id"
workspace_vindex = "by_workspace"
[vindexes.by_workspace]
type = "xxhash"
[tables.facts]
"#;
const TOPOLOGY: &str = r#"
[keyspaces.spaces]
shards = { a = "c1", b = "c2" }
[keyspaces.shared]
shards = { "-80" = "c1", "80-" = "c2" }
"#;
const TABLE: &str = "facts (token BIGINT NOT NULL, workspace_id BIGINT NOT NULL, n INT NOT NULL DEFAULT 0, \
                     PRIMARY KEY (workspace_id, token))";

/// A small generator of our own: the same seed gives the same choices.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A row by layout, workspace and token.
type Row = (bool, u64, u64);

/// What one session knows at its end.
#[derive(Default)]
struct Ledger {
    /// Acknowledged and committed.
    committed: BTreeSet<Row>,
    /// Surely never committed.
    absent: BTreeSet<Row>,
    /// Nobody answered: either is right.
    unknown: BTreeSet<Row>,
    faults: Vec<String>,
    statements: u64,
}

struct Worker {
    bulkhead_port: u16,
    password: String,
    random: Random,
    next_token: u64,
    conn: Option<Conn>,
    ledger: Ledger,
}

impl Worker {
    /// A connection whose target and variable are what the last step left, or a fresh one.
    async fn conn(&mut self) -> Conn {
        match self.conn.take() {
            Some(conn) => conn,
            None => common::servers::connect(self.bulkhead_port, "app", &self.password, None).await,
        }
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    async fn step(&mut self) {
        let workspace = 1 + self.random.below(WORKSPACES);
        let shared = self.random.below(2) == 0;
        let mut conn = self.conn().await;
        let Some(comment) = self.choose_workspace(&mut conn, workspace, shared).await else { return };
        let alive = match self.random.below(10) {
            0..=1 => self.read(&mut conn, workspace, shared, &comment).await,
            2..=4 => self.write(&mut conn, workspace, shared, &comment).await,
            5..=7 => self.transaction(&mut conn, workspace, shared, &comment).await,
            8 => self.error(&mut conn, &comment).await,
            _ => {
                self.break_off(conn, workspace, shared, &comment).await;
                return;
            }
        };
        if alive {
            self.conn = Some(conn);
        }
    }

    /// Goes to the workspace by one of the ways; gives the comment that statements must carry.
    async fn choose_workspace(&mut self, conn: &mut Conn, workspace: u64, shared: bool) -> Option<String> {
        let way = self.random.below(3);
        let database = match (shared, way) {
            (true, _) => "shared".to_owned(),
            (false, 0) => format!("ws_{workspace}"),
            (false, _) => "spaces".to_owned(),
        };
        let variable = if way == 1 { workspace.to_string() } else { "NULL".to_owned() };
        // The variable first: beside another workspace's database it would be a conflict.
        for sql in [format!("SET @workspace_id = {variable}"), format!("USE {database}")] {
            if let Err(error) = conn.query_drop(&sql).await {
                self.ledger.faults.push(format!("{sql}: {error}"));
                return None;
            }
        }
        Some(if way == 2 { format!(" /*workspace_id:{workspace}*/") } else { String::new() })
    }

    fn insert(&self, workspace: u64, token: u64, comment: &str) -> String {
        format!("INSERT INTO facts (token, workspace_id) VALUES ({token}, {workspace}){comment}")
    }

    async fn read(&mut self, conn: &mut Conn, workspace: u64, shared: bool, comment: &str) -> bool {
        self.ledger.statements += 1;
        let filter = if shared { format!(" WHERE workspace_id = {workspace}") } else { String::new() };
        let rows: Result<Vec<(u64, u64)>, _> = if self.random.below(2) == 0 {
            conn.query(format!("SELECT token, workspace_id FROM facts{filter}{comment}")).await
        } else if shared {
            let sql = format!("SELECT token, workspace_id FROM facts WHERE workspace_id = ?{comment}");
            conn.exec(sql, (workspace,)).await
        } else {
            let sql = format!("SELECT token, workspace_id FROM facts WHERE token > ?{comment}");
            conn.exec(sql, (0,)).await
        };
        match rows {
            Ok(rows) => {
                if let Some(foreign) = rows.iter().find(|(_, of)| *of != workspace) {
                    self.ledger.faults.push(format!("{workspace} (shared {shared}) saw {foreign:?}"));
                }
                let seen: BTreeSet<u64> = rows.iter().map(|(token, _)| *token).collect();
                let mine = self.ledger.committed.iter().filter(|row| (row.0, row.1) == (shared, workspace));
                if let Some(lost) = mine.map(|row| row.2).find(|token| !seen.contains(token)) {
                    self.ledger.faults.push(format!("{workspace} (shared {shared}) misses {lost}"));
                }
                true
            }
            Err(error) => self.failed("read", &error),
        }
    }

    /// A server's or the proxy's refusal leaves the connection usable; anything else ends it.
    fn failed(&mut self, what: &str, error: &mysql_async::Error) -> bool {
        // A KILL QUERY of another session's step is the one failure that may come at any time.
        let killed = matches!(error, mysql_async::Error::Server(server) if server.code == 1317);
        if !killed {
            self.ledger.faults.push(format!("{what}: {error}"));
        }
        killed
    }

    async fn write(&mut self, conn: &mut Conn, workspace: u64, shared: bool, comment: &str) -> bool {
        self.ledger.statements += 1;
        let token = self.token();
        let done = if self.random.below(2) == 0 {
            conn.query_drop(self.insert(workspace, token, comment)).await
        } else {
            let sql = format!("INSERT INTO facts (token, workspace_id) VALUES (?, ?){comment}");
            conn.exec_drop(sql, (token, workspace)).await
        };
        let row = (shared, workspace, token);
        match done {
            Ok(()) => {
                self.ledger.committed.insert(row);
                true
            }
            Err(error) => {
                self.ledger.unknown.insert(row);
                self.failed("write", &error)
            }
        }
    }

    async fn transaction(&mut self, conn: &mut Conn, workspace: u64, shared: bool, comment: &str) -> bool {
        let commits = self.random.below(2) == 0;
        let mut rows = Vec::new();
        let result = async {
            conn.query_drop(format!("BEGIN{comment}")).await?;
            for _ in 0..=self.random.below(3) {
                self.ledger.statements += 1;
                self.next_token += 1;
                let token = self.next_token;
                rows.push((shared, workspace, token));
                let sql = format!("INSERT INTO facts (token, workspace_id) VALUES (?, ?){comment}");
                conn.exec_drop(sql, (token, workspace)).await?;
                let update = "UPDATE facts SET n = n + 1 WHERE workspace_id = ";
                conn.query_drop(format!("{update}{workspace} AND token = {token}{comment}")).await?;
            }
            conn.query_drop(if commits { "COMMIT" } else { "ROLLBACK" }).await
        }
        .await;
        match result {
            Ok(()) if commits => {
                self.ledger.committed.extend(rows);
                true
            }
            Ok(()) => {
                self.ledger.absent.extend(rows);
                true
            }
            Err(error) => {
                self.ledger.unknown.extend(rows);
                self.failed("transaction", &error);
                false
            }
        }
    }

    async fn error(&mut self, conn: &mut Conn, comment: &str) -> bool {
        let sqls =
            ["SELECT nope FROM facts WHERE workspace_id = 1", "SELEC 1", "INSERT INTO nothing VALUES (1)"];
        let sql = sqls[self.random.below(3) as usize];
        self.ledger.statements += 1;
        match conn.query_drop(format!("{sql}{comment}")).await {
            Ok(()) => {
                self.ledger.faults.push(format!("{sql} was accepted"));
                true
            }
            Err(mysql_async::Error::Server(_)) => true,
            Err(error) => self.failed("error", &error),
        }
    }

    /// Breaks the connection off in a transaction, or kills a statement from another session.
    async fn break_off(&mut self, mut conn: Conn, workspace: u64, shared: bool, comment: &str) {
        let token = self.token();
        let row = (shared, workspace, token);
        if self.random.below(2) == 0 {
            let begun = conn.query_drop(format!("BEGIN{comment}")).await;
            let written = conn.query_drop(self.insert(workspace, token, comment)).await;
            if begun.is_ok() && written.is_ok() {
                self.ledger.absent.insert(row);
            } else {
                self.ledger.unknown.insert(row);
            }
            // Dropped with the transaction open: the server must roll it back.
            drop(conn);
            return;
        }
        let id = conn.id();
        let mut killer = common::servers::connect(self.bulkhead_port, "app", &self.password, None).await;
        let filter = if shared { format!(" WHERE workspace_id = {workspace}") } else { String::new() };
        let slow = conn.query_drop(format!("SELECT SLEEP(0.3), COUNT(*) FROM facts{filter}{comment}"));
        let (_, killed) = tokio::join!(slow, killer.query_drop(format!("KILL QUERY {id}")));
        if let Err(error) = killed {
            self.ledger.faults.push(format!("KILL QUERY: {error}"));
        }
        self.conn = Some(conn);
    }
}

async fn stand(clusters: &[Cluster]) -> Bulkhead {
    let mut setup = Setup::default().vschema("spaces.toml", SPACES).vschema("shared.toml", SHARED);
    for cluster in clusters {
        // Far fewer connections than sessions.
        let pool = format!("[clusters.{}.pool]\nmax_connections = 5\n", cluster.name);
        setup = setup.cluster(cluster).config(&pool);
        let mut root = cluster.connect(Role::Primary, "root").await;
        let databases = (1..=WORKSPACES).map(|id| format!("ws_{id}")).chain(["shared".to_owned()]);
        for database in databases {
            for sql in [format!("CREATE DATABASE {database}"), format!("CREATE TABLE {database}.{TABLE}")] {
                root.query_drop(sql).await.expect("root may create");
            }
        }
    }
    let bulkhead = setup.config(TOPOLOGY).start();
    let mut admin = bulkhead.connect_admin().await;
    for id in 1..=WORKSPACES {
        let shard = if id % 2 == 0 { "a" } else { "b" };
        admin.query_drop(format!("CREATE WORKSPACE spaces {id} ON {shard}")).await.expect("can be created");
    }
    bulkhead
}

/// Every row of every database: row to the number of times it is there; a row in a wrong place is a fault.
async fn found(clusters: &[Cluster], faults: &mut Vec<String>) -> BTreeMap<Row, u32> {
    let mut rows = BTreeMap::new();
    for (at, cluster) in clusters.iter().enumerate() {
        let mut root = cluster.connect(Role::Primary, "root").await;
        for id in 0..=WORKSPACES {
            let shared = id == 0;
            let database = if shared { "shared".to_owned() } else { format!("ws_{id}") };
            let sql = format!("SELECT workspace_id, token FROM {database}.facts");
            let all: Vec<(u64, u64)> = root.query(sql).await.expect("root may read");
            for (workspace, token) in all {
                let right = shared || (workspace == id && (id % 2 == 0) == (at == 0));
                if !right {
                    faults.push(format!("{workspace}'s row {token} is in {database} of {}", cluster.name));
                }
                *rows.entry((shared, workspace, token)).or_insert(0) += 1;
            }
        }
    }
    rows
}

async fn isolation_holds(flavour: Flavour) {
    let seed = std::env::var("ISOLATION_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| 1 + u64::from(std::process::id()));
    println!("seed {seed}");
    let clusters = [Cluster::start("c1", flavour), Cluster::start("c2", flavour)];
    let bulkhead = stand(&clusters).await;
    let until = Instant::now() + RUN_FOR;
    let workers = (0..SESSIONS).map(|number| {
        let mut worker = Worker {
            bulkhead_port: bulkhead.port,
            password: bulkhead.password.clone(),
            random: Random((seed << 16) + 7_919 * (number + 1)),
            next_token: (number + 1) * 1_000_000,
            conn: None,
            ledger: Ledger::default(),
        };
        tokio::spawn(async move {
            while Instant::now() < until && worker.ledger.faults.len() < 5 {
                worker.step().await;
            }
            worker.ledger
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut all = Ledger::default();
    for worker in workers {
        let ledger = worker.await.expect("no worker panics");
        all.committed.extend(ledger.committed);
        all.absent.extend(ledger.absent);
        all.unknown.extend(ledger.unknown);
        all.faults.extend(ledger.faults);
        all.statements += ledger.statements;
    }
    // Transactions that were broken off are rolled back once the server has noticed.
    drop(bulkhead);
    let rows = found(&clusters, &mut all.faults).await;
    for row in &all.committed {
        if rows.get(row) != Some(&1) {
            all.faults.push(format!("committed {row:?} is there {} times", rows.get(row).unwrap_or(&0)));
        }
    }
    all.faults
        .extend(all.absent.iter().filter(|row| rows.contains_key(row)).map(|r| format!("{r:?} came back")));
    let known =
        |row: &&Row| all.committed.contains(row) || all.unknown.contains(row) || all.absent.contains(row);
    let strays: Vec<_> = rows.keys().filter(|row| !known(row)).collect();
    println!(
        "{} statements, {} rows committed, {} unknown",
        all.statements,
        all.committed.len(),
        all.unknown.len()
    );
    assert!(all.faults.is_empty() && strays.is_empty(), "seed {seed}: {strays:?}\n{}", all.faults.join("\n"));
    assert!(all.committed.len() > 100, "too little was done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn mysql_workspaces_are_isolated() {
    isolation_holds(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn mariadb_workspaces_are_isolated() {
    isolation_holds(Flavour::MariaDb).await;
}
