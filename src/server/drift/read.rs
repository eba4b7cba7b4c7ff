//! Reading definitions from servers, one database at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, Value};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::config::Cluster;
use crate::control;
use crate::ids::ClusterName;
use crate::migrations::fleet::definition::{Definition, Groups, Seen};
use crate::sql::{ServerVersion, quote};
use crate::vschema::DatabasePattern;

/// Names that are listed at once.
const NAMES_AT_ONCE: u32 = 500;
/// Databases that wait to be read, and those that wait to be counted.
const QUEUE_MAX: usize = 64;
/// Longest time for one statement.
const STATEMENT_MAX: Duration = Duration::from_secs(10);
/// Names of databases that are kept for each set of tables and cluster.
const NAMES_MAX: usize = 20;
/// Faults that are kept.
const FAULTS_MAX: usize = 1000;
/// No such database, no such table, a name that is no table's any more.
const GONE: [u16; 2] = [1049, 1146];
/// How SHOW CREATE TABLE prints depends on these; a lock that is held on a table is not waited for long.
const SETTINGS: &str = "SET SESSION sql_mode = '', sql_quote_show_create = 1, lock_wait_timeout = 2, \
                        character_set_results = utf8mb4";

/// How fast clusters are asked.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Connections to each cluster.
    pub(super) at_once: usize,
    /// Tables of each cluster in a second.
    pub(super) per_second: u32,
}

/// Where names of databases come from.
#[derive(Clone)]
pub(super) enum Source {
    /// All that have such a name.
    Pattern(DatabasePattern),
    /// This one.
    One(String),
}

/// A cluster with databases of the keyspace.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) cluster: Arc<Cluster>,
    pub(super) source: Source,
    pub(super) connect_max: Duration,
}

/// Databases that have the same tables.
#[derive(Default)]
pub(super) struct Members {
    clusters: BTreeMap<ClusterName, (u32, Vec<String>)>,
}

impl Members {
    fn add(&mut self, cluster: &ClusterName, database: String) {
        let (count, names) = self.clusters.entry(cluster.clone()).or_default();
        *count += 1;
        if names.len() < NAMES_MAX {
            names.push(database);
        }
    }

    /// The first of each cluster.
    pub(super) fn names(&self) -> impl Iterator<Item = (&ClusterName, &String)> {
        self.clusters.iter().flat_map(|(cluster, (_, names))| names.iter().map(move |name| (cluster, name)))
    }

    /// How many more there are.
    pub(super) fn unnamed(&self) -> impl Iterator<Item = (&ClusterName, u32)> {
        let more = |count: u32, names: usize| count.saturating_sub(u32::try_from(names).unwrap_or(count));
        self.clusters.iter().map(move |(cluster, (count, names))| (cluster, more(*count, names.len())))
    }
}

/// What was read.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) tables: BTreeMap<String, Groups>,
    /// Which tables databases have.
    pub(super) sets: BTreeMap<Vec<String>, Members>,
    pub(super) databases: BTreeMap<ClusterName, u32>,
    pub(super) faults: Vec<String>,
    /// The tables of the database that was named as the model.
    pub(super) like: BTreeMap<String, Arc<Definition>>,
    /// The clusters that have a database of that name.
    pub(super) models: BTreeSet<ClusterName>,
}

enum Found {
    Database { cluster: ClusterName, database: String, tables: Vec<(String, Seen)> },
    Fault(String),
}

