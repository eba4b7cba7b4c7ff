//! Watching who is primary: one task per cluster, on connections of its own by the admin login.
//!
//! The primary is asked every 500 ms whether it takes writes and what it has executed: the second is what a
//! failover compares with when the primary is gone. The others are asked every 2 s, and every 500 ms while
//! the primary is read-only or silent. What is found is acted on in [`super::tend`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::decide::{Said, ServerView};
use super::end::{Found, Undecided};
use super::primaries::{cluster_of, servers};
use super::read::{self, Access, ReadError};
use super::run::{Context, Failovers};
use crate::ids::{ClusterName, ServerId};

/// Between two looks at the primary.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two looks at all servers while the primary takes writes.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(2);
/// A server that says nothing for so long is silent.
const LOOK_WITHIN: Duration = Duration::from_millis(700);
/// What rarely changes is read again after this.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// No failover takes so long: one that is noted still was left by a proxy that ended.
const LEFT_AFTER: Duration = Duration::from_secs(150);
/// A silent primary's successor is only believed after this: a short silence may be ours.
const SILENT_FOR: Duration = Duration::from_millis(800);

/// A server that is asked again and again.
#[derive(Default)]
struct Probe {
    open: Option<(Conn, Said, Instant)>,
}

impl Probe {
    async fn look(&mut self, access: &Access, server: &ServerId, is_full: bool) -> Result<Said, String> {
        let looking = async {
            let (conn, said) = match self.open.take() {
                Some((mut conn, mut said, read)) if !is_full && read.elapsed() < READ_AGAIN => {
                    read::refresh(&mut conn, &mut said).await?;
                    self.open = Some((conn, said.clone(), read));
                    return Ok(said);
                }
                Some((mut conn, ..)) => {
                    let said = read::read(&mut conn).await?;
                    (conn, said)
                }
                None => {
                    let mut conn = access.open(server, LOOK_WITHIN).await?;
                    let said = read::read(&mut conn).await?;
                    (conn, said)
                }
            };
            self.open = Some((conn, said.clone(), Instant::now()));
            Ok::<_, ReadError>(said)
        };
        match timeout(LOOK_WITHIN, looking).await {
            Ok(said) => said.map_err(|error| error.to_string()),
            Err(_) => Err(ReadError::Late(LOOK_WITHIN).to_string()),
        }
    }
}

/// What one cluster's task remembers.
struct Watcher {
    name: ClusterName,
    access: Access,
    probes: BTreeMap<ServerId, Probe>,
    looked_at_all: Option<Instant>,
    silent_since: Option<Instant>,
    /// A promotion that the store notes, and since when it is seen there.
    begun: Option<(ServerId, Instant)>,
    /// Servers that were left behind are looked after beside: it takes seconds.
    tending: JoinSet<()>,
    /// As it was last told.
    told: Option<Found>,
}

impl Failovers {
    /// Watches every cluster of the config, and follows what other proxies put into the store, until dropped.
    pub async fn watch(self: Arc<Self>) {
        let mut changes = self.primaries.watch();
        let mut tasks: JoinSet<ClusterName> = JoinSet::new();
        let mut watched: BTreeSet<ClusterName> = BTreeSet::new();
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {
                    for name in self.primaries.names() {
                        if watched.insert(name.clone()) {
                            tasks.spawn(Arc::clone(&self).watch_cluster(name));
                        }
                    }
                }
                Some(ended) = tasks.join_next() => {
                    // Gone from the config; should it come back, it is watched again.
                    if let Ok(name) = ended {
                        watched.remove(&name);
                    }
                }
                change = changes.recv() => match change.map(|change| cluster_of(&change.key)) {
                    Some(Some(name)) => self.take_over(&name).await,
                    Some(None) => {}
                    // Changes may have been missed.
                    None => {
                        changes = self.primaries.watch();
                        for name in self.primaries.names() {
                            self.take_over(&name).await;
                        }
                    }
                },
            }
        }
    }

    /// Takes over what the store says of a cluster.
    async fn take_over(&self, name: &ClusterName) {
        let is_failing = self.turn(name).is_failing();
        match self.primaries.refresh(name).await {
            // A failover of our own publishes at its end.
            Ok(true) if is_failing => {}
            Ok(false) => {}
            Ok(true) => {
                self.cut_unfenced(name);
                if let Err(why) = self.republish(name).await {
                    tracing::error!(cluster = %name, why, "what the store says could not be followed");
                }
            }
            Err(error) => tracing::error!(cluster = %name, %error, "the store's primary cannot be read"),
        }
    }

    /// Another proxy found that a server cannot be fenced: what it acknowledges from here on reaches no
    /// client of ours either.
    fn cut_unfenced(&self, name: &ClusterName) {
        let Some(context) = self.context(name) else { return };
        for server in servers(&context.declared) {
            if context.unfenced.contains(&server) {
                self.pools.bar(name, &server);
            } else {
                self.pools.lift(name, &server);
            }
        }
    }

    async fn watch_cluster(self: Arc<Self>, name: ClusterName) -> ClusterName {
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watcher: Option<Watcher> = None;
        loop {
            every.tick().await;
            let Some(context) = self.context(&name) else { return name };
            let kept = watcher.take().filter(|watcher| watcher.access == context.access);
            let mut current = kept.unwrap_or_else(|| Watcher::new(&context));
            // While it is failed over, what is seen is half done.
            if !context.turn.is_failing() {
                current.look(&self, &context).await;
            }
            watcher = Some(current);
        }
    }
}

