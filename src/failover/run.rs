//! What the rest of the program asks of this module.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::decide::{FailoverPlan, Refusal};
use super::decide::{Heard, Said, ServerView};
use super::decide::{Situation, decide};
use super::end::{Found, PrimaryRow, Undecided};
use super::primaries::{Primaries, Record, servers};
use super::read::Access;
use crate::backend::Pools;
use crate::config::{Cluster, FailoverMode};
use crate::drain::FailoverEnd;
use crate::fail_point::FailPoints;
use crate::ids::{ClusterName, ServerId};
use crate::topology::SnapshotCell;

/// A server that says nothing for so long is silent, when nobody's writes stand.
pub(super) const VIEW_WITHIN: Duration = Duration::from_secs(2);
/// The same while they do.
pub(super) const VIEW_WITHIN_PLANNED: Duration = Duration::from_millis(800);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverRequest {
    /// The server to promote; absent: the most advanced that is fit.
    pub to: Option<ServerId>,
    /// The cluster works: writes must stand no longer than moments, else everything is undone.
    pub planned: bool,
    /// Why, for the log.
    pub why: String,
}

/// Fails clusters over, follows those that others fail over, and knows who is primary.
pub struct Failovers {
    pub(super) snapshots: Arc<SnapshotCell>,
    pub(super) pools: Arc<Pools>,
    pub(super) primaries: Arc<Primaries>,
    pub(super) fail_points: FailPoints,
    clusters: Mutex<BTreeMap<ClusterName, Arc<Turn>>>,
}

/// One cluster's.
#[derive(Default)]
pub(super) struct Turn {
    /// A failover is under way.
    failing: Arc<AtomicBool>,
    /// Held from reading the store's record to writing it.
    changing: tokio::sync::Mutex<()>,
    seen: Mutex<Seen>,
}

/// A failover under way, until dropped.
pub(super) struct Failing(Arc<AtomicBool>);

impl Drop for Failing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What was last seen of a cluster. Written by its watching task and by failovers.
#[derive(Default)]
pub(super) struct Seen {
    /// The primary's words, which it was, and when.
    pub heard: Option<(Instant, ServerId, Said)>,
    /// Other servers that take writes.
    pub also_writable: Vec<ServerId>,
    /// Those of them that do not replicate.
    pub strays: Vec<ServerId>,
    /// From where to where a failover went that was left half done and then finished.
    pub finished: Option<(ServerId, ServerId)>,
    /// The primary of a failover that was left half done and then undone.
    pub undone: Option<ServerId>,
    /// What keeps each of the cut off away.
    pub notes: BTreeMap<ServerId, String>,
}

impl Turn {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a failover, if none is under way.
    fn begin(&self) -> Option<Failing> {
        let was_failing = self.failing.swap(true, Ordering::AcqRel);
        (!was_failing).then(|| Failing(Arc::clone(&self.failing)))
    }

    /// Says whether a failover is under way.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// The right to change the store's record; held for moments.
    pub(super) async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// The primary as it was last heard of.
    pub(super) fn heard(&self, primary: &ServerId) -> Option<Heard> {
        let seen = self.seen();
        let (at, _, said) = seen.heard.as_ref().filter(|(_, server, _)| server == primary)?;
        Some(Heard { said: said.clone(), ago: at.elapsed() })
    }
}

/// A cluster at the beginning of a failover.
#[derive(Clone)]
pub(super) struct Context {
    pub name: ClusterName,
    /// As the config file has it.
    pub declared: Cluster,
    /// As it is.
    pub cluster: Cluster,
    pub cut_off: Vec<ServerId>,
    pub unfenced: Vec<ServerId>,
    pub access: Access,
    pub turn: Arc<Turn>,
}

impl fmt::Debug for Failovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

impl Failovers {
    /// Nothing is asked of a server before [`Failovers::watch`] or a call below.
    pub fn new(snapshots: Arc<SnapshotCell>, pools: Arc<Pools>, primaries: Arc<Primaries>) -> Self {
        let fail_points = FailPoints::of_environment();
        Self { snapshots, pools, primaries, fail_points, clusters: Mutex::default() }
    }