/// Reads every database of the homes; only these tables, unless there are none.
pub(super) async fn read(homes: Vec<Home>, only: &[String], like: Option<&str>, pace: Pace) -> Survey {
    let (found, mut counted) = mpsc::channel(QUEUE_MAX);
    let mut tasks = JoinSet::new();
    for home in homes {
        let (names, queue) = mpsc::channel(QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let mut ticks = interval(Duration::from_secs(1) / pace.per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ticks = Arc::new(Mutex::new(ticks));
        tasks.spawn(list(home.clone(), names, found.clone()));
        for _ in 0..pace.at_once {
            let reader =
                Reader { home: home.clone(), only: only.to_vec(), ticks: ticks.clone(), connection: None };
            tasks.spawn(reader.serve(queue.clone(), found.clone()));
        }
    }
    drop(found);
    let mut survey = Survey::default();
    while let Some(found) = counted.recv().await {
        survey.count(found, like);
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            survey.fault(format!("reading itself failed: {error}"));
        }
    }
    survey
}

impl Survey {
    fn count(&mut self, found: Found, like: Option<&str>) {
        let (cluster, database, tables) = match found {
            Found::Database { cluster, database, tables } => (cluster, database, tables),
            Found::Fault(fault) => return self.fault(fault),
        };
        *self.databases.entry(cluster.clone()).or_default() += 1;
        let is_model = like.is_some_and(|like| is_named(like, &cluster, &database));
        if is_model {
            self.models.insert(cluster.clone());
        }
        let mut set: Vec<String> = Vec::with_capacity(tables.len());
        for (table, seen) in tables {
            if let (true, Seen::Defined(definition)) = (is_model, &seen) {
                self.like.insert(table.clone(), definition.clone());
            }
            self.tables.entry(table.clone()).or_default().add(&cluster, &database, seen);
            set.push(table);
        }
        set.sort_unstable();
        self.sets.entry(set).or_default().add(&cluster, database);
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// Says whether a text is the name of a database: that alone, or with the cluster in front of it, as the
/// databases of shards have one name.
fn is_named(text: &str, cluster: &ClusterName, database: &str) -> bool {
    let of_cluster = text.strip_prefix(cluster.as_str()).and_then(|rest| rest.strip_prefix('/'));
    text == database || of_cluster == Some(database)
}

/// Names of databases, a part at a time, to whoever reads them.
async fn list(home: Home, names: mpsc::Sender<String>, found: mpsc::Sender<Found>) {
    let pattern = match &home.source {
        Source::One(name) => return drop(names.send(name.clone()).await),
        Source::Pattern(pattern) => pattern,
    };
    let listed = list_pattern(&home, pattern, &names).await;
    if let Err(why) = listed {
        let fault = Found::Fault(format!("cluster {}: {why}", home.cluster.name));
        // Whoever counts is gone only when the program ends.
        let _gone = found.send(fault).await;
    }
}

async fn list_pattern(
    home: &Home,
    pattern: &DatabasePattern,
    names: &mpsc::Sender<String>,
) -> Result<(), String> {
    let escape = |text: &str| text.replace('|', "||").replace('_', "|_").replace('%', "|%");
    let like = format!("{}%{}", escape(pattern.prefix()), escape(pattern.suffix()));
    let statement = format!(
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ? ESCAPE '|' \
         AND CAST(schema_name AS BINARY) > CAST(? AS BINARY) ORDER BY CAST(schema_name AS BINARY) \
         LIMIT {NAMES_AT_ONCE}"
    );
    let mut connection = connect(home).await?;
    let mut after = String::new();
    loop {
        let asked = connection.exec(&*statement, (&like, &after));
        let part: Vec<String> = within(asked).await?.map_err(|error| error.to_string())?;
        let Some(last) = part.last() else { break };
        after.clone_from(last);
        for name in part {
            if pattern.match_database(&name).is_some() && names.send(name).await.is_err() {
                return Err("nobody reads its databases".to_owned());
            }
        }
    }
    // It only says goodbye.
    let _gone_anyway = connection.disconnect().await;
    Ok(())
}

async fn connect(home: &Home) -> Result<Conn, String> {
    let cluster = &home.cluster;
    let opened = control::open(&cluster.primary, &cluster.admin_login, &cluster.tls, home.connect_max).await;
    let mut connection = opened.map_err(|refused| refused.to_string())?;
    within(connection.query_drop(SETTINGS)).await?.map_err(|error| error.to_string())?;
    Ok(connection)
}

async fn within<T>(asked: impl Future<Output = T>) -> Result<T, String> {
    timeout(STATEMENT_MAX, asked).await.map_err(|_| format!("no answer within {} s", STATEMENT_MAX.as_secs()))
}

/// Reads databases on one connection.
struct Reader {
    home: Home,
    only: Vec<String>,
    ticks: Arc<Mutex<Interval>>,
    connection: Option<(Conn, ServerVersion)>,
}

/// Why a database was not read.
enum Trouble {
    /// It is not there any more.
    Gone,
    /// The server said no.
    Refused(String),
    /// The connection is of no use any more.
    Lost(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(error) if GONE.contains(&error.code) => Self::Gone,
            Error::Server(error) => Self::Refused(format!("ERROR {}: {}", error.code, error.message)),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl Reader {
    async fn serve(mut self, queue: Arc<Mutex<mpsc::Receiver<String>>>, found: mpsc::Sender<Found>) {
        loop {
            let next = queue.lock().await.recv().await;
            let Some(database) = next else { break };
            let cluster = self.home.cluster.name.clone();
            let told = match self.read(&database).await {
                Ok(tables) => Found::Database { cluster, database, tables },
                Err(Trouble::Gone) => continue,
                Err(Trouble::Refused(why) | Trouble::Lost(why)) => {
                    Found::Fault(format!("cluster {cluster}, database {database}: {why}"))
                }
            };
            if found.send(told).await.is_err() {
                break;
            }
        }
        if let Some((connection, _)) = self.connection.take() {
            // It only says goodbye.
            let _gone_anyway = connection.disconnect().await;
        }
    }

    /// A database, with a second connection when the first one was lost.
    async fn read(&mut self, database: &str) -> Result<Vec<(String, Seen)>, Trouble> {
        match self.read_once(database).await {
            Err(Trouble::Lost(_)) => {
                self.connection = None;
                let again = self.read_once(database).await;
                if matches!(again, Err(Trouble::Lost(_))) {
                    self.connection = None;
                }
                again
            }
            done => done,
        }
    }

    async fn read_once(&mut self, database: &str) -> Result<Vec<(String, Seen)>, Trouble> {
        let server = self.connected().await?;
        let names = self.table_names(database).await?;
        let mut tables = Vec::with_capacity(names.len());
        for table in names {
            self.ticks.lock().await.tick().await;
            let statement =
                format!("SHOW CREATE TABLE {}.{}", quote::identifier(database), quote::identifier(&table));
            let seen = match self.ask(&statement).await {
                Ok(rows) => match rows.first().and_then(|row| text(row, 1)) {
                    Some(shown) => match Definition::read(&shown, server) {
                        Ok(definition) => Seen::Defined(Arc::new(definition)),
                        Err(fault) => Seen::Unread(fault.to_string()),
                    },
                    None => Seen::Unread("the server printed no definition".to_owned()),
                },
                Err(Trouble::Gone) => continue,
                Err(Trouble::Refused(why)) => Seen::Unread(why),
                Err(lost) => return Err(lost),
            };
            tables.push((table, seen));
        }
        Ok(tables)
    }

    /// The tables of one database that are asked for and are there; no views.
    async fn table_names(&mut self, database: &str) -> Result<Vec<String>, Trouble> {
        self.ticks.lock().await.tick().await;
        let rows = self.ask(&format!("SHOW FULL TABLES FROM {}", quote::identifier(database))).await?;
        let is_table = |row: &Row| {
            text(row, 1).is_some_and(|kind| matches!(kind.as_str(), "BASE TABLE" | "SYSTEM VERSIONED"))
        };
        let names = rows.iter().filter(|row| is_table(row)).filter_map(|row| text(row, 0));
        Ok(names.filter(|name| self.only.is_empty() || self.only.contains(name)).collect())
    }

    async fn ask(&mut self, statement: &str) -> Result<Vec<Row>, Trouble> {
        let Some((connection, _)) = &mut self.connection else {
            return Err(Trouble::Lost("there is no connection".to_owned()));
        };
        Ok(within(connection.query(statement)).await.map_err(Trouble::Lost)??)
    }

    async fn connected(&mut self) -> Result<ServerVersion, Trouble> {
        if let Some((_, server)) = &self.connection {
            return Ok(*server);
        }
        let mut connection = connect(&self.home).await.map_err(Trouble::Lost)?;
        let asked = within(connection.query_first::<String, _>("SELECT VERSION()")).await;
        let version = asked.map_err(Trouble::Lost)??.unwrap_or_default();
        let server = ServerVersion::parse(&version)
            .ok_or_else(|| Trouble::Refused(format!("its version is not understood: {version}")))?;
        self.connection = Some((connection, server));
        Ok(server)
    }
}

fn text(row: &Row, at: usize) -> Option<String> {
    match row.as_ref(at)? {
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}