impl Watcher {
    fn new(context: &Context) -> Self {
        Self {
            name: context.name.clone(),
            access: context.access.clone(),
            probes: BTreeMap::new(),
            looked_at_all: None,
            silent_since: None,
            begun: None,
            tending: JoinSet::new(),
            told: None,
        }
    }

    async fn look(&mut self, failovers: &Arc<Failovers>, context: &Context) {
        if context.declared.replicas.is_empty() {
            return;
        }
        let record = failovers.primaries.record(&self.name);
        self.begun =
            record.as_ref().and_then(|record| record.promoting.as_ref()).map(|to| match &self.begun {
                Some((server, since)) if server == to => (to.clone(), *since),
                _ => (to.clone(), Instant::now()),
            });
        if let (Some(record), Some((_, since))) = (record, &self.begun) {
            // Another proxy may be at it.
            if failovers.primaries.is_left(&self.name) || since.elapsed() >= LEFT_AFTER {
                failovers.resume(context, record).await;
            }
            return;
        }
        let primary = context.cluster.primary.clone();
        let mut views = self.ask(vec![primary.clone()], false).await;
        let said = views.first().and_then(|view| view.said.as_ref().ok());
        self.silent_since = match said {
            Some(_) => None,
            None => self.silent_since.or_else(|| Some(Instant::now())),
        };
        let is_well = said.is_some_and(Said::is_writable);
        if let Some(said) = said {
            context.turn.seen().heard = Some((Instant::now(), primary.clone(), said.clone()));
        }
        let is_due = self.looked_at_all.is_none_or(|at| at.elapsed() >= LOOK_AT_ALL_EVERY);
        let has_unfenced = !context.unfenced.is_empty();
        if is_well && !is_due && !has_unfenced {
            return;
        }
        self.looked_at_all = Some(Instant::now());
        let others = servers(&context.declared).into_iter().filter(|server| *server != primary);
        views.extend(self.ask(others.collect(), true).await);
        let is_too_soon = self.silent_since.is_some_and(|since| since.elapsed() < SILENT_FOR);
        if !is_too_soon {
            let found = failovers.settle_found(context, &views, false).await;
            let why = views.first().and_then(|view| view.said.as_ref().err());
            self.tell(found, why.map_or("it answers", String::as_str));
        }
        while self.tending.try_join_next().is_some() {}
        if self.tending.is_empty() {
            let (failovers, context) = (Arc::clone(failovers), context.clone());
            self.tending.spawn(async move { failovers.tend(&context, &views).await });
        }
    }

    /// Asks servers at the same time.
    async fn ask(&mut self, servers: Vec<ServerId>, is_full: bool) -> Vec<ServerView> {
        let mut asking = JoinSet::new();
        for server in servers {
            let (mut probe, access) = (self.probes.remove(&server).unwrap_or_default(), self.access.clone());
            asking.spawn(async move {
                let said = probe.look(&access, &server, is_full).await;
                (probe, ServerView { server, said })
            });
        }
        let mut views = Vec::new();
        while let Some(asked) = asking.join_next().await {
            let Ok((probe, view)) = asked else { continue };
            self.probes.insert(view.server.clone(), probe);
            views.push(view);
        }
        views
    }

    /// Logs what is new; `primary` is what the primary came to.
    fn tell(&mut self, found: Found, primary: &str) {
        let is_new = self.told.as_ref() != Some(&found);
        let cluster = &self.name;
        match &found {
            Found::Same(_) if is_new && self.told.is_some() => tracing::info!(%cluster, %found, "primary"),
            Found::Undecided(Undecided::NoneWritable) if is_new => {
                tracing::warn!(%cluster, primary, %found, "no primary is found");
            }
            Found::Undecided(_) if is_new => tracing::error!(%cluster, %found, "which server is primary?"),
            _ => {}
        }
        self.told = Some(found);
    }
}