    pub(super) fn turn(&self, cluster: &ClusterName) -> Arc<Turn> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(clusters.entry(cluster.clone()).or_default())
    }

    pub(super) fn context(&self, name: &ClusterName) -> Option<Context> {
        let declared = self.primaries.declared(name)?;
        let record = self.primaries.record(name);
        let (cut_off, unfenced) = record.map(|record| (record.cut_off, record.unfenced)).unwrap_or_default();
        let connect = self.snapshots.peek().config.timeouts.connect;
        Some(Context {
            name: name.clone(),
            cluster: self.primaries.cluster(name)?,
            cut_off,
            unfenced,
            access: Access::of(&declared, connect),
            turn: self.turn(name),
            declared,
        })
    }

    /// Makes another server the primary of a cluster. The caller holds writes back before and lets them in
    /// again after; it is bounded in time by itself (a planned one by 3 s, another one by 2 min).
    ///
    /// One failover of a cluster at a time; another call for it meanwhile is [`FailoverEnd::Undone`].
    ///
    /// Cancel safety: none; run it in a task of its own.
    pub async fn fail_over(self: &Arc<Self>, name: &ClusterName, request: FailoverRequest) -> FailoverEnd {
        let began = Instant::now();
        let Some(context) = self.context(name) else {
            return FailoverEnd::Undone(Refusal::UnknownCluster(name.clone()).to_string());
        };
        // What an ended proxy left is finished or undone first, if that can be.
        if let Some(record) = self.primaries.record(name).filter(|_| self.primaries.is_left(name)) {
            self.resume(&context, record).await;
        }
        let Some(failing) = context.turn.begin() else {
            return FailoverEnd::Undone(Refusal::UnderWay.to_string());
        };
        // If the watching task is at that, it comes to its end.
        drop(context.turn.changing().await);
        let Some(context) = self.context(name) else {
            return FailoverEnd::Undone(Refusal::UnknownCluster(name.clone()).to_string());
        };
        let (from, FailoverRequest { to, planned, why }) = (&context.cluster.primary, &request);
        tracing::warn!(cluster = %name, %from, ?to, planned, why, "a failover begins");
        let end = match context.cluster.failover.mode {
            FailoverMode::Follow => FailoverEnd::Undone(Refusal::OthersDo(name.clone()).to_string()),
            FailoverMode::Command => self.by_command(&context, &request).await,
            FailoverMode::BuiltIn => self.by_itself(&context, &request, failing).await,
        };
        if matches!(end, FailoverEnd::Unknown(_)) {
            self.primaries.leave(name);
        }
        // What others wrote meanwhile was left for this moment.
        if let Err(why) = self.republish(name).await {
            tracing::error!(cluster = %name, why, "what the store says could not be followed");
        }
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &end {
            FailoverEnd::Done(server) => {
                tracing::warn!(cluster = %name, %server, took_ms, "failed over");
            }
            FailoverEnd::Undone(why) => {
                tracing::error!(cluster = %name, why, took_ms, "the failover was not done");
            }
            FailoverEnd::Unknown(why) => {
                tracing::error!(cluster = %name, why, took_ms, "what became of the failover is not known");
            }
        }
        end
    }

    /// What [`Failovers::fail_over`] would do now. Nothing is changed.
    ///
    /// # Errors
    /// Why it would not be done; see [`Refusal`].
    pub async fn plan(&self, name: &ClusterName, to: Option<ServerId>) -> Result<FailoverPlan, Refusal> {
        let context = self.context(name).ok_or_else(|| Refusal::UnknownCluster(name.clone()))?;
        if context.cluster.failover.mode == FailoverMode::Follow {
            return Err(Refusal::OthersDo(name.clone()));
        }
        let views = context.views(VIEW_WITHIN).await;
        // It is a switchover if the primary works; that it is asked for is all that is known of it here.
        let planned = views.iter().any(|view| {
            view.server == context.cluster.primary && view.said.as_ref().is_ok_and(Said::is_writable)
        });
        context.decide(&views, to.as_ref(), planned)
    }

    /// Asks every server of a cluster which is the primary now, and leads to it if it is another one.
    pub async fn find_primary(&self, name: &ClusterName) -> Found {
        let Some(context) = self.context(name) else {
            return Found::Undecided(Undecided::UnknownCluster(name.clone()));
        };
        if context.turn.is_failing() {
            return Found::Undecided(Undecided::FailingOver);
        }
        match self.primaries.record(name).filter(|record| record.promoting.is_some()) {
            Some(_) if !self.primaries.is_left(name) => return Found::Undecided(Undecided::FailingOver),
            Some(record) => self.resume(&context, record).await,
            None => {}
        }
        // Whoever asks after a failover that was left hears of its end once, also if it was finished before.
        if let Some((from, to)) = context.turn.seen().finished.take() {
            return Found::Followed { from, to };
        }
        let Some(context) = self.context(name) else {
            return Found::Undecided(Undecided::UnknownCluster(name.clone()));
        };
        if self.primaries.is_left(name) {
            return Found::Undecided(Undecided::FailingOver);
        }
        let undone = context.turn.seen().undone.take();
        let views = context.views(VIEW_WITHIN).await;
        match self.settle_found(&context, &views, false).await {
            Found::Undecided(why) if undone.as_ref() == Some(&context.cluster.primary) => {
                let primary = context.cluster.primary.clone();
                Found::Undecided(Undecided::Undone { primary, why: why.to_string() })
            }
            found => found,
        }
    }

    /// Every cluster, by name.
    pub fn rows(&self) -> Vec<PrimaryRow> {
        let names = self.primaries.names();
        names.iter().filter_map(|name| self.row(name)).collect()
    }

    fn row(&self, name: &ClusterName) -> Option<PrimaryRow> {
        let context = self.context(name)?;
        let seen = context.turn.seen();
        let heard = seen.heard.as_ref().filter(|(_, server, _)| *server == context.cluster.primary);
        let notes = seen.notes.iter().map(|(server, note)| format!("{server}: {note}"));
        Some(PrimaryRow {
            cluster: name.clone(),
            primary: context.cluster.primary.clone(),
            configured: context.declared.primary.clone(),
            unfenced: context.unfenced.clone(),
            cut_off: context.cut_off.clone(),
            also_writable: seen.also_writable.clone(),
            heard_ago: heard.map(|(at, _, _)| at.elapsed()),
            note: notes.collect::<Vec<_>>().join("; "),
        })
    }

    /// Writes down who is primary, and leads there.
    ///
    /// # Errors
    /// Why not; then the store says what it said.
    pub(super) async fn lead(&self, name: &ClusterName, record: Record) -> Result<(), String> {
        self.primaries.write(name, record).await.map_err(|error| error.to_string())?;
        self.republish(name).await
    }

    /// Leads to the primary that the store names.
    ///
    /// # Errors
    /// No pools can be made.
    pub(super) async fn republish(&self, name: &ClusterName) -> Result<(), String> {
        let _publishing = self.primaries.publishing().await;
        let snapshot = self.snapshots.load();
        let Some(cluster) = self.primaries.cluster(name) else { return Ok(()) };
        if snapshot.config.clusters.get(name) == Some(&cluster) {
            return Ok(());
        }
        let next = snapshot.with_cluster(cluster);
        // The pools first: a snapshot must not name a server that has none.
        self.pools.reconfigure(&next.config).map_err(|error| error.to_string())?;
        let changes = self.snapshots.swap(next);
        tracing::info!(cluster = %name, %changes, "leads to other servers");
        Ok(())
    }
}

