//! The connection on which a database is looked at and changed.
//!
//! It holds a named lock of the server for each table of the order, from before the look to the end. The lock
//! ends with the connection, and a server ends a connection only when its last statement has ended: so when
//! the lock is free, nothing that was sent for the database is at work or still to come.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_128;

use super::trouble::Trouble;
use crate::backend::direct::{Direct, DirectError, OkEnd};
use crate::ids::ClusterName;
use crate::migrations::fleet::live::survey::{Definitions, Found, definition_of};
use crate::migrations::fleet::schedule::Work;
use crate::migrations::run::Clusters;
use crate::sql::quote::{identifier, string};

/// Looks take no longer.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// Idle connections to each cluster, and how long they are kept.
const IDLE_MAX: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(20);
/// For looks: how SHOW CREATE TABLE prints depends on these. A connection that nobody hears of any more ends
/// within a minute.
const LOOKING: &str = "SET NAMES utf8mb4, SESSION sql_mode = '', SESSION sql_quote_show_create = 1, \
                       SESSION lock_wait_timeout = 5, SESSION wait_timeout = 60, \
                       SESSION time_zone = '+00:00', SESSION foreign_key_checks = 1, \
                       SESSION unique_checks = 1";

/// Connections that wait for the next database.
#[derive(Default)]
pub(in crate::migrations::fleet::live) struct Idle(Mutex<HashMap<ClusterName, Vec<(Direct, Instant)>>>);

impl Idle {
    fn take(&self, cluster: &ClusterName) -> Option<Direct> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(cluster)?;
        while let Some((mut direct, since)) = kept.pop() {
            if since.elapsed() < IDLE_FOR && direct.is_quiet() {
                return Some(direct);
            }
        }
        None
    }

    fn put(&self, cluster: &ClusterName, direct: Direct) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(cluster.clone()).or_default();
        if kept.len() < IDLE_MAX {
            kept.push((direct, Instant::now()));
        }
    }

    pub(in crate::migrations::fleet::live) async fn close_old(&self) {
        let mut old = Vec::new();
        {
            let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for kept in idle.values_mut() {
                let (fresh, stale) = kept.drain(..).partition(|(_, since)| since.elapsed() < IDLE_FOR);
                *kept = fresh;
                old.extend(stale);
            }
        }
        for (direct, _) in old {
            direct.close().await;
        }
    }
}

/// A database in hand.
pub(super) struct Hold {
    direct: Direct,
    cluster: ClusterName,
    database: Box<str>,
    /// An answer of the connection did not come, or was no good.
    is_spent: bool,
}

impl Hold {
    /// Takes a database in hand.
    ///
    /// # Errors
    /// [`Trouble::Again`], also when somebody else has it.
    pub(super) async fn take(clusters: &Clusters, idle: &Idle, work: &Work) -> Result<Self, Trouble> {
        let mut hold = Self::look(clusters, idle, work).await?;
        for name in lock_names(work) {
            let got = hold.ask(format!("SELECT GET_LOCK({}, 0)", string(&name))).await?;
            if got != Some(1) {
                return Err(Trouble::again("another change of the database is at work"));
            }
        }
        Ok(hold)
    }

    /// A connection for looks alone.
    ///
    /// # Errors
    /// [`Trouble::Again`].
    pub(super) async fn look(clusters: &Clusters, idle: &Idle, work: &Work) -> Result<Self, Trouble> {
        let name = &work.cluster;
        let no_cluster = || Trouble::again(format!("no cluster {name}"));
        let cluster = clusters.cluster(name).ok_or_else(no_cluster)?;
        let kept = idle.take(name).filter(|direct| *direct.server() == cluster.primary);
        let direct = match kept {
            Some(direct) => direct,
            None => clusters.open(&cluster, &cluster.primary).await?,
        };
        let mut hold =
            Self { direct, cluster: name.clone(), database: work.database.clone(), is_spent: false };
        hold.settle().await?;
        Ok(hold)
    }

    /// Puts the connection into the state of looks.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        match timeout(LOOK_WITHIN, self.direct.execute(LOOKING)).await {
            Ok(done) => Ok(done.map(drop)?),
            Err(_) => Err(late()),
        }
    }

    /// Says whether nobody has the database in hand.
    pub(super) async fn is_free(&mut self, work: &Work) -> Result<bool, Trouble> {
        for name in lock_names(work) {
            if self.ask(format!("SELECT IS_FREE_LOCK({})", string(&name))).await? != Some(1) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn ask(&mut self, question: String) -> Result<Option<i64>, Trouble> {
        match timeout(LOOK_WITHIN, self.direct.query(question)).await {
            Ok(rows) => Ok(rows?.first().and_then(|row| row.number(0))),
            Err(_) => Err(late()),
        }
    }

    /// The connection is not used any more; what was done on it stays.
    pub(super) fn give_up(&mut self) {
        self.is_spent = true;
    }

    /// What stands under a name of the database.
    pub(super) async fn find(&mut self, definitions: &Definitions, table: &str) -> Result<Found, Trouble> {
        if self.is_spent {
            return Err(late());
        }
        let asked = definition_of(&mut self.direct, definitions, (&self.database, table));
        match timeout(LOOK_WITHIN, asked).await {
            Ok(found) => Ok(found?),
            Err(_) => Err(late()),
        }
    }

    /// One column of the first row of a question that changes nothing.
    pub(super) async fn text(&mut self, question: String, column: usize) -> Result<Option<String>, Trouble> {
        match timeout(LOOK_WITHIN, self.direct.query(question)).await {
            Ok(rows) => Ok(rows?.first().and_then(|row| row.text(column))),
            Err(_) => Err(late()),
        }
    }

    /// Makes the database the connection's own, and takes settings.
    pub(super) async fn enter(&mut self, settings: &[String]) -> Result<(), Trouble> {
        self.direct.execute(format!("USE {}", identifier(&self.database))).await?;
        for setting in settings {
            self.direct.execute(setting).await?;
        }
        Ok(())
    }

    /// Sends a statement that changes something; it takes as long as it takes.
    ///
    /// # Errors
    /// The server's refusal, or the loss of the connection.
    pub(super) async fn send(&mut self, text: impl AsRef<[u8]>) -> Result<OkEnd, DirectError> {
        self.direct.execute(text).await
    }

    pub(super) fn direct(&mut self) -> &mut Direct {
        &mut self.direct
    }

    /// Lets go of the database, and keeps the connection for the next one.
    pub(super) async fn give_back(mut self, idle: &Idle) {
        if self.is_spent {
            return;
        }
        let freed = timeout(LOOK_WITHIN, self.direct.query("SELECT RELEASE_ALL_LOCKS()")).await;
        if matches!(freed, Ok(Ok(_))) {
            idle.put(&self.cluster, self.direct);
        }
    }
}

fn late() -> Trouble {
    Trouble::again(format!("no answer within {} s", LOOK_WITHIN.as_secs()))
}

/// Names of the locks of a database: one for each table of the order, in one order.
fn lock_names(work: &Work) -> Vec<String> {
    let tables: BTreeSet<String> = work.order.steps.iter().map(|step| step.table.to_lowercase()).collect();
    let name = |table: String| {
        let hash = xxh3_128(format!("{}\0{table}", work.database).as_bytes());
        format!("bulkhead.fleet.{hash:032x}")
    };
    tables.into_iter().map(name).collect()
}
