//! Plays a scenario against the real detector and ladder, with a stepped clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use bulkhead::drain::{Action, FailoverEnd, How, Ladder, Mode, Moment, Ownership, Policy, Stage, Step};
use bulkhead::health::{Alert, Fleet, State, Tick};
use bulkhead::ids::{ClusterName, ServerId};

use crate::scenario::{Cure, Scenario, What};
use crate::world::Cluster;

/// A look, as in the real program.
const STEP: f64 = 0.25;
/// A killed ALTER takes so long to go away.
const KILL_TAKES: f64 = 2.0;
/// A failover takes so long.
const FAILOVER_TAKES: f64 = 15.0;

/// What became of one cluster.
#[derive(Default)]
pub(crate) struct Record {
    /// When it first came into a state, and how often it came into it.
    pub(crate) states: BTreeMap<State, (f64, u32)>,
    pub(crate) stages: BTreeMap<Stage, f64>,
    pub(crate) advised: BTreeSet<Stage>,
    /// Since when writes flow as usual without a break.
    pub(crate) flows_since: Option<f64>,
    pub(crate) last_state: Option<State>,
}

/// What became of a scenario.
pub(crate) struct Outcome {
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) alerts: BTreeSet<String>,
    pub(crate) events: Vec<String>,
}

struct Player<'a> {
    scenario: &'a Scenario,
    start: Instant,
    wall: SystemTime,
    clusters: Vec<(ClusterName, Cluster)>,
    fleet: Fleet,
    ladder: Ladder,
    /// Failovers under way, and when they end.
    failovers: Vec<(ClusterName, f64)>,
    outcome: Outcome,
    is_loud: bool,
}

pub(crate) fn play(scenario: &Scenario, seconds: f64, seed: u64) -> Outcome {
    let start = Instant::now();
    let mut policy = Policy::DEFAULT;
    if scenario.fails_over {
        policy.fail_over = Mode::Act;
    }
    let mut fleet = Fleet::new(start);
    let mut clusters = Vec::new();
    let mut records = BTreeMap::new();
    for (at, name) in scenario.names().into_iter().enumerate() {
        let cluster = Cluster::new(at, start, seed);
        fleet.watch(&ClusterName::new(&*name), cluster.meter.clone(), start);
        clusters.push((ClusterName::new(&*name), cluster));
        records.insert(name, Record::default());
    }
    let mut player = Player {
        scenario,
        start,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        clusters,
        fleet,
        ladder: Ladder::new(policy),
        failovers: Vec::new(),
        outcome: Outcome { records, alerts: BTreeSet::new(), events: Vec::new() },
        is_loud: std::env::var_os("BULKHEAD_SIMULATION_EVENTS").is_some(),
    };
    let steps = (seconds / STEP) as u64;
    let mut stopped = 0.0;
    for step in 0..steps {
        let now = step as f64 * STEP;
        player.step(now, &mut stopped);
    }
    player.outcome
}