impl Context {
    /// Every server of the cluster, the primary read last: what it has then is not less than what the others
    /// got from it.
    pub(super) async fn views(&self, within: Duration) -> Vec<ServerView> {
        let all = servers(&self.declared);
        let (last, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|server| *server == self.cluster.primary);
        let mut views = self.views_of(others, within).await;
        views.extend(self.views_of(last, within).await);
        views
    }

    pub(super) async fn views_of(&self, servers: Vec<ServerId>, within: Duration) -> Vec<ServerView> {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| {
                let (access, server) = (self.access.clone(), server.clone());
                tokio::spawn(async move { access.view(&server, within).await })
            })
            .collect();
        let mut views = Vec::with_capacity(asked.len());
        for (task, server) in asked.into_iter().zip(servers) {
            let failed = |error: tokio::task::JoinError| ServerView { server, said: Err(error.to_string()) };
            views.push(task.await.unwrap_or_else(failed));
        }
        views
    }

    pub(super) fn decide(
        &self,
        views: &[ServerView],
        to: Option<&ServerId>,
        planned: bool,
    ) -> Result<FailoverPlan, Refusal> {
        decide(&Situation {
            cluster: &self.name,
            primary: &self.cluster.primary,
            views,
            heard: self.turn.heard(&self.cluster.primary).as_ref(),
            cut_off: &self.cut_off,
            to,
            planned,
        })
    }
}
