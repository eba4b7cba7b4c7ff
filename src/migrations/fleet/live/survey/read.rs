//! Reading definitions from the primaries, gently.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::cache::Definitions;
use super::targets::Target;
use crate::backend::direct::{Direct, DirectError};
use crate::ids::ClusterName;
use crate::migrations::fleet::definition::Definition;
use crate::migrations::run::Clusters;
use crate::protocol::handshake::Flavour;
use crate::sql::ServerVersion;
use crate::sql::quote::{identifier, string};

/// Connections to each cluster.
const READERS: usize = 2;
/// Answers that wait to be counted.
const QUEUE_MAX: usize = 256;
/// One question takes no longer.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// ER_NO_SUCH_TABLE, ER_BAD_DB_ERROR.
const NO_TABLE: u16 = 1146;
const NO_DATABASE: u16 = 1049;
/// How SHOW CREATE TABLE prints depends on these; a lock that is held on a table is not waited for long.
const SETTINGS: &str = "SET SESSION sql_mode = '', sql_quote_show_create = 1, lock_wait_timeout = 2";

/// What stands under a table's name.
#[derive(Clone, Debug)]
pub(in crate::migrations::fleet::live) enum Found {
    /// A table.
    Defined(Arc<Definition>),
    /// Nothing.
    Missing,
    /// A view.
    View,
    /// The database is not there.
    Gone,
    /// It could not be read: in words.
    Unread(String),
}

/// What was read, for each target in order.
#[derive(Debug, Default)]
pub(in crate::migrations::fleet::live) struct Survey {
    /// For each target, what stands under each name, in the order in which the names were given.
    pub(in crate::migrations::fleet::live) found: Vec<Vec<Found>>,
    /// Bytes of the tables together, where it was asked and told.
    pub(in crate::migrations::fleet::live) bytes: Vec<Option<u64>>,
}

/// Which sizes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sizes {
    All,
    /// Of a few of each cluster.
    Some,
}

/// A cluster's part of the work, shared by its readers.
struct Share {
    cluster: ClusterName,
    queue: Mutex<VecDeque<(usize, Target, bool)>>,
    ticks: tokio::sync::Mutex<Interval>,
    tables: Vec<String>,
}

/// What one target came to.
type Answer = (usize, Vec<Found>, Option<u64>);

/// Databases of each cluster whose size is asked for when not all are.
const SIZES_OF: usize = 3;

/// Reads what the targets have under the names. What could not be read is among the findings.
pub(in crate::migrations::fleet::live) async fn survey(
    clusters: &Arc<Clusters>,
    definitions: &Arc<Definitions>,
    targets: &[Target],
    tables: &[String],
    with_sizes: bool,
) -> Survey {
    let sizes = if with_sizes { Sizes::All } else { Sizes::Some };
    let mut survey = Survey { found: vec![Vec::new(); targets.len()], bytes: vec![None; targets.len()] };
    let (told, mut answers) = mpsc::channel(QUEUE_MAX);
    let mut tasks = JoinSet::new();
    for share in shares(clusters, targets, tables, sizes) {
        let share = Arc::new(share);
        for _ in 0..READERS {
            let (clusters, definitions) = (clusters.clone(), definitions.clone());
            let reader = Reader { clusters, definitions, share: share.clone(), open: None };
            tasks.spawn(reader.serve(told.clone()));
        }
    }
    drop(told);
    while let Some((at, found, bytes)) = answers.recv().await {
        (survey.found[at], survey.bytes[at]) = (found, bytes);
    }
    for found in survey.found.iter_mut().filter(|found| found.len() != tables.len()) {
        *found = vec![Found::Unread("it was not read".to_owned()); tables.len()];
    }
    survey
}

fn shares(clusters: &Clusters, targets: &[Target], tables: &[String], sizes: Sizes) -> Vec<Share> {
    let per_second = clusters.settings().fleet.reads_per_second.max(1);
    let mut queues: BTreeMap<&ClusterName, VecDeque<(usize, Target, bool)>> = BTreeMap::new();
    for (at, target) in targets.iter().enumerate() {
        let queue = queues.entry(&target.cluster).or_default();
        let with_size = sizes == Sizes::All || queue.len() < SIZES_OF;
        queue.push_back((at, target.clone(), with_size));
    }
    let share = |(cluster, queue): (&ClusterName, VecDeque<(usize, Target, bool)>)| {
        let mut ticks = interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Share {
            cluster: cluster.clone(),
            queue: Mutex::new(queue),
            ticks: tokio::sync::Mutex::new(ticks),
            tables: tables.to_vec(),
        }
    };
    queues.into_iter().map(share).collect()
}

struct Reader {
    clusters: Arc<Clusters>,
    definitions: Arc<Definitions>,
    share: Arc<Share>,
    open: Option<Direct>,
}

