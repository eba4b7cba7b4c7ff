//! The one task that owns detectors and ladder: looks, decides, tells. It never waits for a server or the
//! store. Each change of a state, of a stage and of an alert is logged once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::ladder::{Acting, Call, History, Reins, Told};
use super::board::Board;
use super::{NEWS_MAX, News, Target, Teller, beat, replica, status};
use crate::admin::{Advice, ClusterSample, HealthRow};
use crate::drain::{Decision, Moment};
use crate::health::{Alert, Beat, Facts, Fleet, Reading, State, TICK_EVERY, Tick};
use crate::ids::{ClusterName, Generation, ServerId};
use crate::session::Services;

/// What a replica said is out of date after this.
const LAG_KNOWN_FOR: Duration = Duration::from_secs(5);

/// What the watching task is connected with.
pub(in crate::server) struct Wiring {
    pub(in crate::server) services: Arc<Services>,
    pub(in crate::server) board: Arc<Board>,
    pub(in crate::server) reins: Reins,
}

/// Watches every cluster of the config, until dropped.
pub(in crate::server) async fn watch(wiring: Wiring) {
    let (tell, mut told) = mpsc::channel(NEWS_MAX);
    let Wiring { services, board, reins } = wiring;
    let Reins { acting, history, mut calls, mut store, told: ladder_told } = reins;
    let mut watch = Watch {
        fleet: Fleet::new(Instant::now()),
        services,
        board,
        tell,
        acting,
        history,
        ladder_told,
        facts: Vec::new(),
        followed: None,
        clusters: BTreeMap::new(),
        alerts: BTreeSet::new(),
    };
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
            Some(call) = calls.recv() => watch.answer(call),
            Some(news) = store.recv() => watch.acting.hear(news, Instant::now()),
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
    /// How far each replica is behind, and when it was asked.
    behind: BTreeMap<ServerId, (Instant, Option<Duration>)>,
    /// The last time each was known to apply what it gets, and how far it was behind then.
    known: BTreeMap<ServerId, (Instant, Duration)>,
}

struct Watch {
    services: Arc<Services>,
    board: Arc<Board>,
    tell: mpsc::Sender<News>,
    fleet: Fleet,
    acting: Acting,
    history: Arc<History>,
    ladder_told: Arc<ArcSwap<Told>>,
    /// As of the last look.
    facts: Vec<Facts>,
    followed: Option<Generation>,
    clusters: BTreeMap<ClusterName, Watched>,
    alerts: BTreeSet<Alert>,
}

impl Watch {
    fn answer(&mut self, call: Call) {
        // An order may come before the first look.
        self.follow_config(Instant::now());
        self.acting.answer(call, &self.facts, moment());
        self.publish(Instant::now());
    }

    fn take(&mut self, news: News) {
        let News { cluster, at, told } = news;
        let Some(watched) = self.clusters.get_mut(&cluster) else { return };
        match told {
            super::Told::BeatSent => self.fleet.beat_sent(&cluster, at),
            super::Told::BeatEnded { beat, note } => {
                watched.heartbeat = note;
                if let Beat::Done(took) = beat {
                    watched.answered = Some((at, took));
                }
                self.fleet.beat_ended(&cluster, beat);
            }
            super::Told::BeatDenied { note } => {
                watched.heartbeat = note;
                self.fleet.beat_withdrawn(&cluster);
            }
            super::Told::ProbeSent => self.fleet.probe_sent(&cluster, at),
            super::Told::ReplicaSeen { server, behind } => {
                if let Some(behind) = behind {
                    watched.known.insert(server.clone(), (at, behind));
                }
                watched.behind.insert(server, (at, behind));
            }
            super::Told::ProbeEnded(reading) => {
                let reading = reading.map(|reading| Reading { replica_lag: watched.lag(at), ..reading });
                self.fleet.probe_ended(&cluster, reading, at);
            }
            super::Told::ProbeDenied => self.fleet.probe_withdrawn(&cluster),
        }
    }

    fn look(&mut self, tick: Tick) {
        self.follow_config(tick.now);
        self.fleet.tick(tick);
        let facts = self.fleet.facts();
        self.tell_states(&facts, tick.now);
        self.tell_alerts(&facts);
        self.acting.look(&facts, Moment { now: tick.now, wall: SystemTime::now() });
        self.tell_replicas(tick.now);
        self.facts = facts;
        self.publish(tick.now);
        self.history.sample(tick.now, || self.facts.iter().map(|facts| self.sample(facts)).collect());
    }

    /// Tells sessions how far replicas are behind of clusters whose reads may have to go there.
    fn tell_replicas(&self, now: Instant) {
        for (cluster, watched) in &self.clusters {
            let is_drained = self.acting.stand(cluster).is_some_and(|stand| stand.decision.stage.is_drain());
            let behind = if is_drained { watched.furthest_behind(now) } else { None };
            self.services.admissions.of(cluster).set_replicas_behind(behind);
        }
    }