impl Player<'_> {
    fn step(&mut self, now: f64, stopped: &mut f64) {
        let ends = now + STEP;
        for (name, cluster) in &mut self.clusters {
            let told = cluster.step(self.scenario, now, STEP);
            let at = self.start + Duration::from_secs_f64(now);
            let over = self.start + Duration::from_secs_f64(ends);
            if told.beat_sent {
                self.fleet.beat_sent(name, at);
            }
            if let Some(beat) = told.beat {
                self.fleet.beat_ended(name, beat);
            }
            if told.probe_sent {
                self.fleet.probe_sent(name, at);
            }
            if let Some(reading) = told.probe {
                self.fleet.probe_ended(name, reading, over);
            }
        }
        let late = match self.own_trouble(now) {
            None => std::mem::take(stopped),
            Some(Own::Late(late)) => late,
            Some(Own::Stopped) => {
                *stopped += STEP;
                return;
            }
        };
        let moment = self.moment(ends);
        self.fleet.tick(Tick { now: moment.now, late: Duration::from_secs_f64(late) });
        let facts = self.fleet.facts();
        self.outcome.alerts.extend(Alert::of(&facts).iter().map(name_of));
        let steps = self.ladder.step(&facts, Ownership::Owner, moment);
        steps.into_iter().for_each(|step| self.act(step, ends));
        self.end_failovers(ends);
        self.record(ends);
    }

    fn moment(&mut self, now: f64) -> Moment {
        let jumps = self.scenario.event.iter().map(|event| match event.what {
            What::Clock { jump } if now >= event.at => jump,
            _ => 0.0,
        });
        let wall = 86_400.0 * 400.0 + now + jumps.sum::<f64>();
        let wall = self.wall + Duration::from_secs_f64(wall.max(0.0));
        Moment { now: self.start + Duration::from_secs_f64(now), wall }
    }

    fn own_trouble(&self, now: f64) -> Option<Own> {
        self.scenario.event.iter().find_map(|event| {
            let everywhere = crate::scenario::Happening { on: vec!["*".to_owned()], ..event.clone() };
            match event.what {
                What::Starved { late_ms } => everywhere.progress(0, 1, now).map(|_| Own::Late(late_ms / 1e3)),
                What::Stopped => everywhere.progress(0, 1, now).map(|_| Own::Stopped),
                _ => None,
            }
        })
    }

    fn act(&mut self, step: Step, now: f64) {
        if self.is_loud {
            println!("{now:9.2} {}", step.event);
        }
        self.outcome.events.push(format!("{now:.2} {}", step.event));
        let record = self.outcome.records.get_mut(step.cluster.as_str()).expect("a known cluster");
        match step.event.how {
            How::Acted => drop(record.stages.entry(step.event.to).or_insert(now)),
            How::Advised => drop(record.advised.insert(step.event.to)),
            How::HeldBack => {}
        }
        let (_, cluster) =
            self.clusters.iter_mut().find(|(name, _)| *name == step.cluster).expect("a known cluster");
        for action in step.actions {
            match action {
                Action::KillDdl => cluster.cure(self.scenario, Cure::KillDdl, now + KILL_TAKES),
                Action::KillTransactions => {
                    cluster.kill_open(now);
                    cluster.cure(self.scenario, Cure::Drain, now);
                }
                Action::FailOver(_) => self.failovers.push((step.cluster.clone(), now + FAILOVER_TAKES)),
                Action::DdlLane(_) | Action::Permits(_) | Action::Gate(_) | Action::FindPrimary => {}
            }
        }
    }

    fn end_failovers(&mut self, now: f64) {
        let (over, rest) = std::mem::take(&mut self.failovers).into_iter().partition(|(_, at)| *at <= now);
        self.failovers = rest;
        for (name, _) in over {
            let found = self.clusters.iter_mut().find(|(cluster, _)| *cluster == name);
            found.expect("a known cluster").1.cure(self.scenario, Cure::Failover, now);
            let moment = self.moment(now);
            let end = FailoverEnd::Done(ServerId::parse("127.0.0.1:3307").expect("a server"));
            let step = self.ladder.failover_ended(&name, end, moment);
            self.act(step.expect("a failover was under way"), now);
        }
    }

    fn record(&mut self, now: f64) {
        for (name, state) in self.fleet.states() {
            let record = self.outcome.records.get_mut(name.as_str()).expect("a known cluster");
            if record.last_state != Some(state) {
                record.last_state = Some(state);
                record.states.entry(state).or_insert((now, 0)).1 += 1;
            }
        }
        for (name, cluster) in &mut self.clusters {
            let stage = self.ladder.stand(name).map_or(Stage::Open, |stand| stand.decision.stage);
            cluster.stage = stage;
            let record = self.outcome.records.get_mut(name.as_str()).expect("a known cluster");
            if cluster.flow >= self.scenario.traffic.writes_per_second * STEP / 2.0 {
                record.flows_since.get_or_insert(now);
            } else {
                record.flows_since = None;
            }
        }
    }
}

enum Own {
    Late(f64),
    Stopped,
}

fn name_of(alert: &Alert) -> String {
    match alert {
        Alert::ProxyStarved => "proxy_starved".to_owned(),
        Alert::AllAlike => "all_alike".to_owned(),
        Alert::HotSpot { cluster, .. } => format!("hot_spot {cluster}"),
        Alert::ReplicaLag { cluster } => format!("replica_lag {cluster}"),
        Alert::LongHistory { cluster } => format!("long_history {cluster}"),
    }
}