impl Reader {
    async fn serve(mut self, told: mpsc::Sender<Answer>) {
        loop {
            let next = self.share.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((at, target, with_size)) = next else { break };
            let mut found = Vec::with_capacity(self.share.tables.len());
            for table in self.share.tables.clone() {
                found.push(self.find(&target, &table).await);
            }
            let bytes = if with_size { self.size(&target).await } else { None };
            if told.send((at, found, bytes)).await.is_err() {
                break;
            }
        }
        if let Some(direct) = self.open.take() {
            direct.close().await;
        }
    }

    async fn find(&mut self, target: &Target, table: &str) -> Found {
        let key = (&target.cluster, &*target.database, table);
        if let Some(known) = self.definitions.recall(key) {
            return Found::Defined(known);
        }
        // With a second connection when the first one was lost.
        for attempt in 0..2 {
            self.share.ticks.lock().await.tick().await;
            match self.ask(target, table).await {
                Ok(found) => {
                    if let Found::Defined(definition) = &found {
                        self.definitions.note(key, definition.fingerprint());
                    }
                    return found;
                }
                Err(why) if attempt == 1 => return Found::Unread(why),
                Err(_) => self.open = None,
            }
        }
        Found::Unread("it was not read".to_owned())
    }

    /// # Errors
    /// The connection is of no use: in words.
    async fn ask(&mut self, target: &Target, table: &str) -> Result<Found, String> {
        let definitions = self.definitions.clone();
        let direct = self.connected().await?;
        let asked = timeout(ASK_WITHIN, definition_of(direct, &definitions, (&target.database, table)));
        match asked.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                self.open = None;
                Err(format!("no answer within {} s", ASK_WITHIN.as_secs()))
            }
        }
    }

    /// Bytes of the tables together; absent when the server does not tell.
    async fn size(&mut self, target: &Target) -> Option<u64> {
        let names: Vec<String> = self.share.tables.iter().map(|table| string(table)).collect();
        if names.is_empty() {
            return None;
        }
        self.share.ticks.lock().await.tick().await;
        // One schema: this opens no table of any other.
        let question = format!(
            "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = {} \
             AND table_name IN ({})",
            string(&target.database),
            names.join(", ")
        );
        let direct = self.connected().await.ok()?;
        match timeout(ASK_WITHIN, direct.query(question)).await {
            Ok(Ok(rows)) => rows.first().and_then(|row| row.number(0)),
            _ => {
                self.open = None;
                None
            }
        }
    }

    async fn connected(&mut self) -> Result<&mut Direct, String> {
        let kept = self.open.take().filter(|direct| !direct.is_lost());
        let direct = match kept {
            Some(direct) => direct,
            None => self.connect().await?,
        };
        Ok(self.open.insert(direct))
    }

    async fn connect(&self) -> Result<Direct, String> {
        let name = &self.share.cluster;
        let cluster = self.clusters.cluster(name).ok_or_else(|| format!("no cluster {name}"))?;
        let opened = self.clusters.open(&cluster, &cluster.primary).await;
        let mut direct = opened.map_err(|error| error.to_string())?;
        direct.execute(SETTINGS).await.map_err(|error| error.to_string())?;
        if direct.flavour() == Flavour::MySql {
            // Else sizes may be a day old. Servers of before 8.0 do not know it, and keep none.
            match direct.execute("SET SESSION information_schema_stats_expiry = 0").await {
                Err(error) if error.is_lost() => return Err(error.to_string()),
                _ => {}
            }
        }
        Ok(direct)
    }
}

/// What stands under a name now, read on a connection of the control plane.
///
/// # Errors
/// The connection is lost. A refusal that is no answer about the name is [`Found::Unread`].
pub(in crate::migrations::fleet::live) async fn definition_of(
    direct: &mut Direct,
    definitions: &Definitions,
    (database, table): (&str, &str),
) -> Result<Found, DirectError> {
    let question = format!("SHOW CREATE TABLE {}.{}", identifier(database), identifier(table));
    let rows = match direct.query(question).await {
        Ok(rows) => rows,
        Err(error) => {
            return match error.errno() {
                Some(NO_TABLE) => Ok(Found::Missing),
                Some(NO_DATABASE) => Ok(Found::Gone),
                Some(_) => Ok(Found::Unread(error.to_string())),
                None => Err(error),
            };
        }
    };
    if rows.columns().get(1).is_none_or(|column| column.name != "Create Table") {
        return Ok(Found::View);
    }
    let Some(text) = rows.first().and_then(|row| row.text(1)) else {
        return Ok(Found::Unread("the server printed no definition".to_owned()));
    };
    let server = ServerVersion::parse(&direct.version().text).unwrap_or_default();
    Ok(match definitions.read(&text, server) {
        Ok(definition) => Found::Defined(definition),
        Err(fault) => Found::Unread(fault.to_string()),
    })
}