    /// What operators see.
    fn publish(&self, now: Instant) {
        self.board.publish(self.facts.iter().filter_map(|facts| self.row(facts, now)).collect());
        let store_away = self.acting.store_away().map(str::to_owned);
        self.ladder_told.store(Arc::new(Told { reserves: self.acting.reserves(), store_away }));
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
        self.services.meters.retain(is_kept);
        let targets = super::targets(config);
        self.acting.follow_config(&snapshot, &targets, now);
        for target in targets {
            let cluster = target.cluster.clone();
            if self.clusters.get(&cluster).is_some_and(|watched| watched.target == target) {
                continue;
            }
            self.fleet.watch(&cluster, self.services.meters.of(&cluster), now);
            let watched = Watched::start(target, self.tell.clone());
            self.clusters.insert(cluster, watched);
        }
    }

    fn tell_states(&mut self, facts: &[Facts], now: Instant) {
        for facts in facts {
            let Some(watched) = self.clusters.get_mut(&facts.cluster) else { continue };
            let before = std::mem::replace(&mut watched.state, facts.state);
            if before == facts.state {
                continue;
            }
            self.acting.state_changed(facts, before, now);
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
            self.tell_alert(alert, true);
        }
        for alert in self.alerts.difference(&alerts) {
            self.tell_alert(alert, false);
        }
        self.alerts = alerts;
    }

    fn tell_alert(&self, alert: &Alert, is_raised: bool) {
        self.acting.notice(alert.cluster(), is_raised, alert.name(), alert.to_string());
    }

    fn sample(&self, facts: &Facts) -> (ClusterName, ClusterSample) {
        let stand = self.acting.stand(&facts.cluster);
        let took = self.clusters.get(&facts.cluster).and_then(|watched| watched.answered);
        let sample = ClusterSample {
            at: SystemTime::now(),
            state: facts.state,
            stage: stand.map_or(Decision::OPEN.stage, |stand| stand.decision.stage),
            writes_in_flight: facts.writes_in_flight,
            oldest_write: facts.oldest_write,
            heartbeat_took: took.map(|(_, took)| took),
            threads_running: facts.reading.threads_running,
            metadata_lock_waiters: facts.reading.metadata_lock_waiters,
            ddl_running: facts.reading.ddl_running,
        };
        (facts.cluster.clone(), sample)
    }

    fn row(&self, facts: &Facts, now: Instant) -> Option<HealthRow> {
        let watched = self.clusters.get(&facts.cluster)?;
        let stand = self.acting.stand(&facts.cluster);
        let stood = |since| now.saturating_duration_since(since);
        Some(HealthRow {
            state: facts.state,
            state_for: now.saturating_duration_since(facts.since),
            evidence: facts.evidence.clone(),
            heartbeat: watched.heartbeat.clone(),
            heartbeat_took: watched.answered.map(|(_, took)| took),
            heartbeat_age: watched.answered.map(|(at, _)| now.saturating_duration_since(at)),
            writes_in_flight: facts.writes_in_flight,
            oldest_write: facts.oldest_write,
            decision: stand.map_or(Decision::OPEN, |stand| stand.decision),
            stage_for: stand.map_or(Duration::ZERO, |stand| stood(stand.since)),
            advice: stand.and_then(|stand| stand.advice()).map(|(stage, how, because)| Advice {
                stage,
                how,
                why: because.to_string(),
            }),
            cluster: facts.cluster.clone(),
        })
    }
}

impl Watched {
    fn start(target: Target, tell: mpsc::Sender<News>) -> Self {
        let teller = Teller { cluster: target.cluster.clone(), to: tell };
        let mut probing = JoinSet::new();
        probing.spawn(beat::keep_beating(target.clone(), teller.clone()));
        probing.spawn(status::keep_asking(target.clone(), teller.clone()));
        for server in &target.replicas {
            probing.spawn(replica::keep_asking(target.at(server), teller.clone()));
        }
        let (state, heartbeat) = (State::Healthy, "none yet".to_owned());
        let (behind, known) = (BTreeMap::new(), BTreeMap::new());
        Self { target, _probing: probing, state, heartbeat, answered: None, behind, known }
    }

    /// How late what the replicas show may be, by the latest of them. One whose source is gone gets nothing
    /// more: what it shows is older by all the time since it was last known. Absent while one is not known.
    fn furthest_behind(&self, now: Instant) -> Option<Duration> {
        let late = |server| {
            let (at, behind) = self.known.get(server)?;
            Some(*behind + now.saturating_duration_since(*at))
        };
        self.target.replicas.iter().map(late).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Lag of the replica that is furthest behind, as far as it is known.
    fn lag(&self, now: Instant) -> Option<Duration> {
        let fresh = |(asked, behind): &(Instant, Option<Duration>)| {
            behind.filter(|_| now.saturating_duration_since(*asked) < LAG_KNOWN_FOR)
        };
        self.behind.values().filter_map(fresh).max()
    }
}

fn moment() -> Moment {
    Moment { now: Instant::now(), wall: SystemTime::now() }
}
