//! A fleet on real servers: sixty databases on three clusters, two of MySQL and one of MariaDB.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::clients::run;
use super::servers::{Bulkhead, Cluster, Flavour, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

/// Workspaces, in turn on the clusters.
pub const WORKSPACES: usize = 60;
const VSCHEMA: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n\
                       template = \"template.sql\"\n";
pub const ISSUES: &str = "CREATE TABLE issues (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, title \
                          VARCHAR(50) NOT NULL, votes INT NOT NULL DEFAULT 0, KEY by_votes (votes)) \
                          DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
pub const WIDEN: &str = "ALTER TABLE issues MODIFY votes BIGINT NOT NULL DEFAULT 0";
/// A fleet migration of all of them ends within this, also on a busy machine.
pub const WITHIN: Duration = Duration::from_secs(180);

/// Three clusters with sixty workspaces, and a Bulkhead.
pub struct Stand {
    pub clusters: Vec<Cluster>,
    pub bulkhead: Bulkhead,
}

impl Stand {
    /// Two clusters of MySQL and one of MariaDB, with a database for each workspace.
    pub async fn start(more: &str) -> Self {
        Self::on(
            [("c1", Flavour::MySql), ("c2", Flavour::MySql), ("c3", Flavour::MariaDb)]
                .map(|(name, kind)| Cluster::start(name, kind)),
            more,
        )
        .await
    }

    /// The same on clusters that are there: c1, c2, c3.
    pub async fn on(clusters: [Cluster; 3], more: &str) -> Self {
        let clusters = Vec::from(clusters);
        let mut setup = Setup::default().config(&format!(
            "[keyspaces.workspaces]\nshards = {{ a = \"c1\", b = \"c2\", c = \"c3\" }}\n\
             [schema_changes.fleet]\nsoak = \"0s\"\nstatements_per_second = 200\n{more}"
        ));
        for cluster in &clusters {
            setup = setup.cluster(cluster);
        }
        let setup =
            setup.vschema("workspaces.toml", VSCHEMA).vschema("template.sql", &format!("{ISSUES};\n"));
        let stand = Self { clusters, bulkhead: setup.start() };
        let mut admin = stand.bulkhead.connect_admin().await;
        let mut scripts = vec![String::new(); stand.clusters.len()];
        for id in 1..=WORKSPACES {
            scripts[at(id)].push_str(&format!(
                "CREATE DATABASE ws_{id}; USE ws_{id}; {ISSUES}; \
                 INSERT INTO issues (title, votes) VALUES ('first', {id}); "
            ));
            let shard = ["a", "b", "c"][at(id)];
            run(&mut admin, &format!("CREATE WORKSPACE workspaces {id} ON {shard}")).await;
        }
        for (cluster, script) in stand.clusters.iter().zip(&scripts) {
            cluster.sql(script);
        }
        stand
    }

    /// One statement in a workspace's database.
    pub fn sql(&self, id: usize, statement: &str) -> String {
        self.clusters[at(id)].sql(&format!("USE ws_{id}; {statement}")).trim().to_owned()
    }

    /// How many workspaces' columns have each type, by one question to each cluster.
    pub fn types(&self, table: &str, column: &str) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for cluster in &self.clusters {
            let found = cluster.sql(&format!(
                "SELECT SUBSTRING_INDEX(column_type, '(', 1) FROM information_schema.columns WHERE \
                 table_schema LIKE 'ws\\_%' AND table_name = '{table}' AND column_name = '{column}'"
            ));
            for kind in found.lines().map(str::trim).filter(|line| !line.is_empty()) {
                *types.entry(kind.to_owned()).or_default() += 1;
            }
        }
        types
    }

    /// A connection to the admin port.
    pub async fn admin(&self) -> Conn {
        self.bulkhead.connect_admin().await
    }

    /// Submits; its id.
    pub async fn submit(&self, statement: &str, options: &str) -> String {
        let mut admin = self.admin().await;
        let text = format!("SUBMIT MIGRATION ON workspaces '{statement}' {options}");
        let row: Option<Row> =
            admin.query_first(&text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let row = row.unwrap_or_else(|| panic!("{text}: no id"));
        row.get(0).unwrap_or_else(|| panic!("{text}: no id"))
    }

    /// The databases of a migration by where they stand.
    pub async fn standings(&self, id: &str) -> BTreeMap<String, Vec<String>> {
        let mut standings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let Ok(mut admin) = self.bulkhead.try_connect_admin().await else { return standings };
        let question = format!("SHOW MIGRATION DATABASES '{id}' LIMIT 1000");
        let rows: Vec<Row> = admin.query(question).await.unwrap_or_default();
        for row in rows {
            let (database, state): (String, String) =
                (row.get("database").expect("a name"), row.get("state").expect("a state"));
            standings.entry(state).or_default().push(database);
        }
        standings
    }

    /// The same, how many.
    pub async fn counts(&self, id: &str) -> BTreeMap<String, usize> {
        self.standings(id).await.into_iter().map(|(state, names)| (state, names.len())).collect()
    }

    /// Its state; empty while nobody tells.
    pub async fn state(&self, id: &str) -> String {
        let Ok(mut admin) = self.bulkhead.try_connect_admin().await else { return String::new() };
        let rows: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.unwrap_or_default();
        let is_it = |row: &&Row| row.get::<String, _>("id").as_deref() == Some(id);
        rows.iter().find(is_it).and_then(|row| row.get("state")).unwrap_or_default()
    }

    /// Waits until a migration is in a state.
    pub async fn until(&self, id: &str, state: &str) {
        let until = Instant::now() + WITHIN;
        while self.state(id).await != state {
            assert!(
                Instant::now() < until,
                "{id} is {}: {:?}\n{}",
                self.state(id).await,
                self.standings(id).await,
                tail(&self.bulkhead)
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until so many databases are changed.
    pub async fn until_changed(&self, id: &str, count: usize) {
        let until = Instant::now() + WITHIN;
        loop {
            let changed = self.counts(id).await.get("changed").copied().unwrap_or_default();
            if changed >= count {
                return;
            }
            assert!(Instant::now() < until, "{changed} of {count}\n{}", tail(&self.bulkhead));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The cluster of a workspace.
pub fn at(id: usize) -> usize {
    id % 3
}

/// The last lines of the log.
pub fn tail(bulkhead: &Bulkhead) -> String {
    let log = bulkhead.log();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
