//! The one task that owns detectors and ladder: looks, decides, tells.
//!
//! The ladder is rehearsed: it climbs as if what it wants were done, and nothing is done. Each change of a
//! state, of a stage and of an alert is logged once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::board::Board;
use super::{NEWS_MAX, News, Target, Teller, Told, beat, status};
use crate::admin::HealthRow;
use crate::drain::{How, Ladder, Moment, Ownership, Policy, Stage, Step};
use crate::health::{Alert, Beat, Facts, Fleet, State, TICK_EVERY, Tick};
use crate::ids::{ClusterName, Generation};
use crate::session::Services;

/// Watches every cluster of the config, until dropped.
pub(in crate::server) async fn watch(services: Arc<Services>, board: Arc<Board>) {
    let (tell, mut told) = mpsc::channel(NEWS_MAX);
    let mut watch = Watch::new(services, board, tell, Instant::now());
    let mut due = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due.into()) => {
                // What came before this look belongs to it.
                while let Ok(news) = told.try_recv() {
                    watch.take(news);
                }
                let now = Instant::now();
                watch.look(Tick { now, late: now.saturating_duration_since(due) });
                due = (due + TICK_EVERY).max(now);
            }
            Some(news) = told.recv() => watch.take(news),
        }
    }
}

struct Watched {
    target: Target,
    /// Ends its tasks when dropped.
    _probing: JoinSet<()>,
    /// As it was last told.
    state: State,
    heartbeat: String,
    answered: Option<(Instant, Duration)>,
}

struct Watch {
    services: Arc<Services>,
    board: Arc<Board>,
    tell: mpsc::Sender<News>,
    fleet: Fleet,
    ladder: Ladder,
    followed: Option<Generation>,
    clusters: BTreeMap<ClusterName, Watched>,
    alerts: BTreeSet<Alert>,
}

impl Watch {
    fn new(services: Arc<Services>, board: Arc<Board>, tell: mpsc::Sender<News>, now: Instant) -> Self {
        Self {
            services,
            board,
            tell,
            fleet: Fleet::new(now),
            ladder: Ladder::new(Policy::DEFAULT),
            followed: None,
            clusters: BTreeMap::new(),
            alerts: BTreeSet::new(),
        }
    }

    fn take(&mut self, news: News) {
        let News { cluster, at, told } = news;
        let Some(watched) = self.clusters.get_mut(&cluster) else { return };
        match told {
            Told::BeatSent => self.fleet.beat_sent(&cluster, at),
            Told::BeatEnded { beat, note } => {
                watched.heartbeat = note;
                if let Beat::Done(took) = beat {
                    watched.answered = Some((at, took));
                }
                self.fleet.beat_ended(&cluster, beat);
            }
            Told::BeatDenied { note } => {
                watched.heartbeat = note;
                self.fleet.beat_withdrawn(&cluster);
            }
            Told::ProbeSent => self.fleet.probe_sent(&cluster, at),
            Told::ProbeEnded(reading) => self.fleet.probe_ended(&cluster, reading, at),
            Told::ProbeDenied => self.fleet.probe_withdrawn(&cluster),
        }
    }

    fn look(&mut self, tick: Tick) {
        self.follow_config(tick.now);
        self.fleet.tick(tick);
        let facts = self.fleet.facts();
        self.tell_states(&facts);
        self.tell_alerts(&facts);
        let moment = Moment { now: tick.now, wall: SystemTime::now() };
        self.ladder.step(&facts, Ownership::Owner, moment).into_iter().for_each(tell_step);
        self.board.publish(facts.into_iter().filter_map(|facts| self.row(facts, tick.now)).collect());
    }

    /// Takes over a reloaded config: clusters that are new or reached otherwise are watched anew.
    fn follow_config(&mut self, now: Instant) {
        let snapshot = self.services.snapshots.load();
        if self.followed == Some(snapshot.generation) {
            return;
        }
        self.followed = Some(snapshot.generation);
        let config = &snapshot.config;
        let is_kept = |cluster: &ClusterName| config.clusters.contains_key(cluster);
        self.clusters.retain(|cluster, _| is_kept(cluster));
        self.fleet.retain(is_kept);
        self.ladder.retain(is_kept);
        self.services.meters.retain(is_kept);
        for cluster in config.clusters.values() {
            let target = Target::of(cluster, config);
            if self.clusters.get(&cluster.name).is_some_and(|watched| watched.target == target) {
                continue;
            }
            self.fleet.watch(&cluster.name, self.services.meters.of(&cluster.name), now);
            let watched = Watched::start(target, self.tell.clone());
            self.clusters.insert(cluster.name.clone(), watched);
        }
    }

    fn tell_states(&mut self, facts: &[Facts]) {
        for facts in facts {
            let Some(watched) = self.clusters.get_mut(&facts.cluster) else { continue };
            let before = std::mem::replace(&mut watched.state, facts.state);
            if before == facts.state {
                continue;
            }
            let (cluster, from, to) = (&facts.cluster, before.name(), facts.state.name());
            if facts.state == State::Healthy {
                tracing::info!(%cluster, from, to, "health changed");
            } else {
                let evidence: Vec<String> = facts.evidence.iter().map(ToString::to_string).collect();
                let evidence = evidence.join("; ");
                tracing::warn!(%cluster, from, to, evidence, "health changed");
            }
        }
    }

    fn tell_alerts(&mut self, facts: &[Facts]) {
        let alerts: BTreeSet<Alert> = Alert::of(facts).into_iter().collect();
        for alert in alerts.difference(&self.alerts) {
            tracing::warn!(?alert, "health alert");
        }
        self.alerts = alerts;
    }

    fn row(&self, facts: Facts, now: Instant) -> Option<HealthRow> {
        let watched = self.clusters.get(&facts.cluster)?;
        let stand = self.ladder.stand(&facts.cluster);
        Some(HealthRow {
            state: facts.state,
            state_for: now.saturating_duration_since(facts.since),
            evidence: facts.evidence,
            heartbeat: watched.heartbeat.clone(),
            heartbeat_took: watched.answered.map(|(_, took)| took),
            heartbeat_age: watched.answered.map(|(at, _)| now.saturating_duration_since(at)),
            writes_in_flight: facts.writes_in_flight,
            oldest_write: facts.oldest_write,
            advice: stand.map_or(Stage::Open, |stand| stand.decision.stage),
            cluster: facts.cluster,
        })
    }
}

impl Watched {
    fn start(target: Target, tell: mpsc::Sender<News>) -> Self {
        let teller = Teller { cluster: target.cluster.clone(), to: tell };
        let mut probing = JoinSet::new();
        probing.spawn(beat::keep_beating(target.clone(), teller.clone()));
        probing.spawn(status::keep_asking(target.clone(), teller));
        let (state, heartbeat) = (State::Healthy, "none yet".to_owned());
        Self { target, _probing: probing, state, heartbeat, answered: None }
    }
}

/// Tells what would have been done. What is only repeated on the same stage is not told again.
fn tell_step(mut step: Step) {
    let is_repeated = step.event.from == step.event.to && step.event.how == How::Acted;
    if is_repeated {
        return;
    }
    if step.event.how == How::Acted {
        step.event.how = How::Advised;
    }
    let event = &step.event;
    if event.to == Stage::Open {
        tracing::info!(cluster = %event.cluster, %event, "ladder");
    } else {
        let actions = &event.actions;
        tracing::warn!(cluster = %event.cluster, ?actions, %event, "ladder; nothing acts yet");
    }
}
